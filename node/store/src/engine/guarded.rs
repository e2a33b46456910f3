//! Holds a database that lives on disk: its panics become errors where they happen, and an error
//! sticks until the database is closed and opened again, because what such a database says after an
//! error can't be relied on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError, RwLock};

use super::EngineError;

/// A database that may have failed, and how to open it.
pub(super) struct Guarded<D> {
    open: Box<dyn Fn() -> Result<D, EngineError> + Send + Sync>,
    database: RwLock<Option<D>>,
    failed: Mutex<Option<EngineError>>,
}

impl<D> Guarded<D> {
    /// Opens the database by `open`, which is kept for opening it again.
    pub(super) fn new(
        open: impl Fn() -> Result<D, EngineError> + Send + Sync + 'static,
    ) -> Result<Self, EngineError> {
        let database = caught(&open)?;
        Ok(Self {
            open: Box::new(open),
            database: RwLock::new(Some(database)),
            failed: Mutex::new(None),
        })
    }

    /// Lets `work` use the database, unless it has failed.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&D) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = &*self.failed.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(error.clone());
        }
        let Some(database) = &*database else {
            return Err(EngineError::Unavailable("closed".into()));
        };
        caught(|| work(database)).inspect_err(|error| {
            // One damaged page is no reason to refuse the others; a database that does refuse them
            // says so itself.
            if !matches!(error, EngineError::Corrupt { .. }) {
                self.failed
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert_with(|| error.clone());
            }
        })
    }

    /// Closes the database and opens it again; a success ends the error that stuck.
    pub(super) fn reopen(&self) -> Result<(), EngineError> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        let closed = caught(|| {
            drop(database.take());
            Ok(())
        });
        let opened = closed.or(Ok(())).and_then(|()| caught(&self.open));
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        match opened {
            Ok(opened) => {
                *database = Some(opened);
                *failed = None;
                Ok(())
            }
            Err(error) => {
                *failed = Some(error.clone());
                Err(error)
            }
        }
    }
}

impl<D> Drop for Guarded<D> {
    fn drop(&mut self) {
        let database = self.database.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // Closing may panic (sled unwraps its last sync); the log holds everything, so nothing
        // depends on it.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
    }
}

fn caught<T>(work: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    // Nothing half changed is looked at after a panic: the database is closed and opened anew.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
        let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(EngineError::Unavailable(said.unwrap_or_else(|| "panicked".into())))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn a_panic_is_an_error_that_sticks_until_reopened() {
        let opened = Arc::new(AtomicU32::new(0));
        let count = opened.clone();
        let guarded = Guarded::new(move || Ok(count.fetch_add(1, Ordering::SeqCst))).unwrap();
        assert_eq!(guarded.with(|n| Ok(*n)), Ok(0));
        let error = guarded.with::<()>(|_| panic!("the tree is bent")).unwrap_err();
        assert_eq!(error, EngineError::Unavailable("the tree is bent".into()));
        assert_eq!(guarded.with(|n| Ok(*n)), Err(error));
        guarded.reopen().unwrap();
        assert_eq!(guarded.with(|n| Ok(*n)), Ok(1));
    }

    #[test]
    fn a_database_that_panics_when_closed_harms_nobody() {
        struct Sore;
        impl Drop for Sore {
            fn drop(&mut self) {
                panic!("last sync failed");
            }
        }
        let guarded = Guarded::new(|| Ok(Sore)).unwrap();
        guarded.reopen().unwrap();
        drop(guarded);
    }
}
