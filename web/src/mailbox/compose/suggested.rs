//! People to offer for a recipient who was typed as a word that is no address: friends, and those
//! who wrote lately.

use freehold_core::mailbox::{self, SpecialUse};

use super::form::MessageForm;
use super::recipients::{self, KnownFriend, Recipient, is_address};
use crate::mailbox::host_names::honest_address;
use crate::problem::Problem;
use crate::site::Site;

/// The most people that are offered.
const OFFERED_MAX: usize = 5;
/// How many messages of the inbox are looked at, the newest first.
const SEARCHED_MAX: usize = 200;

/// The people whose name or address begins as the first recipient of the form who is none, as the
/// field of recipients takes them; empty if all are addresses.
///
/// # Errors
/// If the store can't be read.
pub(super) fn people(
    site: &Site,
    form: &MessageForm,
    friends: &[KnownFriend],
) -> Result<Vec<String>, Problem> {
    let typed = [recipients::typed(&form.to), recipients::typed(&form.cc)].concat();
    let all = recipients::complete(typed, friends);
    let Some(word) = all.into_iter().find(|to| !is_address(&to.address)) else {
        return Ok(Vec::new());
    };
    let word = word.address.trim().to_lowercase();
    let mut found: Vec<(String, String)> = Vec::new();
    let mut offer = |name: &str, address: &str| {
        let is_known = found.iter().any(|(_, known)| known.eq_ignore_ascii_case(address));
        if found.len() < OFFERED_MAX && !is_known && is_address(address) {
            let begins = |text: &str| text.to_lowercase().starts_with(&word);
            if begins(address) || begins(name) || name.split_whitespace().any(begins) {
                let friend = KnownFriend { name: name.to_owned(), address: address.to_owned() };
                found.push((friend.typed(), address.to_owned()));
            }
        }
    };
    for friend in friends {
        offer(&friend.name, &friend.address);
    }
    if let Some(inbox) = mailbox::special_folder(&site.node, SpecialUse::Inbox)? {
        for (_, letter) in mailbox::summaries(&site.node, inbox.id, None, SEARCHED_MAX)? {
            offer(&letter.from.name, &honest_address(&letter.from.address));
        }
    }
    Ok(found.into_iter().map(|(typed, _)| typed).collect())
}

/// The form with a person in the place of the first recipient who is none.
pub(super) fn with(form: MessageForm, person: &str, friends: &[KnownFriend]) -> MessageForm {
    let Some(person) = recipients::typed(person).into_iter().next() else { return form };
    let mut form = form;
    for field in [&mut form.to, &mut form.cc] {
        let mut all = recipients::complete(recipients::typed(field), friends);
        if let Some(word) = all.iter_mut().find(|to| !is_address(&to.address)) {
            *word = person;
            *field = all.iter().map(Recipient::typed).collect::<Vec<_>>().join(", ");
            break;
        }
    }
    form
}
