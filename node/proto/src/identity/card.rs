//! The node card: a node's two public keys as one short text to paste or photograph.

use std::fmt;
use std::str::FromStr;

use crate::cbor::{CborError, Fields, MapWriter, Value};
use crate::domains;
use crate::keys::{KemKey, PublicKey};

/// The prefix of a card; the number is the format's version.
const PREFIX: &str = "freehold-node1.";
/// Length of the checksum at the end, in bytes.
const CHECK_LEN: usize = 4;

/// A node's public keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeCard {
    /// The signing key, also the libp2p identity.
    pub sign: PublicKey,
    /// The KEM key that secrets are wrapped to.
    pub kem: KemKey,
}

/// A text is not a node card, or has a typing mistake.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("this is not a whole node card (it begins with {PREFIX} and is one line)")]
pub struct CardError;

impl NodeCard {
    pub(crate) fn to_value(&self) -> Value {
        MapWriter::new().put(0, self.sign.to_value()).put(2, self.kem.to_value()).value()
    }

    pub(crate) fn from_value(value: Value, key: u64) -> Result<Self, CborError> {
        let mut fields = Fields::of(value, key)?;
        let sign = PublicKey::from_value(fields.need(0)?, 0)?;
        let kem = KemKey::from_value(fields.need(2)?, 2)?;
        fields.finish()?;
        Ok(Self { sign, kem })
    }
}

impl fmt::Display for NodeCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.to_value().to_canonical();
        let check = super::op::hash(domains::ARMOUR, &bytes);
        bytes.extend_from_slice(check.get(..CHECK_LEN).unwrap_or_default());
        write!(f, "{PREFIX}{}", data_encoding::BASE64URL_NOPAD.encode(&bytes))
    }
}

impl FromStr for NodeCard {
    type Err = CardError;

    fn from_str(text: &str) -> Result<Self, CardError> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let body = text.strip_prefix(PREFIX).ok_or(CardError)?;
        let bytes =
            data_encoding::BASE64URL_NOPAD.decode(body.as_bytes()).map_err(|_| CardError)?;
        let (card, check) =
            bytes.split_at_checked(bytes.len().saturating_sub(CHECK_LEN)).ok_or(CardError)?;
        if super::op::hash(domains::ARMOUR, card).get(..CHECK_LEN) != Some(check) {
            return Err(CardError);
        }
        let value = Value::from_canonical(card).map_err(|_| CardError)?;
        Self::from_value(value, 0).map_err(|_| CardError)
    }
}
