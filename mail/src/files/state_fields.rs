//! The header fields by which mbox programs keep flags: Status and X-Status (mutt, Dovecot, Pine),
//! X-Keywords (Dovecot), X-Mozilla-Status and X-Mozilla-Keys (Thunderbird), X-Gmail-Labels (Google
//! Takeout). An import removes them, because they are no part of the message.

use freehold_core::mailbox::Flags;
use freehold_mime::header;

use super::gmail::{self, Labels};

/// The fields in every mbox, in the first message of an export, and in mboxes of other programs.
const OWN: [&str; 3] = ["Status", "X-Status", "X-Keywords"];
const FIRST: [&str; 1] = ["X-IMAPbase"];
const FOREIGN: [&str; 8] = [
    "X-UID",
    "X-IMAP",
    "X-IMAPbase",
    "X-Mozilla-Status",
    "X-Mozilla-Status2",
    "X-Mozilla-Keys",
    "X-GM-THRID",
    "X-Gmail-Labels",
];
/// The most keywords that are read.
const KEYWORDS_MAX: usize = 200;
/// The bits of X-Mozilla-Status (nsMsgMessageFlags.idl).
const MOZILLA_READ: u32 = 0x1;
const MOZILLA_REPLIED: u32 = 0x2;
const MOZILLA_MARKED: u32 = 0x4;
const MOZILLA_EXPUNGED: u32 = 0x8;
const MOZILLA_FORWARDED: u32 = 0x1000;

/// The letters of Status and X-Status.
const STATUS: [(u8, u8); 1] = [(b'R', Flags::SEEN)];
const X_STATUS: [(u8, u8); 4] =
    [(b'A', Flags::ANSWERED), (b'F', Flags::FLAGGED), (b'T', Flags::DRAFT), (b'D', Flags::DELETED)];

fn letters(table: &[(u8, u8)], flags: &Flags) -> String {
    table.iter().filter(|(_, bit)| flags.has(*bit)).map(|(letter, _)| char::from(*letter)).collect()
}

/// The fields of a message with these flags. All three are always written: so a field of the same
/// name that a sender wrote is never taken for one of them.
pub(super) fn print(flags: &Flags) -> String {
    // O: the message is not \Recent.
    format!(
        "Status: {}O\nX-Status: {}\nX-Keywords: {}\n",
        letters(&STATUS, flags),
        letters(&X_STATUS, flags),
        flags.keywords.join(" ")
    )
}

/// The field of the first message, which names the keywords of the others: Dovecot ignores those
/// that are not in it.
pub(super) fn print_base(uid_validity: u32, keywords: &[String]) -> String {
    format!("X-IMAPbase: {uid_validity} 0000000000 {}\n", keywords.join(" "))
}

/// The length of the header of an mbox message: the lines before its first empty line.
pub(super) fn header_len(text: &[u8]) -> usize {
    let mut len = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if matches!(line, b"\n" | b"\r\n") {
            break;
        }
        len += line.len();
    }
    len
}

/// The state that the fields of a message say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) flags: Flags,
    pub(super) labels: Option<Labels>,
    /// Deleted in Thunderbird: it is not shown there any more.
    pub(super) is_expunged: bool,
}

/// The writer of a message of an mbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// An export of this program, whose first message it is.
    OwnFirst,
    /// An export of this program.
    Own,
    /// Another program.
    Foreign,
}

