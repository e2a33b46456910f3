//! Rows in memory over an engine's: what is read is what one engine would say, whatever is waiting
//! or on its way.

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

/// An engine in the middle of things, and with nobody to hand rows on.
fn halted(engine: impl Engine + 'static, moving: Rows, waiting: Rows) -> DeferredEngine {
    let over = RwLock::new(Over { waiting, moving: Arc::new(moving), moves: 0 });
    let shared =
        Shared { engine: Arc::new(engine), over, turn: Mutex::default(), changed: Condvar::new() };
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
    fn what_stands_over_the_engine_is_what_a_page_shows(
        below in rows(), moving in rows(), waiting in rows(), half in 0_usize..12, after in prop::option::of(0_u8..12), limit in 0_usize..9,
        reverse: bool,
    ) {
        let (model, engine) = (MemoryEngine::default(), MemoryEngine::default());
        let apply = |engine: &MemoryEngine, rows: &Rows, some: usize| {
            for (key, value) in rows.iter().take(some) {
                let (table, key) = split_key(key).unwrap();
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
    engine.drain().unwrap();
    adversary.fail_at(0, EngineError::Full);
    engine.apply(&[put(b"k", b"2"), put(b"l", b"2")]).unwrap();
    assert_eq!(engine.drain(), Err(EngineError::Full));
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
    engine.drain().unwrap();
    assert_eq!(engine.shared.engine.walk(None, usize::MAX).unwrap().len(), 10_000);
}

#[test]
fn many_deleted_rows_before_the_first_that_stands_cost_few_pages() {
    let gone: Rows = (0..200_u8).map(|key| (vec![key], None)).collect();
    let below: Vec<Pair> = (0..=200_u8).map(|key| (vec![key], Vec::new())).collect();
    let pages = cell::Cell::new(0);
    let page = |after: Option<&[u8]>, limit: usize| {
        pages.set(pages.get() + 1);
        let past = below.iter().filter(|(key, _)| after.is_none_or(|after| key.as_slice() > after));
        Ok(past.take(limit).cloned().collect())
    };
    assert_eq!(merge::overlaid(gone.iter(), (false, 1), page), Ok(vec![(vec![200], Vec::new())]));
    assert!(pages.get() <= 5, "{}", pages.get());
}

/// An engine in whose pages something happens before they are read.
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

/// What a page shows in the middle of which `interruption` happens to the engine, each time it is
/// read; `a` and `b` are always written together, and both were 1 before, of which only `b` has
/// reached the engine.
fn page_with(interruption: impl Fn(&DeferredEngine) + Send + Sync + 'static) -> Vec<Pair> {
    let below = Arc::new(Interrupted::default());
    below.engine.apply(&[put(b"b", b"1")]).unwrap();
    let waiting = Rows::from([(engine_key("t", b"a"), Some(b"1".to_vec()))]);
    let shared = Shared {
        engine: below.clone(),
        over: RwLock::new(Over { waiting, ..Over::default() }),
        turn: Mutex::default(),
        changed: Condvar::new(),
    };
    let engine = Arc::new(DeferredEngine { shared: Arc::new(shared), thread: None });
    let seen = engine.clone();
    assert!(below.interruption.set(Box::new(move || interruption(&seen))).is_ok());
    engine.scan("t", &Scan::prefix(b"", 10)).unwrap()
}

fn both(value: &[u8]) -> Vec<Pair> {
    vec![(b"a".to_vec(), value.to_vec()), (b"b".to_vec(), value.to_vec())]
}

/// What the thread does, at once.
fn hand_on(engine: &DeferredEngine) {
    let moving = engine.shared.begin();
    engine.shared.hand_on(&moving).unwrap();
    engine.shared.over.write().unwrap().moving = Arc::default();
}

#[test]
fn a_group_waits_for_no_page_and_the_page_shows_the_moment_before_it() {
    let seen = page_with(|engine| engine.apply(&[put(b"a", b"2"), put(b"b", b"2")]).unwrap());
    assert_eq!(seen, both(b"1"));
}

#[test]
fn a_page_during_which_rows_reached_the_engine_is_read_again_and_never_torn() {
    let times = AtomicUsize::new(0);
    let seen = page_with(move |engine| {
        if times.fetch_add(1, Ordering::Relaxed) == 0 {
            engine.apply(&[put(b"a", b"2"), put(b"b", b"2")]).unwrap();
            hand_on(engine);
        }
    });
    assert_eq!(seen, both(b"2"));
}

#[test]
fn a_page_is_read_however_often_rows_reach_the_engine_meanwhile() {
    let times = AtomicUsize::new(0);
    let seen = page_with(move |engine| {
        let time = times.fetch_add(1, Ordering::Relaxed);
        // The last time groups wait, so there are none.
        if time < TRIES_MAX {
            let value = [b'2' + u8::try_from(time).unwrap()];
            engine.apply(&[put(b"a", &value), put(b"b", &value)]).unwrap();
            hand_on(engine);
        }
        assert!(time <= TRIES_MAX);
    });
    assert_eq!(seen, both(b"4"));
}
