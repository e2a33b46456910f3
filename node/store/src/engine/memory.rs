//! Rows in a sorted map: the engine of a disk that cannot be written and of fast tests, and the
//! model that the other engines are tested against.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock};

use super::{Cell, Engine, EngineError, Pair, Write, bounds, engine_key, split_key};
use crate::types::Scan;

/// Rows in memory, lost when the engine is dropped.
#[derive(Debug, Default)]
pub struct MemoryEngine {
    rows: RwLock<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl MemoryEngine {
    fn rows(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<Vec<u8>, Vec<u8>>> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for MemoryEngine {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(self.rows().get(&engine_key(table, key)).cloned())
    }

    fn scan(&self, table: &str, scan: &Scan) -> Result<Vec<Pair>, EngineError> {
        let Some(range) = bounds(table, scan) else { return Ok(Vec::new()) };
        let rows = self.rows();
        let selected = rows.range(range);
        let pair =
            |(key, value): (&Vec<u8>, &Vec<u8>)| Ok((split_key(key)?.1.to_vec(), value.clone()));
        if scan.reverse {
            selected.rev().take(scan.limit).map(pair).collect()
        } else {
            selected.take(scan.limit).map(pair).collect()
        }
    }

    fn walk(&self, after: Option<(&str, &[u8])>, limit: usize) -> Result<Vec<Cell>, EngineError> {
        let from =
            after.map_or(Bound::Unbounded, |(table, key)| Bound::Excluded(engine_key(table, key)));
        let rows = self.rows();
        let cells = rows.range((from, Bound::Unbounded)).take(limit);
        cells
            .map(|(key, value)| {
                let (table, key) = split_key(key)?;
                Ok(Cell { table: table.to_owned(), key: key.to_vec(), value: value.clone() })
            })
            .collect()
    }

    fn apply(&self, group: &[Write<'_>]) -> Result<(), EngineError> {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        for write in group {
            let key = engine_key(write.table, write.key);
            match write.value {
                Some(value) => rows.insert(key, value.to_vec()),
                None => rows.remove(&key),
            };
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn reopen(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn survives_power_cut(&self) -> bool {
        false
    }
}
