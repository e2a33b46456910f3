//! The pass over the bytes of a message that finds its parts.

use super::{DEPTH_MAX, HEADER_LEN_MAX, Kind, PARTS_MAX, Part, PartId, Structure};
use crate::encoding::Encoding;
use crate::media::Media;
use crate::{header, header_end};

/// Longest boundary, in bytes. RFC 2046 5.1.1 allows 70, but some programs write longer ones.
const BOUNDARY_LEN_MAX: usize = 1_000;
/// Most boundaries of one multipart: a header may have several `Content-Type` fields.
const BOUNDARIES_MAX: usize = 4;

pub(super) fn scan(message: &[u8]) -> Structure {
    let mut scanner =
        Scanner { message, at: 0, counted_to: 0, lines: 0, open: Vec::new(), parts: Vec::new() };
    scanner.open(0);
    while let Some(hit) = scanner.next_delimiter() {
        let is_full = scanner.parts.len() >= PARTS_MAX;
        scanner.close_above(hit.level, hit.content_end);
        if hit.is_closing {
            scanner.close_boundary(hit.level);
        } else if is_full {
            scanner.open_rest();
            break;
        } else {
            scanner.open(scanner.at);
        }
    }
    scanner.close_all();
    let mut parts = scanner.parts.into_iter();
    let root = parts.next().unwrap_or_else(|| Part {
        header: 0..0,
        body: 0..message.len(),
        lines: 0,
        media: Media::default(),
        kind: Kind::Leaf,
        parent: None,
        end: 1,
    });
    Structure { root, inner: parts.collect() }
}

/// A part whose end is not found yet.
struct Open {
    part: usize,
    /// Line ends before its body.
    lines_before: usize,
    boundaries: Vec<Vec<u8>>,
    /// True for a multipart that names no boundary, before its first delimiter.
    guesses_boundary: bool,
    is_digest: bool,
}

/// A delimiter line.
struct Hit {
    /// The end of the content, before the line end that belongs to the delimiter (RFC 2046 5.1.1).
    content_end: usize,
    /// The index in `Scanner::open` of the multipart that the delimiter belongs to.
    level: usize,
    /// True for the delimiter that closes its multipart.
    is_closing: bool,
}

struct Scanner<'a> {
    message: &'a [u8],
    /// The beginning of the line that is read next.
    at: usize,
    /// Line ends are counted up to here.
    counted_to: usize,
    /// Line ends before `counted_to`.
    lines: usize,
    /// The open parts, outermost first.
    open: Vec<Open>,
    parts: Vec<Part>,
}

impl<'a> Scanner<'a> {
    /// Opens the part that begins at `start`, and within a message the message.
    fn open(&mut self, start: usize) {
        let mut start = start;
        loop {
            let header_end = self.header_end(start);
            self.at = header_end;
            let header = self.message.get(start..header_end).unwrap_or_default();
            let header = header.get(..HEADER_LEN_MAX).unwrap_or(header);
            let is_in_digest = self.open.last().is_some_and(|parent| parent.is_digest);
            let types: Vec<Media> = header::all(header, "content-type")
                .take(BOUNDARIES_MAX)
                .map(Media::parse)
                .collect();
            let mut media = match types.first() {
                Some(media) => media.clone(),
                // RFC 2046 5.1.5: the default type in a digest is message/rfc822.
                None if is_in_digest => Media::new("message", "rfc822"),
                None => Media::default(),
            };
            let may_descend =
                self.open.len() < DEPTH_MAX && self.parts.len().saturating_add(1) < PARTS_MAX;
            let is_message =
                media.is("message", Some("rfc822")) || media.is("message", Some("global"));
            let is_multipart = media.is("multipart", None);
            let mut kind = Kind::Leaf;
            if (is_message || is_multipart) && !may_descend {
                media = Media::unparsed();
            } else if is_multipart {
                kind = Kind::Multipart;
            } else if is_message {
                // An encoded message is forbidden (RFC 2046 5.2.1), and is a file in IMAP.
                let encoding = header::first(header, "content-transfer-encoding");
                if encoding.map_or(Encoding::Identity, Encoding::parse) == Encoding::Identity {
                    kind = Kind::Message;
                } else {
                    media = Media::unparsed();
                }
            }
            let boundaries: Vec<Vec<u8>> = match kind {
                Kind::Multipart => types
                    .iter()
                    .filter_map(Media::boundary)
                    .filter(|boundary| boundary.len() <= BOUNDARY_LEN_MAX)
                    .collect(),
                Kind::Leaf | Kind::Message => Vec::new(),
            };
            let lines_before = self.lines_before(header_end);
            self.open.push(Open {
                part: self.parts.len(),
                lines_before,
                guesses_boundary: kind == Kind::Multipart && boundaries.is_empty(),
                boundaries,
                is_digest: media.is("multipart", Some("digest")),
            });
            self.push(start..header_end, media, kind);
            if kind != Kind::Message {
                return;
            }
            start = header_end;
        }
    }

