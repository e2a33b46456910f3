//! Slugs: the last part of a page's address, made from words.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The longest slug, in bytes.
pub const SLUG_LEN_MAX: usize = 80;

/// `text` as a slug: its words in lower case with dashes between them. Latin letters lose their
/// accents; letters of other scripts keep their marks, which are part of the word. The same text in
/// another Unicode form (UAX 15) gets the same slug. `None` if `text` has no letter and no digit.
pub fn slugify(text: &str) -> Option<String> {
    slugify_within(text, SLUG_LEN_MAX)
}

/// [`slugify`] in at most `len_max` bytes: as many whole words as fit, or the beginning of the
/// first word if it alone is longer.
pub fn slugify_within(text: &str, len_max: usize) -> Option<String> {
    let mut slug = String::new();
    let mut is_between_words = false;
    for letter in text.nfc().flat_map(char::to_lowercase) {
        let ends_plain = slug.ends_with(|c: char| c.is_ascii());
        let plain = match plain(letter) {
            Some(plain) => plain,
            None if is_combining_mark(letter) => {
                if is_between_words || slug.is_empty() || ends_plain {
                    continue;
                }
                letter.to_string()
            }
            None if letter.is_alphanumeric() => letter.to_string(),
            None if joins(letter) => continue,
            None => {
                is_between_words = true;
                continue;
            }
        };
        let dash = usize::from(is_between_words && !slug.is_empty());
        if slug.len() + dash + plain.len() > len_max {
            // The cut is within a word: its beginning alone would be another word.
            if !is_between_words && let Some((words, _)) = slug.rsplit_once('-') {
                slug.truncate(words.len());
            }
            break;
        }
        if dash == 1 {
            slug.push('-');
        }
        is_between_words = false;
        slug.push_str(&plain);
    }
    (!slug.is_empty()).then_some(slug)
}

/// True for a character that a slug may have beside dashes.
pub fn is_slug_letter(letter: char) -> bool {
    letter.is_alphanumeric() || is_combining_mark(letter)
}

/// True for characters within a word that are no part of it: an apostrophe ("don't" is one word), a
/// soft hyphen, zero-width characters.
fn joins(letter: char) -> bool {
    matches!(letter, '\'' | '’' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// Whether `text` is a slug as [`slugify`] makes them.
pub fn is_slug(text: &str) -> bool {
    slugify(text).as_deref() == Some(text)
}

/// The plain form of a Latin letter, if it has one.
fn plain(letter: char) -> Option<String> {
    let known = match letter {
        'ä' | 'æ' => "ae",
        'đ' | 'ð' => "d",
        'ı' => "i",
        'ł' => "l",
        'ø' => "o",
        'ö' | 'œ' => "oe",
        'ß' => "ss",
        'ü' => "ue",
        'þ' => "th",
        _ => {
            let base = std::iter::once(letter).nfd().next()?;
            return base.is_ascii_alphanumeric().then(|| base.to_string());
        }
    };
    Some(known.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slug_has_plain_words_within_its_length() {
        for (text, slug) in [
            ("Bread, again: the 2nd try!", "bread-again-the-2nd-try"),
            ("Don't panic", "dont-panic"),
            ("  Über Straßen & Brücken  ", "ueber-strassen-bruecken"),
            ("日本語 の 題", "日本語-の-題"),
            ("हिन्दी भाषा", "हिन्दी-भाषा"),
            ("ภาษาไทย ง่ายๆ", "ภาษาไทย-ง่ายๆ"),
            ("Cafe\u{301} en e\u{301}te\u{301}", "cafe-en-ete"),
            ("か\u{3099}くせい", "がくせい"),
            ("soft\u{ad}hyphen, zero\u{200b}width", "softhyphen-zerowidth"),
            ("Tiếng Việt có dấu, đúng không", "tieng-viet-co-dau-dung-khong"),
            ("q\u{301}ui \u{301} İstanbul", "qui-istanbul"),
            ("ελληνικά й", "ελληνικά-й"),
            ("../../etc/passwd", "etc-passwd"),
        ] {
            assert_eq!(slugify(text).as_deref(), Some(slug));
            assert!(is_slug(slug), "{slug}");
        }
        assert_eq!(slugify(" -- ?? / "), None);
        let long = slugify(&"long words ".repeat(50)).unwrap();
        assert!(
            long.len() <= SLUG_LEN_MAX && long.len() > 70 && long.ends_with("-words"),
            "{long}"
        );
        assert_eq!(slugify_within("the heron is back", 12).as_deref(), Some("the-heron-is"));
        assert_eq!(slugify_within("the heron is back", 11).as_deref(), Some("the-heron"));
        assert_eq!(slugify(&"x".repeat(300)), Some("x".repeat(SLUG_LEN_MAX)));
        assert!(is_slug(&long) && is_slug(&"x".repeat(SLUG_LEN_MAX)));
        assert!(
            !is_slug("Bread")
                && !is_slug("a--b")
                && !is_slug("-a")
                && !is_slug("")
                && !is_slug("a/b")
        );
    }
}
