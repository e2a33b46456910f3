//! Compaction: a new engine replaces one whose files are much longer than its rows, while the store
//! runs. sled does not give space back after many rows were written.
//!
//! 1. The new engine is filled from the newest snapshot and the log since, in its own folder, and
//!    flushed. The old one serves reads and changes meanwhile.
//! 2. No checkpoint is made from here on. The checkpoint file gets the name of the new engine, and
//!    keeps its position: both engines hold the log up to there. So a start after a crash opens the
//!    old engine before this step and the new one after it, and replays the log.
//! 3. The committer applies the rest of the log to the new engine and exchanges the two, between
//!    two groups. Only changes wait for it.
//! 4. The files of the old engine are removed.
//!
//! If step 3 fails, the checkpoint file gets the old name again. A crash leaves files of an engine
//! that is not in use; the next start removes them.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::checkpoint::{Checkpoint, Condition};
use super::checkpointer::{Checkpointer, Work};
use super::engine_folder::{
    Slot, engine_folder, engine_name, open_engine, remove_folder, remove_unused_slots, slot_folder,
    slot_len, slot_of,
};
use super::packs::Pause;
use super::rebuild;
use super::sealed_rows::apply_rows_to;
use super::shared::Shared;
use super::snapshot::{self, IntactSnapshot};
use super::{Stop, Store, StoreError, stopped};
use crate::engine::Engine;
use crate::hints::Hint;
use crate::wal::Mark;
use crate::wal::recover::{Group, Reader};

/// An engine with files of at most this length is not compacted; bytes.
const SMALL_LEN: u64 = 64 * 1024 * 1024;
/// An engine is compacted when its files are longer than so many snapshots. sled takes 1.8 times
/// the length of a snapshot when it is new, so two fifths of the space at least are gained, and the
/// next compaction is due only after the store has written more than it holds.
const SNAPSHOTS_MAX: u64 = 3;
/// The space for a new engine, in lengths of a snapshot.
const NEW_SNAPSHOTS: u64 = 2;
/// The rows between two pauses.
const STEP_ROWS: usize = rebuild::PAGE_ROWS;
/// The new engine is exchanged when it lacks at most this many changes of the log.
const LACKING_MAX: u64 = 256;
/// How often the log is read for changes that were made meanwhile, at most.
const ROUNDS_MAX: u32 = 10;
/// How often a compaction that waits for the committer looks if it must end.
const CANCEL_CHECK: Duration = Duration::from_millis(10);

/// The files of an engine on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineFiles {
    /// Their length, in bytes; 0 if the engine is in memory.
    pub len: u64,
    /// They are much longer than what they hold: [`Store::compact_engine`] gains space.
    pub is_oversized: bool,
}

impl<H: Hint> Store<H> {
    /// The files of the engine in use.
    ///
    /// # Errors
    /// The disk's.
    pub fn engine_files(&self) -> Result<EngineFiles, StoreError> {
        let checkpointer = &self.0.checkpointer;
        let parts = &checkpointer.parts;
        if self.0.shared.read_only_reason().is_some() || !parts.engine.is_persistent() {
            return Ok(EngineFiles { len: 0, is_oversized: false });
        }
        let folder = slot_folder(&parts.data, &parts.engine, checkpointer.engine_slot());
        let len = slot_len(&*parts.reader.fs, &folder)?;
        let is_oversized = is_oversized(len, checkpointer.newest_snapshot_len()?);
        Ok(EngineFiles { len, is_oversized })
    }

    /// Replaces the engine by a new one with the same rows in new files. Reads are served and
    /// changes made meanwhile. `pause` is called between two steps. Blocks, possibly for long.
    ///
    /// # Errors
    /// [`StoreError::Full`] without enough free space. After any error the old engine is used on.
    pub fn compact_engine(&self, pause: &Pause<'_>) -> Result<(), StoreError> {
        if let Some(reason) = self.0.shared.read_only_reason() {
            return Err(StoreError::ReadOnly(reason.to_owned()));
        }
        let checkpointer = &self.0.checkpointer;
        if !checkpointer.parts.engine.is_persistent() {
            return Ok(());
        }
        // Snapshots and log must not be removed meanwhile.
        checkpointer.with_snapshots_locked(|stop| Compaction::new(checkpointer, stop, pause).run())
    }
}

fn is_oversized(len: u64, snapshot_len: u64) -> bool {
    len > SMALL_LEN.max(snapshot_len.saturating_mul(SNAPSHOTS_MAX))
}