    /// Opens a part for the rest of the message, which has too many parts.
    fn open_rest(&mut self) {
        let start = self.at;
        let lines_before = self.lines_before(start);
        self.open.push(Open {
            part: self.parts.len(),
            lines_before,
            boundaries: Vec::new(),
            guesses_boundary: false,
            is_digest: false,
        });
        self.push(start..start, Media::unparsed(), Kind::Leaf);
        self.at = self.message.len();
    }

    fn push(&mut self, header: std::ops::Range<usize>, media: Media, kind: Kind) {
        let parents = self.open.len().saturating_sub(1);
        let parent = parents.checked_sub(1).and_then(|at| self.open.get(at));
        let end = self.parts.len().saturating_add(1);
        self.parts.push(Part {
            body: header.end..header.end,
            header,
            lines: 0,
            media,
            kind,
            parent: parent.map(|parent| PartId(parent.part)),
            end,
        });
    }

    /// Closes the parts inside the multipart at `level`.
    fn close_above(&mut self, level: usize, content_end: usize) {
        let lines = self.lines_before(content_end);
        while self.open.len() > level.saturating_add(1) {
            self.close_last(content_end, lines);
        }
    }

    fn close_all(&mut self) {
        let end = self.message.len();
        let lines = self.lines_before(end);
        while !self.open.is_empty() {
            self.close_last(end, lines);
        }
    }

    fn close_last(&mut self, end: usize, lines: usize) {
        let Some(open) = self.open.pop() else { return };
        let count = self.parts.len();
        let Some(part) = self.parts.get_mut(open.part) else { return };
        part.body.end = end.max(part.body.start);
        part.lines = lines.saturating_sub(open.lines_before);
        part.end = count;
        if part.kind == Kind::Multipart && count == open.part.saturating_add(1) {
            // Without a delimiter there are no parts: the body is text.
            part.kind = Kind::Leaf;
            part.media = Media::default();
        }
    }

    /// Behind its closing delimiter a multipart has no more parts.
    fn close_boundary(&mut self, level: usize) {
        if let Some(open) = self.open.get_mut(level) {
            open.boundaries.clear();
            open.guesses_boundary = false;
        }
    }

    /// The end of the header that begins at `start`, with its empty line.
    fn header_end(&self, start: usize) -> usize {
        let mut at = start;
        while let Some(line) = self.line(at) {
            if self.delimiter(line).is_some() {
                break;
            }
            at = at.saturating_add(line.len());
            if header::is_empty_line(line) {
                break;
            }
        }
        let region = self.message.get(start..at).unwrap_or_default();
        // Whole lines: the beginning of a field's name is no field.
        let read = region.get(..HEADER_LEN_MAX).map_or(region, |read| {
            let len = memchr::memrchr(b'\n', read).map_or(read.len(), |end| end.saturating_add(1));
            read.get(..len).unwrap_or(read)
        });
        header_end::without_text(read).and_then(|len| start.checked_add(len)).unwrap_or(at)
    }

