//! Slugs: the last part of a page's address, made from words.

/// The longest slug, in bytes.
pub const SLUG_LEN_MAX: usize = 80;

/// `text` as a slug: its words in lower case with dashes between them, letters without accents where
/// a plain form exists. `None` if `text` has no letter and no digit.
pub fn slugify(text: &str) -> Option<String> {
    slugify_within(text, SLUG_LEN_MAX)
}

/// [`slugify`] in at most `len_max` bytes: as many whole words as fit, or the beginning of the first
/// word if it alone is longer.
pub fn slugify_within(text: &str, len_max: usize) -> Option<String> {
    let mut slug = String::new();
    let mut is_between_words = false;
    for letter in text.chars().flat_map(char::to_lowercase) {
        let plain = match plain(letter) {
            Some(plain) => plain.to_owned(),
            None if letter.is_alphanumeric() => letter.to_string(),
            // An apostrophe joins: "don't" is one word.
            None if matches!(letter, '\'' | '’') => continue,
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

/// Whether `text` is a slug as [`slugify`] makes them.
pub fn is_slug(text: &str) -> bool {
    slugify(text).as_deref() == Some(text)
}

fn plain(letter: char) -> Option<&'static str> {
    Some(match letter {
        'à' | 'á' | 'â' | 'ã' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'ä' | 'æ' => "ae",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' => "e",
        'ğ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'ı' => "i",
        'ł' | 'ľ' => "l",
        'ñ' | 'ń' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ø' | 'ō' => "o",
        'ö' | 'œ' => "oe",
        'ř' => "r",
        'ś' | 'š' | 'ş' | 'ș' => "s",
        'ß' => "ss",
        'ť' | 'ț' => "t",
        'ù' | 'ú' | 'û' | 'ū' | 'ů' | 'ű' => "u",
        'ü' => "ue",
        'ý' | 'ÿ' => "y",
        'þ' => "th",
        'ź' | 'ż' | 'ž' => "z",
        // The combining dot that `to_lowercase` makes of a dotted capital I.
        '\u{307}' => "",
        _ => return None,
    })
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