impl Checkpointer {
    /// The slot of the engine in use.
    fn engine_slot(&self) -> Slot {
        slot_of(&self.parts.engine, &self.last_checkpoint().engine).unwrap_or_default()
    }

    fn newest_snapshot_len(&self) -> Result<u64, StoreError> {
        let (fs, data) = (&*self.parts.reader.fs, &self.parts.data);
        let Some(newest) = snapshot::list(fs, data)?.pop() else { return Ok(0) };
        Ok(fs.open(&snapshot::path(data, newest))?.len()?)
    }
}

/// A compaction that runs.
struct Compaction<'a> {
    checkpointer: &'a Checkpointer,
    stop: &'a Stop,
    pause: &'a Pause<'a>,
    used: Slot,
    /// The folder of the new engine.
    folder: PathBuf,
    /// The rows written since the last pause.
    rows: Cell<usize>,
}

/// The engine that a compaction makes, and the last record of the log that it holds.
struct NewEngine {
    engine: Arc<dyn Engine>,
    mark: Option<Mark>,
}

impl NewEngine {
    /// Applies the log up to the last visible record. Returns the number of changes.
    fn catch_up(
        &mut self,
        reader: &Reader,
        shared: &Shared,
        step: &dyn Fn(usize) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        let end = shared.end();
        let before = self.mark.as_ref().map_or(0, |mark| mark.position);
        if end.position <= before {
            return Ok(0);
        }
        let mut apply = |group: Group| {
            apply_rows_to(&*self.engine, &group.changes).map_err(StoreError::from)?;
            Ok(step(group.changes.iter().map(|change| change.rows.len()).sum())?)
        };
        reader.read_until(self.mark.as_ref(), end.position, &mut apply)?;
        let position = end.position;
        self.mark = Some(end);
        Ok(position - before)
    }
}

impl<'a> Compaction<'a> {
    fn new(checkpointer: &'a Checkpointer, stop: &'a Stop, pause: &'a Pause<'a>) -> Self {
        let used = checkpointer.engine_slot();
        let parts = &checkpointer.parts;
        let folder = slot_folder(&parts.data, &parts.engine, used.next());
        Self { checkpointer, stop, pause, used, folder, rows: Cell::new(0) }
    }

    fn run(&self) -> Result<(), StoreError> {
        let parts = &self.checkpointer.parts;
        let fs = &*parts.reader.fs;
        self.check()?;
        let started = Instant::now();
        if let Some(space) = &parts.space {
            let snapshot_len = self.checkpointer.newest_snapshot_len()?;
            space.check_space_for(snapshot_len.saturating_mul(NEW_SNAPSHOTS))?;
        }
        self.remove_left_over()?;
        let filled = self.fill().inspect_err(|_| {
            // The files must not take the space that others need. The next start removes the rest.
            let _ = remove_folder(fs, &self.folder);
        });
        let old = self.exchange(filled?)?;
        drop(old);
        if let Err(error) = remove_unused_slots(fs, &parts.data, &parts.engine, self.used.next()) {
            tracing::warn!(%error, "the old engine's files remain until the next start");
        }
        tracing::info!(seconds = started.elapsed().as_secs_f32(), "the engine was compacted");
        Ok(())
    }

    /// Fails if the compaction must end: the store stops, or the committer recovers the engine.
    fn check(&self) -> Result<(), StoreError> {
        self.stop.check()?;
        let rows = &self.checkpointer.parts.shared.rows;
        if rows.is_behind() || rows.is_temporary() {
            return Err(StoreError::Unavailable("the engine failed before its compaction".into()));
        }
        Ok(())
    }

    /// Called after this number of rows was written: pauses, and checks that it may go on.
    fn step(&self, rows: usize) -> Result<(), StoreError> {
        self.rows.set(self.rows.get() + rows);
        if self.rows.get() < STEP_ROWS {
            return Ok(());
        }
        self.rows.set(0);
        self.check()?;
        if let Some(space) = &self.checkpointer.parts.space {
            space.check_space_to_compact(0)?;
        }
        if (self.pause)() { Ok(()) } else { Err(stopped()) }
    }

    /// Removes what an earlier compaction left, after the checkpoint file surely does not name it.
    fn remove_left_over(&self) -> Result<(), StoreError> {
        let fs = &*self.checkpointer.parts.reader.fs;
        if fs.exists(&self.folder)? {
            let _checkpointing = self.checkpointer.lock_checkpointing();
            self.checkpointer.write_checkpoint(self.checkpointer.last_checkpoint())?;
            remove_folder(fs, &self.folder)?;
        }
        Ok(())
    }

