//! Display names: one line of bounded length, without control, bidi-override and zero-width
//! characters.

use freehold_mime::text::is_bidi_control;

use crate::text::is_permitted;

/// The longest name, in characters.
pub const NAME_CHARS_MAX: usize = 80;

/// True for control characters, characters that change the text direction (UAX 9), and zero-width
/// characters that make two different names look the same. Joiners stay, because Persian and emoji
/// need them.
pub fn is_control_or_invisible(c: char) -> bool {
    !is_permitted(c)
        || c.is_control()
        || is_bidi_control(c)
        || matches!(c, '\u{ad}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// True for characters that are shown as nothing (Unicode 5.21, Default_Ignorable_Code_Point).
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// `text` as a display name: one line of at most [`NAME_CHARS_MAX`] characters, without control and
/// invisible characters; may be empty.
pub fn plain(text: &str) -> String {
    let mut name = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        let shown = word.chars().filter(|c| !is_control_or_invisible(*c));
        let gap = (!name.is_empty()).then_some(' ').into_iter();
        let with_gap: String = gap.chain(shown).collect();
        if with_gap.trim().is_empty() {
            continue;
        }
        name.push_str(&with_gap);
        if name.len() > NAME_CHARS_MAX * 4 {
            break;
        }
    }
    let cut: String = name.chars().take(NAME_CHARS_MAX).collect();
    cut.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_name_is_one_line_without_bidi_controls() {
        for (given, shown) in [
            ("  Alice   Ant\r\n\t", "Alice Ant"),
            ("evil\u{202e}gnp.ecila", "evilgnp.ecila"),
            ("\u{2066}Bob\u{2069} \u{200b} \u{feff}C\u{0}\u{1b}[1m", "Bob C [1m"),
            ("عَلِيّ \u{200f}رضا", "عَلِيّ رضا"),
            ("نیک\u{200c}نام", "نیک\u{200c}نام"),
            ("\u{202e}\u{200b}", ""),
        ] {
            assert_eq!(plain(given), shown);
        }
        assert_eq!(plain(&"ш".repeat(500)), "ш".repeat(80));
        assert_eq!(plain(&"a ".repeat(500)).chars().count(), 79);
    }
}
