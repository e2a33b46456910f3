//! Names of mail folders as names of files, and back.
//!
//! Maildir++ puts the levels of a name into one file name, `.A.B`. As Courier does, the name is in
//! modified UTF-7 (RFC 3501 5.1.3), also the characters that a file name can't have and the dot.
//! For mbox a level `B` below `A` is the file `B` in the folder `A.sbd`, as in Thunderbird; unsafe
//! characters are percent-encoded. A longer name is cut and ends with a hash: only the manifest of
//! the export has it whole.

use crate::imap::utf7::{decode, encode};

/// The longest file name that is written, in bytes; Linux allows 255, and suffixes are added.
const FILE_NAME_LEN_MAX: usize = 200;
/// The hexadecimal digits of the hash of a name that was cut.
const HASH_LEN: usize = 16;
/// The folder with the children of an mbox file.
pub(super) const CHILDREN: &str = ".sbd";

/// The name of a Maildir++ folder below INBOX's.
pub(super) fn to_maildir(name: &str) -> String {
    let levels: Vec<String> = name.split('/').map(maildir_level).collect();
    shortened(format!(".{}", levels.join(".")), name)
}

fn maildir_level(level: &str) -> String {
    let parts: Vec<String> = level.split('.').map(encode).collect();
    parts.join("&AC4-")
}

/// The path of the mbox of a folder.
pub(super) fn to_mbox(name: &str) -> String {
    let levels: Vec<String> =
        name.split('/').map(|level| shortened(mbox_level(level), level)).collect();
    levels.join(&format!("{CHILDREN}/"))
}

fn mbox_level(level: &str) -> String {
    let is_suffix = |suffix: &str| level.to_ascii_lowercase().ends_with(suffix);
    let ends_as_other = [CHILDREN, ".mbox", ".msf", ".part", "."].into_iter().any(is_suffix);
    let last_dot = level.rfind('.').filter(|_| ends_as_other);
    let mut out = String::new();
    for (at, c) in level.char_indices() {
        let is_unsafe = c.is_control()
            || matches!(c, '%' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
            || (c == '.' && (at == 0 || Some(at) == last_dot));
        if is_unsafe {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        } else {
            out.push(c);
        }
    }
    // The manifest of an export has this name.
    if level == super::manifest::NAME { out.replacen('f', "%66", 1) } else { out }
}

/// `file` if it is short enough, else its beginning with a hash of `name`.
fn shortened(file: String, name: &str) -> String {
    if file.len() <= FILE_NAME_LEN_MAX {
        return file;
    }
    let hash = freehold_core::mailbox::IdempotencyKey::of(&[name.as_bytes()]).to_string();
    let hash = hash.get(..HASH_LEN).unwrap_or_default();
    let mut end = FILE_NAME_LEN_MAX - HASH_LEN - 1;
    while !file.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}-{hash}", file.get(..end).unwrap_or_default())
}

/// The levels of the name of a Maildir++ folder, whose first dot is stripped.
pub(super) fn from_maildir(file: &str) -> String {
    file.split('.').map(from_maildir_level).collect::<Vec<_>>().join("/")
}

/// One level of such a name.
pub(super) fn from_maildir_level(level: &str) -> String {
    decode(level.as_bytes()).map_or_else(|| level.to_owned(), |name| name.replace('/', "_"))
}

/// A level of the name of an mbox.
pub(super) fn from_mbox(file: &str) -> String {
    let (mut out, mut rest) = (Vec::with_capacity(file.len()), file);
    while let Some((before, coded)) = rest.split_once('%') {
        out.extend_from_slice(before.as_bytes());
        let byte = coded.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (byte, coded.get(2..)) {
            (Some(byte), Some(after)) => {
                out.push(byte);
                rest = after;
            }
            _ => {
                out.push(b'%');
                rest = coded;
            }
        }
    }
    out.extend_from_slice(rest.as_bytes());
    String::from_utf8(out).unwrap_or_else(|_| file.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 9] = [
        "INBOX/Sub",
        "Familie/Grüße & Küsse",
        "v1.2.3/..a",
        "日本語/台北",
        "a.sbd/b.mbox",
        "ends.",
        ".hidden",
        "Q? A: \"x\" \\ | <y>",
        "freehold-export.json",
    ];

    #[test]
    fn folder_names_are_read_back() {
        for name in NAMES {
            let maildir = to_maildir(name);
            assert!(maildir.starts_with('.') && !maildir.contains('/'), "{maildir}");
            assert_eq!(from_maildir(maildir.strip_prefix('.').unwrap()), name);
            let mbox = to_mbox(name);
            let levels: Vec<String> = mbox.split(".sbd/").map(from_mbox).collect();
            assert_eq!(levels.join("/"), name);
            let is_safe =
                |level: &str| !level.starts_with('.') && level != super::super::manifest::NAME;
            assert!(mbox.split('/').all(is_safe), "{mbox}");
        }
    }

    #[test]
    fn long_folder_names_are_cut_and_differ() {
        let (one, two) = ("ä.".repeat(66), format!("{}b", "ä.".repeat(65)));
        let cut = [to_maildir(&one), to_maildir(&two), to_mbox(&"?".repeat(200))];
        assert!(cut.iter().all(|name| name.len() <= FILE_NAME_LEN_MAX), "{cut:?}");
        assert_ne!(cut[0], cut[1]);
    }

    #[test]
    fn foreign_file_names_are_kept() {
        assert_eq!(from_maildir("R&D"), "R&D");
        assert_eq!(from_maildir("Grüße.x"), "Grüße/x");
        assert_eq!(from_mbox("50% off %zz %"), "50% off %zz %");
        assert_eq!(from_mbox("%FF"), "%FF");
    }
}
