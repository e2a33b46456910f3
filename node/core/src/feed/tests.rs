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

use std::sync::Arc;

use super::append_only as append;
use super::*;
use crate::apply::{apply, receive, run_due};
use crate::clock::{Clock, Timestamp};
use crate::domains;
use crate::friends::{self, Invite};
use crate::hlc::Hlc;
use crate::identity::PersonId;
use crate::identity::{self, Identity};
use crate::identity_log;
use crate::mnemonic::Mnemonic;
use crate::node::Node;
use crate::random::Random;
use crate::store::{BlobId, Scan, StoreError, Table, Tx};

const START: Timestamp = Timestamp(1_777_636_800_000);

/// A claimed node; the same seed gives the same keys, mnemonic and person.
async fn claimed_node(seed: u64) -> Node {
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

/// The person that claimed a node.
fn person_id(node: &Node) -> PersonId {
    node.identity.person().unwrap()
}

/// Makes the person of `other` a friend of `node`'s and stores the friend's identity log.
async fn add_friend(node: &Node, other: &Node) {
    identity_log::learn(node, other.identity.log().unwrap().to_bytes()).await.unwrap();
    let invite = Invite {
        person: person_id(other),
        node: other.identity.node_key(),
        name: "a friend".to_owned(),
        addresses: Vec::new(),
        token: [7; 16],
        expires: START.plus_millis(1_000_000),
    };
    friends::accept_invite(node, &invite).await.unwrap();
    friends::invite_accepted(node, person_id(other)).await.unwrap();
}

/// Alice and Bob, friends of each other.
async fn two_friends() -> (Node, Node) {
    let (alice, bob) = (claimed_node(1).await, claimed_node(2).await);
    add_friend(&alice, &bob).await;
    add_friend(&bob, &alice).await;
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

async fn write_entry(node: &Node, body: Body) -> EntryId {
    write_entry_in(node, Lane::PUBLIC, body).await.unwrap()
}

async fn write_entry_in(node: &Node, lane: Lane, body: Body) -> Result<EntryId, AppendError> {
    let inside = node.clone();
    node.clock.advance(1);
    node.store.commit(move |tx| append(tx, &inside, lane, &body)).await
}

async fn post(node: &Node, text: &str) -> EntryId {
    write_entry(node, Body::Post(note(text))).await
}

/// All entries of a person that a node stores, in the order of the epochs.
fn all_entries(node: &Node, of: &PersonId) -> Vec<RawEntry> {
    heads(node, of)
        .unwrap()
        .into_iter()
        .flat_map(|head| read(node, &head.log, 0, 256, usize::MAX).unwrap())
        .collect()
}

/// Sends all entries of Alice from her node to Bob's.
async fn sync(alice: &Node, bob: &Node) -> Received {
    receive(bob, person_id(alice), all_entries(alice, &person_id(alice))).await.unwrap()
}

/// The texts on a node's timeline, sorted.
fn shown_texts(node: &Node) -> Vec<String> {
    let mut texts: Vec<_> =
        crate::timeline::page(node, None, 100).unwrap().into_iter().map(|item| item.text).collect();
    texts.sort();
    texts
}

/// Signs any header with a node's key.
fn signed(node: &Node, header: &EntryHeader, body: &[u8]) -> RawEntry {
    let header = header.to_canonical();
    let signature = node.identity.sign(domains::ENTRY, &header);
    RawEntry { header, signature, body: Some(body.to_vec()) }
}

/// The header of the next public entry of a node.
fn next_header(node: &Node, body: &[u8]) -> EntryHeader {
    let log = FeedLogId {
        person: person_id(node),
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

/// The next entry of a node with a changed header and a valid signature.
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

/// True if any row of the feed or the timeline contains `text`.
fn is_stored(node: &Node, text: &str) -> bool {
    let tables =
        ["feed_entries", "feed_bodies", "timeline_items", "timeline_photos"].map(Table::new);
    let rows = tables
        .iter()
        .flat_map(|table| node.store.scan(*table, &Scan::prefix(&[], 10_000)).unwrap());
    rows.into_iter()
        .any(|(_, row)| row.value.windows(text.len()).any(|window| window == text.as_bytes()))
}

/// Bodies as consecutive signed entries of a node's public log of `epoch`. The first has the
/// predecessor `prev` and the sequence number `from`.
fn chain(
    node: &Node,
    epoch: u64,
    prev: Option<EntryId>,
    from: u64,
    bodies: &[Body],
) -> Vec<RawEntry> {
    let mut prev = prev;
    let entry = |(seq, body): (u64, &Body)| {
        let bytes = body.to_canonical([9; 16]);
        let mut header = EntryHeader {
            seq,
            prev,
            kind: body.kind(),
            refs: body.refs(),
            ..next_header(node, &bytes)
        };
        header.log.epoch = epoch;
        let raw = signed(node, &header, &bytes);
        prev = Some(EntryId::of(&raw.header));
        raw
    };
    (from..).zip(bodies).map(entry).collect()
}

fn ids(entries: &[RawEntry]) -> Vec<EntryId> {
    entries.iter().map(|entry| EntryId::of(&entry.header)).collect()
}

/// Receives any number of entries, in batches.
async fn receive_all(node: &Node, from: &Node, entries: &[RawEntry]) -> Received {
    let mut all = Received::default();
    for batch in entries.chunks(RECEIVE_MAX) {
        let received = receive(node, person_id(from), batch.to_vec()).await.unwrap();
        all.accepted += received.accepted;
        all.voided += received.voided;
        all.forked.extend(received.forked);
    }
    all
}

/// Counts the stored bodies of a person's posts and edits.
fn count_bodies(node: &Node, person: &PersonId) -> usize {
    let is_version = |raw: &RawEntry| {
        EntryHeader::from_canonical(&raw.header)
            .is_ok_and(|header| matches!(header.kind, Kind::Post | Kind::Edit))
    };
    let mut count = 0;
    for head in heads(node, person).unwrap() {
        let mut from = 0;
        while from <= head.hi {
            let part = read(node, &head.log, from, 256, usize::MAX).unwrap();
            from += part.len() as u64;
            count += part.iter().filter(|raw| is_version(raw) && raw.body.is_some()).count();
        }
    }
    count
}

/// Runs one step of the first job, in a commit of its own. Returns whether there was one.
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
