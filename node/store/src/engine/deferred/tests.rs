//! Tests of the memtable: a read gives the same rows as an engine without one, whichever rows are
//! in the active memtable, being flushed or in the engine.

use std::cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::super::{AdversarialEngine, MemoryEngine};
use super::*;

type Rows = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

fn put<'a>(key: &'a [u8], value: &'a [u8]) -> Write<'a> {
    Write { table: "t", key, value: Some(value) }
}

/// An engine with these memtables and without a flush thread.
fn without_thread(engine: impl Engine + 'static, flushing: Rows, active: Rows) -> DeferredEngine {
    let memtables = RwLock::new(Memtables { active, flushing: Arc::new(flushing), flushes: 0 });
    let shared = Shared {
        engine: Arc::new(engine),
        memtables,
        flush: Mutex::default(),
        changed: Condvar::new(),
    };
    DeferredEngine { shared: Arc::new(shared), thread: None }
}

fn rows() -> impl Strategy<Value = Rows> {
    let key = (prop::sample::select(vec!["a", "b"]), 0_u8..12)
        .prop_map(|(table, key)| engine_key(table, &[key]));
    prop::collection::btree_map(
        key,
        prop::option::weighted(0.6, prop::collection::vec(any::<u8>(), 0..3)),
        0..12,
    )
}

