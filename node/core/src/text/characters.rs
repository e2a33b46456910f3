//! The characters that a text may have: those that XML 1.0 (2.2, "Char") and HTML (13.2.3.5) both
//! allow. One forbidden character makes a whole feed unreadable, so texts lose theirs when they
//! are saved or received. The overrides of the direction (UAX 9) are removed as well: they let a
//! text show letters in another order than they are read, and no script needs them.

use std::borrow::Cow;

/// `text` without forbidden characters. Line ends become `\n`, also the vertical tab that word
/// processors use for a line end within a paragraph.
pub fn permitted(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_permitted) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\r' if letters.peek() == Some(&'\n') => {}
            '\r' | '\u{b}' | '\u{c}' | '\u{85}' => kept.push('\n'),
            letter if is_permitted(letter) => kept.push(letter),
            _ => {}
        }
    }
    Cow::Owned(kept)
}

/// True for tab and line feed, and for characters that are neither a control, nor a noncharacter,
/// nor an override of the direction.
pub fn is_permitted(letter: char) -> bool {
    match letter {
        '\t' | '\n' => true,
        '\u{fdd0}'..='\u{fdef}' | '\u{202d}' | '\u{202e}' => false,
        letter => !letter.is_control() && u32::from(letter) & 0xfffe != 0xfffe,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_characters_are_removed_but_no_line_ends() {
        for (text, kept) in [
            ("Em\u{10}dash\u{0}\u{1}\u{1b}\u{7f}\u{9f}", "Emdash"),
            ("\u{fffe}a\u{ffff}b\u{1fffe}c\u{10ffff}d\u{fdd0}", "abcd"),
            ("pay \u{202e}000,1\u{202c} \u{202d}now", "pay 000,1\u{202c} now"),
            ("\u{200f}שלום\u{200e} \u{2067}a\u{2069}", "\u{200f}שלום\u{200e} \u{2067}a\u{2069}"),
            ("one\u{b}two\u{c}three\u{85}four", "one\ntwo\nthree\nfour"),
            ("one\r\ntwo\rthree\r\r\nfour", "one\ntwo\nthree\n\nfour"),
            (
                "tab\tand é 字 \u{1f426} \u{fffd} \u{200d}",
                "tab\tand é 字 \u{1f426} \u{fffd} \u{200d}",
            ),
        ] {
            assert_eq!(permitted(text), kept);
        }
        assert!(matches!(permitted("nothing to remove\n"), Cow::Borrowed(_)));
    }
}
