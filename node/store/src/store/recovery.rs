//! Recovery of a failed engine in a running store: it is reopened and the log since the checkpoint
//! replayed, or, if it does not open or does not take the log, it is rebuilt from snapshot and log.
//!
//! sled often does not open after a write of its own failed on a full disk. Reads wait for a
//! replay, which is short. During a rebuild they fail, because it may take a minute. If the disk
//! takes no new engine, the rows are read into memory, so that people can read, and delete on a
//! full disk. The attempt is repeated with a pause, or when space is free.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::checkpoint::{Checkpoint, Condition};
use super::checkpointer::Checkpointer;
use super::engine_folder::{Slot, engine_name};
use super::options::{EngineSource, OpenError};
use super::rebuild::Rebuild;
use super::sealed_rows::{SealedRows, apply_rows_to};
use super::{Stop, StoreError};
use crate::backoff::Backoff;
use crate::engine::{Engine, EngineKind};
use crate::space::FreeSpace;
use crate::wal::Mark;
use crate::wal::recover::Group;

/// How often free space is read while the disk is too full for the engine.
const SPACE_CHECK_EVERY: Duration = Duration::from_millis(250);
/// An engine that failed on a full disk is tried again at once when so much more is free, in bytes.
const SPACE_GAINED: u64 = 1024 * 1024;

/// The attempts to recover a failed engine.
#[derive(Default)]
pub(super) struct Recovery {
    backoff: Backoff,
    /// The error of the last attempt, if it failed, and the free space then.
    failed: Option<(StoreError, u64)>,
}

impl Recovery {
    /// The error of the last attempt, unless another one is due.
    pub(super) fn refusal(&self, space: Option<&FreeSpace>) -> Option<StoreError> {
        let (error, free_then) = self.failed.as_ref()?;
        let is_due = self.backoff.is_due(Instant::now())
            || (*error == StoreError::Full
                && free(space) >= free_then.saturating_add(SPACE_GAINED));
        (!is_due).then(|| error.clone())
    }

    /// Records the result of an attempt.
    pub(super) fn record(&mut self, result: &Result<(), StoreError>, space: Option<&FreeSpace>) {
        match result {
            Ok(()) => *self = Self::default(),
            Err(error) => {
                let free = free(space);
                if self.failed.as_ref().is_some_and(|(_, before)| free > *before) {
                    // Space was gained since the last attempt: this one failed for less of it.
                    self.backoff.reset();
                }
                self.backoff.failed(Instant::now());
                self.failed = Some((error.clone(), free));
            }
        }
    }

    /// The time until the next attempt, or until free space is read again; `None` if no attempt
    /// failed.
    pub(super) fn retry_in(&self) -> Option<Duration> {
        let (error, _) = self.failed.as_ref()?;
        let remaining = self.backoff.remaining(Instant::now())?;
        Some(match error {
            StoreError::Full => remaining.min(SPACE_CHECK_EVERY),
            _ => remaining,
        })
    }
}

fn free(space: Option<&FreeSpace>) -> u64 {
    space.map_or(u64::MAX, FreeSpace::free)
}

impl Checkpointer {
    /// Reopens a failed engine and brings it up to `end`, from the last checkpoint. Reads wait
    /// until it is done.
    pub(super) fn catch_up(&self, rows: &SealedRows, end: &Mark) -> Result<(), StoreError> {
        rows.while_catching_up(|engine| {
            // Read with the gate locked, so that no checkpoint is made in between.
            let from = self.last_mark();
            let from = (from != Mark::default()).then_some(from);
            let mut apply = |group: Group| {
                rows.apply_to(engine, &group.changes).map_err(StoreError::from)?;
                Ok(())
            };
            self.with_reserve(|| {
                engine.reopen()?;
                self.parts.reader.read_until(from.as_ref(), end.position, &mut apply)?;
                // The engine must have received all rows before reads are allowed again.
                Ok(engine.drain()?)
            })?;
            if let Err(error) = rows.drop_unreferenced_blobs(engine, &[], &self.stopping) {
                tracing::warn!(
                    %error,
                    "blobs of deleted rows could not be found; the next collection removes them"
                );
            }
            Ok(())
        })
    }

