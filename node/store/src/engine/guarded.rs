//! Guards a database on disk: its panics become errors, and an error is sticky until the database
//! is closed and opened again, because its results after an error are not reliable.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError, RwLock};

use super::EngineError;

/// A database, its sticky error and the function that opens it.
pub(super) struct Guarded<D> {
    open: Box<dyn Fn() -> Result<D, EngineError> + Send + Sync>,
    database: RwLock<Option<D>>,
    failed: Mutex<Option<EngineError>>,
}

impl<D> Guarded<D> {
    /// Opens the database by `open`, which also reopens it.
    pub(super) fn new(
        open: impl Fn() -> Result<D, EngineError> + Send + Sync + 'static,
    ) -> Result<Self, EngineError> {
        let database = catch_panic(&open)?;
        Ok(Self {
            open: Box::new(open),
            database: RwLock::new(Some(database)),
            failed: Mutex::new(None),
        })
    }

    /// Runs `work` on the database, unless it has failed.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&D) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = &*self.failed.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(error.clone());
        }
        let Some(database) = &*database else {
            return Err(EngineError::Unavailable("the database is closed".into()));
        };
        catch_panic(|| work(database)).inspect_err(|error| {
            // One damaged page does not make the others unreadable, so the error is not sticky.
            if !matches!(error, EngineError::Corrupt { .. }) {
                self.failed
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert_with(|| error.clone());
            }
        })
    }

    /// The sticky error, if the database has failed.
    pub(super) fn failure(&self) -> Option<EngineError> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Closes the database.
    pub(super) fn close(&mut self) {
        let database = self.database.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // Closing may panic (sled unwraps the result of its last sync). The log holds all rows, so
        // the panic is ignored.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
    }

    /// Closes the database and opens it again; a success clears the sticky error.
    pub(super) fn reopen(&self) -> Result<(), EngineError> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        let closed = catch_panic(|| {
            drop(database.take());
            Ok(())
        });
        let opened = closed.or(Ok(())).and_then(|()| catch_panic(&self.open));
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
        self.close();
    }
}

fn catch_panic<T>(work: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    // A database that panicked is not used again before it is reopened.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
        let message = message.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(EngineError::Unavailable(message.unwrap_or_else(|| "the database panicked".into())))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn panic_is_a_sticky_error_until_reopened() {
        let opened = Arc::new(AtomicU32::new(0));
        let count = opened.clone();
        let guarded = Guarded::new(move || Ok(count.fetch_add(1, Ordering::SeqCst))).unwrap();
        assert_eq!(guarded.with(|n| Ok(*n)), Ok(0));
        let error = guarded.with::<()>(|_| panic!("broken tree")).unwrap_err();
        assert_eq!(error, EngineError::Unavailable("broken tree".into()));
        assert_eq!(guarded.with(|n| Ok(*n)), Err(error));
        guarded.reopen().unwrap();
        assert_eq!(guarded.with(|n| Ok(*n)), Ok(1));
    }

    #[test]
    fn panic_on_close_is_ignored() {
        struct PanicsOnDrop;
        impl Drop for PanicsOnDrop {
            fn drop(&mut self) {
                panic!("last sync failed");
            }
        }
        let guarded = Guarded::new(|| Ok(PanicsOnDrop)).unwrap();
        guarded.reopen().unwrap();
        drop(guarded);
    }
}
