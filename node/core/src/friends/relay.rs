//! Friends as outgoing hosts: the friends whose mail this node sends to the world, and the friend
//! whose node sends the owner's.

use super::{FriendRow, FriendState, is_friend};
use crate::events::Event;
use crate::identity::PersonId;
use crate::node::Node;
use crate::row;
use crate::smarthost;
use crate::store::StoreError;

/// Why a friend's node does not become the outgoing host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutgoingFriendError {
    /// The person is no friend.
    #[error("only the node of a friend can send your mail")]
    NotFriends,
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Sets whether this node sends a friend's mail to the world; false if the person is no friend. It
/// ends with the friendship.
///
/// # Errors
/// When the store refuses.
pub async fn set_relayed(
    node: &Node,
    person: PersonId,
    is_relayed: bool,
) -> Result<bool, StoreError> {
    node.store
        .commit(move |tx| {
            let row = row::get::<FriendRow>(tx, &person.0)?;
            let Some(row) = row.filter(|row| row.state == FriendState::Friend) else {
                return Ok(false);
            };
            row::put(tx, &person.0, &FriendRow { is_relayed: is_relayed.then_some(true), ..row })?;
            tx.after(Event::Friends);
            Ok(true)
        })
        .await
}

/// Whether this node sends the person's mail to the world.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn is_relayed(node: &Node, person: &PersonId) -> Result<bool, StoreError> {
    let row = row::get::<FriendRow>(&node.store, &person.0)?;
    Ok(row.is_some_and(|row| row.state == FriendState::Friend && row.is_relayed == Some(true)))
}

/// Sends the owner's mail for other domains by this friend's node from now on, and by no smarthost.
/// Whether that node does it, its owner decides.
///
/// # Errors
/// As [`OutgoingFriendError`].
pub async fn send_by(node: &Node, person: PersonId) -> Result<(), OutgoingFriendError> {
    if !is_friend(node, &person)? {
        return Err(OutgoingFriendError::NotFriends);
    }
    Ok(smarthost::set_friend(node, person).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::friends::{block, remove, unblock};
    use crate::smarthost::Smarthost;
    use crate::testing::TestNode;

    #[tokio::test]
    async fn relaying_ends_with_the_friendship() {
        let (alice, bob) = TestNode::pair().await;
        let person = bob.identity.person().unwrap();
        assert!(!is_relayed(&alice, &person).unwrap(), "nobody is at first");
        for ends in [true, false] {
            assert!(set_relayed(&alice, person, true).await.unwrap());
            assert!(is_relayed(&alice, &person).unwrap());
            match ends {
                true => remove(&alice, person).await.unwrap(),
                false => assert!(block(&alice, person).await.unwrap()),
            }
            assert!(!is_relayed(&alice, &person).unwrap());
            assert!(!set_relayed(&alice, person, true).await.unwrap());
            if !ends {
                unblock(&alice, person).await.unwrap();
            }
            remove(&bob, alice.identity.person().unwrap()).await.unwrap();
            alice.make_friends(&bob).await;
            assert!(!is_relayed(&alice, &person).unwrap(), "a new friendship begins without it");
        }
        assert!(set_relayed(&alice, person, true).await.unwrap());
        assert!(set_relayed(&alice, person, false).await.unwrap());
        assert!(!is_relayed(&alice, &person).unwrap());
    }

    #[tokio::test]
    async fn outgoing_friend_and_smarthost_replace_each_other() {
        let (alice, bob) = TestNode::pair().await;
        let person = bob.identity.person().unwrap();
        send_by(&alice, person).await.unwrap();
        assert_eq!(smarthost::friend(&alice).unwrap(), Some(person));
        let smarthost = Smarthost::new("smtp.example.com", "ruth", "x").unwrap();
        smarthost::set(&alice, smarthost).await.unwrap();
        assert_eq!(smarthost::friend(&alice).unwrap(), None);
        send_by(&alice, person).await.unwrap();
        assert_eq!(smarthost::get(&alice).unwrap(), None);
        smarthost::remove(&alice).await.unwrap();
        assert_eq!(smarthost::friend(&alice).unwrap(), None);
        let nobody = send_by(&alice, PersonId([9; 32])).await;
        assert_eq!(nobody, Err(OutgoingFriendError::NotFriends));
    }
}
