//! Unfollow notices: a node that ends a friendship sends one notice to the other node when it next
//! reaches it.

use minicbor::{Decode, Encode};

use super::{FRIENDS_MAX, FriendRow, FriendState};
use crate::clock::Timestamp;
use crate::events::Event;
use crate::identity::PersonId;
use crate::keys::PublicKey;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table, Tx};

/// The lifetime of a notice to a node that is not reached, in milliseconds: 30 days.
pub const UNFOLLOW_NOTICE_MS: u64 = 30 * 24 * 60 * 60 * 1000;
/// Notices deleted in one change, at most.
const DELETED_EACH: usize = 500;

/// A notice to a former friend's node that is not delivered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfollowNotice {
    /// The former friend.
    pub person: PersonId,
    /// The key of their node.
    pub node: PublicKey,
    /// The last known addresses of their node.
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

/// Adds a notice, if the person was a friend.
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

/// Deletes the notice to a person.
pub(super) fn delete_notice(tx: &mut Tx<'_>, person: &PersonId) {
    row::delete::<UnfollowNoticeRow>(tx, &person.0);
}

/// The notices that federation must still deliver.
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

/// Deletes expired notices, up to a limit per call; returns their number.
///
/// # Errors
/// When the store refuses.
pub async fn drop_expired_unfollow_notices(node: &Node) -> Result<usize, StoreError> {
    let now = node.clock.now();
    let is_expired =
        move |row: &UnfollowNoticeRow| now.millis_since(row.ended) >= UNFOLLOW_NOTICE_MS;
    if !row::scan::<UnfollowNoticeRow>(&node.store, &Scan::prefix(&[], FRIENDS_MAX))?
        .iter()
        .any(|(_, row)| is_expired(row))
    {
        return Ok(0);
    }
    node.store
        .commit(move |tx| {
            let mut expired = row::scan::<UnfollowNoticeRow>(tx, &Scan::prefix(&[], FRIENDS_MAX))?;
            expired.retain(|(_, row)| is_expired(row));
            expired.truncate(DELETED_EACH);
            for (key, _) in &expired {
                row::delete::<UnfollowNoticeRow>(tx, key);
            }
            Ok(expired.len())
        })
        .await
}

/// Records that a person's node has received the notice.
///
/// # Errors
/// When the store refuses.
pub async fn unfollow_notice_delivered(node: &Node, person: PersonId) -> Result<(), StoreError> {
    node.store
        .commit(move |tx| {
            delete_notice(tx, &person);
            tx.after(Event::Friends);
            Ok(())
        })
        .await
}

/// Records a notice from a friend's node: the friend becomes [`FriendState::Left`], and their
/// entries stay. `false` when the person was no friend.
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
