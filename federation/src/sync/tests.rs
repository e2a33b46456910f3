//! Two sessions over a stream that delays and breaks, with stores that crash between taking and keeping; then a liar.

use std::collections::VecDeque;

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::limits::{CREDIT, PUSH_BURST};

const NOW: Timestamp = Timestamp(1_000_000);

fn log(person: u8, epoch: u64) -> Log {
    Log { person: [person; 32], suite: 1, node: [person; 32], lane: [0; 16], epoch }
}

fn entry(seq: u64, len: usize) -> Entry {
    Entry { header: seq.to_be_bytes().to_vec(), signature: vec![0; 64], body: Some(vec![7; len]) }
}

fn number(entry: &Entry) -> u64 {
    u64::from_be_bytes(entry.header.as_slice().try_into().unwrap())
}

fn head(log: Log, hi: u64) -> Head {
    Head { log, lo: 0, hi, head: [u8::try_from(hi % 251).unwrap(); 32] }
}

fn fresh(log: Log, seq: u64) -> Fresh {
    Fresh { head: head(log, seq), entry: entry(seq, 100) }
}
