//! Host names that strangers wrote, shown so that none can be taken for another (UTS 39).

use std::borrow::Cow;

use freehold_core::names;
use freehold_mime::html;
use freehold_mime::media::percent_decoded;
use unicode_normalization::UnicodeNormalization;
use unicode_security::confusable_detection::skeleton;
use unicode_security::{RestrictionLevel, RestrictionLevelDetection};

/// Longest label of a host name, in bytes (RFC 1035 2.3.4). A longer one is no host's.
const LABEL_LEN_MAX: usize = 63;
/// Longest address that is read, in bytes.
const ADDRESS_LEN_MAX: usize = 2_000;
/// Most words of a link's text that are compared with its address.
const WORDS_MAX: usize = 20;
/// Last parts of names of files, which have the form of a host name.
const FILE_ENDINGS: [&str; 18] = [
    "pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "odt", "txt", "html", "htm", "jpg", "jpeg",
    "png", "gif", "zip", "csv", "js",
];

/// A host name with each label that could be taken for another in its ASCII form: labels that mix
/// scripts, and labels that look like ASCII.
pub(super) fn honest(host: &str) -> Cow<'_, str> {
    if !host.split('.').any(is_deceptive) {
        return Cow::Borrowed(host);
    }
    let label = |label: &str| {
        if is_deceptive(label) { ascii(label) } else { label.to_owned() }
    };
    Cow::Owned(host.split('.').map(label).collect::<Vec<_>>().join("."))
}

/// A mail address with an [`honest`] host name.
pub(super) fn honest_address(address: &str) -> Cow<'_, str> {
    match address.rsplit_once('@').map(|(local, host)| (local, honest(host))) {
        Some((local, Cow::Owned(host))) => Cow::Owned(format!("{local}@{host}")),
        _ => Cow::Borrowed(address),
    }
}

fn is_deceptive(label: &str) -> bool {
    !label.is_ascii()
        && label.len() <= LABEL_LEN_MAX
        && (!label.check_restriction_level(RestrictionLevel::HighlyRestrictive)
            || skeleton(label).all(|c| c.is_ascii()))
}

/// A host name as DNS has it (RFC 5891 4.4).
fn ascii(host: &str) -> String {
    let lower = host.to_lowercase();
    let label = |label: &str| {
        if label.is_ascii() || label.len() > LABEL_LEN_MAX {
            return label.to_owned();
        }
        let encoded = idna::domain_to_ascii(label).ok();
        let by_force = || Some(format!("xn--{}", idna::punycode::encode_str(label)?));
        encoded.or_else(by_force).unwrap_or_else(|| label.to_owned())
    };
    lower.split('.').map(label).collect::<Vec<_>>().join(".")
}

/// The host of a link, in ASCII; `None` if the address has none. As browsers do, it skips control
/// characters, takes `\` for `/`, and reads the name before the last `@` as a user's.
pub(super) fn host_of(href: &str) -> Option<String> {
    if href.len() > ADDRESS_LEN_MAX {
        return None;
    }
    let href = html::to_text(href);
    let href: String = href.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
    let (scheme, rest) = href.split_once(':')?;
    let authority = match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => {
            let rest = rest.trim_start_matches(['/', '\\']);
            rest.split(['/', '\\', '?', '#']).next()?
        }
        "mailto" => rest.split('?').next()?,
        _ => return None,
    };
    let host = authority.rsplit('@').next()?;
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => host,
    };
    let host = ascii(&String::from_utf8_lossy(&percent_decoded(host.as_bytes())));
    let is_part = |c: char| c.is_alphanumeric() || "-._[]:".contains(c);
    (!host.is_empty() && host.chars().all(is_part)).then_some(host)
}

/// The host of a link, if its text names another one, or could be taken for another one.
pub(super) fn hidden_host(text: &str, href: &str) -> Option<String> {
    let host = host_of(href)?;
    let plain = host.strip_prefix("www.").unwrap_or(&host);
    let is_other = |named: &String| {
        let lower = ascii(named);
        let name = lower.strip_prefix("www.").unwrap_or(&lower);
        let is_below = plain.strip_suffix(name).is_some_and(|before| before.ends_with('.'));
        (name != plain && !is_below) || honest(named) != named.as_str()
    };
    let text = as_seen(text);
    let mut named = text.split_whitespace().take(WORDS_MAX).filter_map(named_host);
    named.any(|named| is_other(&named)).then_some(host)
}

