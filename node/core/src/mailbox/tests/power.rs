//! A power cut before every file system call of a run over a mailbox: deliveries that fill a page
//! and pack its details, flags, copies, expunges, a checkpoint that writes the messages to a pack,
//! a rewrite of that pack. After the cut the mailbox is as acknowledged, or one change further.

use std::sync::Arc;

use super::super::*;
use crate::check::check_node;
use crate::clock::Clock;
use crate::fs::{Fs, MemoryFs, PowerCut};
use crate::random::Random;
use crate::testing::hooked_fs::{Action, FsCall, HookedFs};
use crate::testing::{MemoryStart, START};

const CUTS: [PowerCut; 3] = [PowerCut::Nothing, PowerCut::Prefix, PowerCut::Subset];
/// A page and a half.
const MESSAGES: u32 = 96;

fn node_on(fs: Arc<dyn Fs>, memory: &MemoryFs, boot: u8) -> Result<Node, String> {
    let start = MemoryStart::new(memory.clone()).through(fs).boot(boot).segment_len(64 * 1024);
    let clock = Clock::manual(START.plus_millis(u64::from(boot) * 1_000));
    start.open(clock, Random::seeded(u64::from(boot))).map_err(|e| format!("does not open: {e}"))
}

/// Everything that a client sees of the mailbox, and the texts.
#[derive(Debug)]
struct State {
    contents: String,
    /// UIDNEXT and HIGHESTMODSEQ of each folder, which never decrease.
    numbers: Vec<(u32, u64)>,
}

impl State {
    /// Whether a client takes this state for the other: the expunged copies of an unfinished COPY
    /// have used UIDs and modseqs.
    fn is_as(&self, other: &Self) -> bool {
        let mut numbers = self.numbers.iter().zip(&other.numbers);
        self.contents == other.contents
            && numbers
                .all(|(found, acknowledged)| found.0 >= acknowledged.0 && found.1 >= acknowledged.1)
    }
}

fn visible(node: &Node) -> Result<State, String> {
    let (mut contents, mut numbers) = (String::new(), Vec::new());
    for folder in folders(node).map_err(|e| e.to_string())? {
        let row = Folder { uid_next: 0, highest_modseq: 0, recent_from: None, ..folder.clone() };
        contents += &format!("{row:?}\n");
        numbers.push((folder.uid_next, folder.highest_modseq));
        for message in messages(node, folder.id, 0, u32::MAX, 1000).map_err(|e| e.to_string())? {
            let text = body(node, &message).and_then(|body| body.read_all(1 << 20));
            let text = text.map_err(|e| format!("UID {}: {e}", message.uid))?;
            let found = summary(node, folder.id, message.uid).map_err(|e| e.to_string())?;
            contents += &format!("{message:?} {found:?} {}\n", String::from_utf8_lossy(&text));
        }
    }
    Ok(State { contents, numbers })
}

/// One acknowledged change of the run.
async fn step(node: &Node, n: u32) -> Result<(), String> {
    let named = |name: &str| folder_named(node, name).map(|found| found.map(|folder| folder.id));
    let inbox = named("INBOX").map_err(|e| e.to_string())?.ok_or("no INBOX")?;
    let archive = named("Archive").map_err(|e| e.to_string())?.ok_or("no Archive")?;
    let seen = |uids: Vec<u32>, bits| async move {
        let change = FlagChange::Add(Flags::of(bits));
        store_flags(node, inbox, &uids, change, None).await.map(drop).map_err(|e| e.to_string())
    };
    match n {
        0..MESSAGES => {
            let text = format!("Subject: {n}\r\nMessage-ID: <{n}@a>\r\n\r\n{}", "text ".repeat(9));
            let delivery = Delivery {
                folder: inbox,
                blob: node.blobs.put(text.as_bytes()).map_err(|e| e.to_string())?,
                id: IdempotencyKey::new(node),
                internal_date: node.clock.now(),
                flags: Flags::default(),
            };
            deliver(node, delivery).await.map(drop).map_err(|e| e.to_string())
        }
        MESSAGES => seen((1..=MESSAGES).collect(), Flags::SEEN).await,
        // Messages of two pages, so two commits.
        97 => {
            let copied = copy_messages(node, inbox, &[3, 4, 90], archive).await;
            copied.map(drop).map_err(|e| e.to_string())
        }
        98 => seen((1..=40).collect(), Flags::DELETED).await,
        99 => expunge(node, inbox, None).await.map(drop).map_err(|e| e.to_string()),
        _ => seen(vec![60, 61, 62, n], Flags::FLAGGED).await,
    }
}

