//! Keys as `(suite, bytes)`, strict signature verification, and the secret keys of a node.
//!
//! Suite 1 is Ed25519 for signing and X25519 for KEM keys. A signing key of an unknown suite
//! verifies nothing and is not a [`PublicKey`]; a reader keeps or skips an object signed by one,
//! and does not treat it as malformed. A KEM key of an unknown suite is kept as bytes, so that a
//! log that names one can be read.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::cbor::{CborError, Value, exactly};
use crate::domains::Domain;

/// Suite 1: Ed25519 (signing) or X25519 (KEM).
pub const SUITE_25519: u8 = 1;
/// The longest KEM key of any suite, in bytes (X-Wing's is 1,216).
pub const KEM_KEY_LEN_MAX: usize = 1_280;

/// A public signing key of suite 1; never a point of small order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// A key from the 32 bytes of an Ed25519 key.
    ///
    /// # Errors
    /// When the bytes are not a point of the curve in its canonical encoding, or a point of small
    /// order (which would verify any message).
    pub fn from_ed25519(bytes: [u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::NotAKey)?;
        if key.is_weak() || key.to_bytes() != bytes {
            return Err(KeyError::NotAKey);
        }
        Ok(Self(bytes))
    }

    /// The suite.
    pub fn suite(&self) -> u8 {
        SUITE_25519
    }

    /// The key's bytes (32, Ed25519).
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Verifies a signature over `domain ‖ message` with `verify_strict`, which refuses points of
    /// small order and non-canonical scalars.
    ///
    /// # Errors
    /// When the signature is not valid.
    pub fn verify(
        &self,
        domain: Domain,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), KeyError> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| KeyError::NotAKey)?;
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        key.verify_strict(&join(domain, message), &signature).map_err(|_| KeyError::BadSignature)
    }

    /// `[suite, bytes]`.
    pub(crate) fn to_value(self) -> Value {
        Value::Array(vec![Value::Uint(SUITE_25519.into()), Value::Bytes(self.0.to_vec())])
    }

    pub(crate) fn from_value(value: Value, key: u64) -> Result<Self, CborError> {
        let (suite, bytes) = suite_and_bytes(value, key)?;
        if suite != u64::from(SUITE_25519) {
            return Err(CborError::NotUnderstood(key));
        }
        Self::from_ed25519(exactly(bytes, key)?).map_err(|_| CborError::Invalid(key))
    }
}

impl fmt::Display for PublicKey {
    /// Lower-case hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes =
            data_encoding::HEXLOWER.decode(text.as_bytes()).map_err(|_| KeyError::NotAKey)?;
        Self::from_ed25519(bytes.try_into().map_err(|_| KeyError::NotAKey)?)
    }
}

/// A public KEM key, to which secrets are wrapped.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KemKey {
    suite: u8,
    bytes: Vec<u8>,
}

impl KemKey {
    /// An X25519 key.
    pub fn from_x25519(bytes: [u8; 32]) -> Self {
        Self { suite: SUITE_25519, bytes: bytes.to_vec() }
    }

    /// The suite.
    pub fn suite(&self) -> u8 {
        self.suite
    }

    /// The key's bytes (32 in suite 1).
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn to_value(&self) -> Value {
        Value::Array(vec![Value::Uint(self.suite.into()), Value::Bytes(self.bytes.clone())])
    }

    pub(crate) fn from_value(value: Value, key: u64) -> Result<Self, CborError> {
        let (suite, bytes) = suite_and_bytes(value, key)?;
        let suite = u8::try_from(suite).map_err(|_| CborError::Invalid(key))?;
        let Value::Bytes(bytes) = bytes else { return Err(CborError::Invalid(key)) };
        let fits =
            if suite == SUITE_25519 { bytes.len() == 32 } else { bytes.len() <= KEM_KEY_LEN_MAX };
        if !fits {
            return Err(CborError::Invalid(key));
        }
        Ok(Self { suite, bytes })
    }
}

