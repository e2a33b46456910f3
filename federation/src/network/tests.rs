//! Two networks on loopback: transports, streams, and refused connections.

use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::wire::{PROTOCOLS, hello};

const TIMEOUT: Duration = Duration::from_secs(20);

struct Peer {
    network: Network,
    events: mpsc::Receiver<NetworkEvent>,
}

impl Peer {
    async fn new(seed: u8, tcp: bool, quic: bool) -> Self {
        let config = FederationConfig {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            tcp,
            quic,
            ..FederationConfig::default()
        };
        let (network, events, _) =
            Network::start(Zeroizing::new([seed; 32]), &config, &PROTOCOLS).await.unwrap();
        Self { network, events }
    }

    async fn wait_for<T>(&mut self, mut select: impl FnMut(NetworkEvent) -> Option<T>) -> T {
        let found = async {
            loop {
                if let Some(found) = select(self.events.recv().await.unwrap()) {
                    return found;
                }
            }
        };
        tokio::time::timeout(TIMEOUT, found).await.unwrap()
    }
}

async fn stream_carries_bytes(tcp: bool, quic: bool) {
    let mut alice = Peer::new(1, tcp, quic).await;
    let mut bob = Peer::new(2, tcp, quic).await;
    assert_eq!(bob.network.addresses().len(), usize::from(tcp) + usize::from(quic));
    alice.network.dial(bob.network.me(), bob.network.addresses());
    let dialed = alice
        .wait_for(|event| {
            if let NetworkEvent::Connected { peer, dialed } = event {
                Some((peer, dialed))
            } else {
                None
            }
        })
        .await;
    assert_eq!(dialed, (bob.network.me(), true));
    let mut stream = alice.network.open(bob.network.me(), hello::PROTOCOL).await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    stream.close().await.unwrap();
    let (peer, mut stream) = bob
        .wait_for(|event| {
            if let NetworkEvent::Incoming(peer, _, stream) = event {
                Some((peer, stream))
            } else {
                None
            }
        })
        .await;
    assert_eq!(peer, alice.network.me());
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await.unwrap();
    assert_eq!(received, b"hello");
    bob.network.stop().await;
    alice.wait_for(|event| matches!(event, NetworkEvent::Disconnected(_)).then_some(())).await;
    alice.network.stop().await;
}

#[tokio::test]
async fn stream_carries_bytes_over_tcp() {
    stream_carries_bytes(true, false).await;
}

#[tokio::test]
async fn stream_carries_bytes_over_quic() {
    stream_carries_bytes(false, true).await;
}

#[tokio::test]
async fn tcp_and_quic_share_a_port() {
    let alice = Peer::new(1, true, true).await;
    let port = |kind: &str| {
        let addresses = alice.network.addresses();
        let address = addresses.iter().find(|address| address.contains(kind)).unwrap().clone();
        address.split('/').nth(4).unwrap().to_owned()
    };
    assert_eq!(port("/tcp/"), port("/quic-v1/"));
    alice.network.stop().await;
}

#[tokio::test]
async fn blocked_peer_cannot_connect() {
    let mut alice = Peer::new(1, true, false).await;
    let bob = Peer::new(2, true, false).await;
    bob.network.block(HashSet::from([alice.network.me()]));
    alice.network.dial(bob.network.me(), bob.network.addresses());
    // The connection may be open for a moment before the other side closes it.
    alice
        .wait_for(|event| {
            matches!(event, NetworkEvent::Disconnected(_) | NetworkEvent::DialFailed(_))
                .then_some(())
        })
        .await;
    assert!(alice.network.open(bob.network.me(), hello::PROTOCOL).await.is_err());
}

#[tokio::test]
async fn dial_fails_if_another_peer_answers() {
    let mut alice = Peer::new(1, true, false).await;
    let bob = Peer::new(2, true, false).await;
    let mallory = Peer::new(3, true, false).await;
    let addresses: Vec<String> = mallory
        .network
        .addresses()
        .iter()
        .map(|address| address.split("/p2p/").next().unwrap().to_owned())
        .collect();
    alice.network.dial(bob.network.me(), addresses);
    alice.wait_for(|event| matches!(event, NetworkEvent::DialFailed(_)).then_some(())).await;
}

