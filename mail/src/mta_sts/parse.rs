//! Reads the text of a policy (RFC 8461 3.2).

use freehold_core::domain_name;
use freehold_core::mta_sts::{MAX_AGE_SECS_MAX, Mode, Policy};

/// The names of servers in a policy, in bytes: they are kept in one row.
const MX_LEN_MAX: usize = 3 * 1024;

/// Why a text is no policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotAPolicy {
    /// It is not UTF-8.
    #[error("it is no text")]
    NoText,
    /// A line has no colon.
    #[error("a line has no colon")]
    Line,
    /// A field is missing, or its value is none that it can have.
    #[error("{0} is missing or invalid")]
    Field(&'static str),
    /// The names are longer than [`MX_LEN_MAX`].
    #[error("the names of its servers have more than {MX_LEN_MAX} bytes")]
    TooManyServers,
}

/// Reads a policy. Lines end in LF or CR LF; unknown fields are ignored, and of a field that is
/// there twice the first one counts, except for `mx`.
pub(super) fn policy(bytes: &[u8]) -> Result<Policy, NotAPolicy> {
    let text = std::str::from_utf8(bytes).map_err(|_| NotAPolicy::NoText)?;
    let (mut version, mut mode, mut max_age) = (None, None, None);
    let (mut mx, mut mx_len) = (Vec::new(), 0);
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line).trim_matches([' ', '\t']);
        if line.is_empty() {
            continue;
        }
        let (name, value) = line.split_once(':').ok_or(NotAPolicy::Line)?;
        let value = value.trim_matches([' ', '\t']);
        match name {
            "version" => version = version.or(Some(value)),
            "mode" => mode = mode.or(Some(value)),
            "max_age" => max_age = max_age.or(Some(value)),
            "mx" => {
                mx_len += value.len() + 1;
                if mx_len > MX_LEN_MAX {
                    return Err(NotAPolicy::TooManyServers);
                }
                mx.push(pattern(value).ok_or(NotAPolicy::Field("mx"))?);
            }
            _ => {}
        }
    }
    if version != Some("STSv1") {
        return Err(NotAPolicy::Field("version"));
    }
    let mode = match mode {
        Some("enforce") => Mode::Enforce,
        Some("testing") => Mode::Testing,
        Some("none") => Mode::None,
        _ => return Err(NotAPolicy::Field("mode")),
    };
    let max_age_secs = max_age.and_then(seconds).ok_or(NotAPolicy::Field("max_age"))?;
    if mx.is_empty() && mode != Mode::None {
        return Err(NotAPolicy::Field("mx"));
    }
    Ok(Policy { mode, mx, max_age_secs })
}

/// At most ten digits; a longer time than the longest one is that one.
fn seconds(value: &str) -> Option<u64> {
    let is_number = (1..=10).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
    let seconds: u64 = value.parse().ok().filter(|_| is_number)?;
    Some(seconds.min(MAX_AGE_SECS_MAX))
}

/// A host name, or one whose first label is a wildcard, in lower case.
fn pattern(value: &str) -> Option<String> {
    let value = value.trim_end_matches('.').to_ascii_lowercase();
    domain_name::is_host(value.strip_prefix("*.").unwrap_or(&value)).then_some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "version: STSv1\nmode: enforce\nmx: Mail.Example.com\nmx: *.example.net.\nmax_age: 604800\n";

    #[test]
    fn policy_is_read_with_either_line_end() {
        let expected = Policy {
            mode: Mode::Enforce,
            mx: vec!["mail.example.com".to_owned(), "*.example.net".to_owned()],
            max_age_secs: 604_800,
        };
        for text in [
            GOOD.to_owned(),
            GOOD.replace('\n', "\r\n"),
            GOOD.trim_end().to_owned(),
            GOOD.replace(": ", ":"),
            GOOD.replace('\n', " \t\r\n\r\n"),
            format!("x-new_key.1: whatever: it says\n{GOOD}mode: none\nversion: 2\nmax_age: 1\n"),
        ] {
            assert_eq!(policy(text.as_bytes()), Ok(expected.clone()), "{text:?}");
        }
        let none = policy(b"version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n").unwrap();
        assert_eq!((none.mode, none.mx.len()), (Mode::None, 0));
    }

    #[test]
    fn longest_validity_is_a_year() {
        for (given, seconds) in [
            ("0", Some(0)),
            ("31557600", Some(31_557_600)),
            ("31557601", Some(31_557_600)),
            ("9999999999", Some(31_557_600)),
            ("99999999999999999999999", None),
            ("-1", None),
            ("+1", None),
            ("1d", None),
            ("", None),
        ] {
            let text = GOOD.replace("604800", given);
            let read = policy(text.as_bytes()).ok().map(|policy| policy.max_age_secs);
            assert_eq!(read, seconds, "{given}");
        }
    }

    #[test]
    fn text_that_is_no_policy_is_refused() {
        let many = "mx: a.example\n".repeat(MX_LEN_MAX / 10);
        for (text, error) in [
            (String::new(), NotAPolicy::Field("version")),
            ("<html>not found</html>".to_owned(), NotAPolicy::Line),
            (GOOD.replace("STSv1", "STSv2"), NotAPolicy::Field("version")),
            (GOOD.replace("enforce", "Enforce"), NotAPolicy::Field("mode")),
            (GOOD.replace("mode", "Mode"), NotAPolicy::Field("mode")),
            (GOOD.replace("mx", "my"), NotAPolicy::Field("mx")),
            (GOOD.replace("*.", "*"), NotAPolicy::Field("mx")),
            (GOOD.replace("*.", "a.*."), NotAPolicy::Field("mx")),
            (GOOD.replace("*.example.net", "192.0.2.1"), NotAPolicy::Field("mx")),
            (GOOD.replace("*.example.net", "m\u{fc}ller.example"), NotAPolicy::Field("mx")),
            (GOOD.replace('\n', "\r"), NotAPolicy::Field("version")),
            (GOOD.to_owned() + &many, NotAPolicy::TooManyServers),
        ] {
            assert_eq!(policy(text.as_bytes()), Err(error), "{text:?}");
        }
        assert_eq!(policy(b"version: STSv1\xff\n"), Err(NotAPolicy::NoText));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_the_end(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            at in 0usize..GOOD.len(),
        ) {
            let _ = policy(&bytes);
            let mut mixed = GOOD.as_bytes().to_vec();
            mixed.splice(at..at, bytes);
            if let Ok(policy) = policy(&mixed) {
                prop_assert!(policy.max_age_secs <= MAX_AGE_SECS_MAX);
                prop_assert!(policy.mx.concat().len() <= MX_LEN_MAX);
            }
        }
    }
}
