//! Unstructured header text: encoded words (RFC 2047) and raw 8-bit bytes.

use std::borrow::Cow;

use data_encoding::BASE64;

use crate::charset;
use crate::encoding::{base64, octets};

/// Longest charset name of an encoded word, in bytes.
const CHARSET_LEN_MAX: usize = 64;

/// Decodes a field's value on one line. `charset` is that of the message's text: senders that
/// write raw 8-bit bytes into a header use the same.
///
/// Neighbouring encoded words of one charset are joined before decoding, because many programs
/// split them inside a character. Text that touches an encoded word is kept as it is.
pub fn decode(value: &[u8], charset: Option<&str>) -> String {
    let value = crate::header::unfold(value);
    let is_escaped = value.contains(&0x1b) || memchr::memmem::find(&value, b"=?").is_some();
    if value.is_ascii() && !is_escaped {
        return String::from_utf8_lossy(&value).into_owned();
    }
    let mut decoder = Decoder { charset, out: String::with_capacity(value.len()), word: None };
    // A word ends with "?="; behind the last one nothing is a word. Without this bound, many
    // beginnings without an end would each be searched to the end of the value.
    let last_end = memchr::memmem::rfind(&value, b"?=").unwrap_or(0);
    let mut text_start = 0usize;
    let mut at = 0usize;
    while let Some(found) = value.get(at..).and_then(|rest| memchr::memmem::find(rest, b"=?")) {
        let start = at.saturating_add(found);
        if start >= last_end {
            break;
        }
        let Some(word) = parse(value.get(start..).unwrap_or_default()) else {
            at = start.saturating_add(2);
            continue;
        };
        decoder.text(value.get(text_start..start).unwrap_or_default(), true);
        at = start.saturating_add(word.len);
        text_start = at;
        decoder.word(word);
    }
    decoder.text(value.get(text_start..).unwrap_or_default(), false);
    decoder.out
}

/// Longest text in one encoded word, in bytes: a word has at most 75 characters (RFC 2047 2).
const WORD_LEN_MAX: usize = 45;

/// Encodes a text in encoded words, which no character is split between (RFC 2047 5).
pub fn encode(text: &str) -> String {
    let mut words = String::with_capacity(text.len().saturating_mul(2));
    let mut rest = text;
    while !rest.is_empty() {
        let len = rest.floor_char_boundary(WORD_LEN_MAX.min(rest.len()));
        let (piece, after) = rest.split_at_checked(len).unwrap_or((rest, ""));
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str("=?utf-8?B?");
        words.push_str(&BASE64.encode(piece.as_bytes()));
        words.push_str("?=");
        rest = after;
    }
    words
}

/// One encoded word.
struct Word<'a> {
    charset: Cow<'a, str>,
    bytes: Vec<u8>,
    /// Its length in the value.
    len: usize,
}

/// Parses an encoded word that `text` begins with.
fn parse(text: &[u8]) -> Option<Word<'_>> {
    let rest = text.strip_prefix(b"=?")?;
    let charset_len = memchr::memchr(b'?', rest.get(..CHARSET_LEN_MAX).unwrap_or(rest))?;
    let (charset, rest) = rest.split_at_checked(charset_len)?;
    // RFC 2231 5: a language may follow the charset.
    let charset = charset.split(|byte| *byte == b'*').next()?;
    if charset.is_empty() || !charset.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let [b'?', encoding, b'?', encoded @ ..] = rest else { return None };
    let len = memchr::memmem::find(encoded, b"?=")?;
    let encoded = encoded.get(..len)?;
    let bytes = match encoding {
        b'B' | b'b' => base64(encoded),
        b'Q' | b'q' => {
            let spaced: Vec<u8> =
                encoded.iter().map(|byte| if *byte == b'_' { b' ' } else { *byte }).collect();
            let mut out = Vec::with_capacity(len);
            octets(&mut out, &spaced);
            out
        }
        _ => return None,
    };
    let len = text.len().checked_sub(rest.len())?.checked_add(len)?.checked_add("?q??=".len())?;
    Some(Word { charset: String::from_utf8_lossy(charset), bytes, len })
}

struct Decoder<'a> {
    charset: Option<&'a str>,
    out: String,
    /// The charset and the bytes of the encoded words that are not written yet.
    word: Option<(Cow<'a, str>, Vec<u8>)>,
}

