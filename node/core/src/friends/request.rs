//! The inviting side: a token makes its bearer a friend at once; without a token the owner decides.

use minicbor::{Decode, Encode};

use super::{FRIENDS_MAX, Friend, FriendRow, FriendState, Introduction, invite, unfollow};
use crate::clock::Timestamp;
use crate::events::Event;
use crate::identity::PersonId;
use crate::keys::PublicKey;
use crate::node::Node;
use crate::row::{self, Record, cut};
use crate::store::{Scan, StoreError, Table, Tx};

/// The longest note of a request, in bytes.
pub(super) const NOTE_LEN_MAX: usize = 500;
/// Open requests, at most; further ones are refused until some are answered.
const REQUESTS_MAX: usize = 200;
/// The lifetime of a request, in milliseconds: 30 days. The person may send another one later.
pub const REQUEST_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// Why a person did not become a friend. Their node gets a refusal without the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BefriendError {
    /// The token is unknown, was used or has expired.
    #[error("that invite is not good any more")]
    BadToken,
    /// The owner has blocked the person, or the person is the owner.
    #[error("the owner refuses requests of this person")]
    Refused,
    /// There are too many open requests or too many friends.
    #[error("too many are waiting")]
    TooMany,
    /// There is no request of that person.
    #[error("there is no such request")]
    NoSuchRequest,
    /// The store's own error.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// A request to become friends, without an invite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FriendRequest {
    /// The person, as their node introduces them.
    pub from: Introduction,
    /// A note of the person; plain text.
    pub note: String,
    /// The time it was received.
    pub received: Timestamp,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct RequestRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    node: [u8; 32],
    #[n(1)]
    name: String,
    #[n(2)]
    addresses: Vec<String>,
    #[n(3)]
    note: String,
    #[n(4)]
    received: Timestamp,
}

impl Record for RequestRow {
    const TABLE: Table = Table::new("friends_requests");
    const VERSION: u8 = 1;
}

impl RequestRow {
    fn is_expired(&self, now: Timestamp) -> bool {
        now.millis_since(self.received) >= REQUEST_MS
    }

    fn introduction(self, person: PersonId) -> Result<Introduction, StoreError> {
        let damaged = |_| StoreError::Corrupt {
            table: Self::TABLE.name().to_owned(),
            key: person.0.to_vec(),
        };
        let node = PublicKey::from_ed25519(self.node).map_err(damaged)?;
        Ok(Introduction { person, node, name: self.name, addresses: self.addresses })
    }
}

/// Makes the bearer of a valid token a friend and deletes the token, in the same commit.
///
/// A friend stays a friend, with any token, and a valid token is deleted too: a node that lost the
/// answer sends its token again.
///
/// # Errors
/// When the token is not valid or the person is blocked.
pub async fn redeem_invite(
    node: &Node,
    from: &Introduction,
    token: [u8; 16],
) -> Result<Friend, BefriendError> {
    let (own, now, person) = (node.identity.person(), node.clock.now(), from.person);
    let row = FriendRow { last_seen: Some(now), ..FriendRow::new(from, FriendState::Friend, now) };
    node.store
        .commit(move |tx| {
            let known = row::get::<FriendRow>(tx, &person.0)?;
            if own == Some(person)
                || known.as_ref().is_some_and(|friend| friend.state == FriendState::Blocked)
            {
                return Err(BefriendError::Refused);
            }
            let is_valid = invite::consume(tx, &token, now)?;
            match known {
                Some(friend) if friend.state == FriendState::Friend && friend.node == row.node => {
                    return Ok(friend.into_friend(person)?);
                }
                _ if !is_valid => return Err(BefriendError::BadToken),
                _ => {}
            }
            make_friends(tx, person, &row)?;
            Ok(row.into_friend(person)?)
        })
        .await
}

fn make_friends(
    tx: &mut Tx<'_>,
    person: PersonId,
    friend: &FriendRow,
) -> Result<(), BefriendError> {
    let is_known = tx.get(FriendRow::TABLE, &person.0)?.is_some();
    if !is_known && tx.scan(FriendRow::TABLE, &Scan::prefix(&[], FRIENDS_MAX))?.len() >= FRIENDS_MAX
    {
        return Err(BefriendError::TooMany);
    }
    row::put(tx, &person.0, friend)?;
    row::delete::<RequestRow>(tx, &person.0);
    unfollow::delete_notice(tx, &person);
    tx.after(Event::Friends);
    Ok(())
}

