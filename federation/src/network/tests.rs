//! Two networks on loopback: who reaches whom, by which transport, and who is turned away.

use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::wire::{PROTOCOLS, hello};

const PATIENCE: Duration = Duration::from_secs(20);

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

    async fn until<T>(&mut self, mut wanted: impl FnMut(NetworkEvent) -> Option<T>) -> T {
        let found = async {
            loop {
                if let Some(found) = wanted(self.events.recv().await.unwrap()) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap()
    }
}

async fn a_stream_carries_bytes(tcp: bool, quic: bool) {
    let mut alice = Peer::new(1, tcp, quic).await;
    let mut bob = Peer::new(2, tcp, quic).await;
    assert_eq!(bob.network.addresses().len(), usize::from(tcp) + usize::from(quic));
    alice.network.dial(bob.network.me(), bob.network.addresses());
    let dialed = alice
        .until(|event| {
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
        .until(|event| {
            if let NetworkEvent::Incoming(peer, _, stream) = event {
                Some((peer, stream))
            } else {
                None
            }
        })
        .await;
    assert_eq!(peer, alice.network.me());
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"hello");
    bob.network.stop().await;
    alice.until(|event| matches!(event, NetworkEvent::Disconnected(_)).then_some(())).await;
    alice.network.stop().await;
}

#[tokio::test]
async fn a_stream_carries_bytes_over_tcp() {
    a_stream_carries_bytes(true, false).await;
}

#[tokio::test]
async fn a_stream_carries_bytes_over_quic() {
    a_stream_carries_bytes(false, true).await;
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
async fn a_blocked_peer_cannot_connect() {
    let mut alice = Peer::new(1, true, false).await;
    let bob = Peer::new(2, true, false).await;
    bob.network.block(HashSet::from([alice.network.me()]));
    alice.network.dial(bob.network.me(), bob.network.addresses());
    // The handshake may stand for a moment before the other side hangs up.
    alice
        .until(|event| {
            matches!(event, NetworkEvent::Disconnected(_) | NetworkEvent::DialFailed(_))
                .then_some(())
        })
        .await;
    assert!(alice.network.open(bob.network.me(), hello::PROTOCOL).await.is_err());
}

#[tokio::test]
async fn nobody_answers_in_place_of_another() {
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
    alice.until(|event| matches!(event, NetworkEvent::DialFailed(_)).then_some(())).await;
}

#[tokio::test]
async fn strangers_have_so_many_places_and_friends_need_none() {
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
    let mut callers = Vec::new();
    for seed in 10..13 {
        let mut caller = Peer::new(seed, true, false).await;
        caller.network.dial(bob.me(), bob.addresses());
        caller.until(|event| matches!(event, NetworkEvent::Connected { .. }).then_some(())).await;
        callers.push(caller);
    }
    // All come from one machine, so nobody holds more than the third, and it is the third that
    // goes.
    callers[2].until(|event| matches!(event, NetworkEvent::Disconnected(_)).then_some(())).await;
    assert!(callers[0].network.open(bob.me(), hello::PROTOCOL).await.is_ok());
    // A friend is not counted, and one who hangs up leaves a place.
    friend.network.dial(bob.me(), bob.addresses());
    let mut friend = friend;
    friend.until(|event| matches!(event, NetworkEvent::Connected { .. }).then_some(())).await;
    assert!(friend.network.open(bob.me(), hello::PROTOCOL).await.is_ok());
    callers.remove(0).network.stop().await;
    loop {
        callers[1].network.dial(bob.me(), bob.addresses());
        callers[1]
            .until(|event| matches!(event, NetworkEvent::Connected { .. }).then_some(()))
            .await;
        if callers[1].network.open(bob.me(), hello::PROTOCOL).await.is_ok() {
            break;
        }
    }
}
