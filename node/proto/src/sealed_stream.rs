//! A stream of pieces sealed to a KEM key: HPKE (RFC 9180) in base mode with DHKEM(X25519,
//! HKDF-SHA256), HKDF-SHA256 and ChaCha20-Poly1305 in suite 1.
//!
//! The pieces are the messages of one HPKE context, so a piece that is missing, repeated or at
//! another place does not open. The associated data of a piece is its [`Piece`], so that a stream
//! that was cut off is noticed. Base mode does not authenticate the sender; the connection does.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use hpke::aead::{AeadCtxR, AeadCtxS, ChaCha20Poly1305};
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable, setup_receiver};

use crate::keys::{KemKey, KemSecret, SUITE_25519};
use crate::random::Random;

/// The bytes that sealing adds to a piece.
pub const PIECE_OVERHEAD: usize = 16;
/// The length of the encapsulated key in suite 1, in bytes.
pub const ENCAPSULATED_LEN: usize = 32;

/// The kind of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The first one, before the content.
    Head,
    /// A part of the content.
    Part,
    /// The last part of the content; may be empty.
    Last,
}

impl Piece {
    fn associated_data(self) -> &'static [u8] {
        match self {
            Self::Head => &[0],
            Self::Part => &[1],
            Self::Last => &[2],
        }
    }
}

/// Why a piece was not sealed or not opened.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SealedStreamError {
    /// The KEM key's suite is newer than this program.
    #[error("the key is of suite {0}, which this program does not know")]
    Suite(u8),
    /// The key is unusable, or the piece was sealed to another key, for another purpose, at another
    /// place, or was changed.
    #[error("the sealed piece does not open")]
    DoesNotOpen,
}

/// Seals the pieces of one stream.
pub struct Sealer(AeadCtxS<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>);

impl Sealer {
    /// Begins a stream to the holder of `to`; gives the encapsulated key too. `info` binds the
    /// stream to its purpose, its sender and its receiver.
    ///
    /// # Errors
    /// When the key is of an unknown suite or unusable.
    pub fn new(
        to: &KemKey,
        info: &[u8],
        random: &Random,
    ) -> Result<(Self, Vec<u8>), SealedStreamError> {
        if to.suite() != SUITE_25519 {
            return Err(SealedStreamError::Suite(to.suite()));
        }
        let public = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(to.as_bytes())
            .map_err(|_| SealedStreamError::DoesNotOpen)?;
        let mut random = ChaCha20Rng::from_seed(random.array());
        let (encapsulated, context) =
            hpke::setup_sender_with_rng(&OpModeS::Base, &public, info, &mut random)
                .map_err(|_| SealedStreamError::DoesNotOpen)?;
        Ok((Self(context), encapsulated.to_bytes().to_vec()))
    }

    /// Seals the next piece.
    ///
    /// # Errors
    /// Never for fewer than 2^64 pieces.
    pub fn seal(&mut self, bytes: &[u8], piece: Piece) -> Result<Vec<u8>, SealedStreamError> {
        self.0.seal(bytes, piece.associated_data()).map_err(|_| SealedStreamError::DoesNotOpen)
    }
}

/// Opens the pieces of one stream.
pub struct Opener(AeadCtxR<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>);

impl Opener {
    /// Begins to read a stream with this encapsulated key.
    ///
    /// # Errors
    /// When the suite is unknown, or the encapsulated key is not one.
    pub fn new(
        secret: &KemSecret,
        suite: u8,
        encapsulated: &[u8],
        info: &[u8],
    ) -> Result<Self, SealedStreamError> {
        if suite != SUITE_25519 {
            return Err(SealedStreamError::Suite(suite));
        }
        let refused = |_| SealedStreamError::DoesNotOpen;
        let secret = secret.to_bytes();
        let secret = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(secret.as_slice());
        let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated);
        let (secret, encapsulated) = (secret.map_err(refused)?, encapsulated.map_err(refused)?);
        let context = setup_receiver(&OpModeR::Base, &secret, &encapsulated, info);
        Ok(Self(context.map_err(refused)?))
    }

    /// Opens the next piece, which must be of this kind.
    ///
    /// # Errors
    /// When it does not open.
    pub fn open(&mut self, sealed: &[u8], piece: Piece) -> Result<Vec<u8>, SealedStreamError> {
        self.0.open(sealed, piece.associated_data()).map_err(|_| SealedStreamError::DoesNotOpen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> KemSecret {
        KemSecret::from_bytes([byte; 32])
    }

    fn sealed() -> (Vec<u8>, Vec<Vec<u8>>) {
        let random = Random::seeded(7);
        let (mut sealer, key) = Sealer::new(&secret(1).public(), b"info", &random).unwrap();
        let pieces = [
            sealer.seal(b"head", Piece::Head).unwrap(),
            sealer.seal(b"one", Piece::Part).unwrap(),
            sealer.seal(b"two", Piece::Last).unwrap(),
        ];
        (key, pieces.to_vec())
    }

    fn opener(byte: u8, key: &[u8], info: &[u8]) -> Opener {
        Opener::new(&secret(byte), SUITE_25519, key, info).unwrap()
    }

    #[test]
    fn sealed_stream_opens_for_its_key_in_order() {
        let (key, pieces) = sealed();
        assert_eq!((key.len(), pieces[0].len()), (ENCAPSULATED_LEN, 4 + PIECE_OVERHEAD));
        let mut opener = opener(1, &key, b"info");
        assert_eq!(opener.open(&pieces[0], Piece::Head).unwrap(), b"head");
        // A piece at another place or of another kind does not open, and the place stays.
        for (bytes, kind) in [(&pieces[2], Piece::Last), (&pieces[1], Piece::Last)] {
            assert_eq!(opener.open(bytes, kind), Err(SealedStreamError::DoesNotOpen));
        }
        assert_eq!(opener.open(&pieces[1], Piece::Part).unwrap(), b"one");
        assert_eq!(opener.open(&pieces[2], Piece::Last).unwrap(), b"two");
    }

    #[test]
    fn sealed_stream_is_bound_to_key_and_info() {
        let (key, pieces) = sealed();
        let refused = Err(SealedStreamError::DoesNotOpen);
        assert_eq!(opener(2, &key, b"info").open(&pieces[0], Piece::Head), refused);
        assert_eq!(opener(1, &key, b"inf0").open(&pieces[0], Piece::Head), refused);
        assert_eq!(opener(1, &key, b"info").open(&pieces[0][..7], Piece::Head), refused);
        let suite = Opener::new(&secret(1), 2, &key, b"info").err();
        assert_eq!(suite, Some(SealedStreamError::Suite(2)));
        let short = Opener::new(&secret(1), SUITE_25519, &key[1..], b"info").err();
        assert_eq!(short, Some(SealedStreamError::DoesNotOpen));
    }

    /// Nodes of different releases must read each other's mail: these bytes never change. An
    /// independent implementation of RFC 9180 has made the pieces, from the encapsulated key.
    #[test]
    fn sealed_stream_matches_its_test_vector() {
        let (key, pieces) = sealed();
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        assert_eq!(hex(&key), "b6d4373b0b04d1c5e04d65ec0daf8f93ea324ea9969e76764f54069b8ab47763");
        assert_eq!(
            hex(&pieces.concat()),
            "457598b31812db55c7214852634e38a67dfa4dfe668d7a7cbdbc41d13a0e7c40c17f665d571ab9ef50a0537a2a08aa24ed3542ef77fa31f7cc07"
        );
    }
}
