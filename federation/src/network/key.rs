//! The node key by which the crate names a peer, and its conversion to libp2p's `PeerId`.

use std::fmt;

use libp2p::PeerId;
use libp2p::identity::{PublicKey, ed25519};

/// The ed25519 public key that a peer has proved in the handshake (Noise or QUIC's TLS); the same
/// key as in its libp2p `PeerId`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PeerKey(pub(crate) [u8; 32]);

/// The multihash code `identity`, which a `PeerId` has for a key of at most 42 bytes.
const IDENTITY_CODE: u64 = 0;

impl PeerKey {
    /// The key in a `PeerId`; `None` if it is not ed25519, as that of every Freehold node is.
    pub(crate) fn of(peer: &PeerId) -> Option<Self> {
        let hash = peer.as_ref();
        if hash.code() != IDENTITY_CODE {
            return None;
        }
        let key = PublicKey::try_decode_protobuf(hash.digest()).ok()?;
        Some(Self(key.try_into_ed25519().ok()?.to_bytes()))
    }

    /// The `PeerId`; `None` if the bytes are not a point on the curve.
    pub(crate) fn peer_id(&self) -> Option<PeerId> {
        let key = ed25519::PublicKey::try_from_bytes(&self.0).ok()?;
        Some(PublicKey::from(key).to_peer_id())
    }
}

impl fmt::Debug for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The first five bytes, enough to distinguish peers in a log.
impl fmt::Display for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(5).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use libp2p::identity::Keypair;

    use super::*;

    #[test]
    fn peer_key_converts_to_a_peer_id_and_back() {
        let peer = Keypair::generate_ed25519().public().to_peer_id();
        let key = PeerKey::of(&peer).unwrap();
        assert_eq!(key.peer_id(), Some(peer));
    }
}