#[tokio::test]
async fn stranger_connections_are_limited_and_friends_are_exempt() {
    let config = FederationConfig {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        quic: false,
        strangers_max: 2,
        ..FederationConfig::default()
    };
    let (bob, _events, _) =
        Network::start(Zeroizing::new([2; 32]), &config, &PROTOCOLS).await.unwrap();
    let friend = Peer::new(9, true, false).await;
    bob.trust(HashSet::from([friend.network.me()]));
    let mut strangers = Vec::new();
    for seed in 10..13 {
        let mut stranger = Peer::new(seed, true, false).await;
        stranger.network.dial(bob.me(), bob.addresses());
        stranger
            .wait_for(|event| matches!(event, NetworkEvent::Connected { .. }).then_some(()))
            .await;
        strangers.push(stranger);
    }
    // All have one address; the oldest makes room, so that a newcomer with an invite gets in.
    strangers[0]
        .wait_for(|event| matches!(event, NetworkEvent::Disconnected(_)).then_some(()))
        .await;
    assert!(strangers[2].network.open(bob.me(), hello::PROTOCOL).await.is_ok());
    // A friend does not count, and a closed connection makes room for another.
    friend.network.dial(bob.me(), bob.addresses());
    let mut friend = friend;
    friend.wait_for(|event| matches!(event, NetworkEvent::Connected { .. }).then_some(())).await;
    assert!(friend.network.open(bob.me(), hello::PROTOCOL).await.is_ok());
    assert!(strangers[1].network.open(bob.me(), hello::PROTOCOL).await.is_ok());
}

#[tokio::test]
async fn public_node_dials_no_address_inside_a_network() {
    let service = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    service.set_nonblocking(true).unwrap();
    let port = service.local_addr().unwrap().port();
    let config = FederationConfig {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        external: vec!["/dns4/alice.example/tcp/443".to_owned()],
        ..FederationConfig::default()
    };
    let (alice, mut events, _) =
        Network::start(Zeroizing::new([1; 32]), &config, &PROTOCOLS).await.unwrap();
    for (seed, address) in (2u8..).zip([
        format!("/ip4/127.0.0.1/tcp/{port}"),
        format!("/ip6/::ffff:127.0.0.1/tcp/{port}"),
        format!("/dns4/localhost/tcp/{port}"),
        "/ip4/192.168.77.1/tcp/5556".to_owned(),
        "/ip4/169.254.169.254/udp/80/quic-v1".to_owned(),
    ]) {
        let stranger = Keypair::ed25519_from_bytes([seed; 32]).unwrap().public().to_peer_id();
        let stranger = PeerKey::of(&stranger).unwrap();
        alice.dial(stranger, vec![address]);
        let failed = tokio::time::timeout(TIMEOUT, events.recv()).await.unwrap();
        assert!(matches!(failed, Some(NetworkEvent::DialFailed(peer)) if peer == stranger));
    }
    let connected = service.accept().map(|_| ()).map_err(|error| error.kind());
    assert_eq!(connected, Err(io::ErrorKind::WouldBlock), "nothing has connected");
    let port = alice.port().unwrap();
    assert_ne!(port, 443, "the port is the listener's");
    assert_eq!(alice.addresses().len(), 1, "{:?}", alice.addresses());
    assert!(alice.addresses()[0].starts_with("/dns4/alice.example/tcp/443/p2p/"));
    alice.stop().await;
}

#[tokio::test]
async fn addresses_lead_to_the_node_from_elsewhere() {
    let config = FederationConfig {
        listen: vec!["0.0.0.0:0".parse().unwrap()],
        ..FederationConfig::default()
    };
    let (alice, _events, _) =
        Network::start(Zeroizing::new([1; 32]), &config, &PROTOCOLS).await.unwrap();
    // The machine's other addresses are known a moment after the first.
    let is_unusable = |address: &String| address.contains("/0.0.0.0/");
    assert!(!alice.addresses().iter().any(is_unusable), "{:?}", alice.addresses());
    let has_loopback = |address: &String| address.starts_with("/ip4/127.");
    let all = alice.addresses();
    assert!(!all.iter().any(has_loopback) || all.iter().all(has_loopback), "{all:?}");
    alice.stop().await;
}
