//! Domain names in their two forms: with letters of any script (U-labels), and as DNS has them
//! (A-labels, RFC 5890 2.3.2.1). The same domain is one domain in both.

use std::borrow::Cow;

/// The longest domain, in bytes (RFC 1035 2.3.4).
const LEN_MAX: usize = 253;

/// The domain as DNS has it, in lower case and without a final dot; `None` for a name that has no
/// such form (RFC 5891 4.4).
pub fn ascii(domain: &str) -> Option<Cow<'_, str>> {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    if domain.is_ascii() {
        let is_lower = !domain.bytes().any(|byte| byte.is_ascii_uppercase());
        return Some(match is_lower {
            true => Cow::Borrowed(domain),
            false => Cow::Owned(domain.to_ascii_lowercase()),
        });
    }
    // A letter takes at most four bytes here, and fewer there.
    if domain.len() > LEN_MAX * 4 {
        return None;
    }
    idna::domain_to_ascii_strict(domain).ok().map(Cow::Owned)
}

/// Whether two names are the same domain, in either form.
pub fn is_same(one: &str, two: &str) -> bool {
    match (ascii(one), ascii(two)) {
        (Some(one), Some(two)) => one == two,
        _ => false,
    }
}

/// Top-level names that no public DNS has (RFC 6761, RFC 6762, RFC 7686), and `internal`, which is
/// reserved for private networks.
const SPECIAL_USE: [&str; 8] =
    ["localhost", "local", "test", "invalid", "example", "onion", "internal", "localdomain"];

/// True for a name that means nothing to other servers: one of a special use, of a single label, or
/// an address literal.
pub fn is_special_use(domain: &str) -> bool {
    let Some(domain) = ascii(domain) else { return true };
    match domain.rsplit_once('.') {
        None => true,
        Some((_, last)) => {
            SPECIAL_USE.contains(&last) || domain.ends_with(".home.arpa") || !is_host(&domain)
        }
    }
}

/// True for a host name in lower case: labels of at most 63 letters, digits and inner dashes. The
/// last label is no number, because then the name would be an address (RFC 1123 2.1).
pub fn is_host(name: &str) -> bool {
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    name.len() <= LEN_MAX
        && name.split('.').all(is_label) // RFC 1035 2.3.1
        && !name.rsplit('.').next().is_some_and(is_number)
}

/// True for letters, digits and inner dashes in lower case, of at most 63 bytes.
pub fn is_label(text: &str) -> bool {
    let inner = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    inner && (1..=63).contains(&text.len()) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_use_domain_is_in_no_public_dns() {
        for special in [
            "localhost",
            "alice.localhost",
            "Alice.LOCAL",
            "a.test",
            "bob.example",
            "x.onion",
            "box",
            "nas.home.arpa",
            "[192.0.2.1]",
            "192.0.2.1",
            "",
            "a..b",
            "b\u{fc}ro.internal.",
        ] {
            assert!(is_special_use(special), "{special}");
        }
        for public in ["alice.house", "example.org", "test.example.com", "m\u{fc}ller.de", "a.b."] {
            assert!(!is_special_use(public), "{public}");
        }
    }

    #[test]
    fn domain_is_the_same_in_both_forms() {
        for (one, two) in [
            ("müller.example", "xn--mller-kva.example"),
            ("MÜLLER.Example.", "XN--MLLER-KVA.example"),
            ("mu\u{308}ller.example", "müller.example"),
            ("пример.test", "xn--e1afmkfd.test"),
            ("उदाहरण.test", "xn--p1b6ci4b4b3a.test"),
            ("faß.example", "xn--fa-hia.example"),
            ("a_b.example", "A_B.example"),
        ] {
            assert!(is_same(one, two), "{one} {two}");
        }
        for (one, two) in [
            ("müller.example", "muller.example"),
            ("a\u{200b}\u{0}.example", "a.example"),
            ("ü".repeat(2000).as_str(), "ü"),
            ("a b.ü", "a b.ü"),
        ] {
            assert!(!is_same(one, two), "{one} {two}");
        }
    }

    #[test]
    fn address_is_no_host_name() {
        for name in ["ruth.example", "localhost", "1.example", "xn--mller-kva.example", "a.b1"] {
            assert!(is_host(name), "{name}");
        }
        for name in ["1.2.3.4", "12", "", "a..b", "-a.example", "a_b.example", "Ruth.example", "a."]
        {
            assert!(!is_host(name), "{name}");
        }
    }
}
