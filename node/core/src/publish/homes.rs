//! Publishing where a person is reached: an entry in the control lane, signed by the node and
//! versioned, so that moving needs no root key.
//!
//! The highest version counts. A stolen node could publish the highest there is; its retirement
//! makes that entry void, and the person's own version counts again.

use crate::apply::apply;
use crate::clock::Timestamp;
use crate::feed::{self, AppendError, Body, HOMES_VERSION_MAX, Homes, Kind, Lane};
use crate::identity::PersonId;
use crate::keys::PublicKey;
use crate::node::Node;
use crate::row::Rows;
use crate::store::{StoreError, Tx};

/// Why the addresses could not be published.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum HomesError {
    /// A node of the person's has published the highest version there is.
    #[error(
        "one of your nodes has published its addresses with the highest version there is; retire \
         that node"
    )]
    NoHigherVersion,
    /// It could not be written.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The store's own error.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Publishes the addresses of this node, if they differ from those published last. Returns the
/// version that holds now.
///
/// # Errors
/// When the node is unclaimed, an address is over its limit, no higher version is left, or the
/// store's own error.
pub async fn homes(
    node: &Node,
    web: Vec<String>,
    libp2p: Vec<String>,
    mirrors: Vec<PublicKey>,
) -> Result<u64, HomesError> {
    let person = node.identity.person().ok_or(AppendError::Unclaimed)?;
    let (inside, now) = (node.clone(), node.clock.now());
    let homes = Homes { version: 0, web, libp2p, mirrors };
    // Most calls bring nothing new, and need no commit.
    if let Published::Same(version) = published(&node.store, &person, &homes, now)? {
        return Ok(version);
    }
    let commit = move |tx: &mut Tx<'_>| match published(tx, &person, &homes, now)? {
        Published::Same(version) => Ok(version),
        Published::Other(before) => {
            let higher = before.checked_add(1).filter(|version| *version <= HOMES_VERSION_MAX);
            let version = higher.ok_or(HomesError::NoHigherVersion)?;
            let body = Body::Homes(Homes { version, ..homes });
            let mut changes = Vec::new();
            feed::append(tx, &inside, Lane::CONTROL, &body, None, &mut changes)?;
            apply(tx, &inside, changes)?;
            Ok(version)
        }
    };
    node.store.commit(commit).await
}

/// The addresses published last, and their version.
enum Published {
    /// These addresses.
    Same(u64),
    /// Other addresses, or none yet (version 0).
    Other(u64),
}

fn published(
    rows: &impl Rows,
    person: &PersonId,
    homes: &Homes,
    now: Timestamp,
) -> Result<Published, StoreError> {
    let Some((header, Body::Homes(before))) = feed::latest_entry(rows, person, Kind::Homes)? else {
        return Ok(Published::Other(0));
    };
    let is_same = Homes { version: before.version, ..homes.clone() } == before;
    // Every node holds back an entry written while the machine's clock was far ahead, so it must be
    // written again; unless the next entry would be held back as well, since the clock shows a time
    // at which it was never set (`Hlc::next`): each renewal would cause another one.
    let is_held = header.hlc.is_ahead_of(now) && !feed::next_hlc(rows, now)?.is_ahead_of(now);
    Ok(if is_same && !is_held {
        Published::Same(before.version)
    } else {
        Published::Other(before.version)
    })
}
