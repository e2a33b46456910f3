//! Giving freed memory back to the system.
//!
//! glibc keeps what a program frees. A block that comes from `mmap` is given back at once, but each
//! time such a block is freed, glibc raises the size from which it uses `mmap`, up to 32 MiB. After
//! the first segment of the write-ahead log, blocks of many megabytes come from the heap and stay
//! in it. And small blocks that were freed between others stay in it until `malloc_trim` is called.
//!
//! Other C libraries give memory back by themselves: there, these functions do nothing.

/// From this size on, a block is given back when it is freed, in bytes. Each such block costs a
/// system call and fresh pages; below one MiB the difference in memory is small.
const MMAP_THRESHOLD: i32 = 1 << 20;

/// Fixes the size from which a freed block is given back at once. Call it once, at the start of the
/// process.
pub fn configure() {
    set_mmap_threshold(MMAP_THRESHOLD);
}

/// Gives all free pages of the heap back. True if there were any.
///
/// It blocks for some milliseconds per 100 MiB, and other threads that allocate meanwhile wait.
pub fn trim() -> bool {
    trim_heap()
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "the C library has no safe interface")]
fn set_mmap_threshold(bytes: i32) {
    // SAFETY: mallopt takes two numbers, and refuses those that it does not know.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, bytes);
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "the C library has no safe interface")]
fn trim_heap() -> bool {
    // SAFETY: malloc_trim takes a number, touches free blocks only, and locks each heap.
    unsafe { libc::malloc_trim(0) == 1 }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn set_mmap_threshold(_: i32) {}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn trim_heap() -> bool {
    false
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    /// The resident memory of this process, in pages.
    fn resident() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse().unwrap()
    }

    #[test]
    fn freed_blocks_are_given_back() {
        super::configure();
        // Every second block is freed: the rest keeps the heap from shrinking by itself.
        let mut blocks: Vec<Option<Vec<u8>>> = (0..8_000).map(|_| Some(vec![1; 8_192])).collect();
        let full = resident();
        for pair in blocks.chunks_mut(8) {
            pair[1..].iter_mut().for_each(|block| *block = None);
        }
        super::trim();
        let trimmed = resident();
        assert!(trimmed + 8_000 < full, "{full} pages before, {trimmed} after");
        assert_eq!(blocks.iter().flatten().count(), 1_000);
    }
}
