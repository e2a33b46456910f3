//! The last part of an address, made of words.

/// The longest slug, in bytes.
pub const SLUG_LEN_MAX: usize = 80;

/// `text` as a slug: its words in lower case, parted by dashes; accents are dropped where the letter has a plain form.
/// `None` when nothing is left.
pub fn slugify(text: &str) -> Option<String> {
    slugify_within(text, SLUG_LEN_MAX)
}

/// [`slugify`] in at most `len_max` bytes: as many whole words as fit, or what fits of the first.
pub fn slugify_within(text: &str, len_max: usize) -> Option<String> {
    let mut slug = String::new();
    let mut is_between = false;
    for letter in text.chars().flat_map(char::to_lowercase) {
        let plain = match plain(letter) {
            Some(plain) => plain.to_owned(),
            None if letter.is_alphanumeric() => letter.to_string(),
            // An apostrophe joins: "don't" is one word.
            None if matches!(letter, '\'' | '’') => continue,
            None => {
                is_between = true;
                continue;
            }
        };
        let dash = usize::from(is_between && !slug.is_empty());
        if slug.len() + dash + plain.len() > len_max {
            // Cut within a word: what is left of it would be another word.
            if !is_between && let Some((words, _)) = slug.rsplit_once('-') {
                slug.truncate(words.len());
            }
            break;
        }
        if dash == 1 {
            slug.push('-');
        }
        is_between = false;
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
        // What `to_lowercase` leaves of a dotted capital I.
        '\u{307}' => "",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_addresses() {
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
