//! One of the people: a node on a disk in memory, and what its owner remembers to have said.

use std::collections::{BTreeMap, BTreeSet};

use freehold_core::clock::Clock;
use freehold_core::feed::{self, AppendError, Body, EntryId, Lane, LogId, MARKDOWN, PostBody};
use freehold_core::friends::{self, Introduction};
use freehold_core::fs::{Fault, MemoryFs, PowerCut};
use freehold_core::identity::{self, PersonId};
use freehold_core::node::Node;
use freehold_core::random::Random;
use freehold_core::store::Tx;
use freehold_core::testing::{START, profile_of};
use freehold_core::words::Words;
use freehold_core::{journal, profile};

use crate::outbox;
use crate::sync::Fresh;

/// What the owner has said and not taken back.
type Said = BTreeMap<EntryId, String>;

pub(super) struct Person {
    pub(super) node: Node,
    disk: MemoryFs,
    pub(super) id: PersonId,
    seed: u64,
    starts: u64,
    cursor: u64,
    texts: u64,
    /// What must be seen by friends, by the script.
    pub(super) said: Said,
    /// Texts and logs that the owner's own node has lost by starting from an old copy: friends may still have them.
    pub(super) abandoned: BTreeSet<String>,
    pub(super) abandoned_logs: BTreeSet<LogId>,
    backup: Option<(MemoryFs, Said)>,
}

impl Person {
    pub(super) async fn new(name: &str, seed: u64) -> Self {
        let disk = MemoryFs::new();
        let node = Node::in_memory_on(disk.clone(), Clock::manual(START), Random::seeded(seed)).unwrap();
        profile::set(&node, profile_of(name)).await.unwrap();
        identity::create_with(&node, Words::from_entropy(*blake3::hash(&seed.to_be_bytes()).as_bytes())).await.unwrap();
        let id = node.identity.person().unwrap();
        let cursor = journal::durable_head(&node).unwrap();
        let (said, abandoned, abandoned_logs) = (Said::new(), BTreeSet::new(), BTreeSet::new());
        Self { node, disk, id, seed, starts: 0, cursor, texts: 0, said, abandoned, abandoned_logs, backup: None }
    }

    fn start(&mut self, disk: MemoryFs) {
        self.starts += 1;
        // The clock of a machine goes on while the node is down.
        let clock = self.node.clock.clone();
        self.node = Node::in_memory_on(disk.clone(), clock, Random::seeded(self.seed + self.starts)).unwrap();
        self.disk = disk;
        self.cursor = journal::durable_head(&self.node).unwrap();
    }

    /// Says something new, or edits or takes back something old.
    pub(super) async fn say(&mut self, choice: u64) {
        let (body, of) = self.next(choice);
        let text = text_of(&body);
        let entry = append(&self.node, body).await.unwrap();
        self.remember(entry, of, text);
    }

    fn next(&mut self, choice: u64) -> (Body, Option<EntryId>) {
        self.texts += 1;
        let text = format!("{} {}", self.id.short(), self.texts);
        let of = self.said.keys().nth(usize::try_from(choice / 8 % 64).unwrap()).copied();
        // Some are long, so that a log does not fit one frame.
        let len = if choice.is_multiple_of(16) { 20_000 } else { 10 };
        let post = PostBody {
            media_type: MARKDOWN.to_owned(),
            slug: self.texts.to_string(),
            text: format!("{text} {}", "x".repeat(len)),
            ..PostBody::default()
        };
        match (choice % 8, of) {
            (5, Some(of)) => (Body::Tombstone { of }, Some(of)),
            (6 | 7, Some(of)) => (Body::Edit { of, post }, Some(of)),
            _ => (Body::Post(post), None),
        }
    }

    fn remember(&mut self, entry: EntryId, of: Option<EntryId>, text: Option<String>) {
        match (of, text) {
            (Some(of), Some(text)) => _ = self.said.insert(of, text),
            (Some(of), None) => _ = self.said.remove(&of),
            (None, Some(text)) => _ = self.said.insert(entry, text),
            (None, None) => {}
        }
    }

    /// What has become durable since the last look.
    pub(super) fn fresh(&mut self) -> Vec<Fresh> {
        outbox::fresh(&self.node, &mut self.cursor).unwrap()
    }

    /// The power is gone at the `calls`-th write or sync of a commit, or before the next; then the node starts again.
    pub(super) async fn power_cut(&mut self, calls: u64, seed: u64) {
        let (body, of) = self.next(seed);
        let text = text_of(&body);
        self.disk.fail_at(calls, Fault::Power);
        let done = append(&self.node, body).await;
        let how = [PowerCut::Nothing, PowerCut::Prefix, PowerCut::Subset][usize::try_from(seed % 3).unwrap()];
        let before = tips(&self.node, &self.id);
        let disk = self.disk.power_cut(how, seed);
        self.start(disk);
        match done {
            // What was told to be durable is there.
            Ok(entry) => {
                assert!(feed::entry(&self.node, &entry).unwrap().is_some(), "a power cut took what was durable");
                self.remember(entry, of, text);
            }
            // What failed is there or not; only the node knows.
            Err(_) => {
                let newest = tips(&self.node, &self.id).difference(&before).next().copied();
                if let Some(entry) = newest {
                    self.remember(entry, of, text);
                }
            }
        }
    }

    /// Copies the disk as it is.
    pub(super) fn back_up(&mut self) {
        self.backup = Some((self.disk.crash(), self.said.clone()));
    }

    /// Starts from the copy, however old. What was said since is lost to the owner's own node.
    pub(super) fn restore(&mut self) {
        let Some((copy, said)) = &self.backup else { return };
        let (copy, said) = (copy.crash(), said.clone());
        let logs: Vec<LogId> = feed::heads(&self.node, &self.id).unwrap().iter().map(|head| head.log).collect();
        self.abandoned_logs.extend(logs);
        // An edit that was lost may still be seen, and so may what was taken back since.
        self.abandoned.extend(self.said.values().chain(said.values()).cloned());
        self.said = said;
        self.start(copy);
    }
}

/// What tells one text from all others: its author and number, without what makes it long.
pub(super) fn label(text: &str) -> String {
    text.split(" x").next().unwrap().to_owned()
}

/// The last entries of all logs.
fn tips(node: &Node, person: &PersonId) -> BTreeSet<EntryId> {
    feed::heads(node, person).unwrap().into_iter().map(|head| head.head).collect()
}

fn text_of(body: &Body) -> Option<String> {
    body.post().map(|post| label(&post.text))
}

pub(super) async fn append(node: &Node, body: Body) -> Result<EntryId, AppendError> {
    let inside = node.clone();
    node.store.commit(move |tx: &mut Tx<'_>| feed::append(tx, &inside, Lane::PUBLIC, &body)).await
}

/// Makes two friends, each knowing who the other is.
pub(super) async fn befriend(one: &Person, other: &Person) {
    let introduction =
        |of: &Person| Introduction { person: of.id, node: of.node.identity.node_key(), name: of.id.short(), addresses: Vec::new() };
    for (host, guest) in [(one, other), (other, one)] {
        let invite = friends::create_invite(&host.node, "", &[]).await.unwrap();
        friends::welcome(&host.node, &introduction(guest), invite.token).await.unwrap();
        identity::learn(&host.node, guest.node.identity.log().unwrap().to_bytes()).await.unwrap();
    }
}
