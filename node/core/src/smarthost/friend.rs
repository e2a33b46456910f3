//! The friend whose node sends the owner's mail to the world, in place of a smarthost. On disk: one
//! row.

use minicbor::{Decode, Encode};

use super::{KEY, Smarthost};
use crate::events::Event;
use crate::identity::PersonId;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{StoreError, Table, Tx};

#[derive(Encode, Decode)]
#[cbor(map)]
struct OutgoingFriendRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    person: [u8; 32],
}

impl Record for OutgoingFriendRow {
    const TABLE: Table = Table::new("smarthost_friend");
    const VERSION: u8 = 1;
}

/// The friend, if the owner has chosen one.
///
/// # Errors
/// The store's.
pub fn friend(node: &Node) -> Result<Option<PersonId>, StoreError> {
    let row = row::get::<OutgoingFriendRow>(&node.store, KEY)?;
    Ok(row.map(|row| PersonId(row.person)))
}

/// Sends the owner's mail for other domains by this person's node from now on. The caller has
/// checked that the person is a friend.
///
/// # Errors
/// The store's.
pub async fn set_friend(node: &Node, person: PersonId) -> Result<(), StoreError> {
    node.store
        .commit(move |tx: &mut Tx<'_>| {
            row::put(tx, KEY, &OutgoingFriendRow { person: person.0 })?;
            row::delete::<Smarthost>(tx, KEY);
            tx.after(Event::Smarthost);
            Ok(())
        })
        .await
}

/// Chooses nobody any more.
pub(super) fn delete(tx: &mut Tx<'_>) {
    row::delete::<OutgoingFriendRow>(tx, KEY);
}
