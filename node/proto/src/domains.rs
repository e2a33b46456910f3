//! The domain-separation strings of every object that leaves a node, in one file: a signature or
//! hash of one kind of object can never pass for another. Data at rest is sealed with other keys;
//! the labels of those are in the modules of their formats, in the crate `freehold-store`.

/// The purpose of a signature or a hash. Its bytes precede the bytes that are signed or hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain(&'static str);

impl Domain {
    /// The bytes of the prefix.
    pub const fn bytes(self) -> &'static [u8] {
        self.0.as_bytes()
    }

    /// The prefix as text, for key derivations that take a context string or a label.
    pub const fn text(self) -> &'static str {
        self.0
    }
}

/// Hash of a genesis op: the person's id.
pub const PERSON: Domain = Domain("freehold/person/1");
/// Hash of an identity op, named by the next op.
pub const OP_ID: Domain = Domain("freehold/op-id/1\0");
/// Signature of an identity op by a root key.
pub const OP_ROOT: Domain = Domain("freehold/op-root/1\0");
/// Signature of an identity op by the node key it adds.
pub const OP_NODE: Domain = Domain("freehold/op-node/1\0");
/// Signature of an identity op by a guardian.
pub const OP_GUARDIAN: Domain = Domain("freehold/op-guardian/1\0");
/// Signature of the mnemonic's backup key by its root key.
pub const BACKUP_KEY: Domain = Domain("freehold/backup-key/1\0");
/// Commitment to a guardian's key, which hides it.
pub const GUARDIAN: Domain = Domain("freehold/guardian/1\0");
/// Signature of a feed entry's header by a node key.
pub const ENTRY: Domain = Domain("freehold/entry/1\0");
/// Checksum of a node card or a transfer text.
pub const ARMOUR: Domain = Domain("freehold/armour/1\0");

/// HKDF-SHA256 salt of every key derived from the mnemonic.
pub const MNEMONIC: Domain = Domain("freehold/words/1");
/// HKDF label of the root signing key.
pub const MNEMONIC_ROOT: Domain = Domain("root signing key");
/// HKDF label of the recovery KEM key.
pub const MNEMONIC_RECOVERY: Domain = Domain("recovery kem key");
/// HKDF label of the backup (age) key.
pub const MNEMONIC_BACKUP: Domain = Domain("backup key");

/// BLAKE3 key derivation, from an invite's token, of the key that authenticates the invite.
pub const INVITE: Domain = Domain("freehold/invite/1");

/// BLAKE3 key derivation of a circle epoch's lane id.
pub const LANE: Domain = Domain("freehold/lane/1");
/// BLAKE3 key derivation of a sealed body's key and commitment.
pub const BODY: Domain = Domain("freehold/body/1");
/// HPKE info of an epoch key wrapped to the recovery KEM key.
pub const KEY_BACKUP: Domain = Domain("freehold/key-backup/1");
/// HPKE info of a mail that is sealed to a friend's node.
pub const MAIL: Domain = Domain("freehold/mail/1");
/// HPKE info of a mail that is sealed to a friend's node, which sends it to the world.
pub const RELAY: Domain = Domain("freehold/relay/1");
