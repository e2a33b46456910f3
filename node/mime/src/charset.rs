//! Characters from bytes: by the charset that the sender named, where that can be right.

mod shifting;
mod single_byte;

use std::borrow::Cow;

use encoding_rs::{Encoding, ISO_2022_JP, UTF_8, WINDOWS_1252};

/// Charsets in which bytes that are valid UTF-8 are rare in real words, so that such bytes under
/// these labels are UTF-8 with a wrong label.
const LATIN: [&str; 12] = [
    "windows-1250",
    "windows-1252",
    "windows-1254",
    "windows-1257",
    "ISO-8859-2",
    "ISO-8859-3",
    "ISO-8859-4",
    "ISO-8859-10",
    "ISO-8859-13",
    "ISO-8859-14",
    "ISO-8859-15",
    "ISO-8859-16",
];
/// Labels that mail programs write and the Encoding Standard does not know.
const ALIASES: [(&str, &str); 17] = [
    ("mac-roman", "macintosh"),
    ("macroman", "macintosh"),
    ("mac-cyrillic", "x-mac-cyrillic"),
    ("maccyrillic", "x-mac-cyrillic"),
    ("cp1250", "windows-1250"),
    ("cp874", "windows-874"),
    ("ibm874", "windows-874"),
    ("gb2312-80", "gbk"),
    ("cp932", "shift_jis"),
    ("cp936", "gbk"),
    ("cp949", "euc-kr"),
    ("cp950", "big5"),
    ("iso-2022-jp-1", "iso-2022-jp"),
    ("iso-2022-jp-2", "iso-2022-jp"),
    ("iso-2022-jp-ms", "iso-2022-jp"),
    ("utf8mb4", "utf-8"),
    ("utf-8-mac", "utf-8"),
];
/// How much of an HTML text is searched for its charset (HTML 4.10.5.4 asks for 1,024 bytes; mail
/// has longer comments in front).
const META_SEARCHED_LEN_MAX: usize = 8 * 1024;

/// Decodes a text: by its label, if the bytes can be that; else as UTF-8, if they are valid; else
/// as windows-1252. Bytes without a character become U+FFFD.
///
/// The result is at most three times as long as `bytes`.
pub fn decode<'a>(bytes: &'a [u8], label: Option<&str>) -> Cow<'a, str> {
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return encoding.decode(bytes).0;
    }
    let label = label.map(|label| label.trim_matches(is_noise).to_ascii_lowercase());
    let label = label.as_deref().unwrap_or_default();
    if let Some(text) = shifting::decode(bytes, label) {
        return Cow::Owned(text);
    }
    if let Some(table) = single_byte::table(label) {
        return match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(single_byte::decode(bytes, table)),
        };
    }
    let named = encoding(label);
    if named.is_none_or(|named| named == UTF_8) && is_iso_2022_jp(bytes) {
        return Cow::Owned(iso_2022_jp(bytes));
    }
    if matches!(label, "utf-16" | "ucs-2" | "iso-10646-ucs-2" | "unicode") {
        return utf16(bytes).decode_without_bom_handling(bytes).0;
    }
    match named {
        Some(named) if named == UTF_8 => utf8(bytes),
        Some(named) if LATIN.contains(&named.name()) => match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => named.decode_without_bom_handling(bytes).0,
        },
        Some(named) if named == ISO_2022_JP => match std::str::from_utf8(bytes) {
            Ok(text) if !bytes.is_ascii() => Cow::Borrowed(text),
            _ => Cow::Owned(iso_2022_jp(bytes)),
        },
        Some(named) => match (named.decode_without_bom_handling(bytes), std::str::from_utf8(bytes))
        {
            // Text with zeros is UTF-16 that was cut.
            ((_, true), Ok(text)) if !bytes.contains(&0) => Cow::Borrowed(text),
            ((text, _), _) => text,
        },
        None => match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => WINDOWS_1252.decode_without_bom_handling(bytes).0,
        },
    }
}

/// Decodes an HTML text: by its label, else by its own `<meta>`, else as [`decode`].
pub fn decode_html<'a>(bytes: &'a [u8], label: Option<&str>) -> Cow<'a, str> {
    let is_known = |label: &str| {
        encoding(label).is_some()
            || single_byte::table(label).is_some()
            || shifting::decode(b"", label).is_some()
    };
    let known = label.filter(|label| is_known(&label.trim().to_ascii_lowercase()));
    match known.filter(|label| !label.eq_ignore_ascii_case("us-ascii")) {
        Some(label) => decode(bytes, Some(label)),
        None => decode(bytes, meta(bytes).as_deref().or(label)),
    }
}