/// Stores a request for the owner to answer; it replaces an earlier one of the same person. A
/// person whose invite the owner has accepted becomes a friend at once; that is the result `true`.
///
/// # Errors
/// When the person is blocked, or there are too many open requests.
pub async fn receive_request(
    node: &Node,
    from: &Introduction,
    note: &str,
) -> Result<bool, BefriendError> {
    let (own, now, from) = (node.identity.person(), node.clock.now(), from.bounded());
    let note: String = note.chars().filter(|c| !c.is_control() || *c == '\n').collect();
    let note = cut(note.trim(), NOTE_LEN_MAX).to_owned();
    node.store
        .commit(move |tx| {
            let person = from.person;
            let known = row::get::<FriendRow>(tx, &person.0)?;
            match known {
                _ if own == Some(person) => return Err(BefriendError::Refused),
                Some(friend) if friend.state == FriendState::Blocked => {
                    return Err(BefriendError::Refused);
                }
                Some(friend) if friend.state == FriendState::Friend => return Ok(true),
                Some(friend)
                    if friend.state == FriendState::Requested
                        && friend.node == *from.node.as_bytes() =>
                {
                    make_friends(
                        tx,
                        person,
                        &FriendRow {
                            last_seen: Some(now),
                            ..FriendRow::new(&from, FriendState::Friend, now)
                        },
                    )?;
                    return Ok(true);
                }
                _ => {}
            }
            let mut open = 0;
            for (key, row) in row::scan::<RequestRow>(tx, &Scan::prefix(&[], REQUESTS_MAX))? {
                // Expired requests are deleted when a new one arrives, so no timer is needed.
                if row.is_expired(now) {
                    row::delete::<RequestRow>(tx, &key);
                } else if key != person.0 {
                    open += 1;
                }
            }
            if open >= REQUESTS_MAX {
                return Err(BefriendError::TooMany);
            }
            let node = *from.node.as_bytes();
            let row = RequestRow {
                node,
                name: from.name,
                addresses: from.addresses,
                note,
                received: now,
            };
            row::put(tx, &person.0, &row)?;
            tx.after(Event::Friends);
            Ok(false)
        })
        .await
}

/// The open requests, the oldest first.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn requests(node: &Node) -> Result<Vec<FriendRequest>, StoreError> {
    let mut all = Vec::new();
    let now = node.clock.now();
    for (key, row) in row::scan::<RequestRow>(&node.store, &Scan::prefix(&[], REQUESTS_MAX))? {
        if row.is_expired(now) {
            continue;
        }
        let (note, received) = (row.note.clone(), row.received);
        all.push(FriendRequest {
            from: row.introduction(PersonId(row::key_part(&key, 0)))?,
            note,
            received,
        });
    }
    all.sort_by_key(|request| request.received);
    Ok(all)
}

/// Accepts a request: the person becomes a friend. Federation informs their node.
///
/// # Errors
/// When there is no open request of that person.
pub async fn accept_request(node: &Node, person: PersonId) -> Result<Friend, BefriendError> {
    let now = node.clock.now();
    node.store
        .commit(move |tx| {
            let request =
                row::get::<RequestRow>(tx, &person.0)?.filter(|request| !request.is_expired(now));
            let request = request.ok_or(BefriendError::NoSuchRequest)?;
            let row = FriendRow::new(&request.introduction(person)?, FriendState::Friend, now);
            make_friends(tx, person, &row)?;
            Ok(row.into_friend(person)?)
        })
        .await
}

/// Deletes a request. Their node is not informed.
///
/// # Errors
/// When the store refuses.
pub async fn reject_request(node: &Node, person: PersonId) -> Result<(), StoreError> {
    node.store
        .commit(move |tx| {
            row::delete::<RequestRow>(tx, &person.0);
            tx.after(Event::Friends);
            Ok(())
        })
        .await
}

pub(super) fn delete_request(tx: &mut Tx<'_>, person: &PersonId) {
    row::delete::<RequestRow>(tx, &person.0);
}
