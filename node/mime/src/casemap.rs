//! The order of texts: i;unicode-casemap (RFC 5051), with which SORT compares (RFC 5256 2.2, RFC
//! 5255 4.6). Two texts compare as the octets of their keys.

use icu_normalizer::DecomposingNormalizerBorrowed;

/// Appends the key of a text: each character in its simple title case, then decomposed (NFKD), as
/// UTF-8. Runs of white space become one space.
pub fn push_key(out: &mut Vec<u8>, text: &str) {
    if text.is_ascii() {
        let mut after_space = false;
        for byte in text.bytes() {
            let is_space = byte.is_ascii_whitespace();
            if !(is_space && after_space) {
                out.push(if is_space { b' ' } else { byte.to_ascii_uppercase() });
            }
            after_space = is_space;
        }
        return;
    }
    let mut titled = String::with_capacity(text.len());
    for c in text.chars() {
        let is_space = c.is_ascii_whitespace();
        if !(is_space && titled.ends_with(' ')) {
            titled.push(if is_space { ' ' } else { title_case(c) });
        }
    }
    let key = DecomposingNormalizerBorrowed::new_nfkd().normalize(&titled);
    out.extend_from_slice(key.as_bytes());
}

/// The simple title case of a character (UnicodeData.txt, field 14).
fn title_case(c: char) -> char {
    let at = u32::from(c);
    match at {
        // DZ, LJ, NJ and their small forms have title cases of their own.
        0x01C4..=0x01C6 => '\u{01C5}',
        0x01C7..=0x01C9 => '\u{01C8}',
        0x01CA..=0x01CC => '\u{01CB}',
        0x01F1..=0x01F3 => '\u{01F2}',
        // Georgian letters have capitals and are their own title case.
        0x10D0..=0x10FA | 0x10FD..=0x10FF => c,
        // Greek letters with iota subscript: their full capitals are two characters.
        0x1F80..=0x1F87 | 0x1F90..=0x1F97 | 0x1FA0..=0x1FA7 => {
            char::from_u32(at.saturating_add(8)).unwrap_or(c)
        }
        0x1FB3 | 0x1FC3 | 0x1FF3 => char::from_u32(at.saturating_add(9)).unwrap_or(c),
        _ => {
            let mut upper = c.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(one), None) => one,
                // Such as U+00DF: there is no simple capital.
                _ => c,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        push_key(&mut out, text);
        out
    }

    #[test]
    fn texts_that_differ_in_case_or_form_are_equal() {
        for (a, b) in [
            ("The  Plan", "the\tplan"),
            ("\u{fc}bermorgen", "U\u{308}BERMORGEN"),
            ("\u{3c3}\u{3c2}\u{3a3}", "\u{3a3}\u{3a3}\u{3c3}"),
            ("\u{1c6}", "\u{1c4}"),
            ("\u{1f80}", "\u{1f88}"),
            ("\u{1fb3}", "\u{1fbc}"),
            ("\u{ff21}", "a"),
            ("caf\u{e9}  x", "CAFE\u{301} X"),
        ] {
            assert_eq!(key(a), key(b), "{a} {b}");
        }
    }

    #[test]
    fn keys_are_ordered_as_the_letters() {
        let mut texts = ["zebra", "\u{c4}pfel", "apple", "Banana", "\u{df}", "10", ""];
        texts.sort_by_key(|text| key(text));
        assert_eq!(texts, ["", "10", "apple", "\u{c4}pfel", "Banana", "zebra", "\u{df}"]);
        assert_ne!(key("\u{df}"), key("SS"));
    }

    #[test]
    fn key_of_any_character_is_bounded() {
        for c in (0..=0x0010_ffff).filter_map(char::from_u32) {
            let text = c.to_string();
            assert!(key(&text).len() <= 40, "{:x}", u32::from(c));
        }
    }
}