impl<'a> Decoder<'a> {
    /// Text between encoded words. White space between two words belongs to neither (RFC 2047
    /// 6.2).
    fn text(&mut self, text: &[u8], before_word: bool) {
        if self.word.is_some() && before_word && text.trim_ascii().is_empty() {
            return;
        }
        self.flush();
        let charset = match std::str::from_utf8(text) {
            Ok(_) => None,
            Err(_) => self.charset,
        };
        self.out.push_str(&charset::decode(text, charset));
    }

    fn word(&mut self, word: Word<'a>) {
        match &mut self.word {
            Some((charset, bytes)) if charset.eq_ignore_ascii_case(&word.charset) => {
                bytes.extend(word.bytes);
            }
            _ => {
                self.flush();
                self.word = Some((word.charset, word.bytes));
            }
        }
    }

    fn flush(&mut self) {
        if let Some((charset, bytes)) = self.word.take() {
            self.out.push_str(&charset::decode(&bytes, Some(&charset)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words_are_decoded() {
        for (value, text) in [
            (&b" plain\r\n text\r\n"[..], "plain text"),
            (b"=?utf-8?q?Gr=C3=BC=C3=9Fe?= an\r\n alle", "Grüße an alle"),
            (b"=?utf-8?B?R3LDvMOfZQ?=", "Grüße"),
            (b"=?UTF-8*de?Q?a_b?=", "a b"),
            (b"=?utf-8?B?aGkg8J8=?=\r\n =?utf-8?B?mIA=?=", "hi 😀"),
            (b"=?utf-8?Q?Gr=C3?= =?UTF-8?q?=BC=C3=9Fe?=", "Grüße"),
            (b"=?utf-8?Q?a?= =?iso-8859-1?Q?=FC?=", "aü"),
            (b"[x]=?utf-8?Q?Gr=C3=BC=C3=9Fe?=,ja", "[x]Grüße,ja"),
            (b"=?utf-8?Q?a?= b =?utf-8?Q?c?=", "a b c"),
            (b"=?utf-8?Q?a?==?utf-8?Q?b?=", "ab"),
            (b"=?utf-8?Q?with space?=", "with space"),
            (b"=?utf-8?Q?=3F=3D?=", "?="),
            (b"=?utf-8?Q??=x", "x"),
            (b"=?x-unknown?Q?=FC?=", "ü"),
            (b"=?utf-8?X?a?=", "=?utf-8?X?a?="),
            (b"a =?utf-8?Q?b", "a =?utf-8?Q?b"),
            (b"=?", "=?"),
            (b"=?iso-2022-jp?B?GyRCRnwbKEI=?=\r\n =?iso-2022-jp?B?GyRCS1wbKEI=?=", "日本"),
            (b"\x1b$BF|K\\\x1b(B a", "日本 a"),
            (b"Caf\xe9 \x93x\x94", "Café “x”"),
            ("Zoë".as_bytes(), "Zoë"),
        ] {
            assert_eq!(decode(value, None), text, "{}", String::from_utf8_lossy(value));
        }
    }

    proptest::proptest! {
        #[test]
        fn encoded_text_decodes_to_itself(text in "[^\\pC]{0,200}") {
            let encoded = encode(&text);
            proptest::prop_assert!(encoded.is_ascii());
            proptest::prop_assert!(encoded.split(' ').all(|word| word.len() <= 75));
            proptest::prop_assert_eq!(decode(encoded.as_bytes(), None), text);
        }
    }

    #[test]
    fn raw_bytes_are_in_the_charset_of_the_text() {
        assert_eq!(decode(b"\xf0\xd2\xc9", Some("koi8-r")), "При");
        assert_eq!(decode("Zoë".as_bytes(), Some("koi8-r")), "Zoë");
        assert_eq!(decode(b"=?koi8-r?B?8A==?= \xfc", Some("iso-8859-1")), "П ü");
    }

    #[test]
    fn unfinished_words_take_linear_time() {
        for unit in [&b"=?a?q?"[..], b"=?a?q?x ", b"=?a? ", b"=?", b"?="] {
            let many = unit.repeat(40_000);
            let ended = [&many[..], b"?="].concat();
            assert!(decode(&many, None).len() <= many.len());
            assert!(decode(&ended, None).len() <= ended.len());
        }
    }
}
