//! Reads Maildirs: one, a Maildir++ with its subfolders (`.A.B`), and folders with Maildirs in them
//! (`A/B`, also `A.sbd/B` of Thunderbird and `.A.directory/B` of KMail).
//!
//! The date of a message is the earlier of the file's time and the time in its name: a copy of the
//! files may have lost the first, and a move between folders changes the second. The names of an
//! export of this program have the exact date.

mod names;
mod packed;

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use freehold_core::clock::Timestamp;
use freehold_core::mailbox::Flags;

use super::{DEPTH_MAX, Importer, MESSAGE_LEN_MAX, Message, entries, len_max, text_of, too_long};
use crate::files::maildir_name::{KEYWORDS_FILE, OTHER_KEYWORDS};
use crate::files::{FilesError, Result, folder_name, line_ends, open};
use names::FileName;

/// The longest files with keywords that are read, in bytes.
const KEYWORDS_LEN_MAX: u64 = 64 * 1024 * 1024;
/// How much of a file is read at a time, in bytes.
const CHUNK_LEN: usize = 256 * 1024;

/// A Maildir and its folder's name in the node.
struct Source {
    dir: PathBuf,
    folder: String,
}

/// Imports all Maildirs of the source.
pub(super) async fn read(importer: &mut Importer) -> Result<()> {
    let sources = find(importer)?;
    let mut total = 0;
    for source in &sources {
        for part in ["cur", "new"] {
            let listed = std::fs::read_dir(source.dir.join(part));
            total += listed.map_or(0, |entries| entries.count() as u64);
        }
    }
    let mut done = 0;
    for source in sources {
        // An empty folder is a folder too.
        if importer.storage.folder(&source.folder).await?.is_none() {
            continue;
        }
        let keywords = Keywords::read(&source.dir);
        for (part, name) in files(importer, &source.dir) {
            let path = source.dir.join(part).join(&name);
            let place = path.to_string_lossy();
            match read_message(&path, &name, &keywords) {
                Ok(Some((text, date, flags))) => {
                    let date = importer.storage.date(date, &text);
                    let message = Message { text: &text, date, flags };
                    importer.storage.store(&source.folder, &message, &place).await?;
                }
                Ok(None) => importer.storage.report.left_out.add(&place, &too_long()),
                // A mail program may have renamed or removed it.
                Err(error) => importer.storage.report.left_out.add(&place, &error.to_string()),
            }
            done += 1;
            (importer.on_progress)("Messages read", done, total);
        }
    }
    Ok(())
}

/// The Maildirs of the source, INBOX first.
fn find(importer: &mut Importer) -> Result<Vec<Source>> {
    let root = importer.options.path.clone();
    std::fs::read_dir(&root).map_err(|error| FilesError::unreadable(&root, &error))?;
    let mut found = Vec::new();
    let mut waiting = vec![(root.clone(), String::new(), 0)];
    while let Some((dir, name, depth)) = waiting.pop() {
        let Some(entries) = entries(&dir, &mut importer.storage.report.left_out) else { continue };
        let is_part = |name: &OsString| ["cur", "new", "tmp"].iter().any(|part| name == part);
        let is_maildir = entries.iter().any(|(name, kind)| is_part(name) && kind.is_dir());
        if is_maildir {
            found.push(Source { folder: importer.target(&dir, &name), dir: dir.clone() });
        }
        // The last is read first.
        for (file, kind) in entries.iter().rev() {
            let path = dir.join(file);
            if kind.is_symlink() {
                let reason = "a symbolic link is not followed";
                importer.storage.report.left_out.add(&path.to_string_lossy(), reason);
            } else if kind.is_dir() && !(is_maildir && is_part(file)) {
                if depth >= DEPTH_MAX {
                    importer
                        .storage
                        .report
                        .left_out
                        .add(&path.to_string_lossy(), "it is nested too deep");
                    continue;
                }
                let child = child_name(&text_of(file));
                let name = if name.is_empty() { child } else { format!("{name}/{child}") };
                waiting.push((path, name, depth + 1));
            }
        }
    }
    if found.is_empty() {
        let message = format!("{} holds no Maildir: no folder with cur and new", root.display());
        return Err(FilesError::NoMail(message));
    }
    Ok(found)
}

