//! The summary of a message for lists, read from its bytes once at delivery, so that no list opens
//! a blob.

use freehold_mime::structure::PartId;
use freehold_mime::text::one_line;
use freehold_mime::{Content, Shown, Structure, content, date, header, html, people, word};
use minicbor::{Decode, Encode};

use crate::clock::Timestamp;
use crate::row::Record;
use crate::store::Table;

/// How many bytes of HTML are read for the preview.
const HTML_READ_LEN: usize = 512 * 1024;
// Together these keep the row under 4 KiB.
const RECIPIENTS_MAX: usize = 3;
const SUBJECT_LEN_MAX: usize = 500;
const PREVIEW_CHARS: usize = 200;
const PREVIEW_LEN_MAX: usize = 600;
/// Encoded bytes of plain text that are read for the preview: it has at most 600.
const PREVIEW_READ_LEN: usize = 8 * 1024;
const MESSAGE_ID_LEN_MAX: usize = 200;
const REFERENCES_MAX: usize = 4;

/// A name and an address of a header field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Correspondent {
    /// The name; may be empty.
    #[n(0)]
    pub name: String,
    /// The address; may be empty.
    #[n(1)]
    pub address: String,
}

impl Correspondent {
    /// The name, or the address if the name is empty.
    pub fn shown(&self) -> &str {
        if self.name.is_empty() { &self.address } else { &self.name }
    }
}

/// The fields of a message that lists show. All are decoded and cut to a length, and any may be
/// empty: a stranger wrote the message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Summary {
    /// The first address of From.
    #[n(0)]
    pub from: Correspondent,
    /// The first three addresses of To.
    #[n(1)]
    pub to: Vec<Correspondent>,
    /// Subject.
    #[n(2)]
    pub subject: String,
    /// Date.
    #[n(3)]
    pub date: Option<Timestamp>,
    /// The beginning of its text: one line of at most 200 characters.
    #[n(4)]
    pub preview: String,
    /// Its Message-ID, without brackets.
    #[n(5)]
    pub message_id: Option<String>,
    /// The last id of In-Reply-To, without brackets.
    #[n(6)]
    pub in_reply_to: Option<String>,
    /// The last four ids of References, without brackets.
    #[n(7)]
    pub references: Vec<String>,
    /// Whether it has attachments.
    #[n(8)]
    pub has_files: bool,
}

impl Summary {
    /// The version of its encoding.
    pub(super) const VERSION: u8 = 1;
}

