//! How far what the owner says has come: at how many friends' nodes an entry is known to be
//! durable.
//!
//! Each friend's cursor in the journal says it for all entries at once, so nothing is written per
//! entry.

use crate::feed::{self, EntryId, Lane};
use crate::friends::{self, Friend, FriendState};
use crate::node::Node;
use crate::outbox;
use crate::store::StoreError;

/// "arrived at 37 of 41".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryStatus {
    /// Friends whose node holds the entry.
    pub at: usize,
    /// Friends there are.
    pub of: usize,
    /// Friends whose node does not hold it yet.
    pub missing: Vec<Friend>,
}

/// How far an own entry has come; `None` for an entry that is not the owner's.
///
/// # Errors
/// When the store is unavailable or a row is damaged.
pub fn of(node: &Node, entry: &EntryId) -> Result<Option<DeliveryStatus>, StoreError> {
    let Some(number) = number(node, entry)? else { return Ok(None) };
    let mut arrivals = DeliveryStatus::default();
    for mut friend in friends::without_profiles(node)?
        .into_iter()
        .filter(|friend| friend.state == FriendState::Friend)
    {
        arrivals.of += 1;
        if outbox::cursor(node, &friend.person)? >= number {
            arrivals.at += 1;
        } else {
            friends::with_profile(node, &mut friend)?;
            arrivals.missing.push(friend);
        }
    }
    arrivals.missing.sort_by_key(|friend| friend.name.to_lowercase());
    Ok(Some(arrivals))
}

/// Journal records read in one go.
const RECORDS_MAX: usize = 64;

/// The number of an entry's record. The journal has each lane's entries in the order of their
/// places; of two lanes nothing is known but the author's clock, which may have been wrong, so
/// records of other lanes are passed over.
fn number(node: &Node, entry: &EntryId) -> Result<Option<u64>, StoreError> {
    let Some((log, wanted)) = feed::place(node, entry)? else { return Ok(None) };
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
        match feed::place(node, &found)? {
            Some((_, place)) if place == wanted => return Ok((found == *entry).then_some(number)),
            Some((_, place)) if place < wanted => low = number + 1,
            Some(_) => high = middle - 1,
            None => return Ok(None),
        }
    }
    Ok(None)
}

/// The first record of a lane with a number between these, both included.
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
        // Nearly always the first is of the lane.
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
    async fn outbox_records_are_found_after_clock_jumps() {
        let alice = TestNode::new("alice").await;
        let mut said = Vec::new();
        for number in 0..60u64 {
            // Now and then an hour ahead, and back again; what is said in the other lane lies in
            // between.
            alice.clock.set(START.plus_millis(number + if number % 7 < 3 { 3_600_000 } else { 0 }));
            let lane = if number % 11 < 6 { Lane::CONTROL } else { Lane::PUBLIC };
            let (node, body) = (alice.clone(), Body::Profile(ProfileBody::default()));
            said.push(
                alice
                    .store
                    .commit(move |tx: &mut Tx<'_>| feed::append_only(tx, &node, lane, &body))
                    .await
                    .unwrap(),
            );
        }
        let head = outbox::durable_head(&alice).unwrap();
        let all = outbox::read(&alice, head - 60, 60).unwrap();
        for ((expected, record), id) in all.iter().zip(&said) {
            assert_eq!((record.entry, number(&alice, id).unwrap()), (*id, Some(*expected)));
        }
    }

    #[tokio::test]
    async fn cursor_of_friend_covers_all_earlier_entries() {
        let (alice, bob) = (TestNode::new("alice").await, TestNode::new("bob").await);
        for node in [&alice, &bob] {
            if node.identity.person().is_none() {
                identity::create(node).await.unwrap();
            }
        }
        let mut said = Vec::new();
        for _ in 0..20 {
            let node = alice.clone();
            let body = Body::Profile(ProfileBody::default());
            said.push(
                alice
                    .store
                    .commit(move |tx: &mut Tx<'_>| {
                        feed::append_only(tx, &node, Lane::PUBLIC, &body)
                    })
                    .await
                    .unwrap(),
            );
        }
        assert_eq!(of(&alice, &said[0]).unwrap(), Some(DeliveryStatus::default()));
        assert_eq!(of(&bob, &said[0]).unwrap(), None);
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
        assert_eq!((at(&said[0]), at(&said[9]), at(&said[10]), at(&said[19])), (1, 1, 0, 0));
        let missing = of(&alice, &said[19]).unwrap().unwrap().missing;
        assert_eq!(missing.iter().map(|friend| friend.name.as_str()).collect::<Vec<_>>(), ["Bob"]);
    }
}
