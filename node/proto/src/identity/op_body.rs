//! The bodies of identity ops, one per kind.

use crate::cbor::{CborError, Fields, MapWriter, Value, exactly};
use crate::identity::NodeCard;
use crate::keys::{KemKey, PublicKey};

/// Root keys of one person, at most.
pub const ROOTS_MAX: usize = 5;
/// Guardians of one person, at most.
pub const GUARDIANS_MAX: usize = 15;
/// Cut-offs in one RetireNode, at most (each about 70 bytes, in an op of at most 3 KiB).
pub const CUTOFFS_MAX: usize = 32;
/// The number of [`OpBody::Recover`].
pub(crate) const RECOVER: u64 = 12;
/// The longest domain name, in bytes (RFC 1035 2.3.4).
const DOMAIN_LEN_MAX: usize = 253;

/// The body of an op. The numbers of the kinds are even: a log with a kind that this program does
/// not understand is frozen before that op.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpBody {
    /// Begins a log.
    Genesis(Genesis),
    /// Replaces the root keys, by priority.
    Rotate(Vec<PublicKey>),
    /// Certifies one more node; countersigned by it.
    AddNode(NodeCard),
    /// Ends a node's right to write.
    RetireNode(RetireNode),
    /// Names the domain that vouches for the person's name, or none.
    SetDomain(Option<String>),
    /// Replaces the guardians.
    SetGuardians(Recovery),
    /// New root keys, countersigned by k guardians and signed by the first of the new keys.
    Recover(Vec<PublicKey>),
    /// Ends the identity.
    Tombstone,
    /// A kind of a newer program: stored and forwarded, not applied.
    Unknown {
        /// The kind's number.
        kind: u64,
        /// The body as received.
        body: Value,
    },
}

/// The first op of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// Root keys by priority, the first one first; 1 to 5.
    pub roots: Vec<PublicKey>,
    /// The guardians, who can recover the identity.
    pub recovery: Recovery,
    /// The key that every epoch key is also wrapped to.
    pub recovery_kem: KemKey,
    /// The first node; countersigned by it.
    pub node: NodeCard,
}

/// The guardians of an identity, and how many of them can recover it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// How many guardians are needed; 0 = no recovery by friends.
    pub needed: u8,
    /// `BLAKE3("freehold/guardian/1\0" ‖ salt16 ‖ key32)` per guardian.
    pub guardians: Vec<[u8; 32]>,
    /// The delay in which a recovery can be vetoed, in seconds.
    pub delay_secs: u32,
}

/// The retirement of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetireNode {
    /// Its signing key.
    pub node: PublicKey,
    /// The last valid entry of each branch of its feed logs. These and all they chain back to stay
    /// valid; every other entry is void.
    pub cutoffs: Vec<Cutoff>,
    /// True if another person has the key.
    pub compromised: bool,
}

/// The last valid entry of one feed log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cutoff {
    /// The feed log's lane.
    pub lane: [u8; 16],
    /// The feed log's epoch.
    pub epoch: u64,
    /// The last valid sequence number.
    pub seq: u64,
    /// That entry's id.
    pub entry: [u8; 32],
}

impl OpBody {
    /// The kind's number.
    pub fn kind(&self) -> u64 {
        match self {
            Self::Genesis(_) => 0,
            Self::Rotate(_) => 2,
            Self::AddNode(_) => 4,
            Self::RetireNode(_) => 6,
            Self::SetDomain(_) => 8,
            Self::SetGuardians(_) => 10,
            Self::Recover(_) => RECOVER,
            Self::Tombstone => 14,
            Self::Unknown { kind, .. } => *kind,
        }
    }

