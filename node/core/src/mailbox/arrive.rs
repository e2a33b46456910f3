//! Messages from other servers: judged, then stored in Junk, in the folder of a rule or in the
//! inbox.

use super::away::{self, Answerable};
use super::deliver::{DeliverError, Delivery, PreparedDelivery, insert, read_bytes};
use super::folders::{SpecialUse, special_folder};
use super::idempotency::IdempotencyKey;
use super::junk::{self, Evidence};
use super::read::Message;
use super::rules::{self, Seen, Wanted};
use super::{deliver, details, senders};
use crate::aliases;
use crate::blobs::Pinned;
use crate::blocking::try_blocking;
use crate::node::Node;
use crate::shares::{self, Allowance};
use crate::store::{StoreError, Tx};
use freehold_mime::header_end;
use freehold_mime::people;
use freehold_mime::structure::HEADER_LEN_MAX;

/// A message from another server.
#[derive(Debug)]
pub struct Arrival {
    /// Its bytes.
    pub blob: Pinned,
    /// Its idempotency key.
    pub id: IdempotencyKey,
    /// The recipients in the envelope.
    pub recipients: Vec<String>,
    /// The sender in the envelope; empty for a report.
    pub sender: String,
    /// The result of the checks of its sender; without it only the senders that the owner blocks
    /// are kept out.
    pub evidence: Option<Evidence>,
}

impl Arrival {
    /// The first author if the sender was checked, else the sender in the envelope.
    fn author(&self) -> String {
        let author = self.evidence.as_ref().and_then(|evidence| evidence.authors.first());
        author.unwrap_or(&self.sender).clone()
    }
}

/// A message that was stored.
#[derive(Debug)]
pub struct Arrived {
    /// The message.
    pub message: Message,
    /// False if it was delivered before: then its blob is of no use.
    pub is_new: bool,
    /// The message for the answer while the owner is away ([`super::answer`]), if one is due.
    pub answerable: Option<Answerable>,
}

/// Stores a message in Junk, in the folder of a rule or in the inbox, and charges it to shares of
/// the disk in the same commit.
///
/// # Errors
/// When there is no inbox, a share is used up, a rule or the store refuses; nothing is stored then.
pub async fn arrive(
    node: &Node,
    arrival: Arrival,
    charged: Vec<Allowance>,
) -> Result<Arrived, DeliverError> {
    let (reading, recipients) = (node.clone(), arrival.recipients.clone());
    let reached = try_blocking(move || aliases::reached(&reading, &recipients)).await?;
    let sender = arrival.author();
    let (mut prepared, answerable) = prepare(node, arrival).await?;
    prepared.addressed = reached.addressed().to_vec();
    let commit = move |tx: &mut Tx<'_>| {
        // Others may have used it up since the message began.
        for allowance in &charged {
            if !shares::has_room(tx, prepared.now(), allowance)? {
                return Err(DeliverError::ShareUsedUp(allowance.share));
            }
        }
        let message = insert(tx, &prepared, prepared.delivery.folder)?;
        // A repeated delivery writes nothing.
        let is_new = tx.disk_cost() > 0;
        if is_new {
            aliases::record(tx, &reached, &sender, prepared.now())?;
        }
        let cost = shares::cost(tx, &[prepared.delivery.blob.len]);
        for allowance in charged.iter().filter(|_| is_new) {
            shares::charge(tx, prepared.now(), allowance, cost, 1)?;
        }
        Ok((message, is_new))
    };
    let (message, is_new) = node.store.commit(commit).await?;
    Ok(Arrived { message, is_new, answerable: answerable.filter(|_| is_new) })
}

/// The authors of a message whose sender was not checked.
fn authors(header: &[u8], sender: &str) -> Vec<String> {
    let people = people::first(header, "from", None);
    let named: Vec<String> = people.into_iter().map(|author| author.address).collect();
    if named.is_empty() { vec![sender.to_owned()] } else { named }
}

/// The result, or the default if a row is damaged: it must not keep messages out.
fn undamaged<T: Default>(result: Result<T, StoreError>) -> Result<T, StoreError> {
    match result {
        Err(StoreError::Corrupt { table, .. }) => {
            tracing::error!(table, "a damaged row is left out while a message is judged");
            Ok(T::default())
        }
        result => result,
    }
}

/// Reads the message and judges it.
async fn prepare(
    node: &Node,
    arrival: Arrival,
) -> Result<(PreparedDelivery, Option<Answerable>), DeliverError> {
    let Arrival { blob, id, recipients, sender, evidence } = arrival;
    let reading = node.clone();
    let rules = try_blocking(move || undamaged(rules::rules(&reading))).await?;
    let has_rules = !rules.is_empty();
    let is_judged = evidence.is_some();
    let read = move |message: &[u8]| {
        let tokens = if is_judged { junk::tokens(message) } else { Vec::new() };
        let seen = if has_rules { Seen::of(message, &recipients) } else { Seen::default() };
        let header = message.get(..header_end::len(message).min(HEADER_LEN_MAX));
        (details::read(message), tokens, seen, header.unwrap_or_default().to_vec())
    };
    let (reading, tokens, mut seen, header) = read_bytes(node, blob.id, blob.len, read).await?;
    let judging = node.clone();
    let judge = move || {
        let judgement = match &evidence {
            Some(evidence) => undamaged(junk::judge(&judging, evidence, &tokens).map(Some))?,
            None => undamaged(junk::judge_unchecked(&judging, &authors(&header, &sender)))?,
        };
        let is_junk = judgement.as_ref().is_some_and(|judgement| judgement.is_junk);
        let proven = evidence.as_ref().and_then(|evidence| evidence.proven.as_deref());
        seen.is_of_friend = evidence.as_ref().is_some_and(|evidence| evidence.friend.is_some());
        if !seen.is_of_friend
            && rules.iter().any(|(_, rule)| rule.is_of_friend)
            && let Some(domain) = proven
        {
            seen.is_of_friend = senders::is_domain_of_friend(&judging, domain)?;
        }
        let wanted = rules::apply(&rules, &judging, &seen)?;
        let special = if is_junk { SpecialUse::Junk } else { SpecialUse::Inbox };
        let folder = match wanted.folder.filter(|_| !is_junk) {
            Some(folder) => Some(folder),
            None => special_folder(&judging, special)?.map(|folder| folder.id),
        };
        let answerable = match is_junk {
            true => None,
            false => undamaged(away::answerable(&judging, &header, &sender, evidence.as_ref()))?,
        };
        // A sender that repeats the delivery only missed the reply to it.
        let is_refused = wanted.is_refused && !deliver::was_delivered(&judging.store, id)?;
        let wanted = Wanted { is_refused, ..wanted };
        Ok::<_, StoreError>((folder, wanted, judgement, answerable))
    };
    let (folder, wanted, judgement, answerable) = try_blocking(judge).await?;
    if wanted.is_refused {
        return Err(DeliverError::RefusedByRule);
    }
    let delivery = Delivery {
        folder: folder.ok_or(DeliverError::NoSuchFolder)?,
        blob,
        id,
        internal_date: node.clock.now(),
        flags: wanted.flags,
    };
    let mut prepared = PreparedDelivery::new(node, delivery, reading)?;
    prepared.judgement = judgement;
    Ok((prepared, answerable))
}
