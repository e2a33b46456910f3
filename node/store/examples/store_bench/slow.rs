//! A simulated slow disk: the operating system's file system with a delay before each sync.

use std::time::Duration;

use freehold_store::fs::OsFs;
use freehold_store::testing::hooked_fs::{Action, FsCall, HookedFs};

/// The file system with `delay` before each sync.
#[allow(clippy::disallowed_methods, reason = "simulates a slow disk")]
pub(crate) fn slow(delay: Duration) -> HookedFs {
    HookedFs::new(OsFs, move |call, _| {
        if !delay.is_zero()
            && matches!(call, FsCall::Sync | FsCall::SyncFolder | FsCall::SyncVolume)
        {
            std::thread::sleep(delay);
        }
        Action::Proceed
    })
}
