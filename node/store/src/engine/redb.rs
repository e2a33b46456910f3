//! redb as an engine: one table in one file, a group is one transaction.
//!
//! Groups are committed without a sync (the log has them already); a flush commits one more
//! transaction that is synced and with it all before. After a power cut the file opens as it was at
//! the last flush.

use std::fs::File;
use std::ops::Bound;
use std::path::Path;

use redb::{Database, Durability, ReadableDatabase, TableDefinition};

use super::guarded::Guarded;
use super::{
    Cell, Engine, EngineError, KeyRange, Pair, Write, bounds, engine_key, full_or_unavailable,
    split_key,
};
use crate::types::Scan;

const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("rows");
const FILE_NAME: &str = "rows.redb";
/// A database being made; it is renamed once whole, because redb can't open one whose making was
/// cut short.
const NEW_FILE_NAME: &str = "rows.redb.new";

/// Rows in a redb database.
pub struct RedbEngine {
    database: Guarded<Database>,
}

impl RedbEngine {
    /// Opens the database in `folder`, creating it where there is none; `cache_len` in bytes.
    ///
    /// # Errors
    /// As [`EngineError`].
    pub fn open(folder: &Path, cache_len: u64) -> Result<Self, EngineError> {
        let path = folder.to_owned();
        Ok(Self { database: Guarded::new(move || open_database(&path, cache_len))? })
    }
}

fn open_database(folder: &Path, cache_len: u64) -> Result<Database, EngineError> {
    let mut builder = Database::builder();
    builder.set_cache_size(usize::try_from(cache_len).unwrap_or(usize::MAX));
    let path = folder.join(FILE_NAME);
    if !path.try_exists().map_err(|e| full_or_unavailable(&e))? {
        let new = folder.join(NEW_FILE_NAME);
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(full_or_unavailable(&error));
            }
            _ => {}
        }
        let database = builder.create(&new).map_err(told)?;
        commit(&database, &[], Durability::Immediate)?;
        database.close().map_err(told)?;
        let named = std::fs::rename(&new, &path).and_then(|()| File::open(folder)?.sync_all());
        named.map_err(|e| full_or_unavailable(&e))?;
    }
    builder.open(&path).map_err(told)
}

fn commit(
    database: &Database,
    group: &[Write<'_>],
    durability: Durability,
) -> Result<(), EngineError> {
    let mut transaction = database.begin_write().map_err(told)?;
    transaction.set_durability(durability).map_err(told)?;
    // A synced commit also records which pages are free, so that a start after a crash need not
    // walk the whole file.
    transaction.set_quick_repair(matches!(durability, Durability::Immediate));
    {
        let mut rows = transaction.open_table(ROWS).map_err(told)?;
        for write in group {
            let key = engine_key(write.table, write.key);
            match write.value {
                Some(value) => rows.insert(key.as_slice(), value).map_err(told)?,
                None => rows.remove(key.as_slice()).map_err(told)?,
            };
        }
    }
    transaction.commit().map_err(told)
}

fn told(error: impl Into<redb::Error>) -> EngineError {
    match error.into() {
        redb::Error::Io(error) => full_or_unavailable(&error),
        redb::Error::Corrupted(_) => EngineError::Corrupt { table: String::new(), key: Vec::new() },
        other => EngineError::Unavailable(other.to_string()),
    }
}

fn pages<T>(
    database: &Database,
    range: KeyRange,
    (reverse, limit): (bool, usize),
    one: impl Fn(&[u8], &[u8]) -> Result<T, EngineError>,
) -> Result<Vec<T>, EngineError> {
    let rows = database.begin_read().map_err(told)?.open_table(ROWS).map_err(told)?;
    let (from, to) = (range.0.as_ref().map(Vec::as_slice), range.1.as_ref().map(Vec::as_slice));
    let mut found = rows.range::<&[u8]>((from, to)).map_err(told)?;
    let mut page = Vec::new();
    for _ in 0..limit {
        let Some(row) = (if reverse { found.next_back() } else { found.next() }) else { break };
        let (key, value) = row.map_err(told)?;
        page.push(one(key.value(), value.value())?);
    }
    Ok(page)
}

impl Engine for RedbEngine {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.database.with(|db| {
            let rows = db.begin_read().map_err(told)?.open_table(ROWS).map_err(told)?;
            let found = rows.get(engine_key(table, key).as_slice()).map_err(told)?;
            Ok(found.map(|value| value.value().to_vec()))
        })
    }

    fn scan(&self, table: &str, scan: &Scan) -> Result<Vec<Pair>, EngineError> {
        let Some(range) = bounds(table, scan) else { return Ok(Vec::new()) };
        let pair = |key: &[u8], value: &[u8]| Ok((split_key(key)?.1.to_vec(), value.to_vec()));
        self.database.with(|db| pages(db, range, (scan.reverse, scan.limit), pair))
    }

    fn walk(&self, after: Option<(&str, &[u8])>, limit: usize) -> Result<Vec<Cell>, EngineError> {
        let from =
            after.map_or(Bound::Unbounded, |(table, key)| Bound::Excluded(engine_key(table, key)));
        let cell = |key: &[u8], value: &[u8]| {
            let (table, key) = split_key(key)?;
            Ok(Cell { table: table.to_owned(), key: key.to_vec(), value: value.to_vec() })
        };
        self.database.with(|db| pages(db, (from, Bound::Unbounded), (false, limit), cell))
    }

    fn apply(&self, group: &[Write<'_>]) -> Result<(), EngineError> {
        self.database.with(|db| commit(db, group, Durability::None))
    }

    fn flush(&self) -> Result<(), EngineError> {
        self.database.with(|db| commit(db, &[], Durability::Immediate))
    }

    fn reopen(&self) -> Result<(), EngineError> {
        self.database.reopen()
    }

    fn survives_power_cut(&self) -> bool {
        true
    }
}
