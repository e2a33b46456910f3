//! What a power cut may leave of the writes and names that were not yet synced.

use std::sync::{Arc, Mutex};

use super::{Change, MemoryFs, Naming, Node, State, Write, apply_change, apply_name};

/// The size of the pieces a disk writes or does not write.
const BLOCK_LEN: u64 = 4096;

/// Which of the unsynced operations a power cut leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerCut {
    /// None of them.
    Nothing,
    /// The first so many of all of them in the order they were made, the last one perhaps in part.
    Prefix,
    /// Any of them, in pieces of 4 KiB.
    Subset,
}

/// A small generator (splitmix64): a test's seed makes the state exact.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.roll() % n }
    }
}

impl MemoryFs {
    /// The file system as it may be found after a power cut now. This one is dead from here on.
    pub fn power_cut(&self, how: PowerCut, seed: u64) -> Self {
        let mut state = self.state();
        state.dead = true;
        left(&state.nodes, state.free, how, seed)
    }

    /// The file system as the next process finds it when this one was killed: all that was written
    /// is seen, synced or not, and no lock is held. This one goes on.
    pub fn crash(&self) -> Self {
        let state = self.state();
        Self(Arc::new(Mutex::new(State {
            free: state.free,
            nodes: state.nodes.clone(),
            order: state.order,
            ..State::default()
        })))
    }

    /// The file system as it may be found after a power cut before the `call`-th recorded call (the
    /// first is 0); `None` if there were not so many. This one goes on.
    pub fn power_cut_before(&self, call: usize, how: PowerCut, seed: u64) -> Option<Self> {
        let state = self.state();
        Some(left(state.past.as_ref()?.get(call)?, state.free, how, seed))
    }
}

fn left(nodes: &[Node], free: u64, how: PowerCut, seed: u64) -> MemoryFs {
    let mut dice = Dice(seed);
    let orders: Vec<u64> = nodes.iter().flat_map(pending_orders).collect();
    let last = match how {
        PowerCut::Nothing => 0,
        PowerCut::Prefix => {
            let first = orders.iter().min().copied().unwrap_or(0);
            let end = orders.iter().max().map_or(0, |order| order + 1);
            first + dice.below(end.saturating_sub(first) + 2)
        }
        PowerCut::Subset => u64::MAX,
    };
    let nodes = nodes.iter().map(|node| remains(node, how, last, &mut dice)).collect();
    MemoryFs(Arc::new(Mutex::new(State { free, nodes, ..State::default() })))
}

fn pending_orders(node: &Node) -> Vec<u64> {
    match node {
        Node::File { pending, .. } => pending.iter().map(|w| w.order).collect(),
        Node::Folder { pending, .. } => pending.iter().map(|n| n.order).collect(),
    }
}

fn remains(node: &Node, how: PowerCut, last: u64, dice: &mut Dice) -> Node {
    match node {
        Node::File { durable, pending, .. } => {
            let mut bytes = durable.clone();
            for write in pending {
                keep_write(&mut bytes, write, how, last, dice);
            }
            Node::File { seen: bytes.clone(), durable: bytes, pending: Vec::new() }
        }
        Node::Folder { durable, pending, .. } => {
            let mut names = durable.clone();
            for Naming { order, what } in pending {
                let kept = match how {
                    PowerCut::Nothing => false,
                    PowerCut::Prefix => *order < last,
                    PowerCut::Subset => dice.below(2) == 0,
                };
                if kept {
                    apply_name(&mut names, what);
                }
            }
            Node::Folder { seen: names.clone(), durable: names, pending: Vec::new() }
        }
    }
}

fn keep_write(bytes: &mut Vec<u8>, write: &Write, how: PowerCut, last: u64, dice: &mut Dice) {
    match how {
        PowerCut::Nothing => {}
        PowerCut::Prefix if write.order + 1 < last => apply_change(bytes, &write.change),
        PowerCut::Prefix if write.order < last => match &write.change {
            Change::Bytes { offset, bytes: written } => {
                let kept = usize::try_from(dice.below(written.len() as u64 + 1)).unwrap_or(0);
                let part = Change::Bytes {
                    offset: *offset,
                    bytes: written.get(..kept).unwrap_or_default().to_vec(),
                };
                apply_change(bytes, &part);
            }
            Change::Len(_) => apply_change(bytes, &write.change),
        },
        PowerCut::Prefix => {}
        PowerCut::Subset => match &write.change {
            Change::Len(_) if dice.below(2) == 0 => apply_change(bytes, &write.change),
            Change::Len(_) => {}
            Change::Bytes { offset, bytes: written } => {
                let mut at = 0;
                while at < written.len() {
                    let room = BLOCK_LEN - (offset + at as u64) % BLOCK_LEN;
                    let end = written.len().min(at + usize::try_from(room).unwrap_or(1));
                    if dice.below(2) == 0 {
                        let piece = written.get(at..end).unwrap_or_default().to_vec();
                        apply_change(
                            bytes,
                            &Change::Bytes { offset: offset + at as u64, bytes: piece },
                        );
                    }
                    at = end;
                }
            }
        },
    }
}
