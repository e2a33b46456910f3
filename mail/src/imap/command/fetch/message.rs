//! The FETCH response of one message: text, and ranges of its blob that are read only when they are
//! sent.
#![allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]

use std::collections::VecDeque;
use std::sync::Arc;

use freehold_core::blobs::BlobReader;
use freehold_core::mailbox::{self, Message};
use freehold_core::store::StoreError;
use freehold_mime::header;
use freehold_mime::structure::HEADER_LEN_MAX;

use super::item::{BodySection, Item};
use crate::imap::context::Context;
use crate::imap::date;
use crate::imap::flags;
use crate::imap::section::Text;
use crate::imap::structure_cache::read_range;
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
                out.raw(text);
                Ok(None)
            }
            Self::Bytes { blob, from, end } => {
                let len =
                    usize::try_from(end.saturating_sub(from)).unwrap_or(usize::MAX).min(len_max);
                let bytes = read_range(&blob, from, len)?;
                if bytes.len() < len {
                    return Err(StoreError::NoBlob);
                }
                out.octets(&bytes);
                let from = from.saturating_add(bytes.len() as u64);
                Ok((from < end).then_some(Self::Bytes { blob, from, end }))
            }
        }
    }
}

/// The whole response for one message.
pub(crate) fn segments(
    cx: &Context,
    number: u32,
    message: &Message,
    is_recent: bool,
    items: &[Item],
) -> Result<VecDeque<Segment>, StoreError> {
    let mut response = Response {
        cx,
        message,
        is_recent,
        blob: None,
        out: Printer::default(),
        segments: VecDeque::new(),
    };
    response.out.show(format_args!("* {number} FETCH ("));
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            response.out.raw(" ");
        }
        response.item(item)?;
    }
    response.out.raw(")\r\n");
    let text = response.out.take();
    response.segments.push_back(Segment::Text(text));
    Ok(response.segments)
}

struct Response<'a> {
    cx: &'a Context,
    message: &'a Message,
    is_recent: bool,
    blob: Option<Arc<BlobReader>>,
    out: Printer,
    segments: VecDeque<Segment>,
}

impl Response<'_> {
    fn item(&mut self, item: &Item) -> Result<(), StoreError> {
        let (cx, message) = (self.cx, self.message);
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
                envelope::print(
                    &mut self.out,
                    &cx.shared.structure_cache.header(&cx.node, message)?,
                );
            }
            Item::Body => drop(
                self.out
                    .raw("BODY ")
                    .raw(&cx.shared.structure_cache.structure(&cx.node, message)?.body),
            ),
            Item::BodyStructure => drop(
                self.out
                    .raw("BODYSTRUCTURE ")
                    .raw(&cx.shared.structure_cache.structure(&cx.node, message)?.body_structure),
            ),
            Item::Section(wanted) => self.section(wanted)?,
        }
        Ok(())
    }

    /// RFC 3501 6.4.5, `BODY[<section>]<<partial>>`.
    fn section(&mut self, wanted: &BodySection) -> Result<(), StoreError> {
        let (cx, message) = (self.cx, self.message);
        wanted.print_name(&mut self.out);
        self.out.raw(" ");
        let section = &wanted.section;
        let range = if section.needs_structure() {
            match section.range(&cx.shared.structure_cache.structure(&cx.node, message)?.parts) {
                Some(range) => range.start as u64..range.end as u64,
                None => {
                    self.out.raw("NIL");
                    return Ok(());
                }
            }
        } else {
            match section.text {
                Text::Whole => 0..message.size,
                Text::Body => {
                    cx.shared.structure_cache.header(&cx.node, message)?.len() as u64..message.size
                }
                Text::Header | Text::Mime | Text::Fields { .. } => {
                    let bytes = cx.shared.structure_cache.header(&cx.node, message)?;
                    self.header(wanted, &bytes);
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
        let (skip, take) =
            wanted.partial.map_or((0, u64::MAX), |(from, len)| (u64::from(from), u64::from(len)));
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

    fn header(&mut self, wanted: &BodySection, bytes: &[u8]) {
        let selected;
        let bytes = match &wanted.section.text {
            Text::Fields { not, names } => {
                selected = header::select(bytes, names, *not);
                selected.as_slice()
            }
            _ => bytes,
        };
        let (skip, take) =
            wanted.partial.map_or((0, usize::MAX), |(from, len)| (from as usize, len as usize));
        let rest = bytes.get(skip..).unwrap_or_default();
        self.out.literal(rest.get(..take).unwrap_or(rest));
    }

    fn blob(&mut self) -> Result<Arc<BlobReader>, StoreError> {
        if let Some(blob) = &self.blob {
            return Ok(Arc::clone(blob));
        }
        let blob = Arc::new(mailbox::body(&self.cx.node, self.message)?);
        Ok(Arc::clone(self.blob.insert(blob)))
    }
}
