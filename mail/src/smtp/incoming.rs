//! A message on its way in: streamed through its header into a blob, never whole in memory.

use freehold_core::blobs::{AtRest, BlobWriter, Pinned};
use freehold_core::store::StoreError;

use super::envelope::Envelope;
use super::headers::{Headers, Treatment};
use super::reply::Reply;
use crate::state::MailState;

/// Room for the lines we write above and into a message, in bytes.
const OWN_LINES_LEN_MAX: u64 = 64 * 1024;
/// A blob up to this long is made durable together with its row; a longer one is on a thread that
/// may block.
const FINISH_IN_PLACE_LEN_MAX: u64 = 128 * 1024;
/// The most Received lines before a message is taken for one going round in circles (RFC 5321 6.3).
const RECEIVED_MAX: u32 = 50;

/// A message of which the text is coming.
pub(super) struct Incoming {
    pub(super) envelope: Envelope,
    pub(super) headers: Headers,
    /// The name of this reception in the trace and in our reply.
    pub(super) id: String,
    len: u64,
    hasher: blake3::Hasher,
    writer: Result<BlobWriter, StoreError>,
}

/// A message of which the text is there.
pub(super) struct Whole {
    pub(super) envelope: Envelope,
    pub(super) headers: Headers,
    pub(super) id: String,
    pub(super) blob: Pinned,
    /// The hash of the text as it came, without what we wrote into it.
    pub(super) hash: [u8; 32],
}

impl Incoming {
    /// Begins a message with the lines we write above it.
    pub(super) fn begin(
        state: &MailState,
        envelope: Envelope,
        treatment: Treatment,
        id: String,
        above: &str,
    ) -> Result<Self, StoreError> {
        let len_max = state.config.message_len_max.saturating_add(OWN_LINES_LEN_MAX);
        let mut writer = state.node.blobs.writer(AtRest::Sealed, len_max)?;
        writer.write(above.as_bytes())?;
        Ok(Self {
            envelope,
            headers: Headers::new(treatment),
            id,
            len: above.len() as u64,
            hasher: blake3::Hasher::new(),
            writer: Ok(writer),
        })
    }

    /// Takes a piece of the text. A store that refuses is remembered until the end, when it can be
    /// said.
    pub(super) fn write(&mut self, text: &[u8]) {
        self.hasher.update(text);
        let mut out = Vec::with_capacity(text.len());
        self.headers.read(text, &mut out);
        self.store(&out);
    }

    fn store(&mut self, bytes: &[u8]) {
        self.len = self.len.saturating_add(bytes.len() as u64);
        if let Ok(writer) = &mut self.writer
            && let Err(error) = writer.write(bytes)
        {
            self.writer = Err(error);
        }
    }

    /// Ends the text and makes the blob.
    pub(super) async fn finish(mut self) -> Result<Whole, Reply> {
        let mut out = Vec::new();
        self.headers.finish(&mut out);
        self.store(&out);
        if self.headers.received_count() > RECEIVED_MAX {
            return Err(Reply::new(
                554,
                "5.4.6",
                "the message has been through too many servers: it goes in circles",
            ));
        }
        let writer = self.writer.map_err(|error| super::exchange::store_reply(&error))?;
        let made = if self.len <= FINISH_IN_PLACE_LEN_MAX {
            writer.finish()
        } else {
            match tokio::task::spawn_blocking(move || writer.finish()).await {
                Ok(made) => made,
                Err(error) => Err(StoreError::Unavailable(error.to_string())),
            }
        };
        let blob = made.map_err(|error| super::exchange::store_reply(&error))?;
        let hash = *self.hasher.finalize().as_bytes();
        Ok(Whole { envelope: self.envelope, headers: self.headers, id: self.id, blob, hash })
    }
}
