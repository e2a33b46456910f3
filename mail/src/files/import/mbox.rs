//! Reads mboxes: a file, or a folder of files with folders inside (`A.sbd/B` of Thunderbird,
//! `A.mbox/mbox` of Apple Mail).

use std::path::{Path, PathBuf};

use freehold_core::mailbox::Flags;

use super::{DEPTH_MAX, Importer, Message, entries, len_max, text_of, too_long};
use crate::files::mbox_reader::{MboxMessage, MboxReader};
use crate::files::state_fields::{self, Origin, State};
use crate::files::{FilesError, Result, folder_name, from_line, manifest, open};

/// Endings of files that mail programs keep beside mboxes.
const OTHER_FILES: [&str; 10] =
    [".msf", ".dat", ".html", ".json", ".part", ".cmeta", ".index", ".data", ".plist", ".sqlite"];
const MIB: u64 = 1024 * 1024;

/// An mbox and its folder's name in the source.
struct Source {
    file: PathBuf,
    name: String,
    len: u64,
}

/// Imports all mboxes of the source.
pub(super) async fn read(importer: &mut Importer) -> Result<()> {
    let root = importer.options.path.clone();
    let metadata =
        std::fs::metadata(&root).map_err(|error| FilesError::unreadable(&root, &error))?;
    let is_file = !metadata.is_dir();
    let sources = if is_file {
        // With a folder to store into, that is the folder of the messages.
        let own_name = root.file_name().map(|name| level_of(&text_of(name))).unwrap_or_default();
        let name = importer.options.into.as_ref().map_or(own_name, |_| String::new());
        vec![Source { file: root.clone(), name, len: metadata.len() }]
    } else {
        find(importer, &root)
    };
    let total = sources.iter().map(|source| source.len).sum();
    let mut before = 0;
    for source in sources {
        let is_read = read_file(importer, &source, (before, total), is_file).await?;
        if is_file && !is_read {
            let message = format!(
                "{} is no mbox: it does not begin with a line \"From sender date\"",
                root.display()
            );
            return Err(FilesError::NoMail(message));
        }
        before = before.saturating_add(source.len);
    }
    Ok(())
}

/// The files below a folder. Those of other programs' indexes are passed over.
fn find(importer: &mut Importer, root: &Path) -> Vec<Source> {
    let mut found = Vec::new();
    let mut waiting = vec![(root.to_owned(), String::new(), 0)];
    while let Some((dir, name, depth)) = waiting.pop() {
        let entries = entries(&dir, &mut importer.storage.report.left_out).unwrap_or_default();
        for (file, kind) in entries.into_iter().rev() {
            let (path, file) = (dir.join(&file), text_of(&file));
            let join = |level: &str| match (name.as_str(), level) {
                ("", level) => level.to_owned(),
                (name, "") => name.to_owned(),
                (name, level) => format!("{name}/{level}"),
            };
            if kind.is_symlink() {
                let reason = "a symbolic link is not followed";
                importer.storage.report.left_out.add(&path.to_string_lossy(), reason);
            } else if kind.is_dir() {
                if depth >= DEPTH_MAX {
                    importer
                        .storage
                        .report
                        .left_out
                        .add(&path.to_string_lossy(), "it is nested too deep");
                } else {
                    waiting.push((path, join(&level_of(&file)), depth + 1));
                }
            } else if !is_other(&file) {
                // The file in a folder of Apple Mail has the folder's messages.
                let level = if file == "mbox" { String::new() } else { level_of(&file) };
                let len = std::fs::symlink_metadata(&path).map_or(0, |metadata| metadata.len());
                found.push(Source { file: path, name: join(&level), len });
            }
        }
    }
    found.sort_by(|one, other| one.file.cmp(&other.file));
    found
}

fn is_other(file: &str) -> bool {
    let lower = file.to_ascii_lowercase();
    file.starts_with('.')
        || file == manifest::NAME
        || OTHER_FILES.iter().any(|ending| lower.ends_with(ending))
}

/// The level of a folder's name for the name of a file or folder.
fn level_of(file: &str) -> String {
    let kmail = file.strip_prefix('.').and_then(|name| name.strip_suffix(".directory"));
    let name = kmail.unwrap_or(file);
    let name = [folder_name::CHILDREN, ".mbox"]
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .unwrap_or(name);
    folder_name::from_mbox(name).replace('/', "_")
}

/// Imports one mbox; false if the file is none. `(before, total)` are the bytes of the files before
/// it, and of all.
async fn read_file(
    importer: &mut Importer,
    source: &Source,
    (before, total): (u64, u64),
    is_alone: bool,
) -> Result<bool> {
    let place = source.file.to_string_lossy().into_owned();
    let folder = importer.target(&source.file, &source.name);
    let is_mboxrd = importer.options.is_mboxrd;
    let opened = open::regular(&source.file);
    let reader = opened.and_then(|file| MboxReader::new(file, len_max(), is_mboxrd));
    let mut reader = match reader {
        Ok(Some(reader)) => reader,
        Ok(None) if source.len == 0 => {
            // An empty folder.
            importer.storage.folder(&folder).await?;
            return Ok(true);
        }
        Ok(None) => {
            importer.storage.report.ignored.add(&place, "it is no mbox");
            return Ok(false);
        }
        Err(error) if is_alone => return Err(FilesError::unreadable(&source.file, &error)),
        Err(error) => {
            importer.storage.report.left_out.add(&place, &error.to_string());
            return Ok(true);
        }
    };
    loop {
        let message = match reader.message() {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(true),
            Err(error) => {
                importer.storage.report.left_out.add(&place, &format!("the rest: {error}"));
                return Ok(true);
            }
        };
        store(importer, &folder, message, &place).await?;
        let done = before.saturating_add(reader.offset);
        (importer.on_progress)("MiB read", done / MIB, (total / MIB).max(1));
    }
}

/// Stores a message in its folder, or in those of its Gmail labels.
async fn store(
    importer: &mut Importer,
    folder: &str,
    message: MboxMessage,
    file: &str,
) -> Result<()> {
    let place = format!("{file}, byte {}", message.offset);
    let Some(mut text) = message.text else {
        importer.storage.report.left_out.add(&place, &too_long());
        return Ok(());
    };
    let origin = match (from_line::is_own(&message.from_line), message.offset) {
        (true, 0) => Origin::OwnFirst,
        (true, _) => Origin::Own,
        (false, _) => Origin::Foreign,
    };
    let State { flags, labels, is_expunged } = state_fields::take(&mut text, origin);
    if is_expunged {
        importer.storage.report.deleted_in_source += 1;
        return Ok(());
    }
    let date = importer.storage.date(from_line::parse(&message.from_line).flatten(), &text);
    let Some(labels) = labels else {
        return importer.storage.store(folder, &Message { text: &text, date, flags }, &place).await;
    };
    for name in labels.folders {
        // A copy of a draft in another folder is no draft.
        let bits = if name == "Drafts" { flags.bits } else { flags.bits & !Flags::DRAFT };
        let flags = Flags { bits, ..flags.clone() };
        let folder = importer.storage.named(&name, false);
        importer.storage.store(&folder, &Message { text: &text, date, flags }, &place).await?;
    }
    Ok(())
}
