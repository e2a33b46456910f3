//! One person: a node on a disk in memory, and a record of the posts that its owner has written.

use std::collections::{BTreeMap, BTreeSet};

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

use super::photos;
use crate::push;
use crate::sync::NewEntry;

/// The posts that the owner's own node holds.
#[derive(Clone, Default)]
pub(super) struct Record {
    /// The present text of each post, which friends must see.
    pub(super) posts: BTreeMap<EntryId, String>,
    /// Deleted posts, whose bodies no node may keep.
    pub(super) deleted: BTreeSet<EntryId>,
}

/// A node's disk at some moment, and the record of posts at that moment.
pub(super) struct Snapshot {
    disk: MemoryFs,
    record: Record,
    run: u64,
    /// The number of texts written so far.
    texts: u64,
}

pub(super) struct Person {
    pub(super) node: Node,
    disk: MemoryFs,
    pub(super) id: PersonId,
    seed: u64,
    /// The present run of the node.
    run: u64,
    /// The number of runs so far.
    starts: u64,
    cursor: u64,
    texts: u64,
    pub(super) record: Record,
    /// Texts and logs that the owner's own node has lost by a restore from an old copy; friends may
    /// still have them.
    pub(super) lost_texts: BTreeSet<String>,
    pub(super) lost_logs: BTreeSet<FeedLogId>,
    /// This node has lost entries that it had received.
    pub(super) has_lost_data: bool,
    backup: Option<Snapshot>,
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
        let (record, lost_texts, lost_logs) = (Record::default(), BTreeSet::new(), BTreeSet::new());
        let (run, starts, texts, has_lost_data, backup) = (0, 0, 0, false, None);
        Self {
            node,
            disk,
            id,
            seed,
            run,
            starts,
            cursor,
            texts,
            record,
            lost_texts,
            lost_logs,
            has_lost_data,
            backup,
        }
    }

    fn start(&mut self, disk: MemoryFs) {
        self.starts += 1;
        self.start_run(disk, self.starts);
    }

    /// Starts a run, whose random numbers, and so its epoch, follow from the run's number.
    fn start_run(&mut self, disk: MemoryFs, run: u64) {
        self.run = run;
        // A machine's clock continues while the node is down.
        let clock = self.node.clock.clone();
        self.node =
            Node::in_memory_on(disk.clone(), clock, Random::seeded(self.seed + run)).unwrap();
        self.disk = disk;
        self.cursor = outbox::durable_head(&self.node).unwrap();
    }

    /// Writes a new post, or edits or deletes one.
    pub(super) async fn write(&mut self, choice: u64) {
        let (body, of) = self.next_body(choice);
        let text = text_of(&body);
        let entry = append(&self.node, body).await.unwrap();
        self.record_entry(entry, of, text);
    }

    fn next_body(&mut self, choice: u64) -> (Body, Option<EntryId>) {
        self.texts += 1;
        let text = self.text(self.texts);
        let index = (choice / 8)
            .checked_rem(self.record.posts.len() as u64)
            .map(|index| usize::try_from(index).unwrap());
        let of = index.and_then(|index| self.record.posts.keys().nth(index)).copied();
        // Some texts are long, so that a log does not fit one frame.
        let len = if choice.is_multiple_of(32) { 20_000 } else { 10 };
        let post = PostBody {
            media_type: MARKDOWN.to_owned(),
            slug: self.texts.to_string(),
            text: format!("{text} {}", "x".repeat(len)),
            photos: photos::for_text(&text),
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

    fn record_entry(&mut self, entry: EntryId, of: Option<EntryId>, text: Option<String>) {
        match (of, text) {
            (Some(of), None) => {
                self.record.posts.remove(&of);
                self.record.deleted.insert(of);
            }
            (of, Some(text)) => _ = self.record.posts.insert(of.unwrap_or(entry), text),
            (None, None) => {}
        }
    }

    /// The entries that have become durable since the last call.
    pub(super) fn new_entries(&mut self) -> Vec<NewEntry> {
        push::new_entries(&self.node, &mut self.cursor).unwrap()
    }

    /// Cuts the power at the `calls`-th write or sync of a commit, or after the commit if it has
    /// fewer; then the node starts again.
    pub(super) async fn power_cut(&mut self, calls: u64, seed: u64) {
        let (body, of) = self.next_body(seed);
        let text = text_of(&body);
        self.disk.fail_at(calls, Fault::Power);
        let appended = append(&self.node, body).await;
        let how = [PowerCut::Nothing, PowerCut::Prefix, PowerCut::Subset]
            [usize::try_from(seed % 3).unwrap()];
        let before = head_ids(&self.node, &self.id);
        let disk = self.disk.power_cut(how, seed);
        self.start(disk);
        match appended {
            // An entry that was reported durable is still stored.
            Ok(entry) => {
                assert!(
                    feed::entry(&self.node, &entry).unwrap().is_some(),
                    "a power cut took what was durable"
                );
                self.record_entry(entry, of, text);
            }
            // An entry whose commit failed may be stored or not.
            Err(_) => {
                let newest = head_ids(&self.node, &self.id).difference(&before).next().copied();
                if let Some(entry) = newest {
                    self.record_entry(entry, of, text);
                }
            }
        }
    }

    /// A copy of the disk and the record as they are.
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            disk: self.disk.crash(),
            record: self.record.clone(),
            run: self.run,
            texts: self.texts,
        }
    }

    /// Starts from a snapshot, as if nothing had happened since.
    pub(super) fn start_from(&mut self, snapshot: Snapshot) {
        self.record = snapshot.record;
        self.start(snapshot.disk);
    }

    /// Takes the backup that [`Self::restore`] starts from.
    pub(super) fn back_up(&mut self) {
        self.backup = Some(self.snapshot());
    }

    /// Starts from the backup, if there is one; later posts are lost to the owner's own node. A
    /// machine's snapshot that includes its memory continues in the same run.
    pub(super) fn restore(&mut self, is_same_run: bool) {
        let Some(Snapshot { disk, record, run, texts }) = &self.backup else { return };
        let (copy, record, run, texts) = (disk.crash(), record.clone(), *run, *texts);
        let logs: Vec<FeedLogId> =
            feed::heads(&self.node, &self.id).unwrap().iter().map(|head| head.log).collect();
        self.lost_logs.extend(logs);
        // Friends may still show later posts, and may no longer show posts that were edited or
        // deleted later.
        let since: Vec<String> = (texts + 1..=self.texts).map(|number| self.text(number)).collect();
        self.lost_texts.extend(record.posts.values().cloned().chain(since));
        self.record = record;
        self.has_lost_data = true;
        if is_same_run { self.start_run(copy, run) } else { self.start(copy) }
    }
}

/// The part of a text that makes it unique: its author and number, without the padding.
pub(super) fn label(text: &str) -> String {
    text.split(" x").next().unwrap().to_owned()
}

/// The heads of all logs of a person.
fn head_ids(node: &Node, person: &PersonId) -> BTreeSet<EntryId> {
    feed::heads(node, person).unwrap().into_iter().map(|head| head.head).collect()
}

fn text_of(body: &Body) -> Option<String> {
    body.post().map(|post| label(&post.text))
}

/// Appends an entry as `freehold_core::posts` does, with its row in the owner's timeline and its
/// photos.
pub(super) async fn append(node: &Node, body: Body) -> Result<EntryId, AppendError> {
    let (inside, person) = (node.clone(), node.identity.person().unwrap());
    let photos = body
        .post()
        .map_or(Ok(Vec::new()), |post| photos::store(node, &post.photos, &label(&post.text)))?;
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

/// Makes two persons friends, each with the other's identity log.
pub(super) async fn make_friends(one: &Person, other: &Person) {
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
