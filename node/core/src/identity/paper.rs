//! What needs the 24 words, done where they are: on the owner's own computer. Texts go in and out; no node, no store, no network.
//!
//! A node shows its card. Then [`begin`] (new person) or [`sign`] (an op the person's node has asked for) makes a text with the root
//! key's signature. The text goes to the node: a [`Claim`] is countersigned by the node it names, a [`SignedRequest`] is taken as it is.

use std::fmt;
use std::str::FromStr;

use super::armour::{self, ArmourError};
use super::backup_key::BackupKey;
use super::op::{Genesis, Op, OpBody, Recovery, Role, SignedOp, sign as sign_op};
use super::{IdentityLog, LogError, NodeCard, PersonId};
use crate::cbor::{CborError, Fields, MapWriter, Value};
use crate::words::Words;

const CLAIM: &str = "freehold claim 1";
const REQUEST: &str = "freehold request 1";
const SIGNED: &str = "freehold signed 1";

/// Why a text cannot be read or signed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum PaperError {
    /// Not the right file, or a damaged one.
    #[error(transparent)]
    Armour(#[from] ArmourError),
    /// The file is whole, but what it says is not what this program reads.
    #[error("the file says something this program cannot read: {0}")]
    Content(#[from] CborError),
    /// The log in it is not valid.
    #[error("the identity log in the file is not valid: {0}")]
    Log(#[from] LogError),
    /// These words belong to somebody else.
    #[error("these words are not those of {0}")]
    OtherWords(PersonId),
}

/// A log whose last op names a node and waits for that node's countersignature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub(super) ops: Vec<SignedOp>,
    /// What lets the words open the node's vault and its backups.
    pub(super) backup: BackupKey,
}

/// An op that a node asks its person to sign, with the log it would follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    log: IdentityLog,
    op: Vec<u8>,
    body: OpBody,
}

/// An op signed by a root key, with the log it follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRequest {
    pub(super) ops: Vec<SignedOp>,
}

/// What signing a request gives: most ops are done, a node that is added must still countersign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signed {
    /// For the node that asked.
    Done(SignedRequest),
    /// For the node that is being added.
    Claim(Claim),
}

/// Begins a person: genesis, signed by the words' root key, for the node whose card this is.
///
/// # Errors
/// Only when the op would be over its limit.
pub fn begin(words: &Words, node: &NodeCard) -> Result<Claim, PaperError> {
    let keys = words.keys();
    let genesis = Genesis {
        roots: vec![keys.root.public()],
        recovery: Recovery::default(),
        recovery_kem: keys.recovery.public(),
        node: node.clone(),
    };
    let op = Op { person: None, index: 0, prev: None, body: OpBody::Genesis(genesis) }.to_canonical();
    let signature = sign_op(Role::Root, &keys.root, &op);
    let genesis = SignedOp::new(op, vec![signature])?;
    let backup = BackupKey::of(&keys, &genesis.person());
    Ok(Claim { ops: vec![genesis], backup })
}

/// Signs what a request asks for.
///
/// # Errors
/// When the words are not the person's.
pub fn sign(request: &Request, words: &Words) -> Result<Signed, PaperError> {
    let keys = words.keys();
    if !request.log.state().roots.contains(&keys.root.public()) {
        return Err(PaperError::OtherWords(request.log.person()));
    }
    let signed = SignedOp::new(request.op.clone(), vec![sign_op(Role::Root, &keys.root, &request.op)])?;
    let adds_node = matches!(request.body, OpBody::AddNode(_));
    let ops = request.log.ops().iter().cloned().chain([signed]).collect();
    let backup = BackupKey::of(&keys, &request.log.person());
    Ok(if adds_node { Signed::Claim(Claim { ops, backup }) } else { Signed::Done(SignedRequest { ops }) })
}

/// Reads a request and signs it: texts in, text out.
///
/// # Errors
/// When the request is damaged or not valid, or the words are not the person's.
pub fn sign_with_words(request: &str, words: &Words) -> Result<String, PaperError> {
    Ok(match sign(&request.parse()?, words)? {
        Signed::Done(done) => done.to_string(),
        Signed::Claim(claim) => claim.to_string(),
    })
}

impl Claim {
    /// The person it makes or belongs to.
    pub fn person(&self) -> Option<PersonId> {
        self.ops.first().map(SignedOp::person)
    }

