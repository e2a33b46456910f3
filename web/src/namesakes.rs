//! People whose names look alike. A friend chooses their own name, and may choose another friend's.

use std::collections::HashMap;

use freehold_core::friends;
use freehold_core::identity::PersonId;
use freehold_core::names;
use unicode_normalization::UnicodeNormalization;
use unicode_security::confusable_detection::skeleton;

use crate::problem::Problem;
use crate::site::Site;

/// The people that the owner may take for one another: themselves, friends, and who asks to be one.
#[derive(Default)]
pub(crate) struct Namesakes(HashMap<String, Vec<PersonId>>);

impl Namesakes {
    /// Reads the names of all these people.
    pub(crate) fn read(site: &Site) -> Result<Self, Problem> {
        let mut namesakes = Self::default();
        if let (Some(person), Some(profile)) = (site.node.identity.person(), site.profile()?) {
            namesakes.add(&profile.name, person);
        }
        for friend in friends::list(&site.node)? {
            namesakes.add(&friend.name, friend.person);
        }
        for request in friends::requests(&site.node)? {
            namesakes.add(&request.from.name, request.from.person);
        }
        Ok(namesakes)
    }

    fn add(&mut self, name: &str, person: PersonId) {
        for key in keys(name) {
            self.0.entry(key).or_default().push(person);
        }
    }

    /// The beginning of the person's id, if somebody else's name looks like theirs.
    pub(crate) fn mark_of(&self, name: &str, person: &PersonId) -> Option<String> {
        let mut alike = keys(name).into_iter().filter_map(|key| self.0.get(&key)).flatten();
        alike.any(|other| other != person).then(|| person.short())
    }
}

/// Two names that look the same have one of these in common (UTS 39 4): what is seen of a name, as
/// it is and in lower case.
fn keys(name: &str) -> [String; 2] {
    let is_seen = |c: &char| !c.is_whitespace() && !names::is_invisible(*c);
    let seen: String = name.nfkc().filter(is_seen).collect();
    [skeleton(&seen).collect(), skeleton(&seen.to_lowercase()).collect()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_are_marked() {
        let (bob, other) = (PersonId([1; 32]), PersonId([2; 32]));
        for (name, same) in [
            ("Bob", "Bob"),
            ("Bob", "bob"),
            ("Bob Hill", "BobHill"),
            ("Bob", "B\u{200d}ob"),
            ("Bob", "B\u{43e}b"),
            ("Bob", "Ｂｏｂ"),
            ("André", "Andre\u{301}"),
            ("Illia", "lllia"),
        ] {
            let mut people = Namesakes::default();
            people.add(name, bob);
            people.add("Carol", PersonId([3; 32]));
            assert_eq!(people.mark_of(name, &bob), None);
            people.add(same, other);
            assert_eq!(people.mark_of(name, &bob), Some(bob.short()), "{name} {same}");
            assert_eq!(people.mark_of(same, &other), Some(other.short()), "{name} {same}");
            assert_eq!(people.mark_of("Carol", &PersonId([3; 32])), None);
        }
        let mut people = Namesakes::default();
        people.add("Bob", bob);
        people.add("Rob", other);
        assert_eq!(people.mark_of("Bob", &bob), None);
    }
}
