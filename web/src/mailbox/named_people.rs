//! People as a page names them.

use freehold_mime::people::Person;

use super::host_names::honest_address;

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
    if person.name.contains(['@', ',', ';', '<']) { full(person) } else { shown(person) }
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
