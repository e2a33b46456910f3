//! For tests of deletion: where a word is still found in anything a store keeps, unsealed.
#![allow(clippy::unwrap_used, reason = "a store that cannot be read fails its test")]

use std::collections::HashSet;

use crate::blobs::Blobs;
use crate::hints::Hint;
use crate::store::Store;
use crate::store::snapshot::{self, Snapshot};

/// Each place that still holds `word`: the write-ahead log, a snapshot, a row, a blob that a row
/// refers to. A blob file that no row refers to counts as a trace too.
pub fn traces(store: &Store<impl Hint>, blobs: &Blobs, word: &str) -> Vec<String> {
    let (shared, keeper) = (&store.0.shared, &store.0.keeper);
    let holds = |bytes: &[u8]| bytes.windows(word.len()).any(|part| part == word.as_bytes());
    let row_holds = |table: &str, key: &[u8], sealed: &[u8]| {
        holds(key) || holds(&shared.rows.unseal(table, key, sealed).value)
    };
    let mut traces = Vec::new();
    for change in keeper.reader.read_all().into_iter().flat_map(|group| group.changes) {
        let rows = change.rows.iter().any(|row| {
            row.value.as_ref().is_some_and(|value| row_holds(&row.table, &row.key, value))
        });
        if rows || change.blobs.iter().any(|blob| holds(&blob.bytes)) {
            traces.push("log".to_owned());
        }
    }
    for position in snapshot::list(&*keeper.reader.fs, &keeper.data).unwrap() {
        let path = snapshot::path(&keeper.data, position);
        let rows =
            Snapshot::open(&*keeper.reader.fs, &keeper.reader.seal, &path, keeper.log()).unwrap();
        for ((table, key), value) in rows.map(Result::unwrap) {
            if row_holds(&table, &key, &value) {
                traces.push(format!("snapshot {position}, {table}"));
            }
        }
    }
    let mut live = HashSet::new();
    for found in store.walk(None, usize::MAX).unwrap() {
        let row = found.row.unwrap();
        if holds(&found.key) || holds(&row.value) {
            traces.push(format!("row of {}", found.table));
        }
        live.extend(row.blobs);
    }
    for id in &live {
        if holds(&blobs.open(id).unwrap().read_all(usize::MAX).unwrap()) {
            traces.push("blob".to_owned());
        }
    }
    traces.extend(
        blobs
            .collection()
            .orphan_paths(&live)
            .unwrap()
            .into_iter()
            .map(|path| format!("{} is left over", path.display())),
    );
    traces.dedup();
    traces
}
