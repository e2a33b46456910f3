//! The frame header of a JPEG file (ITU T.81 B.2.2), read before anything is decoded.

use std::io::{self, BufRead, Read};

/// The content of the frame header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) width: u16,
    pub(super) height: u16,
    /// Whether all coefficients are in memory before the first pixel is.
    pub(super) is_progressive: bool,
    /// The sampling factors of each component, horizontal and vertical.
    sampling: Vec<(u8, u8)>,
}

/// The most bytes that are read before the frame header.
const SEARCHED_MAX: u64 = 16 * 1024 * 1024;

impl Frame {
    /// Reads a file up to its frame header; `None` if it has none.
    pub(super) fn read(file: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut file = file.by_ref().take(SEARCHED_MAX);
        match Self::find(&mut file) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            found => found,
        }
    }

    fn find(file: &mut impl BufRead) -> io::Result<Option<Self>> {
        loop {
            while byte(file)? != 0xff {}
            let mut marker = byte(file)?;
            while marker == 0xff {
                marker = byte(file)?;
            }
            match marker {
                // Without a length: no marker, TEM, RSTn, SOI.
                0x00 | 0x01 | 0xd0..=0xd8 => {}
                // EOI, SOS.
                0xd9 | 0xda => return Ok(None),
                // DHT, JPG and DAC lie among the frame headers.
                0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                    let is_progressive = matches!(marker, 0xc2 | 0xc6 | 0xca | 0xce);
                    return Self::parse(file, is_progressive).map(Some);
                }
                _ => {
                    let len = u16::from_be_bytes([byte(file)?, byte(file)?]);
                    let rest = u64::from(len.saturating_sub(2));
                    io::copy(&mut file.by_ref().take(rest), &mut io::sink())?;
                }
            }
        }
    }

    fn parse(file: &mut impl BufRead, is_progressive: bool) -> io::Result<Self> {
        let _len_and_precision = [byte(file)?, byte(file)?, byte(file)?];
        let height = u16::from_be_bytes([byte(file)?, byte(file)?]);
        let width = u16::from_be_bytes([byte(file)?, byte(file)?]);
        let mut sampling = Vec::new();
        for _ in 0..byte(file)?.min(4) {
            let [_id, factors, _table] = [byte(file)?, byte(file)?, byte(file)?];
            sampling.push((factors >> 4, factors & 15));
        }
        Ok(Self { width, height, is_progressive, sampling })
    }

    /// The bytes of memory for decoding at `eighths` of the size: planes, pixels, coefficients.
    pub(super) fn decoding_memory(&self, eighths: u64) -> u64 {
        let pixels = u64::from(self.width) * u64::from(self.height);
        let scaled = pixels * eighths * eighths / 64;
        let largest = |factor: fn(&(u8, u8)) -> u8| {
            u64::from(self.sampling.iter().map(factor).max().unwrap_or(1).max(1))
        };
        let area = largest(|(across, _)| *across) * largest(|(_, down)| *down);
        let samples: u64 =
            self.sampling.iter().map(|(across, down)| u64::from(*across) * u64::from(*down)).sum();
        let coefficients = if self.is_progressive { 2 * pixels * samples / area } else { 0 };
        scaled * samples / area + scaled * self.sampling.len() as u64 + coefficients
    }
}

fn byte(file: &mut impl BufRead) -> io::Result<u8> {
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    let [byte] = byte;
    Ok(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with a segment before a frame header of 4:2:0.
    fn file(marker: u8) -> Vec<u8> {
        let frame =
            [0xff, marker, 0, 17, 8, 15, 160, 23, 112, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1];
        [&b"\xff\xd8\xff\xe1\0\x06\xff\xc0ab\xff\xc4\0\x02"[..], &frame].concat()
    }

    #[test]
    fn frame_header_is_found_after_other_segments() {
        let frame = Frame::read(&mut &file(0xc0)[..]).unwrap().unwrap();
        assert_eq!((frame.width, frame.height, frame.is_progressive), (6000, 4000, false));
        // A quarter of the pixels: 1.5 bytes each in planes, 3 bytes each as pixels.
        assert_eq!(frame.decoding_memory(4), 27_000_000);
        let frame = Frame::read(&mut &file(0xc2)[..]).unwrap().unwrap();
        assert_eq!(frame.decoding_memory(4), 27_000_000 + 72_000_000);
    }

    #[test]
    fn file_without_frame_header_has_none() {
        let whole = file(0xc0);
        for len in 0..whole.len() {
            assert_eq!(Frame::read(&mut &whole[..len]).unwrap(), None, "{len}");
        }
        assert_eq!(Frame::read(&mut &b"\xff\xd8\xff\xd9\xff\xc0"[..]).unwrap(), None);
        assert_eq!(Frame::read(&mut &b"\xff".repeat(100_000)[..]).unwrap(), None);
        assert_eq!(Frame::read(&mut &b"\xff\xe1\0\0".repeat(1000)[..]).unwrap(), None);
    }
}
