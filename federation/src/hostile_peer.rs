//! A hostile peer with a key of its own against an honest node over real libp2p: each invalid
//! message is refused.

mod blob_requests;
mod blobs;
mod entries;
mod identity;
mod invites;
mod mail;
mod relay;
mod repeated_hellos;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use freehold_core::feed::{self, Body, EntryId, Lane, MARKDOWN, PostBody};
use freehold_core::friends::{self, Introduction};
use freehold_core::identity::{self as core_identity, IdentityLog, PersonId};
use freehold_core::node::Node;
use freehold_core::store::Tx;
use freehold_core::testing::TestNode;
use freehold_core::timeline;
use minicbor::bytes::ByteVec;
use tokio::sync::{Notify, mpsc};

use crate::network::{ByteStream, Network, NetworkEvent, PeerKey};
use crate::state::FederationState;
use crate::wire::feed::entry_to_wire;
use crate::wire::frame;
use crate::wire::hello::{Hello, PROTOCOL as HELLO};
use crate::wire::sync::{Entry, PROTOCOL as SYNC, Reason, Sync};
use crate::wire::{PROTOCOLS, identity as wire_identity};
use crate::{Federation, FederationConfig};

const TIMEOUT: Duration = Duration::from_secs(20);

fn config() -> FederationConfig {
    FederationConfig {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        quic: false,
        ..FederationConfig::default()
    }
}

async fn test_node(name: &str) -> TestNode {
    let node = TestNode::new(name).await;
    if node.identity.person().is_none() {
        core_identity::create(&node).await.unwrap();
    }
    node
}

fn person_id(node: &Node) -> PersonId {
    node.identity.person().unwrap()
}

/// An honest node (Alice's), and a hostile peer (Mallory's) that is connected to it.
struct Fixture {
    alice: TestNode,
    federation: Federation,
    mallory: TestNode,
    /// Of the hostile peer.
    state: Arc<FederationState>,
    /// Streams that the honest node has opened.
    streams: mpsc::UnboundedReceiver<(&'static str, ByteStream)>,
    /// The hostile peer claims to be another person.
    is_impostor: bool,
    /// Identity logs that the honest node has fetched.
    log_requests: Arc<AtomicUsize>,
    /// The honest node has disconnected.
    disconnected: Arc<Notify>,
}

impl Fixture {
    /// The hostile peer is a friend's, which has more rights to abuse.
    async fn with_friend() -> Self {
        Self::new(true, None).await
    }

    async fn new(is_friend: bool, claim: Option<PersonId>) -> Self {
        let (alice, mallory) = (test_node("alice").await, test_node("mallory").await);
        if is_friend {
            make_friend(&alice, &mallory).await;
        }
        let log = mallory.identity.log().unwrap();
        Self::connect(alice, mallory, claim, log).await
    }

    /// Mallory's node dials Alice's, claims to be `claim`, and answers every Get with `log`.
    async fn connect(
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
        let state = Arc::new(FederationState::new(mallory.clone(), network, config()));
        let (sender, streams) = mpsc::unbounded_channel();
        let (log_requests, disconnected) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let (counter, signal) = (Arc::clone(&log_requests), Arc::clone(&disconnected));
        let (connected, is_connected) = tokio::sync::oneshot::channel();
        let shown: Vec<ByteVec> = log.to_bytes().into_iter().map(ByteVec::from).collect();
        tokio::spawn(async move {
            let mut connected = Some(connected);
            while let Some(event) = events.recv().await {
                match event {
                    NetworkEvent::Connected { .. } => {
                        _ = connected.take().map(|connected| connected.send(()))
                    }
                    NetworkEvent::Disconnected(_) => signal.notify_one(),
                    NetworkEvent::Incoming(_, wire_identity::PROTOCOL, stream) => {
                        counter.fetch_add(1, Ordering::Relaxed);
                        tokio::spawn(serve_log(stream, shown.clone()));
                    }
                    NetworkEvent::Incoming(_, protocol, stream) => {
                        _ = sender.send((protocol, stream))
                    }
                    _ => {}
                }
            }
        });
        tokio::time::timeout(TIMEOUT, is_connected).await.unwrap().unwrap();
        let fixture = Self {
            alice,
            federation,
            mallory,
            state,
            streams,
            is_impostor: claim.is_some(),
            log_requests,
            disconnected,
        };
        assert!(
            fixture.send_hello(claim.unwrap_or(person_id(&fixture.mallory)), log.head().0).await
        );
        fixture
    }

