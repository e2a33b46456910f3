//! Taking leave: whoever ends a friendship owes the other's node one word, said when it is next
//! reached.

use minicbor::{Decode, Encode};

use super::{FRIENDS_MAX, FriendRow, FriendState};
use crate::clock::Timestamp;
use crate::events::Event;
use crate::identity::PersonId;
use crate::keys::PublicKey;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table, Tx};

/// How long a node that is not reached is still told, in milliseconds: thirty days.
pub const UNFOLLOW_NOTICE_MS: u64 = 30 * 24 * 60 * 60 * 1000;
/// How many are forgotten in one change.
const DROPPED_EACH: usize = 500;

/// Somebody who is a friend no longer and whose node has not heard of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfollowNotice {
    /// Who.
    pub person: PersonId,
    /// Their node's key.
    pub node: PublicKey,
    /// Where their node was reached.
    pub addresses: Vec<String>,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct UnfollowNoticeRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    node: [u8; 32],
    #[n(1)]
    addresses: Vec<String>,
    #[n(2)]
    ended: Timestamp,
}

impl Record for UnfollowNoticeRow {
    const TABLE: Table = Table::new("friends_farewells");
    const VERSION: u8 = 1;
}

/// Owes somebody a farewell, if they thought that they were a friend.
pub(super) fn add_notice(
    tx: &mut Tx<'_>,
    person: &PersonId,
    friend: &FriendRow,
    now: Timestamp,
) -> Result<(), StoreError> {
    if friend.state != FriendState::Friend {
        return Ok(());
    }
    row::put(
        tx,
        &person.0,
        &UnfollowNoticeRow { node: friend.node, addresses: friend.addresses.clone(), ended: now },
    )
}

/// Nothing is to be said to them any more.
pub(super) fn forget(tx: &mut Tx<'_>, person: &PersonId) {
    row::delete::<UnfollowNoticeRow>(tx, &person.0);
}

/// Whom federation must still tell that they are friends no longer.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn unfollow_notices(node: &Node) -> Result<Vec<UnfollowNotice>, StoreError> {
    let now = node.clock.now();
    let mut all = Vec::new();
    for (key, row) in row::scan::<UnfollowNoticeRow>(&node.store, &Scan::prefix(&[], FRIENDS_MAX))?
    {
        if now.millis_since(row.ended) >= UNFOLLOW_NOTICE_MS {
            continue;
        }
        let damaged = |_| StoreError::Corrupt {
            table: UnfollowNoticeRow::TABLE.name().to_owned(),
            key: key.clone(),
        };
        let node = PublicKey::from_ed25519(row.node).map_err(damaged)?;
        all.push(UnfollowNotice {
            person: PersonId(row::key_part(&key, 0)),
            node,
            addresses: row.addresses,
        });
    }
    Ok(all)
}

/// Forgets whom it was tried to tell for long enough, up to a number; how many they were.
///
/// # Errors
/// When the store refuses.
pub async fn drop_expired_unfollow_notices(node: &Node) -> Result<usize, StoreError> {
    let now = node.clock.now();
    let is_old = move |row: &UnfollowNoticeRow| now.millis_since(row.ended) >= UNFOLLOW_NOTICE_MS;
    if !row::scan::<UnfollowNoticeRow>(&node.store, &Scan::prefix(&[], FRIENDS_MAX))?
        .iter()
        .any(|(_, row)| is_old(row))
    {
        return Ok(0);
    }
    node.store
        .commit(move |tx| {
            let mut old = row::scan::<UnfollowNoticeRow>(tx, &Scan::prefix(&[], FRIENDS_MAX))?;
            old.retain(|(_, row)| is_old(row));
            old.truncate(DROPPED_EACH);
            for (key, _) in &old {
                row::delete::<UnfollowNoticeRow>(tx, key);
            }
            Ok(old.len())
        })
        .await
}

/// Their node has heard it.
///
/// # Errors
/// When the store refuses.
pub async fn unfollow_notice_delivered(node: &Node, person: PersonId) -> Result<(), StoreError> {
    node.store
        .commit(move |tx| {
            forget(tx, &person);
            tx.after(Event::Friends);
            Ok(())
        })
        .await
}

/// Their node says that they are a friend no longer: they stay in the list as somebody who left,
/// with all they said.
/// `false` when they were no friend.
///
/// # Errors
/// When the store refuses.
pub async fn unfollowed_by(node: &Node, person: PersonId) -> Result<bool, StoreError> {
    let now = node.clock.now();
    node.store
        .commit(move |tx| {
            let Some(friend) =
                row::get::<FriendRow>(tx, &person.0)?.filter(|f| f.state == FriendState::Friend)
            else {
                return Ok(false);
            };
            row::put(
                tx,
                &person.0,
                &FriendRow { state: FriendState::Left, since: now, last_seen: Some(now), ..friend },
            )?;
            tx.after(Event::Friends);
            Ok(true)
        })
        .await
}
