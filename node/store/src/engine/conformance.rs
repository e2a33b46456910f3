//! The conformance suite of engines: each behaves like a sorted map.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

type Model = BTreeMap<(String, Vec<u8>), Vec<u8>>;

/// A new engine and its folder.
fn fresh(kind: Kind) -> (Arc<dyn Engine>, TempDir) {
    let folder = TempDir::new().unwrap();
    let engine: Arc<dyn Engine> = match kind {
        Kind::Memory => Arc::new(MemoryEngine::default()),
        Kind::Sled => Arc::new(SledEngine::open(folder.path(), CACHE_LEN_DEFAULT).unwrap()),
        Kind::Redb => Arc::new(RedbEngine::open(folder.path(), CACHE_LEN_DEFAULT).unwrap()),
        Kind::Deferred => Arc::new(DeferredEngine::new(Arc::new(MemoryEngine::default())).unwrap()),
        Kind::Adversarial => Arc::new(AdversarialEngine::default()),
    };
    (engine, folder)
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Memory,
    Sled,
    Redb,
    Deferred,
    Adversarial,
}

const KINDS: [Kind; 5] = [Kind::Memory, Kind::Sled, Kind::Redb, Kind::Deferred, Kind::Adversarial];

#[derive(Clone, Debug)]
enum Step {
    Apply(Vec<(String, Vec<u8>, Option<Vec<u8>>)>),
    Flush,
    FlushAndReopen,
    Scan(String, Scan),
}

fn table() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "ab", "b", "posts"]).prop_map(str::to_owned)
}

/// Few and short keys, so that steps use the same ones; with the smallest and largest bytes.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(vec![0u8, 1, 97, 254, 255]), 0..4)
}

fn scan() -> impl Strategy<Value = Scan> {
    let prefix = prop::collection::vec(prop::sample::select(vec![0u8, 1, 97, 255]), 0..3);
    (prefix, prop::option::of(key()), any::<bool>(), 0usize..6)
        .prop_map(|(prefix, after, reverse, limit)| Scan { prefix, after, reverse, limit })
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop::option::weighted(0.7, prop::collection::vec(any::<u8>(), 0..40));
    let write = (table(), key(), value);
    prop_oneof![
        6 => prop::collection::vec(write, 0..8).prop_map(Step::Apply),
        1 => Just(Step::Flush),
        1 => Just(Step::FlushAndReopen),
        6 => (table(), scan()).prop_map(|(table, scan)| Step::Scan(table, scan)),
    ]
}

fn scan_model(model: &Model, table: &str, scan: &Scan) -> Vec<Pair> {
    let mut rows: Vec<Pair> = model
        .iter()
        .filter(|((t, key), _)| t == table && key.starts_with(&scan.prefix))
        .map(|((_, key), value)| (key.clone(), value.clone()))
        .collect();
    if scan.reverse {
        rows.reverse();
    }
    rows.retain(|(key, _)| match &scan.after {
        Some(after) if scan.reverse => key < after,
        Some(after) => key > after,
        None => true,
    });
    rows.truncate(scan.limit);
    rows
}

fn all_cells(engine: &dyn Engine, page: usize) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    loop {
        let after = cells.last().map(|cell| (cell.table.as_str(), cell.key.as_slice()));
        let next = engine.walk(after, page).unwrap();
        if next.is_empty() {
            return cells;
        }
        cells.extend(next);
    }
}

fn run_steps(engine: &dyn Engine, steps: &[Step]) {
    let mut model = Model::new();
    for step in steps {
        match step {
            Step::Apply(group) => {
                let writes: Vec<Write<'_>> = group
                    .iter()
                    .map(|(table, key, value)| Write { table, key, value: value.as_deref() })
                    .collect();
                engine.apply(&writes).unwrap();
                for (table, key, value) in group {
                    let at = (table.clone(), key.clone());
                    match value {
                        Some(value) => model.insert(at, value.clone()),
                        None => model.remove(&at),
                    };
                    let now = model.get(&(table.clone(), key.clone()));
                    if group.iter().filter(|(t, k, _)| (t, k) == (table, key)).count() == 1 {
                        assert_eq!(engine.get(table, key).unwrap().as_ref(), now);
                    }
                }
            }
            Step::Flush => engine.flush().unwrap(),
            Step::FlushAndReopen => {
                engine.flush().unwrap();
                engine.reopen().unwrap();
            }
            Step::Scan(table, scan) => {
                assert_eq!(engine.scan(table, scan).unwrap(), scan_model(&model, table, scan))
            }
        }
    }
    let expected: Vec<Cell> =
        model.into_iter().map(|((table, key), value)| Cell { table, key, value }).collect();
    assert_eq!(all_cells(engine, 3), expected);
}

fn check_conformance(kind: Kind, cases: u32) {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases,
        ..ProptestConfig::default()
    });
    runner
        .run(&prop::collection::vec(step(), 1..20), |steps| {
            let (engine, _folder) = fresh(kind);
            run_steps(&*engine, &steps);
            Ok(())
        })
        .unwrap();
}

#[test]
fn memory_engine_conforms() {
    check_conformance(Kind::Memory, 256);
}

#[test]
fn sled_engine_conforms() {
    check_conformance(Kind::Sled, 24);
}

#[test]
fn redb_engine_conforms() {
    check_conformance(Kind::Redb, 24);
}

