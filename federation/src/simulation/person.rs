//! One of the people: a node on a disk in memory, and what its owner remembers to have said.

use freehold_core::clock::Clock;
use freehold_core::feed::{self, AppendError, Body, EntryId, FeedLogId, Lane, MARKDOWN, PostBody};
use freehold_core::friends::{self, Introduction};
use freehold_core::fs::{Fault, MemoryFs, PowerCut};
use freehold_core::identity::{self, PersonId};
use freehold_core::identity_log;
use freehold_core::mnemonic;
use freehold_core::node::Node;
use freehold_core::outbox;
use freehold_core::publish;
use freehold_core::random::Random;
use freehold_core::store::Tx;
use freehold_core::testing::{START, profile_of};
use freehold_core::timeline::{self, Version};
use std::collections::{BTreeMap, BTreeSet};

use super::photos;
use crate::push;
use crate::sync::Fresh;

/// What the owner's own node has of what its owner said.
#[derive(Clone, Default)]
pub(super) struct Words {
    /// What must be seen by friends, by the script: each post as it reads now.
    pub(super) said: BTreeMap<EntryId, String>,
    /// What nobody may keep.
    pub(super) taken_back: BTreeSet<EntryId>,
}

/// A node's disk at some moment, and what its owner had said by then.
pub(super) struct Moment {
    disk: MemoryFs,
    words: Words,
    run: u64,
    /// How many texts there had been.
    texts: u64,
}

pub(super) struct Person {
    pub(super) node: Node,
    disk: MemoryFs,
    pub(super) id: PersonId,
    seed: u64,
    /// The present run of the node, and the last one there was.
    run: u64,
    starts: u64,
    cursor: u64,
    texts: u64,
    pub(super) words: Words,
    /// Texts and logs that the owner's own node has lost by starting from an old copy: friends may
    /// still have them.
    pub(super) abandoned: BTreeSet<String>,
    pub(super) abandoned_logs: BTreeSet<FeedLogId>,
    /// Whether this node has lost what others had given it.
    pub(super) has_lost: bool,
    backup: Option<Moment>,
}

impl Person {
    pub(super) async fn new(name: &str, seed: u64) -> Self {
        let disk = MemoryFs::new();
        let node =
            Node::in_memory_on(disk.clone(), Clock::manual(START), Random::seeded(seed)).unwrap();
        publish::profile(&node, profile_of(name)).await.unwrap();
        identity::create_with(
            &node,
            mnemonic::Mnemonic::from_entropy(*blake3::hash(&seed.to_be_bytes()).as_bytes()),
        )
        .await
        .unwrap();
        let id = node.identity.person().unwrap();
        let cursor = outbox::durable_head(&node).unwrap();
        let (words, abandoned, abandoned_logs) =
            (Words::default(), BTreeSet::new(), BTreeSet::new());
        let (run, starts, texts, has_lost, backup) = (0, 0, 0, false, None);
        Self {
            node,
            disk,
            id,
            seed,
            run,
            starts,
            cursor,
            texts,
            words,
            abandoned,
            abandoned_logs,
            has_lost,
            backup,
        }
    }

    fn start(&mut self, disk: MemoryFs) {
        self.starts += 1;
        self.go_on(disk, self.starts);
    }

    /// The node in a run: what is drawn in it, its epoch first of all, follows from the run's
    /// number.
    fn go_on(&mut self, disk: MemoryFs, run: u64) {
        self.run = run;
        // The clock of a machine goes on while the node is down.
        let clock = self.node.clock.clone();
        self.node =
            Node::in_memory_on(disk.clone(), clock, Random::seeded(self.seed + run)).unwrap();
        self.disk = disk;
        self.cursor = outbox::durable_head(&self.node).unwrap();
    }

    /// Says something new, or edits or takes back something old.
    pub(super) async fn say(&mut self, choice: u64) {
        let (body, of) = self.next(choice);
        let text = text_of(&body);
        let entry = append(&self.node, body).await.unwrap();
        self.note(entry, of, text);
    }

    fn next(&mut self, choice: u64) -> (Body, Option<EntryId>) {
        self.texts += 1;
        let text = self.text(self.texts);
        let which = (choice / 8)
            .checked_rem(self.words.said.len() as u64)
            .map(|which| usize::try_from(which).unwrap());
        let of = which.and_then(|which| self.words.said.keys().nth(which)).copied();
        // Some are long, so that a log does not fit one frame.
        let len = if choice.is_multiple_of(32) { 20_000 } else { 10 };
        let post = PostBody {
            media_type: MARKDOWN.to_owned(),
            slug: self.texts.to_string(),
            text: format!("{text} {}", "x".repeat(len)),
            photos: photos::of(&text),
            ..PostBody::default()
        };
        match (choice % 8, of) {
            (5, Some(of)) => (Body::Tombstone { of }, Some(of)),
            (6 | 7, Some(of)) => (Body::Edit { of, post }, Some(of)),
            _ => (Body::Post(post), None),
        }
    }

