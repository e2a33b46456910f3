//! Signatures of identity ops: `{0: role, 2: key, 4: signature, 6: salt of a guardian's
//! commitment}`.
//!
//! A role or a suite of a newer program cannot be verified here. Such a signature is kept byte for
//! byte, so that the ops around it can be read, and it counts for nothing: any node that forwards
//! the log could have added it.

use crate::cbor::{CborError, Fields, MapWriter, Value, exactly};
use crate::domains::{self, Domain};
use crate::keys::{PublicKey, SUITE_25519, SecretKey, Signature, suite_and_bytes};

/// The role in which a key signs an op.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A root key of the person.
    Root,
    /// The node key that the op adds.
    Node,
    /// A guardian named by a commitment.
    Guardian,
}

impl Role {
    fn number(self) -> u64 {
        match self {
            Self::Root => 0,
            Self::Node => 2,
            Self::Guardian => 4,
        }
    }

    pub(crate) fn domain(self) -> Domain {
        match self {
            Self::Root => domains::OP_ROOT,
            Self::Node => domains::OP_NODE,
            Self::Guardian => domains::OP_GUARDIAN,
        }
    }
}

/// One signature of an op.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpSignature {
    /// The role of the signer.
    pub role: Role,
    /// The key of the signer.
    pub key: PublicKey,
    /// Over the role's domain and the op's bytes.
    pub signature: Signature,
    /// The salt that opens a guardian's commitment; guardians only.
    pub salt: Option<[u8; 16]>,
}

/// A signature that this program cannot verify, as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownSignature {
    role: u64,
    suite: u8,
    key: Vec<u8>,
    salt: Option<[u8; 16]>,
    value: Value,
}

impl UnknownSignature {
    /// True if the signature claims this role.
    pub(crate) fn is_of(&self, role: Role) -> bool {
        self.role == role.number()
    }

    /// The key's bytes, and the salt that opens a guardian's commitment to them.
    pub(crate) fn opening(&self) -> (&[u8], [u8; 16]) {
        (&self.key, self.salt.unwrap_or_default())
    }
}

/// One item of an op's list of signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AnySignature {
    Known(OpSignature),
    Unknown(UnknownSignature),
}

impl AnySignature {
    /// The sort key of the list: rising role, then suite, then key.
    pub(crate) fn order(&self) -> (u64, u8, &[u8]) {
        match self {
            Self::Known(signature) => {
                (signature.role.number(), signature.key.suite(), signature.key.as_bytes())
            }
            Self::Unknown(signature) => (signature.role, signature.suite, &signature.key),
        }
    }

    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Known(signature) => MapWriter::new()
                .uint(0, signature.role.number())
                .put(2, signature.key.to_value())
                .bytes(4, &signature.signature.0)
                .maybe(6, signature.salt.map(|salt| Value::Bytes(salt.to_vec())))
                .value(),
            Self::Unknown(signature) => signature.value.clone(),
        }
    }

    pub(crate) fn from_value(value: Value, key: u64) -> Result<Self, CborError> {
        match known(value.clone(), key) {
            Err(CborError::NotUnderstood(_)) => unknown(value, key).map(Self::Unknown),
            known => known.map(Self::Known),
        }
    }
}

fn known(value: Value, key: u64) -> Result<OpSignature, CborError> {
    let mut fields = Fields::of(value, key)?;
    let role = match fields.uint(0)? {
        0 => Role::Root,
        2 => Role::Node,
        4 => Role::Guardian,
        _ => return Err(CborError::NotUnderstood(0)),
    };
    let signer = PublicKey::from_value(fields.need(2)?, 2)?;
    let signature = Signature(exactly(fields.need(4)?, 4)?);
    let salt = fields.maybe_array(6)?;
    fields.finish()?;
    if salt.is_some() != (role == Role::Guardian) {
        return Err(CborError::Invalid(6));
    }
    Ok(OpSignature { role, key: signer, signature, salt })
}

/// Reads the fields that every signature has: a role, and a key as (suite, bytes). The length limit
/// of the op bounds the rest.
fn unknown(value: Value, key: u64) -> Result<UnknownSignature, CborError> {
    let mut fields = Fields::of(value.clone(), key)?;
    let role = fields.uint(0)?;
    let (suite, bytes) = suite_and_bytes(fields.need(2)?, 2)?;
    let suite = u8::try_from(suite).map_err(|_| CborError::Invalid(2))?;
    let Value::Bytes(bytes) = bytes else { return Err(CborError::Invalid(2)) };
    if suite == SUITE_25519 && bytes.len() != 32 {
        return Err(CborError::Invalid(2));
    }
    let salt = fields.take(6).and_then(|salt| exactly(salt, 6).ok());
    Ok(UnknownSignature { role, suite, key: bytes, salt, value })
}

/// Makes one signature of an op's bytes.
pub fn sign(role: Role, secret: &SecretKey, op_bytes: &[u8]) -> OpSignature {
    OpSignature {
        role,
        key: secret.public(),
        signature: secret.sign(role.domain(), op_bytes),
        salt: None,
    }
}
