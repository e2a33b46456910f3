//! A peer with a key of its own that says whatever it likes, against an honest node: each lie is refused.

use std::sync::Arc;
use std::time::Duration;

use freehold_core::blobs::Form;
use freehold_core::feed::{self, Body, EntryId, Lane, MARKDOWN, Photo, PostBody};
use freehold_core::friends::{self, Introduction};
use freehold_core::identity::{self, PersonId};
use freehold_core::node::Node;
use freehold_core::store::{BlobId, Tx};
use freehold_core::testing::TestNode;
use freehold_core::timeline;
use futures::AsyncWriteExt;
use tokio::sync::mpsc;

use crate::network::{ByteStream, Network, NetworkEvent, PeerKey};
use crate::peers::{Peer, Shared};
use crate::wire::blob::{self, Answer};
use crate::wire::frame;
use crate::wire::hello::{self, Hello};
use crate::wire::sync::{self, Entry, Reason, Sync};
use crate::wire::{PROTOCOLS, identity as identity_wire};
use crate::{Federation, FederationConfig, hello as honest_hello, outbox};

const PATIENCE: Duration = Duration::from_secs(20);

fn config() -> FederationConfig {
    FederationConfig { listen: vec!["127.0.0.1:0".parse().unwrap()], quic: false, ..FederationConfig::default() }
}

async fn person(name: &str) -> TestNode {
    let node = TestNode::new(name).await;
    if node.identity.person().is_none() {
        identity::create(&node).await.unwrap();
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
        let federation = Federation::start(alice.clone(), config()).await.unwrap();
        let (network, mut events, _) = Network::start(mallory.identity.libp2p_secret(), &config(), &PROTOCOLS).await.unwrap();
        let key = PeerKey(*alice.identity.node_key().as_bytes());
        network.dial(key, federation.addresses());
        let shared = Arc::new(Shared::new(mallory.clone(), network, &config()));
        let (sender, streams) = mpsc::unbounded_channel();
        let (greeter, (connected, is_connected)) = (Arc::clone(&shared), tokio::sync::oneshot::channel());
        tokio::spawn(async move {
            let mut connected = Some(connected);
            while let Some(event) = events.recv().await {
                match event {
                    NetworkEvent::Connected { .. } => _ = connected.take().map(|connected| connected.send(())),
                    NetworkEvent::Incoming(peer, identity_wire::PROTOCOL, stream) => {
                        let greeter = Arc::clone(&greeter);
                        tokio::spawn(async move {
                            let peer = Peer::new(peer, &greeter);
                            honest_hello::serve_identity(&greeter, &peer, stream).await
                        });
                    }
                    NetworkEvent::Incoming(_, protocol, stream) => _ = sender.send((protocol, stream)),
                    _ => {}
                }
            }
        });
        tokio::time::timeout(PATIENCE, is_connected).await.unwrap().unwrap();
        let scene = Self { alice, federation, mallory, shared, streams, is_impostor: claim.is_some() };
        let mut stream = scene.open(hello::PROTOCOL).await;
        let log = scene.mallory.identity.log().unwrap();
        let ops = u32::try_from(log.ops().len()).unwrap();
        let person = Some(claim.unwrap_or(id(&scene.mallory)).0);
        let hello = Hello { person, ops, head: log.head().0, capabilities: 0, versions: vec![1], run: 1 };
        frame::write(&mut stream, &hello).await.unwrap();
        frame::read::<Hello, _>(&mut stream).await.unwrap();
        scene
    }

    async fn open(&self, protocol: &'static str) -> ByteStream {
        let key = PeerKey(*self.alice.identity.node_key().as_bytes());
        tokio::time::timeout(PATIENCE, self.shared.network.open(key, protocol)).await.unwrap().unwrap()
    }

    /// The sync stream between the two: among friends the one with the lower key opens it, a stranger opens its own.
    async fn sync(&mut self) -> ByteStream {
        let is_friend = friends::is_friend(&self.alice, &id(&self.mallory)).unwrap();
        if is_friend && !self.is_impostor && self.alice.identity.node_key().as_bytes() < self.mallory.identity.node_key().as_bytes() {
            loop {
                let (protocol, stream) = tokio::time::timeout(PATIENCE, self.streams.recv()).await.unwrap().unwrap();
                if protocol == sync::PROTOCOL {
                    return stream;
                }
            }
        }
        self.open(sync::PROTOCOL).await
    }

    fn shown(&self) -> usize {
        timeline::page(&self.alice, None, 10).unwrap().len()
    }

    async fn end(self) {
        self.federation.shutdown().await;
        self.shared.network.stop().await;
    }
}

