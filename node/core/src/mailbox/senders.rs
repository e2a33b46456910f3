//! Known senders: people that the owner wrote to, and friends. Unknown ones share a part of the
//! disk per day.
//!
//! On disk a row under a keyed hash of each address that the owner wrote to. Anyone can write any
//! sender: one who knows an address that the owner wrote to avoids the shares, and is stopped by
//! the limit of free space alone.

use std::net::IpAddr;

use minicbor::{Decode, Encode};

use crate::clock::Timestamp;
use crate::domain_name;
use crate::friends::{self, FriendState};
use crate::identity;
use crate::node::Node;
use crate::row::{self, Record};
use crate::shares::{self, Allowance, Limit, Share};
use crate::store::{StoreError, Table, Tx};

/// Under a keyed hash of an address: the owner wrote to it.
#[derive(Encode, Decode)]
#[cbor(map)]
struct WrittenToRow {
    /// When the owner last wrote.
    #[n(0)]
    last: Timestamp,
}

impl Record for WrittenToRow {
    const TABLE: Table = Table::new("mailbox_written_to");
    const VERSION: u8 = 1;
}

/// The shares of mail from unknown senders, per day.
#[derive(Clone, Copy, Debug)]
pub struct StrangersLimits {
    /// From one network: /24 of IPv4, /48 of IPv6.
    pub network: Limit,
    /// From all of them.
    pub total: Limit,
}

/// Why a message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsedUp {
    /// Its network has used its share.
    Network,
    /// All strangers have used theirs.
    Total,
}

/// The row keys of these addresses.
///
/// # Errors
/// When the store is unavailable.
pub(super) fn keys<'a>(
    node: &Node,
    addresses: impl Iterator<Item = &'a String>,
) -> Result<Vec<[u8; 16]>, StoreError> {
    addresses.map(|address| key(node, address)).collect()
}

/// The key of an address, with its domain as DNS has it.
fn key(node: &Node, address: &str) -> Result<[u8; 16], StoreError> {
    let lower = address.to_lowercase();
    let ascii = lower
        .rsplit_once('@')
        .and_then(|(local, domain)| Some(format!("{local}@{}", domain_name::ascii(domain)?)));
    key_as_written(node, &ascii.unwrap_or(lower))
}

/// The key in rows from before domains were brought into the form of DNS.
fn key_as_written(node: &Node, address: &str) -> Result<[u8; 16], StoreError> {
    node.keyed("mailbox.written_to", address.to_lowercase().as_bytes())
}

/// Records within the commit of a submission that the owner wrote to these addresses.
pub(super) fn record(tx: &mut Tx<'_>, now: Timestamp, keys: &[[u8; 16]]) -> Result<(), StoreError> {
    keys.iter().try_for_each(|key| row::put(tx, key, &WrittenToRow { last: now }))
}

/// True if the owner wrote to this address.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub(super) fn is_known(node: &Node, address: &str) -> Result<bool, StoreError> {
    let is_there =
        |key: [u8; 16]| row::get::<WrittenToRow>(&node.store, &key).map(|row| row.is_some());
    Ok(is_there(key(node, address)?)? || is_there(key_as_written(node, address)?)?)
}

/// The shares that a message of this sender from this address is charged to; none for a known
/// sender. `sender` is empty for a delivery report.
///
/// # Errors
/// `Ok(Err(_))` if a share is used up; errors of the store.
pub fn allowances(
    node: &Node,
    from: IpAddr,
    sender: &str,
    limits: &StrangersLimits,
) -> Result<Result<Vec<Allowance>, UsedUp>, StoreError> {
    if is_known(node, sender)? {
        return Ok(Ok(Vec::new()));
    }
    let network = network_key(node, from)?;
    let network = Allowance { share: Share::MailOfNetwork(network), limit: limits.network };
    let total = Allowance { share: Share::MailOfStrangers, limit: limits.total };
    let now = node.clock.now();
    for (allowance, used_up) in [(network, UsedUp::Network), (total, UsedUp::Total)] {
        if shares::has_room(&node.store, now, &allowance)? {
            continue;
        }
        // Reads the identity logs of all friends, so only when it matters.
        return Ok(if is_friend(node, sender)? { Ok(Vec::new()) } else { Err(used_up) });
    }
    Ok(Ok(vec![network, total]))
}

/// True if the sender's domain vouches for the name of a friend.
fn is_friend(node: &Node, sender: &str) -> Result<bool, StoreError> {
    match sender.rsplit_once('@') {
        Some((_, domain)) => is_domain_of_friend(node, domain),
        None => Ok(false),
    }
}

/// True if the domain vouches for the name of a friend. Reads the identity logs of all friends.
///
/// # Errors
/// As [`is_known`].
pub(super) fn is_domain_of_friend(node: &Node, domain: &str) -> Result<bool, StoreError> {
    for friend in friends::without_profiles(node)? {
        if friend.state == FriendState::Friend
            && let Some(log) = identity::log_of(node, &friend.person)?
            && log.state().domain.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(domain))
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A keyed hash of the network of an address.
///
/// # Errors
/// As [`is_known`].
pub(super) fn network_key(node: &Node, address: IpAddr) -> Result<[u8; 16], StoreError> {
    node.keyed("mailbox.network", &network_of(address))
}

/// The network of an address: its first 24 bits, in IPv6 48.
pub fn network_of(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().into_iter().take(3).collect(),
        IpAddr::V6(address) => address.octets().into_iter().take(6).collect(),
    }
}

#[cfg(test)]
mod tests;
