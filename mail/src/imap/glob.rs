//! The wildcards of LIST (RFC 3501 6.3.8), matched in time proportional to the product of both
//! lengths.

/// True if `name` matches `pattern`: `*` matches any text, `%` any text without the hierarchy
/// delimiter `/`. INBOX matches in any case, also as the first level of a name.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let inbox = name.get(..5).is_some_and(|head| head.eq_ignore_ascii_case("INBOX"))
        && matches!(name.as_bytes().get(5), None | Some(b'/'));
    if inbox && pattern.get(..5).is_some_and(|head| head.eq_ignore_ascii_case("INBOX")) {
        return run(pattern.get(5..).unwrap_or(""), name.get(5..).unwrap_or(""));
    }
    run(pattern, name)
}

/// Tracks the set of reachable pattern positions, one octet of the name at a time. The cost is at
/// most the product of both lengths.
fn run(pattern: &str, name: &str) -> bool {
    let pattern = pattern.as_bytes();
    let mut here = vec![false; pattern.len().saturating_add(1)];
    if let Some(first) = here.first_mut() {
        *first = true;
    }
    close(pattern, &mut here);
    for byte in name.bytes() {
        let mut next = vec![false; here.len()];
        for (at, symbol) in pattern.iter().enumerate() {
            if here.get(at) != Some(&true) {
                continue;
            }
            let to = match symbol {
                b'*' => Some(at),
                b'%' if byte != b'/' => Some(at),
                b'%' => None,
                literal if *literal == byte => Some(at.saturating_add(1)),
                _ => None,
            };
            if let Some(slot) = to.and_then(|to| next.get_mut(to)) {
                *slot = true;
            }
        }
        close(pattern, &mut next);
        here = next;
    }
    here.last() == Some(&true)
}

/// A wildcard may match nothing: a position before it also reaches the position after it.
fn close(pattern: &[u8], here: &mut [bool]) {
    for (at, symbol) in pattern.iter().enumerate() {
        if matches!(symbol, b'*' | b'%')
            && here.get(at) == Some(&true)
            && let Some(slot) = here.get_mut(at.saturating_add(1))
        {
            *slot = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_wildcard_stops_at_the_delimiter() {
        for (pattern, name, holds) in [
            ("*", "a/b/c", true),
            ("%", "a", true),
            ("%", "a/b", false),
            ("a/%", "a/b", true),
            ("%/b", "a/b", true),
            ("a*c", "a/b/c", true),
            ("", "", true),
            ("", "a", false),
            ("inbox", "INBOX", true),
            ("inb*", "INBOX", false),
            ("inbox/%", "INBOX/x", true),
            ("inboxes", "INBOX", false),
            ("Entw*", "Entwürfe", true),
        ] {
            assert_eq!(matches(pattern, name), holds, "{pattern} {name}");
        }
    }

    #[test]
    fn hostile_pattern_has_bounded_cost() {
        let pattern = "*a".repeat(500) + "b";
        assert!(!matches(&pattern, &"a".repeat(500)));
    }
}
