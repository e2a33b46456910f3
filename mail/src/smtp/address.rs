//! Mail addresses of an envelope (RFC 5321 4.1.2, RFC 6531 3.3).
//!
//! An address has one canonical form, quoted only where the local part needs it. So `"alice"@host`
//! equals `alice@host`, while `"alice@elsewhere"@host` keeps its unusual local part and matches
//! nobody. Dots may stand anywhere in a local part, as in the addresses of Japanese carriers; where
//! RFC 5321 4.1.2 does not allow them, the canonical form is quoted.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use freehold_core::domain_name;

/// The longest path, in bytes (RFC 5321 4.5.3.1.3 says 256; the return paths of mailing lists can
/// be longer).
const PATH_LEN_MAX: usize = 512;
/// The longest domain, in bytes (RFC 5321 4.5.3.1.2).
const DOMAIN_LEN_MAX: usize = 255;
/// The longest part of a domain between two dots, in characters (RFC 1035 2.3.4).
const LABEL_LEN_MAX: usize = 63;

/// A mailbox: local part and domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mailbox {
    local: String,
    domain: String,
}

impl Mailbox {
    /// Parses `local@domain`.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > PATH_LEN_MAX {
            return None;
        }
        let (local, domain) = match text.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let (local, domain) = text.split_once('@')?;
                is_loose_dot_string(local).then(|| (local.to_owned(), domain))?
            }
        };
        is_domain(domain).then(|| Self { local, domain: domain.to_owned() })
    }

    /// The local part, without quotes.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain or address literal, as written.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The address with its domain as DNS has it, if then it does not need SMTPUTF8.
    #[must_use]
    pub fn with_ascii_domain(mut self) -> Self {
        if self.local.is_ascii()
            && !self.domain.is_ascii()
            && let Some(domain) = domain_name::ascii(&self.domain)
        {
            self.domain = domain.into_owned();
        }
        self
    }

    /// True if the address needs SMTPUTF8 (RFC 6531).
    pub fn is_international(&self) -> bool {
        !self.local.is_ascii() || !self.domain.is_ascii()
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.local) {
            return write!(f, "{}@{}", self.local, self.domain);
        }
        f.write_str("\"")?;
        for c in self.local.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        write!(f, "\"@{}", self.domain)
    }
}

/// Splits what follows the opening quote into the local part without quotes and the domain
/// (`Quoted-string` of RFC 5321 4.1.2).
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut local = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                let domain = quoted.get(at + 1..)?.strip_prefix('@')?;
                return (!local.is_empty()).then_some((local, domain));
            }
            '\\' => match chars.next()? {
                (_, escaped @ ' '..='~') => local.push(escaped),
                _ => return None,
            },
            c if c.is_control() => return None,
            c => local.push(c),
        }
    }
    None
}

/// `Dot-string`: atoms with single dots between them.
fn is_dot_string(local: &str) -> bool {
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// Atoms and dots in any order, with one atom at least.
fn is_loose_dot_string(local: &str) -> bool {
    local.chars().all(|c| c == '.' || is_atext(c)) && local.chars().any(is_atext)
}

/// RFC 5322 3.2.3, with the non-ASCII characters of RFC 6531 3.3.
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || "!#$%&'*+-/=?^_`{|}~".contains(c)
        || (!c.is_ascii() && !c.is_control() && !c.is_whitespace())
}

/// A domain name or an address literal (RFC 5321 4.1.2, 4.1.3).
pub fn is_domain(domain: &str) -> bool {
    if domain.len() > DOMAIN_LEN_MAX {
        return false;
    }
    if let Some(literal) = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match literal.get(..5) {
            Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => {
                literal.get(5..).is_some_and(|v6| v6.parse::<Ipv6Addr>().is_ok())
            }
            _ => literal.parse::<Ipv4Addr>().is_ok(),
        };
    }
    domain.split('.').all(is_label) && domain_name::ascii(domain).is_some()
}

fn is_label(label: &str) -> bool {
    let is_alphanumeric = label.chars().all(|c| {
        // Letters beyond ASCII and their marks are judged by the whole domain.
        c.is_ascii_alphanumeric() || matches!(c, '-' | '_') || !c.is_ascii()
    });
    (1..=LABEL_LEN_MAX).contains(&label.chars().count())
        && is_alphanumeric
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> Option<String> {
        Mailbox::parse(text).map(|mailbox| mailbox.to_string())
    }

    #[test]
    fn address_has_one_canonical_form() {
        assert_eq!(canonical("alice@host.test").as_deref(), Some("alice@host.test"));
        assert_eq!(canonical("\"alice\"@host.test").as_deref(), Some("alice@host.test"));
        assert_eq!(canonical("\"al\\ice\"@host.test").as_deref(), Some("alice@host.test"));
        assert_eq!(canonical("\"a b\\\"c\"@host.test").as_deref(), Some("\"a b\\\"c\"@host.test"));
        assert_eq!(canonical("alice+shop@[192.0.2.1]").as_deref(), Some("alice+shop@[192.0.2.1]"));
        assert_eq!(canonical("a@[IPv6:::1]").as_deref(), Some("a@[IPv6:::1]"));
        assert_eq!(canonical("дядя@пример.test").as_deref(), Some("дядя@пример.test"));
    }

    #[test]
    fn dots_may_stand_anywhere_in_local_part() {
        for (text, quoted) in [
            ("a.@docomo.test", "\"a.\"@docomo.test"),
            ("a..b@docomo.test", "\"a..b\"@docomo.test"),
            (".a@docomo.test", "\".a\"@docomo.test"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(quoted));
            assert_eq!(canonical(quoted).as_deref(), Some(quoted));
        }
    }

    #[test]
    fn domain_is_converted_for_servers_without_smtputf8() {
        let in_ascii = |text: &str| Mailbox::parse(text).unwrap().with_ascii_domain().to_string();
        assert_eq!(in_ascii("bob@müller.test"), "bob@xn--mller-kva.test");
        assert_eq!(in_ascii("дядя@пример.test"), "дядя@пример.test", "needs SMTPUTF8 anyway");
        assert_eq!(in_ascii("bob@[192.0.2.1]"), "bob@[192.0.2.1]");
    }

    #[test]
    fn quoted_at_sign_does_not_start_a_domain() {
        let odd = Mailbox::parse("\"alice@elsewhere.test\"@host.test").unwrap();
        assert_eq!((odd.local(), odd.domain()), ("alice@elsewhere.test", "host.test"));
    }

    #[test]
    fn malformed_address_is_refused() {
        for text in [
            "",
            "@",
            "alice",
            "alice@",
            "@host.test",
            "a@b@c",
            ".@host.test",
            "a@\u{200b}.test",
            "a@h\u{2028}st.test",
            "a b@host.test",
            "a@ho st",
            "a@-host",
            "a@host..test",
            "a@[1.2.3]",
            "a@[IPv6:zz]",
            "\"\"@host.test",
            "\"a@host.test",
            "\"a\"host.test",
            "\"a\r\"@host.test",
            "a@host.test\r\n",
            "a@[IPv6:é",
            "<a@host.test>",
        ] {
            assert_eq!(canonical(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn canonical_form_parses_to_the_same_address(text in "\"?[a-z\\\\\" .@é+]{0,12}\"?@[a-z.\\[\\]0-9:-]{0,12}") {
            if let Some(mailbox) = Mailbox::parse(&text) {
                prop_assert_eq!(Mailbox::parse(&mailbox.to_string()), Some(mailbox));
            }
        }
    }
}
