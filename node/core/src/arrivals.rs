//! How far what the owner says has come: at how many friends' nodes an entry is known to be durable.
//!
//! Each friend's cursor in the journal says it for all entries at once, so nothing is written per entry.

use crate::feed::{self, EntryId};
use crate::friends::{self, Friend, State};
use crate::journal;
use crate::node::Node;
use crate::store::StoreError;

/// "arrived at 37 of 41".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrivals {
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
pub fn of(node: &Node, entry: &EntryId) -> Result<Option<Arrivals>, StoreError> {
    let Some(number) = number(node, entry)? else { return Ok(None) };
    let mut arrivals = Arrivals::default();
    for friend in friends::list(node)?.into_iter().filter(|friend| friend.state == State::Friend) {
        arrivals.of += 1;
        if journal::cursor(node, &friend.person)? >= number {
            arrivals.at += 1;
        } else {
            arrivals.missing.push(friend);
        }
    }
    Ok(Some(arrivals))
}

/// The number of an entry's record, found by its time: the journal is in the order of the author's clock, which only rises.
fn number(node: &Node, entry: &EntryId) -> Result<Option<u64>, StoreError> {
    let Some((wanted, _)) = feed::opened(node, entry)? else { return Ok(None) };
    let (mut low, mut high) = (1, journal::durable_head(node)?);
    while low <= high {
        let middle = low + (high - low) / 2;
        let Some((_, record)) = journal::read(node, middle - 1, 1)?.pop() else { return Ok(None) };
        if record.entry == *entry {
            return Ok(Some(middle));
        }
        let Some((found, _)) = feed::opened(node, &record.entry)? else { return Ok(None) };
        if found.hlc < wanted.hlc { low = middle + 1 } else { high = middle - 1 }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::{Body, Lane, ProfileBody};
    use crate::identity;
    use crate::store::Tx;
    use crate::testing::TestNode;

    #[tokio::test]
    async fn each_friends_cursor_counts_for_all_entries_before_it() {
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
            said.push(alice.store.commit(move |tx: &mut Tx<'_>| feed::append(tx, &node, Lane::PUBLIC, &body)).await.unwrap());
        }
        assert_eq!(of(&alice, &said[0]).unwrap(), Some(Arrivals::default()));
        assert_eq!(of(&bob, &said[0]).unwrap(), None);
        let person = bob.identity.person().unwrap();
        let invite = friends::create_invite(&alice, "", &[]).await.unwrap();
        let from = friends::Introduction { person, node: bob.identity.node_key(), name: "Bob".into(), addresses: vec![] };
        friends::welcome(&alice, &from, invite.token).await.unwrap();
        let head = journal::durable_head(&alice).unwrap();
        journal::set_cursor(&alice, &person, head - 10).await.unwrap();
        let at = |entry| of(&alice, entry).unwrap().unwrap().at;
        assert_eq!((at(&said[0]), at(&said[9]), at(&said[10]), at(&said[19])), (1, 1, 0, 0));
        let missing = of(&alice, &said[19]).unwrap().unwrap().missing;
        assert_eq!(missing.iter().map(|friend| friend.name.as_str()).collect::<Vec<_>>(), ["Bob"]);
    }
}
