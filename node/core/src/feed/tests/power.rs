//! A power cut before every file system call, while a peer reads all the time. After the restart
//! the author's node has every entry that the peer could read, and its next entry forks no log.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::fs::{Fs, MemoryFs, PowerCut};
use crate::identity_log;
use crate::testing::MemoryStart;
use crate::testing::hooked_fs::{Action, FsCall, HookedFs};

const CUTS: [PowerCut; 3] = [PowerCut::Nothing, PowerCut::Prefix, PowerCut::Subset];
/// How often a segment is synced before its first record.
const HEADER_SYNCS: usize = 2;

/// The entries that a peer could read before each call, by the call's number, and the node it
/// reads from.
#[derive(Clone, Default)]
struct Watch {
    alice: Arc<Mutex<Option<Node>>>,
    seen: Arc<Mutex<BTreeMap<usize, Vec<RawEntry>>>>,
}

impl Watch {
    fn observe(&self, call: u64) {
        let alice = self.alice.lock().unwrap().clone();
        let seen = alice
            .and_then(|alice| alice.identity.person().map(|person| all_entries(&alice, &person)));
        self.seen.lock().unwrap().insert(usize::try_from(call).unwrap(), seen.unwrap_or_default());
    }

    /// A file system that lets the peer read before each call that changes anything. With
    /// `skip_sync` the write-ahead log is not synced.
    fn hooked(&self, fs: &MemoryFs, skip_sync: bool) -> HookedFs {
        let (watch, memory, synced) = (self.clone(), fs.clone(), AtomicUsize::new(0));
        HookedFs::new(fs.clone(), move |what, path| {
            if !matches!(what, FsCall::Open | FsCall::Edit) {
                watch.observe(memory.calls());
            }
            // A new log segment has this name until it is used.
            if !skip_sync || !path.to_string_lossy().contains("spare") {
                return Action::Proceed;
            }
            match what {
                FsCall::Create | FsCall::Edit => synced.store(0, Ordering::SeqCst),
                // The header of a segment is synced, its records are not.
                FsCall::Sync if synced.fetch_add(1, Ordering::SeqCst) >= HEADER_SYNCS => {
                    return Action::Skip;
                }
                _ => {}
            }
            Action::Proceed
        })
    }
}

fn node_on(memory: &MemoryFs, fs: Arc<dyn Fs>, boot: u8, seed: u64) -> Result<Node, String> {
    let start = MemoryStart::new(memory.clone()).through(fs).boot(boot).segment_len(16 * 1024);
    let clock = Clock::manual(START.plus_millis(seed * 1_000));
    start.open(clock, Random::seeded(seed)).map_err(|error| error.to_string())
}

/// Alice claims her node, posts, edits, writes two entries in one commit, deletes, restarts and
/// posts again. The peer reads before each call.
async fn run_alice(memory: &MemoryFs, fs: &HookedFs, watch: &Watch) -> IdentityOps {
    let open = |seed| {
        let alice = node_on(memory, Arc::new(fs.clone()), 1, seed).unwrap();
        *watch.alice.lock().unwrap() = Some(alice.clone());
        alice
    };
    let alice = open(1);
    identity::create_with(&alice, Mnemonic::from_entropy([1; 32])).await.unwrap();
    let ops = alice.identity.log().unwrap().to_bytes();
    let of = post(&alice, "a walk").await;
    post(&alice, &"a long story ".repeat(1_000)).await;
    write_entry(&alice, Body::Edit { of, post: note("a long walk") }).await;
    let inside = alice.clone();
    let both = move |tx: &mut crate::store::Tx<'_>| {
        append(tx, &inside, Lane::PUBLIC, &Body::Post(note("one of two")))?;
        append(tx, &inside, Lane::CONTROL, &Body::Homes(Homes { version: 1, ..Homes::default() }))
    };
    alice.store.commit(both).await.unwrap();
    alice.store.checkpoint().unwrap();
    write_entry(&alice, Body::Tombstone { of }).await;
    *watch.alice.lock().unwrap() = None;
    alice.store.close();
    drop(alice);

    let alice = open(2);
    post(&alice, "good morning").await;
    post(&alice, "good night").await;
    alice.store.snapshot().unwrap();
    *watch.alice.lock().unwrap() = None;
    ops
}

