//! Names of annotations (METADATA, RFC 5464 3), and those that this server gives a meaning.

use freehold_core::mailbox::{self, Folder, FolderId, METADATA_NAME_LEN_MAX};
use freehold_mime::imap::Printer;

use super::completion::Completion;
use super::context::Context;
use super::cursor::{self, Cursor, SyntaxError};

/// The folder's special use, which a client can't change (RFC 6154 4).
pub(crate) const SPECIAL_USE: &str = "/private/specialuse";
/// The address of the server's administrator, which a client can't change (RFC 5464 6.2.1).
pub(crate) const ADMIN: &str = "/shared/admin";

/// The object of the annotations.
pub(crate) enum Subject {
    /// The empty name: the server.
    Server,
    /// A folder.
    Folder(Box<Folder>),
}

impl Subject {
    /// Finds the folder of this name.
    pub(crate) fn named(cx: &Context, name: &str) -> Result<Self, Completion> {
        if name.is_empty() {
            return Ok(Self::Server);
        }
        let folder = mailbox::folder_named(&cx.node, name)?.ok_or_else(Completion::no_folder)?;
        Ok(Self::Folder(Box::new(folder)))
    }

    /// The folder's id; `None` for the server.
    pub(crate) fn id(&self) -> Option<FolderId> {
        match self {
            Self::Server => None,
            Self::Folder(folder) => Some(folder.id),
        }
    }
}

/// The name of an annotation in lower case: names are compared in any case (RFC 5464 3.2).
pub(crate) fn entry(cursor: &mut Cursor<'_>) -> Result<String, SyntaxError> {
    let entry = cursor.astring()?.to_ascii_lowercase();
    if entry.len() > METADATA_NAME_LEN_MAX {
        return Err(cursor.over_limit("the name of an annotation is too long"));
    }
    let mut levels = entry.split(|byte| *byte == b'/');
    let is_valid = levels.next() == Some(b"".as_slice())
        && levels.next().is_some_and(|scope| matches!(scope, b"private" | b"shared"))
        && levels.all(|level| !level.is_empty())
        && entry.iter().all(|byte| (b' '..0x7f).contains(byte) && !matches!(byte, b'*' | b'%'));
    match String::from_utf8(entry) {
        Ok(entry) if is_valid => Ok(entry),
        _ => Err(SyntaxError("the name of an annotation begins with /private/ or /shared/")),
    }
}

/// True if the name only says who sees the annotation: it has no value.
pub(crate) fn is_scope(entry: &str) -> bool {
    matches!(entry, "/private" | "/shared")
}

/// Prints a name.
pub(crate) fn print_entry(out: &mut Printer, entry: &str) {
    if entry.bytes().all(cursor::is_astring_char) {
        out.raw(entry);
    } else {
        out.string(entry);
    }
}

/// Prints a value; one with NUL is a literal8 (RFC 5464 5, `value`).
pub(crate) fn print_value(out: &mut Printer, value: Option<&[u8]>) {
    match value {
        Some(value) if value.contains(&0) => {
            out.show(format_args!("~{{{}}}\r\n", value.len())).raw(value);
        }
        value => drop(out.nstring(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotation_name_is_checked_and_lowered() {
        let parse = |text: &str| entry(&mut Cursor::new(text.as_bytes()));
        assert_eq!(parse("/PRIVATE/Comment").unwrap(), "/private/comment");
        assert_eq!(parse("\"/shared/vendor/x y\"").unwrap(), "/shared/vendor/x y");
        assert_eq!(parse("/shared").unwrap(), "/shared");
        for wrong in [
            "comment",
            "/comment",
            "/privateer/x",
            "/private/",
            "/private//x",
            "/shared/x/",
            "\"/shared/*\"",
            "\"/shared/%\"",
            "\"/shared/\u{e4}\"",
            "\"\"",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        let long = format!("/private/{}", "x".repeat(METADATA_NAME_LEN_MAX));
        assert!(parse(&long).is_err());
    }
}
