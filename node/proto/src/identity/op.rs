//! Identity ops, the records of an identity log. An op is a CBOR map; the signed form wraps its
//! exact bytes with the signatures.
//!
//! Op: `{0: version 1, 2: kind, 4: index, 6: person, 8: prev, 10: body}` (6 and 8 are absent in
//! Genesis, whose hash *is* the person). Signed op: `{0: op bytes, 2: [signatures]}`, sorted by
//! rising (role, suite, key).

use super::op_signature::AnySignature;
use crate::cbor::{CborError, Fields, MapWriter, Value};
use crate::domains::{self, Domain};
use crate::identity::PersonId;

pub use super::op_body::{Cutoff, Genesis, OpBody, Recovery, RetireNode};
pub use super::op_signature::sign;
pub use super::op_signature::{OpSignature, Role, UnknownSignature};

/// The longest signed op, in bytes.
pub const OP_LEN_MAX: usize = 3 * 1024;
/// Ops in one log, at most.
pub const OPS_MAX: usize = 256;
/// The last ops of a log, kept for Rotate, RetireNode, Recover and Tombstone.
pub const OPS_RESERVED: usize = 16;
/// Signatures on one op, at most.
const SIGNATURES_MAX: usize = 24;

/// BLAKE3 of an op's bytes; the next op names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub [u8; 32]);

/// An op, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// The person of the log; `None` in Genesis.
    pub person: Option<PersonId>,
    /// Index in the log, from 0.
    pub index: u16,
    /// The op before it; `None` in Genesis.
    pub prev: Option<OpId>,
    /// The change it makes.
    pub body: OpBody,
}

impl Op {
    /// The canonical bytes, which are hashed and signed.
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

    /// Reads canonical bytes. A kind, a body or an additional key that this program does not
    /// understand gives [`OpBody::Unknown`].
    ///
    /// # Errors
    /// When the frame is malformed, not canonical, or of another version.
    pub fn from_canonical(bytes: &[u8]) -> Result<Self, CborError> {
        let mut fields = Fields::from_canonical(bytes)?;
        if fields.uint(0)? != 1 {
            return Err(CborError::NotUnderstood(0));
        }
        let kind = fields.uint(2)?;
        let index = fields.small(4)?;
        let person = fields.maybe_array(6)?.map(PersonId);
        let prev = fields.maybe_array(8)?.map(OpId);
        let value = fields.need(10)?;
        let body = match (OpBody::from_value(kind, value.clone())?, fields.finish()) {
            (body, Ok(())) => body,
            (_, Err(_)) => OpBody::Unknown { kind, body: value },
        };
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
    unknown: Vec<UnknownSignature>,
}

impl SignedOp {
    /// Wraps an op's exact bytes with signatures, which are sorted.
    ///
    /// # Errors
    /// When the op's bytes are refused or the whole is too long.
    pub fn new(op_bytes: Vec<u8>, signatures: Vec<OpSignature>) -> Result<Self, CborError> {
        Self::wrap(op_bytes, signatures.into_iter().map(AnySignature::Known).collect())
    }

    fn wrap(op_bytes: Vec<u8>, mut listed: Vec<AnySignature>) -> Result<Self, CborError> {
        listed.sort_by(|a, b| a.order().cmp(&b.order()));
        let op = Op::from_canonical(&op_bytes)?;
        let bytes = MapWriter::new()
            .bytes(0, &op_bytes)
            .list(2, &listed, AnySignature::to_value)
            .canonical();
        if bytes.len() > OP_LEN_MAX {
            return Err(CborError::Invalid(0));
        }
        Ok(Self::of(bytes, op_bytes, op, listed))
    }

    fn of(bytes: Vec<u8>, op_bytes: Vec<u8>, op: Op, listed: Vec<AnySignature>) -> Self {
        let (mut signatures, mut unknown) = (Vec::new(), Vec::new());
        for signature in listed {
            match signature {
                AnySignature::Known(signature) => signatures.push(signature),
                AnySignature::Unknown(signature) => unknown.push(signature),
            }
        }
        Self { bytes, op_bytes, op, signatures, unknown }
    }

    /// Reads a signed op. The signatures are verified later, by the identity log.
    ///
    /// # Errors
    /// When the bytes are too long, malformed, not canonical or not understood.
    pub fn from_canonical(bytes: &[u8]) -> Result<Self, CborError> {
        if bytes.len() > OP_LEN_MAX {
            return Err(CborError::Malformed("an op over 3 KiB"));
        }
        let mut fields = Fields::from_canonical(bytes)?;
        let op_bytes = fields.bytes(0, OP_LEN_MAX)?;
        let listed = fields.list(2, SIGNATURES_MAX, AnySignature::from_value)?;
        fields.finish()?;
        if !listed.is_sorted_by(|a, b| a.order() < b.order()) {
            return Err(CborError::NotCanonical);
        }
        let op = Op::from_canonical(&op_bytes)?;
        Ok(Self::of(bytes.to_vec(), op_bytes, op, listed))
    }

    /// The exact bytes with the signatures, as stored and forwarded.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The exact bytes of the op alone, which are hashed and signed.
    pub fn op_bytes(&self) -> &[u8] {
        &self.op_bytes
    }

    /// The parsed op.
    pub fn op(&self) -> &Op {
        &self.op
    }

    /// The signatures that this program can verify.
    pub fn signatures(&self) -> &[OpSignature] {
        &self.signatures
    }

    /// The signatures that this program cannot verify.
    pub fn unknown_signatures(&self) -> &[UnknownSignature] {
        &self.unknown
    }

    /// The number of signatures that claim a role and cannot be verified.
    pub(crate) fn unknown_count(&self, role: Role) -> usize {
        self.unknown.iter().filter(|signature| signature.is_of(role)).count()
    }

    /// The op's id.
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
        let (role, key) = (signature.role, signature.key);
        let others =
            self.signatures.iter().filter(|other| (other.role, other.key) != (role, key)).cloned();
        let known = others.chain([signature]).map(AnySignature::Known);
        Self::wrap(
            self.op_bytes.clone(),
            known.chain(self.unknown.iter().cloned().map(AnySignature::Unknown)).collect(),
        )
    }

    /// The signatures in a role; `None` when one that this program knows is not valid.
    pub(crate) fn verified(&self, role: Role) -> Option<Vec<&OpSignature>> {
        let of_role: Vec<_> =
            self.signatures.iter().filter(|signature| signature.role == role).collect();
        let all_valid = of_role
            .iter()
            .all(|s| s.key.verify(role.domain(), &self.op_bytes, &s.signature).is_ok());
        all_valid.then_some(of_role)
    }
}

/// `BLAKE3(domain ‖ bytes)`.
pub(crate) fn hash(domain: Domain, bytes: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(domain.bytes());
    hasher.update(bytes);
    *hasher.finalize().as_bytes()
}