    fn text(&self, number: u64) -> String {
        format!("{} {number}", self.id.short())
    }

    fn note(&mut self, entry: EntryId, of: Option<EntryId>, text: Option<String>) {
        match (of, text) {
            (Some(of), None) => {
                self.words.said.remove(&of);
                self.words.taken_back.insert(of);
            }
            (of, Some(text)) => _ = self.words.said.insert(of.unwrap_or(entry), text),
            (None, None) => {}
        }
    }

    /// What has become durable since the last look.
    pub(super) fn fresh(&mut self) -> Vec<Fresh> {
        push::fresh(&self.node, &mut self.cursor).unwrap()
    }

    /// The power is gone at the `calls`-th write or sync of a commit, or before the next; then the
    /// node starts again.
    pub(super) async fn power_cut(&mut self, calls: u64, seed: u64) {
        let (body, of) = self.next(seed);
        let text = text_of(&body);
        self.disk.fail_at(calls, Fault::Power);
        let done = append(&self.node, body).await;
        let how = [PowerCut::Nothing, PowerCut::Prefix, PowerCut::Subset]
            [usize::try_from(seed % 3).unwrap()];
        let before = tips(&self.node, &self.id);
        let disk = self.disk.power_cut(how, seed);
        self.start(disk);
        match done {
            // What was told to be durable is there.
            Ok(entry) => {
                assert!(
                    feed::entry(&self.node, &entry).unwrap().is_some(),
                    "a power cut took what was durable"
                );
                self.note(entry, of, text);
            }
            // What failed is there or not; only the node knows.
            Err(_) => {
                let newest = tips(&self.node, &self.id).difference(&before).next().copied();
                if let Some(entry) = newest {
                    self.note(entry, of, text);
                }
            }
        }
    }

    /// The node as it is.
    pub(super) fn remember(&self) -> Moment {
        Moment {
            disk: self.disk.crash(),
            words: self.words.clone(),
            run: self.run,
            texts: self.texts,
        }
    }

    /// Starts again as at an earlier moment, as if nothing had happened since.
    pub(super) fn wake_up_as(&mut self, then: Moment) {
        self.words = then.words;
        self.start(then.disk);
    }

    /// Copies the disk as it is.
    pub(super) fn back_up(&mut self) {
        self.backup = Some(self.remember());
    }

    /// Starts from the copy, however old. What was said since is lost to the owner's own node. A
    /// machine's snapshot that has its memory in it goes on in the same run.
    pub(super) fn restore(&mut self, is_same_run: bool) {
        let Some(Moment { disk, words, run, texts }) = &self.backup else { return };
        let (copy, words, run, texts) = (disk.crash(), words.clone(), *run, *texts);
        let logs: Vec<FeedLogId> =
            feed::heads(&self.node, &self.id).unwrap().iter().map(|head| head.log).collect();
        self.abandoned_logs.extend(logs);
        // What was said since may still be seen, and what was edited or taken back since may be
        // gone.
        let since: Vec<String> = (texts + 1..=self.texts).map(|number| self.text(number)).collect();
        self.abandoned.extend(words.said.values().cloned().chain(since));
        self.words = words;
        self.has_lost = true;
        if is_same_run { self.go_on(copy, run) } else { self.start(copy) }
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

/// Says something as `freehold_core::posts` does: the entry, and what the owner sees of it with its
/// photos.
pub(super) async fn append(node: &Node, body: Body) -> Result<EntryId, AppendError> {
    let (inside, person) = (node.clone(), node.identity.person().unwrap());
    let photos = body
        .post()
        .map_or(Ok(Vec::new()), |post| photos::keep(node, &post.photos, &label(&post.text)))?;
    let write = move |tx: &mut Tx<'_>| {
        let entry = feed::append_only(tx, &inside, Lane::PUBLIC, &body)?;
        photos.iter().for_each(|photo| tx.attach(photo));
        let now = inside.clock.now();
        let shown = |post| Version {
            author: person,
            entry,
            at: now,
            posted: now,
            has_blobs: true,
            is_news: false,
            post,
        };
        match &body {
            Body::Post(post) => timeline::show(tx, &entry, &shown(post))?,
            Body::Edit { of, post } => timeline::show(tx, of, &shown(post))?,
            Body::Tombstone { of } => timeline::hide(tx, &person, of)?,
            _ => {}
        }
        Ok(entry)
    };
    node.store.commit(write).await
}

/// Makes two friends, each knowing who the other is.
pub(super) async fn befriend(one: &Person, other: &Person) {
    let introduction = |of: &Person| Introduction {
        person: of.id,
        node: of.node.identity.node_key(),
        name: of.id.short(),
        addresses: Vec::new(),
    };
    for (host, guest) in [(one, other), (other, one)] {
        let invite = friends::create_invite(&host.node, "", &[]).await.unwrap();
        friends::redeem_invite(&host.node, &introduction(guest), invite.token).await.unwrap();
        identity_log::learn(&host.node, guest.node.identity.log().unwrap().to_bytes())
            .await
            .unwrap();
    }
}
