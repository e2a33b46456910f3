//! People as a page names them.

use freehold_mime::people::Person;

use super::host_names::{as_seen, honest_address};

/// Most people that are named; the rest are counted.
const NAMED_MAX: usize = 8;

/// The people in one line; empty for nobody.
pub(super) fn joined(people: &[Person]) -> String {
    let named: Vec<String> = people.iter().take(NAMED_MAX).map(person).collect();
    match people.len().saturating_sub(NAMED_MAX) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// A person by the name; with the address, if the name could be taken for another person's address
/// or for several names.
fn person(person: &Person) -> String {
    let is_unclear = as_seen(&person.name).contains(['@', ',', ';', '<']);
    if is_unclear { full(person) } else { shown(person) }
}

/// A person in a list: the name alone, or the address alone if there is no name, or one that could
/// be taken for another address.
pub(super) fn in_a_list(name: &str, address: &str) -> String {
    match name.is_empty() || claims_another_address(name, address) {
        true => honest_address(address).into_owned(),
        false => name.to_owned(),
    }
}

/// Whether a name has the form of an address, in the eyes of its reader, and is not `address`.
/// False without an address.
pub(super) fn claims_another_address(name: &str, address: &str) -> bool {
    if address.is_empty() {
        return false;
    }
    let seen = as_seen(name);
    let is_edge = |c: char| !c.is_alphanumeric();
    let mut claimed = seen
        .split(|c: char| c.is_whitespace() || "<>()[]\"“”„‘’'|,;:".contains(c))
        .filter(|word| word.contains('@') && !word.trim_matches(is_edge).is_empty());
    // A name such as `a @ b.example` has the sign alone.
    let has_lone_sign = seen.split_whitespace().any(|word| word == "@");
    has_lone_sign
        || claimed.any(|word| {
            let word = word.trim_matches(is_edge);
            !word.eq_ignore_ascii_case(address.trim_matches(is_edge))
        })
}

/// A person by name and address.
pub(super) fn full(person: &Person) -> String {
    match (person.name.is_empty(), person.address.is_empty()) {
        (false, false) => format!("“{}” {}", person.name, honest_address(&person.address)),
        _ => shown(person),
    }
}

/// The name, or the address without one.
fn shown(person: &Person) -> String {
    if person.name.is_empty() {
        honest_address(&person.address).into_owned()
    } else {
        person.name.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_that_is_another_address_is_not_shown_alone() {
        for (name, address, shown) in [
            ("Boss", "a@evil.example", "Boss"),
            ("", "a@evil.example", "a@evil.example"),
            ("boss@friend.example", "a@evil.example", "a@evil.example"),
            ("Boss <boss@friend.example>", "a@evil.example", "a@evil.example"),
            ("boss\u{ff20}friend.example", "a@evil.example", "a@evil.example"),
            ("boss\u{fe6b}friend.example", "a@evil.example", "a@evil.example"),
            ("boss\u{200b}@\u{ad}friend.example", "a@evil.example", "a@evil.example"),
            ("boss @ friend.example", "a@evil.example", "a@evil.example"),
            ("boss@ friend.example", "a@evil.example", "a@evil.example"),
            ("A@EVIL.example", "a@evil.example", "A@EVIL.example"),
            ("Amina (a@evil.example)", "a@evil.example", "Amina (a@evil.example)"),
            ("boss@friend.example", "", "boss@friend.example"),
            ("boss@friend.example", "a@p\u{430}ypal.example", "a@xn--pypal-4ve.example"),
            ("Ann, Bob; Eve", "a@evil.example", "Ann, Bob; Eve"),
        ] {
            assert_eq!(in_a_list(name, address), shown, "{name}");
        }
        let long = "a@b ".repeat(200_000);
        assert!(claims_another_address(&long, "a@evil.example"));
    }

    #[test]
    fn recipient_named_like_an_address_has_its_address() {
        let person = |name: &str| Person { name: name.into(), address: "a@b.example".into() };
        assert_eq!(joined(&[person("Ann")]), "Ann");
        let wide = joined(&[person("c\u{ff20}d.example")]);
        assert!(wide.contains("a@b.example"), "{wide}");
    }
}
