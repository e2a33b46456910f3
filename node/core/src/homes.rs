//! A person's homes: the addresses of the person's nodes and mirrors. Homes is a record in the
//! control lane, signed by the node key and versioned, so that moving needs no root key.
//!
//! The record with the highest version counts. A stolen node key could use the highest version
//! there is; retiring that node voids its record, and a lower version counts again.

use crate::clock::Timestamp;
use crate::feed::{self, AppendError, Body, HOMES_VERSION_MAX, Homes, Kind, Lane};
use crate::identity::PersonId;
use crate::keys::PublicKey;
use crate::node::Node;
use crate::row::Rows;
use crate::store::{StoreError, Tx};

/// Why no new Homes record was written.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum HomesError {
    /// One of the person's nodes has used the highest version there is.
    #[error(
        "a node of yours has said where you are reached with the highest number there is; retire \
         the node that did"
    )]
    NoHigherVersion,
    /// The entry could not be written.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The store's own error.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Publishes this node's homes, if they differ from the last record. Returns the version that
/// counts now.
///
/// # Errors
/// When the node is unclaimed, an address is over its limit, no higher version is left, or the
/// store's own error.
pub async fn set(
    node: &Node,
    web: Vec<String>,
    libp2p: Vec<String>,
    mirrors: Vec<PublicKey>,
) -> Result<u64, HomesError> {
    let person = node.identity.person().ok_or(AppendError::Unclaimed)?;
    let (inside, now) = (node.clone(), node.clock.now());
    let homes = Homes { version: 0, web, libp2p, mirrors };
    // Most calls change nothing, and need no commit.
    if let Published::Current(version) = published(&node.store, &person, &homes, now)? {
        return Ok(version);
    }
    let publish = move |tx: &mut Tx<'_>| match published(tx, &person, &homes, now)? {
        Published::Current(version) => Ok(version),
        Published::Outdated(before) => {
            let higher = before.checked_add(1).filter(|version| *version <= HOMES_VERSION_MAX);
            let version = higher.ok_or(HomesError::NoHigherVersion)?;
            feed::append(tx, &inside, Lane::CONTROL, &Body::Homes(Homes { version, ..homes }))?;
            Ok(version)
        }
    };
    node.store.commit(publish).await
}

/// The version of the last Homes record, and how it compares with the homes of now.
enum Published {
    /// The record has the same homes.
    Current(u64),
    /// The record differs, or there is none yet (version 0).
    Outdated(u64),
}

fn published(
    rows: &impl Rows,
    person: &PersonId,
    homes: &Homes,
    now: Timestamp,
) -> Result<Published, StoreError> {
    let Some((header, Body::Homes(before))) = feed::latest_entry(rows, person, Kind::Homes)? else {
        return Ok(Published::Outdated(0));
    };
    let is_same = Homes { version: before.version, ..homes.clone() } == before;
    // Friends hold back a record written while the machine's clock was far ahead, so it must be
    // written again.
    Ok(if is_same && !header.hlc.is_ahead_of(now) {
        Published::Current(before.version)
    } else {
        Published::Outdated(before.version)
    })
}

/// A person's homes, as far as they are known here.
///
/// # Errors
/// When the store is unavailable or a row is damaged.
pub fn of(node: &Node, person: &PersonId) -> Result<Option<Homes>, StoreError> {
    Ok(match feed::latest(&node.store, person, Kind::Homes)? {
        Some(Body::Homes(homes)) => Some(homes),
        _ => None,
    })
}
