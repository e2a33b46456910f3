//! The text form of claims, requests, signed requests and whole identity logs.

use std::fmt;
use std::str::FromStr;

use super::{Claim, SignatureRequest, SignedRequest, TransferError};
use crate::cbor::{CborError, Fields, MapWriter, Value};
use crate::identity::armour;
use crate::identity::backup_key::BackupKey;
use crate::identity::op::{OP_LEN_MAX, OPS_MAX, Op, SignedOp};
use crate::identity::{IdentityLog, IdentityLogError};

fn ops_payload(ops: &[SignedOp]) -> MapWriter {
    MapWriter::new().list(0, ops, |op| Value::Bytes(op.as_bytes().to_vec()))
}

fn ops_from(fields: &mut Fields) -> Result<Vec<SignedOp>, CborError> {
    fields.list(0, OPS_MAX, |value, key| match value {
        Value::Bytes(bytes) => SignedOp::from_canonical(&bytes),
        _ => Err(CborError::Invalid(key)),
    })
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        armour::write(
            f,
            armour::CLAIM,
            &ops_payload(&self.ops).put(2, self.backup.to_value()).canonical(),
        )
    }
}

impl FromStr for Claim {
    type Err = TransferError;

    fn from_str(text: &str) -> Result<Self, TransferError> {
        let mut fields = Fields::from_canonical(&armour::read(armour::CLAIM, text)?)?;
        let ops = ops_from(&mut fields)?;
        let backup = BackupKey::from_value(fields.need(2)?, 2)?;
        fields.finish()?;
        Ok(Self { ops, backup })
    }
}

impl fmt::Display for SignedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let backup = self.backup.as_ref().map(BackupKey::to_value);
        armour::write(f, armour::SIGNED, &ops_payload(&self.ops).maybe(2, backup).canonical())
    }
}

impl FromStr for SignedRequest {
    type Err = TransferError;

    fn from_str(text: &str) -> Result<Self, TransferError> {
        if let Ok(payload) = armour::read(armour::LOG, text) {
            return Ok(Self {
                ops: IdentityLog::from_canonical(&payload)?.into_ops(),
                backup: None,
            });
        }
        let mut fields = Fields::from_canonical(&armour::read(armour::SIGNED, text)?)?;
        let ops = ops_from(&mut fields)?;
        let backup = fields.take(2).map(|value| BackupKey::from_value(value, 2)).transpose()?;
        fields.finish()?;
        Ok(Self { ops, backup })
    }
}

impl fmt::Display for SignatureRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        armour::write(
            f,
            armour::REQUEST,
            &ops_payload(self.log.ops()).bytes(2, &self.op).canonical(),
        )
    }
}

impl FromStr for SignatureRequest {
    type Err = TransferError;

    fn from_str(text: &str) -> Result<Self, TransferError> {
        let mut fields = Fields::from_canonical(&armour::read(armour::REQUEST, text)?)?;
        let ops = ops_from(&mut fields)?;
        let bytes = fields.bytes(2, OP_LEN_MAX)?;
        fields.finish()?;
        let log = IdentityLog::from_ops(ops)?;
        let op = Op::from_canonical(&bytes)?;
        if op != log.next_op(op.body.clone()) {
            return Err(TransferError::Log(IdentityLogError::Chain(log.ops().len())));
        }
        Ok(Self { log, op: bytes, body: op.body })
    }
}

impl IdentityLog {
    /// The whole log as one CBOR item, `{0: [signed op bytes]}`; `/.well-known/freehold` serves it.
    pub fn to_canonical(&self) -> Vec<u8> {
        ops_payload(self.ops()).canonical()
    }

    /// Reads and verifies a whole log.
    ///
    /// # Errors
    /// When the bytes are malformed, not canonical or not a valid log.
    pub fn from_canonical(bytes: &[u8]) -> Result<Self, TransferError> {
        let mut fields = Fields::from_canonical(bytes)?;
        let ops = ops_from(&mut fields)?;
        fields.finish()?;
        Ok(Self::from_ops(ops)?)
    }

    /// Reads and verifies a log from a file: the text that a node wrote, or the bytes that
    /// `/.well-known/freehold` served.
    ///
    /// # Errors
    /// As [`IdentityLog::from_canonical`], and when a text is damaged or of another kind.
    pub fn from_file(bytes: &[u8]) -> Result<Self, TransferError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::from_canonical(&armour::read(armour::LOG, text)?),
            Err(_) => Self::from_canonical(bytes),
        }
    }
}

impl fmt::Display for IdentityLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        armour::write(f, armour::LOG, &self.to_canonical())
    }
}
