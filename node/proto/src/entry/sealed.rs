//! Sealed entries: holders of a circle's epoch key can read them; a mirror sees author, lane,
//! sequence number, padded size and time, nothing else.
//!
//! `key ‖ commit = BLAKE3-derive("freehold/body/1", epoch key ‖ nonce)`. The commitment is compared
//! before anything is decrypted, so one ciphertext cannot have two meanings under two keys.
//! XChaCha20-Poly1305 with a zero nonce (the key is used once); associated data is the header
//! without body length and body hash. Plaintext: length (4 bytes) ‖ `{0: kind, 2: refs, 4: body}` ‖
//! zeros, padded by Padmé.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{BODY_LEN_MAX, Body, EntryAudience, EntryHeader, EntryId, Kind, Lane, REFS_MAX};
use crate::cbor::{CborError, Fields, MapWriter, Value, exactly};
use crate::domains;

/// Length of the plaintext length field, in bytes.
const LEN_LEN: usize = 4;
/// Length of the authentication tag, in bytes.
const TAG_LEN: usize = 16;

/// A circle epoch's key. Wiped when dropped.
#[derive(Clone)]
pub struct EpochKey(Zeroizing<[u8; 32]>);

/// The content of a sealed entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The real kind.
    pub kind: Kind,
    /// The real references.
    pub refs: Vec<EntryId>,
    /// The body.
    pub body: Body,
}

/// Why a body was not sealed or not opened.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SealedError {
    /// The entry is not sealed.
    #[error("the entry is not sealed")]
    NotSealed,
    /// The commitment is of another key.
    #[error("this is not the key it was sealed with")]
    AnotherKey,
    /// The ciphertext or the header was changed.
    #[error("the sealed body was changed")]
    Changed,
    /// The decrypted content is malformed.
    #[error("what was sealed is malformed: {0}")]
    Content(#[from] CborError),
    /// The body would be over its limit once padded and sealed.
    #[error("the text is too long to be sealed")]
    TooLong,
}

impl EpochKey {
    /// A key from its 32 bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The lane of this epoch. Its id is a secret: knowing it is the right to fetch ciphertext.
    pub fn lane(&self) -> Lane {
        let whole = blake3::derive_key(domains::LANE.text(), self.0.as_slice());
        Lane(whole.first_chunk().copied().unwrap_or_default())
    }

    /// The secret bytes, for wrapping.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn body_key(&self, nonce: &[u8; 32]) -> (Zeroizing<[u8; 32]>, [u8; 32]) {
        let (mut key, mut commit) = (Zeroizing::new([0u8; 32]), [0u8; 32]);
        let mut hasher = blake3::Hasher::new_derive_key(domains::BODY.text());
        hasher.update(self.0.as_slice());
        hasher.update(nonce);
        let mut output = hasher.finalize_xof();
        output.fill(key.as_mut_slice());
        output.fill(&mut commit);
        (key, commit)
    }

    /// Seals a body: sets the header's kind, audience, refs, body length and body hash, and returns
    /// the ciphertext.
    ///
    /// # Errors
    /// When the padded body is too long.
    pub fn seal(
        &self,
        header: &mut EntryHeader,
        body: &Body,
        salt: [u8; 16],
        nonce: [u8; 32],
    ) -> Result<Vec<u8>, SealedError> {
        let (key, commit) = self.body_key(&nonce);
        header.kind = Kind::Sealed;
        header.audience = EntryAudience::Sealed { nonce, commit };
        header.refs = Vec::new();
        let inner = MapWriter::new()
            .uint(0, body.kind().number())
            .list(2, &body.refs(), |entry| Value::Bytes(entry.0.to_vec()))
            .bytes(4, &body.to_canonical(salt))
            .canonical();
        let len = u32::try_from(inner.len()).map_err(|_| SealedError::TooLong)?;
        let mut plain = Zeroizing::new([len.to_be_bytes().as_slice(), &inner].concat());
        let padded = padme(plain.len());
        plain.resize(padded, 0);
        if padded + TAG_LEN > BODY_LEN_MAX {
            return Err(SealedError::TooLong);
        }
        let aad = associated_data(&header.to_canonical())?;
        let cipher =
            XChaCha20Poly1305::new(key.as_slice().try_into().map_err(|_| SealedError::AnotherKey)?);
        let sealed = cipher
            .encrypt(&XNonce::from([0; 24]), Payload { msg: &plain, aad: &aad })
            .map_err(|_| SealedError::TooLong)?;
        header.body_len = u32::try_from(sealed.len()).map_err(|_| SealedError::TooLong)?;
        header.body_hash = *blake3::hash(&sealed).as_bytes();
        Ok(sealed)
    }

    /// Opens the body of a verified entry, given its header's exact bytes.
    ///
    /// # Errors
    /// When the body is not sealed, was sealed with another key, was changed, or its content is not
    /// understood.
    pub fn open(&self, header_bytes: &[u8], sealed: &[u8]) -> Result<Opened, SealedError> {
        let header = EntryHeader::from_canonical(header_bytes)?;
        let EntryAudience::Sealed { nonce, commit } = header.audience else {
            return Err(SealedError::NotSealed);
        };
        let (key, expected) = self.body_key(&nonce);
        if !bool::from(expected.ct_eq(&commit)) {
            return Err(SealedError::AnotherKey);
        }
        let aad = associated_data(header_bytes)?;
        let cipher =
            XChaCha20Poly1305::new(key.as_slice().try_into().map_err(|_| SealedError::AnotherKey)?);
        let plain = cipher
            .decrypt(&XNonce::from([0; 24]), Payload { msg: sealed, aad: &aad })
            .map_err(|_| SealedError::Changed)?;
        let plain = Zeroizing::new(plain);
        let (len, rest) = plain.split_first_chunk::<LEN_LEN>().ok_or(SealedError::Changed)?;
        let (inner, padding) =
            rest.split_at_checked(u32::from_be_bytes(*len) as usize).ok_or(SealedError::Changed)?;
        if plain.len() != padme(LEN_LEN + inner.len()) || padding.iter().any(|byte| *byte != 0) {
            return Err(SealedError::Content(CborError::NotCanonical));
        }
        let mut fields = Fields::from_canonical(inner)?;
        let kind = Kind::from_number(fields.uint(0)?);
        let refs: Vec<_> =
            fields.list(2, REFS_MAX, exactly::<32>)?.into_iter().map(EntryId).collect();
        let body = Body::from_canonical(kind, &refs, &fields.bytes(4, BODY_LEN_MAX)?)?;
        fields.finish()?;
        Ok(Opened { kind, refs, body })
    }
}

