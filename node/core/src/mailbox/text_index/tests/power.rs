//! A power cut before calls of the file system while the index is built and rewritten. After it the
//! index misses no message, and the next run completes it.

use std::sync::Arc;

use super::*;
use crate::clock::Clock;
use crate::fs::{MemoryFs, PowerCut};
use crate::mailbox::{FlagChange, check, expunge, initialise, store_flags};
use crate::random::Random;
use crate::testing::{MemoryStart, START};

const CUTS: [PowerCut; 3] = [PowerCut::Nothing, PowerCut::Prefix, PowerCut::Subset];

fn node_on(memory: &MemoryFs, boot: u8) -> Node {
    let start = MemoryStart::new(memory.clone()).through(Arc::new(memory.clone())).boot(boot);
    let clock = Clock::manual(START.plus_millis(u64::from(boot)));
    start.segment_len(64 * 1024).open(clock, Random::seeded(u64::from(boot))).unwrap()
}

async fn run(memory: &MemoryFs) {
    let node = node_on(memory, 1);
    initialise(&node).await.unwrap();
    let inbox = inbox(&node);
    let mut indexer = TextIndexer::default();
    for round in 0..3 {
        let texts: Vec<Vec<u8>> =
            (0..50).map(|n| plain(&format!("letter{} of many", n + round * 50))).collect();
        store(&node, inbox, &texts).await;
        while indexer.step(&node).await.unwrap() {}
    }
    let deleted = FlagChange::Add(Flags::of(Flags::DELETED));
    store_flags(&node, inbox, &[2, 70, 149], deleted, None).await.unwrap();
    expunge(&node, inbox, None).await.unwrap();
    node.clock.advance(forget::DELAY);
    while indexer.step(&node).await.unwrap() {}
    node.store.checkpoint().unwrap();
}

#[tokio::test]
async fn index_after_a_power_cut_misses_no_message() {
    let memory = MemoryFs::new();
    memory.record();
    run(&memory).await;
    let calls = usize::try_from(memory.calls()).unwrap();
    let nth = if std::env::var_os("FREEHOLD_POWER_STEPS").is_some() { 1 } else { 11 };
    let mut states = 0;
    for call in (calls / 10..calls).step_by(nth) {
        let how = CUTS[(call / nth) % CUTS.len()];
        let left = memory.power_cut_before(call, how, call as u64).unwrap();
        let node = node_on(&left, 2);
        initialise(&node).await.unwrap();
        for completes in [false, true] {
            if completes {
                index_all(&node).await;
                node.clock.advance(2 * forget::DELAY);
                index_all(&node).await;
            }
            for term in ["letter77 of", "letter1", "absent"] {
                candidates(&node, inbox(&node), Searched::Body, term);
            }
            assert_eq!(check(&node).unwrap(), Vec::<String>::new(), "cut before {call}, {how:?}");
        }
        assert_eq!(candidates(&node, inbox(&node), Searched::Body, "absent"), 0);
        states += 1;
    }
    assert!(states > 10, "{states}");
}
