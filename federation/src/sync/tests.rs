//! Sessions without IO: two honest ones over a stream that delays and breaks, then the limits on a
//! hostile peer.

mod bodies;
mod exchange;
mod limits;

use freehold_core::feed::{EntryAudience, EntryHeader, EntryId, FeedLogId, Kind, Lane};
use freehold_core::hlc::Hlc;
use freehold_core::identity::PersonId;
use freehold_core::keys::SecretKey;

use super::*;
use crate::limits::CREDIT;
use crate::wire::feed::{log_and_seq, log_from_wire, log_to_wire};

const NOW: Timestamp = Timestamp(1_000_000);

fn log(person: u8, epoch: u64) -> Log {
    let node = SecretKey::from_bytes(&[person; 32]).public();
    log_to_wire(&FeedLogId { person: PersonId([person; 32]), node, lane: Lane::PUBLIC, epoch })
}

/// An entry of the friend's first log, with a body of `len` bytes.
fn entry(seq: u64, len: usize) -> Entry {
    entry_of(log(9, 0), seq, len)
}

fn entry_of(log: Log, seq: u64, len: usize) -> Entry {
    let header = EntryHeader {
        log: log_from_wire(&log).unwrap(),
        seq,
        prev: (seq > 0).then_some(EntryId([1; 32])),
        hlc: Hlc(0),
        kind: Kind::Post,
        body_len: u32::try_from(len).unwrap(),
        body_hash: [0; 32],
        audience: EntryAudience::Public,
        refs: Vec::new(),
        expires: None,
        understood: true,
    };
    Entry { header: header.to_canonical(), signature: vec![0; 64], body: Some(vec![7; len]) }
}

fn seq_of(entry: &Entry) -> u64 {
    log_and_seq(entry).unwrap().1
}

fn head(log: Log, hi: u64) -> Head {
    Head { log, lo: 0, hi, head: [u8::try_from(hi % 251).unwrap(); 32] }
}

fn new_entry(log: Log, seq: u64) -> NewEntry {
    NewEntry { head: head(log, seq), entry: entry(seq, 100) }
}

/// A session with person 9, a friend, to whom one log of four entries is offered.
fn friend_session() -> SyncSession {
    SyncSession::start(SyncPeer::Friend([9; 32]), vec![head(log(1, 0), 3)], NOW).0
}

#[track_caller]
fn assert_ends(actions: &[Action], reason: Reason) {
    assert!(actions.contains(&Action::End(reason)), "{actions:?}");
}