    /// Finds the next delimiter of an open multipart and moves behind it.
    fn next_delimiter(&mut self) -> Option<Hit> {
        if self.open.iter().all(|open| open.boundaries.is_empty() && !open.guesses_boundary) {
            return None;
        }
        let mut at = self.at;
        loop {
            // Only lines that begin with two hyphens can be delimiters.
            let rest = self.message.get(at..)?;
            if !rest.starts_with(b"--") {
                at = at.checked_add(memchr::memmem::find(rest, b"\n--")?)?.checked_add(1)?;
            }
            let line = self.line(at)?;
            let next = at.saturating_add(line.len());
            let found = self.delimiter(line).or_else(|| self.guess(line, next));
            if let Some((level, is_closing)) = found {
                let before = self.message.get(self.at..at).unwrap_or_default();
                let line_end = if before.ends_with(b"\r\n") {
                    2
                } else {
                    usize::from(before.ends_with(b"\n"))
                };
                self.at = next;
                return Some(Hit { content_end: at.saturating_sub(line_end), level, is_closing });
            }
            at = next;
        }
    }

    /// The line at `at` with its end; `None` after the last.
    fn line(&self, at: usize) -> Option<&'a [u8]> {
        let rest = self.message.get(at..).filter(|rest| !rest.is_empty())?;
        let len = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end.saturating_add(1));
        rest.get(..len)
    }

    /// The index of the open multipart that a line delimits, and whether it closes it.
    ///
    /// A line that is exactly a delimiter counts for the innermost multipart that has it. Other
    /// text behind a boundary is allowed (RFC 2046 5.1.1, "NOTE TO IMPLEMENTORS"): then the longest
    /// boundary counts. Text that could go on the boundary makes another boundary, or an ordinary
    /// line such as `--bold` beside the boundary `b`.
    fn delimiter(&self, line: &[u8]) -> Option<(usize, bool)> {
        let line = line.strip_prefix(b"--")?;
        let mut longest: Option<(usize, usize, bool)> = None;
        for (level, open) in self.open.iter().enumerate().rev() {
            for boundary in &open.boundaries {
                let Some(rest) = line.strip_prefix(boundary.as_slice()) else { continue };
                let (rest, is_closing) =
                    rest.strip_prefix(b"--").map_or((rest, false), |rest| (rest, true));
                if rest.trim_ascii().is_empty() {
                    return Some((level, is_closing));
                }
                let goes_on = rest.first().is_some_and(|byte| is_boundary_byte(*byte));
                if !goes_on && longest.is_none_or(|(len, ..)| boundary.len() > len) {
                    longest = Some((boundary.len(), level, is_closing));
                }
            }
        }
        longest.map(|(_, level, is_closing)| (level, is_closing))
    }

    /// Takes the boundary of the innermost multipart, which names none, from a line that looks like
    /// its first delimiter: the header of a part follows.
    fn guess(&mut self, line: &[u8], next: usize) -> Option<(usize, bool)> {
        let following = self.line(next)?;
        let level = self.open.len().checked_sub(1)?;
        let open = self.open.last_mut().filter(|open| open.guesses_boundary)?;
        let boundary = line.strip_prefix(b"--")?.trim_ascii_end();
        let is_header =
            following.get(..8).is_some_and(|name| name.eq_ignore_ascii_case(b"content-"));
        if boundary.is_empty() || boundary.len() > BOUNDARY_LEN_MAX || !is_header {
            return None;
        }
        open.boundaries.push(boundary.to_vec());
        open.guesses_boundary = false;
        Some((level, false))
    }

    /// The number of line ends before `position`.
    fn lines_before(&mut self, position: usize) -> usize {
        let count = |bytes: &[u8]| memchr::memchr_iter(b'\n', bytes).count();
        if position >= self.counted_to {
            let new = self.message.get(self.counted_to..position).unwrap_or_default();
            self.lines = self.lines.saturating_add(count(new));
            self.counted_to = position;
            return self.lines;
        }
        // The line end before a delimiter.
        let after = self.message.get(position..self.counted_to).unwrap_or_default();
        self.lines.saturating_sub(count(after))
    }
}

/// True for the characters of a boundary (RFC 2046 5.1.1), without the space.
fn is_boundary_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte)
}
