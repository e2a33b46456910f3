mod clocks;
mod converge;
mod floods;
mod hostile;
mod meaning;
mod missing;
mod order;
mod power;
mod retired;
mod retraction_limit;
mod vouched;

use std::path::Path;
use std::sync::Arc;

use super::append_only as append;
use super::*;
use crate::apply::{apply, receive, run_due};
use crate::blobs::Blobs;
use crate::clock::{Clock, Timestamp};
use crate::domains;
use crate::friends::{self, Invite};
use crate::fs;
use crate::hlc::Hlc;
use crate::identity::PersonId;
use crate::identity::{self, Identity};
use crate::identity_log;
use crate::mnemonic::Mnemonic;
use crate::node::Node;
use crate::random::Random;
use crate::space::{FreeSpace, Margins};
use crate::store::{BlobId, Scan, StoreError, Table, Tx};
use crate::vault::Vault;

const START: Timestamp = Timestamp(1_777_636_800_000);

/// A claimed node; the same seed gives the same keys, words and person.
async fn person(seed: u64) -> Node {
    let node = Node::in_memory(Clock::manual(START), Random::seeded(seed)).unwrap();
    identity::create_with(&node, Mnemonic::from_entropy([u8::try_from(seed).unwrap(); 32]))
        .await
        .unwrap();
    node
}

/// The same node after a restart: the same rows, a new epoch.
fn restarted(node: &Node, seed: u64) -> Node {
    let random = Random::seeded(seed);
    Node {
        identity: Identity::load(&node.store, node.identity.vault(), &random, node.clock.now())
            .unwrap(),
        random,
        ..node.clone()
    }
}

fn who(node: &Node) -> PersonId {
    node.identity.person().unwrap()
}

/// Makes `other` a friend of `node`'s person, its identity log known.
async fn befriend(node: &Node, other: &Node) {
    identity_log::learn(node, other.identity.log().unwrap().to_bytes()).await.unwrap();
    let invite = Invite {
        person: who(other),
        node: other.identity.node_key(),
        name: "a friend".to_owned(),
        addresses: Vec::new(),
        token: [7; 16],
        expires: START.plus_millis(1_000_000),
    };
    friends::accept_invite(node, &invite).await.unwrap();
    friends::invite_accepted(node, who(other)).await.unwrap();
}

/// Alice and Bob, friends of each other.
async fn friends_of_two() -> (Node, Node) {
    let (alice, bob) = (person(1).await, person(2).await);
    befriend(&alice, &bob).await;
    befriend(&bob, &alice).await;
    (alice, bob)
}

fn note(text: &str) -> PostBody {
    PostBody {
        media_type: MARKDOWN.to_owned(),
        lang: "en".to_owned(),
        title: None,
        slug: text.chars().filter(|c| c.is_alphanumeric()).take(20).collect(),
        text: text.to_owned(),
        published: START,
        photos: Vec::new(),
    }
}

async fn say(node: &Node, body: Body) -> EntryId {
    say_in(node, Lane::PUBLIC, body).await.unwrap()
}

async fn say_in(node: &Node, lane: Lane, body: Body) -> Result<EntryId, AppendError> {
    let inside = node.clone();
    node.clock.advance(1);
    node.store.commit(move |tx| append(tx, &inside, lane, &body)).await
}

async fn post(node: &Node, text: &str) -> EntryId {
    say(node, Body::Post(note(text))).await
}

/// Blobs on a disk of their own, whatever becomes of the store's.
fn apart(vault: &Vault, random: &Random) -> Blobs {
    let (fs, data): (Arc<dyn fs::Fs>, _) = (Arc::new(fs::MemoryFs::new()), Path::new("/"));
    let space = FreeSpace::new(fs.clone(), data, Margins { watermark: 0, reserve: 0 });
    Blobs::new(fs, data, vault.keys(), random.clone(), space).unwrap()
}

/// Everything a node holds of a person, in the order its epochs were opened.
fn everything(node: &Node, of: &PersonId) -> Vec<RawEntry> {
    heads(node, of)
        .unwrap()
        .into_iter()
        .flat_map(|head| read(node, &head.log, 0, 256, usize::MAX).unwrap())
        .collect()
}

/// Bob's node asks Alice's for all there is.
async fn sync(alice: &Node, bob: &Node) -> Received {
    receive(bob, who(alice), everything(alice, &who(alice))).await.unwrap()
}

fn shown(node: &Node) -> Vec<String> {
    let mut texts: Vec<_> =
        crate::timeline::page(node, None, 100).unwrap().into_iter().map(|item| item.text).collect();
    texts.sort();
    texts
}

