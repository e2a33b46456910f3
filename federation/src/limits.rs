//! What a peer may cost this node. One table, so that it can be read at a glance.
//!
//! | protocol | message | limit |
//! |---|---|---|
//! | `/freehold/hello/1` | both ways, first on each connection | [`HELLO_LEN_MAX`], [`ANSWER_TIMEOUT`] |
//! | `/freehold/identity/1` | Get, Ops | [`OPS_LEN_MAX`] |
//! | `/freehold/follow/1` | Request, Accept, Reject, Unfollow | [`FOLLOW_LEN_MAX`], [`REQUEST_INTERVAL`] per peer without a token |
//! | `/freehold/sync/1` | Have, Want, Entries, Push, Ack, Fork, Lacking, Bye | [`SYNC_FRAME_LEN_MAX`], [`CREDIT`], [`PUSH_PER_SECOND`], [`FRIEND_FRAMES_PER_SECOND`]; of each friend [`ENTRIES_MIB_PER_FRIEND_DAY`] |
//! | `/freehold/blob/1` | Get, then verified slices | [`BLOB_STREAMS_MAX`] per peer, [`BLOB_LEN_MAX`], [`BLOB_RANGE_LEN_MAX`] per Get; a day's share of each friend by configuration, and [`freehold_core::timeline::WANTS_MAX`] blobs that wait |

use std::time::Duration;

use freehold_core::photos::FILE_LEN_MAX;

/// Bytes in a hello.
pub(crate) const HELLO_LEN_MAX: usize = 8 * 1024;
/// Bytes in a request for an identity log.
pub(crate) const IDENTITY_GET_LEN_MAX: usize = 256;
/// Bytes of identity operations in one answer.
pub(crate) const OPS_LEN_MAX: usize = 256 * 1024;
/// Bytes in a follow message.
pub(crate) const FOLLOW_LEN_MAX: usize = 2 * 1024;
/// Bytes of plain text in the note of a request.
pub(crate) const NOTE_LEN_MAX: usize = 500;
/// Addresses one side tells the other.
pub(crate) const ADDRESSES_MAX: usize = 4;
/// Bytes in one address.
pub(crate) const ADDRESS_LEN_MAX: usize = 200;
/// A peer without a token asks once in this time.
pub(crate) const REQUEST_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// A peer that does not answer within this is hung up on.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Entries in one frame.
pub(crate) const ENTRIES_MAX: usize = 64;
/// Bytes of entries in one frame.
pub(crate) const ENTRIES_LEN_MAX: usize = 256 * 1024;
/// Bytes in one sync frame: a full load of entries, and what wraps them.
pub(crate) const SYNC_FRAME_LEN_MAX: usize = ENTRIES_LEN_MAX + 16 * 1024;
/// Bytes of entries sent and not yet acknowledged.
pub(crate) const CREDIT: usize = 1 << 20;
/// Logs one Have may name.
pub(crate) const HAVE_MAX: usize = 512;
/// Logs that are being asked for at once: a friend's node begins a few with each start.
pub(crate) const WANTED_MAX: usize = 4096;
/// MiB of entries taken from one friend in a day, asked for or not: years of a diligent writer.
/// What is more comes on the days after.
pub(crate) const ENTRIES_MIB_PER_FRIEND_DAY: u32 = 256;
/// Frames a friend may send per second on a sync stream; a Have counts for the logs it names.
pub(crate) const FRIEND_FRAMES_PER_SECOND: u32 = 1000;
/// Frames a friend may send at once: the offers of all its logs, and its answers to all of ours.
pub(crate) const FRIEND_FRAMES_BURST: u32 = 16_384;
/// Entries a peer may push per second, when nobody asked for them.
pub(crate) const PUSH_PER_SECOND: u32 = 20;
/// Entries a peer may push at once after a quiet while.
pub(crate) const PUSH_BURST: u32 = 200;
/// Frames a stranger may send per second on a sync stream.
pub(crate) const STRANGER_FRAMES_PER_SECOND: u32 = 2;
/// Frames a stranger may send at once.
pub(crate) const STRANGER_FRAMES_BURST: u32 = 10;
/// Short requests (hello, identity, follow) a peer may make per second.
pub(crate) const REQUESTS_PER_SECOND: u32 = 1;
/// Short requests a peer may make at once.
pub(crate) const REQUESTS_BURST: u32 = 30;
/// Short requests that all peers who are no friends may make per second, together.
pub(crate) const STRANGERS_REQUESTS_PER_SECOND: u32 = 10;
/// Short requests that they may make at once.
pub(crate) const STRANGERS_REQUESTS_BURST: u32 = 600;
/// What fetching and verifying a whole identity log counts for among a peer's short requests.
pub(crate) const LOOK_UP_COST: usize = 8;
/// Identity logs of strangers that are verified at once, all peers together.
pub(crate) const STRANGERS_VERIFIED_MAX: usize = 1;
/// Bytes waiting to be sent to a peer that does not read, before it is hung up on.
pub(crate) const UNSENT_LEN_MAX: usize = 4 << 20;

/// Blob streams a peer may have open.
pub(crate) const BLOB_STREAMS_MAX: usize = 4;
/// Blobs that have come in part and are not being fetched just now.
pub(crate) const PARTIALS_MAX: usize = 16;
/// How long such a part is kept.
pub(crate) const PARTIAL_KEPT: Duration = Duration::from_secs(10 * 60);
/// The longest wait before a blob that could not be had is tried again.
pub(crate) const FETCH_WAIT_MAX: Duration = Duration::from_secs(10 * 60);
/// How long what a friend does not have, or lies about, is not asked for again.
pub(crate) const MISSING_WAIT: Duration = Duration::from_secs(60 * 60);
/// KiB of blobs a friend may take per second.
pub(crate) const FRIEND_BLOB_KIB_PER_SECOND: u32 = 4096;
/// KiB of blobs a friend may take at once.
pub(crate) const FRIEND_BLOB_KIB_BURST: u32 = 1 << 20;
/// KiB of blobs a stranger may take per second.
pub(crate) const STRANGER_BLOB_KIB_PER_SECOND: u32 = 64;
/// KiB of blobs a stranger may take at once.
pub(crate) const STRANGER_BLOB_KIB_BURST: u32 = 4096;
/// KiB of blobs that all strangers may take per second, together.
pub(crate) const STRANGERS_BLOB_KIB_PER_SECOND: u32 = 1024;
/// KiB of blobs that they may take at once.
pub(crate) const STRANGERS_BLOB_KIB_BURST: u32 = 64 * 1024;
/// Bytes in a blob that is taken from or given to a friend.
pub(crate) const BLOB_LEN_MAX: u64 = FILE_LEN_MAX;
/// Bytes of a blob that one Get may ask for.
pub(crate) const BLOB_RANGE_LEN_MAX: u64 = 1 << 20;
/// Bytes in one frame of a slice.
pub(crate) const BLOB_FRAME_LEN_MAX: usize = 64 * 1024;
/// Bytes in a request for a blob.
pub(crate) const BLOB_GET_LEN_MAX: usize = 256;
