//! Model test: a store behaves like a sorted map under any sequence of changes and restarts.

use proptest::prelude::*;

use super::*;
use crate::fs::PowerCut;

#[derive(Clone, Debug)]
enum Step {
    Change(Vec<(bool, u8, Option<Vec<u8>>)>, bool),
    Restart,
    Cut(u64),
    Checkpoint,
    Snapshot,
}

fn step() -> impl Strategy<Value = Step> {
    let write = (
        any::<bool>(),
        0..20_u8,
        prop::option::weighted(0.7, prop::collection::vec(any::<u8>(), 0..200)),
    );
    prop_oneof![
        12 => (prop::collection::vec(write, 0..6), prop::bool::weighted(0.9))
            .prop_map(|(writes, ok)| Step::Change(writes, ok)),
        1 => Just(Step::Restart),
        1 => any::<u64>().prop_map(Step::Cut),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Snapshot),
    ]
}

type Model = BTreeMap<(&'static str, Vec<u8>), Vec<u8>>;

fn check(store: &Store, model: &Model) {
    let stored = all_rows(store)
        .into_iter()
        .map(|((table, key), row)| ((table, key), row.value))
        .collect::<BTreeMap<_, _>>();
    let expected = model
        .iter()
        .map(|((table, key), value)| ((table.to_string(), key.clone()), value.clone()))
        .collect();
    assert_eq!(stored, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn store_behaves_like_a_sorted_map(steps in prop::collection::vec(step(), 1..40)) {
        let mut fs = MemoryFs::new();
        let mut store = Store::open(options(&fs)).unwrap();
        let mut model = Model::new();
        for step in steps {
            match step {
                Step::Change(writes, ok) => {
                    let mut after = model.clone();
                    for (in_t, key, value) in &writes {
                        let row = (if *in_t { "t" } else { "u" }, vec![*key]);
                        match value {
                            Some(value) => after.insert(row, value.clone()),
                            None => after.remove(&row),
                        };
                    }
                    let expected = after.clone();
                    let result: Result<(), StoreError> = store.commit_blocking(move |tx| {
                        for (in_t, key, value) in writes {
                            let table = if in_t { T } else { U };
                            match value {
                                Some(value) => tx.put(table, &[key], &value)?,
                                None => tx.delete(table, &[key]),
                            }
                        }
                        // The view of the change equals the map, in both directions and after any
                        // key.
                        for table in [T, U] {
                            for scan in scans() {
                                let rows: Vec<_> = tx
                                    .scan(table, &scan)?
                                    .into_iter()
                                    .map(|(key, row)| (key, row.value))
                                    .collect();
                                assert_eq!(rows, scan_model(&expected, table, &scan));
                            }
                        }
                        if ok { Ok(()) } else { Err(StoreError::NoBlob) }
                    });
                    prop_assert_eq!(result.is_ok(), ok, "{:?}", result);
                    if ok {
                        model = after;
                    }
                }
                Step::Restart => {
                    drop(store);
                    store = Store::open(options(&fs)).unwrap();
                }
                Step::Cut(seed) => {
                    fs = fs.power_cut(PowerCut::Subset, seed);
                    drop(store);
                    let boot = [u8::try_from(seed % 250).unwrap(); 32];
                    store = Store::open(StoreOptions { boot, ..options(&fs) }).unwrap();
                }
                Step::Checkpoint => store.checkpoint().unwrap(),
                Step::Snapshot => store.snapshot().unwrap(),
            }
            check(&store, &model);
        }
    }
}

/// Scans in both directions, with and without a start key.
fn scans() -> [Scan; 4] {
    [
        Scan::prefix(b"", 3),
        Scan::prefix(b"", 5).reversed(),
        Scan::prefix(b"", 4).after(&[9]),
        Scan::prefix(b"", 9).reversed().after(&[12]),
    ]
}

fn scan_model(model: &Model, table: Table, scan: &Scan) -> Vec<(Vec<u8>, Vec<u8>)> {
    let of_table = model
        .iter()
        .filter(|((name, _), _)| *name == table.name())
        .map(|((_, key), value)| (key.clone(), value.clone()));
    let is_after = |key: &Vec<u8>| {
        scan.after.as_ref().is_none_or(|after| if scan.reverse { key < after } else { key > after })
    };
    let mut rows: Vec<_> = of_table.filter(|(key, _)| is_after(key)).collect();
    if scan.reverse {
        rows.reverse();
    }
    rows.truncate(scan.limit);
    rows
}
