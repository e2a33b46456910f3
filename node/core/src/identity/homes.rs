//! Where a person is reached: a record in the control lane, signed by the node and versioned, so
//! that moving needs no root key.
//!
//! Of all versions the highest counts. A stolen node could take the highest there is; then its
//! retirement, which makes void what it said, is what gives the person's own word its weight again.

use crate::clock::Timestamp;
use crate::feed::{self, AppendError, Body, HOMES_VERSION_MAX, Homes, Kind, Lane};
use crate::identity::PersonId;
use crate::keys::PublicKey;
use crate::node::Node;
use crate::row::Rows;
use crate::store::{StoreError, Tx};

/// Why it could not be said where this node is reached.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum HomesError {
    /// A node of the person's has said the highest version there is.
    #[error(
        "a node of yours has said where you are reached with the highest number there is; retire the node that did"
    )]
    NoHigherVersion,
    /// It could not be written.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The store's own error.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Says where this node is reached, if that has changed since it was last said. Gives the version
/// that holds now.
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
    // Most calls have nothing new to say, and need no commit.
    if let Said::Already(version) = said(&node.store, &person, &homes, now)? {
        return Ok(version);
    }
    let say = move |tx: &mut Tx<'_>| match said(tx, &person, &homes, now)? {
        Said::Already(version) => Ok(version),
        Said::Otherwise(before) => {
            let higher = before.checked_add(1).filter(|version| *version <= HOMES_VERSION_MAX);
            let version = higher.ok_or(HomesError::NoHigherVersion)?;
            feed::append(tx, &inside, Lane::CONTROL, &Body::Homes(Homes { version, ..homes }))?;
            Ok(version)
        }
    };
    node.store.commit(say).await
}

/// What was said last, by its version.
enum Said {
    /// This.
    Already(u64),
    /// Something else, or nothing yet (version 0).
    Otherwise(u64),
}

fn said(
    rows: &impl Rows,
    person: &PersonId,
    homes: &Homes,
    now: Timestamp,
) -> Result<Said, StoreError> {
    let Some((header, Body::Homes(before))) = feed::latest_entry(rows, person, Kind::Homes)? else {
        return Ok(Said::Otherwise(0));
    };
    let is_same = Homes { version: before.version, ..homes.clone() } == before;
    // What was said while the machine's clock was far ahead is held back by everybody, and must be
    // said again.
    Ok(if is_same && !header.hlc.is_ahead_of(now) {
        Said::Already(before.version)
    } else {
        Said::Otherwise(before.version)
    })
}

/// Where a person is reached, as far as is known here.
///
/// # Errors
/// When the store is unavailable or a row is damaged.
pub fn of(node: &Node, person: &PersonId) -> Result<Option<Homes>, StoreError> {
    Ok(match feed::latest(&node.store, person, Kind::Homes)? {
        Some(Body::Homes(homes)) => Some(homes),
        _ => None,
    })
}
