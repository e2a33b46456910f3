//! A message that is being received: its header is processed while it is spooled into a blob, and
//! it is never whole in memory.

use freehold_core::blobs::{Pinned, SMALL_LEN_MAX};
use freehold_core::blocking::try_blocking;
use freehold_core::clock::Timestamp;
use freehold_core::mailbox::Evidence;
use freehold_core::node::Node;
use freehold_core::shares::{Reservation, Share};
use freehold_core::store::StoreError;

use super::envelope::Envelope;
use super::headers::ascii::AsciiHeader;
use super::headers::{Headers, Treatment};
use super::receive;
use super::reply::Reply;
use crate::authentication::{self, Checker, Digest, Sender, Undecided, Verdict};
use crate::spool::Spool;
use crate::state::MailState;

/// The most that this server adds to a message, in bytes.
const OWN_LINES_LEN_MAX: u64 = 64 * 1024;
/// The most Received fields; a message with more is in a mail loop (RFC 5321 6.3: at least 100).
const RECEIVED_MAX: u32 = 100;

/// The bytes that a message holds of a share at a time. A shorter one is in memory until it is
/// charged.
const RESERVED_LEN: u64 = 1024 * 1024;

/// A message that is being received.
pub(super) struct Incoming {
    pub(super) envelope: Envelope,
    pub(super) headers: Headers,
    ascii: AsciiHeader,
    /// The identifier of this reception in Received and in the reply.
    pub(super) id: String,
    node: Node,
    /// The shares of the disk that the message is charged to.
    reservation: Reservation,
    /// The share that has no room for it.
    beyond: Option<Share>,
    len: u64,
    hasher: blake3::Hasher,
    spool: Spool,
    checks: Option<Checks>,
}

/// The checks of a message's sender. Their result is known at the end of the text and written
/// before it.
pub(super) struct Checks {
    /// The resolvers and lists that are asked.
    pub(super) checker: Checker,
    /// The connection and the envelope.
    pub(super) sender: Sender,
    /// The Return-Path field.
    pub(super) return_path: String,
    /// The Received field.
    pub(super) received: String,
    /// The part of the message that they look at, as far as it has arrived.
    pub(super) digest: Digest,
    /// The messages that are to be tried again because DNS did not answer.
    pub(super) undecided: Undecided,
}

impl Checks {
    /// The verdict on the whole message, and the trace fields with it.
    ///
    /// # Errors
    /// A temporary refusal if DNS did not answer the question that decides. After some hours it
    /// counts as answered with no.
    async fn finish(self, now: Timestamp) -> Result<(Verdict, String), Reply> {
        let Self { checker, sender, return_path, received, digest, undecided } = self;
        let mut verdict = authentication::check(&checker, &sender, &digest.finish()).await;
        if let Some(disowned) = verdict.undecided.take() {
            if undecided.is_deferred(sender.address, &disowned.domain, now) {
                tracing::info!(domain = disowned.domain, "a message waits for an answer of DNS");
                // RFC 3463 3.5 (directory server failure).
                let text = "the DNS of the author's domain does not answer, try again later";
                return Err(Reply::new(451, "4.4.3", text));
            }
            verdict.evidence.disowned = Some(disowned);
        }
        let trace = format!("{return_path}{}{received}", verdict.field);
        Ok((verdict, trace))
    }
}

/// A message that was received.
pub(super) struct Received {
    pub(super) envelope: Envelope,
    pub(super) headers: Headers,
    pub(super) id: String,
    pub(super) reservation: Reservation,
    pub(super) blob: Pinned,
    /// The hash of the text as received, without the additions of this server.
    pub(super) hash: [u8; 32],
    /// The result of the checks of its sender; `None` if it was not checked.
    pub(super) evidence: Option<Evidence>,
}

/// A message that is refused after its text.
pub(super) struct Refused {
    pub(super) reply: Reply,
    /// The text, if the owner may want it.
    pub(super) text: Option<Pinned>,
}

impl<T: Into<Reply>> From<T> for Refused {
    fn from(reply: T) -> Self {
        Self { reply: reply.into(), text: None }
    }
}