    /// The node it is for.
    pub fn node(&self) -> Option<&NodeCard> {
        match &self.ops.last()?.op().body {
            OpBody::Genesis(genesis) => Some(&genesis.node),
            OpBody::AddNode(card) => Some(card),
            _ => None,
        }
    }
}

impl Request {
    pub(super) fn new(log: &IdentityLog, body: OpBody) -> Self {
        let op = log.next_op(body.clone()).to_canonical();
        Self { log: log.clone(), op, body }
    }

    /// Whose signature it asks for.
    pub fn person(&self) -> PersonId {
        self.log.person()
    }

    /// What would be signed.
    pub fn body(&self) -> &OpBody {
        &self.body
    }

    /// What would be signed, in a sentence for the person who signs.
    pub fn describe(&self) -> String {
        let person = self.log.person().short();
        match &self.body {
            OpBody::Genesis(_) => format!("begin the identity {person}"),
            OpBody::Rotate(roots) => format!("replace the root keys of {person} with {} others", roots.len()),
            OpBody::AddNode(card) => format!("let the node {} speak for {person}", card.sign),
            OpBody::RetireNode(retire) if retire.compromised => {
                format!("retire the stolen node {} of {person} and void what it says from its cut-offs on", retire.node)
            }
            OpBody::RetireNode(retire) => format!("retire the node {} of {person}", retire.node),
            OpBody::SetDomain(Some(domain)) => format!("let {domain} vouch for the name of {person}"),
            OpBody::SetDomain(None) => format!("let no domain vouch for the name of {person}"),
            OpBody::SetGuardians(recovery) => {
                format!("let any {} of {} guardians recover {person}", recovery.needed, recovery.guardians.len())
            }
            OpBody::Recover(_) => format!("recover {person} with new root keys"),
            OpBody::Tombstone => format!("END the identity {person} for ever"),
            OpBody::Unknown { kind, .. } => format!("something this program does not know (kind {kind}) for {person}"),
        }
    }
}

fn ops_payload(ops: &[SignedOp]) -> MapWriter {
    MapWriter::new().list(0, ops, |op| Value::Bytes(op.as_bytes().to_vec()))
}

fn ops_from(fields: &mut Fields) -> Result<Vec<SignedOp>, CborError> {
    fields.list(0, super::op::OPS_MAX, |value, key| match value {
        Value::Bytes(bytes) => SignedOp::from_canonical(&bytes),
        _ => Err(CborError::Invalid(key)),
    })
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        armour::write(f, CLAIM, &ops_payload(&self.ops).put(2, self.backup.to_value()).canonical())
    }
}

impl FromStr for Claim {
    type Err = PaperError;

    fn from_str(text: &str) -> Result<Self, PaperError> {
        let mut fields = Fields::from_canonical(&armour::read(CLAIM, text)?)?;
        let ops = ops_from(&mut fields)?;
        let backup = BackupKey::from_value(fields.need(2)?, 2)?;
        fields.finish()?;
        Ok(Self { ops, backup })
    }
}

impl fmt::Display for SignedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        armour::write(f, SIGNED, &ops_payload(&self.ops).canonical())
    }
}

impl FromStr for SignedRequest {
    type Err = PaperError;

    fn from_str(text: &str) -> Result<Self, PaperError> {
        let mut fields = Fields::from_canonical(&armour::read(SIGNED, text)?)?;
        let ops = ops_from(&mut fields)?;
        fields.finish()?;
        Ok(Self { ops })
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        armour::write(f, REQUEST, &ops_payload(self.log.ops()).bytes(2, &self.op).canonical())
    }
}

impl FromStr for Request {
    type Err = PaperError;

    fn from_str(text: &str) -> Result<Self, PaperError> {
        let mut fields = Fields::from_canonical(&armour::read(REQUEST, text)?)?;
        let ops = ops_from(&mut fields)?;
        let bytes = fields.bytes(2, super::op::OP_LEN_MAX)?;
        fields.finish()?;
        let log = IdentityLog::from_ops(ops)?;
        let op = Op::from_canonical(&bytes)?;
        if op != log.next_op(op.body.clone()) {
            return Err(PaperError::Log(LogError::Chain(log.ops().len())));
        }
        Ok(Self { log, op: bytes, body: op.body })
    }
}
