//! Opening files that others made: a named pipe never blocks, and no symbolic link is followed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file for reading.
///
/// # Errors
/// Those of the system, and one if it is no regular file.
pub(super) fn regular(path: &Path) -> io::Result<File> {
    // Without NONBLOCK, opening a named pipe would wait for a writer.
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let opened =
        OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path).map_err(
            |error| match rustix::io::Errno::from_io_error(&error) {
                Some(rustix::io::Errno::LOOP) => io::Error::other("it is a symbolic link"),
                _ => error,
            },
        )?;
    if opened.metadata()?.is_file() { Ok(opened) } else { Err(io::Error::other("it is no file")) }
}
