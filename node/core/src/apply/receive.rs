//! Entries from another node, verified and stored in parts that each fit one commit.

use std::sync::Arc;

use super::apply;
use crate::feed::{self, RECEIVE_MAX, RawEntry, Received, Refused};
use crate::friends;
use crate::identity::PersonId;
use crate::node::Node;
use crate::shares::{self, Allowance, Limit, Share};
use crate::store::{StoreError, Tx};

/// The share of each friend per day: 256 MiB on the disk and 2,000 entries, years of a diligent
/// writer. The rest is stored on the next days.
pub const ENTRIES_PER_DAY: Limit = Limit { bytes: 256 << 20, count: 2000 };

/// The share that entries from the node of this person are charged to.
pub fn entries_allowance(from: PersonId) -> Allowance {
    Allowance { share: Share::Entries(from), limit: ENTRIES_PER_DAY }
}

/// Verifies and stores the entries that a peer sent, in order, each part of the batch durable
/// before the next. `from` is the person whose node the connection has proved.
///
/// An attacker gets: a batch with one bad entry is refused whole, and nothing of a stranger is
/// stored. Signatures are verified before the commit.
///
/// # Errors
/// Why the batch is refused. The parts before a refused part stay, since each was verified on its
/// own; sending them again is harmless.
pub async fn receive(
    node: &Node,
    from: PersonId,
    entries: Vec<RawEntry>,
) -> Result<Received, Refused> {
    if entries.len() > RECEIVE_MAX {
        return Err(Refused::TooMany(entries.len()));
    }
    let own = node.identity.person();
    let may_author =
        |person: &PersonId| Ok(own == Some(*person) || friends::is_friend(node, person)?);
    if !may_author(&from)? {
        return Err(Refused::NotAFriend(from));
    }
    let mut done = Received::default();
    let mut batch = feed::verify(node, &entries, &mut done.voided, may_author)?;
    while let Some(part) = batch.next_part() {
        let (inside, taking, authors) = (node.clone(), part.clone(), batch.authors());
        let take = move |tx: &mut Tx<'_>| {
            let may_author = |tx: &Tx<'_>, person: &PersonId| {
                Ok(own == Some(*person) || friends::is_friend_in(tx, person)?)
            };
            let taken = feed::take_all(tx, &inside, &taking, &authors, may_author)?;
            let Some((received, changes)) = taken else { return Ok(None) };
            apply(tx, &inside, changes)?;
            charge(tx, &inside, own, from, &received)?;
            Ok(Some(received))
        };
        match node.store.commit(take).await {
            Ok(Some(received)) => done.add(received),
            // An author's identity log has changed meanwhile, so the rest is verified again.
            Ok(None) => batch = verify_again(node, &part, &batch, &mut done.voided, may_author)?,
            // The part writes more rows than was estimated: its halves are taken one by one.
            Err(Refused::Store(StoreError::TooLarge { .. })) if part.len() > 1 => {
                batch.put_back_halved(&part);
            }
            Err(refused) => return Err(refused),
        }
    }
    Ok(done)
}

/// Charges a part to the share of the friend who sent it. Known entries write nothing and cost
/// nothing. The proof of a fork is always taken.
fn charge(
    tx: &mut Tx<'_>,
    node: &Node,
    own: Option<PersonId>,
    from: PersonId,
    received: &Received,
) -> Result<(), Refused> {
    let (now, allowance, cost) = (node.clock.now(), entries_allowance(from), shares::cost(tx, &[]));
    if cost == 0 || own == Some(from) {
        return Ok(());
    }
    let may_wait = received.accepted > 0 || (received.known > 0 && received.forked.is_empty());
    if may_wait && !shares::has_room(tx, now, &allowance)? {
        return Err(Refused::ShareUsedUp);
    }
    Ok(shares::charge(tx, now, &allowance, cost, received.accepted as u64)?)
}

fn verify_again(
    node: &Node,
    part: &Arc<Vec<feed::VerifiedEntry>>,
    batch: &feed::Batch,
    voided: &mut usize,
    may_author: impl Fn(&PersonId) -> Result<bool, StoreError>,
) -> Result<feed::Batch, Refused> {
    let rest: Vec<RawEntry> =
        part.iter().map(|entry| entry.raw().clone()).chain(batch.rest()).collect();
    feed::verify(node, &rest, voided, may_author)
}
