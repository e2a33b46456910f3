//! A disk whose syncs take longer: the operating system's file system with a wait before each.

use std::time::Duration;

use freehold_store::fs::OsFs;
use freehold_store::testing::hooked_fs::{Action, FsCall, HookedFs};

/// The file system, each sync of which takes so much longer than the disk needs.
#[allow(clippy::disallowed_methods, reason = "to stand for a slow disk is what this is for")]
pub(crate) fn slow(delay: Duration) -> HookedFs {
    HookedFs::new(OsFs, move |what, _| {
        if !delay.is_zero()
            && matches!(what, FsCall::Sync | FsCall::SyncFolder | FsCall::SyncVolume)
        {
            std::thread::sleep(delay);
        }
        Action::Proceed
    })
}
