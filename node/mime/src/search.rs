//! The searchable text of a message: encodings and charsets decoded (RFC 3501 6.4.4 leaves the
//! details to the server).

use crate::address::{self, Entry};
use crate::structure::PartId;
use crate::{Kind, Structure, content, header, html, word};
use icu_normalizer::ComposingNormalizerBorrowed;

/// Text of one message that is decoded, in bytes; text beyond it is not searched.
const TEXT_LEN_MAX: usize = 8 * 1024 * 1024;

/// The form in which texts are compared: lower case, composed characters (NFC).
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    ComposingNormalizerBorrowed::new_nfc().normalize(&text.to_lowercase()).into_owned()
}

/// One field's value on one line, its encoded words (RFC 2047) decoded.
pub fn field(value: &[u8]) -> String {
    word::decode(value, None)
}

/// An address field as the envelope has it (RFC 3501 6.4.4): without comments, quotes and spaces
/// inside addresses.
pub fn addresses(value: &[u8]) -> String {
    let entries = address::parse(value).into_iter().map(|entry| match entry {
        Entry::Mailbox(mailbox) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let (local, host) = (text(&mailbox.local), text(&mailbox.host));
            format!("{} <{local}@{host}>", mailbox.display_name(None))
        }
        Entry::GroupStart(name) => field(&name),
        Entry::GroupEnd => String::new(),
    });
    entries.collect::<Vec<_>>().join(", ")
}

/// A whole header, a field to a line; lines that are no field are kept.
pub fn header(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for line in header::lines(bytes) {
        out.push_str(&word::decode(line, None));
        out.push('\n');
    }
    out
}

/// The texts of the body: part headers, file names, texts, reports, and messages within it with
/// their headers.
pub fn body(message: &[u8], structure: &Structure) -> String {
    let mut out = String::new();
    for id in structure.ids() {
        if out.len() > TEXT_LEN_MAX {
            break;
        }
        if id != Structure::ROOT {
            out.push_str(&header(structure.header(message, id)));
        }
        if structure.part(id).kind != Kind::Leaf {
            continue;
        }
        let name = content::file_name(message, structure, id);
        out.push_str(&name);
        out.push_str(if name.is_empty() { "" } else { "\n" });
        if let Some(text) = leaf(message, structure, id) {
            out.push_str(&text);
            out.push('\n');
        }
    }
    out
}

fn leaf(message: &[u8], structure: &Structure, id: PartId) -> Option<String> {
    let media = &structure.part(id).media;
    if media.is("text", Some("html")) {
        let html = content::html_of(message, structure, id, TEXT_LEN_MAX);
        return Some(html::to_text(&html));
    }
    (media.is("text", None) || media.is("message", None))
        .then(|| content::whole_text_of(message, structure, id, TEXT_LEN_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_text_is_decoded() {
        assert_eq!(field(b" =?utf-8?q?Gr=C3=BC=C3=9Fe?= an\r\n alle\r\n"), "Grüße an alle");
        assert_eq!(field(b" plain\r\n text"), "plain text");
        let message = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
            Content-Type: text/plain; charset=iso-8859-1\r\n\
            Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=\r\n=DFe\r\n--b\r\n\
            Content-Type: text/html; charset=utf-8\r\n\
            Content-Transfer-Encoding: base64\r\n\r\nPHA+SGVsbG8gPGI+d29ybGQ8L2I+PC9wPg==\r\n\
            --b\r\n\
            Content-Type: image/png\r\n\r\nhidden\r\n--b--\r\n";
        let text = body(message.as_bytes(), &Structure::parse(message.as_bytes()));
        assert!(
            text.contains("Grüße") && text.contains("Hello world") && !text.contains("hidden"),
            "{text}"
        );
    }
}
