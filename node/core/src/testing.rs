//! Nodes for the tests of this crate and those above: seeded, in memory, and checked when dropped.

pub use freehold_proto::testing::fuzz;
pub use freehold_store::testing::{failing_engine, hooked_fs};

pub use crate::node::MemoryStart;

use std::ops::Deref;
use std::path::Path;

use self::failing_engine::FailureSwitch;
use crate::apply;
use crate::audience::Audience;
use crate::check;
use crate::clock::{Clock, Timestamp};
use crate::feed;
use crate::friends;
use crate::fs::{Fault, Fs, MemoryFs};
use crate::identity::{self, Identity};
use crate::identity_log;
use crate::logins;
use crate::mailbox::{self, Folder, FolderId};
use crate::mnemonic::Mnemonic;
use crate::node::Node;
use crate::photos::renditions::{MediaType, Rendition, Renditions};
use crate::photos::{self, Photo, Upload};
use crate::profile::{self, Profile};
use crate::random::Random;
use crate::row;
use crate::shares::{self, Allowance, Limit, Share};
use crate::store::{Health, StoreError, Tx};

/// The time at the start of a test: 1 May 2026, 12:00 UTC.
pub const START: Timestamp = Timestamp(1_777_636_800_000);
/// The password of every test node's owner.
pub const PASSWORD: &str = "correct horse battery staple";

/// A node for tests: with a manual clock, seeded randomness and a file system in memory. Its
/// invariants are checked when it is dropped. Dereferences to [`Node`].
pub struct TestNode {
    node: Node,
    disk: MemoryFs,
    rows: FailureSwitch,
    /// Whether mail may be in the queue when the node is dropped.
    allows_queued_mail: bool,
}

impl TestNode {
    /// A node that was set up for an owner called `name` (lower case) at `<name>.example`, with an
    /// identity whose mnemonic is made from the name.
    pub async fn new(name: &str) -> Self {
        Self::at(name, &format!("{name}.example")).await
    }

    /// The same at another domain, such as one of the public DNS.
    #[allow(clippy::unwrap_used, reason = "a test node that can't be made is a failed test")]
    pub async fn at(name: &str, domain: &str) -> Self {
        let node = Self::without_owner(name).await;
        let token = logins::offer_setup(&node).await.unwrap().unwrap();
        let profile = Profile { domain: domain.to_owned(), ..profile_of(name) };
        logins::set_up(&node, &token, profile, PASSWORD, None).await.unwrap();
        identity::create_with(&node, mnemonic_of(name)).await.unwrap();
        node
    }

    /// Alice and Bob as friends, each with the other's identity log.
    #[allow(clippy::unwrap_used, reason = "test nodes that can't be made are a failed test")]
    pub async fn pair() -> (Self, Self) {
        let (alice, bob) = (Self::new("alice").await, Self::new("bob").await);
        alice.make_friends(&bob).await;
        (alice, bob)
    }