impl fmt::Debug for KemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KemKey({}, {})", self.suite, data_encoding::HEXLOWER.encode(&self.bytes))
    }
}

pub(crate) fn suite_and_bytes(value: Value, key: u64) -> Result<(u64, Value), CborError> {
    let Value::Array(parts) = value else { return Err(CborError::Invalid(key)) };
    let [Value::Uint(suite), bytes] =
        <[Value; 2]>::try_from(parts).map_err(|_| CborError::Invalid(key))?
    else {
        return Err(CborError::Invalid(key));
    };
    Ok((suite, bytes))
}

/// An Ed25519 signature (64 bytes).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature(pub [u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// Why a key or a signature was refused.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// Not a public key, or one of small order.
    #[error("not a usable public key")]
    NotAKey,
    /// The signature is not valid.
    #[error("the signature does not hold")]
    BadSignature,
}

/// A secret signing key. Wiped when dropped.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// A key from its 32 secret bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(bytes))
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `domain ‖ message`.
    pub fn sign(&self, domain: Domain, message: &[u8]) -> Signature {
        Signature(self.0.sign(&join(domain, message)).to_bytes())
    }

    /// The 32 secret bytes.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(public {})", self.public())
    }
}

/// A secret KEM key. Wiped when dropped.
#[derive(Clone)]
pub struct KemSecret(x25519_dalek::StaticSecret);

impl KemSecret {
    /// A key from its 32 secret bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(x25519_dalek::StaticSecret::from(bytes))
    }

    /// The public half.
    pub fn public(&self) -> KemKey {
        KemKey::from_x25519(x25519_dalek::PublicKey::from(&self.0).to_bytes())
    }

    /// The 32 secret bytes.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }
}

impl fmt::Debug for KemSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KemSecret(public {:?})", self.public())
    }
}

/// The two secrets of a node: its signing key (also its libp2p identity) and its KEM key.
#[derive(Clone, Debug)]
pub struct NodeKeys {
    /// Signs entries, the op that certifies this node, and libp2p's handshake.
    pub sign: SecretKey,
    /// Unwraps secrets that are wrapped to this node.
    pub kem: KemSecret,
}

fn join(domain: Domain, message: &[u8]) -> Vec<u8> {
    [domain.bytes(), message].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domains;

    /// The eight points of small order, in their canonical encodings (and two second encodings).
    const SMALL_ORDER: [&str; 9] = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "0100000000000000000000000000000000000000000000000000000000000080",
    ];

    #[test]
    fn small_order_public_keys_are_refused() {
        for hex in SMALL_ORDER {
            assert!(hex.parse::<PublicKey>().is_err(), "{hex} was accepted");
        }
    }

    #[test]
    fn signature_is_valid_in_its_domain_only() {
        let secret = SecretKey::from_bytes(&[7; 32]);
        let signature = secret.sign(domains::ENTRY, b"words");
        assert_eq!(secret.public().verify(domains::ENTRY, b"words", &signature), Ok(()));
        assert_eq!(
            secret.public().verify(domains::OP_NODE, b"words", &signature),
            Err(KeyError::BadSignature)
        );
        assert_eq!(
            secret.public().verify(domains::ENTRY, b"other words", &signature),
            Err(KeyError::BadSignature)
        );
    }

    #[test]
    fn signature_with_non_canonical_scalar_is_refused() {
        // S + L is a second form of the same signature, which a lax verifier would accept.
        const L: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
            0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let secret = SecretKey::from_bytes(&[7; 32]);
        let mut signature = secret.sign(domains::ENTRY, b"words");
        let mut carry = 0u16;
        for (at, l) in L.iter().enumerate() {
            let sum = u16::from(signature.0[32 + at]) + u16::from(*l) + carry;
            signature.0[32 + at] = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        assert_eq!(
            secret.public().verify(domains::ENTRY, b"words", &signature),
            Err(KeyError::BadSignature)
        );
    }
}