    /// Makes the new engine, durable up to the last change but a few.
    fn fill(&self) -> Result<NewEngine, StoreError> {
        let parts = &self.checkpointer.parts;
        let (fs, reader) = (&*parts.reader.fs, &parts.reader);
        let engine = open_engine(fs, &parts.engine, &self.folder)?;
        fs.sync_folder(&engine_folder(&parts.data, &parts.engine))?;
        let mut new = NewEngine { engine, mark: None };
        let wal = self.checkpointer.wal_id();
        if let Some(IntactSnapshot { snapshot, .. }) =
            snapshot::newest_intact(reader, &parts.data, wal, self.stop)?
        {
            new.mark = Some(snapshot.mark.clone());
            rebuild::fill(&*new.engine, snapshot, &mut |rows| self.step(rows))?;
        }
        let catch_up =
            |new: &mut NewEngine| new.catch_up(reader, &parts.shared, &|rows| self.step(rows));
        let mut rounds = 1;
        while catch_up(&mut new)? > LACKING_MAX && rounds < ROUNDS_MAX {
            rounds += 1;
        }
        new.engine.flush()?;
        // sled reads everything written since it was opened when it is opened again. Done here, it
        // does not prolong the next start.
        new.engine.reopen()?;
        Ok(new)
    }

    /// Puts the new engine in the place of the old one, and returns the old one.
    fn exchange(&self, mut new: NewEngine) -> Result<Arc<dyn Engine>, StoreError> {
        let (checkpointer, parts) = (self.checkpointer, &self.checkpointer.parts);
        let _checkpointing = checkpointer.lock_checkpointing();
        let last = checkpointer.last_checkpoint();
        let is_named = Cell::new(false);
        let name_new = |new: &mut NewEngine| {
            // The new engine must hold the log up to the position of the last checkpoint.
            new.catch_up(&parts.reader, &parts.shared, &|_| self.check())?;
            new.engine.flush()?;
            self.check()?;
            let engine = engine_name(&parts.engine, self.used.next());
            let condition = Condition::Running;
            is_named.set(true);
            checkpointer.write_checkpoint(Checkpoint { engine, condition, ..last.clone() })
        };
        let (give, old) = sync_channel(1);
        let exchanged = name_new(&mut new).and_then(|()| {
            let (shared, reader) = (parts.shared.clone(), parts.reader.clone());
            self.on_committer(Box::new(move || {
                let started = Instant::now();
                new.catch_up(&reader, &shared, &|_| Ok(()))?;
                let _ = give.send(shared.rows.exchange_engine(new.engine, false));
                let millis = started.elapsed().as_millis();
                tracing::debug!(millis, "changes waited for the exchange of the engine");
                Ok(())
            }))
        });
        // The group of the committer may have failed after the exchange.
        if let Ok(old) = old.try_recv() {
            return Ok(old);
        }
        let restored = match is_named.get() {
            true => checkpointer.correct_checkpoint(last),
            false => Ok(()),
        };
        if let Err(error) = restored {
            // The checkpoint file may name the new engine, whose files stay for the next start.
            tracing::warn!(%error, "the checkpoint could not be written after a compaction");
        } else {
            let _ = remove_folder(&*parts.reader.fs, &self.folder);
        }
        Err(exchanged.err().unwrap_or_else(stopped))
    }

    /// Has the committer do `work`, and waits for it. The committer may wait for this compaction:
    /// when it stops, or recovers the engine. So the work is taken back then.
    fn on_committer(&self, work: Work) -> Result<(), StoreError> {
        let work = Arc::new(Mutex::new(Some(work)));
        let take =
            |work: &Mutex<Option<Work>>| work.lock().unwrap_or_else(PoisonError::into_inner).take();
        let sent = work.clone();
        let result = self.checkpointer.send_to_committer(Box::new(move || {
            let work = take(&sent);
            work.map_or_else(|| Err(stopped()), |work| work())
        }));
        loop {
            match result.recv_timeout(CANCEL_CHECK) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Disconnected) => return Err(stopped()),
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(error) = self.check()
                        && take(&work).is_some()
                    {
                        return Err(error);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engine_is_oversized_beside_its_snapshot_only() {
        const MIB: u64 = 1024 * 1024;
        assert!(!is_oversized(64 * MIB, 0));
        assert!(is_oversized(65 * MIB, 21 * MIB));
        assert!(!is_oversized(180 * MIB, 60 * MIB));
        assert!(is_oversized(181 * MIB, 60 * MIB));
        assert!(!is_oversized(u64::MAX, u64::MAX));
    }
}
