//! The delivery status of an entry: at how many friends' nodes it is known to be durable.
//!
//! Each friend's cursor in the outbox covers all entries at once, so nothing is written per
//! entry.

use crate::clock::Timestamp;
use crate::feed::{self, EntryId, Kind, Lane};
use crate::friends::{self, Friend, FriendState};
use crate::node::Node;
use crate::outbox;
use crate::store::StoreError;

/// Where an entry has arrived, as in "arrived at 37 of 41".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryStatus {
    /// The number of friends whose node has the entry.
    pub at: usize,
    /// The number of friends.
    pub of: usize,
    /// Friends whose node does not have it yet.
    pub missing: Vec<Friend>,
    /// Friends whose node has it and holds it back, because by its clock the entry is from the
    /// future.
    pub held: Vec<Friend>,
}

/// The delivery status of an entry of this node; `None` for any other entry.
///
/// # Errors
/// When the store is unavailable or a row is damaged.
pub fn of(node: &Node, entry: &EntryId) -> Result<Option<DeliveryStatus>, StoreError> {
    let Some(number) = number(node, entry)? else { return Ok(None) };
    let header = feed::header_of(node, entry)?;
    let is_held_by = |friend: &Friend| {
        let friend_now = clock_of(node, friend);
        header.as_ref().is_some_and(|header| {
            header.kind != Kind::Tombstone && header.hlc.is_ahead_of(friend_now)
        })
    };
    let mut status = DeliveryStatus::default();
    for mut friend in friends::without_profiles(node)?
        .into_iter()
        .filter(|friend| friend.state == FriendState::Friend)
    {
        status.of += 1;
        let has_arrived = outbox::cursor(node, &friend.person)? >= number;
        if has_arrived && !is_held_by(&friend) {
            status.at += 1;
            continue;
        }
        friends::with_profile(node, &mut friend)?;
        if has_arrived { status.held.push(friend) } else { status.missing.push(friend) }
    }
    for friends in [&mut status.missing, &mut status.held] {
        friends.sort_by_key(|friend| friend.name.to_lowercase());
    }
    Ok(Some(status))
}

/// The time on the clock of a friend's node, as far as this node has compared it with its own.
fn clock_of(node: &Node, friend: &Friend) -> Timestamp {
    let ahead_ms = node.presence.clock_ahead_ms(&friend.person).unwrap_or_default();
    let now = node.clock.now();
    match u64::try_from(ahead_ms) {
        Ok(ahead_ms) => now.plus_millis(ahead_ms),
        Err(_) => Timestamp(now.0.saturating_sub(ahead_ms.unsigned_abs())),
    }
}

/// How many outbox records one scan reads.
const RECORDS_MAX: usize = 64;

/// The number of an entry's outbox record, by binary search. The outbox has the entries of each
/// lane in the order of their sequence numbers. Between lanes only the author's clock gives an
/// order, and it may have been wrong, so records of other lanes are skipped.
fn number(node: &Node, entry: &EntryId) -> Result<Option<u64>, StoreError> {
    let Some((log, wanted)) = feed::position(node, entry)? else { return Ok(None) };
    if log.node != node.identity.node_key() {
        return Ok(None);
    }
    let (mut low, mut high) = (1, outbox::durable_head(node)?);
    while low <= high {
        let middle = low + (high - low) / 2;
        let Some((number, found)) = next_of_lane(node, log.lane, middle, high)? else {
            high = middle - 1;
            continue;
        };
        match feed::position(node, &found)? {
            Some((_, place)) if place == wanted => return Ok((found == *entry).then_some(number)),
            Some((_, place)) if place < wanted => low = number + 1,
            Some(_) => high = middle - 1,
            None => return Ok(None),
        }
    }
    Ok(None)
}

