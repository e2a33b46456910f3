//! The substitute for an engine that is closed: every call fails. Used while a failed engine is
//! rebuilt.

use super::{Cell, Engine, EngineError, Pair, Write};
use crate::types::Scan;

/// No engine.
pub(crate) struct ClosedEngine;

fn closed<T>() -> Result<T, EngineError> {
    Err(EngineError::Unavailable("the storage engine is closed".into()))
}

impl Engine for ClosedEngine {
    fn get(&self, _table: &str, _key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        closed()
    }

    fn scan(&self, _table: &str, _scan: &Scan) -> Result<Vec<Pair>, EngineError> {
        closed()
    }

    fn walk(&self, _after: Option<(&str, &[u8])>, _limit: usize) -> Result<Vec<Cell>, EngineError> {
        closed()
    }

    fn apply(&self, _group: &[Write<'_>]) -> Result<(), EngineError> {
        closed()
    }

    fn flush(&self) -> Result<(), EngineError> {
        closed()
    }

    fn reopen(&self) -> Result<(), EngineError> {
        closed()
    }

    fn survives_power_cut(&self) -> bool {
        false
    }
}