    /// Makes the owners of both nodes friends, with an invite of this one.
    #[allow(
        clippy::unwrap_used,
        reason = "test nodes that can't be made friends are a failed test"
    )]
    pub async fn make_friends(&self, other: &Self) {
        let invite = friends::create_invite(self, "for a test", &[]).await.unwrap();
        friends::accept_invite(other, &invite).await.unwrap();
        friends::redeem_invite(self, &other.introduction(), invite.token).await.unwrap();
        assert!(
            friends::invite_accepted(other, invite.person).await.unwrap(),
            "the acceptance is not pending"
        );
        for (knows, known) in [(self, other), (other, self)] {
            let log = known.identity.log().unwrap();
            identity_log::learn(knows, log.to_bytes()).await.unwrap();
        }
    }

    /// Writes a profile with this address into the feed, and hands it to `other`, a friend's node.
    #[allow(clippy::unwrap_used, reason = "a profile that can't be written is a failed test")]
    pub async fn write_profile(&self, other: &Node, address: &str) {
        let profile = profile::get(self).unwrap().unwrap();
        let body = feed::Body::Profile(feed::ProfileBody {
            name: profile.name,
            address: address.to_owned(),
            ..feed::ProfileBody::default()
        });
        let node = self.node.clone();
        let append = move |tx: &mut Tx<'_>| feed::append_only(tx, &node, feed::Lane::PUBLIC, &body);
        let entry = self.store.commit(append).await.unwrap();
        let raw = feed::entry(self, &entry).unwrap().unwrap();
        apply::receive(other, self.identity.person().unwrap(), vec![raw]).await.unwrap();
    }

    /// The introduction of this node.
    #[allow(clippy::unwrap_used, reason = "only a claimed node has anybody to introduce")]
    pub fn introduction(&self) -> friends::Introduction {
        let name = profile::get(self).unwrap().unwrap().name;
        friends::Introduction {
            person: self.identity.person().unwrap(),
            node: self.identity.node_key(),
            name,
            addresses: Vec::new(),
        }
    }

    /// A node that was not set up.
    #[allow(clippy::unwrap_used, reason = "a test node that can't be made is a failed test")]
    pub async fn without_owner(name: &str) -> Self {
        let (disk, rows) = (MemoryFs::new(), FailureSwitch::default());
        let (clock, random) = (Clock::manual(START), Random::seeded(seed_of(name)));
        let node = Node::in_memory_with(disk.clone(), rows.clone(), clock, random).unwrap();
        mailbox::initialise(&node).await.unwrap();
        Self { node, disk, rows, allows_queued_mail: false }
    }

    /// Adds a photo with these bytes as its renditions, for tests of access; they need not be
    /// pictures.
    #[allow(clippy::unwrap_used, reason = "a photo that can't be added is a failed test")]
    pub async fn store_photo(&self, large: &[u8], small: &[u8], audience: Audience) -> Photo {
        self.try_store_photo(large, small, audience).await.unwrap()
    }

    /// [`TestNode::store_photo`] for tests in which the disk fails.
    ///
    /// # Errors
    /// Errors of the disk.
    pub async fn try_store_photo(
        &self,
        large: &[u8],
        small: &[u8],
        audience: Audience,
    ) -> Result<Photo, StoreError> {
        let file = self.blobs.put(&[large, small].concat())?;
        let rendition =
            |bytes: &[u8], width| Rendition { jpeg: bytes.to_vec(), width, height: width / 4 * 3 };
        let (large, small) = (rendition(large, 1600), rendition(small, 400));
        let media_type = MediaType::Jpeg;
        let renditions = Renditions {
            media_type,
            width: 4000,
            height: 3000,
            taken: None,
            large,
            medium: None,
            small,
            thumbhash: Vec::new(),
            flaw: None,
            has_place: false,
        };
        let upload = Upload {
            file,
            file_name: "a.jpg".to_owned(),
            alt: "a photo".to_owned(),
            caption: String::new(),
            audience,
        };
        photos::store_photo(self, upload, renditions).await
    }

    /// The node after a restart of its process: with the same keys and rows, and a new feed epoch.
    #[allow(
        clippy::unwrap_used,
        reason = "a test node that can't be opened again is a failed test"
    )]
    pub fn restarted(&self) -> Node {
        let identity =
            Identity::load(&self.store, self.identity.vault(), &self.random, self.clock.now())
                .unwrap();
        Node { identity, ..self.node.clone() }
    }

    /// Uses up today's share.
    #[allow(clippy::unwrap_used, reason = "a share that can't be charged is a failed test")]
    pub async fn use_up_share(&self, share: Share) {
        let (now, allowance) = (self.clock.now(), Allowance { share, limit: Limit::mib(0) });
        let charge = move |tx: &mut Tx<'_>| shares::charge(tx, now, &allowance, u64::MAX, u64::MAX);
        self.store.commit(charge).await.unwrap();
    }

    /// The file system of the node.
    pub fn disk(&self) -> &MemoryFs {
        &self.disk
    }

    /// Makes every read and change of a row fail, and returns when the store has noticed. The log
    /// is damaged too, so that the rows can't be read into memory.
    pub async fn fail_rows(&self) {
        self.flip_log();
        self.rows.set(true);
        while !matches!(self.store.health(), Health::Unreadable(_)) {
            let written = logins::create_app_password(self, "never stored").await;
            drop(written);
        }
    }

    /// Damages each segment of the log, or repairs it.
    #[allow(clippy::unwrap_used, reason = "a log that can't be damaged is a failed test")]
    fn flip_log(&self) {
        let folder = Path::new("/data/log");
        for entry in self.disk.list(folder).unwrap() {
            self.disk.damage(&folder.join(entry.name), 0, 1).unwrap();
        }
    }

    /// Ends [`TestNode::fail_rows`], and returns when the store has recovered.
    pub fn recover_rows(&self) {
        self.rows.set(false);
        self.flip_log();
        while !self.store.health().is_ready() || profile::get(self).is_err() {
            std::thread::yield_now();
        }
    }

    /// Makes every write to the disk fail until [`MemoryFs::heal`], and returns when the log has
    /// stopped.
    pub async fn fail_disk(&self) {
        (1..=100_000).for_each(|call| self.disk.fail_at(call, Fault::Io));
        while self.store.health().is_ready() {
            let written = logins::create_app_password(self, "never stored").await;
            drop(written);
        }
    }

    /// Increases the HIGHESTMODSEQ of a folder as `count` changes of flags would, and changes
    /// nothing else.
    #[allow(clippy::unwrap_used, reason = "a test node that can't be changed is a failed test")]
    pub async fn advance_modseq(&self, folder: FolderId, count: u64) {
        let changed = self.store.commit(move |tx| {
            let mut advanced =
                row::get::<Folder>(tx, &folder.0.to_be_bytes())?.ok_or(StoreError::NoBlob)?;
            advanced.highest_modseq += count;
            row::put(tx, &folder.0.to_be_bytes(), &advanced)
        });
        changed.await.unwrap();
    }

    /// The same node; mail may be in its queue when it is dropped.
    pub fn allowing_queued_mail(mut self) -> Self {
        self.allows_queued_mail = true;
        self
    }
}

