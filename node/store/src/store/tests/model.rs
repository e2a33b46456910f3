//! Any sequence of changes and restarts leaves what a sorted map would hold.

use proptest::prelude::*;

use super::*;
use crate::fs::PowerCut;

#[derive(Clone, Debug)]
enum Act {
    Change(Vec<(bool, u8, Option<Vec<u8>>)>, bool),
    Restart,
    Cut(u64),
    Checkpoint,
    Snapshot,
}

fn act() -> impl Strategy<Value = Act> {
    let write = (
        any::<bool>(),
        0..20_u8,
        prop::option::weighted(0.7, prop::collection::vec(any::<u8>(), 0..200)),
    );
    prop_oneof![
        12 => (prop::collection::vec(write, 0..6), prop::bool::weighted(0.9)).prop_map(|(writes, ok)| Act::Change(writes, ok)),
        1 => Just(Act::Restart),
        1 => any::<u64>().prop_map(Act::Cut),
        1 => Just(Act::Checkpoint),
        1 => Just(Act::Snapshot),
    ]
}

type Model = BTreeMap<(&'static str, Vec<u8>), Vec<u8>>;

fn check(store: &Store, model: &Model) {
    let found = seen(store)
        .into_iter()
        .map(|((table, key), row)| ((table, key), row.value))
        .collect::<BTreeMap<_, _>>();
    let expected = model
        .iter()
        .map(|((table, key), value)| ((table.to_string(), key.clone()), value.clone()))
        .collect();
    assert_eq!(found, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_store_holds_what_a_map_would(acts in prop::collection::vec(act(), 1..40)) {
        let mut fs = MemoryFs::new();
        let mut store = Store::open(options(&fs)).unwrap();
        let mut model = Model::new();
        for act in acts {
            match act {
                Act::Change(writes, ok) => {
                    let mut after = model.clone();
                    for (in_t, key, value) in &writes {
                        let place = (if *in_t { "t" } else { "u" }, vec![*key]);
                        match value {
                            Some(value) => after.insert(place, value.clone()),
                            None => after.remove(&place),
                        };
                    }
                    let expected = after.clone();
                    let done: Result<(), StoreError> = store.commit_blocking(move |tx| {
                        for (in_t, key, value) in writes {
                            let table = if in_t { T } else { U };
                            match value {
                                Some(value) => tx.put(table, &[key], &value)?,
                                None => tx.delete(table, &[key]),
                            }
                        }
                        // Its own view is that of the map, from both ends and from any key on.
                        for table in [T, U] {
                            for scan in [Scan::prefix(b"", 3), Scan::prefix(b"", 5).reversed(), Scan::prefix(b"", 4).after(&[9]), Scan::prefix(b"", 9).reversed().after(&[12])] {
                                let found: Vec<_> = tx.scan(table, &scan)?.into_iter().map(|(key, row)| (key, row.value)).collect();
                                assert_eq!(found, scanned(&expected, table, &scan));
                            }
                        }
                        if ok { Ok(()) } else { Err(StoreError::NoBlob) }
                    });
                    prop_assert_eq!(done.is_ok(), ok, "{:?}", done);
                    if ok {
                        model = after;
                    }
                }
                Act::Restart => {
                    drop(store);
                    store = Store::open(options(&fs)).unwrap();
                }
                Act::Cut(seed) => {
                    fs = fs.power_cut(PowerCut::Subset, seed);
                    drop(store);
                    store = Store::open(StoreOptions { boot: [u8::try_from(seed % 250).unwrap(); 32], ..options(&fs) }).unwrap();
                }
                Act::Checkpoint => store.checkpoint().unwrap(),
                Act::Snapshot => store.snapshot().unwrap(),
            }
            check(&store, &model);
        }
    }
}

fn scanned(model: &Model, table: Table, scan: &Scan) -> Vec<(Vec<u8>, Vec<u8>)> {
    let of_table = model
        .iter()
        .filter(|((name, _), _)| *name == table.name())
        .map(|((_, key), value)| (key.clone(), value.clone()));
    let past = |key: &Vec<u8>| {
        scan.after.as_ref().is_none_or(|after| if scan.reverse { key < after } else { key > after })
    };
    let mut rows: Vec<_> = of_table.filter(|(key, _)| past(key)).collect();
    if scan.reverse {
        rows.reverse();
    }
    rows.truncate(scan.limit);
    rows
}