/// An entry signed by a node's key with whatever header it is given.
fn signed(node: &Node, header: &EntryHeader, body: &[u8]) -> RawEntry {
    let header = header.to_canonical();
    let signature = node.identity.sign(domains::ENTRY, &header);
    RawEntry { header, signature, body: Some(body.to_vec()) }
}

/// What the next public entry of a node would be.
fn next_header(node: &Node, body: &[u8]) -> EntryHeader {
    let log = FeedLogId {
        person: who(node),
        node: node.identity.node_key(),
        lane: Lane::PUBLIC,
        epoch: node.identity.epoch(),
    };
    let head = head(node, &log).unwrap();
    EntryHeader {
        log,
        seq: head.map_or(0, |head| head.hi + 1),
        prev: head.map(|head| head.head),
        hlc: Hlc::at(node.clock.now()),
        kind: Kind::Post,
        body_len: u32::try_from(body.len()).unwrap(),
        body_hash: *blake3::hash(body).as_bytes(),
        audience: EntryAudience::Public,
        refs: Vec::new(),
        expires: None,
        understood: true,
    }
}

/// A forged but well-signed next entry of a node.
fn forged(node: &Node, text: &str, change: impl FnOnce(&mut EntryHeader)) -> RawEntry {
    let body = Body::Post(note(text)).to_canonical([9; 16]);
    let mut header = next_header(node, &body);
    change(&mut header);
    signed(node, &header, &body)
}

fn photo(number: u8) -> PhotoRef {
    PhotoRef {
        blob: BlobId([number; 32]),
        len: 1_000,
        small: BlobId([number + 100; 32]),
        small_len: 100,
        alt: "a boat".to_owned(),
        caption: String::new(),
        width: 1600,
        height: 1200,
        thumbhash: vec![1, 2, 3],
    }
}

/// Whether any row of the feed or the timeline still has these words.
fn is_anywhere(node: &Node, words: &str) -> bool {
    let tables =
        ["feed_entries", "feed_bodies", "timeline_items", "timeline_photos"].map(Table::new);
    let rows = tables
        .iter()
        .flat_map(|table| node.store.scan(*table, &Scan::prefix(&[], 10_000)).unwrap());
    rows.into_iter()
        .any(|(_, row)| row.value.windows(words.len()).any(|window| window == words.as_bytes()))
}

/// Bodies as signed entries of one of a node's public logs, each after the one before.
fn chain(
    node: &Node,
    epoch: u64,
    prev: Option<EntryId>,
    from: u64,
    bodies: &[Body],
) -> Vec<RawEntry> {
    let mut prev = prev;
    let entry = |(seq, said): (u64, &Body)| {
        let body = said.to_canonical([9; 16]);
        let mut header = EntryHeader {
            seq,
            prev,
            kind: said.kind(),
            refs: said.refs(),
            ..next_header(node, &body)
        };
        header.log.epoch = epoch;
        let raw = signed(node, &header, &body);
        prev = Some(EntryId::of(&raw.header));
        raw
    };
    (from..).zip(bodies).map(entry).collect()
}

fn ids(entries: &[RawEntry]) -> Vec<EntryId> {
    entries.iter().map(|entry| EntryId::of(&entry.header)).collect()
}

/// Takes any number of entries, in batches.
async fn take_in(node: &Node, from: &Node, entries: &[RawEntry]) -> Received {
    let mut all = Received::default();
    for batch in entries.chunks(RECEIVE_MAX) {
        let received = receive(node, who(from), batch.to_vec()).await.unwrap();
        all.accepted += received.accepted;
        all.voided += received.voided;
        all.forked.extend(received.forked);
    }
    all
}

/// Bodies that are kept of a person's posts and edits.
fn bodies_kept(node: &Node, person: &PersonId) -> usize {
    let posts = |raw: &RawEntry| {
        EntryHeader::from_canonical(&raw.header)
            .is_ok_and(|header| matches!(header.kind, Kind::Post | Kind::Edit))
    };
    let mut kept = 0;
    for head in heads(node, person).unwrap() {
        let mut from = 0;
        while from <= head.hi {
            let part = read(node, &head.log, from, 256, usize::MAX).unwrap();
            from += part.len() as u64;
            kept += part.iter().filter(|raw| posts(raw) && raw.body.is_some()).count();
        }
    }
    kept
}

/// Does one step of the first job, in a commit of its own.
async fn one_step(node: &Node) -> bool {
    let inside = node.clone();
    let step = move |tx: &mut Tx<'_>| {
        let mut changes = Vec::new();
        let any = steps::job(tx, &inside, &mut changes)?;
        apply(tx, &inside, changes)?;
        Ok::<_, StoreError>(any)
    };
    node.store.commit(step).await.unwrap()
}