/// Under `folder ‖ UID`: the summary of a message of an earlier version, until its details are
/// read.
#[derive(Encode, Decode)]
#[cbor(transparent)]
pub(super) struct OldSummaryRow(#[n(0)] pub(super) Summary);

impl Record for OldSummaryRow {
    const TABLE: Table = Table::new("mailbox_summaries");
    const VERSION: u8 = Summary::VERSION;
}

/// The summary of a message, well-formed or not.
pub(super) fn of(message: &[u8], structure: &Structure) -> Summary {
    let header = structure.header(message, Structure::ROOT);
    let charset = content::main_charset(structure);
    let charset = charset.as_deref();
    let content = Content::of(message, structure);
    let subject = header::first(header, "subject").unwrap_or_default();
    Summary {
        // RFC 5322 3.6.2: the sender, if no author is named.
        from: correspondents(header, "from", charset)
            .chain(correspondents(header, "sender", charset))
            .next()
            .unwrap_or_default(),
        to: correspondents(header, "to", charset).take(RECIPIENTS_MAX).collect(),
        subject: one_line(&word::decode(subject, charset), SUBJECT_LEN_MAX),
        date: header::first(header, "date")
            .and_then(date::parse)
            .and_then(|date| u64::try_from(date.secs).ok())
            .map(|secs| Timestamp(secs.saturating_mul(1000))),
        preview: preview(message, structure, &content),
        message_id: ids(header, "message-id").into_iter().next(),
        in_reply_to: ids(header, "in-reply-to").pop(),
        references: {
            let mut all = ids(header, "references");
            all.split_off(all.len().saturating_sub(REFERENCES_MAX))
        },
        has_files: !content.files.is_empty() || has_embedded_file(message, structure, &content),
    }
}

fn has_embedded_file(message: &[u8], structure: &Structure, content: &Content) -> bool {
    content.shown.iter().any(|shown| match shown {
        Shown::Text(id) => !content::embedded(message, structure, *id).is_empty(),
        Shown::Html(_) | Shown::Image(_) | Shown::Message(_) => false,
    })
}

fn correspondents(
    header: &[u8],
    name: &str,
    charset: Option<&str>,
) -> impl Iterator<Item = Correspondent> {
    people::of(header, name, charset)
        .into_iter()
        .map(|person| Correspondent { name: person.name, address: person.address })
}

/// The message ids of the first field of this name, without brackets (RFC 5322 3.6.4). Words
/// outside brackets are no ids, unless there are no brackets.
fn ids(header: &[u8], name: &str) -> Vec<String> {
    let value = header::unfold(header::first(header, name).unwrap_or_default());
    let text = String::from_utf8_lossy(&value);
    let id = |text: &str| one_line(text.trim(), MESSAGE_ID_LEN_MAX);
    let bracketed = text.split('<').skip(1).filter_map(|rest| rest.split_once('>'));
    let mut all: Vec<String> = bracketed.map(|(inside, _)| id(inside)).collect();
    if all.is_empty() {
        all = text.split_whitespace().map(id).collect();
    }
    all.retain(|id| !id.is_empty());
    all
}

/// The beginning of the first text that is shown, or of the first message inside without one.
fn preview(message: &[u8], structure: &Structure, content: &Content) -> String {
    let text_of = |id: PartId| content::text_of(message, structure, id, PREVIEW_READ_LEN);
    let html_of =
        |id: PartId| html::to_text(&content::html_of(message, structure, id, HTML_READ_LEN));
    let inner = content.shown.iter().find_map(|shown| match shown {
        Shown::Message(id) => Some(Content::inside(message, structure, *id)),
        _ => None,
    });
    let inner = inner.unwrap_or_default();
    for shown in content.shown.iter().chain(&inner.shown) {
        let text = match shown {
            Shown::Text(id) => text_of(*id),
            Shown::Html(id) => html_of(*id),
            Shown::Image(_) | Shown::Message(_) => continue,
        };
        let line = one_line(&text, PREVIEW_LEN_MAX);
        if !line.is_empty() {
            return line.chars().take(PREVIEW_CHARS).collect();
        }
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row;
    use crate::store::VALUE_LEN_MAX;
    use crate::testing::fuzz::fuzz;

    fn summarise(message: &[u8]) -> Summary {
        of(message, &Structure::parse(message))
    }

    #[test]
    fn summary_has_decoded_header_fields_and_preview() {
        let text = b"From: =?utf-8?q?B=C3=B6b?= <bob@bob.example>\r\n\
            To: alice@alice.example, Carol <carol@carol.example>\r\n\
            Subject: On\r\n the hill\r\nDate: Fri, 1 May 2026 10:00:00 +0200\r\n\
            Message-ID: <m2@bob.example>\r\n\
            In-Reply-To: <m1@alice.example>\r\nReferences: <m0@x> <m1@alice.example>\r\n\
            Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n\
            <p>Look,\r\na <b>view</b></p>\r\n\
            --b\r\nContent-Type: image/png\r\nContent-Disposition: attachment; \
            filename=a.png\r\n\r\nx\r\n--b--\r\n";
        let summary = summarise(text);
        assert_eq!(
            summary.from,
            Correspondent { name: "Böb".into(), address: "bob@bob.example".into() }
        );
        assert_eq!(
            summary.to.iter().map(Correspondent::shown).collect::<Vec<_>>(),
            ["alice@alice.example", "Carol"]
        );
        assert_eq!(
            (summary.subject.as_str(), summary.preview.as_str()),
            ("On the hill", "Look, a view")
        );
        assert_eq!(summary.date, Some(Timestamp(1_777_622_400_000)));
        assert_eq!(summary.message_id.as_deref(), Some("m2@bob.example"));
        assert_eq!(summary.in_reply_to.as_deref(), Some("m1@alice.example"));
        assert_eq!(summary.references, ["m0@x", "m1@alice.example"]);
        assert!(summary.has_files);
    }

    #[test]
    fn eight_bit_header_is_decoded_as_windows_1252() {
        for end in [&b"\r\n\r\n"[..], b"\n\n"] {
            let text = [
                b"From: J\xfcrgen <j@x.example>\nSubject: Caf\xe9 \x93zu\x94 \x80 5",
                end,
                b"Gr\xfc\xdfe",
            ]
            .concat();
            let summary = summarise(&text);
            assert_eq!(
                (summary.from.name.as_str(), summary.subject.as_str()),
                ("Jürgen", "Café “zu” € 5")
            );
        }
        let mixed = "From: Zoë <z@x.example>\r\nSubject: "
            .as_bytes()
            .iter()
            .chain(b"na\xefve\r\n\r\n")
            .copied()
            .collect::<Vec<u8>>();
        let summary = summarise(&mixed);
        assert_eq!((summary.from.name.as_str(), summary.subject.as_str()), ("Zoë", "naïve"));
    }

    #[test]
    fn oversized_header_fields_fit_a_summary_row() {
        let long = "ä".repeat(5000);
        let ids = format!("<{long}> ").repeat(20);
        let people = format!("\"{long}\" <{long}@x>, ").repeat(20);
        let text = format!(
            "From: {people}x@x\r\nTo: {people}x@x\r\nSubject: {long}\r\nMessage-ID: <{long}>\r\n\
             In-Reply-To: {ids}\r\nReferences: {ids}\r\n\r\n{long}"
        );
        assert!(row::encode(1, &summarise(text.as_bytes())).len() < VALUE_LEN_MAX);
        for hostile in [
            &b""[..],
            b"\0\0\0",
            b"\r\n\r\n",
            b"From:",
            b"Content-Type: multipart/mixed; boundary=\r\n\r\n----\r\n",
            &[0xff; 100],
        ] {
            summarise(hostile);
        }
    }

    #[test]
    fn subject_loses_line_breaks_and_bidi_overrides() {
        let summary = summarise("Subject: =?utf-8?q?a=0D=0Ab=E2=80=AEc?=\r\n\r\n".as_bytes());
        assert_eq!(summary.subject, "a bc");
    }

    #[test]
    fn nested_rfc822_message_has_a_summary() {
        let text = b"Subject: on\r\nContent-Type: multipart/mixed; boundary=xx\r\n\r\n--xx\r\n\
            Content-Type: message/rfc822\r\n\r\n\
            Content-Type: message/rfc822\r\n\r\n\r\n--xx--\r\n";
        assert_eq!(summarise(text).subject, "on");
    }

    #[test]
    fn uuencoded_file_counts_and_is_not_previewed() {
        let line = format!("M{}\r\n", "!".repeat(60));
        let code = format!("begin 664 a.txt\r\n{}`\r\nend\r\n", line.repeat(1_000));
        let summary = summarise(format!("Subject: x\r\n\r\none\r\n{code}two\r\n").as_bytes());
        assert_eq!((summary.preview.as_str(), summary.has_files), ("one", true));
        let short = "Subject: x\r\n\r\none\r\nbegin 664 a\r\n#0V%T\r\nend\r\ntwo\r\n";
        let summary = summarise(short.as_bytes());
        assert_eq!((summary.preview.as_str(), summary.has_files), ("one two", true));
        let words = summarise(b"Subject: x\r\n\r\nbegin 664 a\r\nwords\r\nend\r\n");
        assert_eq!((words.preview.as_str(), words.has_files), ("begin 664 a words end", false));
    }

    #[test]
    fn damaged_message_has_a_bounded_summary() {
        let mail = "From: =?utf-8?q?R=C3=BCth?= <ruth@a.example>, \"B, C\" <b@c.example>\r\n\
            To: g: a@b.example, c@d.example;\r\n\
            Subject: =?iso-8859-1?b?/Pb8?=\r\n folded\r\nDate: Sun, 22 Nov 2026 10:00:00 +0200\r\n\
            Message-ID: <1@a.example>\r\n\
            References: <a@b> <c@d> <e@f>\r\nIn-Reply-To: <e@f>\r\nMIME-Version: 1.0\r\n\
            Content-Type: multipart/mixed; boundary=\"xx\"\r\n\r\n--xx\r\n\
            Content-Type: text/html; charset=windows-1252\r\n\
            Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>Hello =E4</p>\r\n--xx\r\n\
            Content-Type: message/rfc822\r\n\r\n\
            Subject: inner\r\n\r\ntext\r\n--xx\r\nContent-Type: application/pdf; \
            name*0*=utf-8''a%20; name*1=b.pdf\r\n\
            Content-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n\
            --xx--\r\n";
        fuzz(
            "mail summary",
            &[mail.as_bytes().to_vec(), b"Subject: only this\r\n\r\n".to_vec()],
            |input| {
                assert!(row::encode(1, &summarise(input)).len() < VALUE_LEN_MAX);
            },
        );
    }
}