    /// True if an op of this kind may use one of the last places of a log.
    pub fn may_use_reserve(&self) -> bool {
        matches!(self, Self::Rotate(_) | Self::RetireNode(_) | Self::Recover(_) | Self::Tombstone)
    }

    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Genesis(genesis) => MapWriter::new()
                .list(0, &genesis.roots, |key| key.to_value())
                .put(2, recovery_to_value(&genesis.recovery))
                .put(4, genesis.recovery_kem.to_value())
                .put(6, genesis.node.to_value())
                .value(),
            Self::Rotate(roots) | Self::Recover(roots) => {
                MapWriter::new().list(0, roots, |key| key.to_value()).value()
            }
            Self::AddNode(node) => MapWriter::new().put(0, node.to_value()).value(),
            Self::RetireNode(retire) => MapWriter::new()
                .put(0, retire.node.to_value())
                .list(2, &retire.cutoffs, |cutoff| {
                    MapWriter::new()
                        .bytes(0, &cutoff.lane)
                        .uint(2, cutoff.epoch)
                        .uint(4, cutoff.seq)
                        .bytes(6, &cutoff.entry)
                        .value()
                })
                .put(4, Value::Bool(retire.compromised))
                .value(),
            Self::SetDomain(domain) => {
                MapWriter::new().maybe(0, domain.clone().map(Value::Text)).value()
            }
            Self::SetGuardians(recovery) => {
                MapWriter::new().put(0, recovery_to_value(recovery)).value()
            }
            Self::Tombstone => MapWriter::new().value(),
            Self::Unknown { body, .. } => body.clone(),
        }
    }

    pub(crate) fn from_value(kind: u64, value: Value) -> Result<Self, CborError> {
        match Self::understood(kind, value.clone()) {
            Err(CborError::NotUnderstood(_)) => Ok(Self::Unknown { kind, body: value }),
            other => other,
        }
    }

    fn understood(kind: u64, value: Value) -> Result<Self, CborError> {
        let mut fields = Fields::of(value, 10)?;
        let body = match kind {
            0 => Self::Genesis(Genesis {
                roots: roots(&mut fields)?,
                recovery: recovery_from_value(fields.need(2)?, 2)?,
                recovery_kem: KemKey::from_value(fields.need(4)?, 4)?,
                node: NodeCard::from_value(fields.need(6)?, 6)?,
            }),
            2 => Self::Rotate(roots(&mut fields)?),
            4 => Self::AddNode(NodeCard::from_value(fields.need(0)?, 0)?),
            6 => Self::RetireNode(RetireNode {
                node: PublicKey::from_value(fields.need(0)?, 0)?,
                cutoffs: fields.list(2, CUTOFFS_MAX, cutoff)?,
                compromised: fields.flag(4)?,
            }),
            8 => Self::SetDomain(fields.maybe_text(0, DOMAIN_LEN_MAX)?),
            10 => Self::SetGuardians(recovery_from_value(fields.need(0)?, 0)?),
            RECOVER => Self::Recover(roots(&mut fields)?),
            14 => Self::Tombstone,
            _ => return Err(CborError::NotUnderstood(2)),
        };
        fields.finish()?;
        Ok(body)
    }
}

fn roots(fields: &mut Fields) -> Result<Vec<PublicKey>, CborError> {
    let roots = fields.list(0, ROOTS_MAX, PublicKey::from_value)?;
    let mut distinct = roots.clone();
    distinct.sort();
    distinct.dedup();
    if roots.is_empty() || distinct.len() != roots.len() {
        return Err(CborError::Invalid(0));
    }
    Ok(roots)
}

fn recovery_to_value(recovery: &Recovery) -> Value {
    MapWriter::new()
        .uint(0, recovery.needed)
        .list(2, &recovery.guardians, |commitment| Value::Bytes(commitment.to_vec()))
        .uint(4, recovery.delay_secs)
        .value()
}

fn recovery_from_value(value: Value, key: u64) -> Result<Recovery, CborError> {
    let mut fields = Fields::of(value, key)?;
    let needed: u8 = fields.small(0)?;
    let guardians = fields.list(2, GUARDIANS_MAX, exactly::<32>)?;
    let delay_secs = fields.small(4)?;
    fields.finish()?;
    if usize::from(needed) > guardians.len() || (needed == 0) != guardians.is_empty() {
        return Err(CborError::Invalid(key));
    }
    Ok(Recovery { needed, guardians, delay_secs })
}

fn cutoff(value: Value, key: u64) -> Result<Cutoff, CborError> {
    let mut fields = Fields::of(value, key)?;
    let cutoff = Cutoff {
        lane: fields.array(0)?,
        epoch: fields.uint(2)?,
        seq: fields.uint(4)?,
        entry: fields.array(6)?,
    };
    fields.finish()?;
    Ok(cutoff)
}