/// True if an address has a user's name in front of its host, which can look like a host.
pub(super) fn has_user(address: &str) -> bool {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.split(['/', '\\', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
}

/// A text as its reader sees it: without invisible characters, with those that look like others
/// replaced by them (NFKC), and with dots for the full stops that separate labels (RFC 3490 3.1).
pub(super) fn as_seen(text: &str) -> String {
    let dot = |c: char| if matches!(c, '\u{3002}' | '\u{ff61}') { '.' } else { c };
    text.chars().filter(|c| !names::is_invisible(*c)).map(dot).nfkc().collect()
}

/// The host that a word names.
fn named_host(word: &str) -> Option<String> {
    if word.len() > ADDRESS_LEN_MAX {
        return None;
    }
    let is_edge = |c: char| !c.is_alphanumeric();
    let word = word.trim_matches(is_edge);
    let host = match word.split_once("://") {
        Some((_, rest)) => rest,
        None => word,
    };
    let host = host.split(['/', '?', '#', '\\']).next()?;
    let host = host.rsplit('@').next()?.split(':').next()?.trim_matches(is_edge);
    let last = host.rsplit_once('.')?.1;
    let is_label =
        |label: &str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-');
    let is_name = host.split('.').all(is_label)
        && last.chars().count() > 1
        && !last.contains(|c: char| c.is_ascii_digit())
        && !FILE_ENDINGS.contains(&last.to_ascii_lowercase().as_str());
    is_name.then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deceptive_labels_are_shown_in_ascii() {
        for (host, shown) in [
            ("b\u{fc}cher.example", "bücher.example"),
            ("пример.example", "пример.example"),
            ("例え.example", "例え.example"),
            ("한국어.example", "한국어.example"),
            ("größe-24.example", "größe-24.example"),
            ("東京タワー-tv.example", "東京タワー-tv.example"),
            ("p\u{430}ypal.example", "xn--pypal-4ve.example"),
            ("\u{430}\u{440}\u{440}\u{4cf}\u{435}.example", "xn--80ak6aa92e.example"),
            ("micr\u{3bf}soft.example", "xn--micrsoft-2dg.example"),
            ("xn--pypal-4ve.example", "xn--pypal-4ve.example"),
            ("a.example", "a.example"),
        ] {
            assert_eq!(honest(host), shown, "{host}");
        }
        assert_eq!(honest_address("a@p\u{430}ypal.example"), "a@xn--pypal-4ve.example");
        assert_eq!(honest_address("no address"), "no address");
    }

    #[test]
    fn host_of_a_link_is_that_of_browsers() {
        for (href, host) in [
            ("https://A.example/b?c@d.example", Some("a.example")),
            ("https://bank.example@evil.example/", Some("evil.example")),
            ("https:\\\\evil.example\\@bank.example", Some("evil.example")),
            ("HTTP:evil.example:8080", Some("evil.example")),
            ("https://%65vil.example", Some("evil.example")),
            ("ht\ntps://e\tvil.example", Some("evil.example")),
            ("https://b\u{fc}cher.example", Some("xn--bcher-kva.example")),
            ("https&#58;//evil.example", Some("evil.example")),
            ("mailto:a@evil.example?subject=b@c", Some("evil.example")),
            ("javascript:x", None),
            ("/home", None),
            ("https://<b>", None),
        ] {
            assert_eq!(host_of(href).as_deref(), host, "{href}");
        }
    }

    #[test]
    fn link_text_with_another_host_is_noticed() {
        for (text, href, host) in [
            ("https://bank.example/login", "https://evil.example", Some("evil.example")),
            ("Log in at www.bank.example.", "https://evil.example", Some("evil.example")),
            ("me@bank.example", "mailto:me@evil.example", Some("evil.example")),
            ("bank.example", "https://www.bank.example/x", None),
            ("bank.example", "https://shop.bank.example", None),
            ("bank.example", "https://notbank.example", Some("notbank.example")),
            ("bücher.example", "https://xn--bcher-kva.example", None),
            ("p\u{430}ypal.example", "https://p\u{430}ypal.example", Some("xn--pypal-4ve.example")),
            ("our shop", "https://evil.example", None),
            ("pay\u{ad}pal.com", "https://evil.example", Some("evil.example")),
            ("pay\u{200b}pal\u{2060}.com", "https://evil.example", Some("evil.example")),
            ("pay\u{200d}pal.c\u{34f}om", "https://evil.example", Some("evil.example")),
            ("paypal\u{2024}com", "https://evil.example", Some("evil.example")),
            ("paypal\u{ff0e}com\u{fe0e}", "https://evil.example", Some("evil.example")),
            ("ｐａｙｐａｌ。ｃｏｍ", "https://evil.example", Some("evil.example")),
            ("pay\u{ad}pal.com", "https://paypal.com", None),
            ("\u{202e}moc.lapyap", "https://evil.example", Some("evil.example")),
            ("file.pdf, version 1.2, 3.50", "https://a.example", None),
        ] {
            assert_eq!(hidden_host(text, href).as_deref(), host, "{text} {href}");
        }
    }

    #[test]
    fn long_names_are_cheap() {
        let long = "\u{430}".repeat(1_000_000);
        assert_eq!(honest(&long).len(), long.len());
        assert_eq!(host_of(&format!("https://{long}")), None);
        let labels = "\u{430}a.".repeat(900);
        assert!(honest(&labels).contains("xn--"));
        assert_eq!(hidden_host(&"a.bc ".repeat(400_000), "https://a.bc"), None);
    }
}
