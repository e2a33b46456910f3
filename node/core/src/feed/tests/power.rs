//! The power is cut before every call of a run in which a peer looks all the time. Whatever the
//! peer could get, the author's node still has; and what it says next forks nothing.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::events::Events;
use crate::fs::{Fs, MemoryFs, PowerCut};
use crate::identity_log;
use crate::node::Presence;
use crate::node::Throttle;
use crate::store::{Store, StoreOptions};
use crate::testing::hooked_fs::{Action, FsCall, HookedFs};
use crate::vault::Unlock;

const CUTS: [PowerCut; 3] = [PowerCut::Nothing, PowerCut::Prefix, PowerCut::Subset];
/// How often a segment is synced before its first record.
const HEADER_SYNCS: usize = 2;

/// What a peer could have got before each call, and who is being watched now.
#[derive(Clone, Default)]
struct Watch {
    alice: Arc<Mutex<Option<Node>>>,
    seen: Arc<Mutex<BTreeMap<usize, Vec<RawEntry>>>>,
}

impl Watch {
    fn look(&self, call: u64) {
        let alice = self.alice.lock().unwrap().clone();
        let seen = alice
            .and_then(|alice| alice.identity.person().map(|person| everything(&alice, &person)));
        self.seen.lock().unwrap().insert(usize::try_from(call).unwrap(), seen.unwrap_or_default());
    }

    /// A file system that lets the peer look before each call that changes anything, and may leave
    /// out the log's syncs.
    fn over(&self, fs: &MemoryFs, skip_sync: bool) -> HookedFs {
        let (watch, memory, synced) = (self.clone(), fs.clone(), AtomicUsize::new(0));
        HookedFs::new(fs.clone(), move |what, path| {
            if !matches!(what, FsCall::Open | FsCall::Edit) {
                watch.look(memory.calls());
            }
            // A log segment begins its life under this name.
            if !skip_sync || !path.to_string_lossy().contains("spare") {
                return Action::Proceed;
            }
            match what {
                FsCall::Create | FsCall::Edit => synced.store(0, Ordering::SeqCst),
                // What opens a segment is synced, what follows in it is not.
                FsCall::Sync if synced.fetch_add(1, Ordering::SeqCst) >= HEADER_SYNCS => {
                    return Action::Skip;
                }
                _ => {}
            }
            Action::Proceed
        })
    }
}

/// Alice's vault, made before the story begins and the same at each start.
fn vault() -> Vault {
    let unlock = Unlock::KeyFile("/key".into());
    Vault::create(Arc::new(MemoryFs::new()), Path::new("/"), &unlock, &Random::seeded(1)).unwrap()
}

fn node_on(memory: &MemoryFs, fs: Arc<dyn Fs>, boot: u8, seed: u64) -> Result<Node, String> {
    let (events, random) = (Events::default(), Random::seeded(seed));
    let (usual, blobs) =
        (StoreOptions::in_memory(memory.clone(), events.clone()), apart(&vault(), &random));
    let options = StoreOptions {
        fs,
        boot: [boot; 32],
        segment_len: 16 * 1024,
        blobs: Some(blobs.clone()),
        ..usual
    };
    let store = Store::open(options).map_err(|e| e.to_string())?;
    let identity = Identity::load(&store, &vault(), &random, START).map_err(|e| e.to_string())?;
    let clock = Clock::manual(START.plus_millis(seed * 1_000));
    Ok(Node {
        identity,
        store,
        blobs,
        events,
        clock,
        random,
        presence: Presence::default(),
        throttle: Throttle::default(),
    })
}

/// Alice claims her node, writes, edits, takes back, writes two at once, restarts and goes on; the
/// peer looks before each call.
async fn alices_day(memory: &MemoryFs, fs: &HookedFs, watch: &Watch) -> IdentityOps {
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
    say(&alice, Body::Edit { of, post: note("a long walk") }).await;
    let inside = alice.clone();
    let both = move |tx: &mut crate::store::Tx<'_>| {
        append(tx, &inside, Lane::PUBLIC, &Body::Post(note("one of two")))?;
        append(tx, &inside, Lane::CONTROL, &Body::Homes(Homes { version: 1, ..Homes::default() }))
    };
    alice.store.commit(both).await.unwrap();
    alice.store.checkpoint().unwrap();
    say(&alice, Body::Tombstone { of }).await;
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

/// Alice's node starts from what the cut has left; Bob's holds what a peer could have got before
/// it.
async fn after_the_cut(left: &MemoryFs, ops: &IdentityOps, got: &[RawEntry]) -> Result<(), String> {
    let alice = node_on(left, Arc::new(left.clone()), 2, 50)?;
    let Some(person) = alice.identity.person() else {
        return if got.is_empty() {
            Ok(())
        } else {
            Err("the peer has entries of nobody".to_owned())
        };
    };
    let bob = person_of(&alice, ops).await;
    receive(&bob, person, got.to_vec())
        .await
        .map_err(|e| format!("what the peer got is refused: {e}"))?;
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
    let received = receive(&bob, person, everything(&alice, &person))
        .await
        .map_err(|e| format!("the new day is refused: {e}"))?;
    if !received.forked.is_empty() || !forks(&bob, &person).unwrap().is_empty() {
        return Err("a fork".to_owned());
    }
    if !shown(&bob).contains(&"after the cut".to_owned()) {
        return Err("the new day is not shown".to_owned());
    }
    Ok(())
}

/// A new Bob who is Alice's friend.
async fn person_of(alice: &Node, ops: &IdentityOps) -> Node {
    let bob = person(2).await;
    bob.clock.advance(200_000);
    identity_log::learn(&bob, ops.clone()).await.unwrap();
    befriend(&bob, alice).await;
    bob
}

async fn cut_everywhere(skip_sync: bool, modes: usize) -> Result<usize, String> {
    let memory = MemoryFs::new();
    memory.record();
    let watch = Watch::default();
    let ops = alices_day(&memory, &watch.over(&memory, skip_sync), &watch).await;
    let seen = watch.seen.lock().unwrap().clone();
    let most = seen.values().map(Vec::len).max().unwrap();
    assert_eq!(most, 8, "the peer saw everything in the end");
    let mut states = 0;
    for (call, got) in seen {
        for how in CUTS.into_iter().cycle().skip(call % CUTS.len()).take(modes) {
            let Some(left) = memory.power_cut_before(call, how, call as u64) else { continue };
            after_the_cut(&left, &ops, &got)
                .await
                .map_err(|e| format!("cut before call {call}, {how:?}: {e}"))?;
            states += 1;
        }
    }
    Ok(states)
}

#[tokio::test]
async fn power_cut_after_push_never_forks_the_feed() {
    let states = cut_everywhere(false, 1).await.unwrap();
    assert!(states > 60, "{states}");
}

#[tokio::test]
async fn power_cut_test_notices_an_unsynced_log() {
    let error = cut_everywhere(true, 3).await.unwrap_err();
    assert!(error.contains("its author does not") || error.contains("nobody"), "{error}");
}
