//! Blobs that have come in part and wait for whoever has the rest. They outlive a connection, not
//! the process.
//!
//! Each holds an open file, so there are at most [`PARTIALS_MAX`] of them for at most
//! [`PARTIAL_KEPT`]; a blob whose part was dropped begins anew.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use freehold_core::blobs::BlobWriter;
use freehold_core::clock::Timestamp;
use freehold_core::store::BlobId;

use crate::limits::{PARTIAL_KEPT, PARTIALS_MAX};

/// What waits.
#[derive(Default)]
pub(crate) struct Partials(Mutex<HashMap<BlobId, (Timestamp, BlobWriter)>>);

/// A blob that is being fetched. Dropped before its end, what has come is put back.
pub(crate) struct Taking<'a> {
    partials: &'a Partials,
    blob: BlobId,
    now: Timestamp,
    /// Gone while a thread writes to it, and for good once that fails.
    pub(crate) writer: Option<BlobWriter>,
}

impl Partials {
    /// Takes a part that waits; the caller alone has it.
    pub(crate) fn take(&self, blob: BlobId, now: Timestamp) -> Taking<'_> {
        let writer = self.lock().remove(&blob).map(|(_, writer)| writer);
        Taking { partials: self, blob, now, writer }
    }

    /// Drops what has lain too long.
    pub(crate) fn forget_old(&self, now: Timestamp) {
        let kept = u64::try_from(PARTIAL_KEPT.as_millis()).unwrap_or(u64::MAX);
        self.lock().retain(|_, (since, _)| now.millis_since(*since) < kept);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<BlobId, (Timestamp, BlobWriter)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        let Some(writer) = self.writer.take().filter(|writer| !writer.is_empty()) else { return };
        let mut waiting = self.partials.lock();
        if waiting.len() >= PARTIALS_MAX
            && let Some(oldest) =
                waiting.iter().min_by_key(|(_, (since, _))| *since).map(|(blob, _)| *blob)
        {
            waiting.remove(&oldest);
        }
        waiting.insert(self.blob, (self.now, writer));
    }
}

#[cfg(test)]
mod tests {
    use freehold_core::blobs::AtRest;
    use freehold_core::testing::TestNode;

    use super::*;

    #[allow(clippy::disallowed_methods, reason = "a test may block")]
    #[tokio::test]
    async fn parts_are_few_and_do_not_wait_for_ever() {
        let (node, partials) = (TestNode::new("alice").await, Partials::default());
        for number in 0..40u8 {
            let mut taking = partials.take(BlobId([number; 32]), node.clock.now());
            let mut writer = node.blobs.writer(AtRest::Plain, 1 << 20).unwrap();
            writer.write(&[number; 200_000]).unwrap();
            taking.writer = Some(writer);
            node.clock.advance(1);
        }
        assert_eq!(partials.lock().len(), PARTIALS_MAX);
        assert!(
            partials.take(BlobId([0; 32]), node.clock.now()).writer.is_none(),
            "the oldest went first"
        );
        assert_eq!(
            partials.take(BlobId([39; 32]), node.clock.now()).writer.as_ref().unwrap().len(),
            200_000
        );
        node.clock.advance(u64::try_from(PARTIAL_KEPT.as_millis()).unwrap() - 2);
        partials.forget_old(node.clock.now());
        assert_eq!(partials.lock().len(), 1, "the one that was looked at last");
        node.clock.advance(2);
        partials.forget_old(node.clock.now());
        assert!(partials.lock().is_empty());
    }
}
