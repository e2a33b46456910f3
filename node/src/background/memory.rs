//! Freed memory given back to the system.

use std::time::Duration;

use freehold_core::blocking::blocking;

/// The pause between two looks at the size of the process.
const TRIM_EVERY: Duration = Duration::from_secs(10);
/// How many looks pass after one that found nothing to give back.
const TRIM_WAIT_MAX: u32 = 3;
/// The growth of the process after which freed memory is given back, in pages of 4 KiB.
const TRIM_AFTER_PAGES: u64 = 4 * 256;

/// Gives memory that is not needed back after the start, and while the process is larger than it
/// was at its smallest: what a load needed is free only after it.
pub(super) async fn trim_heap() {
    let (mut least, mut wait) = (None::<u64>, 1);
    loop {
        tokio::time::sleep(TRIM_EVERY * wait).await;
        // Only Linux has the file; elsewhere memory is given back without help.
        let Some(before) = private_pages().await else { return };
        if least.is_some_and(|least| before <= least + TRIM_AFTER_PAGES) {
            least = least.min(Some(before));
            wait = 1;
            continue;
        }
        // The result does not matter: without free pages there is nothing to do.
        let _ = blocking(freehold_heap::trim).await;
        freehold_heap::unmap_program();
        let Some(after) = private_pages().await else { return };
        least = Some(least.map_or(after, |least| least.min(after)));
        wait = if before > after + TRIM_AFTER_PAGES { 1 } else { TRIM_WAIT_MAX };
    }
}

/// The pages of the process that no file backs: resident less shared of `/proc/self/statm`.
async fn private_pages() -> Option<u64> {
    let statm = tokio::fs::read_to_string("/proc/self/statm").await.ok()?;
    let mut fields = statm.split(' ').skip(1).map(|field| field.parse::<u64>().ok());
    let (resident, shared) = (fields.next()??, fields.next()??);
    resident.checked_sub(shared)
}
