//! A person's identity: an identity log of ops, signed by root keys that are kept off the node (the
//! mnemonic on paper), which certify the node keys.
//!
//! The person's id is the hash of the log's first op, so keys can change and the id cannot.

mod armour;
mod backup_key;
mod card;
pub mod fork;
pub mod key_backup;
pub mod log;
pub mod op;
pub mod op_body;
mod op_signature;
pub mod recovery_card;
pub mod transfer;

use std::fmt;
use std::str::FromStr;

pub use armour::ArmourError;
pub use backup_key::BackupKey;
pub use card::{CardError, NodeCard};
pub use fork::{Choice, choose};
pub use log::{IdentityLog, IdentityLogError};
pub use transfer::{Claim, SignatureRequest, SignedRequest, TransferError, create_claim};

/// A person's id: BLAKE3 of the first op of the identity log. Shown as 52 letters and digits
/// (lower-case base32).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonId(pub [u8; 32]);

/// A text is not a person's id.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a person's id (52 letters and digits)")]
pub struct NotAPerson;

impl PersonId {
    /// The first eight characters, to show and to log; not unique.
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

impl fmt::Display for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::BASE32_NOPAD.encode(&self.0).to_lowercase())
    }
}

impl fmt::Debug for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PersonId({self})")
    }
}

impl FromStr for PersonId {
    type Err = NotAPerson;

    fn from_str(text: &str) -> Result<Self, NotAPerson> {
        let bytes = data_encoding::BASE32_NOPAD
            .decode(text.to_uppercase().as_bytes())
            .map_err(|_| NotAPerson)?;
        Ok(Self(bytes.try_into().map_err(|_| NotAPerson)?))
    }
}

/// The payload of a transfer text.
#[cfg(test)]
pub(crate) fn armour_payload(title: &'static str, text: &str) -> Vec<u8> {
    armour::read(title, text).unwrap()
}

#[cfg(test)]
mod tests;
