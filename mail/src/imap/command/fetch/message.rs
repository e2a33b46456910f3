//! The FETCH response of one message: text, and ranges of its blob that are read only when they are
//! sent.
#![allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use freehold_core::blobs::BlobReader;
use freehold_core::mailbox::{self, Message};
use freehold_core::store::StoreError;
use freehold_mime::encoding::Encoding;
use freehold_mime::structure::{HEADER_LEN_MAX, Structure as Parts};
use freehold_mime::{Kind, header};

use super::decoded::{Content, Measure};
use super::item::{BodySection, Item};
use crate::imap::context::Context;
use crate::imap::date;
use crate::imap::flags;
use crate::imap::listing::{Listing, Needs};
use crate::imap::object_id::{EmailId, ThreadObjectId};
use crate::imap::section::Text;
use crate::imap::structure_cache::{Header, Structure, read_range};
use freehold_mime::imap::Printer;
use freehold_mime::imap::envelope;

/// A piece of the response.
#[derive(Debug)]
pub(crate) enum Segment {
    Text(Vec<u8>),
    /// Bytes of a blob, `from` to `end`.
    Bytes {
        blob: Arc<BlobReader>,
        from: u64,
        end: u64,
    },
    /// A part that is decoded while it is sent.
    Content(Box<Content>),
}

/// Why a message has no response.
#[derive(Debug)]
pub(crate) enum PrintError {
    /// A part has a transfer encoding that is unknown (RFC 3516 4.3).
    UnknownEncoding,
    /// The store.
    Store(StoreError),
}

impl From<StoreError> for PrintError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Segment {
    /// Prints at most `len_max` bytes of a blob and returns the rest.
    pub(crate) fn print(
        self,
        out: &mut Printer,
        len_max: usize,
    ) -> Result<Option<Self>, StoreError> {
        match self {
            Self::Text(text) => {
                out.append(text);
                Ok(None)
            }
            Self::Content(content) => {
                Ok(content.print(out, len_max)?.map(|rest| Self::Content(Box::new(rest))))
            }
            Self::Bytes { blob, from, end } => {
                let len =
                    usize::try_from(end.saturating_sub(from)).unwrap_or(usize::MAX).min(len_max);
                if let Some(bytes) = blob.bytes() {
                    let from = usize::try_from(from).unwrap_or(usize::MAX);
                    let part = bytes.get(from..from.saturating_add(len));
                    out.octets(part.ok_or(StoreError::NoBlob)?);
                } else {
                    let bytes = read_range(&blob, from, len)?;
                    if bytes.len() < len {
                        return Err(StoreError::NoBlob);
                    }
                    out.octets(&bytes);
                }
                let from = from.saturating_add(len as u64);
                Ok((from < end).then_some(Self::Bytes { blob, from, end }))
            }
        }
    }
}

/// The data that the items need.
pub(crate) fn needs(items: &[Item]) -> Needs {
    let mut needs = Needs::default();
    for item in items {
        match item {
            Item::Envelope => needs.envelope = true,
            Item::Body | Item::BodyStructure => needs.structure = true,
            Item::Section(wanted) if wanted.is_indexed => needs.header = true,
            Item::Section(_) | Item::Binary(_) | Item::BinarySize(_) => needs.blobs = true,
            Item::Preview => needs.summary = true,
            Item::EmailId | Item::SaveDate | Item::ThreadId => needs.content = true,
            Item::Flags | Item::InternalDate | Item::ModSeq | Item::Size | Item::Uid => {}
        }
    }
    needs
}

/// Prints the response for one message, up to the first range of its blob; returns the rest. After
/// an error nothing is printed.
pub(crate) fn print(
    cx: &mut Context,
    listing: &Listing,
    number: u32,
    message: &Message,
    is_recent: bool,
    items: &[Item],
) -> Result<VecDeque<Segment>, PrintError> {
    let out = std::mem::take(&mut cx.out);
    let before = out.len();
    let mut response =
        Response { cx, listing, message, is_recent, blob: None, out, segments: VecDeque::new() };
    let printed = response.items(number, items);
    let Response { mut out, mut segments, .. } = response;
    if let Some(Segment::Text(_)) = segments.front()
        && let Some(Segment::Text(text)) = segments.pop_front()
    {
        segments.push_back(Segment::Text(out.take()));
        out.append(text);
    }
    if printed.is_err() {
        out.truncate(before);
    }
    cx.out = out;
    printed.map(|()| segments)
}

struct Response<'a> {
    cx: &'a Context,
    listing: &'a Listing,
    message: &'a Message,
    is_recent: bool,
    blob: Option<Arc<BlobReader>>,
    out: Printer,
    segments: VecDeque<Segment>,
}

