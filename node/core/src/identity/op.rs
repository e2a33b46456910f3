//! Identity ops: what a person's log is made of. One op is a CBOR map, the signed form wraps its exact bytes with the signatures.
//!
//! Op: `{0: version 1, 2: kind, 4: index, 6: person, 8: prev, 10: body}` (6 and 8 are absent in Genesis, whose hash *is* the person).
//! Signed op: `{0: op bytes, 2: [{0: role, 2: key, 4: signature, 6: salt of a guardian's commitment}]}`, signatures by rising (role, key).

use crate::cbor::{CborError, Fields, MapWriter, Value, exactly};
use crate::domains::{self, Domain};
use crate::identity::PersonId;
use crate::keys::{PublicKey, Signature};

pub use super::op_body::{Cutoff, Genesis, OpBody, Recovery, RetireNode};

/// The longest signed op, in bytes.
pub const OP_LEN_MAX: usize = 3 * 1024;
/// Ops in one log, at most.
pub const OPS_MAX: usize = 256;
/// The last ops of a log, kept for Rotate, RetireNode, Recover and Tombstone.
pub const OPS_RESERVED: usize = 16;
/// Signatures on one op, at most.
const SIGNATURES_MAX: usize = 24;

/// BLAKE3 of an op's bytes: what its successor names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub [u8; 32]);

/// As whom a key signs an op.
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

    fn domain(self) -> Domain {
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
    /// As whom.
    pub role: Role,
    /// By which key.
    pub key: PublicKey,
    /// Over the role's domain and the op's bytes.
    pub signature: Signature,
    /// What opens a guardian's commitment; guardians only.
    pub salt: Option<[u8; 16]>,
}

/// What an op says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// Whose log; `None` in Genesis.
    pub person: Option<PersonId>,
    /// Its place in the log, from 0.
    pub index: u16,
    /// The op before it; `None` in Genesis.
    pub prev: Option<OpId>,
    /// What it does.
    pub body: OpBody,
}

impl Op {
    /// The canonical bytes: what is hashed and signed.
    pub fn to_canonical(&self) -> Vec<u8> {
        MapWriter::new()
            .uint(0, 1u8)
            .uint(2, self.body.kind())
            .uint(4, self.index)
            .maybe(6, self.person.map(|person| Value::Bytes(person.0.to_vec())))
            .maybe(8, self.prev.map(|prev| Value::Bytes(prev.0.to_vec())))
            .put(10, self.body.to_value())
            .canonical()
    }

    /// Reads canonical bytes. A kind or body this program does not understand becomes [`OpBody::Unknown`].
    ///
    /// # Errors
    /// When the frame is malformed, not canonical, or itself not understood.
    pub fn from_canonical(bytes: &[u8]) -> Result<Self, CborError> {
        let mut fields = Fields::from_canonical(bytes)?;
        if fields.uint(0)? != 1 {
            return Err(CborError::NotUnderstood(0));
        }
        let kind = fields.uint(2)?;
        let index = fields.small(4)?;
        let person = fields.maybe_array(6)?.map(PersonId);
        let prev = fields.maybe_array(8)?.map(OpId);
        let body = OpBody::from_value(kind, fields.need(10)?)?;
        fields.finish()?;
        let first = matches!(body, OpBody::Genesis(_));
        if first != (index == 0) || first == person.is_some() || first == prev.is_some() {
            return Err(CborError::Invalid(4));
        }
        Ok(Self { person, index, prev, body })
    }
}

/// An op with its signatures, and the exact bytes of both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedOp {
    bytes: Vec<u8>,
    op_bytes: Vec<u8>,
    op: Op,
    signatures: Vec<OpSignature>,
}

impl SignedOp {
    /// Wraps an op's exact bytes with signatures, which are put in order.
    ///
    /// # Errors
    /// When the op's bytes are refused or the whole is too long.
    pub fn new(op_bytes: Vec<u8>, mut signatures: Vec<OpSignature>) -> Result<Self, CborError> {
        signatures.sort_by_key(|signature| (signature.role, signature.key));
        let op = Op::from_canonical(&op_bytes)?;
        let bytes = MapWriter::new().bytes(0, &op_bytes).list(2, &signatures, signature_to_value).canonical();
        if bytes.len() > OP_LEN_MAX {
            return Err(CborError::Invalid(0));
        }
        Ok(Self { bytes, op_bytes, op, signatures })
    }