async fn make_friend(host: &Node, guest: &Node) {
    let invite = friends::create_invite(host, "", &[]).await.unwrap();
    let from = Introduction { person: id(guest), node: guest.identity.node_key(), name: "Guest".to_owned(), addresses: Vec::new() };
    friends::welcome(host, &from, invite.token).await.unwrap();
}

fn post(text: &str) -> PostBody {
    PostBody { media_type: MARKDOWN.to_owned(), slug: "slug".to_owned(), text: text.to_owned(), ..PostBody::default() }
}

/// An honest entry, to be spoilt.
async fn entry(author: &Node, body: PostBody) -> Entry {
    let node = author.clone();
    let say = move |tx: &mut Tx<'_>| feed::append(tx, &node, Lane::PUBLIC, &Body::Post(body));
    let said: EntryId = author.store.commit(say).await.unwrap();
    outbox::entry_to_wire(feed::entry(author, &said).unwrap().unwrap())
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

/// What a friend pushes, and for what reason the stream ends; nothing of it is shown.
async fn pushed(mut scene: Scene, entries: Vec<Entry>, reason: Reason) {
    let mut stream = scene.sync().await;
    frame::write(&mut stream, &Sync::Push(entries)).await.unwrap();
    assert_eq!(refused(&mut stream).await, reason);
    assert_eq!(scene.shown(), 0);
    assert!(feed::heads(&scene.alice, &id(&scene.mallory)).unwrap().is_empty());
    scene.end().await;
}

#[tokio::test]
async fn an_honest_entry_is_taken_and_a_replay_changes_nothing() {
    let mut scene = Scene::with_a_friend().await;
    let honest = entry(&scene.mallory, post("hello")).await;
    let mut stream = scene.sync().await;
    for _ in 0..3 {
        frame::write(&mut stream, &Sync::Push(vec![honest.clone()])).await.unwrap();
        let ack = hear(&mut stream, |message| matches!(message, Sync::Ack { .. })).await;
        assert!(matches!(ack, Sync::Ack { through: 0, .. }));
    }
    assert_eq!((scene.shown(), timeline::newest(&scene.alice).unwrap()), (1, 1));
    scene.end().await;
}

#[tokio::test]
async fn a_tampered_entry_is_refused() {
    let scene = Scene::with_a_friend().await;
    let mut body = entry(&scene.mallory, post("hello")).await;
    *body.body.as_mut().unwrap().last_mut().unwrap() ^= 1;
    pushed(scene, vec![body], Reason::Invalid).await;
}

#[tokio::test]
async fn a_wrong_signature_is_refused() {
    let scene = Scene::with_a_friend().await;
    let mut unsigned = entry(&scene.mallory, post("hello")).await;
    unsigned.signature[9] ^= 1;
    pushed(scene, vec![unsigned], Reason::Invalid).await;
}

#[tokio::test]
async fn a_gap_is_refused() {
    let scene = Scene::with_a_friend().await;
    entry(&scene.mallory, post("kept back")).await;
    let second = entry(&scene.mallory, post("hello")).await;
    pushed(scene, vec![second], Reason::Invalid).await;
}

#[tokio::test]
async fn another_persons_entry_is_refused() {
    let scene = Scene::with_a_friend().await;
    let carol = person("carol").await;
    make_friend(&scene.alice, &carol).await;
    let hers = entry(&carol, post("hello")).await;
    pushed(scene, vec![hers], Reason::Invalid).await;
}

#[tokio::test]
async fn an_unknown_person_is_refused_and_leaves_no_trace() {
    let scene = Scene::new(false, None).await;
    let honest = entry(&scene.mallory, post("hello")).await;
    assert!(identity::log_of(&scene.alice, &id(&scene.mallory)).unwrap().is_none());
    pushed(scene, vec![honest], Reason::NotFriends).await;
}

#[tokio::test]
async fn a_friends_name_without_their_key_is_a_strangers() {
    // Mallory, a friend, claims to be the owner herself: the log she shows for that does not name her key.
    let alice = person("alice").await;
    let scene = Scene::new(true, Some(id(&alice))).await;
    let honest = entry(&scene.mallory, post("hello")).await;
    drop(alice);
    pushed(scene, vec![honest], Reason::NotFriends).await;
}

#[tokio::test]
async fn an_oversized_frame_is_refused() {
    let mut scene = Scene::with_a_friend().await;
    let mut stream = scene.sync().await;
    stream.write_all(&u32::MAX.to_be_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(refused(&mut stream).await, Reason::Invalid);
    scene.end().await;
}

#[tokio::test]
async fn a_private_blob_is_given_to_nobody() {
    let scene = Scene::with_a_friend().await;
    let public = scene.alice.blobs.put(&[1; 50_000], Form::Public).unwrap();
    let private = scene.alice.blobs.put(&[2; 50_000], Form::Private).unwrap();
    let mut answers = Vec::new();
    for BlobId(hash) in [private.id, BlobId([3; 32]), public.id] {
        let mut stream = scene.open(blob::PROTOCOL).await;
        frame::write(&mut stream, &blob::Get { hash, start: 0, len: 50_000 }).await.unwrap();
        answers.push(frame::read::<Answer, _>(&mut stream).await.unwrap());
    }
    assert_eq!(answers, [Answer::Missing, Answer::Missing, Answer::Found(50_000)]);
    scene.end().await;
}

#[tokio::test]
async fn a_blob_that_is_not_what_its_hash_promises_is_refused() {
    let mut scene = Scene::with_a_friend().await;
    let (blob, lie) = (vec![7; 40_000], vec![8; 40_000]);
    let hash = BlobId(*blake3::hash(&blob).as_bytes());
    let photo = Photo {
        blob: hash,
        len: 40_000,
        small: hash,
        small_len: 40_000,
        alt: String::new(),
        caption: String::new(),
        width: 4,
        height: 3,
        thumbhash: Vec::new(),
    };
    let shown = entry(&scene.mallory, PostBody { photos: vec![photo], ..post("look") }).await;
    let mut stream = scene.sync().await;
    frame::write(&mut stream, &Sync::Push(vec![shown])).await.unwrap();
    let outboard = crate::blobs::slice::outboard(lie.as_slice(), 40_000).unwrap();
    let slice = crate::blobs::slice::encode(lie.as_slice(), &outboard, 0, 40_000).unwrap();
    let told = async {
        loop {
            let (protocol, mut stream) = scene.streams.recv().await.unwrap();
            if protocol != blob::PROTOCOL {
                continue;
            }
            frame::read::<blob::Get, _>(&mut stream).await.unwrap();
            frame::write(&mut stream, &Answer::Found(40_000)).await.unwrap();
            frame::write_bytes(&mut stream, &slice).await.unwrap();
            frame::write_bytes(&mut stream, &[]).await.unwrap();
            stream.flush().await.unwrap();
            // The stream ends when the lie has been noticed.
            assert!(frame::read::<blob::Get, _>(&mut stream).await.is_err());
            return;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.unwrap();
    assert_eq!(timeline::wanted_blobs(&scene.alice, None, 10).unwrap().len(), 1, "it is still wanted");
    assert!(!scene.alice.blobs.contains(&hash).unwrap());
    scene.end().await;
}