/// The charset that an HTML text names in a `<meta>` element.
fn meta(bytes: &[u8]) -> Option<String> {
    let start = bytes.get(..META_SEARCHED_LEN_MAX).unwrap_or(bytes).to_ascii_lowercase();
    let found = memchr::memmem::find_iter(&start, b"<meta").find_map(|at| {
        let before = start.get(..at)?;
        let comment = memchr::memmem::rfind(before, b"<!--");
        let comment = comment.and_then(|comment| before.get(comment..));
        if comment.is_some_and(|comment| memchr::memmem::find(comment, b"-->").is_none()) {
            return None;
        }
        let element = start.get(at..)?;
        let element = element.get(..memchr::memchr(b'>', element)?)?;
        let at = memchr::memmem::find(element, b"charset")?;
        let value = element.get(at.checked_add(b"charset".len())?..)?.trim_ascii_start();
        let value = value.strip_prefix(b"=")?.trim_ascii_start();
        let value: Vec<u8> = value
            .iter()
            .copied()
            .skip_while(|byte| matches!(byte, b'"' | b'\''))
            .take_while(|byte| byte.is_ascii_alphanumeric() || b"-_:.".contains(byte))
            .collect();
        String::from_utf8(value).ok().filter(|value| !value.is_empty())
    })?;
    // An element that can be read byte by byte is not UTF-16, so its label is wrong.
    Some(if found.starts_with("utf-16") { "utf-8".into() } else { found })
}

fn is_noise(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | ';' | '<' | '>')
}

/// The encoding of a label in lower case; `None` for US-ASCII, whose 8-bit bytes are something
/// else, for unknown labels and for those that the Encoding Standard does not decode.
fn encoding(label: &str) -> Option<&'static Encoding> {
    if matches!(label, "us-ascii" | "ascii" | "ansi_x3.4-1968" | "default" | "unknown-8bit") {
        return None;
    }
    let alias = ALIASES.iter().find(|(name, _)| *name == label).map_or(label, |(_, name)| name);
    Encoding::for_label_no_replacement(alias.as_bytes())
}

/// True for 7-bit text with an escape sequence of ISO-2022-JP (RFC 1468) that no other text has.
fn is_iso_2022_jp(bytes: &[u8]) -> bool {
    let is_set = |escape: &[u8]| memchr::memmem::find(bytes, escape).is_some();
    bytes.is_ascii() && (is_set(b"\x1b$B") || is_set(b"\x1b$@"))
}

/// Decodes ISO-2022-JP (RFC 1468). The Encoding Standard shows an error for a change of character
/// set without text, which joined encoded words have, so that change is left out.
fn iso_2022_jp(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((byte, after)) = rest.split_first() {
        if matches!(rest, [0x1b, b'(', b'B' | b'J', 0x1b, ..]) {
            rest = rest.get(3..).unwrap_or_default();
        } else {
            out.push(*byte);
            rest = after;
        }
    }
    ISO_2022_JP.decode_without_bom_handling(&out).0.into_owned()
}

/// UTF-8 with damage stays UTF-8; bytes of which more are wrong than right are windows-1252 under
/// a wrong label.
fn utf8(bytes: &[u8]) -> Cow<'_, str> {
    let (mut right, mut wrong) = (0usize, 0usize);
    for chunk in bytes.utf8_chunks() {
        let characters = chunk.valid().bytes().filter(|byte| *byte >= 0xc0).count();
        right = right.saturating_add(characters);
        wrong = wrong.saturating_add(usize::from(!chunk.invalid().is_empty()));
    }
    if wrong > right {
        return WINDOWS_1252.decode_without_bom_handling(bytes).0;
    }
    String::from_utf8_lossy(bytes)
}

