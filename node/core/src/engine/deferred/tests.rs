//! Rows in memory over an engine's: what is read is what one engine would say, whatever is waiting or on its way.

use proptest::prelude::*;

use super::super::{AdversarialEngine, MemoryEngine};
use super::*;

type Rows = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

fn put<'a>(key: &'a [u8], value: &'a [u8]) -> Write<'a> {
    Write { table: "t", key, value: Some(value) }
}

/// An engine in the middle of things, and with nobody to hand rows on.
fn halted(engine: MemoryEngine, moving: Rows, waiting: Rows) -> DeferredEngine {
    let over = RwLock::new(Over { waiting, moving: Arc::new(moving) });
    let shared = Shared { engine: Arc::new(engine), over, turn: Mutex::default(), changed: Condvar::new() };
    DeferredEngine { shared: Arc::new(shared), thread: None }
}

fn rows() -> impl Strategy<Value = Rows> {
    let key = (prop::sample::select(vec!["a", "b"]), 0_u8..12).prop_map(|(table, key)| joined(table, &[key]));
    prop::collection::btree_map(key, prop::option::weighted(0.6, prop::collection::vec(any::<u8>(), 0..3)), 0..12)
}

proptest! {
    #[test]
    fn what_stands_over_the_engine_is_what_a_page_shows(
        below in rows(), moving in rows(), waiting in rows(), half in 0_usize..12, after in prop::option::of(0_u8..12), limit in 0_usize..9,
        reverse: bool,
    ) {
        let (model, engine) = (MemoryEngine::default(), MemoryEngine::default());
        let apply = |engine: &MemoryEngine, rows: &Rows, some: usize| {
            for (key, value) in rows.iter().take(some) {
                let (table, key) = parted(key).unwrap();
                engine.apply(&[Write { table, key, value: value.as_deref() }]).unwrap();
            }
        };
        for rows in [&below, &moving, &waiting] {
            apply(&model, rows, usize::MAX);
        }
        apply(&engine, &below, usize::MAX);
        // The engine has some of what is on its way already.
        apply(&engine, &moving, half);
        let engine = halted(engine, moving, waiting);
        let after = after.map(|key| vec![key]);
        let scan = Scan { prefix: Vec::new(), after: after.clone(), reverse, limit };
        for table in ["a", "b", "c"] {
            prop_assert_eq!(engine.scan(table, &scan), model.scan(table, &scan));
            for key in 0..12 {
                prop_assert_eq!(engine.get(table, &[key]), model.get(table, &[key]));
            }
        }
        let after = after.as_ref().map(|key| ("a", key.as_slice()));
        prop_assert_eq!(engine.walk(after, limit), model.walk(after, limit));
    }
}

#[test]
fn a_failure_on_the_way_is_told_and_sticks_until_reopened() {
    let adversary = AdversarialEngine::default();
    let engine = DeferredEngine::new(Arc::new(adversary.clone())).unwrap();
    engine.apply(&[put(b"k", b"1")]).unwrap();
    engine.settle().unwrap();
    adversary.fail_at(0, EngineError::Full);
    engine.apply(&[put(b"k", b"2"), put(b"l", b"2")]).unwrap();
    assert_eq!(engine.settle(), Err(EngineError::Full));
    assert_eq!(engine.apply(&[put(b"k", b"3")]), Err(EngineError::Full));
    assert_eq!(engine.flush(), Err(EngineError::Full));
    // What was acknowledged is still what is read.
    assert_eq!(engine.get("t", b"k").unwrap().as_deref(), Some(&b"2"[..]));
    engine.reopen().unwrap();
    assert_eq!(engine.get("t", b"l"), Ok(None), "it is applied again from the log");
    engine.apply(&[put(b"l", b"2")]).unwrap();
    engine.flush().unwrap();
    assert_eq!(adversary.get("t", b"l").unwrap().as_deref(), Some(&b"2"[..]));
}

#[test]
fn no_more_rows_wait_than_there_is_memory_for() {
    let engine = DeferredEngine::new(Arc::new(MemoryEngine::default())).unwrap();
    for group in 0..100_u8 {
        let keys: Vec<_> = (0..100_u8).map(|key| [group, key]).collect();
        let writes: Vec<_> = keys.iter().map(|key| put(key, b"v")).collect();
        engine.apply(&writes).unwrap();
        assert!(engine.shared.over.read().unwrap().waiting.len() < WAITING_ROWS_MAX + writes.len());
    }
    engine.settle().unwrap();
    assert_eq!(engine.shared.engine.walk(None, usize::MAX).unwrap().len(), 10_000);
}

#[test]
fn many_deleted_rows_before_the_first_that_stands_cost_few_pages() {
    let gone: Rows = (0..200_u8).map(|key| (vec![key], None)).collect();
    let below: Vec<Pair> = (0..=200_u8).map(|key| (vec![key], Vec::new())).collect();
    let mut pages = 0;
    let page = |after: Option<&[u8]>, limit: usize| {
        pages += 1;
        let past = below.iter().filter(|(key, _)| after.is_none_or(|after| key.as_slice() > after));
        Ok(past.take(limit).cloned().collect())
    };
    assert_eq!(merge::overlaid(gone.iter(), (false, 1), page), Ok(vec![(vec![200], Vec::new())]));
    assert!(pages <= 5, "{pages}");
}
