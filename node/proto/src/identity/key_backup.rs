//! Epoch keys wrapped to the recovery KEM key, so that the mnemonic alone restores the entries that
//! friends and mirrors hold.
//!
//! Suite 1 is HPKE (RFC 9180) in base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
//! ChaCha20-Poly1305, with `info = "freehold/key-backup/1" ‖ person ‖ lane`, so that a wrapped key
//! cannot pass for another lane's.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};

use super::PersonId;
use crate::domains;
use crate::entry::{EpochKey, Lane, WrappedKey};
use crate::keys::{KemKey, KemSecret, SUITE_25519};
use crate::random::Random;

/// Why a key was not wrapped or not unwrapped.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum BackupError {
    /// The KEM key's suite is newer than this program.
    #[error("the recovery key is of suite {0}, which this program does not know")]
    Suite(u8),
    /// The key was wrapped to another key, for another person or lane, or was changed.
    #[error("the wrapped key does not open")]
    DoesNotOpen,
}

/// Wraps an epoch key to a recovery KEM key.
///
/// # Errors
/// When the KEM key is of an unknown suite or unusable.
pub fn wrap(
    to: &KemKey,
    person: &PersonId,
    key: &EpochKey,
    random: &Random,
) -> Result<WrappedKey, BackupError> {
    if to.suite() != SUITE_25519 {
        return Err(BackupError::Suite(to.suite()));
    }
    let lane = key.lane();
    let public = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(to.as_bytes())
        .map_err(|_| BackupError::DoesNotOpen)?;
    let (encapsulated, wrapped) =
        hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base,
            &public,
            &info(person, &lane),
            key.as_bytes(),
            b"",
            &mut ChaCha20Rng::from_seed(random.array()),
        )
        .map_err(|_| BackupError::DoesNotOpen)?;
    Ok(WrappedKey {
        lane,
        suite: SUITE_25519,
        encapsulated: encapsulated.to_bytes().to_vec(),
        wrapped,
    })
}

/// Unwraps an epoch key with the recovery secret derived from the mnemonic.
///
/// # Errors
/// When the suite is unknown, or the key does not open.
pub fn unwrap(
    secret: &KemSecret,
    person: &PersonId,
    wrapped: &WrappedKey,
) -> Result<EpochKey, BackupError> {
    if wrapped.suite != SUITE_25519 {
        return Err(BackupError::Suite(wrapped.suite));
    }
    let refused = |_| BackupError::DoesNotOpen;
    let secret = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(secret.to_bytes().as_slice())
        .map_err(refused)?;
    let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&wrapped.encapsulated)
        .map_err(refused)?;
    let opened = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &secret,
        &encapsulated,
        &info(person, &wrapped.lane),
        &wrapped.wrapped,
        b"",
    )
    .map_err(refused)?;
    let key = EpochKey::new(opened.try_into().map_err(|_| BackupError::DoesNotOpen)?);
    // A key of another lane would open no entry of this one.
    if key.lane() == wrapped.lane { Ok(key) } else { Err(BackupError::DoesNotOpen) }
}

fn info(person: &PersonId, lane: &Lane) -> Vec<u8> {
    [domains::KEY_BACKUP.bytes(), &person.0, &lane.0].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mnemonic::Mnemonic;

    #[test]
    fn wrapped_epoch_key_opens_for_its_mnemonic_alone() {
        let (mnemonic, person) = (Mnemonic::from_entropy([1; 32]), PersonId([2; 32]));
        let key = EpochKey::new([3; 32]);
        let wrapped =
            wrap(&mnemonic.keys().recovery.public(), &person, &key, &Random::seeded(4)).unwrap();
        assert_eq!(
            unwrap(&mnemonic.keys().recovery, &person, &wrapped).unwrap().as_bytes(),
            key.as_bytes()
        );

        let refused = |result: Result<EpochKey, BackupError>| {
            assert_eq!(result.err(), Some(BackupError::DoesNotOpen))
        };
        refused(unwrap(&Mnemonic::from_entropy([9; 32]).keys().recovery, &person, &wrapped));
        refused(unwrap(&mnemonic.keys().recovery, &PersonId([0; 32]), &wrapped));
        refused(unwrap(
            &mnemonic.keys().recovery,
            &person,
            &WrappedKey { lane: Lane([0; 16]), ..wrapped.clone() },
        ));
        let newer = WrappedKey { suite: 2, ..wrapped };
        assert_eq!(
            unwrap(&mnemonic.keys().recovery, &person, &newer).err(),
            Some(BackupError::Suite(2))
        );
    }
}
