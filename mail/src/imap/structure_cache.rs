//! A cache of message headers and structures, so that listing thousands of messages opens each blob
//! once.
//!
//! It is used where the mailbox's index does not have what is asked. It has two generations. An
//! entry that is used moves to the young one; when the young one is full it becomes the old one,
//! and the previous old one is dropped. The bytes of a message never change and a UID is never
//! reused, so no entry is ever stale.
#![allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use freehold_core::blobs::BlobReader;
use freehold_core::mailbox::{self, FolderId, MESSAGE_LEN_MAX, Message};
use freehold_core::node::Node;
use freehold_core::store::StoreError;
use freehold_mime::header_end;
use freehold_mime::structure::{HEADER_LEN_MAX, Structure as Parts};

use freehold_mime::imap::Printer;
use freehold_mime::imap::body_structure::{self, Envelopes};

/// The size of one generation, in bytes.
const GENERATION_LEN_MAX: usize = 6 * 1024 * 1024;
/// The overhead of an entry, in bytes.
const ENTRY_LEN: usize = 200;
/// The memory for one part of a structure, in bytes.
const PART_LEN: usize = 250;
/// Bytes of a message that are read first, to find the end of its header.
const FIRST_READ_LEN: usize = 8 * 1024;

/// The header of a message.
#[derive(Debug)]
pub(crate) struct Header {
    /// Its bytes with the empty line, at most `HEADER_LEN_MAX`.
    pub(crate) bytes: Vec<u8>,
    /// True if the header is longer.
    pub(crate) is_cut: bool,
}

/// The structure of a message.
#[derive(Debug)]
pub(crate) struct Structure {
    /// The parts.
    pub(crate) parts: Parts,
    /// For clients that have not enabled UTF-8.
    pub(crate) rfc822: Printed,
    /// For the others: a message/global has its envelope and body.
    pub(crate) global: Printed,
}

/// The printed forms of a structure.
#[derive(Debug)]
pub(crate) struct Printed {
    /// The BODY item.
    pub(crate) body: Vec<u8>,
    /// The BODYSTRUCTURE item.
    pub(crate) body_structure: Vec<u8>,
}

impl Printed {
    fn len(&self) -> usize {
        self.body.len().saturating_add(self.body_structure.len())
    }
}

#[derive(Clone, Debug, Default)]
struct Entry {
    header: Option<Arc<Header>>,
    structure: Option<Arc<Structure>>,
    /// The estimated memory of the entry, in bytes.
    len: usize,
}

/// A message: its folder and its UID.
type Key = (FolderId, u32);

