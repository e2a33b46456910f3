//! THREAD=REFERENCES (RFC 5256 3): a message is below the last message that it refers to. Threads
//! with the same base subject are joined.
//!
//! Messages are added in the order of the folder (step 1); `finish` does the rest. A node stands
//! for a Message-ID; one that no message has is a dummy.

mod subjects;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use super::forest::{Forest, Parent};
use super::message_id::MessageIds;
use super::{Fields, Threaded, by_date};

/// The most Message-IDs without a message. Further ones are passed over: a message can refer to
/// thousands. They take about 20 MiB.
const DUMMIES_MAX: usize = 500_000;
/// The steps from a node to its ancestors that are made to find loops, for each message. Almost all
/// links need none; a link that would need more is not made.
const STEPS_PER_MESSAGE: u64 = 200;
/// The same for all messages together.
const STEPS_MIN: u64 = 100_000;

/// No node, or no message.
const NONE: u32 = u32::MAX;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct References {
    hasher: RandomState,
    /// The nodes by the hashes of their Message-IDs.
    ids: HashMap<u64, u32>,
    nodes: Vec<Node>,
    messages: Vec<Threaded>,
    /// The steps that were made to find loops.
    steps: u64,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    parent: u32,
    message: u32,
    /// It has or had children: only then can a link above it make a loop.
    had_children: bool,
}

/// The parent of a message after step 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Anchor {
    /// Not found out yet.
    Unknown,
    /// A message.
    Message(u32),
    /// The dummy at the top of the thread: no message is above.
    Top(u32),
}

impl References {
    /// Adds the next message of the folder (step 1).
    pub(super) fn add(&mut self, message: Threaded, fields: &Fields<'_>) {
        let index = u32::try_from(self.messages.len()).unwrap_or(NONE);
        self.messages.push(message);
        let mut last = NONE;
        let mut references = MessageIds::of(fields.references.unwrap_or_default());
        while let Some(id) = references.next() {
            let hash = self.hasher.hash_one(id);
            let Some(node) = self.node(hash) else { continue };
            if last != NONE && self.parent(node) == NONE {
                self.link(last, node);
            }
            last = node;
        }
        if last == NONE {
            let mut answered = MessageIds::of(fields.in_reply_to.unwrap_or_default());
            let hash = answered.next().map(|id| self.hasher.hash_one(id));
            last = hash.and_then(|hash| self.node(hash)).unwrap_or(NONE);
        }
        let own = MessageIds::of(fields.message_id.unwrap_or_default())
            .next()
            .map(|id| self.hasher.hash_one(id));
        let own = self.own_node(own, index);
        if let Some(node) = self.nodes.get_mut(own as usize) {
            node.parent = NONE;
        }
        if last != NONE {
            self.link(last, own);
        }
    }

    /// The node of a Message-ID; `None` if it would be one dummy too many.
    fn node(&mut self, hash: u64) -> Option<u32> {
        if let Some(node) = self.ids.get(&hash) {
            return Some(*node);
        }
        if self.nodes.len().saturating_sub(self.messages.len()) >= DUMMIES_MAX {
            return None;
        }
        let node = self.new_node(NONE);
        self.ids.insert(hash, node);
        Some(node)
    }

    /// The node of a message. One without a valid Message-ID, or with that of an earlier message,
    /// has a node that nothing refers to.
    fn own_node(&mut self, hash: Option<u64>, message: u32) -> u32 {
        let known = hash.and_then(|hash| self.ids.get(&hash).copied());
        match known.and_then(|at| self.nodes.get_mut(at as usize).map(|node| (at, node))) {
            Some((at, node)) if node.message == NONE => {
                node.message = message;
                at
            }
            Some(_) => self.new_node(message),
            None => {
                let node = self.new_node(message);
                if let Some(hash) = hash {
                    self.ids.insert(hash, node);
                }
                node
            }
        }
    }

    fn new_node(&mut self, message: u32) -> u32 {
        let at = u32::try_from(self.nodes.len()).unwrap_or(NONE);
        self.nodes.push(Node { parent: NONE, message, had_children: false });
        at
    }