/// The mnemonic of the owner `name`.
#[must_use]
pub fn mnemonic_of(name: &str) -> Mnemonic {
    Mnemonic::from_entropy(*blake3::hash(name.as_bytes()).as_bytes())
}

/// The profile of a person called `name`.
pub fn profile_of(name: &str) -> Profile {
    let mut letters = name.chars();
    let shown = letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default();
    Profile {
        name: shown,
        login: name.to_owned(),
        domain: format!("{name}.example"),
        strapline: format!("{name} writes here"),
        about: String::new(),
        avatar_colour: 0,
        time_zone: String::new(),
        language: String::new(),
    }
}

fn seed_of(name: &str) -> u64 {
    name.bytes().fold(14_695_981_039_346_656_037, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(1_099_511_628_211)
    })
}

impl Deref for TestNode {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

impl Drop for TestNode {
    #[allow(clippy::panic, reason = "a broken invariant must fail the test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let mut wrong = Vec::new();
        let feed = feed::check(&self.node).map(|checked| checked.wrong);
        let sound = check::check(&self.node.store, &self.node.blobs, &|_, _, _| Ok(()));
        let sound = sound
            .map(|report| if report.is_sound() { Vec::new() } else { vec![format!("{report:?}")] });
        let queue = mailbox::queue::check(&self.node, self.allows_queued_mail);
        let index = self.node.blobs.check_index(&self.node.store, &|_| Ok(()));
        for checked in [sound, feed, index, mailbox::check(&self.node), queue] {
            match checked {
                Ok(found) => wrong.extend(found),
                Err(error) => wrong.push(error.to_string()),
            }
        }
        if !wrong.is_empty() {
            panic!("invariants broken: {wrong:#?}");
        }
    }
}
