//! Limits on the costs that a peer may cause, all in one place.
//!
//! | protocol | message | limit |
//! |---|---|---|
//! | `/freehold/hello/1` | both ways, first on each connection | [`HELLO_LEN_MAX`], [`ANSWER_TIMEOUT`] |
//! | `/freehold/identity/1` | Get, Ops | [`OPS_LEN_MAX`] |
//! | `/freehold/follow/1` | Request, Accept, Reject, Unfollow | [`FOLLOW_LEN_MAX`], [`REQUEST_INTERVAL`] per peer without a token |
//! | `/freehold/sync/1` | Have, Want, Entries, Push, Ack, Fork, Lacking, Bye | [`SYNC_FRAME_LEN_MAX`], [`CREDIT`], [`PUSH_PER_SECOND`], [`FRIEND_FRAMES_PER_SECOND`]; of each friend [`freehold_core::apply::ENTRIES_PER_DAY`] |
//! | `/freehold/blob/1` | Get, then verified slices | [`BLOB_STREAMS_MAX`] per peer, [`BLOB_LEN_MAX`], [`BLOB_RANGE_LEN_MAX`] per Get; a daily share of each friend by configuration, and [`freehold_core::timeline::WANTS_MAX`] wanted blobs |
//! | `/freehold/mail/1` | Offer, sealed pieces, Accepted | [`MAIL_OFFER_LEN_MAX`], [`MAIL_PER_HOUR`] of each friend, one at a time, the longest message of SMTP; [`freehold_core::mailbox::FRIEND_MAIL_MIB_PER_DAY`] |
//! | `/freehold/relay/1` | the same, for the world | the same of each friend whom the owner allows to, and the limits per day in [`freehold_core::mailbox::relay`] |

use std::time::Duration;

use freehold_core::photos::FILE_LEN_MAX;

/// Bytes in a hello.
pub(crate) const HELLO_LEN_MAX: usize = 8 * 1024;
/// Bytes in a Get of an identity log.
pub(crate) const IDENTITY_GET_LEN_MAX: usize = 256;
/// Bytes of identity operations in one answer.
pub(crate) const OPS_LEN_MAX: usize = 256 * 1024;
/// Bytes in a follow message.
pub(crate) const FOLLOW_LEN_MAX: usize = 2 * 1024;
/// Bytes of plain text in the note of a follow request.
pub(crate) const NOTE_LEN_MAX: usize = 500;
/// Bytes in the name of a follow message; core shortens names further.
pub(crate) const NAME_LEN_MAX: usize = 200;
/// Addresses in a follow message.
pub(crate) const ADDRESSES_MAX: usize = 4;
/// Bytes in one address.
pub(crate) const ADDRESS_LEN_MAX: usize = 200;
/// Interval between two follow requests of one peer without a token.
pub(crate) const REQUEST_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// How long a peer may take to answer.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Entries in one frame.
pub(crate) const ENTRIES_MAX: usize = 64;
/// Bytes of entries in one frame.
pub(crate) const ENTRIES_LEN_MAX: usize = 256 * 1024;
/// Bytes in one sync frame: [`ENTRIES_LEN_MAX`], and CBOR around the entries.
pub(crate) const SYNC_FRAME_LEN_MAX: usize = ENTRIES_LEN_MAX + 16 * 1024;
/// Bytes of entries sent and not acknowledged.
pub(crate) const CREDIT: usize = 1 << 20;
/// Logs in one Have.
pub(crate) const HAVE_MAX: usize = 512;
/// Logs with an open Want: a friend's node begins a few logs with each start.
pub(crate) const WANTED_MAX: usize = 4096;
/// Frames of a friend per second on a sync stream; a Have counts once per log.
pub(crate) const FRIEND_FRAMES_PER_SECOND: u32 = 1000;
/// Frames of a friend in a burst: the offers of all its logs, and its answers to all of ours.
pub(crate) const FRIEND_FRAMES_BURST: u32 = 16_384;
/// Entries of a peer per second that were not requested.
pub(crate) const PUSH_PER_SECOND: u32 = 20;
/// Entries of a peer in a burst that were not requested.
pub(crate) const PUSH_BURST: u32 = 200;
/// Frames of a stranger per second on a sync stream.
pub(crate) const STRANGER_FRAMES_PER_SECOND: u32 = 2;
/// Frames of a stranger in a burst.
pub(crate) const STRANGER_FRAMES_BURST: u32 = 10;
/// Short requests (hello, identity, follow) of a peer per second.
pub(crate) const REQUESTS_PER_SECOND: u32 = 1;
/// Short requests of a peer in a burst.
pub(crate) const REQUESTS_BURST: u32 = 30;
/// Short requests of all unexpected peers of one network (an IPv4 /24, an IPv6 /48), per second.
pub(crate) const NET_REQUESTS_PER_SECOND: u32 = 1;
/// Short requests of all unexpected peers of one network, in a burst.
pub(crate) const NET_REQUESTS_BURST: u32 = 60;
/// Short requests of all unexpected peers together, per second.
pub(crate) const STRANGERS_REQUESTS_PER_SECOND: u32 = 10;
/// Short requests of all unexpected peers together, in a burst.
pub(crate) const STRANGERS_REQUESTS_BURST: u32 = 600;
/// The cost in short requests of fetching and verifying a whole identity log.
pub(crate) const LOOK_UP_COST: usize = 8;
/// Identity logs of strangers verified at once, over all peers.
pub(crate) const STRANGERS_VERIFIED_MAX: usize = 1;
/// Bytes queued for a peer that does not read, before its stream is ended.
pub(crate) const UNSENT_LEN_MAX: usize = 4 << 20;

