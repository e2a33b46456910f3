//! Labels in the mbox of Google Takeout, in the field `X-Gmail-Labels`.
//!
//! A message is stored in the folder of each of its labels, as Gmail shows it in IMAP; one without
//! is stored in Archive. Of the states that Gmail keeps as labels, Starred is \Flagged, and a
//! message without Unread is \Seen. Important, Opened and the categories are dropped.
//!
//! In IMAP (X-GM-LABELS of X-GM-EXT-1) the labels of Gmail itself begin with a backslash, and the
//! states are ordinary flags.

use freehold_core::mailbox::{Flags, SpecialUse};
use freehold_mime::word;

use super::special;

/// How much of the field is read, in bytes.
const VALUE_LEN_MAX: usize = 64 * 1024;
/// The most labels that are read, and the most folders in which a message is stored.
const LABELS_MAX: usize = 200;
const FOLDERS_MAX: usize = 16;

const UNREAD: [&str; 8] = [
    "unread",
    "ungelesen",
    "non lus",
    "no leídos",
    "da leggere",
    "não lidas",
    "ongelezen",
    "непрочитанные",
];
const STARRED: [&str; 8] = [
    "starred",
    "markiert",
    "messages suivis",
    "destacados",
    "speciali",
    "com estrela",
    "met ster",
    "помеченные",
];
const DROPPED: [&str; 27] = [
    "important",
    "wichtig",
    "importants",
    "importantes",
    "importanti",
    "importante",
    "belangrijk",
    "opened",
    "geöffnet",
    "ouvert",
    "abiertos",
    "abierto",
    "ouverts",
    "aberto",
    "aperto",
    "aperti",
    "abertos",
    "geopend",
    "archived",
    "archiviert",
    "archivés",
    "archivados",
    "archiviati",
    "archivado",
    "archivé",
    "arquivado",
    "gearchiveerd",
];
/// The word before the name of a category, which a space or a colon follows.
const CATEGORIES: [&str; 6] =
    ["category", "kategorie", "catégorie", "categoría", "categoria", "categorie"];

/// The folders and flags of a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Labels {
    /// At least one.
    pub(super) folders: Vec<String>,
    pub(super) flags: u8,
}

/// Reads a value of `X-Gmail-Labels`.
pub(super) fn read(value: &[u8]) -> Labels {
    let value = value.get(..VALUE_LEN_MAX).unwrap_or(value);
    let (mut specials, mut own) = (Vec::new(), Vec::new());
    let (mut is_unread, mut is_starred) = (false, false);
    for label in split(&word::decode(value, None)) {
        let lower = label.to_lowercase();
        let is = |names: &[&str]| names.contains(&lower.as_str());
        if is(&UNREAD) {
            is_unread = true;
        } else if is(&STARRED) {
            is_starred = true;
        } else if is(&DROPPED) || is_category(&lower) {
        } else if let Some(special) = special::named(&label).filter(|s| *s != SpecialUse::Archive) {
            specials.push(special);
        } else if !own.contains(&label) {
            own.push(label);
        }
    }
    let mut flags = 0;
    flags |= if is_unread { 0 } else { Flags::SEEN };
    flags |= if is_starred { Flags::FLAGGED } else { 0 };
    flags |= if specials.contains(&SpecialUse::Drafts) { Flags::DRAFT } else { 0 };
    Labels { folders: folders(&specials, own), flags }
}

fn is_category(label: &str) -> bool {
    let after = CATEGORIES.iter().find_map(|word| label.strip_prefix(word));
    after.is_some_and(|rest| rest.starts_with([' ', ':', '\u{a0}', '"']))
}

/// The folders of a message by its labels in IMAP.
pub(crate) fn folders_of_imap(labels: impl Iterator<Item = String>) -> Vec<String> {
    let (mut specials, mut own) = (Vec::new(), Vec::new());
    for label in labels.take(LABELS_MAX) {
        match label.strip_prefix('\\') {
            Some(system) => specials.extend(special::named(system)),
            None if own.contains(&label) || label.trim().is_empty() => {}
            None => own.push(label),
        }
    }
    folders(&specials, own)
}

