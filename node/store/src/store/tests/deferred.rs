//! Acknowledged before the engine has it: neither a crash nor an engine that fails later may take
//! it back.

use super::faults::{put, rows};
use super::*;
use crate::engine::{Cell, Harm, Pair, Write};

fn marked(store: &Store, key: u8, event: Event) -> Result<(), StoreError> {
    store.commit_blocking(move |tx| {
        tx.after(event);
        tx.put(T, &[key], b"marked")
    })
}

/// Changes, a checkpoint, more changes; then the process is gone and the engine has lost what it
/// was not asked to keep.
fn left_by_a_crash(source: &dyn Fn(&Engines) -> EngineSource) -> bool {
    let (fs, engines) = (MemoryFs::new(), Engines::default());
    let with = |fs: &MemoryFs| StoreOptions { engine: source(&engines), ..options(fs) };
    let store = Store::open(with(&fs)).unwrap();
    (1..=20).for_each(|n| put(&store, n).unwrap());
    store.checkpoint().unwrap();
    (21..=30).for_each(|n| put(&store, n).unwrap());
    let before = rows(&store).unwrap();
    let left = fs.crash();
    engines.current().power_cut(Harm::LoseUnflushed);
    drop(store);
    rows(&Store::open(with(&left)).unwrap()).unwrap() == before
}

#[test]
fn rows_that_waited_in_memory_come_back_from_the_log() {
    assert!((0..10).all(|_| left_by_a_crash(&Engines::deferred)));
}

#[test]
fn the_tests_notice_a_checkpoint_that_does_not_wait_for_the_engine() {
    let hasty = |engines: &Engines| {
        let engines = engines.clone();
        EngineSource::Custom(Arc::new(move |folder: &Path| {
            let engine = engines.open(folder)?;
            Ok(Arc::new(Hasty(DeferredEngine::new(engine.clone())?, engine)) as Arc<dyn Engine>)
        }))
    };
    // The engine may have been quick enough; never so often.
    assert!(!(0..100).all(|_| left_by_a_crash(&hasty)));
}

/// Flushes what the engine has, and not what is on its way.
struct Hasty(DeferredEngine, Arc<dyn Engine>);

impl Engine for Hasty {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.0.get(table, key)
    }
    fn scan(&self, table: &str, scan: &Scan) -> Result<Vec<Pair>, EngineError> {
        self.0.scan(table, scan)
    }
    fn walk(&self, after: Option<(&str, &[u8])>, limit: usize) -> Result<Vec<Cell>, EngineError> {
        self.0.walk(after, limit)
    }
    fn apply(&self, group: &[Write<'_>]) -> Result<(), EngineError> {
        self.0.apply(group)
    }
    fn flush(&self) -> Result<(), EngineError> {
        self.1.flush()
    }
    fn reopen(&self) -> Result<(), EngineError> {
        self.0.reopen()
    }
    fn survives_power_cut(&self) -> bool {
        false
    }
}

/// The engine fails at any of its calls: what was acknowledged is read at once and after a restart,
/// and the store goes on.
#[test]
fn an_engine_that_fails_later_is_reopened_and_given_the_log_again() {
    for error in [EngineError::Full, EngineError::Unavailable("broken".into())] {
        for call in 0..25 {
            let (fs, engines) = (MemoryFs::new(), Engines::default());
            let with = || StoreOptions { engine: engines.deferred(), ..options(&fs) };
            let store = Store::open(with()).unwrap();
            put(&store, 1).unwrap();
            let mut model = rows(&store).unwrap();
            engines.current().fail_at(call, error.clone());
            for n in 2..12 {
                if store.commit_blocking(move |tx| tx.put(T, &[n], b"x")).is_ok() {
                    model.insert(vec![n], b"x".to_vec());
                }
                if n % 3 == 0 {
                    let _ = store.checkpoint();
                }
            }
            engines.current().fail_at(u64::from(u32::MAX), EngineError::Full);
            put(&store, 99).unwrap();
            drop(store);
            let found = rows(&Store::open(with()).unwrap()).unwrap();
            let lost: Vec<_> = model
                .iter()
                .filter(|(key, value)| found.get(*key) != Some(value) && key[0] != 99 % 5)
                .collect();
            assert!(lost.is_empty(), "{error:?} at {call}: {lost:?}");
        }
    }
}

#[test]
fn a_group_applied_late_is_hinted_once_it_is_seen() {
    let (fs, engines) = (MemoryFs::new(), Engines::default());
    let options = StoreOptions { engine: engines.source(), ..options(&fs) };
    let mut hints = options.hints.subscribe();
    let store = Store::open(options).unwrap();
    put(&store, 1).unwrap();
    // The engine is down and does not open: what became durable is neither seen nor hinted.
    engines.current().power_cut(Harm::Refuse);
    marked(&store, 50, Event::Timeline).unwrap_err();
    marked(&store, 51, Event::Journal).unwrap_err();
    assert!(hints.try_recv().is_err());
    engines.current().forgive();
    marked(&store, 52, Event::Friends).unwrap();
    let found = rows(&store).unwrap();
    assert!(found.contains_key(&vec![50]) && !found.contains_key(&vec![51]));
    assert_eq!(
        std::iter::from_fn(|| hints.try_recv().ok()).collect::<Vec<_>>(),
        [Event::Timeline, Event::Friends]
    );
}
