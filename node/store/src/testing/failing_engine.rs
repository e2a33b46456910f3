//! An engine in memory that a test can make fail: every call, and opening another one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::engine::{Cell, Engine, EngineError, MemoryEngine, Pair, Write};
use crate::store::EngineSource;
use crate::types::Scan;

/// The switch of the engines of one store. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct FailureSwitch(Arc<AtomicBool>);

impl FailureSwitch {
    /// Makes all engines fail, or work again.
    pub fn set(&self, fails: bool) {
        self.0.store(fails, Ordering::SeqCst);
    }

    /// Engines with this switch. Their rows are lost when they are closed.
    pub fn source(&self) -> EngineSource {
        let switch = self.clone();
        EngineSource::Volatile(Arc::new(move |_: &Path| {
            switch.check()?;
            Ok(Arc::new(FailingEngine { rows: MemoryEngine::default(), switch: switch.clone() }))
        }))
    }

    fn check(&self) -> Result<(), EngineError> {
        match self.0.load(Ordering::SeqCst) {
            true => Err(EngineError::Unavailable("the test lets the engine fail".to_owned())),
            false => Ok(()),
        }
    }
}

struct FailingEngine {
    rows: MemoryEngine,
    switch: FailureSwitch,
}

impl Engine for FailingEngine {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.switch.check()?;
        self.rows.get(table, key)
    }

    fn scan(&self, table: &str, scan: &Scan) -> Result<Vec<Pair>, EngineError> {
        self.switch.check()?;
        self.rows.scan(table, scan)
    }

    fn walk(&self, after: Option<(&str, &[u8])>, limit: usize) -> Result<Vec<Cell>, EngineError> {
        self.switch.check()?;
        self.rows.walk(after, limit)
    }

    fn apply(&self, group: &[Write<'_>]) -> Result<(), EngineError> {
        self.switch.check()?;
        self.rows.apply(group)
    }

    fn flush(&self) -> Result<(), EngineError> {
        self.switch.check()
    }

    fn reopen(&self) -> Result<(), EngineError> {
        self.switch.check()
    }

    fn survives_power_cut(&self) -> bool {
        false
    }
}
