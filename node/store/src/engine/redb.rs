//! redb as an engine: one table in one file; a group is one transaction.
//!
//! Groups are committed without a sync, because the log holds them already. A flush commits one
//! more transaction with a sync, which makes all earlier ones durable. After a power cut the file
//! opens in the state of the last flush.

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
/// The name of a database while it is created; it is renamed when complete, because redb cannot
/// open a partly created one.
const NEW_FILE_NAME: &str = "rows.redb.new";

/// Rows in a redb database.
pub(crate) struct RedbEngine {
    database: Guarded<Database>,
}

impl RedbEngine {
    /// Opens the database in `folder`, creating it if necessary; `cache_len` in bytes.
    ///
    /// # Errors
    /// As [`EngineError`].
    pub(crate) fn open(folder: &Path, cache_len: u64) -> Result<Self, EngineError> {
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
        let database = builder.create(&new).map_err(map_error)?;
        commit(&database, &[], Durability::Immediate)?;
        database.close().map_err(map_error)?;
        let renamed = std::fs::rename(&new, &path).and_then(|()| File::open(folder)?.sync_all());
        renamed.map_err(|e| full_or_unavailable(&e))?;
    }
    builder.open(&path).map_err(map_error)
}

fn commit(
    database: &Database,
    group: &[Write<'_>],
    durability: Durability,
) -> Result<(), EngineError> {
    let mut transaction = database.begin_write().map_err(map_error)?;
    transaction.set_durability(durability).map_err(map_error)?;
    // A synced commit also stores the list of free pages, so that a start after a crash does not
    // read the whole file.
    transaction.set_quick_repair(matches!(durability, Durability::Immediate));
    {
        let mut rows = transaction.open_table(ROWS).map_err(map_error)?;
        for write in group {
            let key = engine_key(write.table, write.key);
            match write.value {
                Some(value) => rows.insert(key.as_slice(), value).map_err(map_error)?,
                None => rows.remove(key.as_slice()).map_err(map_error)?,
            };
        }
    }
    transaction.commit().map_err(map_error)
}

fn map_error(error: impl Into<redb::Error>) -> EngineError {
    match error.into() {
        redb::Error::Io(error) => full_or_unavailable(&error),
        redb::Error::Corrupted(_) => EngineError::Corrupt { table: String::new(), key: Vec::new() },
        other => EngineError::Unavailable(other.to_string()),
    }
}

fn read_page<T>(
    database: &Database,
    range: KeyRange,
    (reverse, limit): (bool, usize),
    one: impl Fn(&[u8], &[u8]) -> Result<T, EngineError>,
) -> Result<Vec<T>, EngineError> {
    let rows = database.begin_read().map_err(map_error)?.open_table(ROWS).map_err(map_error)?;
    let (from, to) = (range.0.as_ref().map(Vec::as_slice), range.1.as_ref().map(Vec::as_slice));
    let mut selected = rows.range::<&[u8]>((from, to)).map_err(map_error)?;
    let mut page = Vec::new();
    for _ in 0..limit {
        let Some(row) = (if reverse { selected.next_back() } else { selected.next() }) else {
            break;
        };
        let (key, value) = row.map_err(map_error)?;
        page.push(one(key.value(), value.value())?);
    }
    Ok(page)
}

impl Engine for RedbEngine {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.database.with(|db| {
            let rows = db.begin_read().map_err(map_error)?.open_table(ROWS).map_err(map_error)?;
            let value = rows.get(engine_key(table, key).as_slice()).map_err(map_error)?;
            Ok(value.map(|value| value.value().to_vec()))
        })
    }

    fn scan(&self, table: &str, scan: &Scan) -> Result<Vec<Pair>, EngineError> {
        let Some(range) = bounds(table, scan) else { return Ok(Vec::new()) };
        let pair = |key: &[u8], value: &[u8]| Ok((split_key(key)?.1.to_vec(), value.to_vec()));
        self.database.with(|db| read_page(db, range, (scan.reverse, scan.limit), pair))
    }

    fn walk(&self, after: Option<(&str, &[u8])>, limit: usize) -> Result<Vec<Cell>, EngineError> {
        let from =
            after.map_or(Bound::Unbounded, |(table, key)| Bound::Excluded(engine_key(table, key)));
        let cell = |key: &[u8], value: &[u8]| {
            let (table, key) = split_key(key)?;
            Ok(Cell { table: table.to_owned(), key: key.to_vec(), value: value.to_vec() })
        };
        self.database.with(|db| read_page(db, (from, Bound::Unbounded), (false, limit), cell))
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

    fn failure(&self) -> Option<EngineError> {
        self.database.failure()
    }

    fn survives_power_cut(&self) -> bool {
        true
    }
}
