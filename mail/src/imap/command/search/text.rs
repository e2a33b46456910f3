//! The searchable text of a message: transfer encodings and charsets decoded (RFC 3501 6.4.4 leaves
//! the details to the server).

use mail_parser::HeaderValue;
use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::decoders::html::html_to_text;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::parsers::MessageStream;

use crate::imap::mime::{Kind, Part, header};

/// Text of one message that is decoded, in bytes; text beyond it is not searched.
const TEXT_LEN_MAX: usize = 8 * 1024 * 1024;

/// One field's value on one line, its encoded words (RFC 2047) decoded.
pub(crate) fn field(value: &[u8]) -> String {
    let plain = header::unfold(value);
    if plain.is_ascii() && !plain.windows(2).any(|pair| pair == b"=?") {
        return String::from_utf8_lossy(&plain).into_owned();
    }
    let mut line = plain.clone();
    line.push(b'\n');
    match MessageStream::new(&line).parse_unstructured() {
        HeaderValue::Text(text) => text.into_owned(),
        _ => String::from_utf8_lossy(&plain).into_owned(),
    }
}

/// A whole header, a field to a line.
pub(crate) fn header(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for found in header::fields(bytes) {
        out.push_str(&String::from_utf8_lossy(found.name));
        out.push_str(": ");
        out.push_str(&field(found.value));
        out.push('\n');
    }
    out
}

/// The texts of the body, messages within it with their headers.
pub(crate) fn body(message: &[u8], root: &Part) -> String {
    let mut out = String::new();
    let mut todo = vec![(root, false)];
    while let Some((part, with_header)) = todo.pop() {
        if out.len() > TEXT_LEN_MAX {
            break;
        }
        if with_header {
            out.push_str(&header(message.get(part.header.clone()).unwrap_or_default()));
        }
        match &part.kind {
            Kind::Multipart(children) => {
                todo.extend(children.iter().rev().map(|child| (child, false)))
            }
            Kind::Message(inner) => todo.push((inner, true)),
            Kind::Leaf if part.media.is("text", None) => {
                out.push_str(&leaf(message, part));
                out.push('\n');
            }
            Kind::Leaf => {}
        }
    }
    out
}

fn leaf(message: &[u8], part: &Part) -> String {
    let bytes = message.get(part.body.clone()).unwrap_or_default();
    let bytes = bytes.get(..TEXT_LEN_MAX).unwrap_or(bytes);
    let head = message.get(part.header.clone()).unwrap_or_default();
    let encoding =
        header::first(head, "content-transfer-encoding").map(header::unfold).unwrap_or_default();
    let decoded = if encoding.eq_ignore_ascii_case(b"base64") {
        base64_decode(bytes)
    } else if encoding.eq_ignore_ascii_case(b"quoted-printable") {
        quoted_printable_decode(bytes)
    } else {
        None
    };
    let bytes = decoded.as_deref().unwrap_or(bytes);
    let charset = part.media.parameter("charset").unwrap_or("utf-8");
    let text = match charset_decoder(charset.as_bytes()) {
        Some(decode) => decode(bytes),
        None => String::from_utf8_lossy(bytes).into_owned(),
    };
    if part.media.is("text", Some("html")) { html_to_text(&text) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::mime;

    #[test]
    fn search_text_is_decoded() {
        assert_eq!(field(b" =?utf-8?q?Gr=C3=BC=C3=9Fe?= an\r\n alle\r\n"), "Grüße an alle");
        assert_eq!(field(b" plain\r\n text"), "plain text");
        let message = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\
Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=\r\n=DFe\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\
Content-Transfer-Encoding: base64\r\n\r\nPHA+SGVsbG8gPGI+d29ybGQ8L2I+PC9wPg==\r\n--b\r\nContent-Type: image/png\r\n\r\nhidden\r\n--b--\r\n";
        let text = body(message.as_bytes(), &mime::parse(message.as_bytes()));
        assert!(
            text.contains("Grüße") && text.contains("Hello world") && !text.contains("hidden"),
            "{text}"
        );
    }
}
