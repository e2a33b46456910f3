//! The languages that an owner can choose for their texts. Screen readers pronounce a page by the
//! language, and browsers offer no translation from another one.

use axum::http::{HeaderMap, header};
use freehold_core::profile::LANGUAGE;

use crate::fault::Fault;

/// Tags (BCP 47) with the language's own name.
const LANGUAGES: [(&str, &str); 49] = [
    ("id", "Bahasa Indonesia"),
    ("ca", "Català"),
    ("cs", "Čeština"),
    ("cy", "Cymraeg"),
    ("da", "Dansk"),
    ("de", "Deutsch"),
    ("et", "Eesti"),
    ("en", "English"),
    ("es", "Español"),
    ("eo", "Esperanto"),
    ("eu", "Euskara"),
    ("fr", "Français"),
    ("ga", "Gaeilge"),
    ("gl", "Galego"),
    ("hr", "Hrvatski"),
    ("is", "Íslenska"),
    ("it", "Italiano"),
    ("sw", "Kiswahili"),
    ("lv", "Latviešu"),
    ("lt", "Lietuvių"),
    ("hu", "Magyar"),
    ("nl", "Nederlands"),
    ("nb", "Norsk bokmål"),
    ("nn", "Norsk nynorsk"),
    ("pl", "Polski"),
    ("pt", "Português"),
    ("ro", "Română"),
    ("sk", "Slovenčina"),
    ("sl", "Slovenščina"),
    ("fi", "Suomi"),
    ("sv", "Svenska"),
    ("vi", "Tiếng Việt"),
    ("tr", "Türkçe"),
    ("el", "Ελληνικά"),
    ("bg", "Български"),
    ("ru", "Русский"),
    ("sr", "Српски"),
    ("uk", "Українська"),
    ("he", "עברית"),
    ("ar", "العربية"),
    ("fa", "فارسی"),
    ("ur", "اردو"),
    ("hi", "हिन्दी"),
    ("bn", "বাংলা"),
    ("ta", "தமிழ்"),
    ("th", "ไทย"),
    ("ja", "日本語"),
    ("ko", "한국어"),
    ("zh", "中文"),
];

/// A language to choose.
pub(crate) struct Language {
    pub(crate) tag: &'static str,
    pub(crate) name: &'static str,
    pub(crate) is_chosen: bool,
}

/// All languages of the list.
pub(crate) fn choices(chosen: &str) -> Vec<Language> {
    let choice = |&(tag, name)| Language { tag, name, is_chosen: tag == chosen };
    LANGUAGES.iter().map(choice).collect()
}

/// The first language of the list that the browser asks for (RFC 9110 12.5.4).
pub(crate) fn preferred(headers: &HeaderMap) -> String {
    let asked = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let mut tags = asked.unwrap_or_default().split(',').filter_map(|range| {
        let tag = range.split([';', '-']).next()?.trim().to_ascii_lowercase();
        LANGUAGES.iter().find(|(known, _)| *known == tag)
    });
    tags.next().map_or(LANGUAGE, |(tag, _)| *tag).to_owned()
}

/// The fault of a malformed tag.
pub(crate) fn fault() -> Fault {
    Fault::new("language", "That is not the tag of a language. Choose one of the list.")
}

#[cfg(test)]
mod tests {
    use freehold_core::profile::is_language;

    use super::*;

    #[test]
    fn browsers_first_known_language_is_preferred() {
        assert!(LANGUAGES.iter().all(|(tag, _)| is_language(tag)));
        for (asked, tag) in [
            ("gsw-CH, de-CH;q=0.9, en;q=0.8", "de"),
            ("", "en"),
            ("*;q=0, <b>", "en"),
            ("FR", "fr"),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_LANGUAGE, asked.parse().unwrap())]);
            assert_eq!(preferred(&headers), tag, "{asked}");
        }
    }
}
