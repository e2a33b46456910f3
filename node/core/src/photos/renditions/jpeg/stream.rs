//! The bytes of a JPEG file on their way to the decoder.
//!
//! The decoder reads beyond the end of a damaged scan without an error: it fills up with zero bits,
//! and the rest of the picture becomes grey. Before a marker, a scan may be padded with one bits
//! (ITU T.81 F.1.2.3), and no Huffman code consists of ones alone (T.81 C). So this stream adds
//! ones to the end of each scan: a whole file is decoded as before, and a scan with missing data
//! is an error.
//!
//! A file that ends without EOI gets one, so that only missing data counts.

use std::io::{self, BufRead, Read};

/// Stuffed bytes of ones (T.81 F.1.2.3), more than the decoder reads ahead.
const ONES: [u8; 24] = *b"\xff\0\xff\0\xff\0\xff\0\xff\0\xff\0\xff\0\xff\0\xff\0\xff\0\xff\0\xff\0";
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
/// The most scans of a file. Each may pass over the whole picture; encoders make about ten.
const SCANS_MAX: u32 = 200;
/// The most bytes of all segments: profile, EXIF, thumbnails.
const SEGMENTS_LEN_MAX: u64 = 16 * 1024 * 1024;

/// The part of the file that the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Between segments.
    Between,
    /// After 0xff between segments.
    Marker,
    /// The length of a segment, with its first byte if that was read.
    Length(u8, Option<u8>),
    /// The rest of a segment.
    Segment(u8, u16),
    /// The data of a scan.
    Scan,
    /// After 0xff in a scan; that byte is held back.
    ScanMarker,
    /// After EOI.
    End,
}

/// Reads a JPEG file for the decoder.
pub(super) struct JpegStream<R> {
    inner: R,
    part: Part,
    has_eoi: bool,
    scans: u32,
    segments_len: u64,
    /// True once the file went beyond a limit.
    is_refused: bool,
    /// Bytes that come before the next byte of the file.
    ready: Vec<u8>,
    ready_at: usize,
}

impl<R: BufRead> JpegStream<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            part: Part::Between,
            has_eoi: false,
            scans: 0,
            segments_len: 0,
            is_refused: false,
            ready: Vec::new(),
            ready_at: 0,
        }
    }

    /// Reads the rest of the file. True if it has the EOI marker (T.81 B.1.1.3) of the picture;
    /// those of thumbnails are inside segments.
    pub(super) fn has_eoi(&mut self) -> io::Result<bool> {
        io::copy(self, &mut io::sink())?;
        Ok(self.has_eoi)
    }

    /// True if the file is beyond a limit: no decoder may read it.
    pub(super) fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// Ends the picture where the file ends.
    fn end(&mut self) {
        if self.part != Part::End {
            let in_scan = matches!(self.part, Part::Scan | Part::ScanMarker);
            self.make_ready(if in_scan { &ONES } else { &[] }, &[0xff, EOI]);
            self.part = Part::End;
        }
    }

    fn make_ready(&mut self, first: &[u8], then: &[u8]) {
        self.ready.clear();
        self.ready.extend_from_slice(first);
        self.ready.extend_from_slice(then);
        self.ready_at = 0;
    }

    fn refuse(&mut self, cause: &str) -> io::Result<()> {
        self.is_refused = true;
        Err(io::Error::new(io::ErrorKind::InvalidData, cause))
    }

    /// Takes one byte of the file; the bytes for the decoder become ready.
    fn step(&mut self, byte: u8) -> io::Result<()> {
        let before = self.part;
        self.part = match before {
            Part::Between if byte == 0xff => Part::Marker,
            Part::Between => Part::Between,
            Part::Marker => match byte {
                0xff => Part::Marker,
                EOI => Part::End,
                // Markers without a length: TEM, RSTn, SOI; and no marker at all.
                0x00 | 0x01 | 0xd0..=0xd8 => Part::Between,
                marker => Part::Length(marker, None),
            },
            Part::Length(marker, None) => Part::Length(marker, Some(byte)),
            Part::Length(marker, Some(high)) => {
                let len = u16::from_be_bytes([high, byte]);
                self.segments_len += u64::from(len);
                if self.segments_len > SEGMENTS_LEN_MAX {
                    return self.refuse("too much beside the picture");
                }
                self.after_segment(marker, len.saturating_sub(2))
            }
            Part::Segment(marker, left) => self.after_segment(marker, left - 1),
            Part::Scan if byte == 0xff => Part::ScanMarker,
            Part::Scan => Part::Scan,
            Part::ScanMarker => match byte {
                0xff => Part::ScanMarker,
                0x00 | 0xd0..=0xd7 => Part::Scan,
                EOI => Part::End,
                marker => Part::Length(marker, None),
            },
            Part::End => Part::End,
        };
        self.has_eoi |= self.part == Part::End;
        if self.part == Part::ScanMarker {
            return Ok(());
        }
        match before {
            Part::ScanMarker if self.part == Part::Scan => self.make_ready(&[0xff], &[byte]),
            Part::ScanMarker => self.make_ready(&ONES, &[0xff, byte]),
            _ => self.make_ready(&[], &[byte]),
        }
        if matches!(self.part, Part::Scan) && matches!(before, Part::Segment(..) | Part::Length(..))
        {
            self.scans += 1;
            if self.scans > SCANS_MAX {
                return self.refuse("too many scans");
            }
        }
        Ok(())
    }

    /// The part after a segment of which `left` bytes are still to come.
    fn after_segment(&self, marker: u8, left: u16) -> Part {
        match (marker, left) {
            (SOS, 0) => Part::Scan,
            (_, 0) => Part::Between,
            _ => Part::Segment(marker, left),
        }
    }

    /// Copies bytes that change nothing: a run inside a scan, or inside a segment.
    fn copy_run(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let bytes = self.inner.fill_buf()?;
        let len = match self.part {
            Part::Scan => bytes.iter().position(|byte| *byte == 0xff).unwrap_or(bytes.len()),
            // The last byte of a segment changes the part.
            Part::Segment(_, left) => bytes.len().min(usize::from(left) - 1),
            _ => 0,
        };
        let len = len.min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..len), bytes.get(..len)) {
            to.copy_from_slice(from);
        }
        self.inner.consume(len);
        if let Part::Segment(marker, left) = self.part {
            let copied = u16::try_from(len).unwrap_or(u16::MAX);
            self.part = Part::Segment(marker, left.saturating_sub(copied));
        }
        Ok(len)
    }
}