/// The exact bytes of a header without body length and body hash, which depend on the ciphertext.
/// Unknown keys stay.
fn associated_data(header: &[u8]) -> Result<Vec<u8>, CborError> {
    match Value::from_canonical(header)? {
        Value::Map(mut fields) => {
            fields.retain(|(key, _)| *key != 18 && *key != 20);
            Ok(Value::Map(fields).to_canonical())
        }
        _ => Err(CborError::Malformed("not a map")),
    }
}

/// The padded length by Padmé (PURB paper, 2019, section 4): at most 12 % more, and few different
/// lengths.
pub fn padme(len: usize) -> usize {
    let Some(exponent) = len.checked_ilog2().filter(|exponent| *exponent > 0) else { return len };
    let kept_bits = exponent.ilog2() + 1;
    let mask = (1usize << (exponent - kept_bits.min(exponent))) - 1;
    (len + mask) & !mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::entry::{FeedLogId, PostBody};
    use crate::hlc::Hlc;
    use crate::identity::PersonId;
    use crate::keys::SecretKey;

    fn header(lane: Lane) -> EntryHeader {
        let node = SecretKey::from_bytes(&[3; 32]).public();
        EntryHeader {
            log: FeedLogId { person: PersonId([1; 32]), node, lane, epoch: 4 },
            seq: 2,
            prev: Some(EntryId([5; 32])),
            hlc: Hlc::at(Timestamp(1_777_636_800_000)),
            kind: Kind::Post,
            body_len: 0,
            body_hash: [0; 32],
            audience: EntryAudience::Public,
            refs: Vec::new(),
            expires: None,
            understood: true,
        }
    }

    fn edit() -> Body {
        Body::Edit {
            of: EntryId([6; 32]),
            post: PostBody { text: "for friends".to_owned(), ..PostBody::default() },
        }
    }

    #[test]
    fn sealed_body_opens_with_its_epoch_key_only() {
        let key = EpochKey::new([8; 32]);
        let mut header = header(key.lane());
        let sealed = key.seal(&mut header, &edit(), [7; 16], [9; 32]).unwrap();
        let bytes = header.to_canonical();
        assert!(EntryHeader::from_canonical(&bytes).unwrap().understood);
        assert_eq!(
            key.open(&bytes, &sealed),
            Ok(Opened { kind: Kind::Edit, refs: vec![EntryId([6; 32])], body: edit() })
        );
        assert_eq!(EpochKey::new([0; 32]).open(&bytes, &sealed), Err(SealedError::AnotherKey));
        assert!(header.refs.is_empty());
        assert!(
            !bytes.windows(32).any(|window| window == [6; 32]),
            "the header does not reveal the edited entry"
        );
    }

    #[test]
    fn changed_or_moved_sealed_body_is_refused() {
        let key = EpochKey::new([8; 32]);
        let mut header = header(key.lane());
        let sealed = key.seal(&mut header, &edit(), [7; 16], [9; 32]).unwrap();
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            assert_eq!(key.open(&header.to_canonical(), &bad), Err(SealedError::Changed));
        }
        let moved = EntryHeader { seq: 3, ..header.clone() };
        assert_eq!(key.open(&moved.to_canonical(), &sealed), Err(SealedError::Changed));
        let public = EntryHeader { audience: EntryAudience::Public, ..header };
        assert_eq!(key.open(&public.to_canonical(), &sealed), Err(SealedError::NotSealed));
    }

    #[test]
    fn padme_gives_few_lengths_and_adds_little() {
        let known = [
            (0, 0),
            (1, 1),
            (9, 10),
            (100, 104),
            (1_000, 1_024),
            (10_000, 10_240),
            (65_000, 65_536),
        ];
        for (len, padded) in known {
            assert_eq!(padme(len), padded, "{len}");
        }
        let all: std::collections::BTreeSet<_> = (1_000..60_000).map(padme).collect();
        assert!(all.len() < 130);
        assert!((16..60_000).all(|len| padme(len) >= len && padme(len) * 100 <= len * 113));
        assert!((0..60_000).all(|len| padme(padme(len)) == padme(len)));
    }

    #[test]
    fn too_long_body_is_not_sealed() {
        let key = EpochKey::new([8; 32]);
        let body = Body::Post(PostBody { text: "x".repeat(65_000), ..PostBody::default() });
        assert_eq!(
            key.seal(&mut header(key.lane()), &body, [0; 16], [0; 32]),
            Err(SealedError::TooLong)
        );
    }
}
