//! One person's node: the parts that every noun works with.

use crate::blobs::Blobs;
use crate::clock::Clock;
use crate::events::Events;
use crate::random::Random;
use crate::row::{self, Record, Rows};
use crate::store::{Health, Store, StoreError, Table};

mod arriving;
mod identity;
#[cfg(any(test, feature = "testing"))]
mod in_memory;
mod login_state;
mod mail_import;
mod open;
mod presence;
mod program_sessions;
mod temporary_sessions;
mod throttle;
mod unlock;

pub use arriving::Arriving;
pub use identity::Identity;
pub(crate) use identity::{
    RecoveryRow, WrapError, backup_key_of, is_current, is_over, person_of, put_backup_key, put_log,
    put_person, stored_log, wrap_vault,
};
#[cfg(any(test, feature = "testing"))]
pub use in_memory::MemoryStart;
pub use login_state::LoginState;
pub use mail_import::{
    ImapSecurity, ImapSource, ImapSourceError, ImportPhase, ImportResult, ImportStatus, MailImport,
};
pub use open::{NodeOpenError, NodeOptions, claim};
pub use presence::{Connected, Presence};
pub(crate) use program_sessions::OpenSession;
pub use program_sessions::{EndSignal, ProgramSessions};
pub use temporary_sessions::TemporarySessions;
pub(crate) use throttle::Guesser;
pub use throttle::Throttle;
pub use unlock::new_key_file;

/// The parts of one node. Cheap to clone; an opened node has every part ready.
#[derive(Clone)]
pub struct Node {
    /// The node's keys and its person.
    pub identity: Identity,
    /// Rows.
    pub store: Store,
    /// Blobs: content too long for rows.
    pub blobs: Blobs,
    /// Events after commits; they are hints, and losing one loses nothing.
    pub events: Events,
    /// The source of the time.
    pub clock: Clock,
    /// The source of random bytes.
    pub random: Random,
    /// The friends' nodes that are connected.
    pub presence: Presence,
    /// The content from other people that arrives.
    pub arriving: Arriving,
    /// Recent wrong passwords, and the sessions that are not stored.
    pub logins: LoginState,
    /// The import of mail from another provider.
    pub mail_import: MailImport,
}

/// The key for hashing names into row keys; created once, never leaves the store.
#[derive(minicbor::Encode, minicbor::Decode)]
#[cbor(map)]
struct HashKey {
    #[cbor(n(0), with = "minicbor::bytes")]
    key: [u8; 32],
}

impl Record for HashKey {
    const TABLE: Table = Table::new("node");
    const VERSION: u8 = 1;
}

const HASH_KEY: &[u8] = b"hash";

impl Node {
    /// True if the node was opened on a disk that can't be written: it serves pages and mail for
    /// reading, and refuses every change.
    pub fn is_read_only(&self) -> bool {
        matches!(self.store.health(), Health::ReadOnly(_))
    }

    /// Makes the rows that every noun relies on. Safe to repeat.
    pub(crate) fn prepare(&self) -> Result<(), StoreError> {
        if row::get::<HashKey>(&self.store, HASH_KEY)?.is_none() {
            let new = HashKey { key: self.random.array() };
            self.store.commit_blocking(move |tx| row::put(tx, HASH_KEY, &new))?;
        }
        Ok(())
    }

    /// [`keyed`] with the durable rows.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub fn keyed(&self, purpose: &str, name: &[u8]) -> Result<[u8; 16], StoreError> {
        keyed(&self.store, purpose, name)
    }
}

/// A keyed hash of `name` for row keys, which are not sealed and must not disclose names. Only this
/// node has the key. `purpose` makes equal names in different tables differ. Within a commit,
/// `rows` is its `Tx`.
///
/// # Errors
/// When the store is unavailable.
pub fn keyed(rows: &impl Rows, purpose: &str, name: &[u8]) -> Result<[u8; 16], StoreError> {
    Ok(KeyedHash::new(rows, purpose)?.of(name))
}

/// [`keyed`] for many names of one purpose: the node's key is read once.
pub(crate) struct KeyedHash {
    hasher: blake3::Hasher,
}

impl KeyedHash {
    /// The hash for names of this purpose.
    ///
    /// # Errors
    /// As [`keyed`].
    pub(crate) fn new(rows: &impl Rows, purpose: &str) -> Result<Self, StoreError> {
        let key = row::get::<HashKey>(rows, HASH_KEY)?
            .ok_or_else(|| StoreError::Unavailable("the node has no hash key".to_owned()))?;
        let mut hasher = blake3::Hasher::new_keyed(&key.key);
        hasher.update(&(purpose.len() as u64).to_be_bytes());
        hasher.update(purpose.as_bytes());
        Ok(Self { hasher })
    }

    /// The hash of one name.
    pub(crate) fn of(&self, name: &[u8]) -> [u8; 16] {
        row::key_part(self.hasher.clone().update(name).finalize().as_bytes(), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn keyed_hashes_differ_between_nodes_and_purposes() {
        let one = Node::in_memory(Clock::manual(Timestamp(0)), Random::seeded(1)).unwrap();
        let two = Node::in_memory(Clock::manual(Timestamp(0)), Random::seeded(2)).unwrap();
        assert_eq!(one.keyed("slug", b"hello").unwrap(), one.keyed("slug", b"hello").unwrap());
        assert_ne!(one.keyed("slug", b"hello").unwrap(), one.keyed("name", b"hello").unwrap());
        assert_ne!(one.keyed("slug", b"hello").unwrap(), two.keyed("slug", b"hello").unwrap());
    }
}