    /// Closes the engine, and rebuilds it from snapshot and log up to `end`. Reads fail until it is
    /// done. If no engine on the disk can be filled, the rows are read into memory instead, which
    /// is an error all the same.
    pub(super) fn rebuild(&self, rows: &SealedRows, end: &Mark) -> Result<(), StoreError> {
        // Snapshots and log must not be removed meanwhile.
        self.with_snapshots_locked(|stop| {
            // A checkpoint would describe the engine that is being replaced.
            let _checkpointing = self.lock_checkpointing();
            let started = Instant::now();
            // Rows in memory are read until the new engine holds them.
            let was_temporary = rows.is_temporary();
            if !was_temporary {
                rows.close_engine(rebuilding());
            }
            if let Err(error) = self.rebuild_in(&self.parts.engine, rows, end, stop) {
                if !was_temporary && let Err(second) = self.rebuild_in(&IN_MEMORY, rows, end, stop)
                {
                    tracing::error!(%second, "the rows can't be read into memory either");
                    rows.close_engine(StoreError::Unavailable(format!(
                        "the rows could not be rebuilt: {error}; the server tries again by itself"
                    )));
                }
                return Err(error);
            }
            tracing::warn!(
                seconds = started.elapsed().as_secs_f32(),
                "the rows were rebuilt from snapshot and log"
            );
            if let Err(error) = self.record_rebuilt() {
                tracing::warn!(%error, "the next start rebuilds the rows once more");
            }
            Ok(())
        })
    }

    /// Fills a new engine from snapshot and log up to `end`, and sets it.
    fn rebuild_in(
        &self,
        engine: &EngineSource,
        rows: &SealedRows,
        end: &Mark,
        stop: &Stop,
    ) -> Result<(), StoreError> {
        let rebuild = Rebuild {
            reader: &self.parts.reader,
            data: &self.parts.data,
            engine,
            wal: self.wal_id(),
            stop,
            report: &|_, _, _| (),
        };
        let fill = |engine: &Arc<dyn Engine>| {
            let from = rebuild.fill_from_snapshot(&**engine)?;
            let mut apply = |group: Group| {
                stop.check()?;
                // The small blobs are in memory or in files since their groups were applied for the
                // first time.
                apply_rows_to(&**engine, &group.changes).map_err(StoreError::from)?;
                Ok(())
            };
            Ok(rebuild.reader.read_until(from.as_ref(), end.position, &mut apply)?)
        };
        let space = self.parts.space.as_ref();
        let (filled, ()) = rebuild.replace_on_full_disk(space, end.position, fill)?;
        let is_temporary = matches!(engine, EngineSource::Kind(EngineKind::Memory, _));
        drop(rows.exchange_engine(filled, is_temporary));
        Ok(())
    }

    /// Records in the checkpoint that the engine is usable and where it is, if the file says
    /// otherwise.
    fn record_rebuilt(&self) -> Result<(), StoreError> {
        let last = self.last_checkpoint();
        let engine = engine_name(&self.parts.engine, Slot::Root);
        if last.condition != Condition::Rebuilding && last.engine == engine {
            return Ok(());
        }
        self.correct_checkpoint(Checkpoint { condition: Condition::Running, engine, ..last })
    }
}

/// The engine of rows that no engine on the disk can take.
const IN_MEMORY: EngineSource = EngineSource::Kind(EngineKind::Memory, 0);

/// The error of reads and changes during a rebuild.
pub(super) fn rebuilding() -> StoreError {
    StoreError::Unavailable(
        "the rows are rebuilt from snapshot and log; try again in a moment".to_owned(),
    )
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Io(error) => error.into(),
            OpenError::Engine(error) => error.into(),
            OpenError::Store(error) => error,
            OpenError::Log(error) => error.into(),
            other => Self::Unavailable(other.to_string()),
        }
    }
}