/// The name of a folder's subfolder by its file name; Maildir++ has several levels in one.
fn child_name(file: &str) -> String {
    let hidden = file.strip_prefix('.');
    match (hidden, hidden.and_then(|name| name.strip_suffix(".directory"))) {
        (_, Some(kmail)) => kmail.to_owned(),
        (Some(name), None) => folder_name::from_maildir(name),
        (None, None) => {
            let level = file.strip_suffix(folder_name::CHILDREN).unwrap_or(file);
            folder_name::from_maildir_level(level)
        }
    }
}

/// The files of a Maildir, the oldest first.
fn files(importer: &mut Importer, dir: &Path) -> Vec<(&'static str, OsString)> {
    let mut files = Vec::new();
    for part in ["cur", "new"] {
        let path = dir.join(part);
        if std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir()) {
            let listed = entries(&path, &mut importer.storage.report.left_out).unwrap_or_default();
            let visible = listed.into_iter().map(|(name, _)| name);
            files.extend(visible.filter(|name| !is_hidden(name)).map(|name| (part, name)));
        }
    }
    files.sort_by_cached_key(|(_, name)| (FileName::parse(&text_of(name)).secs, name.clone()));
    files
}

/// Files whose names begin with a dot are no messages.
fn is_hidden(name: &OsString) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// The keywords of a Maildir.
struct Keywords {
    /// By letter, from a.
    lettered: Vec<Option<String>>,
    /// By the unique part of the file's name.
    others: HashMap<String, Vec<String>>,
}

impl Keywords {
    fn read(dir: &Path) -> Self {
        let content = |name: &str| {
            let mut content = Vec::new();
            let file = open::regular(&dir.join(name));
            // Without the file, or with a damaged one, messages have no keywords.
            let _ = file.and_then(|file| file.take(KEYWORDS_LEN_MAX).read_to_end(&mut content));
            String::from_utf8_lossy(&content).into_owned()
        };
        let mut lettered = vec![None; 26];
        for line in content(KEYWORDS_FILE).lines() {
            let Some((number, name)) = line.split_once(' ') else { continue };
            let place = number.parse::<usize>().ok().and_then(|at| lettered.get_mut(at));
            if let Some(place) = place {
                *place = Some(name.trim().to_owned());
            }
        }
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let others = content(OTHER_KEYWORDS)
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(unique, names)| (unique.to_owned(), words(names)))
            .collect();
        Self { lettered, others }
    }

    fn flags(&self, name: &FileName<'_>) -> Flags {
        let mut flags = Flags::of(name.bits());
        let forwarded = name.is_forwarded().then(|| super::super::maildir_name::FORWARDED.into());
        let lettered = name.letters().filter_map(|at| self.lettered.get(at)?.clone());
        let others = self.others.get(name.unique).into_iter().flatten().cloned();
        for keyword in lettered.chain(others).chain(forwarded) {
            if !flags.has_keyword(&keyword) {
                flags.keywords.push(keyword);
            }
        }
        flags
    }
}

/// The bytes of a message with CRLF, its date and its flags; `None` if it is too long.
#[expect(clippy::type_complexity, reason = "the parts of a message, used once")]
fn read_message(
    path: &Path,
    name: &OsString,
    keywords: &Keywords,
) -> io::Result<Option<(Vec<u8>, Option<Timestamp>, Flags)>> {
    let file = open::regular(path)?;
    let metadata = file.metadata()?;
    if metadata.len() > MESSAGE_LEN_MAX {
        return Ok(None);
    }
    let text = text_of(name);
    let name = FileName::parse(&text);
    let file = packed::unpacked(file)?;
    let Some(text) = read_text(file, metadata.len(), name.is_exact(metadata.len()))? else {
        return Ok(None);
    };
    let millis =
        metadata.mtime().saturating_mul(1000).saturating_add(metadata.mtime_nsec() / 1_000_000);
    Ok(Some((text, name.date(u64::try_from(millis).ok()), keywords.flags(&name))))
}

fn read_text(mut file: impl Read, len: u64, is_exact: bool) -> io::Result<Option<Vec<u8>>> {
    // A thirtieth more for CR.
    let len = usize::try_from(len).unwrap_or(0);
    let mut text = Vec::with_capacity(len.saturating_add(len / 30));
    let mut chunk = vec![0; CHUNK_LEN.min(len.saturating_add(1))];
    loop {
        let read = match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => chunk.get(..read).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if is_exact {
            text.extend_from_slice(read);
        } else {
            line_ends::push_crlf(&mut text, read);
        }
        if text.len() > len_max() {
            return Ok(None);
        }
    }
    Ok(Some(text))
}