/// The first record of a lane with a number from `from` to `to`, both included.
fn next_of_lane(
    node: &Node,
    lane: Lane,
    from: u64,
    to: u64,
) -> Result<Option<(u64, EntryId)>, StoreError> {
    let (mut after, mut limit) = (from - 1, 1);
    while after < to {
        let records = outbox::read(node, after, limit)?;
        let Some((last, _)) = records.last() else { return Ok(None) };
        after = *last;
        if let Some((number, record)) =
            records.into_iter().find(|(number, record)| record.log.lane == lane && *number <= to)
        {
            return Ok(Some((number, record.entry)));
        }
        // Nearly always the first record is one of the lane.
        limit = RECORDS_MAX;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::{Body, ProfileBody};
    use crate::identity;
    use crate::store::Tx;
    use crate::testing::{START, TestNode};

    #[tokio::test]
    async fn outbox_records_are_found_despite_clock_changes() {
        let alice = TestNode::new("alice").await;
        let mut entries = Vec::new();
        for number in 0..60u64 {
            // The clock jumps an hour ahead and back; entries of the other lane are in between.
            alice.clock.set(START.plus_millis(number + if number % 7 < 3 { 3_600_000 } else { 0 }));
            let lane = if number % 11 < 6 { Lane::CONTROL } else { Lane::PUBLIC };
            let (node, body) = (alice.clone(), Body::Profile(ProfileBody::default()));
            entries.push(
                alice
                    .store
                    .commit(move |tx: &mut Tx<'_>| feed::append_only(tx, &node, lane, &body))
                    .await
                    .unwrap(),
            );
        }
        let head = outbox::durable_head(&alice).unwrap();
        let all = outbox::read(&alice, head - 60, 60).unwrap();
        for ((expected, record), id) in all.iter().zip(&entries) {
            assert_eq!((record.entry, number(&alice, id).unwrap()), (*id, Some(*expected)));
        }
    }

    #[tokio::test]
    async fn entry_from_the_future_has_not_arrived() {
        let (alice, bob) = TestNode::pair().await;
        let bob = bob.identity.person().unwrap();
        let node = alice.clone();
        let body = Body::Profile(ProfileBody::default());
        let append = move |tx: &mut Tx<'_>| feed::append_only(tx, &node, Lane::PUBLIC, &body);
        let entry = alice.store.commit(append).await.unwrap();
        let head = outbox::durable_head(&alice).unwrap();
        outbox::set_cursor(&alice, &bob, head).await.unwrap();
        let counts = || {
            let status = of(&alice, &entry).unwrap().unwrap();
            (status.at, status.missing.len(), status.held.len())
        };
        assert_eq!(counts(), (1, 0, 0));
        // Bob's clock is ten minutes behind Alice's.
        alice.presence.set_clock(bob, -600_000, START);
        assert_eq!(counts(), (0, 0, 1));
        // Alice's clock was two days ahead and is right now.
        alice.presence.set_clock(bob, 0, START);
        alice.clock.set(Timestamp(START.0 - 2 * 86_400_000));
        assert_eq!(counts(), (0, 0, 1));
        alice.clock.set(START);
        assert_eq!(counts(), (1, 0, 0));
    }

    #[tokio::test]
    async fn cursor_of_a_friend_covers_all_earlier_entries() {
        let (alice, bob) = (TestNode::new("alice").await, TestNode::new("bob").await);
        for node in [&alice, &bob] {
            if node.identity.person().is_none() {
                identity::create(node).await.unwrap();
            }
        }
        let mut entries = Vec::new();
        for _ in 0..20 {
            let node = alice.clone();
            let body = Body::Profile(ProfileBody::default());
            entries.push(
                alice
                    .store
                    .commit(move |tx: &mut Tx<'_>| {
                        feed::append_only(tx, &node, Lane::PUBLIC, &body)
                    })
                    .await
                    .unwrap(),
            );
        }
        assert_eq!(of(&alice, &entries[0]).unwrap(), Some(DeliveryStatus::default()));
        assert_eq!(of(&bob, &entries[0]).unwrap(), None);
        let person = bob.identity.person().unwrap();
        let invite = friends::create_invite(&alice, "", &[]).await.unwrap();
        let from = friends::Introduction {
            person,
            node: bob.identity.node_key(),
            name: "Bob".into(),
            addresses: vec![],
        };
        friends::redeem_invite(&alice, &from, invite.token).await.unwrap();
        let head = outbox::durable_head(&alice).unwrap();
        outbox::set_cursor(&alice, &person, head - 10).await.unwrap();
        let at = |entry| of(&alice, entry).unwrap().unwrap().at;
        assert_eq!(
            (at(&entries[0]), at(&entries[9]), at(&entries[10]), at(&entries[19])),
            (1, 1, 0, 0)
        );
        let missing = of(&alice, &entries[19]).unwrap().unwrap().missing;
        assert_eq!(missing.iter().map(|friend| friend.name.as_str()).collect::<Vec<_>>(), ["Bob"]);
    }
}
