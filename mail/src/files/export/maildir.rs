//! Writes a folder as a Maildir, with flags in the names (`:2,FS`) and keywords as Dovecot reads
//! them: a letter each, which `dovecot-keywords` explains.
//!
//! Letters exist for 26 keywords. The file `freehold-keywords` has those beyond, by message.

use std::collections::HashMap;
use std::fs::{File, FileTimes};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use freehold_core::mailbox::{Flags, Folder, Message};

use super::super::Result;
use super::{Export, cant_write, create_dir};
use crate::files::line_ends;
use crate::files::maildir_name::{FLAGS, FORWARDED, KEYWORDS_FILE, LETTERS, OTHER_KEYWORDS};

/// Writes the folder to `dir`. Files of an earlier run stay; those whose messages have gone since
/// are removed.
pub(super) fn write(export: &mut Export<'_>, folder: &Folder, dir: &Path) -> Result<()> {
    for name in ["cur", "new", "tmp"] {
        create_dir(&dir.join(name))?;
    }
    if folder.name != "INBOX" {
        // Maildir++ marks subfolders by this file.
        write_file(&dir.join("maildirfolder"), b"")?;
    }
    let lettered = folder.keywords.iter().take(LETTERS).enumerate();
    let lines: String = lettered.map(|(at, name)| format!("{at} {name}\n")).collect();
    if !lines.is_empty() {
        write_file(&dir.join(KEYWORDS_FILE), lines.as_bytes())?;
    }
    let mut earlier = earlier_files(dir)?;
    let mut others = String::new();
    let mut first = 1;
    loop {
        let messages = export.messages(folder, first)?;
        let Some(last) = messages.last() else { break };
        first = last.uid.saturating_add(1);
        for message in &messages {
            let unique = unique_name(folder, message);
            let info = info(folder, &message.flags);
            if let Some(name) = earlier.remove(&unique) {
                rename(dir, &name, &info)?;
            } else if let Some(text) = export.text(folder, message)? {
                write_message(dir, &unique, &info, message, &text)?;
            } else {
                continue;
            }
            let beyond: Vec<&str> = beyond_letters(folder, &message.flags).collect();
            if !beyond.is_empty() {
                others.push_str(&format!("{unique} {}\n", beyond.join(" ")));
            }
            export.count(message)?;
        }
    }
    if !others.is_empty() {
        write_file(&dir.join(OTHER_KEYWORDS), others.as_bytes())?;
    }
    for name in earlier.into_values() {
        let path = dir.join("cur").join(name);
        std::fs::remove_file(&path).map_err(|error| cant_write(&path, &error))?;
    }
    Ok(())
}

/// The part of a message's file name that never changes.
fn unique_name(folder: &Folder, message: &Message) -> String {
    let date = message.internal_date;
    let (secs, micros) = (date.as_secs(), date.0 % 1000 * 1000);
    format!("{secs}.M{micros}V{}U{}.freehold", folder.uid_validity, message.uid)
}

/// The flags, in the order of their letters, as Maildir readers expect.
fn info(folder: &Folder, flags: &Flags) -> String {
    let mut letters: Vec<char> =
        FLAGS.iter().filter(|(_, bit)| flags.has(*bit)).map(|(letter, _)| *letter).collect();
    if flags.has_keyword(FORWARDED) {
        letters.push('P');
    }
    let names = ('a'..='z').zip(&folder.keywords);
    letters.extend(names.filter(|(_, name)| flags.has_keyword(name)).map(|(letter, _)| letter));
    letters.sort_unstable();
    format!(":2,{}", letters.into_iter().collect::<String>())
}

/// The keywords without a letter.
fn beyond_letters<'a>(folder: &'a Folder, flags: &'a Flags) -> impl Iterator<Item = &'a str> {
    let lettered = |name: &str| {
        folder.keywords.iter().take(LETTERS).any(|other| other.eq_ignore_ascii_case(name))
    };
    flags.keywords.iter().map(String::as_str).filter(move |name| !lettered(name))
}

/// The files of an interrupted run of this export, by their unique names.
fn earlier_files(dir: &Path) -> Result<HashMap<String, String>> {
    let cur = dir.join("cur");
    let mut found = HashMap::new();
    for entry in std::fs::read_dir(&cur).map_err(|error| cant_write(&cur, &error))? {
        let name = entry.map_err(|error| cant_write(&cur, &error))?.file_name();
        let Some(name) = name.to_str() else { continue };
        if let Some((unique, _)) = name.split_once(',').filter(|(u, _)| u.ends_with(".freehold")) {
            found.insert(unique.to_owned(), name.to_owned());
        }
    }
    Ok(found)
}

/// Gives a file of an earlier run the flags of now.
fn rename(dir: &Path, name: &str, info: &str) -> Result<()> {
    let base = name.split_once(':').map_or(name, |(base, _)| base);
    let (from, to) = (dir.join("cur").join(name), dir.join("cur").join(format!("{base}{info}")));
    if from == to {
        return Ok(());
    }
    std::fs::rename(&from, &to).map_err(|error| cant_write(&to, &error))
}

/// Writes a message to `tmp` and renames it into `cur`. Its time of modification is the internal
/// date.
fn write_message(
    dir: &Path,
    unique: &str,
    info: &str,
    message: &Message,
    text: &[u8],
) -> Result<()> {
    let as_lf = line_ends::is_crlf(text).then(|| line_ends::to_lf(text));
    let bytes = as_lf.as_deref().unwrap_or(text);
    // S: the length of the file; W: that of the message in IMAP. They are equal for a message whose
    // line ends are not all CRLF: it is written as it is.
    let base = format!("{unique},S={},W={}", bytes.len(), text.len());
    let temporary = dir.join("tmp").join(unique);
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        if let Some(date) = UNIX_EPOCH.checked_add(Duration::from_millis(message.internal_date.0)) {
            // A file system may not hold the date; the name has it too.
            let _ = file.set_times(FileTimes::new().set_modified(date).set_accessed(date));
        }
        std::fs::rename(&temporary, dir.join("cur").join(format!("{base}{info}")))
    };
    write().map_err(|error| cant_write(&temporary, &error))
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|error| cant_write(path, &error))
}
