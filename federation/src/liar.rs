//! A peer with a key of its own that says whatever it likes, against an honest node: each lie is
//! refused.

mod asking;
mod blobs;
mod hello;
mod sync;

use freehold_core::feed::{self, Body, EntryId, Lane, MARKDOWN, PostBody};
use freehold_core::friends::{self, Introduction};
use freehold_core::identity::{self as core_identity, IdentityLog, PersonId};
use freehold_core::node::Node;
use freehold_core::store::Tx;
use freehold_core::testing::TestNode;
use freehold_core::timeline;
use minicbor::bytes::ByteVec;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

use crate::network::{ByteStream, Network, NetworkEvent, PeerKey};
use crate::peers::Shared;
use crate::wire::frame;
use crate::wire::hello::{Hello, PROTOCOL as HELLO};
use crate::wire::sync::{Entry, PROTOCOL as SYNC, Reason, Sync};
use crate::wire::{PROTOCOLS, identity};
use crate::{Federation, FederationConfig, push};

const PATIENCE: Duration = Duration::from_secs(20);

fn config() -> FederationConfig {
    FederationConfig {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        quic: false,
        ..FederationConfig::default()
    }
}

async fn person(name: &str) -> TestNode {
    let node = TestNode::new(name).await;
    if node.identity.person().is_none() {
        core_identity::create(&node).await.unwrap();
    }
    node
}

fn id(node: &Node) -> PersonId {
    node.identity.person().unwrap()
}

/// An honest node that is up, and a liar connected to it.
struct Scene {
    alice: TestNode,
    federation: Federation,
    mallory: TestNode,
    shared: Arc<Shared>,
    streams: mpsc::UnboundedReceiver<(&'static str, ByteStream)>,
    is_impostor: bool,
    /// How often Alice's node has asked for an identity log.
    asked: Arc<AtomicUsize>,
    /// Alice's node has hung up.
    gone: Arc<Notify>,
}

impl Scene {
    /// Mallory is a friend of Alice's, which is when lying pays.
    async fn with_a_friend() -> Self {
        Self::new(true, None).await
    }

    async fn new(is_friend: bool, claim: Option<PersonId>) -> Self {
        let (alice, mallory) = (person("alice").await, person("mallory").await);
        if is_friend {
            make_friend(&alice, &mallory).await;
        }
        let log = mallory.identity.log().unwrap();
        Self::between(alice, mallory, claim, log).await
    }

    /// Mallory's node calls Alice's, says who it is, and shows this log to whoever asks for one.
    async fn between(
        alice: TestNode,
        mallory: TestNode,
        claim: Option<PersonId>,
        log: Arc<IdentityLog>,
    ) -> Self {
        let federation = Federation::start(alice.clone(), config()).await.unwrap();
        let (network, mut events, _) =
            Network::start(mallory.identity.libp2p_secret(), &config(), &PROTOCOLS).await.unwrap();
        let key = PeerKey(*alice.identity.node_key().as_bytes());
        network.dial(key, federation.addresses());
        let shared = Arc::new(Shared::new(mallory.clone(), network, &config()));
        let (sender, streams) = mpsc::unbounded_channel();
        let (asked, gone) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let (counter, bell) = (Arc::clone(&asked), Arc::clone(&gone));
        let (connected, is_connected) = tokio::sync::oneshot::channel();
        let shown: Vec<ByteVec> = log.to_bytes().into_iter().map(ByteVec::from).collect();
        tokio::spawn(async move {
            let mut connected = Some(connected);
            while let Some(event) = events.recv().await {
                match event {
                    NetworkEvent::Connected { .. } => {
                        _ = connected.take().map(|connected| connected.send(()))
                    }
                    NetworkEvent::Disconnected(_) => bell.notify_one(),
                    NetworkEvent::Incoming(_, identity::PROTOCOL, stream) => {
                        counter.fetch_add(1, Ordering::Relaxed);
                        tokio::spawn(show(stream, shown.clone()));
                    }
                    NetworkEvent::Incoming(_, protocol, stream) => {
                        _ = sender.send((protocol, stream))
                    }
                    _ => {}
                }
            }
        });
        tokio::time::timeout(PATIENCE, is_connected).await.unwrap().unwrap();
        let scene = Self {
            alice,
            federation,
            mallory,
            shared,
            streams,
            is_impostor: claim.is_some(),
            asked,
            gone,
        };
        assert!(scene.hello(claim.unwrap_or(id(&scene.mallory)), log.head().0).await);
        scene
    }

