//! The mnemonic's backup key: a node's vault and backups are wrapped to it, so that the mnemonic
//! alone opens a copied data folder.
//!
//! A claim carries the public half, signed by the root key. Without the signature, a person who
//! replaces that key on the way could open the vault.

use super::{IdentityLog, PersonId};
use crate::cbor::{CborError, Fields, MapWriter, Value};
use crate::domains;
use crate::keys::{PublicKey, Signature};
use crate::mnemonic::MnemonicKeys;

/// The public half (X25519) of the mnemonic's backup key, signed by the mnemonic's root key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupKey {
    recipient: [u8; 32],
    signature: Signature,
}

impl BackupKey {
    /// The backup key of a mnemonic, signed by its root key for `person`.
    pub fn of(keys: &MnemonicKeys, person: &PersonId) -> Self {
        let recipient =
            *x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(*keys.backup))
                .as_bytes();
        Self {
            recipient,
            signature: keys.root.sign(domains::BACKUP_KEY, &signed_bytes(person, &recipient)),
        }
    }

    /// The key, if one of the person's root keys has signed it.
    pub fn verified(&self, log: &IdentityLog) -> Option<[u8; 32]> {
        let message = signed_bytes(&log.person(), &self.recipient);
        let signed_by =
            |root: &PublicKey| root.verify(domains::BACKUP_KEY, &message, &self.signature).is_ok();
        log.state().roots.iter().any(signed_by).then_some(self.recipient)
    }

    pub(crate) fn to_value(&self) -> Value {
        MapWriter::new().bytes(0, &self.recipient).bytes(2, &self.signature.0).value()
    }

    pub(crate) fn from_value(value: Value, key: u64) -> Result<Self, CborError> {
        let mut fields = Fields::of(value, key)?;
        let recipient = fields.array(0)?;
        let signature = Signature(fields.array(2)?);
        fields.finish()?;
        Ok(Self { recipient, signature })
    }
}

fn signed_bytes(person: &PersonId, recipient: &[u8; 32]) -> Vec<u8> {
    [person.0, *recipient].concat()
}
