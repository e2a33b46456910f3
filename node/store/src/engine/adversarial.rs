//! An engine that misbehaves when told to, for tests of what stands above it: a power cut loses,
//! tears or reverts what was not flushed (and, unlike an honest disk, what was), calls fail at a
//! chosen moment, opening is refused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Cell, Engine, EngineError, MemoryEngine, Pair, Write, engine_key};
use crate::types::Scan;

/// What a power cut does to the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// Everything since the last flush is gone.
    LoseUnflushed,
    /// Of the writes since the last flush some are kept, chosen by the bits of this number: groups
    /// are torn.
    Tear(u64),
    /// The rows are those of this many flushes ago, whatever was promised.
    Revert(usize),
    /// Opening is refused until [`AdversarialEngine::forgive`].
    Refuse,
}

type Rows = BTreeMap<Vec<u8>, (String, Vec<u8>, Vec<u8>)>;
type Change = (String, Vec<u8>, Option<Vec<u8>>);

#[derive(Default)]
struct State {
    now: MemoryEngine,
    flushed: Vec<Rows>,
    unflushed: Vec<Change>,
    down: Option<EngineError>,
    refuse: bool,
    calls: u64,
    fail_at: Option<(u64, EngineError)>,
}

/// Clones share the rows, so that a test keeps a hand on the engine it gave away.
#[derive(Clone, Default)]
pub struct AdversarialEngine(Arc<Mutex<State>>);

impl AdversarialEngine {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts the power: the rows are harmed, and nothing is answered until the engine is reopened.
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
                let kept = state.flushed.len().saturating_sub(flushes + 1);
                rows = state
                    .flushed
                    .get(kept)
                    .filter(|_| flushes < state.flushed.len())
                    .cloned()
                    .unwrap_or_default();
            }
            Harm::Refuse => state.refuse = true,
        }
        state.now = MemoryEngine::default();
        for (table, key, value) in rows.values() {
            let _ = state.now.apply(&[Write { table, key, value: Some(value) }]);
        }
        state.flushed = vec![rows];
        state.unflushed.clear();
        state.down = Some(EngineError::Unavailable("power cut".into()));
    }

    /// Lets the call `calls` from now (0 = the next one) fail with `error`, which then sticks.
    pub fn fail_at(&self, calls: u64, error: EngineError) {
        let mut state = self.state();
        state.fail_at = Some((state.calls + calls, error));
    }

    /// Opening is allowed again.
    pub fn forgive(&self) {
        self.state().refuse = false;
    }

    fn call<T>(
        &self,
        work: impl FnOnce(&mut State) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let mut state = self.state();
        if let Some(error) = &state.down {
            return Err(error.clone());
        }
        let number = state.calls;
        state.calls += 1;
        match state.fail_at.take() {
            Some((at, error)) if at <= number => {
                state.down = Some(error.clone());
                Err(error)
            }
            kept => {
                state.fail_at = kept;
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
        self.call(|state| state.now.get(table, key))
    }

    fn scan(&self, table: &str, scan: &Scan) -> Result<Vec<Pair>, EngineError> {
        self.call(|state| state.now.scan(table, scan))
    }

    fn walk(&self, after: Option<(&str, &[u8])>, limit: usize) -> Result<Vec<Cell>, EngineError> {
        self.call(|state| state.now.walk(after, limit))
    }

    fn apply(&self, group: &[Write<'_>]) -> Result<(), EngineError> {
        self.call(|state| {
            let owned =
                |w: &Write<'_>| (w.table.to_owned(), w.key.to_vec(), w.value.map(<[u8]>::to_vec));
            state.unflushed.extend(group.iter().map(owned));
            state.now.apply(group)
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
            return Err(EngineError::Unavailable("refuses to open".into()));
        }
        state.down = None;
        Ok(())
    }

    fn survives_power_cut(&self) -> bool {
        false
    }
}
