//! Who a person is: a log of ops signed by root keys that live on paper, certifying the node keys
//! that live on nodes.
//!
//! The person's id is the hash of the log's first op, so keys can change and the id cannot.

mod backup_key;
mod claim;
pub mod homes;
mod learn;
mod recovery;
mod request;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use zeroize::Zeroizing;

pub use backup_key::backup_recipient;
pub use claim::{ClaimError, claim, create, create_with};
pub use freehold_proto::identity::*;
pub use learn::{LearnError, Learned, dispute, learn, log_of};
pub(crate) use recovery::apply_due_recoveries;
pub use request::{RequestError, UploadError, VoidPolicy, request, request_retirement, upload};

use crate::clock::Timestamp;
use crate::domains::Domain;
use crate::keys::{KemKey, NodeKeys, PublicKey, Signature};
use crate::random::Random;
use crate::row::Rows;
use crate::store::{Scan, Store, StoreError, Table, Tx};
use crate::vault::Vault;

/// Whose node this is (`person`), and what backups are sealed to (`backup`). The node's own keys
/// lie in the vault alone.
const SELF: Table = Table::new("identity_self");
/// Everybody's ops: person ‖ index (two bytes) → signed op.
const OPS: Table = Table::new("identity_ops");

const PERSON_ROW: &[u8] = b"person";
const BACKUP_ROW: &[u8] = b"backup";

/// This node's keys, and the person it belongs to once claimed. Cheap to clone.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    vault: Vault,
    keys: NodeKeys,
    /// The feed epoch of this process: drawn at start, so that a rolled-back disk can never fork a
    /// log.
    epoch: u64,
    own: RwLock<Option<Arc<IdentityLog>>>,
}

impl Identity {
    /// The vault's keys and, from the store, the person's log. Waits for the disk where the last
    /// run ended between a claim and the vault.
    ///
    /// # Errors
    /// When the store cannot be read, or its rows are not what this program wrote.
    pub(crate) fn load(
        store: &Store,
        vault: &Vault,
        random: &Random,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let own = match store.get(SELF, PERSON_ROW)? {
            Some(row) => {
                let person =
                    PersonId(row.value.as_slice().try_into().map_err(|_| damaged(PERSON_ROW))?);
                let log = log_in(store, &person, now)?;
                Some(Arc::new(log.ok_or_else(|| damaged(PERSON_ROW))?))
            }
            None => None,
        };
        if let Err(error) = backup_key::wrap_vault(store, vault, random) {
            tracing::warn!(%error, "the words do not open the vault yet; the next start tries again");
        }
        Ok(Self(Arc::new(Inner {
            vault: vault.clone(),
            keys: vault.keys().node(),
            epoch: random.u64(),
            own: RwLock::new(own),
        })))
    }

    /// The node's public signing key.
    pub fn node_key(&self) -> PublicKey {
        self.0.keys.sign.public()
    }

    /// The node's public KEM key.
    pub fn kem_key(&self) -> KemKey {
        self.0.keys.kem.public()
    }

    /// Both, as a text that can be pasted.
    pub fn card(&self) -> NodeCard {
        NodeCard { sign: self.node_key(), kem: self.kem_key() }
    }

    /// Signs `domain ‖ message` with the node key.
    pub fn sign(&self, domain: Domain, message: &[u8]) -> Signature {
        self.0.keys.sign.sign(domain, message)
    }

    /// The secret half of the node key, for libp2p's own handshake.
    pub fn libp2p_secret(&self) -> Zeroizing<[u8; 32]> {
        self.0.keys.sign.to_bytes()
    }

    /// Whose node this is; `None` until claimed.
    pub fn person(&self) -> Option<PersonId> {
        self.log().map(|log| log.person())
    }

    /// The log of the person whose node this is; `None` until claimed.
    pub fn log(&self) -> Option<Arc<IdentityLog>> {
        self.0.own.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What holds the node's keys.
    pub(crate) fn vault(&self) -> &Vault {
        &self.0.vault
    }

    /// The person's log is known, or has changed: what is stored of it now counts. Read under the
    /// lock, so that of two changes the later one stays.
    fn follow_store(
        &self,
        store: &Store,
        person: &PersonId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut own = self.0.own.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(log) = log_in(store, person, now)? {
            *own = Some(Arc::new(log));
        }
        Ok(())
    }

    /// The feed epoch of this process.
    pub(crate) fn epoch(&self) -> u64 {
        self.0.epoch
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("node", &self.node_key())
            .field("person", &self.person())
            .finish()
    }
}

fn damaged(key: &[u8]) -> StoreError {
    StoreError::Corrupt { table: SELF.name().to_owned(), key: key.to_vec() }
}

/// A person's log as stored, verified again (a row could have been put back from an older one),
/// with a recovery by friends in effect if it has waited long enough by `now`.
///
/// # Errors
/// When the store is unavailable or the stored log is damaged.
pub(crate) fn log_in(
    rows: &impl Rows,
    person: &PersonId,
    now: Timestamp,
) -> Result<Option<IdentityLog>, StoreError> {
    let stored = rows.rows(OPS, &Scan::prefix(&person.0, op::OPS_MAX))?;
    if stored.is_empty() {
        return Ok(None);
    }
    let ops: Vec<Vec<u8>> = stored.into_iter().map(|(_, row)| row.value).collect();
    match IdentityLog::verify(&ops) {
        Ok(log) if log.person() == *person => {
            Ok(Some(if recovery::is_over(rows, &log, now)? { log.recovered() } else { log }))
        }
        _ => Err(StoreError::Corrupt { table: OPS.name().to_owned(), key: person.0.to_vec() }),
    }
}

/// Whether a log is still the one stored of its person: each op names the one before it, so the
/// last one tells.
pub(crate) fn is_current(rows: &impl Rows, log: &IdentityLog) -> Result<bool, StoreError> {
    let last = rows.rows(OPS, &Scan::prefix(&log.person().0, 1).reversed())?;
    Ok(last
        .first()
        .is_some_and(|(_, row)| log.ops().last().is_some_and(|op| op.as_bytes() == row.value)))
}

/// Writes a whole log, replacing what was stored of that person.
fn put_log(tx: &mut Tx<'_>, log: &IdentityLog, now: Timestamp) -> Result<(), StoreError> {
    recovery::note(tx, log, now)?;
    for (key, _) in tx.scan(OPS, &Scan::prefix(&log.person().0, op::OPS_MAX))? {
        tx.delete(OPS, &key);
    }
    for (index, op) in (0u16..).zip(log.ops()) {
        tx.put(OPS, &[log.person().0.as_slice(), &index.to_be_bytes()].concat(), op.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
