//! For tests of deletion: finds a text in the unsealed content of a store.
#![allow(clippy::unwrap_used, reason = "a store that cannot be read fails its test")]

use std::collections::HashSet;

use crate::blobs::Blobs;
use crate::hints::Hint;
use crate::store::Store;
use crate::store::snapshot::{self, Snapshot};

/// A description of each item that contains `word`: a record of the write-ahead log, a row of a
/// snapshot or of the engine, a blob that a row refers to, an entry of a pack. A blob file that no
/// row refers to counts as well.
pub fn traces(store: &Store<impl Hint>, blobs: &Blobs, word: &str) -> Vec<String> {
    let (shared, checkpointer) = (&store.0.shared, &store.0.checkpointer);
    let contains = |bytes: &[u8]| bytes.windows(word.len()).any(|part| part == word.as_bytes());
    let row_contains = |table: &str, key: &[u8], sealed: &[u8]| {
        contains(key) || contains(&shared.rows.unseal_or_panic(table, key, sealed).value)
    };
    let mut traces = Vec::new();
    for change in checkpointer.parts.reader.read_all().into_iter().flat_map(|group| group.changes) {
        let rows = change.rows.iter().any(|row| {
            row.value.as_ref().is_some_and(|value| row_contains(&row.table, &row.key, value))
        });
        if rows || change.blobs.iter().any(|blob| contains(&blob.bytes)) {
            traces.push("log".to_owned());
        }
    }
    for position in
        snapshot::list(&*checkpointer.parts.reader.fs, &checkpointer.parts.data).unwrap()
    {
        let path = snapshot::path(&checkpointer.parts.data, position);
        let rows = Snapshot::open(
            &*checkpointer.parts.reader.fs,
            &checkpointer.parts.reader.seal,
            &path,
            checkpointer.wal_id(),
        )
        .unwrap();
        for ((table, key), value) in rows.map(Result::unwrap) {
            if row_contains(&table, &key, &value) {
                traces.push(format!("snapshot {position}, {table}"));
            }
        }
    }
    let mut referenced = HashSet::new();
    for walked in store.walk(None, usize::MAX).unwrap() {
        let row = walked.row.unwrap();
        if contains(&walked.key) || contains(&row.value) {
            traces.push(format!("row of {}", walked.table));
        }
        referenced.extend(row.blobs);
    }
    for id in &referenced {
        if contains(&blobs.open(id).unwrap().read_all(usize::MAX).unwrap()) {
            traces.push("blob".to_owned());
        }
    }
    for number in blobs.pack_numbers().unwrap() {
        // To its end, which may be torn: a pack may hold more than its row says.
        let _ = blobs.each_entry(number, u32::MAX, |entry| {
            if contains(&entry.content) {
                traces.push(format!("pack {number}"));
            }
            Ok(())
        });
    }
    traces.extend(
        blobs
            .orphan_paths(store)
            .unwrap()
            .into_iter()
            .map(|path| format!("{} is not referenced", path.display())),
    );
    traces.dedup();
    traces
}