impl<R: BufRead> Read for JpegStream<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(room) = buf.get_mut(filled..).filter(|room| !room.is_empty()) {
            let ready = self.ready.get(self.ready_at..).unwrap_or_default();
            if !ready.is_empty() {
                let len = ready.len().min(room.len());
                if let (Some(to), Some(from)) = (room.get_mut(..len), ready.get(..len)) {
                    to.copy_from_slice(from);
                }
                (self.ready_at, filled) = (self.ready_at + len, filled + len);
                continue;
            }
            if self.part == Part::End {
                break;
            }
            let copied = self.copy_run(room)?;
            if copied > 0 {
                filled += copied;
                continue;
            }
            match self.inner.fill_buf()?.first().copied() {
                Some(byte) => {
                    self.inner.consume(1);
                    self.step(byte)?;
                }
                None => self.end(),
            }
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], piece: usize) -> (Vec<u8>, bool) {
        let mut stream = JpegStream::new(io::BufReader::with_capacity(piece, bytes));
        let mut read = Vec::new();
        let mut buf = vec![0; piece];
        loop {
            match stream.read(&mut buf).unwrap() {
                0 => break,
                len => read.extend_from_slice(&buf[..len]),
            }
        }
        (read, stream.has_eoi().unwrap())
    }

    /// A segment that contains EOI, a scan with a stuffed byte and a restart marker.
    const FILE: &[u8] = b"\xff\xd8\xff\xe1\0\x04\xff\xd9\xff\xda\0\x02ab\xff\0c\xff\xd0d\xff\xd9x";

    #[test]
    fn scan_is_padded_with_ones_before_its_end() {
        let scan = b"\xff\xd8\xff\xe1\0\x04\xff\xd9\xff\xda\0\x02ab\xff\0c\xff\xd0d";
        let expected = [&scan[..], &ONES, b"\xff\xd9"].concat();
        for piece in [1, 2, 3, 7, 4096] {
            assert_eq!(read(FILE, piece), (expected.clone(), true), "{piece}");
            // Nothing but the end of image is missing, or half of it.
            for missing in [2, 3] {
                let cut = &FILE[..FILE.len() - missing];
                assert_eq!(read(cut, piece), (expected.clone(), false), "{piece} {missing}");
            }
        }
    }

    #[test]
    fn eoi_inside_segment_does_not_end_the_picture() {
        let cut = b"\xff\xd8\xff\xe1\0\x06\xff\xd9";
        assert_eq!(read(cut, 5), (b"\xff\xd8\xff\xe1\0\x06\xff\xd9\xff\xd9".to_vec(), false));
        assert_eq!(read(b"", 5), (b"\xff\xd9".to_vec(), false));
    }

    #[test]
    fn scans_and_segments_without_end_are_refused() {
        let scans = b"\xff\xda\0\x02a".repeat(1000);
        assert!(io::copy(&mut JpegStream::new(&scans[..]), &mut io::sink()).is_err());
        let segment = [&b"\xff\xe2\xff\xff"[..], &[0; 65_533]].concat().repeat(300);
        assert!(io::copy(&mut JpegStream::new(&segment[..]), &mut io::sink()).is_err());
    }
}