#[test]
fn deferred_engine_conforms() {
    check_conformance(Kind::Deferred, 128);
}

#[test]
fn adversarial_engine_conforms_without_faults() {
    check_conformance(Kind::Adversarial, 128);
}

#[test]
fn page_never_shows_part_of_a_group() {
    for kind in KINDS {
        let (engine, _folder) = fresh(kind);
        let group = |engine: &dyn Engine, n: u8| {
            let writes: Vec<[u8; 1]> = (0..20).map(|k| [k]).collect();
            let value = [n];
            let group: Vec<Write<'_>> =
                writes.iter().map(|key| Write { table: "t", key, value: Some(&value) }).collect();
            engine.apply(&group).unwrap();
        };
        group(&*engine, 0);
        std::thread::scope(|threads| {
            let reader = threads.spawn(|| {
                loop {
                    let page = engine.scan("t", &Scan::prefix(b"", 100)).unwrap();
                    assert_eq!(page.len(), 20, "{kind:?}");
                    let first = page[0].1.clone();
                    assert!(page.iter().all(|(_, value)| *value == first), "{kind:?} tore a group");
                    if first == [100] {
                        return;
                    }
                }
            });
            for n in 1..=100 {
                group(&*engine, n);
            }
            reader.join().unwrap();
        });
    }
}

#[test]
fn large_groups_survive_flush_and_reopen() {
    for kind in KINDS {
        let (engine, _folder) = fresh(kind);
        let keys: Vec<[u8; 4]> = (0..3000u32).map(u32::to_be_bytes).collect();
        let value = vec![7u8; 4096];
        let group: Vec<Write<'_>> =
            keys.iter().map(|key| Write { table: "t", key, value: Some(&value) }).collect();
        for part in group.chunks(1000) {
            engine.apply(part).unwrap();
        }
        engine.flush().unwrap();
        engine.reopen().unwrap();
        assert_eq!(
            engine.scan("t", &Scan::prefix(b"", usize::MAX)).unwrap().len(),
            3000,
            "{kind:?}"
        );
    }
}

#[test]
fn flushed_rows_survive_a_killed_process() {
    for kind in [EngineKind::Sled, EngineKind::Redb] {
        let folder = TempDir::new().unwrap();
        let copy = TempDir::new().unwrap();
        let engine = open(kind, folder.path(), CACHE_LEN_DEFAULT).unwrap();
        engine.apply(&[Write { table: "t", key: b"k", value: Some(b"v") }]).unwrap();
        engine.flush().unwrap();
        // The copy is the state after a kill: nothing was closed.
        copy_folder(folder.path(), copy.path());
        let reopened = open(kind, copy.path(), CACHE_LEN_DEFAULT).unwrap();
        assert_eq!(reopened.get("t", b"k").unwrap().as_deref(), Some(&b"v"[..]), "{kind:?}");
        assert_eq!(engine.get("t", b"k").unwrap().as_deref(), Some(&b"v"[..]), "{kind:?}");
    }
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn partly_created_redb_is_created_again() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("rows.redb.new"), b"half a header").unwrap();
    let engine = open(EngineKind::Redb, folder.path(), CACHE_LEN_DEFAULT).unwrap();
    engine.apply(&[Write { table: "t", key: b"k", value: Some(b"v") }]).unwrap();
    assert!(!folder.path().join("rows.redb.new").exists());
}

#[test]
fn garbage_in_a_database_file_is_no_panic() {
    for (kind, file) in
        [(EngineKind::Sled, "db"), (EngineKind::Sled, "conf"), (EngineKind::Redb, "rows.redb")]
    {
        let folder = TempDir::new().unwrap();
        drop(open(kind, folder.path(), CACHE_LEN_DEFAULT).unwrap());
        std::fs::write(folder.path().join(file), vec![0x5a; 100_000]).unwrap();
        match open(kind, folder.path(), CACHE_LEN_DEFAULT) {
            Err(_) => {}
            Ok(engine) => {
                assert_eq!(
                    all_cells(&*engine, 10),
                    [],
                    "{kind:?} reads rows from garbage in {file}"
                )
            }
        }
    }
}

#[test]
fn adversarial_engine_loses_rows_in_a_power_cut() {
    let engine = AdversarialEngine::default();
    let put = |key: &[u8]| engine.apply(&[Write { table: "t", key, value: Some(b"v") }]);
    let keys = || all_cells(&engine, 10).into_iter().map(|cell| cell.key).collect::<Vec<_>>();
    put(b"1").unwrap();
    engine.flush().unwrap();
    put(b"2").unwrap();
    put(b"3").unwrap();
    engine.power_cut(Harm::Tear(0b10));
    assert!(engine.get("t", b"1").is_err());
    engine.reopen().unwrap();
    assert_eq!(keys(), [b"1", b"3"]);
    put(b"4").unwrap();
    engine.flush().unwrap();
    engine.power_cut(Harm::Revert(1));
    engine.reopen().unwrap();
    assert_eq!(keys(), [b"1", b"3"]);
    engine.power_cut(Harm::Refuse);
    assert!(engine.reopen().is_err());
    engine.allow_open();
    engine.reopen().unwrap();
    engine.fail_at(1, EngineError::Full);
    put(b"5").unwrap();
    assert_eq!(put(b"6"), Err(EngineError::Full));
    assert_eq!(put(b"6"), Err(EngineError::Full));
    engine.reopen().unwrap();
    put(b"6").unwrap();
}