    /// Says hello, naming this person and the head of this log; whether it was answered.
    async fn hello(&self, person: PersonId, head: [u8; 32]) -> bool {
        let mut stream = self.open(HELLO).await;
        let ops = u32::try_from(self.mallory.identity.log().unwrap().ops().len()).unwrap();
        let hello =
            Hello { person: Some(person.0), ops, head, capabilities: 0, versions: vec![1], run: 1 };
        frame::write(&mut stream, &hello).await.is_ok()
            && frame::read::<Hello, _>(&mut stream).await.is_ok()
    }

    async fn open(&self, protocol: &'static str) -> ByteStream {
        let key = PeerKey(*self.alice.identity.node_key().as_bytes());
        tokio::time::timeout(PATIENCE, self.shared.network.open(key, protocol))
            .await
            .unwrap()
            .unwrap()
    }

    /// The sync stream between the two: among friends the one with the lower key opens it, a
    /// stranger opens its own.
    async fn sync(&mut self) -> ByteStream {
        let is_friend = friends::is_friend(&self.alice, &id(&self.mallory)).unwrap();
        if is_friend
            && !self.is_impostor
            && self.alice.identity.node_key().as_bytes()
                < self.mallory.identity.node_key().as_bytes()
        {
            loop {
                let (protocol, stream) =
                    tokio::time::timeout(PATIENCE, self.streams.recv()).await.unwrap().unwrap();
                if protocol == SYNC {
                    return stream;
                }
            }
        }
        self.open(SYNC).await
    }

    fn shown(&self) -> usize {
        timeline::page(&self.alice, None, 10).unwrap().len()
    }

    async fn end(self) {
        self.federation.shutdown().await;
        self.shared.network.stop().await;
    }
}

/// Answers questions about identity logs with this one, whosever was asked for.
async fn show(mut stream: ByteStream, ops: Vec<ByteVec>) {
    while frame::read::<identity::Get, _>(&mut stream).await.is_ok() {
        frame::write(&mut stream, &identity::Ops { ops: ops.clone(), more: false }).await.unwrap();
    }
}

async fn make_friend(host: &Node, guest: &Node) {
    let invite = friends::create_invite(host, "", &[]).await.unwrap();
    let from = Introduction {
        person: id(guest),
        node: guest.identity.node_key(),
        name: "Guest".to_owned(),
        addresses: Vec::new(),
    };
    friends::redeem_invite(host, &from, invite.token).await.unwrap();
}

fn post(text: &str) -> PostBody {
    PostBody {
        media_type: MARKDOWN.to_owned(),
        slug: "slug".to_owned(),
        text: text.to_owned(),
        ..PostBody::default()
    }
}

/// An honest entry, to be spoilt.
async fn entry(author: &Node, body: PostBody) -> Entry {
    let node = author.clone();
    let say = move |tx: &mut Tx<'_>| feed::append_only(tx, &node, Lane::PUBLIC, &Body::Post(body));
    let said: EntryId = author.store.commit(say).await.unwrap();
    push::entry_to_wire(feed::entry(author, &said).unwrap().unwrap())
}

async fn hear(stream: &mut ByteStream, mut wanted: impl FnMut(&Sync) -> bool) -> Sync {
    let heard = async {
        loop {
            let message = frame::read::<Sync, _>(stream).await.unwrap();
            if wanted(&message) {
                return message;
            }
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.unwrap()
}

async fn refused(stream: &mut ByteStream) -> Reason {
    match hear(stream, |message| matches!(message, Sync::Bye { .. })).await {
        Sync::Bye { reason, .. } => reason,
        _ => unreachable!(),
    }
}