type IdentityOps = Vec<Vec<u8>>;

/// Restarts Alice's node on the disk after the cut, and gives Bob the entries that a peer could
/// read before it.
async fn check_after_cut(
    left: &MemoryFs,
    ops: &IdentityOps,
    got: &[RawEntry],
) -> Result<(), String> {
    let alice = node_on(left, Arc::new(left.clone()), 2, 50)?;
    let Some(person) = alice.identity.person() else {
        return if got.is_empty() {
            Ok(())
        } else {
            Err("the peer has entries of an unclaimed node".to_owned())
        };
    };
    let bob = new_friend_of(&alice, ops).await;
    receive(&bob, person, got.to_vec())
        .await
        .map_err(|e| format!("the peer's entries are refused: {e}"))?;
    for theirs in got {
        let id = EntryId::of(&theirs.header);
        let mine = entry(&alice, &id)
            .unwrap()
            .ok_or_else(|| format!("the peer holds {id}, its author does not"))?;
        if mine.signature != theirs.signature || (mine.body.is_some() && mine.body != theirs.body) {
            return Err(format!("{id} is not what the peer holds"));
        }
    }
    let wrong = super::super::check::check_outbox(&alice).unwrap();
    if !wrong.is_empty() {
        return Err(wrong.join(", "));
    }
    post(&alice, "after the cut").await;
    let received = receive(&bob, person, all_entries(&alice, &person))
        .await
        .map_err(|e| format!("the new entry is refused: {e}"))?;
    if !received.forked.is_empty() || !forks(&bob, &person).unwrap().is_empty() {
        return Err("a fork".to_owned());
    }
    if !shown_texts(&bob).contains(&"after the cut".to_owned()) {
        return Err("the new post is not shown".to_owned());
    }
    Ok(())
}

/// A new node of Bob's, who is Alice's friend.
async fn new_friend_of(alice: &Node, ops: &IdentityOps) -> Node {
    let bob = claimed_node(2).await;
    bob.clock.advance(200_000);
    identity_log::learn(&bob, ops.clone()).await.unwrap();
    add_friend(&bob, alice).await;
    bob
}

/// Cuts the power before every call, in the way that `how` returns for its number.
async fn cut_everywhere(skip_sync: bool, how: impl Fn(usize) -> PowerCut) -> Result<usize, String> {
    let memory = MemoryFs::new();
    memory.record();
    let watch = Watch::default();
    let ops = run_alice(&memory, &watch.hooked(&memory, skip_sync), &watch).await;
    let seen = watch.seen.lock().unwrap().clone();
    let most = seen.values().map(Vec::len).max().unwrap();
    assert_eq!(most, 8, "the peer read all entries in the end");
    let mut states = 0;
    for (call, got) in seen {
        let how = how(call);
        let Some(left) = memory.power_cut_before(call, how, call as u64) else { continue };
        check_after_cut(&left, &ops, &got)
            .await
            .map_err(|e| format!("cut before call {call}, {how:?}: {e}"))?;
        states += 1;
    }
    Ok(states)
}

#[tokio::test]
async fn power_cut_after_push_never_forks_the_feed() {
    let states = cut_everywhere(false, |call| CUTS[call % CUTS.len()]).await.unwrap();
    assert!(states > 60, "{states}");
}

#[tokio::test]
async fn power_cut_test_notices_an_unsynced_log() {
    // A part of an unsynced record is damage, and the node refuses to open.
    let error = cut_everywhere(true, |_| PowerCut::Nothing).await.unwrap_err();
    assert!(error.contains("its author does not") || error.contains("unclaimed"), "{error}");
}
