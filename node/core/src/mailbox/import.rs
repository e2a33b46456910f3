//! Importing messages that another program kept, with the flags and dates they have there.
//!
//! An import is repeated after an interruption, and a folder may be imported from several sources.
//! So a message is not stored if its folder has one of the same bytes, or if an earlier import
//! stored it there and it was moved since. The key of an import is a keyed hash of the folder's
//! name and the bytes: a copy in another folder is a message of its own, and two equal copies in
//! one folder, as faulty synchronisation leaves them, become one.

mod progress;

use std::collections::BTreeSet;

use super::append::Appender;
use super::deliver::{DeliverError, DeliveredRow, Delivery, PreparedDelivery};
use super::folders::{Folder, FolderId};
use super::idempotency::IdempotencyKey;
use super::read::{MessageRow, message_in, uid_of};
use super::{Flags, details};
use crate::clock::Timestamp;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{BlobId, StoreError, Tx};

pub use progress::{ImportProgress, import_progress, set_import_progress};

/// The most references to a blob from one folder that are looked at: those of messages that were
/// just expunged, and of copies that a program made.
const REFERENCES_MAX: usize = 8;

/// A message to be imported.
#[derive(Debug)]
pub struct Import<'a> {
    /// Its bytes, with CRLF line ends.
    pub text: &'a [u8],
    /// When it arrived (INTERNALDATE).
    pub internal_date: Timestamp,
    /// Its flags. Keywords that are not allowed, or for which the folder has no room, are dropped.
    pub flags: Flags,
    /// Whether it is stored again if it was imported before and expunged since.
    pub restores: bool,
}

/// The first half of an import: the message's bytes are stored, its row is not.
#[derive(Debug)]
pub enum Preparation {
    /// It is to be committed.
    New(Box<PreparedImport>),
    /// The folder has it, or an earlier import stored it and it was moved since.
    Present,
    /// An earlier import stored it, and it was expunged since.
    Expunged,
}

/// A message to be committed.
pub struct PreparedImport {
    folder: FolderId,
    restores: bool,
    prepared: PreparedDelivery,
}

impl std::fmt::Debug for PreparedImport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PreparedImport({:?})", self.prepared.delivery)
    }
}

impl PreparedImport {
    /// The length of its bytes.
    pub fn len(&self) -> u64 {
        self.prepared.delivery.blob.len
    }

    /// True for a message without bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The results of a commit, in messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportOutcome {
    /// Stored.
    pub stored: u64,
    /// Not stored, because they are there.
    pub present: u64,
    /// Not stored, because they were expunged after an earlier import.
    pub expunged: u64,
    /// Stored without some of their keywords.
    pub without_keywords: u64,
}

/// Stores the bytes of a message and reads what lists need of it, unless it is there. Blocks.
///
/// # Errors
/// The store's; [`StoreError::Full`] under the owner's watermark.
pub fn prepare_import(
    node: &Node,
    folder: &Folder,
    message: Import<'_>,
) -> Result<Preparation, StoreError> {
    let blob = BlobId(blake3::hash(message.text).into());
    if holds(node, folder.id, &blob)? {
        return Ok(Preparation::Present);
    }
    let name = [&blob.0[..], folder.name.as_bytes()].concat();
    let id = IdempotencyKey(node.keyed("mailbox.import", &name)?);
    let now = node.clock.now();
    let earlier = row::get::<DeliveredRow>(&node.store, &id.0)?;
    if let Some(earlier) = earlier.filter(|earlier| !earlier.is_expired(now)) {
        if message_in(&node.store, earlier.folder, earlier.uid)?.is_some() {
            return Ok(Preparation::Present);
        }
        if !message.restores {
            return Ok(Preparation::Expunged);
        }
    }
    let delivery = Delivery {
        folder: folder.id,
        blob: node.blobs.put(message.text)?,
        id,
        internal_date: message.internal_date,
        flags: message.flags,
    };
    let prepared = PreparedDelivery::new(node, delivery, details::read(message.text))?;
    let restores = message.restores;
    Ok(Preparation::New(Box::new(PreparedImport { folder: folder.id, restores, prepared })))
}

/// True if the folder has a message of these bytes.
fn holds(node: &Node, folder: FolderId, blob: &BlobId) -> Result<bool, StoreError> {
    let table = MessageRow::TABLE;
    for key in node.store.referring_keys(blob, table, &folder.key(), REFERENCES_MAX)? {
        if message_in(&node.store, folder, uid_of(&key))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Stores messages in one commit; they are durable on return, and not \Recent. Some 32 short
/// messages fit into the limits of a commit.
///
/// # Errors
/// When a folder was deleted, has assigned its last UID, or the store refuses; nothing is stored
/// then.
pub async fn commit_imports(
    node: &Node,
    messages: Vec<PreparedImport>,
) -> Result<ImportOutcome, DeliverError> {
    node.store.commit(move |tx| insert(tx, &messages)).await
}

fn insert(tx: &mut Tx<'_>, messages: &[PreparedImport]) -> Result<ImportOutcome, DeliverError> {
    let mut outcome = ImportOutcome::default();
    let folders: BTreeSet<FolderId> = messages.iter().map(|message| message.folder).collect();
    for folder in folders {
        let (mut appender, mut stored) = (Appender::open(tx, folder)?, BTreeSet::new());
        for message in messages.iter().filter(|message| message.folder == folder) {
            let (key, blob) = (message.prepared.delivery.id, &message.prepared.delivery.blob);
            if stored.contains(&key) {
                outcome.present += 1;
                continue;
            }
            if let Some(is_present) = message.earlier(tx)? {
                let count = if is_present { &mut outcome.present } else { &mut outcome.expunged };
                *count += 1;
                continue;
            }
            tx.attach(blob);
            let mut new = message.prepared.message(tx)?;
            let flags = appender.fitting(&new.flags);
            outcome.without_keywords += u64::from(flags.keywords.len() < new.flags.keywords.len());
            new.flags = flags;
            appender.push(tx, new)?;
            stored.insert(key);
            outcome.stored += 1;
        }
        if !stored.is_empty() {
            appender.finish_reported(tx)?;
        }
    }
    Ok(outcome)
}

impl PreparedImport {
    /// Whether the message of an earlier import is still there; `None` if this one is to be stored.
    fn earlier(&self, tx: &Tx<'_>) -> Result<Option<bool>, StoreError> {
        let earlier = row::get::<DeliveredRow>(tx, &self.prepared.delivery.id.0)?;
        let Some(earlier) = earlier.filter(|row| !row.is_expired(self.prepared.now())) else {
            return Ok(None);
        };
        let is_present = message_in(tx, earlier.folder, earlier.uid)?.is_some();
        Ok(if is_present || !self.restores { Some(is_present) } else { None })
    }
}

#[cfg(test)]
mod tests;
