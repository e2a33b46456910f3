//! An engine with injected faults, for tests of the store: a power cut loses, tears or reverts rows
//! (even flushed ones), a chosen call fails, opening is refused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Cell, Engine, EngineError, MemoryEngine, Pair, Write, engine_key};
use crate::types::Scan;

/// The effect of a power cut on the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// All writes since the last flush are lost.
    LoseUnflushed,
    /// Some of the writes since the last flush are lost, chosen by the bits of this number: groups
    /// are torn.
    Tear(u64),
    /// The rows are those of this many flushes ago, although later flushes succeeded.
    Revert(usize),
    /// Opening fails until [`AdversarialEngine::allow_open`].
    Refuse,
}

type Rows = BTreeMap<Vec<u8>, (String, Vec<u8>, Vec<u8>)>;
type Change = (String, Vec<u8>, Option<Vec<u8>>);

#[derive(Default)]
struct State {
    /// The visible rows.
    visible: MemoryEngine,
    /// The rows after each flush.
    flushed: Vec<Rows>,
    unflushed: Vec<Change>,
    failed: Option<EngineError>,
    refuse: bool,
    calls: u64,
    fail_at: Option<(u64, EngineError)>,
}

/// Clones share the rows, so that a test can control an engine that a store uses.
#[derive(Clone, Default)]
pub struct AdversarialEngine(Arc<Mutex<State>>);

impl AdversarialEngine {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Simulates a power cut: harms the rows, and every call fails until the engine is reopened.
    pub fn power_cut(&self, harm: Harm) {
        let mut state = self.state();
        let mut rows = state.flushed.last().cloned().unwrap_or_default();
        match harm {
            Harm::LoseUnflushed => {}
            Harm::Tear(bits) => {
                for (number, (table, key, value)) in state.unflushed.iter().enumerate() {
                    if bits.rotate_right(u32::try_from(number % 64).unwrap_or(0)) & 1 == 1 {
                        change(&mut rows, table, key, value.as_deref());
                    }
                }
            }
            Harm::Revert(flushes) => {
                let index = state.flushed.len().saturating_sub(flushes + 1);
                rows = state
                    .flushed
                    .get(index)
                    .filter(|_| flushes < state.flushed.len())
                    .cloned()
                    .unwrap_or_default();
            }
            Harm::Refuse => state.refuse = true,
        }
        state.visible = MemoryEngine::default();
        for (table, key, value) in rows.values() {
            let _ = state.visible.apply(&[Write { table, key, value: Some(value) }]);
        }
        state.flushed = vec![rows];
        state.unflushed.clear();
        state.failed = Some(EngineError::Unavailable("power cut".into()));
    }

    /// Makes the call `calls` from now (0 = the next one) fail with `error`, which is then sticky.
    pub fn fail_at(&self, calls: u64, error: EngineError) {
        let mut state = self.state();
        state.fail_at = Some((state.calls + calls, error));
    }

    /// The number of calls so far.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Makes opening it fail from now on; calls succeed until then.
    pub fn refuse_open(&self) {
        self.state().refuse = true;
    }

    /// Ends the effect of [`Harm::Refuse`].
    pub fn allow_open(&self) {
        self.state().refuse = false;
    }

    fn call<T>(
        &self,
        work: impl FnOnce(&mut State) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let mut state = self.state();
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        let number = state.calls;
        state.calls += 1;
        match state.fail_at.take() {
            Some((at, error)) if at <= number => {
                state.failed = Some(error.clone());
                Err(error)
            }
            later => {
                state.fail_at = later;
                work(&mut state)
            }
        }
    }
}

fn change(rows: &mut Rows, table: &str, key: &[u8], value: Option<&[u8]>) {
    let at = engine_key(table, key);
    match value {
        Some(value) => rows.insert(at, (table.to_owned(), key.to_vec(), value.to_vec())),
        None => rows.remove(&at),
    };
}

impl Engine for AdversarialEngine {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.call(|state| state.visible.get(table, key))
    }

    fn scan(&self, table: &str, scan: &Scan) -> Result<Vec<Pair>, EngineError> {
        self.call(|state| state.visible.scan(table, scan))
    }

    fn walk(&self, after: Option<(&str, &[u8])>, limit: usize) -> Result<Vec<Cell>, EngineError> {
        self.call(|state| state.visible.walk(after, limit))
    }

    fn apply(&self, group: &[Write<'_>]) -> Result<(), EngineError> {
        self.call(|state| {
            let owned =
                |w: &Write<'_>| (w.table.to_owned(), w.key.to_vec(), w.value.map(<[u8]>::to_vec));
            state.unflushed.extend(group.iter().map(owned));
            state.visible.apply(group)
        })
    }

    fn flush(&self) -> Result<(), EngineError> {
        self.call(|state| {
            let mut rows = state.flushed.last().cloned().unwrap_or_default();
            for (table, key, value) in state.unflushed.drain(..) {
                change(&mut rows, &table, &key, value.as_deref());
            }
            state.flushed.push(rows);
            Ok(())
        })
    }

    fn reopen(&self) -> Result<(), EngineError> {
        let mut state = self.state();
        if state.refuse {
            return Err(EngineError::Unavailable("opening is refused".into()));
        }
        state.failed = None;
        Ok(())
    }

    fn survives_power_cut(&self) -> bool {
        false
    }
}