const STEPS: u32 = 102;

struct Run {
    /// The number of calls until each acknowledged state.
    states: Vec<(usize, State)>,
    calls: usize,
}

async fn run(memory: &MemoryFs, fs: Arc<dyn Fs>) -> Run {
    let calls = || usize::try_from(memory.calls()).unwrap();
    let node = node_on(fs, memory, 1).unwrap();
    initialise(&node).await.unwrap();
    let mut states = vec![(calls(), visible(&node).unwrap())];
    for n in 0..STEPS {
        step(&node, n).await.unwrap();
        states.push((calls(), visible(&node).unwrap()));
        match n {
            70 | 100 => node.store.checkpoint().unwrap(),
            // The expunged messages leave the pack.
            99 => {
                remove_expunged(&node).await.unwrap();
                node.blobs.collect(&node.store).unwrap();
                node.blobs.rewrite_packs(&node.store, 0).unwrap();
            }
            80 => node.store.snapshot().unwrap(),
            _ => {}
        }
    }
    Run { states, calls: calls() }
}

async fn check(run: &Run, call: usize, left: &MemoryFs) -> Result<(), String> {
    let Some(acknowledged) = run.states.iter().rposition(|(calls, _)| *calls <= call) else {
        // Before the node's first start was complete.
        return Ok(());
    };
    let node = node_on(Arc::new(left.clone()), left, 2)?;
    initialise(&node).await.map_err(|e| e.to_string())?;
    let (found, end) = (visible(&node)?, run.states.len().min(acknowledged + 2));
    if !run.states[acknowledged..end].iter().any(|(_, state)| found.is_as(state)) {
        return Err(format!("{acknowledged} acknowledged changes; they are lost or partial"));
    }
    node.blobs.turn_over(&node.store, &|| true).map_err(|e| e.to_string())?;
    let findings = check_node(&node, &|_, _, _| Ok(())).map_err(|e| e.to_string())?;
    if !findings.is_sound() {
        return Err(format!("{:?} {:?}", findings.wrong, findings.report));
    }
    step(&node, 0).await
}

/// Cuts the power before the calls, each in one way, every `nth` of them.
async fn cut(fs: impl Fn(&MemoryFs) -> Arc<dyn Fs>, nth: usize) -> Result<usize, String> {
    let memory = MemoryFs::new();
    memory.record();
    let run = run(&memory, fs(&memory)).await;
    let mut states = 0;
    for call in (0..run.calls).step_by(nth) {
        let how = CUTS[(call / nth) % CUTS.len()];
        let left = memory.power_cut_before(call, how, call as u64).unwrap();
        check(&run, call, &left).await.map_err(|e| format!("cut before {call}, {how:?}: {e}"))?;
        states += 1;
    }
    Ok(states)
}

#[tokio::test]
async fn mailbox_is_as_acknowledged_after_a_power_cut() {
    let nth = if std::env::var_os("FREEHOLD_POWER_STEPS").is_some() { 1 } else { 7 };
    let states = cut(|memory| Arc::new(memory.clone()), nth).await.unwrap();
    assert!(states > 50, "{states}");
    println!("power cuts over a mailbox: {states} states, 0 lost, 0 partial");
}

#[tokio::test]
async fn mailbox_power_cuts_detect_an_unsynced_pack() {
    let skip = |memory: &MemoryFs| -> Arc<dyn Fs> {
        Arc::new(HookedFs::new(memory.clone(), |call, path| {
            let is_pack = path.to_string_lossy().contains("packs");
            if call == FsCall::Sync && is_pack { Action::Skip } else { Action::Proceed }
        }))
    };
    cut(skip, 3).await.unwrap_err();
}
