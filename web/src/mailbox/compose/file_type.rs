//! The header of a file in a message: its type, its name, its encoding.

use freehold_core::names::is_control_or_invisible;

use crate::mailbox::pictures;
use crate::response::percent_encoded;

/// Types by the end of a file's name. Types that programs run or show as pages, such as HTML and
/// SVG, are not among them.
const TYPES: [(&str, &str); 26] = [
    ("pdf", "application/pdf"),
    ("zip", "application/zip"),
    ("gz", "application/gzip"),
    ("json", "application/json"),
    ("epub", "application/epub+zip"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("doc", "application/msword"),
    ("xls", "application/vnd.ms-excel"),
    ("rtf", "application/rtf"),
    ("ics", "text/calendar; charset=utf-8"),
    ("vcf", "text/vcard; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("txt", "text/plain; charset=utf-8"),
    ("md", "text/markdown; charset=utf-8"),
    ("heic", "image/heic"),
    ("tiff", "image/tiff"),
    ("mp3", "audio/mpeg"),
    ("m4a", "audio/mp4"),
    ("ogg", "audio/ogg"),
    ("mp4", "video/mp4"),
    ("webm", "video/webm"),
];
/// The type of a file about which nothing is known (RFC 2046 4.5.1).
const UNKNOWN: &str = "application/octet-stream";
/// The longest value in one line of a parameter, in bytes (RFC 5322 2.1.1: lines of 78).
const VALUE_LEN: usize = 56;

/// The type of a file by its first bytes, else by its name. A type of text is given to UTF-8 alone.
pub(super) fn media_type(name: &str, start: &[u8]) -> &'static str {
    if let Some(picture) = pictures::media_type(start) {
        return picture;
    }
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let known = TYPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(extension));
    match known.map_or(UNKNOWN, |(_, media)| media) {
        media if media.starts_with("text/") && !is_text(start) => UNKNOWN,
        "application/pdf" if !start.starts_with(b"%PDF-") => UNKNOWN,
        UNKNOWN if start.starts_with(b"%PDF-") => "application/pdf",
        media => media,
    }
}

/// True for UTF-8 without control characters but white space. The end may be in the middle of a
/// character.
fn is_text(start: &[u8]) -> bool {
    let valid = match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            let valid = start.get(..error.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(valid).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !valid.chars().any(|c| c.is_control() && !c.is_whitespace())
}

/// The header of a file with the empty line. The name is one without control characters, quotes
/// and path, such as [`freehold_mime::text::file_name`] makes.
pub(super) fn part_header(name: &str, media: &str, encoding: &str) -> String {
    format!(
        "Content-Type: {media}\r\nContent-Transfer-Encoding: {encoding}\r\n\
         Content-Disposition: attachment;{}\r\n\r\n",
        file_name(name)
    )
}

/// The parameter `filename`: as it is if it is short and ASCII, else percent-encoded UTF-8, in
/// pieces of a line each (RFC 2231 3, 4).
fn file_name(name: &str) -> String {
    let name: String = name.chars().filter(|c| !is_control_or_invisible(*c)).collect();
    let name = if name.is_empty() { "file" } else { &name };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " .-_+()[]#@!~,=&".contains(c);
    if name.len() <= VALUE_LEN && name.chars().all(is_plain) {
        return format!("\r\n\tfilename=\"{name}\"");
    }
    let encoded = percent_encoded(name.as_bytes(), |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
    });
    let mut pieces: Vec<String> = vec!["utf-8''".to_owned()];
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        // An octet in percent-encoding stays in one piece.
        let len = if rest.starts_with('%') { 3 } else { 1 };
        let (next, after) = rest.split_at_checked(len).unwrap_or((rest, ""));
        match pieces.last_mut() {
            Some(last) if last.len().saturating_add(len) <= VALUE_LEN => last.push_str(next),
            _ => pieces.push(next.to_owned()),
        }
        rest = after;
    }
    match pieces.as_slice() {
        [whole] => format!("\r\n\tfilename*={whole}"),
        _ => {
            let number = |(at, piece): (usize, &String)| format!("\r\n\tfilename*{at}*={piece}");
            pieces.iter().enumerate().map(number).collect::<Vec<_>>().join(";")
        }
    }
}

#[cfg(test)]
mod tests {
    use freehold_mime::{Structure, content};

    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test may block")]
    fn file_name_is_read_back_as_written() {
        let long = format!("{}.pdf", "Gezeitentafel ".repeat(9));
        for name in ["a.pdf", "a b.pdf", "Grüße.txt", "字.txt", "a;b='c'%.txt", &long, "100%.csv"]
        {
            let part = part_header(name, "application/pdf", "base64");
            assert!(part.lines().all(|line| line.len() <= 78 && line.is_ascii()), "{part}");
            let structure = Structure::parse(part.as_bytes());
            let read = content::file_name(part.as_bytes(), &structure, Structure::ROOT);
            assert_eq!(read, name.trim());
        }
        let hostile = part_header("a\r\nBcc: x@y.example\"; b", "application/x", "base64");
        assert_eq!(hostile.matches("\r\n").count(), 5, "{hostile}");
        assert!(part_header("", "a/b", "base64").contains("filename=\"file\""));
    }

    #[test]
    fn type_is_that_of_the_content() {
        for (name, start, media) in [
            ("a.txt", &b"words"[..], "text/plain; charset=utf-8"),
            ("a.txt", b"\xff\xfe\0", UNKNOWN),
            ("a.txt", b"\x89PNG\r\n", "image/png"),
            ("a.png", b"MZ", UNKNOWN),
            ("a.pdf", b"<html>", UNKNOWN),
            ("a", b"%PDF-1.7", "application/pdf"),
            ("a.HTML", b"<html>", UNKNOWN),
            ("a.svg", b"<svg>", UNKNOWN),
            ("a.md", "Grü".as_bytes().get(..3).unwrap(), "text/markdown; charset=utf-8"),
            ("pdf", b"x", UNKNOWN),
        ] {
            assert_eq!(media_type(name, start), media, "{name}");
        }
    }
}
