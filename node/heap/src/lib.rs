//! Giving memory back to the system: what was freed, and pages of the program that only the start
//! needed.
//!
//! glibc keeps what a program frees. A block that comes from `mmap` is given back at once, but each
//! time such a block is freed, glibc raises the size from which it uses `mmap`, up to 32 MiB. After
//! the first segment of the write-ahead log, blocks of many megabytes come from the heap and stay
//! in it. And small blocks that were freed between others stay in it until `malloc_trim` is called.
//!
//! Other C libraries give freed memory back by themselves: there, [`trim`] does nothing.
//!
//! Of its own file a process keeps every page it has touched, and 15 neighbours of each. After the
//! start most of them are not needed again, but the kernel takes mapped pages later than others.

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

/// Takes the program's own code and constants out of the memory of this process. They stay in the
/// system's cache, and come back by themselves, 16 pages at a time, when they are used.
///
/// It takes less than a millisecond. Breakpoints of a debugger that is attached are lost.
pub fn unmap_program() {
    unmap_program_pages();
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

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "the C library has no safe interface")]
fn unmap_program_pages() {
    /// Unmaps the read-only segments of the first object, which is the program.
    unsafe extern "C" fn unmap(
        object: *mut libc::dl_phdr_info,
        _: libc::size_t,
        _: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: dl_iterate_phdr passes a valid object, whose headers live while it is loaded.
        let (base, headers) = unsafe {
            let object = &*object;
            (
                object.dlpi_addr as usize,
                std::slice::from_raw_parts(object.dlpi_phdr, usize::from(object.dlpi_phnum)),
            )
        };
        // SAFETY: sysconf takes a number.
        let Ok(page) = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }) else {
            return 1;
        };
        for header in headers {
            // Memory that may be written, also only by the dynamic linker, differs from the file.
            if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W != 0 {
                continue;
            }
            let start = (base + header.p_vaddr as usize) & !(page - 1);
            let end = (base + header.p_vaddr as usize + header.p_memsz as usize) & !(page - 1);
            if start < end {
                // SAFETY: the pages are private, read-only and of a file, and nobody has changed
                // them, so that the kernel reads the same bytes again.
                unsafe { libc::madvise(start as *mut _, end - start, libc::MADV_DONTNEED) };
            }
        }
        1
    }
    // SAFETY: the callback does not unwind, and takes no data.
    unsafe { libc::dl_iterate_phdr(Some(unmap), std::ptr::null_mut()) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn unmap_program_pages() {}

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

    /// The resident pages of files, in KiB.
    fn resident_of_files() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[test]
    fn unmapped_program_goes_on() {
        let text = format!("{:?}", std::thread::current().id());
        let before = resident_of_files();
        super::unmap_program();
        let after = resident_of_files();
        assert!(after < before, "{before} KiB before, {after} after");
        assert!(!text.is_empty() && std::thread::spawn(|| 7).join().unwrap() == 7);
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
