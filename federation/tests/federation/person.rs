//! Persons with federating nodes, and waits for conditions that depend on events, not on time.

use std::net::SocketAddr;
use std::ops::Deref;
use std::time::Duration;

use freehold_core::audience::Audience;
use freehold_core::feed::{self, Body, EntryId, Lane, MARKDOWN, PhotoRef, PostBody};
use freehold_core::friends;
use freehold_core::identity::{self, PersonId};
use freehold_core::node::Node;
use freehold_core::store::{BlobId, Tx};
use freehold_core::testing::TestNode;
use freehold_core::timeline;
use freehold_federation::{Federation, FederationConfig, StartError, WebAddress};

/// The longest wait for a condition; reached only if the test fails.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The transports of a node.
#[derive(Clone, Copy)]
pub(crate) enum Transport {
    Tcp,
    Quic,
    Both,
}

fn config(transport: Transport, listen: SocketAddr) -> FederationConfig {
    let (tcp, quic) = match transport {
        Transport::Tcp => (true, false),
        Transport::Quic => (false, true),
        Transport::Both => (true, true),
    };
    let web = Some(WebAddress::Here { is_https: false, port: 8080 });
    // SMTP reaches Bob.
    let mail_domains = vec!["bob.example".to_owned()];
    let default = FederationConfig::default();
    FederationConfig { listen: vec![listen], web, tcp, quic, mail_domains, ..default }
}

/// A person, their node, and its federation while it runs.
pub(crate) struct Person {
    test: TestNode,
    node: Node,
    transport: Transport,
    listen: SocketAddr,
    federation: Option<Federation>,
}

impl Deref for Person {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

impl Person {
    /// A person whose node runs.
    pub(crate) async fn new(name: &str, transport: Transport) -> Self {
        Self::at(name, &format!("{name}.example"), transport).await
    }

    /// The same at another domain.
    pub(crate) async fn at(name: &str, domain: &str, transport: Transport) -> Self {
        // No mail server runs beside.
        let test = TestNode::at(name, domain).await.allowing_queued_mail();
        if test.identity.person().is_none() {
            identity::create(&test).await.unwrap();
        }
        let node = test.clone();
        let mut person = Self {
            test,
            node,
            transport,
            listen: "127.0.0.1:0".parse().unwrap(),
            federation: None,
        };
        person.start().await;
        person
    }

    /// Starts the federation as a new run of the node, on its port of before.
    pub(crate) async fn start(&mut self) {
        self.node = self.test.restarted();
        let config = config(self.transport, self.listen);
        // QUIC keeps its socket for some round trips after a stop in the same process: seconds, if
        // a dial was not answered.
        let started = async {
            loop {
                match Federation::start(self.node.clone(), config.clone()).await {
                    Ok(federation) => return federation,
                    Err(StartError::Listen { .. }) => {
                        tokio::time::sleep(Duration::from_millis(20)).await
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        };
        let federation = tokio::time::timeout(TIMEOUT, started).await.unwrap();
        let port = federation.addresses()[0].split('/').nth(4).unwrap().parse().unwrap();
        self.listen.set_port(port);
        self.federation = Some(federation);
    }

    pub(crate) async fn stop(&mut self) {
        self.federation.take().unwrap().shutdown().await;
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        self.federation.as_ref().unwrap().addresses()
    }

    pub(crate) fn id(&self) -> PersonId {
        self.node.identity.person().unwrap()
    }

    /// Tells a friend the owner's mail address.
    pub(crate) async fn tell_address(&self, friend: &Person, address: &str) {
        friend
            .wait_until("the identity log is stored", |node| {
                identity::log_of(node, &self.id()).unwrap().is_some()
            })
            .await;
        self.test.write_profile(friend, address).await;
    }

    pub(crate) async fn make_friends(&self, other: &Person) {
        let invite = friends::create_invite(self, other.name(), &self.addresses()).await.unwrap();
        friends::accept_invite(other, &invite).await.unwrap();
        self.wait_until("the other is a friend", |node| {
            friends::is_friend(node, &other.id()).unwrap()
        })
        .await;
        other
            .wait_until("the other is a friend", |node| {
                friends::is_friend(node, &self.id()).unwrap()
            })
            .await;
    }

    pub(crate) fn name(&self) -> &'static str {
        "a friend"
    }

    /// Waits until `condition` is true; it is checked again after each event of the node.
    pub(crate) async fn wait_until(&self, expectation: &str, condition: impl Fn(&Node) -> bool) {
        let mut events = self.node.events.subscribe();
        let holds = async {
            while !condition(&self.node) {
                // After a lag the condition is checked as well.
                let _ = events.recv().await;
            }
        };
        tokio::time::timeout(TIMEOUT, holds)
            .await
            .unwrap_or_else(|_| panic!("timeout: {expectation}"));
    }

    pub(crate) async fn append(&self, body: Body) -> EntryId {
        let node = self.node.clone();
        self.node
            .store
            .commit(move |tx: &mut Tx<'_>| feed::append_only(tx, &node, Lane::PUBLIC, &body))
            .await
            .unwrap()
    }

    pub(crate) async fn post(&self, text: &str) -> EntryId {
        self.append(Body::Post(post(text))).await
    }

    /// A post with a photo of `large` and `small` bytes.
    pub(crate) async fn post_photo(&self, text: &str, large: usize, small: usize) -> EntryId {
        self.store_photo(&pixels(large), &pixels(small)).await;
        self.post_missing_photo(text, large, small).await.0
    }

    /// Stores a public photo with these bytes for its two sizes.
    pub(crate) async fn store_photo(&self, large: &[u8], small: &[u8]) {
        self.test.store_photo(large, small, Audience::Public).await;
    }

    /// A post with a photo whose bytes are not stored yet; returns the bytes.
    pub(crate) async fn post_missing_photo(
        &self,
        text: &str,
        large: usize,
        small: usize,
    ) -> (EntryId, Vec<u8>, Vec<u8>) {
        let (large, small) = (pixels(large), pixels(small));
        let id = |bytes: &[u8]| BlobId(*blake3::hash(bytes).as_bytes());
        let photo = PhotoRef {
            blob: id(&large),
            len: large.len() as u64,
            small: id(&small),
            small_len: small.len() as u64,
            alt: "a photo".to_owned(),
            caption: String::new(),
            width: 1600,
            height: 1200,
            thumbhash: Vec::new(),
        };
        (
            self.append(Body::Post(PostBody { photos: vec![photo], ..post(text) })).await,
            large,
            small,
        )
    }

    /// Waits until the timeline shows exactly these texts of others, in any order: the clocks of
    /// tests do not advance, so times are equal.
    pub(crate) async fn wait_for_timeline(&self, texts: &[&str]) {
        self.wait_until(&format!("the timeline shows {texts:?}"), |node| {
            let mut wanted = texts.to_vec();
            wanted.sort_unstable();
            self.timeline_of(node) == wanted
        })
        .await;
    }

    fn timeline_of(&self, node: &Node) -> Vec<String> {
        let items = timeline::page(node, None, 500)
            .unwrap()
            .into_iter()
            .filter(|item| item.author != self.id());
        let mut texts: Vec<String> = items.map(|item| item.text).collect();
        texts.sort_unstable();
        texts
    }
}

pub(crate) fn post(text: &str) -> PostBody {
    PostBody {
        media_type: MARKDOWN.to_owned(),
        slug: "slug".to_owned(),
        text: text.to_owned(),
        ..PostBody::default()
    }
}

/// The bytes of a photo.
pub(crate) fn pixels(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from(at * 7919 % 253).unwrap()).collect()
}