    /// Reads a signed op; its signatures are not verified yet (that is the log's work).
    ///
    /// # Errors
    /// When it is too long, malformed, not canonical or not understood.
    pub fn from_canonical(bytes: &[u8]) -> Result<Self, CborError> {
        if bytes.len() > OP_LEN_MAX {
            return Err(CborError::Malformed("an op over 3 KiB"));
        }
        let mut fields = Fields::from_canonical(bytes)?;
        let op_bytes = fields.bytes(0, OP_LEN_MAX)?;
        let signatures = fields.list(2, SIGNATURES_MAX, signature_from_value)?;
        fields.finish()?;
        if !signatures.is_sorted_by(|a, b| (a.role, a.key) < (b.role, b.key)) {
            return Err(CborError::NotCanonical);
        }
        let op = Op::from_canonical(&op_bytes)?;
        Ok(Self { bytes: bytes.to_vec(), op_bytes, op, signatures })
    }

    /// The exact bytes, signatures included: what is stored and forwarded.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The exact bytes of the op alone: what is hashed and signed.
    pub fn op_bytes(&self) -> &[u8] {
        &self.op_bytes
    }

    /// What it says.
    pub fn op(&self) -> &Op {
        &self.op
    }

    /// Who signed it.
    pub fn signatures(&self) -> &[OpSignature] {
        &self.signatures
    }

    /// Its id.
    pub fn id(&self) -> OpId {
        OpId(hash(domains::OP_ID, &self.op_bytes))
    }

    /// The person whose log it belongs to: for Genesis the hash of its bytes.
    pub fn person(&self) -> PersonId {
        self.op.person.unwrap_or_else(|| PersonId(hash(domains::PERSON, &self.op_bytes)))
    }

    /// The same op with one more signature.
    ///
    /// # Errors
    /// When the whole becomes too long.
    pub fn with_signature(&self, signature: OpSignature) -> Result<Self, CborError> {
        let mut signatures = self.signatures.clone();
        signatures.retain(|other| (other.role, other.key) != (signature.role, signature.key));
        signatures.push(signature);
        Self::new(self.op_bytes.clone(), signatures)
    }

    /// The keys that signed in a role, of which every signature holds.
    ///
    /// # Errors
    /// `None` as soon as one signature of that role does not hold.
    pub(crate) fn verified(&self, role: Role) -> Option<Vec<&OpSignature>> {
        let of_role: Vec<_> = self.signatures.iter().filter(|signature| signature.role == role).collect();
        let hold = of_role.iter().all(|s| s.key.verify(role.domain(), &self.op_bytes, &s.signature).is_ok());
        hold.then_some(of_role)
    }
}

/// Makes one signature of an op's bytes.
pub(crate) fn sign(role: Role, secret: &crate::keys::SecretKey, op_bytes: &[u8]) -> OpSignature {
    OpSignature { role, key: secret.public(), signature: secret.sign(role.domain(), op_bytes), salt: None }
}

/// `BLAKE3(domain ‖ bytes)`.
pub(crate) fn hash(domain: Domain, bytes: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(domain.bytes());
    hasher.update(bytes);
    *hasher.finalize().as_bytes()
}

fn signature_to_value(signature: &OpSignature) -> Value {
    MapWriter::new()
        .uint(0, signature.role.number())
        .put(2, signature.key.to_value())
        .bytes(4, &signature.signature.0)
        .maybe(6, signature.salt.map(|salt| Value::Bytes(salt.to_vec())))
        .value()
}

fn signature_from_value(value: Value, key: u64) -> Result<OpSignature, CborError> {
    let mut fields = Fields::of(value, key)?;
    let role = match fields.uint(0)? {
        0 => Role::Root,
        2 => Role::Node,
        4 => Role::Guardian,
        _ => return Err(CborError::NotUnderstood(0)),
    };
    let by = PublicKey::from_value(fields.need(2)?, 2)?;
    let signature = Signature(exactly(fields.need(4)?, 4)?);
    let salt = fields.maybe_array(6)?;
    fields.finish()?;
    if salt.is_some() != (role == Role::Guardian) {
        return Err(CborError::Invalid(6));
    }
    Ok(OpSignature { role, key: by, signature, salt })
}
