//! This node's keys, the person the node belongs to, and every identity log as stored.
//!
//! These are the parts that a node needs to open: nothing here knows [`Node`](super::Node). Claims
//! and identity logs that grow are the work of the modules above.

mod backup_key;
mod recovery;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use freehold_proto::identity::{IdentityLog, NodeCard, PersonId, op};
use zeroize::Zeroizing;

pub(crate) use backup_key::{WrapError, backup_key_of, wrap_vault};
pub(crate) use recovery::{RecoveryRow, is_over};

use crate::clock::Timestamp;
use crate::domains::Domain;
use crate::keys::{KemKey, NodeKeys, PublicKey, SecretKey, Signature};
use crate::random::Random;
use crate::row::{self, Rows};
use crate::sealed_stream::{Opener, SealedStreamError};
use crate::store::{Scan, Store, StoreError, Table, Tx};
use crate::vault::Vault;

/// The person this node belongs to (`person`), and the public key that backups are sealed to
/// (`backup`). The node's own keys are in the vault alone.
const SELF: Table = Table::new("identity_self");
/// Every person's ops: person ‖ index (two bytes) → signed op.
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
    /// feed log.
    epoch: u64,
    log: RwLock<Option<Arc<IdentityLog>>>,
}

impl Identity {
    /// Loads the vault's keys and, from the store, the person's identity log. Blocks on the disk
    /// if the last run ended between the commit of a claim and the write of the vault.
    ///
    /// # Errors
    /// When the store cannot be read, or its rows are not what this program wrote.
    pub(crate) fn load(
        store: &Store,
        vault: &Vault,
        random: &Random,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let log = match person_of(store)? {
            Some(person) => {
                let log = stored_log(store, &person, now)?;
                Some(Arc::new(log.ok_or_else(|| damaged(PERSON_ROW))?))
            }
            None => None,
        };
        if let Err(error) = wrap_vault(store, vault, random) {
            tracing::warn!(
                %error,
                "the mnemonic does not open the vault yet; the next start tries again"
            );
        }
        Ok(Self(Arc::new(Inner {
            vault: vault.clone(),
            keys: vault.keys().node(),
            epoch: random.u64(),
            log: RwLock::new(log),
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

    /// Both public keys, as a text that can be pasted.
    pub fn card(&self) -> NodeCard {
        NodeCard { sign: self.node_key(), kem: self.kem_key() }
    }

    /// Signs `domain ‖ message` with the node key.
    pub fn sign(&self, domain: Domain, message: &[u8]) -> Signature {
        self.0.keys.sign.sign(domain, message)
    }

    /// Begins to read a stream that is sealed to the node's KEM key.
    ///
    /// # Errors
    /// When the suite is unknown, or the encapsulated key is not one.
    pub fn opener(
        &self,
        suite: u8,
        encapsulated: &[u8],
        info: &[u8],
    ) -> Result<Opener, SealedStreamError> {
        Opener::new(&self.0.keys.kem, suite, encapsulated, info)
    }

    /// The secret half of the node key, for libp2p's own handshake.
    pub fn libp2p_secret(&self) -> Zeroizing<[u8; 32]> {
        self.0.keys.sign.to_bytes()
    }

    /// The secret signing key of the node, to countersign a claim.
    pub(crate) fn secret_key(&self) -> &SecretKey {
        &self.0.keys.sign
    }

    /// The person this node belongs to; `None` until claimed.
    pub fn person(&self) -> Option<PersonId> {
        self.log().map(|log| log.person())
    }

    /// The identity log of the person this node belongs to; `None` until claimed.
    pub fn log(&self) -> Option<Arc<IdentityLog>> {
        self.0.log.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The vault that holds the node's keys.
    pub(crate) fn vault(&self) -> &Vault {
        &self.0.vault
    }

    /// Reads the person's identity log again after a commit that may have changed it. The read is
    /// under the lock, so that of two changes the later one stays.
    pub(crate) fn reload_log(
        &self,
        store: &Store,
        person: &PersonId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut own = self.0.log.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(log) = stored_log(store, person, now)? {
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

/// The person that the rows name as the node's; `None` until claimed.
///
/// # Errors
/// When the store is unavailable or the row is damaged.
pub(crate) fn person_of(rows: &impl Rows) -> Result<Option<PersonId>, StoreError> {
    let Some(row) = rows.row(SELF, PERSON_ROW)? else { return Ok(None) };
    let id = row.value.as_slice().try_into().map_err(|_| damaged(PERSON_ROW))?;
    Ok(Some(PersonId(id)))
}

/// Writes the person this node belongs to, and the public key that the vault is wrapped to.
pub(crate) fn put_person(
    tx: &mut Tx<'_>,
    person: &PersonId,
    backup_key: &[u8; 32],
) -> Result<(), StoreError> {
    tx.put(SELF, PERSON_ROW, &person.0)?;
    put_backup_key(tx, backup_key)
}

/// Writes the public key that the vault is wrapped to from the next [`wrap_vault`] on.
pub(crate) fn put_backup_key(tx: &mut Tx<'_>, backup_key: &[u8; 32]) -> Result<(), StoreError> {
    tx.put(SELF, BACKUP_ROW, backup_key)
}

/// A person's identity log as stored, verified again (a row could have been restored from an older
/// one), with a recovery by friends applied if its delay has passed by `now`.
///
/// # Errors
/// When the store is unavailable or the stored log is damaged.
pub(crate) fn stored_log(
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
            Ok(Some(if is_over(rows, &log, now)? { log.recovered() } else { log }))
        }
        _ => Err(StoreError::Corrupt { table: OPS.name().to_owned(), key: person.0.to_vec() }),
    }
}

/// True if `log` is still the one stored for its person. Each op names the one before it, so
/// comparing the last op is enough.
pub(crate) fn is_current(rows: &impl Rows, log: &IdentityLog) -> Result<bool, StoreError> {
    let last = rows.rows(OPS, &Scan::prefix(&log.person().0, 1).reversed())?;
    Ok(last
        .first()
        .is_some_and(|(_, row)| log.ops().last().is_some_and(|op| op.as_bytes() == row.value)))
}

/// Writes a whole identity log, replacing the one stored for that person.
pub(crate) fn put_log(
    tx: &mut Tx<'_>,
    log: &IdentityLog,
    now: Timestamp,
) -> Result<(), StoreError> {
    recovery::put(tx, log, now)?;
    for (key, _) in tx.scan(OPS, &Scan::prefix(&log.person().0, op::OPS_MAX))? {
        tx.delete(OPS, &key);
    }
    for (index, op) in (0u16..).zip(log.ops()) {
        tx.put(OPS, &row::key(&[&log.person().0, &index.to_be_bytes()]), op.as_bytes())?;
    }
    Ok(())
}
