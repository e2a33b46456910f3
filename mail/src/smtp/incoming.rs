//! A message that is being received: its header is processed while it is spooled into a blob, and
//! it is never whole in memory.

use freehold_core::blobs::Pinned;
use freehold_core::shares::Allowance;
use freehold_core::store::StoreError;

use super::envelope::Envelope;
use super::headers::{Headers, Treatment};
use super::reply::Reply;
use crate::spool::Spool;
use crate::state::MailState;

/// The most that this server adds to a message, in bytes.
const OWN_LINES_LEN_MAX: u64 = 64 * 1024;
/// The most Received fields; a message with more is in a mail loop (RFC 5321 6.3).
const RECEIVED_MAX: u32 = 50;

/// A message that is being received.
pub(super) struct Incoming {
    pub(super) envelope: Envelope,
    pub(super) headers: Headers,
    /// The identifier of this reception in Received and in the reply.
    pub(super) id: String,
    /// The shares of the disk that the message is charged to.
    pub(super) charged: Vec<Allowance>,
    hasher: blake3::Hasher,
    spool: Spool,
}

/// A message that was received.
pub(super) struct Received {
    pub(super) envelope: Envelope,
    pub(super) headers: Headers,
    pub(super) id: String,
    pub(super) charged: Vec<Allowance>,
    pub(super) blob: Pinned,
    /// The hash of the text as received, without the additions of this server.
    pub(super) hash: [u8; 32],
}

impl Incoming {
    /// Begins a message with the `trace` fields of this server.
    pub(super) async fn begin(
        state: &MailState,
        envelope: Envelope,
        treatment: Treatment,
        id: String,
        trace: &str,
    ) -> Result<Self, StoreError> {
        let len_max = state.config.message_len_max.saturating_add(OWN_LINES_LEN_MAX);
        let mut spool = Spool::create(&state.node.blobs, len_max).await?;
        spool.write(trace.as_bytes()).await;
        Ok(Self {
            envelope,
            headers: Headers::new(treatment),
            id,
            charged: Vec::new(),
            hasher: blake3::Hasher::new(),
            spool,
        })
    }

    /// Takes a piece of the text. An error of the store is reported at the end, as SMTP has no
    /// reply before it.
    pub(super) async fn write(&mut self, text: &[u8]) {
        self.hasher.update(text);
        let mut out = Vec::with_capacity(text.len());
        self.headers.read(text, &mut out);
        self.spool.write(&out).await;
    }

    /// Ends the text and makes its blob.
    pub(super) async fn finish(mut self) -> Result<Received, Reply> {
        let mut out = Vec::new();
        self.headers.finish(&mut out);
        self.spool.write(&out).await;
        if self.headers.received_count() > RECEIVED_MAX {
            return Err(Reply::new(554, "5.4.6", "mail loop: too many Received fields"));
        }
        let blob = self.spool.finish().await?;
        let hash = *self.hasher.finalize().as_bytes();
        let Self { envelope, headers, id, charged, .. } = self;
        Ok(Received { envelope, headers, id, charged, blob, hash })
    }
}