    fn parent(&self, node: u32) -> u32 {
        self.nodes.get(node as usize).map_or(NONE, |node| node.parent)
    }

    /// Puts a node without a parent below another, unless that makes a loop.
    fn link(&mut self, parent: u32, child: u32) {
        if self.is_below(parent, child) {
            return;
        }
        if let Some(node) = self.nodes.get_mut(parent as usize) {
            node.had_children = true;
        }
        if let Some(node) = self.nodes.get_mut(child as usize) {
            node.parent = parent;
        }
    }

    /// True if `node` is `top` or below it, or if it would take too long to find out.
    fn is_below(&mut self, node: u32, top: u32) -> bool {
        if node == top {
            return true;
        }
        if self.nodes.get(top as usize).is_none_or(|top| !top.had_children) {
            return false;
        }
        let steps_max = STEPS_PER_MESSAGE.saturating_mul(self.messages.len() as u64);
        let steps_max = steps_max.max(STEPS_MIN);
        let mut above = self.parent(node);
        while above != NONE {
            if above == top || self.steps >= steps_max {
                return true;
            }
            self.steps = self.steps.saturating_add(1);
            above = self.parent(above);
        }
        false
    }

    /// The threads (steps 2 to 6).
    pub(super) fn finish(self) -> Forest {
        let order = by_date(&self.messages);
        let (mut parents, mut group_count) = self.prune();
        subjects::join(&self.messages, &order, &mut parents, &mut group_count);
        let numbers = self.messages.iter().map(|message| message.number).collect();
        Forest::new(numbers, parents, group_count as usize, order)
    }

    /// Removes the dummies (step 3): the parent of each message is the message above it, or a group
    /// if a dummy is at the top of several messages. Also returns the number of groups.
    fn prune(&self) -> (Vec<Parent>, u32) {
        let mut anchors = vec![Anchor::Unknown; self.nodes.len()];
        let mut parents = vec![Parent::NONE; self.messages.len()];
        // For each message the dummy at its top, and for each dummy the number of such messages.
        let mut tops = vec![NONE; self.messages.len()];
        let mut counts = vec![0u32; self.nodes.len()];
        let mut path = Vec::new();
        for node in self.nodes.iter().filter(|node| node.message != NONE) {
            let anchor = self.anchor(node.parent, &mut anchors, &mut path);
            let at = node.message as usize;
            match anchor {
                Anchor::Message(above) => {
                    if let Some(parent) = parents.get_mut(at) {
                        *parent = Parent::message(above);
                    }
                }
                Anchor::Top(dummy) => {
                    if let (Some(top), Some(count)) =
                        (tops.get_mut(at), counts.get_mut(dummy as usize))
                    {
                        *top = dummy;
                        *count = count.saturating_add(1);
                    }
                }
                Anchor::Unknown => {}
            }
        }
        // Counts become the numbers of groups.
        let mut group_count = 0u32;
        for count in &mut counts {
            let is_group = *count > 1;
            *count = if is_group { group_count } else { NONE };
            group_count = group_count.saturating_add(u32::from(is_group));
        }
        for (parent, top) in parents.iter_mut().zip(tops) {
            match counts.get(top as usize) {
                Some(group) if *group != NONE => *parent = Parent::group(*group),
                _ => {}
            }
        }
        (parents, group_count)
    }

    /// The anchor of a message whose node has this parent; `Unknown` if it has none. `path` is
    /// scratch space.
    fn anchor(&self, parent: u32, anchors: &mut [Anchor], path: &mut Vec<u32>) -> Anchor {
        path.clear();
        let mut found = Anchor::Unknown;
        let mut above = parent;
        while let Some(node) = self.nodes.get(above as usize) {
            if node.message != NONE {
                found = Anchor::Message(node.message);
                break;
            }
            path.push(above);
            match anchors.get(above as usize) {
                Some(Anchor::Unknown) | None => found = Anchor::Top(above),
                Some(known) => {
                    found = *known;
                    break;
                }
            }
            above = node.parent;
        }
        for dummy in path {
            if let Some(anchor) = anchors.get_mut(*dummy as usize) {
                *anchor = found;
            }
        }
        found
    }
}

#[cfg(test)]
mod tests;
