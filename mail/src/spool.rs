//! A message on its way into a blob, for DATA, BDAT and APPEND.
//!
//! Bytes are gathered in memory and written in large pieces on a thread that may block, so that a
//! short message costs one change of thread.

mod file;

use freehold_core::blobs::{Blobs, Pinned};
use freehold_core::blocking::try_blocking;
use freehold_core::mailbox;
use freehold_core::node::Node;
use freehold_core::store::StoreError;

pub(crate) use file::SpoolFile;

/// Bytes gathered before they are written.
const GATHER_LEN: usize = 64 * 1024;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Spool {
    /// `None` while it is written to; the error once a write has failed.
    file: Result<Option<SpoolFile>, StoreError>,
    gathered: Vec<u8>,
    /// True once bytes are in the file.
    is_begun: bool,
}

impl Spool {
    /// A spool into a new file for at most `len_max` bytes.
    ///
    /// # Errors
    /// [`StoreError::Full`].
    pub(crate) async fn create(blobs: &Blobs, len_max: u64) -> Result<Self, StoreError> {
        let blobs = blobs.clone();
        Ok(Self::new(try_blocking(move || SpoolFile::create(&blobs, len_max)).await?))
    }

    /// A spool into `file`.
    pub(crate) fn new(file: SpoolFile) -> Self {
        Self { file: Ok(Some(file)), gathered: Vec::new(), is_begun: false }
    }

    /// Takes the next bytes. An error is kept for [`Spool::finish`], and the bytes after it are
    /// dropped.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        if self.file.is_err() {
            return;
        }
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() < GATHER_LEN {
            return;
        }
        let Ok(Some(mut file)) = std::mem::replace(&mut self.file, Ok(None)) else { return };
        let gathered = std::mem::take(&mut self.gathered);
        self.is_begun = true;
        self.file = try_blocking(move || file.write(&gathered).map(|()| Some(file))).await;
    }

    /// Drops the file. [`Spool::finish`] returns `error`.
    pub(crate) fn fail(&mut self, error: StoreError) {
        self.file = Err(error);
        self.gathered = Vec::new();
    }

    /// [`Spool::finish`] with `prefix` before all bytes. A long message is copied for that: its
    /// prefix is known only at its end.
    ///
    /// # Errors
    /// As [`Spool::finish`].
    pub(crate) async fn finish_behind(
        mut self,
        node: &Node,
        prefix: String,
    ) -> Result<Pinned, StoreError> {
        if !self.is_begun {
            self.gathered.splice(0..0, prefix.into_bytes());
            return self.finish().await;
        }
        let text = self.finish().await?;
        let (blobs, id) = (node.blobs.clone(), text.id);
        let copied = try_blocking(move || file::copy_behind(&blobs, prefix.as_bytes(), &text));
        let copied = copied.await?;
        if copied.id != id
            && let Err(error) = mailbox::discard(node, id).await
        {
            tracing::warn!(%error, "a copied file is deleted later");
        }
        Ok(copied)
    }

    /// Writes the last bytes and makes the blob durable; a blob that travels with its row (at most
    /// 128 KiB) becomes durable with the row.
    ///
    /// # Errors
    /// The first error of a write, or the disk's.
    pub(crate) async fn finish(self) -> Result<Pinned, StoreError> {
        let Some(mut file) = self.file? else {
            return Err(StoreError::Unavailable("a write was interrupted".to_owned()));
        };
        let gathered = self.gathered;
        try_blocking(move || {
            file.write(&gathered)?;
            file.finish()
        })
        .await
    }
}
