//! The structure of a message as IMAP shows it (RFC 3501 7.4.2), found in one pass over its bytes
//! and stored as byte ranges.
//!
//! A message with a structure deeper than `DEPTH_MAX`, with more than `PARTS_MAX` parts or a header
//! longer than `HEADER_LEN_MAX` is stored and can be fetched whole, but is not parsed further, so
//! that the work is bounded for every message.

pub(crate) mod address;
pub(crate) mod envelope;
pub(crate) mod header;
pub(crate) mod media;
pub(crate) mod section;
pub(crate) mod structure;

use std::ops::Range;

use media::Media;

/// Deepest nesting of parts that is parsed.
pub(crate) const DEPTH_MAX: usize = 50;
/// Most parts of one message that are parsed.
pub(crate) const PARTS_MAX: usize = 1_000;
/// Longest header that is parsed, in bytes.
pub(crate) const HEADER_LEN_MAX: usize = 256 * 1024;
/// Longest boundary, in bytes (RFC 2046 5.1.1 allows 70; some programs write longer ones).
const BOUNDARY_LEN_MAX: usize = 256;

/// A message or a part of one.
#[derive(Debug)]
pub(crate) struct Part {
    /// The range of its header with the empty line, in bytes of the message.
    pub(crate) header: Range<usize>,
    /// The range of its body.
    pub(crate) body: Range<usize>,
    /// Line ends in the body.
    pub(crate) lines: usize,
    /// Its Content-Type.
    pub(crate) media: Media,
    /// Its content.
    pub(crate) kind: Kind,
}

/// The content of a part.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Text, a picture, a file.
    Leaf,
    /// Parts, numbered from one.
    Multipart(Vec<Part>),
    /// A message of its own (RFC 2046 5.2.1).
    Message(Box<Part>),
}

/// Parses the structure of a message.
pub(crate) fn parse(message: &[u8]) -> Part {
    let mut scanner = Scanner { message, boundaries: Vec::new(), parts: 0 };
    scanner.part(0, 0, false).0
}

/// The end of a body.
struct Hit {
    /// The end of the content, before the line end that belongs to the delimiter (RFC 2046 5.1.1).
    content_end: usize,
    /// The start of the line after the delimiter.
    next: usize,
    /// The index of the multipart that the delimiter belongs to, from the outermost; `None` at the
    /// end of the message.
    level: Option<usize>,
    /// True for the delimiter that closes its multipart.
    closing: bool,
    /// Line ends before `content_end`.
    lines: usize,
}

struct Scanner<'a> {
    message: &'a [u8],
    /// The boundaries of the open multiparts, outermost first.
    boundaries: Vec<Vec<u8>>,
    parts: usize,
}

