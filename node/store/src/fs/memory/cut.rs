//! Simulated power cuts: which of the unsynced writes and names remain.

use std::sync::{Arc, Mutex};

use super::{Change, MemoryFs, NameWrite, Node, State, Write, apply_change, apply_name};

/// The unit a disk writes whole or not at all, in bytes.
const BLOCK_LEN: u64 = 4096;

/// Which of the unsynced operations remain after a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerCut {
    /// None of them.
    Nothing,
    /// A random number of the oldest, the last of them possibly in part.
    Prefix,
    /// A random subset, writes in blocks of 4 KiB.
    Subset,
}

/// A small generator (splitmix64): the same seed gives the same state.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.next() % n }
    }
}

impl MemoryFs {
    /// The file system as it may be after a power cut now. Every later call to this one fails.
    pub fn power_cut(&self, how: PowerCut, seed: u64) -> Self {
        let mut state = self.state();
        state.powered_off = true;
        after_cut(&state.nodes, state.free, how, seed)
    }

    /// The file system as the next process finds it after this process was killed: every write is
    /// visible, synced or not, and no lock is held. This one goes on working.
    pub fn crash(&self) -> Self {
        let state = self.state();
        Self(Arc::new(Mutex::new(State {
            free: state.free,
            nodes: state.nodes.clone(),
            order: state.order,
            ..State::default()
        })))
    }

    /// The file system as it may be after a power cut before the `call`-th recorded call (the first
    /// is 0); `None` if fewer were recorded. This one goes on working.
    pub fn power_cut_before(&self, call: usize, how: PowerCut, seed: u64) -> Option<Self> {
        let state = self.state();
        Some(after_cut(state.recorded.as_ref()?.get(call)?, state.free, how, seed))
    }
}

fn after_cut(nodes: &[Node], free: u64, how: PowerCut, seed: u64) -> MemoryFs {
    let mut random = SplitMix(seed);
    let orders: Vec<u64> = nodes.iter().flat_map(pending_orders).collect();
    let last = match how {
        PowerCut::Nothing => 0,
        PowerCut::Prefix => {
            let first = orders.iter().min().copied().unwrap_or(0);
            let end = orders.iter().max().map_or(0, |order| order + 1);
            first + random.below(end.saturating_sub(first) + 2)
        }
        PowerCut::Subset => u64::MAX,
    };
    let nodes = nodes.iter().map(|node| node_after_cut(node, how, last, &mut random)).collect();
    MemoryFs(Arc::new(Mutex::new(State { free, nodes, ..State::default() })))
}

fn pending_orders(node: &Node) -> Vec<u64> {
    match node {
        Node::File { pending, .. } => pending.iter().map(|w| w.order).collect(),
        Node::Folder { pending, .. } => pending.iter().map(|n| n.order).collect(),
    }
}

fn node_after_cut(node: &Node, how: PowerCut, last: u64, random: &mut SplitMix) -> Node {
    match node {
        Node::File { durable, pending, .. } => {
            let mut bytes = durable.clone();
            for write in pending {
                keep_write(&mut bytes, write, how, last, random);
            }
            Node::File { visible: bytes.clone(), durable: bytes, pending: Vec::new() }
        }
        Node::Folder { durable, pending, .. } => {
            let mut names = durable.clone();
            for NameWrite { order, change, .. } in pending {
                let remains = match how {
                    PowerCut::Nothing => false,
                    PowerCut::Prefix => *order < last,
                    PowerCut::Subset => random.below(2) == 0,
                };
                if remains {
                    apply_name(&mut names, change);
                }
            }
            Node::Folder { visible: names.clone(), durable: names, pending: Vec::new() }
        }
    }
}

fn keep_write(bytes: &mut Vec<u8>, write: &Write, how: PowerCut, last: u64, random: &mut SplitMix) {
    match how {
        PowerCut::Nothing => {}
        PowerCut::Prefix if write.order + 1 < last => apply_change(bytes, &write.change),
        PowerCut::Prefix if write.order < last => match &write.change {
            Change::Bytes { offset, bytes: written } => {
                let len = usize::try_from(random.below(written.len() as u64 + 1)).unwrap_or(0);
                let part = Change::Bytes {
                    offset: *offset,
                    bytes: written.get(..len).unwrap_or_default().to_vec(),
                };
                apply_change(bytes, &part);
            }
            Change::Len(_) => apply_change(bytes, &write.change),
        },
        PowerCut::Prefix => {}
        PowerCut::Subset => match &write.change {
            Change::Len(_) if random.below(2) == 0 => apply_change(bytes, &write.change),
            Change::Len(_) => {}
            Change::Bytes { offset, bytes: written } => {
                let mut at = 0;
                while at < written.len() {
                    let rest_of_block = BLOCK_LEN - (offset + at as u64) % BLOCK_LEN;
                    let end = written.len().min(at + usize::try_from(rest_of_block).unwrap_or(1));
                    if random.below(2) == 0 {
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