    /// Sends a hello with this claim; true if it was answered.
    async fn send_hello(&self, person: PersonId, head: [u8; 32]) -> bool {
        self.exchange_hello(Hello { head, ..self.hello(person) }).await.is_some()
    }

    /// A hello with this claim, and Mallory's log.
    fn hello(&self, person: PersonId) -> Hello {
        let log = self.mallory.identity.log().unwrap();
        Hello {
            person: Some(person.0),
            ops: u32::try_from(log.ops().len()).unwrap(),
            head: log.head().0,
            versions: vec![1],
            run: 1,
            ..Hello::default()
        }
    }

    /// Sends a hello; the answer, if there is one.
    async fn exchange_hello(&self, hello: Hello) -> Option<Hello> {
        let mut stream = self.open(HELLO).await;
        frame::write(&mut stream, &hello).await.ok()?;
        frame::read::<Hello, _>(&mut stream).await.ok()
    }

    async fn open(&self, protocol: &'static str) -> ByteStream {
        let key = PeerKey(*self.alice.identity.node_key().as_bytes());
        tokio::time::timeout(TIMEOUT, self.state.network.open(key, protocol))
            .await
            .unwrap()
            .unwrap()
    }

    /// The sync stream between the two: between friends the node with the lower key opens it, a
    /// stranger opens its own.
    async fn sync_stream(&mut self) -> ByteStream {
        let is_friend = friends::is_friend(&self.alice, &person_id(&self.mallory)).unwrap();
        if is_friend
            && !self.is_impostor
            && self.alice.identity.node_key().as_bytes()
                < self.mallory.identity.node_key().as_bytes()
        {
            loop {
                let (protocol, stream) =
                    tokio::time::timeout(TIMEOUT, self.streams.recv()).await.unwrap().unwrap();
                if protocol == SYNC {
                    return stream;
                }
            }
        }
        self.open(SYNC).await
    }

    /// The posts in Alice's timeline.
    fn shown_count(&self) -> usize {
        timeline::page(&self.alice, None, 10).unwrap().len()
    }

    async fn shutdown(self) {
        self.federation.shutdown().await;
        self.state.network.stop().await;
    }
}

/// Answers every Get of an identity log with these operations.
async fn serve_log(mut stream: ByteStream, ops: Vec<ByteVec>) {
    while frame::read::<wire_identity::Get, _>(&mut stream).await.is_ok() {
        frame::write(&mut stream, &wire_identity::Ops { ops: ops.clone(), more: false })
            .await
            .unwrap();
    }
}

async fn make_friend(host: &Node, guest: &Node) {
    let invite = friends::create_invite(host, "", &[]).await.unwrap();
    let from = Introduction {
        person: person_id(guest),
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

/// Appends a post to the author's feed; returns its valid entry.
async fn append_post(author: &Node, body: PostBody) -> Entry {
    let node = author.clone();
    let append =
        move |tx: &mut Tx<'_>| feed::append_only(tx, &node, Lane::PUBLIC, &Body::Post(body));
    let entry: EntryId = author.store.commit(append).await.unwrap();
    entry_to_wire(feed::entry(author, &entry).unwrap().unwrap())
}

/// Reads messages until one is selected.
async fn wait_for_message(stream: &mut ByteStream, mut select: impl FnMut(&Sync) -> bool) -> Sync {
    let selected = async {
        loop {
            let message = frame::read::<Sync, _>(stream).await.unwrap();
            if select(&message) {
                return message;
            }
        }
    };
    tokio::time::timeout(TIMEOUT, selected).await.unwrap()
}

/// The reason of the Bye that ends the stream.
async fn bye_reason(stream: &mut ByteStream) -> Reason {
    match wait_for_message(stream, |message| matches!(message, Sync::Bye { .. })).await {
        Sync::Bye { reason, .. } => reason,
        _ => unreachable!(),
    }
}