/// The byte order of UTF-16 without a mark: Latin letters have a zero in their high byte. Big
/// endian is the default (RFC 2781 4.3).
fn utf16(bytes: &[u8]) -> &'static Encoding {
    let zeros = |offset: usize| bytes.iter().skip(offset).step_by(2).filter(|b| **b == 0).count();
    if zeros(1) > zeros(0) { encoding_rs::UTF_16LE } else { encoding_rs::UTF_16BE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_decoded_by_a_right_label() {
        for (bytes, label, text) in [
            (&b"Gr\xfc\xdfe"[..], "iso-8859-1", "Grüße"),
            (b"Gr\xfc\xdfe", "\"ISO-8859-1\"", "Grüße"),
            (b"\x93a\x94 \x80", "iso-8859-1", "“a” €"),
            (b"\xf0\xd2\xc9\xd7\xc5\xd4", "koi8-r", "Привет"),
            (b"\xcf\xf0\xe8\xe2\xe5\xf2", "windows-1251", "Привет"),
            (b"\x1b$B$3$s\x1b(B", "ISO-2022-JP", "こん"),
            (b"\x82\xb1", "cp932", "こ"),
            (b"\xc4\xe3", "gb2312", "你"),
            (b"Hi +AOQ-+-x", "utf-7", "Hi ä+x"),
            (b"+2D3eAA.+ADw+", "UTF-7", "😀.<"),
            (b"Gr\x81\xe1e", "cp850", "Grüße"),
            (b"Gr\x81\xe1e \xd5", "IBM00858", "Grüße €"),
            (b"Gr\x81\xe1e \xdb", "IBM437", "Grüße █"),
            (b"\x88\xa9", "cp852", "łę"),
            (b"\x8f\xa8", "cp866", "Пи"),
            (b"\x8a\x88", "x-mac-roman", "äà"),
            (b"\x8a\x88", "macintosh", "äà"),
            (b"\xbd\xfd", "x-mac-ce", "Ĺż"),
            (b"\xdc", "MacTurkish", "İ"),
            (b"\x1b$)CHi \x0eGQ1[\x0f!\nGQ", "iso-2022-kr", "Hi 한글!\nGQ"),
            (b"\x1b$)A\x0eVPND\x0f.", "iso-2022-cn", "中文."),
            (b"a ~{VPND~} ~~b", "hz-gb-2312", "a 中文 ~b"),
            (b"\0h\0i", "utf-16", "hi"),
            (b"h\0i\0", "utf-16", "hi"),
            (b"\xff\xfeh\0i\0", "utf-8", "hi"),
            (b"h\0i\0\0", "utf-16le", "hi\u{fffd}"),
            (b"\xef\xbb\xbfhi", "us-ascii", "hi"),
        ] {
            assert_eq!(decode(bytes, Some(label)), text, "{label}");
        }
    }

    #[test]
    fn wrong_or_missing_label_is_no_mojibake() {
        let utf8 = "Grüße – „ja“".as_bytes();
        for label in [None, Some("us-ascii"), Some("iso-8859-1"), Some("iso-8859-15"), Some("x")] {
            assert_eq!(decode(utf8, label), "Grüße – „ja“", "{label:?}");
        }
        let latin = b"Gr\xfc\xdfe \x96 caf\xe9";
        for label in [None, Some("us-ascii"), Some("utf-8"), Some("unknown-8bit"), Some("hz")] {
            assert_eq!(decode(latin, label), "Grüße – café", "{label:?}");
        }
    }

    #[test]
    fn iso_2022_jp_is_recognised_without_label() {
        for label in [None, Some("us-ascii"), Some("utf-8"), Some("_iso-2022-jp$ESC")] {
            assert_eq!(decode(b"\x1b$BF|K\\\x1b(B", label), "日本", "{label:?}");
            let joined = b"\x1b$BF|\x1b(B\x1b$BK\\\x1b(B";
            assert_eq!(decode(joined, label), "日本", "{label:?}");
        }
    }

    #[test]
    fn utf8_under_a_japanese_label_is_utf8() {
        for label in ["iso-2022-jp", "shift_jis", "euc-kr"] {
            assert_eq!(decode("日本語 ü".as_bytes(), Some(label)), "日本語 ü", "{label}");
        }
    }

    #[test]
    fn damaged_utf8_stays_utf8() {
        let cut = "Grüße für Zoë".as_bytes();
        let cut = &cut[..cut.len() - 1];
        assert_eq!(decode(cut, Some("utf-8")), "Grüße für Zo\u{fffd}");
    }

    #[test]
    fn html_charset_is_found_in_meta() {
        let meta =
            b"<html><head><meta http-equiv=Content-Type content='text/html; charset=KOI8-R'>\xf0";
        assert!(decode_html(meta, None).ends_with('П'));
        assert!(decode_html(meta, Some("us-ascii")).ends_with('П'));
        assert!(decode_html(meta, Some("iso-8859-1")).ends_with('ð'));
        assert!(decode_html(b"<META CHARSET=\"windows-1251\">\xcf", Some("x-none")).ends_with('П'));
        let comment = "<!-- <meta charset=koi8-r> -->ä";
        assert!(decode_html(comment.as_bytes(), None).ends_with('ä'));
        assert!(decode_html("<meta charset=utf-16>ä".as_bytes(), None).ends_with('ä'));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_decode_to_bounded_text(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
            label in proptest::sample::select(vec![
                "utf-8", "utf-7", "utf-16", "gb18030", "big5", "x", "cp437", "iso-2022-kr", "hz",
            ]),
        ) {
            proptest::prop_assert!(decode(&bytes, Some(label)).len() <= bytes.len() * 3 + 3);
        }
    }
}
