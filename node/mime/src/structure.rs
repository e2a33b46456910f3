//! The structure of a message: its parts as byte ranges, found in one pass over the bytes (RFC 2046
//! 5).
//!
//! The parts lie in one list in the order of the message, each before the parts inside it, so that
//! neither parsing nor dropping recurses. Beyond the limits nothing is lost: what is not parsed is
//! one part of type application/octet-stream.

mod scan;

use std::ops::Range;

use crate::encoding::{self, Decoded, Encoding};
use crate::header;
use crate::media::Media;

/// Deepest nesting of parts that is parsed.
pub const DEPTH_MAX: usize = 50;
/// Most parts of one message that are parsed; the rest of the message is one more.
pub const PARTS_MAX: usize = 1_000;
/// How much of a header is read, in bytes. The body begins behind the whole header.
pub const HEADER_LEN_MAX: usize = 256 * 1024;

/// A message or a part of one.
#[derive(Debug)]
pub struct Part {
    /// The range of its header with the empty line, in bytes of the message.
    pub header: Range<usize>,
    /// The range of its body.
    pub body: Range<usize>,
    /// Line ends in the body.
    pub lines: usize,
    /// Its Content-Type.
    pub media: Media,
    /// Its content.
    pub kind: Kind,
    /// The part that it is in; `None` for the message itself.
    pub parent: Option<PartId>,
    /// One more than the number of the last part inside it.
    end: usize,
}

/// The content of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text, a picture, a file.
    Leaf,
    /// Parts; at least one.
    Multipart,
    /// A message of its own (RFC 2046 5.2.1): exactly one part.
    Message,
}

/// The place of a part in its [`Structure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartId(usize);

impl PartId {
    /// Its number, counted from 0 in the order of the message.
    pub fn number(self) -> usize {
        self.0
    }
}

/// The parts of a message.
#[derive(Debug)]
pub struct Structure {
    root: Part,
    /// The parts after the root.
    inner: Vec<Part>,
}

impl Structure {
    /// The message itself.
    pub const ROOT: PartId = PartId(0);

    /// Parses the structure of a message.
    pub fn parse(message: &[u8]) -> Self {
        scan::scan(message)
    }

    /// A part. An id of another structure may give the message itself.
    pub fn part(&self, id: PartId) -> &Part {
        match id.0.checked_sub(1) {
            Some(at) => self.inner.get(at).unwrap_or(&self.root),
            None => &self.root,
        }
    }

    /// The number of parts, the message itself included.
    pub fn count(&self) -> usize {
        self.inner.len().saturating_add(1)
    }

    /// The part of this number, counted from 0 in the order of the message.
    pub fn id(&self, number: usize) -> Option<PartId> {
        (number < self.count()).then_some(PartId(number))
    }

    /// All parts in the order of the message, each before the parts inside it.
    pub fn ids(&self) -> impl Iterator<Item = PartId> {
        (0..self.count()).map(PartId)
    }

    /// The parts directly inside a part, in order.
    pub fn children(&self, id: PartId) -> impl Iterator<Item = PartId> {
        let end = self.part(id).end;
        let mut next = id.0.saturating_add(1);
        std::iter::from_fn(move || {
            let child = (next < end).then_some(PartId(next))?;
            next = self.part(child).end;
            Some(child)
        })
    }

    /// True if `inner` is `outer` or inside it.
    pub fn contains(&self, outer: PartId, inner: PartId) -> bool {
        (outer.0..self.part(outer).end.max(outer.0.saturating_add(1))).contains(&inner.0)
    }

    /// The part by its numbers (RFC 3501 6.4.5); none for no numbers. A message that is not a
    /// multipart has one part, 1: its body.
    pub fn find(&self, path: &[u32]) -> Option<PartId> {
        let (first, rest) = path.split_first()?;
        let mut part = self.numbered(Self::ROOT, *first)?;
        for number in rest {
            part = match self.part(part).kind {
                Kind::Message => self.numbered(self.children(part).next()?, *number)?,
                Kind::Multipart => self.children(part).nth(index(*number)?)?,
                Kind::Leaf => return None,
            };
        }
        Some(part)
    }

    /// The part of a message by its number.
    fn numbered(&self, message: PartId, number: u32) -> Option<PartId> {
        match self.part(message).kind {
            Kind::Multipart => self.children(message).nth(index(number)?),
            Kind::Leaf | Kind::Message => (number == 1).then_some(message),
        }
    }

    /// The bytes of a part's header, at most [`HEADER_LEN_MAX`].
    pub fn header<'a>(&self, message: &'a [u8], id: PartId) -> &'a [u8] {
        let header = message.get(self.part(id).header.clone()).unwrap_or_default();
        header.get(..HEADER_LEN_MAX).unwrap_or(header)
    }

    /// True if a part is a message with a transfer encoding, by its own header. RFC 2046 5.2.1
    /// forbids the encoding, so in the structure the part is a file; its decoded body is a message.
    pub fn is_encoded_message(&self, message: &[u8], id: PartId) -> bool {
        let media = header::first(self.header(message, id), "content-type").map(Media::parse);
        let is_message = media.is_some_and(|media| {
            media.is("message", Some("rfc822")) || media.is("message", Some("global"))
        });
        is_message
            && self.part(id).kind == Kind::Leaf
            && self.encoding(message, id) != Encoding::Identity
    }

    /// The bytes of a part's body, encoded.
    pub fn body<'a>(&self, message: &'a [u8], id: PartId) -> &'a [u8] {
        message.get(self.part(id).body.clone()).unwrap_or_default()
    }

    /// The transfer encoding of a part.
    pub fn encoding(&self, message: &[u8], id: PartId) -> Encoding {
        let field = header::first(self.header(message, id), "content-transfer-encoding");
        field.map_or(Encoding::Identity, Encoding::parse)
    }

    /// The decoded body of a part.
    pub fn decoded<'a>(&self, message: &'a [u8], id: PartId) -> Decoded<'a> {
        encoding::decode(self.body(message, id), self.encoding(message, id))
    }
}

fn index(number: u32) -> Option<usize> {
    usize::try_from(number).ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests;
