//! Converts flags between their wire names and core's bits (RFC 3501 2.3.2).

use freehold_core::mailbox::Flags;

use super::cursor::SyntaxError;
use freehold_mime::imap::Printer;

const SYSTEM: [(&str, u8); 5] = [
    ("\\Answered", Flags::ANSWERED),
    ("\\Flagged", Flags::FLAGGED),
    ("\\Deleted", Flags::DELETED),
    ("\\Seen", Flags::SEEN),
    ("\\Draft", Flags::DRAFT),
];

/// The bit of a system flag.
pub(crate) fn system(name: &str) -> Option<u8> {
    SYSTEM.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, bit)| *bit)
}

/// Flags as a client sent them. `\Recent` can't be set by a client, and unknown system flags are
/// refused.
pub(crate) fn from_wire(names: &[String]) -> Result<Flags, SyntaxError> {
    let mut flags = Flags::default();
    for name in names {
        match system(name) {
            Some(bit) => flags.bits |= bit,
            None if name.starts_with('\\') => {
                return Err(SyntaxError("there is no such system flag"));
            }
            None if flags.has_keyword(name) => {}
            None => flags.keywords.push(name.clone()),
        }
    }
    Ok(flags)
}

/// Prints the parenthesised list of the flags that are set, with \Recent if the message is recent
/// in the session.
pub(crate) fn print(out: &mut Printer, flags: &Flags, is_recent: bool) {
    let system = SYSTEM.iter().filter(|(_, bit)| flags.has(*bit)).map(|(name, _)| *name);
    let recent = is_recent.then_some("\\Recent").into_iter();
    out.list(recent.chain(system).chain(flags.keywords.iter().map(String::as_str)), |out, name| {
        out.raw(name);
    });
}

/// Prints every flag of a folder; with `open` also `\*`, which allows new keywords (RFC 3501 7.1,
/// `PERMANENTFLAGS`).
pub(crate) fn print_known(out: &mut Printer, keywords: &[String], open: bool) {
    let known = SYSTEM.iter().map(|(name, _)| *name).chain(keywords.iter().map(String::as_str));
    out.list(known.chain(open.then_some("\\*")), |out, name| {
        out.raw(name);
    });
}