impl Response<'_> {
    fn items(&mut self, number: u32, items: &[Item]) -> Result<(), PrintError> {
        self.out.show(format_args!("* {number} FETCH ("));
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.out.raw(" ");
            }
            self.item(item)?;
        }
        self.out.raw(")\r\n");
        Ok(())
    }

    fn item(&mut self, item: &Item) -> Result<(), PrintError> {
        let message = self.message;
        match item {
            Item::Flags => {
                self.out.raw("FLAGS ");
                flags::print(&mut self.out, &message.flags, self.is_recent);
            }
            Item::Uid => drop(self.out.show(format_args!("UID {}", message.uid))),
            Item::ModSeq => drop(self.out.show(format_args!("MODSEQ ({})", message.modseq))),
            Item::Size => drop(self.out.show(format_args!("RFC822.SIZE {}", message.size))),
            Item::InternalDate => drop(
                self.out
                    .show(format_args!("INTERNALDATE \"{}\"", date::write(message.internal_date))),
            ),
            Item::Envelope => {
                self.out.raw("ENVELOPE ");
                match self.listing.envelope(message.uid) {
                    Some(envelope) => drop(self.out.printed(envelope)),
                    None => {
                        let header = self.whole_header()?;
                        let mut printed = Printer::default();
                        envelope::print(&mut printed, &header.bytes);
                        self.out.printed(&printed.take());
                    }
                }
            }
            Item::Body | Item::BodyStructure => {
                let is_body = *item == Item::Body;
                self.out.raw(if is_body { "BODY " } else { "BODYSTRUCTURE " });
                let pick = |body, structure| if is_body { body } else { structure };
                let stored = self.listing.structures(message.uid);
                match stored.map(|(body, structure)| pick(body, structure)) {
                    Some(stored) if !self.has_global(stored) => drop(self.out.printed(stored)),
                    _ => {
                        let parsed = self.structure()?;
                        let form = match self.cx.enabled.takes_utf8() {
                            true => &parsed.global,
                            false => &parsed.rfc822,
                        };
                        self.out.printed(pick(&form.body, &form.body_structure));
                    }
                }
            }
            Item::Preview => {
                let preview = match self.listing.summaries() {
                    Some(values) => {
                        mailbox::preview(&self.cx.node, values, message.folder, message.uid)?
                    }
                    None => None,
                };
                self.out.raw("PREVIEW ").nstring(preview);
            }
            Item::EmailId => {
                let content = self.listing.content(message.uid).ok_or(StoreError::NoBlob)?;
                self.out.show(format_args!("EMAILID ({})", EmailId(content.id)));
            }
            Item::ThreadId => {
                match self.listing.content(message.uid).and_then(|content| content.thread) {
                    Some(id) => self.out.show(format_args!("THREADID ({})", ThreadObjectId(id))),
                    None => self.out.raw("THREADID NIL"),
                };
            }
            Item::SaveDate => {
                match self.listing.content(message.uid) {
                    Some(content) => {
                        self.out.show(format_args!("SAVEDATE \"{}\"", date::write(content.saved)))
                    }
                    None => self.out.raw("SAVEDATE NIL"),
                };
            }
            Item::Binary(wanted) => self.binary(wanted)?,
            Item::BinarySize(wanted) => self.binary_size(wanted)?,
            Item::Section(wanted) => self.section(wanted)?,
        }
        Ok(())
    }

    /// True if a stored structure has a message/global, which clients that take UTF-8 are sent with
    /// its envelope and body (RFC 9051 7.5.2).
    fn has_global(&self, stored: &[u8]) -> bool {
        let lower = || stored.to_ascii_lowercase();
        self.cx.enabled.takes_utf8()
            && memchr::memmem::find(&lower(), b"\"message\" \"global\"").is_some()
    }

    /// The header, read from the message.
    fn whole_header(&self) -> Result<Arc<Header>, StoreError> {
        self.cx.shared.structure_cache.header(&self.cx.node, self.message)
    }

    /// The length of the header with its empty line, also of one that is cut when it is read.
    fn header_len(&self) -> Result<u64, StoreError> {
        let header = self.whole_header()?;
        if header.is_cut {
            return Ok(self.structure()?.parts.part(Parts::ROOT).header.end as u64);
        }
        Ok(header.bytes.len() as u64)
    }

    /// The structure, read from the message.
    fn structure(&self) -> Result<Arc<Structure>, StoreError> {
        self.cx.shared.structure_cache.structure(&self.cx.node, self.message)
    }

    /// RFC 3501 6.4.5, `BODY[<section>]<<partial>>`.
    fn section(&mut self, wanted: &BodySection) -> Result<(), StoreError> {
        let message = self.message;
        self.out.raw(&wanted.name).raw(" ");
        let section = &wanted.section;
        let range = if section.needs_structure() {
            match section.range(&self.structure()?.parts) {
                Some(range) => range.start as u64..range.end as u64,
                None => {
                    self.out.raw("NIL");
                    return Ok(());
                }
            }
        } else {
            match section.text {
                Text::Whole => 0..message.size,
                Text::Body => self.header_len()?..message.size,
                Text::Header if self.whole_header()?.is_cut => 0..self.header_len()?,
                Text::Header | Text::Mime | Text::Fields { .. } => {
                    let listing = self.listing;
                    match listing.header(message.uid).filter(|_| wanted.is_indexed) {
                        Some(kept) => self.header(wanted, kept),
                        None => self.header(wanted, &self.whole_header()?.bytes),
                    }
                    return Ok(());
                }
            }
        };
        if let Text::Fields { .. } = section.text {
            let len = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
            let blob = self.blob()?;
            let bytes = read_range(&blob, range.start, len.min(HEADER_LEN_MAX))?;
            self.header(wanted, &bytes);
            return Ok(());
        }
        let (skip, take) = wanted.partial.unwrap_or((0, u64::MAX));
        let from = range.start.saturating_add(skip).min(range.end);
        let end = from.saturating_add(take).min(range.end);
        self.out.show(format_args!("{{{}}}\r\n", end.saturating_sub(from)));
        if from < end {
            let blob = self.blob()?;
            let text = self.out.take();
            self.segments.extend([Segment::Text(text), Segment::Bytes { blob, from, end }]);
        }
        Ok(())
    }

    /// The encoded bytes of a part and their encoding; `None` if there is no such part.
    fn part(&mut self, wanted: &BodySection) -> Result<Option<(Range<u64>, Encoding)>, PrintError> {
        let whole = 0..self.message.size;
        if wanted.section.path.is_empty() {
            return Ok(Some((whole, Encoding::Identity)));
        }
        let structure = self.structure()?;
        let Some(id) = structure.parts.find(&wanted.section.path) else { return Ok(None) };
        let part = structure.parts.part(id);
        let range = part.body.start as u64..part.body.end as u64;
        if part.kind != Kind::Leaf {
            return Ok(Some((range, Encoding::Identity)));
        }
        let (blob, len) = (self.blob()?, part.header.len().min(HEADER_LEN_MAX));
        let bytes = read_range(&blob, part.header.start as u64, len)?;
        let field = header::first(&bytes, "content-transfer-encoding");
        match field.map_or(Some(Encoding::Identity), Encoding::known) {
            // No RFC has uuencode as a transfer encoding.
            None | Some(Encoding::Uuencode) => Err(PrintError::UnknownEncoding),
            Some(encoding) => Ok(Some((range, encoding))),
        }
    }

    /// RFC 3516 4.2, `BINARY[<section>]<<partial>>`. A literal8 is sent only where a literal can't
    /// be: it has a NUL.
    fn binary(&mut self, wanted: &BodySection) -> Result<(), PrintError> {
        self.out.raw(&wanted.name).raw(" ");
        let Some((range, encoding)) = self.part(wanted)? else {
            self.out.raw("NIL");
            return Ok(());
        };
        let blob = self.blob()?;
        let (skip, take) = wanted.partial.unwrap_or((0, u64::MAX));
        let content = |partial| Content::new(Arc::clone(&blob), range.clone(), encoding, partial);
        let Measure { len, has_nul } = content((skip, take)).measure()?;
        let take = len.saturating_sub(skip).min(take);
        self.out.raw(if has_nul { "~" } else { "" }).show(format_args!("{{{take}}}\r\n"));
        if take > 0 {
            let text = self.out.take();
            let content = Segment::Content(Box::new(content((skip, take))));
            self.segments.extend([Segment::Text(text), content]);
        }
        Ok(())
    }

    /// RFC 3516 4.3, `BINARY.SIZE[<section>]`; zero for a part that is not there.
    fn binary_size(&mut self, wanted: &BodySection) -> Result<(), PrintError> {
        let len = match self.part(wanted)? {
            None => 0,
            Some((range, Encoding::Identity)) => range.end.saturating_sub(range.start),
            Some((range, encoding)) => {
                Content::new(self.blob()?, range, encoding, (0, u64::MAX)).measure()?.len
            }
        };
        self.out.raw(&wanted.name).show(format_args!(" {len}"));
        Ok(())
    }

    fn header(&mut self, wanted: &BodySection, bytes: &[u8]) {
        let selected;
        let bytes = match &wanted.section.text {
            Text::Fields { not, names } => {
                selected = header::select(bytes, names, *not);
                selected.as_slice()
            }
            _ => bytes,
        };
        let index = |number| usize::try_from(number).unwrap_or(usize::MAX);
        let (skip, take) =
            wanted.partial.map_or((0, usize::MAX), |(from, len)| (index(from), index(len)));
        let rest = bytes.get(skip..).unwrap_or_default();
        self.out.literal(rest.get(..take).unwrap_or(rest));
    }

    fn blob(&mut self) -> Result<Arc<BlobReader>, StoreError> {
        if let Some(blob) = &self.blob {
            return Ok(Arc::clone(blob));
        }
        let uid = self.message.uid;
        let blob = match (self.listing.opened(uid), self.listing.blob(uid)) {
            (Some(opened), _) => opened,
            (None, Some(id)) => Arc::new(self.cx.node.blobs.open(&id)?),
            (None, None) => Arc::new(mailbox::body(&self.cx.node, self.message)?),
        };
        Ok(Arc::clone(self.blob.insert(blob)))
    }
}
