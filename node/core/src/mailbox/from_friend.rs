//! Mail that a friend's node has brought over an authenticated connection, without SMTP.
//!
//! The friend is whom the connection proves, so the authors must be at the friend's own confirmed
//! domain: what else they could be is judged by SMTP's checks, not here. The trace fields of final
//! delivery (RFC 5321 4.4) are put before the text, and results of checks (RFC 8601 5) that are in
//! it already are removed.

mod text;

use std::net::{IpAddr, Ipv4Addr};

use super::arrive::{Arrival, arrive};
use super::deliver::{self, DeliverError};
use super::idempotency::IdempotencyKey;
use super::junk::Evidence;
use super::{away, discard};
use crate::blobs::{Pinned, SMALL_LEN_MAX};
use crate::blocking::try_blocking;
use crate::friends;
use crate::identity::PersonId;
use crate::node::Node;
use crate::profile;
use crate::shares::{Allowance, Limit, Share};
use crate::store::StoreError;

/// MiB of mail from one friend's node per day.
pub const FRIEND_MAIL_MIB_PER_DAY: u32 = 512;

/// A message that a friend's node has brought.
#[derive(Debug)]
pub struct FriendMail {
    /// The friend, proven by the connection.
    pub person: PersonId,
    /// The message's id, which the friend's node has chosen: one that is brought again is stored
    /// once.
    pub id: [u8; 16],
    /// The sender in the envelope; empty for a report.
    pub sender: String,
    /// The recipients in the envelope, accepted ones.
    pub recipients: Vec<String>,
    /// The text as received.
    pub text: Pinned,
}

/// Why a message of a friend's node was not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FriendMailError {
    /// The person is no friend (any more).
    #[error("the sender is no friend")]
    NotFriends,
    /// An author, or the sender, is not at the friend's domain.
    #[error("an author is not at the friend's own domain")]
    Spoofed,
    /// The friend names the author's domain, and this node could not confirm that yet.
    #[error("the friend's domain is not confirmed")]
    Unconfirmed,
    /// There are too many Received fields (RFC 5321 6.3).
    #[error("mail loop: too many Received fields")]
    Loop,
    /// The header is longer than this node reads.
    #[error("the header is too long")]
    HeaderTooLong,
    /// It was not delivered.
    #[error(transparent)]
    Deliver(DeliverError),
}

impl From<StoreError> for FriendMailError {
    fn from(error: StoreError) -> Self {
        Self::Deliver(error.into())
    }
}

/// The share of the disk that a friend's mail is charged to.
pub fn friend_allowance(person: PersonId) -> Allowance {
    let limit = Limit::mib(FRIEND_MAIL_MIB_PER_DAY);
    Allowance { share: Share::MailOfFriend(person), limit }
}

fn key(person: &PersonId, id: &[u8; 16]) -> IdempotencyKey {
    IdempotencyKey::of(&[b"friend's node", &person.0, id])
}

/// Whether a friend's message with this id was stored before.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn has_friend_mail(node: &Node, person: &PersonId, id: &[u8; 16]) -> Result<bool, StoreError> {
    deliver::was_delivered(&node.store, key(person, id))
}

/// Stores a message that a friend's node has brought; once this returns, it is durable. A message
/// with an id that was stored before is not stored again.
///
/// # Errors
/// When it is refused; nothing is stored then.
pub async fn arrive_from_friend(node: &Node, mail: FriendMail) -> Result<(), FriendMailError> {
    let raw = mail.text.id;
    let is_file = mail.text.len > SMALL_LEN_MAX as u64;
    let stored = store(node, mail).await;
    // The text was copied behind its trace fields.
    if is_file && let Err(error) = discard(node, raw).await {
        tracing::warn!(%error, "the file of a friend's message is deleted later");
    }
    stored
}

async fn store(node: &Node, mail: FriendMail) -> Result<(), FriendMailError> {
    let reading = node.clone();
    let (mail, blob, evidence) = try_blocking(move || {
        let (blob, evidence) = prepare(&reading, &mail)?;
        Ok::<_, FriendMailError>((mail, blob, evidence))
    })
    .await?;
    let file = (blob.len > SMALL_LEN_MAX as u64).then_some(blob.id);
    let FriendMail { person, id, sender, recipients, .. } = mail;
    let id = key(&person, &id);
    let arrival = Arrival { blob, id, recipients, sender, evidence: Some(evidence) };
    let arrived = arrive(node, arrival, vec![friend_allowance(person)]).await;
    // After an error of the store the outcome may be unknown.
    let is_kept = match &arrived {
        Ok(arrived) => arrived.is_new,
        Err(error) => matches!(error, DeliverError::Store(_)),
    };
    if let Some(file) = file.filter(|_| !is_kept)
        && let Err(error) = discard(node, file).await
    {
        tracing::warn!(%error, "the file of a message that was not stored is deleted later");
    }
    let arrived = arrived.map_err(FriendMailError::Deliver)?;
    if let Some(answerable) = arrived.answerable
        && let Err(error) = away::answer(node, answerable).await
    {
        tracing::warn!(%error, "the answer while the owner is away could not be queued");
    }
    Ok(())
}

/// Checks the message and stores it behind its trace fields. Blocks.
fn prepare(node: &Node, mail: &FriendMail) -> Result<(Pinned, Evidence), FriendMailError> {
    let friend = friends::get(node, &mail.person)?;
    let friend = friend
        .filter(|friend| friend.state == friends::FriendState::Friend)
        .ok_or(FriendMailError::NotFriends)?;
    let read = text::read(node, &mail.text)?;
    let envelope = Some(&mail.sender).filter(|sender| !sender.is_empty());
    for address in read.authors.iter().chain(envelope) {
        check_author(node, &mail.person, address)?;
    }
    let domain = read.authors.first().and_then(|author| author.rsplit_once('@'));
    let domain = domain.map(|(_, domain)| domain.to_owned()).unwrap_or_default();
    let owner = profile::get(node)?;
    let trace = text::Trace {
        sender: &mail.sender,
        recipients: &mail.recipients,
        domain: &domain,
        node: friend.node,
        hostname: owner.as_ref().map(|owner| owner.domain.as_str()).unwrap_or_default(),
        id: &mail.id,
    };
    let blob = text::store(node, &mail.text, &read, &trace)?;
    let evidence = Evidence {
        address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        authors: read.authors,
        is_checked: true,
        proven: Some(domain),
        disowned: None,
        passed_on_by: None,
        has_no_reverse_name: false,
        block_lists: Vec::new(),
        added_field: None,
        friend: Some(friend.name),
    };
    Ok((blob, evidence))
}

/// Reads the header of a text that a friend's node has brought: the addresses in From, and the
/// header itself. Blocks.
pub(super) fn read_header(
    node: &Node,
    text: &Pinned,
) -> Result<(Vec<String>, Vec<u8>), FriendMailError> {
    let read = text::read(node, text)?;
    Ok((read.authors, read.header))
}

/// Checks that an address is at the friend's own domain.
pub(super) fn check_author(
    node: &Node,
    person: &PersonId,
    address: &str,
) -> Result<(), FriendMailError> {
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    match friends::mail_friend(node, address)? {
        Some(owner) if owner == *person => Ok(()),
        None if friends::names_domain(node, person, domain)? => Err(FriendMailError::Unconfirmed),
        _ => Err(FriendMailError::Spoofed),
    }
}

#[cfg(test)]
mod tests;
