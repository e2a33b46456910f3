//! Tests of acknowledged rows that are in the memtable only: neither a crash nor a failed flush may
//! lose them.

use super::faults::{put, rows};
use super::*;
use crate::engine::{Cell, Harm, Pair, Write};

fn put_with_hint(store: &Store, key: u8, event: Event) -> Result<(), StoreError> {
    store.commit_blocking(move |tx| {
        tx.after(event);
        tx.put(T, &[key], b"marked")
    })
}

/// Changes, a checkpoint, more changes, then a crash in which the engine loses unflushed rows. True
/// if the reopened store has all rows.
fn survives_a_crash(source: &dyn Fn(&Engines) -> EngineSource) -> bool {
    let (fs, engines) = (MemoryFs::new(), Engines::default());
    let with = |fs: &MemoryFs| StoreOptions { engine: source(&engines), ..options(fs) };
    let store = Store::open(with(&fs)).unwrap();
    (1..=20).for_each(|n| put(&store, n).unwrap());
    store.checkpoint().unwrap();
    (21..=30).for_each(|n| put(&store, n).unwrap());
    let before = rows(&store).unwrap();
    let remaining = fs.crash();
    engines.current().power_cut(Harm::LoseUnflushed);
    drop(store);
    rows(&Store::open(with(&remaining)).unwrap()).unwrap() == before
}

#[test]
fn unflushed_memtable_rows_are_replayed_from_the_log() {
    assert!((0..10).all(|_| survives_a_crash(&Engines::deferred)));
}

#[test]
fn checkpoint_without_memtable_flush_is_detected() {
    let without_drain = |engines: &Engines| {
        let engines = engines.clone();
        EngineSource::Custom(Arc::new(move |folder: &Path| {
            let engine = engines.open(folder)?;
            Ok(Arc::new(WithoutDrain(DeferredEngine::new(engine.clone())?, engine))
                as Arc<dyn Engine>)
        }))
    };
    // The flush thread may be fast enough in some runs, but not in all.
    assert!(!(0..100).all(|_| survives_a_crash(&without_drain)));
}

/// Flushes the engine below without draining the memtable.
struct WithoutDrain(DeferredEngine, Arc<dyn Engine>);

impl Engine for WithoutDrain {
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

/// The engine fails at each of its calls: acknowledged rows are readable at once and after a
/// restart, and later changes succeed.
#[test]
fn failed_deferred_engine_is_reopened_and_replayed() {
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
            let stored = rows(&Store::open(with()).unwrap()).unwrap();
            let lost: Vec<_> = model
                .iter()
                .filter(|(key, value)| stored.get(*key) != Some(value) && key[0] != 99 % 5)
                .collect();
            assert!(lost.is_empty(), "{error:?} at {call}: {lost:?}");
        }
    }
}

#[test]
fn hint_of_a_late_group_follows_its_visibility() {
    let (fs, engines) = (MemoryFs::new(), Engines::default());
    let options = StoreOptions { engine: engines.source(), ..options(&fs) };
    let mut hints = options.hints.subscribe();
    let store = Store::open(options).unwrap();
    put(&store, 1).unwrap();
    // The engine fails after the change has read the old row, neither it nor a new one opens, and
    // the rows cannot be read into memory: the durable change is neither visible nor hinted.
    let refused = EngineError::Unavailable("refused".into());
    engines.refuse_open(Some(refused.clone()));
    engines.current().refuse_open();
    engines.current().fail_at(1, refused);
    flip_log(&fs);
    put_with_hint(&store, 50, Event::Timeline).unwrap_err();
    put_with_hint(&store, 51, Event::Journal).unwrap_err();
    assert!(hints.try_recv().is_err());
    engines.current().allow_open();
    engines.refuse_open(None);
    flip_log(&fs);
    while put_with_hint(&store, 52, Event::Friends).is_err() {
        std::thread::yield_now();
    }
    let stored = rows(&store).unwrap();
    assert!(stored.contains_key(&vec![50]) && !stored.contains_key(&vec![51]));
    assert_eq!(
        std::iter::from_fn(|| hints.try_recv().ok()).collect::<Vec<_>>(),
        [Event::Timeline, Event::Friends]
    );
}
