//! Files that Dovecot has compressed or encrypted (its plugins zlib and mail_crypt) keep the names
//! of messages. Those of gzip are read; the others are named.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use flate2::read::MultiGzDecoder;

const GZIP: &[u8] = b"\x1f\x8b\x08";
/// The beginnings of the other forms, and their names.
const OTHERS: [(&[u8], &str); 5] = [
    (b"(\xb5/\xfd", "compressed by zstd"),
    (b"\xfd7zXZ\0", "compressed by xz"),
    (b"Dovecot-LZ4\r*\x9b\xc5", "compressed by LZ4"),
    (b"CRYPTED\x03\x07", "encrypted"),
    (b"\x04\"M\x18", "compressed by LZ4"),
];
const BEGINNING_LEN: usize = 16;

/// The file's text: unpacked if it is of gzip.
///
/// # Errors
/// Those of the system, and one that names another form.
pub(super) fn unpacked(file: File) -> io::Result<Box<dyn Read>> {
    let mut beginning = [0; BEGINNING_LEN];
    let len = file.read_at(&mut beginning, 0)?;
    let beginning = beginning.get(..len).unwrap_or_default();
    if beginning.starts_with(GZIP) {
        return Ok(Box::new(MultiGzDecoder::new(file)));
    }
    let is_bzip2 = beginning.starts_with(b"BZh") && beginning.get(4..10) == Some(b"1AY&SY");
    let other = OTHERS.iter().find(|(magic, _)| beginning.starts_with(magic));
    match other.map(|(_, name)| *name).or(is_bzip2.then_some("compressed by bzip2")) {
        None => Ok(Box::new(file)),
        Some(name) => Err(io::Error::other(format!(
            "the file is {name}; Dovecot's `doveadm` can write the mail as it is"
        ))),
    }
}