/// Reads the fields of a message of an mbox and removes them: of each name the last, because the
/// others are the sender's.
pub(super) fn take(text: &mut Vec<u8>, origin: Origin) -> State {
    let more = match origin {
        Origin::OwnFirst => &FIRST[..],
        Origin::Own => &[],
        Origin::Foreign => &FOREIGN,
    };
    let names: Vec<&str> = OWN.iter().chain(more).copied().collect();
    let mut found: Vec<Option<(usize, usize)>> = vec![None; names.len()];
    let mut at = 0;
    let header = text.get(..header_len(text)).unwrap_or_default();
    for line in header::lines(header) {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        let known = names.iter().position(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        if let Some(place) = known.and_then(|known| found.get_mut(known)) {
            *place = Some((at, at + line.len()));
        }
        at += line.len();
    }
    let mut state = State::default();
    for (name, place) in names.iter().zip(&found) {
        let field = place.and_then(|(start, end)| text.get(start..end)).unwrap_or_default();
        let value = field.iter().position(|byte| *byte == b':').and_then(|at| field.get(at + 1..));
        if let Some(value) = value {
            state.read(name, value);
        }
    }
    let mut places: Vec<(usize, usize)> = found.into_iter().flatten().collect();
    places.sort_unstable();
    for (start, end) in places.into_iter().rev() {
        text.drain(start..end);
    }
    state
}

impl State {
    fn read(&mut self, name: &str, value: &[u8]) {
        let bits = |table: &[(u8, u8)]| {
            let set = table.iter().filter(|(letter, _)| value.contains(letter));
            set.fold(0, |bits, (_, bit)| bits | bit)
        };
        match name {
            "Status" => self.flags.bits |= bits(&STATUS),
            "X-Status" => self.flags.bits |= bits(&X_STATUS),
            "X-Keywords" | "X-Mozilla-Keys" => {
                let words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
                let words = words.take(KEYWORDS_MAX).map(String::from_utf8_lossy);
                self.flags.keywords.extend(words.map(std::borrow::Cow::into_owned));
            }
            "X-Mozilla-Status" => {
                let text = String::from_utf8_lossy(value);
                let mozilla = u32::from_str_radix(text.trim(), 16).unwrap_or(0);
                for (mask, bit) in [
                    (MOZILLA_READ, Flags::SEEN),
                    (MOZILLA_REPLIED, Flags::ANSWERED),
                    (MOZILLA_MARKED, Flags::FLAGGED),
                ] {
                    self.flags.bits |= if mozilla & mask == 0 { 0 } else { bit };
                }
                if mozilla & MOZILLA_FORWARDED != 0 {
                    self.flags.keywords.push(super::maildir_name::FORWARDED.to_owned());
                }
                self.is_expunged = mozilla & MOZILLA_EXPUNGED != 0;
            }
            "X-Gmail-Labels" => {
                let labels = gmail::read(value);
                self.flags.bits |= labels.flags;
                self.labels = Some(labels);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_printed_as_status_fields() {
        let flags = Flags { bits: 31, keywords: vec!["$Junk".into(), "work".into()] };
        assert_eq!(print(&flags), "Status: RO\nX-Status: AFTD\nX-Keywords: $Junk work\n");
        assert_eq!(header_len(b"A: b\r\n\r\nc"), 6);
        assert_eq!(header_len(b"\nbody"), 0);
    }

    #[test]
    fn status_fields_are_read_and_removed() {
        let mut text = b"Status: from the sender\r\nA: b\r\nX-UID: 7\r\nStatus: RO\r\n\
            x-status: AF\r\nX-Keywords: $Junk\r\n work\r\n\r\nStatus: text"
            .to_vec();
        let state = take(&mut text, Origin::Foreign);
        assert_eq!(text, b"Status: from the sender\r\nA: b\r\n\r\nStatus: text");
        let bits = Flags::SEEN | Flags::ANSWERED | Flags::FLAGGED;
        assert_eq!(state.flags, Flags { bits, keywords: vec!["$Junk".into(), "work".into()] });
    }

    #[test]
    fn own_export_keeps_the_senders_fields() {
        let sent = b"X-UID: 7\r\nX-Status: F\r\n";
        let mut text = sent.to_vec();
        text.extend(print(&Flags::of(Flags::SEEN)).replace('\n', "\r\n").bytes());
        assert_eq!(take(&mut text, Origin::Own).flags, Flags::of(Flags::SEEN));
        assert_eq!(text, sent);
    }

    #[test]
    fn thunderbird_and_gmail_states_are_read() {
        let mut text = b"X-Mozilla-Status: 1005\nX-Mozilla-Keys: $label1   \nA: b\n\n".to_vec();
        let state = take(&mut text, Origin::Foreign);
        assert_eq!(state.flags.bits, Flags::SEEN | Flags::FLAGGED);
        assert_eq!(state.flags.keywords, ["$Forwarded", "$label1"]);
        assert!(!state.is_expunged);
        assert!(take(&mut b"X-Mozilla-Status: 0009\n".to_vec(), Origin::Foreign).is_expunged);
        let mut text = b"X-GM-THRID: 1\r\nX-Gmail-Labels: Inbox,Unread\r\nA: b\r\n".to_vec();
        assert_eq!(take(&mut text, Origin::Foreign).labels.unwrap().folders, ["INBOX"]);
        assert_eq!(text, b"A: b\r\n");
    }
}