fn key(message: &Message) -> Key {
    (message.folder, message.uid)
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Key, Entry>,
    young_len: usize,
    old: HashMap<Key, Entry>,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct StructureCache(Mutex<Generations>);

impl StructureCache {
    /// The header of a message. Blocks.
    pub(crate) fn header(&self, node: &Node, message: &Message) -> Result<Arc<Header>, StoreError> {
        if let Some(header) = self.entry(&key(message)).header {
            return Ok(header);
        }
        let header = Arc::new(read_header(&mailbox::body(node, message)?)?);
        let len = header.bytes.len();
        self.insert(key(message), len, |entry| entry.header = Some(Arc::clone(&header)));
        Ok(header)
    }

    /// The structure of a message. Blocks.
    pub(crate) fn structure(
        &self,
        node: &Node,
        message: &Message,
    ) -> Result<Arc<Structure>, StoreError> {
        if let Some(structure) = self.entry(&key(message)).structure {
            return Ok(structure);
        }
        let bytes = mailbox::body(node, message)?
            .read_all(usize::try_from(MESSAGE_LEN_MAX).unwrap_or(usize::MAX))?;
        let structure = Arc::new(parse(&bytes));
        let len = structure
            .rfc822
            .len()
            .saturating_add(structure.global.len())
            .saturating_add(structure.parts.count().saturating_mul(PART_LEN));
        self.insert(key(message), len, |entry| entry.structure = Some(Arc::clone(&structure)));
        Ok(structure)
    }

    /// The entry of a message, moved to the young generation; an empty one if there is none.
    fn entry(&self, message: &Key) -> Entry {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match generations.old.remove(message) {
            Some(entry) => {
                generations.put(*message, entry.clone());
                entry
            }
            None => generations.young.get(message).cloned().unwrap_or_default(),
        }
    }

    fn insert(&self, message: Key, len: usize, set: impl FnOnce(&mut Entry)) {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entry =
            generations.take(&message).unwrap_or(Entry { len: ENTRY_LEN, ..Entry::default() });
        entry.len = entry.len.saturating_add(len);
        set(&mut entry);
        generations.put(message, entry);
    }
}

impl Generations {
    fn take(&mut self, message: &Key) -> Option<Entry> {
        let entry = self.young.remove(message);
        self.young_len = self.young_len.saturating_sub(entry.as_ref().map_or(0, |entry| entry.len));
        entry.or_else(|| self.old.remove(message))
    }

    fn put(&mut self, message: Key, entry: Entry) {
        if self.young_len.saturating_add(entry.len) > GENERATION_LEN_MAX {
            self.young_len = 0;
            self.old = std::mem::take(&mut self.young);
        }
        self.young_len = self.young_len.saturating_add(entry.len);
        self.young.insert(message, entry);
    }
}

fn parse(bytes: &[u8]) -> Structure {
    let parts = Parts::parse(bytes);
    let rfc822 = printed(bytes, &parts, Envelopes::Rfc822);
    let global = printed(bytes, &parts, Envelopes::Global);
    Structure { parts, rfc822, global }
}

fn printed(bytes: &[u8], parts: &Parts, envelopes: Envelopes) -> Printed {
    let mut out = Printer::default();
    body_structure::print_for(&mut out, bytes, parts, Parts::ROOT, false, envelopes);
    let body = out.take();
    body_structure::print_for(&mut out, bytes, parts, Parts::ROOT, true, envelopes);
    Printed { body, body_structure: out.take() }
}

fn read_header(blob: &BlobReader) -> Result<Header, StoreError> {
    let mut len_max = FIRST_READ_LEN;
    loop {
        let mut bytes = read_range(blob, 0, len_max)?;
        let mut is_cut = false;
        match header_end::end(&bytes) {
            Some(end) => bytes.truncate(end),
            None if bytes.len() == len_max && len_max < HEADER_LEN_MAX => {
                len_max = len_max.saturating_mul(8).min(HEADER_LEN_MAX);
                continue;
            }
            None => {
                let len = header_end::len(&bytes);
                is_cut = len == bytes.len() && (len as u64) < blob.len();
                bytes.truncate(len);
            }
        }
        bytes.shrink_to_fit();
        return Ok(Header { bytes, is_cut });
    }
}

/// Bytes of a blob from `from`: `len_max`, or fewer at its end.
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

    fn message(number: u32) -> Key {
        (FolderId(1), number)
    }

    #[test]
    fn structure_cache_is_bounded_and_keeps_used_entries() {
        let cache = StructureCache::default();
        let header = Arc::new(Header { bytes: vec![b'x'; 10_000], is_cut: false });
        for number in 0..5_000 {
            cache.insert(message(number), header.bytes.len(), |entry| {
                entry.header = Some(Arc::clone(&header))
            });
            assert!(cache.entry(&message(0)).header.is_some());
        }
        assert!(cache.entry(&message(1)).header.is_none());
        let generations = cache.0.lock().unwrap();
        let entry_count = generations.young.len() + generations.old.len();
        assert!(
            entry_count * 10_000 <= GENERATION_LEN_MAX * 2
                && generations.young_len <= GENERATION_LEN_MAX
        );
        assert_eq!(
            generations.young_len,
            generations.young.values().map(|entry| entry.len).sum::<usize>()
        );
    }
}
