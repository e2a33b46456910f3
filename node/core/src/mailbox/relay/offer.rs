//! Whether a message that a friend's node offers is sent on.

use super::{
    RelayRefusal, RelayVerdict, WaitingRow, key, mail_allowance, recipients_allowance, verdict,
};
use crate::aliases;
use crate::domain_name;
use crate::friends;
use crate::identity::PersonId;
use crate::mailbox::from_friend::check_author;
use crate::mailbox::queue::{Outbound, is_address, outbound};
use crate::node::Node;
use crate::profile;
use crate::row;
use crate::shares::{self, Reservation};
use crate::store::StoreError;

/// Why a message may come later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayPause {
    /// Its signature is being checked.
    Checking,
    /// The friend's share of the day is used up.
    OverLimit,
}

/// The answer to an offer.
#[derive(Debug)]
pub enum Offered {
    /// It was decided before, or can't be sent on.
    Decided(RelayVerdict),
    /// Not now.
    Later(RelayPause),
    /// The text is wanted.
    Wanted {
        /// The places of the recipients to whom it is not sent from here.
        refused: Vec<u16>,
        /// The part of the friend's share that it holds until it is stored.
        reservation: Reservation,
    },
}

impl From<RelayRefusal> for Offered {
    fn from(refusal: RelayRefusal) -> Self {
        Self::Decided(RelayVerdict::Refused(refusal))
    }
}

/// Judges the offer of a message of `size` bytes with this id. Blocks.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn offered(
    node: &Node,
    (person, id): (PersonId, &[u8; 16]),
    sender: &str,
    recipients: &[String],
    size: u64,
) -> Result<Offered, StoreError> {
    if let Some(known) = verdict(node, &person, id)? {
        return Ok(Offered::Decided(known));
    }
    if row::get::<WaitingRow>(&node.store, &key(&person, id).0.0)?.is_some() {
        return Ok(Offered::Later(RelayPause::Checking));
    }
    if !friends::is_relayed(node, &person)? {
        return Ok(RelayRefusal::NotAllowed.into());
    }
    match outbound(node)? {
        Outbound::Direct | Outbound::Smarthost(_) => {}
        // A friend's friend did not agree to send it.
        Outbound::Friend(_) | Outbound::None => return Ok(RelayRefusal::NoRoute.into()),
    }
    if !sender.is_empty()
        && let Err(error) = check_author(node, &person, sender)
    {
        return match super::RelayError::from(error) {
            super::RelayError::Refused(refusal) => Ok(refusal.into()),
            super::RelayError::Store(error) => Err(error),
        };
    }
    let mut refused = Vec::new();
    for (place, address) in (0u16..).zip(recipients) {
        if !is_sent_from_here(node, &person, address)? {
            refused.push(place);
        }
    }
    let count = recipients.len().saturating_sub(refused.len()) as u64;
    if count == 0 {
        return Ok(RelayRefusal::NoRecipient.into());
    }
    let now = node.clock.now();
    let (mail, people) = (mail_allowance(person), recipients_allowance(person));
    let mut reservation = Reservation::new(&node.arriving, vec![mail]);
    let has_room = shares::has_room_for(&node.store, now, &mail, 1)?
        && shares::has_room_for(&node.store, now, &people, count)?
        && reservation.grow(&node.store, now, size)?.is_ok();
    Ok(match has_room {
        true => Offered::Wanted { refused, reservation },
        false => Offered::Later(RelayPause::OverLimit),
    })
}

/// Whether a friend's mail goes to `address` from here: to public domains, but not back to the
/// friend, which would be a loop; and to the owner.
fn is_sent_from_here(node: &Node, person: &PersonId, address: &str) -> Result<bool, StoreError> {
    if !is_address(address) {
        return Ok(false);
    }
    if aliases::accepts(node, address)? {
        return Ok(true);
    }
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    let is_own = profile::get(node)?.is_some_and(|own| domain_name::is_same(&own.domain, domain));
    let is_public =
        domain_name::ascii(domain).is_some_and(|domain| !domain_name::is_special_use(&domain));
    Ok(is_public && !is_own && friends::mail_friend(node, address)? != Some(*person))
}
