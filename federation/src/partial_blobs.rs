//! Blobs of which a part was fetched. They outlive a connection, not the process.
//!
//! Each holds an open file, so there are at most [`PARTIALS_MAX`] of them for at most
//! [`PARTIAL_TTL`]; a blob whose part was dropped is fetched from its beginning.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use freehold_core::blobs::BlobWriter;
use freehold_core::clock::Timestamp;
use freehold_core::store::BlobId;

use crate::limits::{PARTIAL_TTL, PARTIALS_MAX};

/// The parts that are not being fetched now.
#[derive(Default)]
pub(crate) struct PartialBlobs(Mutex<HashMap<BlobId, (Timestamp, Box<BlobWriter>)>>);

/// A blob that is being fetched. When dropped before its end, the part is put back.
pub(crate) struct PartialBlob<'a> {
    all: &'a PartialBlobs,
    blob: BlobId,
    now: Timestamp,
    /// `None` while a blocking thread writes to it, and for good once that fails.
    pub(crate) writer: Option<Box<BlobWriter>>,
}

impl PartialBlobs {
    /// Takes the part of a blob, or an empty one. The caller has it alone.
    pub(crate) fn take(&self, blob: BlobId, now: Timestamp) -> PartialBlob<'_> {
        let writer = self.lock().remove(&blob).map(|(_, writer)| writer);
        PartialBlob { all: self, blob, now, writer }
    }

    /// Drops parts older than [`PARTIAL_TTL`].
    pub(crate) fn drop_expired(&self, now: Timestamp) {
        let ttl_millis = u64::try_from(PARTIAL_TTL.as_millis()).unwrap_or(u64::MAX);
        self.lock().retain(|_, (since, _)| now.millis_since(*since) < ttl_millis);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<BlobId, (Timestamp, Box<BlobWriter>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PartialBlob<'_> {
    fn drop(&mut self) {
        let Some(writer) = self.writer.take().filter(|writer| !writer.is_empty()) else { return };
        let mut parts = self.all.lock();
        if parts.len() >= PARTIALS_MAX
            && let Some(oldest) =
                parts.iter().min_by_key(|(_, (since, _))| *since).map(|(blob, _)| *blob)
        {
            parts.remove(&oldest);
        }
        parts.insert(self.blob, (self.now, writer));
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test may block")]
mod tests {
    use freehold_core::testing::TestNode;

    use super::*;

    #[tokio::test]
    async fn partial_blobs_are_bounded_in_number_and_age() {
        let (node, partials) = (TestNode::new("alice").await, PartialBlobs::default());
        for number in 0..40u8 {
            let mut partial = partials.take(BlobId([number; 32]), node.clock.now());
            let mut writer = node.blobs.writer(1 << 20).unwrap();
            writer.write(&[number; 200_000]).unwrap();
            partial.writer = Some(Box::new(writer));
            drop(partial);
            node.clock.advance(1);
        }
        assert_eq!(partials.lock().len(), PARTIALS_MAX);
        assert!(
            partials.take(BlobId([0; 32]), node.clock.now()).writer.is_none(),
            "the oldest is dropped first"
        );
        assert_eq!(
            partials.take(BlobId([39; 32]), node.clock.now()).writer.as_ref().unwrap().len(),
            200_000
        );
        node.clock.advance(u64::try_from(PARTIAL_TTL.as_millis()).unwrap() - 2);
        partials.drop_expired(node.clock.now());
        assert_eq!(partials.lock().len(), 1, "the one that was taken last");
        node.clock.advance(2);
        partials.drop_expired(node.clock.now());
        assert!(partials.lock().is_empty());
    }
}
