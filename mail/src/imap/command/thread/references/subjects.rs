//! Steps 4 and 5 of THREAD=REFERENCES (RFC 5256 3): threads with the same base subject are joined.

use std::collections::HashMap;

use super::super::Threaded;
use super::super::forest::Parent;

/// The top of a thread: a message, or a group with its first message by sent date.
#[derive(Clone, Copy, Debug)]
struct Root {
    first: u32,
    group: Option<u32>,
    subject: u64,
    is_reply: bool,
}

/// Joins threads: changes the parents of their tops, and counts the new groups. `order` has the
/// indexes of the messages by sent date.
pub(super) fn join(
    messages: &[Threaded],
    order: &[u32],
    parents: &mut [Parent],
    group_count: &mut u32,
) {
    let mut roots = roots(messages, order, parents, *group_count);
    let table = table(&roots);
    // The group into which another one is joined.
    let mut joined: HashMap<u32, u32> = HashMap::new();
    for at in 0..roots.len() {
        let Some(root) = roots.get(at).copied() else { continue };
        let Some(main_at) = table.get(&root.subject).copied().filter(|main| *main != at) else {
            continue;
        };
        let Some(main) = roots.get_mut(main_at) else { continue };
        match (main.group, root.group) {
            (Some(main), Some(group)) => drop(joined.insert(group, main)),
            (Some(main), None) => set(parents, root.first, Parent::group(main)),
            (None, None) if root.is_reply && !main.is_reply => {
                set(parents, root.first, Parent::message(main.first));
            }
            (None, None) => {
                let group = *group_count;
                *group_count = group_count.saturating_add(1);
                main.group = Some(group);
                set(parents, main.first, Parent::group(group));
                set(parents, root.first, Parent::group(group));
            }
            // The table prefers groups.
            (None, Some(_)) => {}
        }
    }
    for parent in parents {
        if let Some(main) = parent.as_group().and_then(|group| joined.get(&group)) {
            *parent = Parent::group(*main);
        }
    }
}

/// The tops of the threads in the order of their dates (step 4).
fn roots(messages: &[Threaded], order: &[u32], parents: &[Parent], group_count: u32) -> Vec<Root> {
    let mut is_listed = vec![false; group_count as usize];
    let mut roots = Vec::new();
    for index in order {
        let at = *index as usize;
        let (Some(message), Some(parent)) = (messages.get(at), parents.get(at)) else { continue };
        let group = parent.as_group();
        let is_root = match group.and_then(|group| is_listed.get_mut(group as usize)) {
            Some(listed) => !std::mem::replace(listed, true),
            None => *parent == Parent::NONE,
        };
        if is_root {
            let (subject, is_reply) = (message.subject, message.is_reply);
            roots.push(Root { first: *index, group, subject, is_reply });
        }
    }
    roots
}

/// For each subject the index of the thread into which the others are joined (step 5.B).
fn table(roots: &[Root]) -> HashMap<u64, usize> {
    let mut table: HashMap<u64, usize> = HashMap::with_capacity(roots.len());
    for (at, root) in roots.iter().enumerate().filter(|(_, root)| root.subject != 0) {
        let main = table.entry(root.subject).or_insert(at);
        let is_better = |known: &Root| {
            known.group.is_none() && (root.group.is_some() || (known.is_reply && !root.is_reply))
        };
        if roots.get(*main).is_some_and(is_better) {
            *main = at;
        }
    }
    table
}

fn set(parents: &mut [Parent], index: u32, parent: Parent) {
    if let Some(slot) = parents.get_mut(index as usize) {
        *slot = parent;
    }
}
