//! The extensions that a next hop announces (RFC 5321 4.1.1.1).

/// The extensions that sending uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extensions {
    /// SIZE (RFC 1870): the largest message in bytes, 0 for no limit; `None` if not announced.
    pub(super) size: Option<u64>,
    /// 8BITMIME (RFC 6152).
    pub(super) eight_bit: bool,
    /// SMTPUTF8 (RFC 6531).
    pub(super) international: bool,
    /// DSN (RFC 3461).
    pub(super) dsn: bool,
    /// STARTTLS (RFC 3207).
    pub(super) start_tls: bool,
    /// AUTH with PLAIN (RFC 4616).
    pub(super) auth_plain: bool,
    /// AUTH with LOGIN.
    pub(super) auth_login: bool,
}

impl Extensions {
    /// Parses the lines of the reply to EHLO; the first is the server's name.
    pub(super) fn parse<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let mut extensions = Self::default();
        for line in lines.skip(1) {
            let mut words = line.split_ascii_whitespace();
            match words.next().unwrap_or_default().to_ascii_uppercase().as_str() {
                "SIZE" => {
                    extensions.size =
                        Some(words.next().and_then(|len| len.parse().ok()).unwrap_or(0))
                }
                "8BITMIME" => extensions.eight_bit = true,
                "SMTPUTF8" => extensions.international = true,
                "DSN" => extensions.dsn = true,
                "STARTTLS" => extensions.start_tls = true,
                "AUTH" => {
                    for mechanism in words {
                        extensions.auth_plain |= mechanism.eq_ignore_ascii_case("PLAIN");
                        extensions.auth_login |= mechanism.eq_ignore_ascii_case("LOGIN");
                    }
                }
                _ => {}
            }
        }
        extensions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ehlo_extensions_are_parsed_in_any_case_and_order() {
        let extensions = Extensions::parse(
            [
                "SIZE is my name",
                "size 1000",
                "8bitmime",
                "DSN",
                "StartTLS",
                "X-NEW",
                "auth CRAM-MD5 plain",
            ]
            .into_iter(),
        );
        assert_eq!(
            extensions,
            Extensions {
                size: Some(1000),
                eight_bit: true,
                international: false,
                dsn: true,
                start_tls: true,
                auth_plain: true,
                auth_login: false,
            }
        );
        assert_eq!(Extensions::parse(["host", "SIZE"].into_iter()).size, Some(0));
        assert_eq!(Extensions::parse(["DSN"].into_iter()), Extensions::default());
    }
}