impl Scanner<'_> {
    fn part(&mut self, start: usize, depth: usize, in_digest: bool) -> (Part, Hit) {
        self.parts = self.parts.saturating_add(1);
        let (header_end, cut) = self.header_end(start);
        let header = self.message.get(start..header_end).unwrap_or_default();
        let mut media = match header::first(header, "content-type") {
            Some(value) => Media::parse(value),
            // RFC 2046 5.1.5: the default type in a digest is message/rfc822.
            None if in_digest => Media::new("message", "rfc822"),
            None => Media::default(),
        };
        let may_descend = !cut && depth < DEPTH_MAX && self.parts < PARTS_MAX;
        let boundary = media.boundary().map(String::into_bytes);
        let mut kind = Kind::Leaf;
        let hit = if media.is("multipart", None) {
            match boundary
                .filter(|boundary| !boundary.is_empty() && boundary.len() <= BOUNDARY_LEN_MAX)
            {
                Some(boundary) if may_descend => {
                    let (children, hit) = self.multipart(
                        header_end,
                        depth,
                        boundary,
                        media.is("multipart", Some("digest")),
                    );
                    kind = Kind::Multipart(children);
                    hit
                }
                Some(_) => {
                    media = Media::new("application", "octet-stream");
                    self.find(header_end)
                }
                None => {
                    media = Media::default();
                    self.find(header_end)
                }
            }
        } else if media.is("message", Some("rfc822")) || media.is("message", Some("global")) {
            if may_descend {
                let (inner, mut hit) = self.part(header_end, depth.saturating_add(1), false);
                let inner_header = self.message.get(inner.header.clone()).unwrap_or_default();
                hit.lines = hit.lines.saturating_add(count_lines(inner_header));
                kind = Kind::Message(Box::new(inner));
                hit
            } else {
                media = Media::new("application", "octet-stream");
                self.find(header_end)
            }
        } else {
            self.find(header_end)
        };
        let body = header_end..hit.content_end.max(header_end);
        (Part { header: start..header_end, body, lines: hit.lines, media, kind }, hit)
    }

    /// RFC 2046 5.1.1.
    fn multipart(
        &mut self,
        start: usize,
        depth: usize,
        boundary: Vec<u8>,
        digest: bool,
    ) -> (Vec<Part>, Hit) {
        let level = self.boundaries.len();
        self.boundaries.push(boundary);
        let mut children = Vec::new();
        let mut hit = self.find(start);
        while hit.level == Some(level) && !hit.closing && self.parts < PARTS_MAX {
            let (child, ended) = self.part(hit.next, depth.saturating_add(1), digest);
            children.push(child);
            hit = ended;
        }
        self.boundaries.truncate(level);
        if hit.level == Some(level) {
            // The epilogue, or the rest when there are too many parts.
            hit = self.find(hit.next);
        }
        hit.lines = count_lines(self.message.get(start..hit.content_end).unwrap_or_default());
        (children, hit)
    }

    /// The end of the header that begins at `start`, with its empty line; and whether the header
    /// was too long to be read.
    fn header_end(&self, start: usize) -> (usize, bool) {
        let mut at = start;
        while let Some(line) = self.line(at) {
            if line.is_empty() || line == b"\n" || line == b"\r\n" {
                return (at.saturating_add(line.len()), false);
            }
            if self.delimiter(line).is_some() {
                return (at, false);
            }
            at = at.saturating_add(line.len());
            if at.saturating_sub(start) > HEADER_LEN_MAX {
                return (at, true);
            }
        }
        (self.message.len(), false)
    }

    /// Finds the next delimiter of an open multipart.
    fn find(&self, start: usize) -> Hit {
        let mut at = start;
        let mut lines = 0usize;
        if self.boundaries.is_empty() {
            let rest = self.message.get(start..).unwrap_or_default();
            let end = self.message.len();
            return Hit {
                content_end: end,
                next: end,
                level: None,
                closing: false,
                lines: count_lines(rest),
            };
        }
        while let Some(line) = self.line(at) {
            let next = at.saturating_add(line.len());
            if let Some((level, closing)) = self.delimiter(line) {
                let before = self.message.get(start..at).unwrap_or_default();
                let line_end = if before.ends_with(b"\r\n") {
                    2
                } else {
                    usize::from(before.ends_with(b"\n"))
                };
                let content_end = at.saturating_sub(line_end);
                return Hit {
                    content_end,
                    next,
                    level: Some(level),
                    closing,
                    lines: lines.saturating_sub(usize::from(line_end > 0)),
                };
            }
            lines = lines.saturating_add(usize::from(line.ends_with(b"\n")));
            at = next;
        }
        Hit {
            content_end: self.message.len(),
            next: self.message.len(),
            level: None,
            closing: false,
            lines,
        }
    }

    /// The line at `at` with its end; `None` after the last.
    fn line(&self, at: usize) -> Option<&[u8]> {
        let rest = self.message.get(at..).filter(|rest| !rest.is_empty())?;
        let len = rest
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(rest.len(), |end| end.saturating_add(1));
        rest.get(..len)
    }

    /// The index of the open multipart that a line delimits, and whether it closes it. The
    /// innermost is tried first.
    fn delimiter(&self, line: &[u8]) -> Option<(usize, bool)> {
        let line = line.strip_prefix(b"--")?;
        self.boundaries.iter().enumerate().rev().find_map(|(level, boundary)| {
            let rest = line.strip_prefix(boundary.as_slice())?;
            let (rest, closing) =
                rest.strip_prefix(b"--").map_or((rest, false), |rest| (rest, true));
            rest.iter().all(u8::is_ascii_whitespace).then_some((level, closing))
        })
    }
}

fn count_lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests;
