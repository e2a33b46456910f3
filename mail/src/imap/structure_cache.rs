//! A small memory of headers and structures, so that a list of thousands of messages opens each
//! blob once.
//!
//! Two generations: what is used moves to the young one; when that is full it becomes the old one,
//! and what was still in the old one is forgotten. A blob never changes, so nothing here is ever
//! stale.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use freehold_core::blobs::BlobReader;
use freehold_core::mailbox::{self, MESSAGE_LEN_MAX, Message};
use freehold_core::node::Node;
use freehold_core::store::{BlobId, StoreError};

use super::mime::{self, HEADER_LEN_MAX, Part, header, structure};
use super::print::Printer;

/// What one generation may hold, in bytes.
const GENERATION_LEN_MAX: usize = 6 * 1024 * 1024;
/// What an entry costs beside its content, in bytes.
const ENTRY_LEN: usize = 200;
/// What a part of a structure costs, in bytes.
const PART_LEN: usize = 250;
/// How much of a message is read first to find its header's end.
const FIRST_READ_LEN: usize = 8 * 1024;

/// A message taken apart.
#[derive(Debug)]
pub(crate) struct Outline {
    /// The parts.
    pub(crate) root: Part,
    /// BODY as printed.
    pub(crate) body: Vec<u8>,
    /// BODYSTRUCTURE as printed.
    pub(crate) body_structure: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    header: Option<Arc<Vec<u8>>>,
    outline: Option<Arc<Outline>>,
    /// About how much memory it takes, in bytes.
    len: usize,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<BlobId, Entry>,
    young_len: usize,
    old: HashMap<BlobId, Entry>,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Outlines(Mutex<Generations>);

impl Outlines {
    /// The header of a message with its empty line; cut off where it is longer than is read.
    pub(crate) fn header(
        &self,
        node: &Node,
        message: &Message,
    ) -> Result<Arc<Vec<u8>>, StoreError> {
        if let Some(header) = self.entry(&message.blob).header {
            return Ok(header);
        }
        let header = Arc::new(read_header(&mailbox::body(node, message)?)?);
        self.keep(message.blob, header.len(), |entry| entry.header = Some(Arc::clone(&header)));
        Ok(header)
    }

    /// A message taken apart.
    pub(crate) fn outline(
        &self,
        node: &Node,
        message: &Message,
    ) -> Result<Arc<Outline>, StoreError> {
        if let Some(outline) = self.entry(&message.blob).outline {
            return Ok(outline);
        }
        let bytes = mailbox::body(node, message)?
            .read_all(usize::try_from(MESSAGE_LEN_MAX).unwrap_or(usize::MAX))?;
        let outline = Arc::new(outline(&bytes));
        let len = outline
            .body
            .len()
            .saturating_add(outline.body_structure.len())
            .saturating_add(parts(&outline.root).saturating_mul(PART_LEN));
        self.keep(message.blob, len, |entry| entry.outline = Some(Arc::clone(&outline)));
        Ok(outline)
    }

    /// What is known of a blob; knowing it again keeps it young.
    fn entry(&self, blob: &BlobId) -> Entry {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match generations.old.remove(blob) {
            Some(entry) => {
                generations.put(*blob, entry.clone());
                entry
            }
            None => generations.young.get(blob).cloned().unwrap_or_default(),
        }
    }

    fn keep(&self, blob: BlobId, len: usize, set: impl FnOnce(&mut Entry)) {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entry =
            generations.take(&blob).unwrap_or(Entry { len: ENTRY_LEN, ..Entry::default() });
        entry.len = entry.len.saturating_add(len);
        set(&mut entry);
        generations.put(blob, entry);
    }
}

impl Generations {
    fn take(&mut self, blob: &BlobId) -> Option<Entry> {
        let entry = self.young.remove(blob);
        self.young_len = self.young_len.saturating_sub(entry.as_ref().map_or(0, |entry| entry.len));
        entry.or_else(|| self.old.remove(blob))
    }

    fn put(&mut self, blob: BlobId, entry: Entry) {
        if self.young_len.saturating_add(entry.len) > GENERATION_LEN_MAX {
            self.young_len = 0;
            self.old = std::mem::take(&mut self.young);
        }
        self.young_len = self.young_len.saturating_add(entry.len);
        self.young.insert(blob, entry);
    }
}

fn outline(bytes: &[u8]) -> Outline {
    let root = mime::parse(bytes);
    let mut out = Printer::default();
    structure::print(&mut out, bytes, &root, false);
    let body = out.take();
    structure::print(&mut out, bytes, &root, true);
    Outline { root, body, body_structure: out.take() }
}

fn parts(part: &Part) -> usize {
    match &part.kind {
        mime::Kind::Leaf => 1,
        mime::Kind::Multipart(children) => {
            children.iter().map(parts).sum::<usize>().saturating_add(1)
        }
        mime::Kind::Message(inner) => parts(inner).saturating_add(1),
    }
}

fn read_header(blob: &BlobReader) -> Result<Vec<u8>, StoreError> {
    let mut len_max = FIRST_READ_LEN;
    loop {
        let mut bytes = read_range(blob, 0, len_max)?;
        match header::end(&bytes) {
            Some(end) => bytes.truncate(end),
            None if bytes.len() == len_max && len_max < HEADER_LEN_MAX => {
                len_max = len_max.saturating_mul(8).min(HEADER_LEN_MAX);
                continue;
            }
            None => {}
        }
        bytes.shrink_to_fit();
        return Ok(bytes);
    }
}

/// Bytes of a blob from `from`, at most `len_max`, fewer at its end.
pub(crate) fn read_range(
    blob: &BlobReader,
    from: u64,
    len_max: usize,
) -> Result<Vec<u8>, StoreError> {
    let there = usize::try_from(blob.len().saturating_sub(from)).unwrap_or(usize::MAX);
    let mut bytes = vec![0; len_max.min(there)];
    let mut filled = 0usize;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match blob.read_at(from.saturating_add(filled as u64), rest)? {
            0 => break,
            read => filled = filled.saturating_add(read),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(number: u32) -> BlobId {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&number.to_be_bytes());
        BlobId(id)
    }

    #[test]
    fn memory_is_bounded_and_what_is_used_stays() {
        let outlines = Outlines::default();
        let header = Arc::new(vec![b'x'; 10_000]);
        for number in 0..5_000 {
            outlines
                .keep(blob(number), header.len(), |entry| entry.header = Some(Arc::clone(&header)));
            assert!(outlines.entry(&blob(0)).header.is_some());
        }
        assert!(outlines.entry(&blob(1)).header.is_none());
        let generations = outlines.0.lock().unwrap();
        let kept = generations.young.len() + generations.old.len();
        assert!(
            kept * 10_000 <= GENERATION_LEN_MAX * 2 && generations.young_len <= GENERATION_LEN_MAX
        );
        assert_eq!(
            generations.young_len,
            generations.young.values().map(|entry| entry.len).sum::<usize>()
        );
    }
}
