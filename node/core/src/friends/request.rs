//! The side that is asked: with a token somebody is welcome at once, without one the owner decides.

use minicbor::{Decode, Encode};

use super::{
    FRIENDS_MAX, Friend, FriendRow, FriendState, Introduction, NOTE_LEN_MAX, invite, unfollow,
};
use crate::clock::Timestamp;
use crate::events::Event;
use crate::identity::PersonId;
use crate::keys::PublicKey;
use crate::node::Node;
use crate::row::{self, Record, cut};
use crate::store::{Scan, StoreError, Table, Tx};

/// How many requests wait at most; further ones are refused until some are answered.
const REQUESTS_MAX: usize = 200;
/// How long a request waits, in milliseconds: thirty days. Whoever still wants to be a friend may
/// ask again.
pub const REQUEST_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// Why somebody was not let in. Their node is told no more than "no".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BefriendError {
    /// The token was never given out, was used or has expired.
    #[error("that invite is not good any more")]
    BadToken,
    /// The owner has blocked them, or it is oneself.
    #[error("not welcome")]
    Refused,
    /// Too many requests wait, or there are too many friends.
    #[error("too many are waiting")]
    TooMany,
    /// Nobody of that name has asked.
    #[error("there is no such request")]
    NoSuchRequest,
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Somebody who wants to be a friend and has no invite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who, as they introduce themselves.
    pub from: Introduction,
    /// What they say; plain text.
    pub note: String,
    /// When.
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
    fn is_over(&self, now: Timestamp) -> bool {
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

/// Makes whoever brings a good token a friend; the token ends with it, in the same commit.
///
/// Somebody who is a friend already is one still, and their token, if good, ends too: an answer
/// that was lost is asked again.
///
/// # Errors
/// When the token is not good or they are blocked.
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
            let is_good = invite::consume(tx, &token, now)?;
            match known {
                Some(friend) if friend.state == FriendState::Friend && friend.node == row.node => {
                    return Ok(friend.shown(person)?);
                }
                _ if !is_good => return Err(BefriendError::BadToken),
                _ => {}
            }
            befriend(tx, person, &row)?;
            Ok(row.shown(person)?)
        })
        .await
}

fn befriend(tx: &mut Tx<'_>, person: PersonId, friend: &FriendRow) -> Result<(), BefriendError> {
    let is_known = tx.get(FriendRow::TABLE, &person.0)?.is_some();
    if !is_known && tx.scan(FriendRow::TABLE, &Scan::prefix(&[], FRIENDS_MAX))?.len() >= FRIENDS_MAX
    {
        return Err(BefriendError::TooMany);
    }
    row::put(tx, &person.0, friend)?;
    row::delete::<RequestRow>(tx, &person.0);
    unfollow::forget(tx, &person);
    tx.after(Event::Friends);
    Ok(())
}

/// Keeps a request for the owner to answer; a later one of the same person replaces it. Somebody
/// whose invite was accepted here needs no further yes: they are a friend at once, which is `true`.
///
/// # Errors
/// When they are blocked or too many wait.
pub async fn request(node: &Node, from: &Introduction, note: &str) -> Result<bool, BefriendError> {
    let (own, now, from) = (node.identity.person(), node.clock.now(), from.checked());
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
                    if friend.state == FriendState::Asked
                        && friend.node == *from.node.as_bytes() =>
                {
                    befriend(
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
            let mut waiting = 0;
            for (key, row) in row::scan::<RequestRow>(tx, &Scan::prefix(&[], REQUESTS_MAX))? {
                // Room is made when somebody asks, so that nothing needs to watch the clock.
                if row.is_over(now) {
                    row::delete::<RequestRow>(tx, &key);
                } else if key != person.0 {
                    waiting += 1;
                }
            }
            if waiting >= REQUESTS_MAX {
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

/// The requests that wait, the oldest first.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn requests(node: &Node) -> Result<Vec<Request>, StoreError> {
    let mut all = Vec::new();
    let now = node.clock.now();
    for (key, row) in row::scan::<RequestRow>(&node.store, &Scan::prefix(&[], REQUESTS_MAX))? {
        if row.is_over(now) {
            continue;
        }
        let (note, received) = (row.note.clone(), row.received);
        all.push(Request {
            from: row.introduction(PersonId(row::key_part(&key, 0)))?,
            note,
            received,
        });
    }
    all.sort_by_key(|request| request.received);
    Ok(all)
}

/// Makes somebody who asked a friend. Federation tells their node.
///
/// # Errors
/// When nobody of that name has asked.
pub async fn accept_request(node: &Node, person: PersonId) -> Result<Friend, BefriendError> {
    let now = node.clock.now();
    node.store
        .commit(move |tx| {
            let request =
                row::get::<RequestRow>(tx, &person.0)?.filter(|request| !request.is_over(now));
            let request = request.ok_or(BefriendError::NoSuchRequest)?;
            let row = FriendRow::new(&request.introduction(person)?, FriendState::Friend, now);
            befriend(tx, person, &row)?;
            Ok(row.shown(person)?)
        })
        .await
}

/// Drops a request; they are not told.
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

pub(super) fn forget(tx: &mut Tx<'_>, person: &PersonId) {
    row::delete::<RequestRow>(tx, &person.0);
}