/// The folders of a message with labels that mean special folders, and with labels of the owner.
fn folders(specials: &[SpecialUse], own: Vec<String>) -> Vec<String> {
    let hidden = [SpecialUse::Trash, SpecialUse::Junk].into_iter().find(|s| specials.contains(s));
    let mut folders: Vec<String> = match hidden {
        // Gmail shows such a message nowhere else.
        Some(special) => vec![special.name().to_owned()],
        None => {
            let shown = [SpecialUse::Inbox, SpecialUse::Sent, SpecialUse::Drafts];
            let of_node = shown.into_iter().filter(|special| specials.contains(special));
            of_node.map(|special| special.name().to_owned()).chain(own).collect()
        }
    };
    folders.truncate(FOLDERS_MAX);
    if folders.is_empty() {
        folders.push(SpecialUse::Archive.name().to_owned());
    }
    folders
}

/// The labels between commas; one in quotation marks may have a comma.
fn split(value: &str) -> Vec<String> {
    let (mut labels, mut label, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => is_quoted = !is_quoted,
            '\\' if is_quoted => label.extend(chars.next()),
            ',' if !is_quoted => labels.push(std::mem::take(&mut label)),
            c => label.push(c),
        }
        if labels.len() >= LABELS_MAX {
            break;
        }
    }
    labels.push(label);
    let trimmed = labels.iter().map(|label| label.trim().to_owned());
    trimmed.filter(|label| !label.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(value: &str) -> Vec<String> {
        read(value.as_bytes()).folders
    }

    #[test]
    fn gmail_labels_are_folders_and_flags() {
        let labels =
            read(b" Inbox,Starred,Important,\"Rust, and more\",Category Updates,Work/Home");
        assert_eq!(labels.folders, ["INBOX", "Rust, and more", "Work/Home"]);
        assert_eq!(labels.flags, Flags::SEEN | Flags::FLAGGED);
        assert_eq!(read(b"Inbox,Unread").flags, 0);
        assert_eq!(read(b"Drafts").flags, Flags::SEEN | Flags::DRAFT);
        assert_eq!(folders("Archived,Opened"), ["Archive"]);
        assert_eq!(folders("Sent,Inbox"), ["INBOX", "Sent"]);
        assert_eq!(folders("Work,Spam,Inbox"), ["Junk"]);
        assert_eq!(folders("Trash,Work"), ["Trash"]);
        assert_eq!(folders("Abierto,Kategorie: Werbung,Kategorien"), ["Kategorien"]);
        assert_eq!(folders("Posteingang,Kategorie \"Werbung\",Wichtig"), ["INBOX"]);
    }

    #[test]
    fn gmail_labels_of_imap_are_folders() {
        let folders = |labels: &[&str]| folders_of_imap(labels.iter().map(|l| (*l).to_owned()));
        assert_eq!(folders(&["\\Inbox", "\\Important", "Work/Home"]), ["INBOX", "Work/Home"]);
        assert_eq!(folders(&["\\Starred", "Opened", "Opened"]), ["Opened"], "a label of the owner");
        assert_eq!(folders(&["\\Draft", "\\Sent"]), ["Sent", "Drafts"]);
        assert_eq!(folders(&["\\Trash", "Work"]), ["Trash"]);
        assert_eq!(folders(&["\\Muted", " "]), ["Archive"]);
    }

    #[test]
    fn encoded_gmail_labels_are_decoded() {
        let value = "=?UTF-8?Q?Gesendet,Gr=C3=BC=C3=9Fe,\"a,?=\r\n =?UTF-8?Q?_b\"?=";
        assert_eq!(folders(value), ["Sent", "Grüße", "a, b"]);
    }

    #[test]
    fn a_million_labels_are_bounded() {
        let value = (0..1_000_000).map(|n| format!("label {n}")).collect::<Vec<_>>().join(",");
        assert_eq!(folders(&value).len(), FOLDERS_MAX);
        assert_eq!(folders(&"\"".repeat(1_000_000)), ["Archive"]);
    }
}