impl Incoming {
    /// Begins a message with the `trace` fields of this server.
    pub(super) async fn begin(
        state: &MailState,
        envelope: Envelope,
        treatment: Treatment,
        id: String,
        trace: &str,
        reservation: Reservation,
    ) -> Result<Self, StoreError> {
        let len_max = state.config.message_len_max.saturating_add(OWN_LINES_LEN_MAX);
        let mut spool = Spool::create(&state.node.blobs, len_max).await?;
        spool.write(trace.as_bytes()).await;
        // Without SMTPUTF8 all addresses of the envelope are in ASCII (RFC 6531 3.4).
        let is_submission = matches!(treatment, Treatment::Complete(_));
        let ascii = AsciiHeader::new(is_submission && !envelope.sender.international);
        Ok(Self {
            envelope,
            headers: Headers::new(treatment),
            ascii,
            id,
            node: state.node.clone(),
            reservation,
            beyond: None,
            len: 0,
            hasher: blake3::Hasher::new(),
            spool,
            checks: None,
        })
    }

    /// Has the sender checked. The trace fields of `checks` are added at the end.
    pub(super) fn check(&mut self, checks: Checks) {
        self.checks = Some(checks);
    }

    /// Takes a piece of the text. An error of the store is reported at the end, as SMTP has no
    /// reply before it.
    pub(super) async fn write(&mut self, text: &[u8]) {
        self.hasher.update(text);
        if let Some(checks) = &mut self.checks {
            checks.digest.read(text);
        }
        let mut out = Vec::with_capacity(text.len());
        self.headers.read(text, &mut out);
        let out = self.ascii.read(out);
        self.len = self.len.saturating_add(out.len() as u64);
        if self.len > SMALL_LEN_MAX as u64 && self.len > self.reservation.bytes() {
            self.reserve().await;
        }
        self.spool.write(&out).await;
    }

    /// Holds a part of the shares for the bytes so far. Without room the spool drops its file and
    /// all further bytes.
    async fn reserve(&mut self) {
        let (node, none) = (self.node.clone(), Reservation::new(&self.node.arriving, Vec::new()));
        let mut reservation = std::mem::replace(&mut self.reservation, none);
        let bytes = self.len.next_multiple_of(RESERVED_LEN);
        let grown = try_blocking(move || {
            let grown = reservation.grow(&node.store, node.clock.now(), bytes)?;
            Ok((grown, reservation))
        });
        match grown.await {
            Ok((Ok(()), reservation)) => self.reservation = reservation,
            Ok((Err(share), _)) => {
                self.beyond = Some(share);
                self.spool.fail(StoreError::Full);
            }
            Err(error) => self.spool.fail(error),
        }
    }

    /// Ends the text and makes its blob.
    pub(super) async fn finish(mut self) -> Result<Received, Refused> {
        if let Some(share) = self.beyond {
            return Err(receive::used_up(share).into());
        }
        let mut out = Vec::new();
        self.headers.finish(&mut out);
        self.spool.write(&self.ascii.read(out)).await;
        self.spool.write(&self.ascii.finish()).await;
        if self.headers.received_count() > RECEIVED_MAX {
            return Err(Reply::new(554, "5.4.6", "mail loop: too many Received fields").into());
        }
        if self.checks.as_ref().is_some_and(|checks| checks.digest.is_header_too_long()) {
            return Err(Reply::new(552, "5.3.4", "the header of the message is too long").into());
        }
        // Each program would show another one, and only one of them can be proven.
        if self.checks.is_some() && self.headers.from_count() > 1 {
            let reply = Reply::new(550, "5.7.1", "the message has more than one From field");
            return Err(Refused { reply, text: Some(self.spool.finish().await?) });
        }
        let (blob, evidence) = match self.checks {
            None => (self.spool.finish().await?, None),
            Some(checks) => {
                // DNS is asked: boxed, as the future is large.
                let now = self.node.clock.now();
                let (verdict, trace) = Box::pin(checks.finish(now)).await?;
                (self.spool.finish_behind(&self.node, trace).await?, Some(verdict.evidence))
            }
        };
        let hash = *self.hasher.finalize().as_bytes();
        let Self { envelope, headers, id, reservation, .. } = self;
        Ok(Received { envelope, headers, id, reservation, blob, hash, evidence })
    }
}
