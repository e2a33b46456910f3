//! The domain-separation strings of everything that leaves a node, in one place: a signature or
//! hash made for one kind of object can never pass for another. What is sealed at rest never meets
//! these keys; its labels stand with their formats (`seal`, `log::record`,
//! `store::snapshot`, `vault`, `blobs::seal`).

/// What a signature or a keyed hash is for. Its bytes go in front of what is signed or hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain(&'static str);

impl Domain {
    /// The bytes that go in front.
    pub const fn bytes(self) -> &'static [u8] {
        self.0.as_bytes()
    }

    /// The same as text, for key derivations that take a context string or a label.
    pub const fn text(self) -> &'static str {
        self.0
    }
}

/// Hash of a genesis op: the person's id.
pub const PERSON: Domain = Domain("freehold/person/1");
/// Hash of any identity op: what its successor names.
pub const OP_ID: Domain = Domain("freehold/op-id/1\0");
/// Signature of an identity op by a root key.
pub const OP_ROOT: Domain = Domain("freehold/op-root/1\0");
/// Signature of an identity op by the node key it adds.
pub const OP_NODE: Domain = Domain("freehold/op-node/1\0");
/// Signature of an identity op by a guardian.
pub const OP_GUARDIAN: Domain = Domain("freehold/op-guardian/1\0");
/// Signature of the words' backup key by their root key.
pub const BACKUP_KEY: Domain = Domain("freehold/backup-key/1\0");
/// Hash that commits to a guardian's key without naming it.
pub const GUARDIAN: Domain = Domain("freehold/guardian/1\0");
/// Signature of a feed entry's header by a node key.
pub const ENTRY: Domain = Domain("freehold/entry/1\0");
/// Checksum of a pasteable text (node card, claim, request).
pub const ARMOUR: Domain = Domain("freehold/armour/1\0");

/// HKDF-SHA256 salt for everything derived from the 24 words.
pub const WORDS: Domain = Domain("freehold/words/1");
/// HKDF label of the root signing key.
pub const WORDS_ROOT: Domain = Domain("root signing key");
/// HKDF label of the recovery KEM key.
pub const WORDS_RECOVERY: Domain = Domain("recovery kem key");
/// HKDF label of the backup (age) key.
pub const WORDS_BACKUP: Domain = Domain("backup key");

/// BLAKE3 key derivation of a circle epoch's lane id.
pub const LANE: Domain = Domain("freehold/lane/1");
/// BLAKE3 key derivation of a sealed body's key and commitment.
pub const BODY: Domain = Domain("freehold/body/1");
/// HPKE info of an epoch key wrapped to the recovery KEM key.
pub const KEY_BACKUP: Domain = Domain("freehold/key-backup/1");
