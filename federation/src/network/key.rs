//! A node's key as the rest of the crate names a peer, and its translation to libp2p's `PeerId`.

use std::fmt;

use libp2p::PeerId;
use libp2p::identity::{PublicKey, ed25519};

/// The ed25519 public key that a connection has proved (Noise or QUIC's TLS); a libp2p `PeerId`
/// under another name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PeerKey(pub(crate) [u8; 32]);

/// The multihash code of "the bytes themselves", which short public keys have as their `PeerId`.
const IDENTITY_CODE: u64 = 0;

impl PeerKey {
    /// The key inside a `PeerId`; `None` for keys that are not ed25519, which no Freehold node has.
    pub(crate) fn of(peer: &PeerId) -> Option<Self> {
        let hash = peer.as_ref();
        if hash.code() != IDENTITY_CODE {
            return None;
        }
        let key = PublicKey::try_decode_protobuf(hash.digest()).ok()?;
        Some(Self(key.try_into_ed25519().ok()?.to_bytes()))
    }

    /// The `PeerId`; `None` if the bytes are no point of the curve.
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

/// The first bytes, enough to tell peers apart in a log.
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
    fn a_key_survives_the_way_through_a_peer_id() {
        let peer = Keypair::generate_ed25519().public().to_peer_id();
        let key = PeerKey::of(&peer).unwrap();
        assert_eq!(key.peer_id(), Some(peer));
    }
}