proptest! {
    #[test]
    fn memtable_rows_override_engine_rows(
        below in rows(),
        flushing in rows(),
        active in rows(),
        half in 0_usize..12,
        after in prop::option::of(0_u8..12),
        limit in 0_usize..9,
        reverse: bool,
    ) {
        let (model, engine) = (MemoryEngine::default(), MemoryEngine::default());
        let apply = |engine: &MemoryEngine, rows: &Rows, some: usize| {
            for (key, value) in rows.iter().take(some) {
                let (table, key) = split_key(key).unwrap();
                engine.apply(&[Write { table, key, value: value.as_deref() }]).unwrap();
            }
        };
        for rows in [&below, &flushing, &active] {
            apply(&model, rows, usize::MAX);
        }
        apply(&engine, &below, usize::MAX);
        // The engine has a part of the rows that are being flushed.
        apply(&engine, &flushing, half);
        let engine = without_thread(engine, flushing, active);
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
fn flush_failure_is_sticky_until_reopened() {
    let adversary = AdversarialEngine::default();
    let engine = DeferredEngine::new(Arc::new(adversary.clone())).unwrap();
    engine.apply(&[put(b"k", b"1")]).unwrap();
    engine.drain().unwrap();
    adversary.fail_at(0, EngineError::Full);
    engine.apply(&[put(b"k", b"2"), put(b"l", b"2")]).unwrap();
    assert_eq!(engine.drain(), Err(EngineError::Full));
    assert_eq!(engine.apply(&[put(b"k", b"3")]), Err(EngineError::Full));
    assert_eq!(engine.flush(), Err(EngineError::Full));
    // Acknowledged rows are still readable.
    assert_eq!(engine.get("t", b"k").unwrap().as_deref(), Some(&b"2"[..]));
    engine.reopen().unwrap();
    assert_eq!(engine.get("t", b"l"), Ok(None), "the store replays it from the log");
    engine.apply(&[put(b"l", b"2")]).unwrap();
    engine.flush().unwrap();
    assert_eq!(adversary.get("t", b"l").unwrap().as_deref(), Some(&b"2"[..]));
}

#[test]
fn memtable_length_is_bounded() {
    let engine = DeferredEngine::new(Arc::new(MemoryEngine::default())).unwrap();
    for group in 0..100_u8 {
        let keys: Vec<_> = (0..100_u8).map(|key| [group, key]).collect();
        let writes: Vec<_> = keys.iter().map(|key| put(key, b"v")).collect();
        engine.apply(&writes).unwrap();
        assert!(
            engine.shared.memtables.read().unwrap().active.len() < MEMTABLE_ROWS_MAX + writes.len()
        );
    }
    engine.drain().unwrap();
    assert_eq!(engine.shared.engine.walk(None, usize::MAX).unwrap().len(), 10_000);
}

#[test]
fn many_deleted_rows_cost_few_page_reads() {
    let deleted: Rows = (0..200_u8).map(|key| (vec![key], None)).collect();
    let below: Vec<Pair> = (0..=200_u8).map(|key| (vec![key], Vec::new())).collect();
    let pages = cell::Cell::new(0);
    let page = |after: Option<&[u8]>, limit: usize| {
        pages.set(pages.get() + 1);
        let remaining =
            below.iter().filter(|(key, _)| after.is_none_or(|after| key.as_slice() > after));
        Ok(remaining.take(limit).cloned().collect())
    };
    assert_eq!(
        merge::merged_page(deleted.iter(), (false, 1), page),
        Ok(vec![(vec![200], Vec::new())])
    );
    assert!(pages.get() <= 5, "{}", pages.get());
}

/// An engine that calls a function at the start of each scan.
#[derive(Default)]
struct Interrupted {
    engine: MemoryEngine,
    interruption: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Engine for Interrupted {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.engine.get(table, key)
    }

    fn scan(&self, table: &str, scan: &Scan) -> Result<Vec<Pair>, EngineError> {
        self.interruption.get().unwrap()();
        self.engine.scan(table, scan)
    }

    fn walk(
        &self,
        after: Option<(&str, &[u8])>,
        limit: usize,
    ) -> Result<Vec<super::Cell>, EngineError> {
        self.engine.walk(after, limit)
    }

    fn apply(&self, group: &[Write<'_>]) -> Result<(), EngineError> {
        self.engine.apply(group)
    }

    fn flush(&self) -> Result<(), EngineError> {
        self.engine.flush()
    }

    fn reopen(&self) -> Result<(), EngineError> {
        self.engine.reopen()
    }

    fn survives_power_cut(&self) -> bool {
        self.engine.survives_power_cut()
    }
}

/// The page read when `interruption` runs during each read of the engine. `a` and `b` are always
/// written together; both are 1 at first, `a` in the memtable and `b` in the engine.
fn page_with(interruption: impl Fn(&DeferredEngine) + Send + Sync + 'static) -> Vec<Pair> {
    let below = Arc::new(Interrupted::default());
    below.engine.apply(&[put(b"b", b"1")]).unwrap();
    let active = Rows::from([(engine_key("t", b"a"), Some(b"1".to_vec()))]);
    let shared = Shared {
        engine: below.clone(),
        memtables: RwLock::new(Memtables { active, ..Memtables::default() }),
        flush: Mutex::default(),
        changed: Condvar::new(),
    };
    let engine = Arc::new(DeferredEngine { shared: Arc::new(shared), thread: None });
    let interrupted = engine.clone();
    assert!(below.interruption.set(Box::new(move || interruption(&interrupted))).is_ok());
    engine.scan("t", &Scan::prefix(b"", 10)).unwrap()
}

fn both(value: &[u8]) -> Vec<Pair> {
    vec![(b"a".to_vec(), value.to_vec()), (b"b".to_vec(), value.to_vec())]
}

/// A flush as the thread makes it.
fn flush(engine: &DeferredEngine) {
    let flushing = engine.shared.begin_flush();
    engine.shared.write_to_engine(&flushing).unwrap();
    engine.shared.memtables.write().unwrap().flushing = Arc::default();
}

#[test]
fn page_shows_no_group_applied_while_it_is_read() {
    let page = page_with(|engine| engine.apply(&[put(b"a", b"2"), put(b"b", b"2")]).unwrap());
    assert_eq!(page, both(b"1"));
}

#[test]
fn page_interrupted_by_a_flush_is_read_again() {
    let times = AtomicUsize::new(0);
    let page = page_with(move |engine| {
        if times.fetch_add(1, Ordering::Relaxed) == 0 {
            engine.apply(&[put(b"a", b"2"), put(b"b", b"2")]).unwrap();
            flush(engine);
        }
    });
    assert_eq!(page, both(b"2"));
}

#[test]
fn page_read_ends_after_repeated_flushes() {
    let times = AtomicUsize::new(0);
    let page = page_with(move |engine| {
        let time = times.fetch_add(1, Ordering::Relaxed);
        // Groups wait for the last attempt, so none is applied.
        if time < READ_TRIES_MAX {
            let value = [b'2' + u8::try_from(time).unwrap()];
            engine.apply(&[put(b"a", &value), put(b"b", &value)]).unwrap();
            flush(engine);
        }
        assert!(time <= READ_TRIES_MAX);
    });
    assert_eq!(page, both(b"4"));
}