/// New own entries buffered for a slow sync stream, before it offers its logs again instead.
pub(crate) const NEW_ENTRIES_BUFFERED_MAX: usize = 64;

/// Open blob streams of a peer.
pub(crate) const BLOB_STREAMS_MAX: usize = 4;
/// Partly fetched blobs that are not being fetched now.
pub(crate) const PARTIALS_MAX: usize = 16;
/// How long a partly fetched blob is kept.
pub(crate) const PARTIAL_TTL: Duration = Duration::from_secs(10 * 60);
/// Longest wait before a blob whose transfer failed is requested again.
pub(crate) const FETCH_WAIT_MAX: Duration = Duration::from_secs(10 * 60);
/// How long a blob is not requested again that a friend does not have, or sent with wrong bytes.
pub(crate) const MISSING_WAIT: Duration = Duration::from_secs(60 * 60);
/// KiB of blobs sent to a friend per second.
pub(crate) const FRIEND_BLOB_KIB_PER_SECOND: u32 = 4096;
/// KiB of blobs sent to a friend in a burst.
pub(crate) const FRIEND_BLOB_KIB_BURST: u32 = 1 << 20;
/// KiB of blobs sent to a stranger per second.
pub(crate) const STRANGER_BLOB_KIB_PER_SECOND: u32 = 64;
/// KiB of blobs sent to a stranger in a burst.
pub(crate) const STRANGER_BLOB_KIB_BURST: u32 = 4096;
/// KiB of blobs sent to all strangers together, per second.
pub(crate) const STRANGERS_BLOB_KIB_PER_SECOND: u32 = 1024;
/// KiB of blobs sent to all strangers together, in a burst.
pub(crate) const STRANGERS_BLOB_KIB_BURST: u32 = 64 * 1024;
/// Bytes in a blob that is fetched from or sent to a peer.
pub(crate) const BLOB_LEN_MAX: u64 = FILE_LEN_MAX;
/// Bytes in the range of one Get.
pub(crate) const BLOB_RANGE_LEN_MAX: u64 = 1 << 20;
/// Bytes in one frame of a slice.
pub(crate) const BLOB_FRAME_LEN_MAX: usize = 64 * 1024;
/// Bytes in a Get of a blob.
pub(crate) const BLOB_GET_LEN_MAX: usize = 256;

/// Bytes in the offer of a message.
pub(crate) const MAIL_OFFER_LEN_MAX: usize = 24 * 1024;
/// Bytes in the envelope of a message.
pub(crate) const MAIL_ENVELOPE_LEN_MAX: usize = 20 * 1024;
/// Bytes in the answer to an offer.
pub(crate) const MAIL_REPLY_LEN_MAX: usize = 1024;
/// Recipients of one offer.
pub(crate) const MAIL_RECIPIENTS_MAX: usize = 50;
/// Bytes of a mail address.
pub(crate) const MAIL_ADDRESS_LEN_MAX: usize = 320;
/// Bytes of a message's text in one piece.
pub(crate) const MAIL_PIECE_LEN: usize = 64 * 1024;
/// Messages of a friend per hour, and in a burst.
pub(crate) const MAIL_PER_HOUR: u32 = 60;
/// How long one piece of a message may take.
pub(crate) const MAIL_PIECE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a receiver may take to store a message (RFC 5321 4.5.3.2.6 has ten minutes).
pub(crate) const MAIL_STORE_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a sender waits for the check of its message's signature. DNS may take a while.
pub(crate) const RELAY_CHECK_TIMEOUT: Duration = Duration::from_secs(60);
