//! The owner's timeline: their own posts and their friends', newest first.
//!
//! [`crate::apply`] writes it, in the commit that stores an entry. On disk: the item under its
//! entry, its place under `shown ‖ entry`, a row per photo. An item holds the beginning of a text;
//! the whole text is read from the feed's entry. The time shown is the author's, but never later
//! than when the entry was first stored here, so that nobody can pin a post to the top.

mod page;
mod show;
mod wants;

use minicbor::{Decode, Encode};

use crate::clock::Timestamp;
use crate::feed::EntryId;
use crate::identity::PersonId;
use crate::photos::FILE_LEN_MAX;
use crate::row::{self, Record};
use crate::store::{BlobId, Table};

pub use page::{Cursor, get, image_bytes, mark_seen, newest, page, seen_at, text, unread};
pub(crate) use show::held_blobs;
pub use show::{Version, hide, show};
pub use wants::{WANTS_MAX, WantedBlob, blob_arrived, want_left_out, wanted_blobs};

/// The longest text of an item, in bytes; the rest is read from the entry.
const TEXT_KEPT_MAX: usize = 2000;
const TITLE_LEN_MAX: usize = 600;
const SLUG_LEN_MAX: usize = 256;
/// The longest alternative text or caption of an item, in bytes.
const ALT_LEN_MAX: usize = 1700;

/// A post in the timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its author.
    pub author: PersonId,
    /// The entry of the post itself, not of an edit.
    pub entry: EntryId,
    /// Its title; empty for a note.
    pub title: String,
    /// The beginning of its text, Markdown; the whole text if `is_whole`.
    pub text: String,
    /// True if `text` is the whole text; if not, [`text`] reads that.
    pub is_whole: bool,
    /// The last part of its address on the author's site.
    pub slug: String,
    /// Its photos, in order.
    pub photos: Vec<ItemPhoto>,
    /// The author's time, but not after it was first stored here.
    pub shown: Timestamp,
    /// The time of its last edit, if there was one.
    pub edited: Option<Timestamp>,
    /// True if the owner has seen it.
    pub seen: bool,
}

impl Item {
    /// The cursor of the page after this item.
    pub fn cursor(&self) -> Cursor {
        Cursor { shown: self.shown, entry: self.entry }
    }
}

/// A photo of a post in the timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemPhoto {
    /// The alternative text, for people who cannot see it.
    pub alt: String,
    /// The author's caption.
    pub caption: String,
    /// Width of the large one, in pixels.
    pub width: u32,
    /// Height of the large one, in pixels.
    pub height: u32,
    /// A blurred impression to show until it is there.
    pub thumbhash: Vec<u8>,
    /// Whether the large one has arrived.
    pub has_large: bool,
    /// Whether the small one has arrived.
    pub has_small: bool,
}

#[derive(Clone, Debug, Encode, Decode)]
#[cbor(map)]
struct ItemRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    author: [u8; 32],
    #[n(1)]
    title: String,
    #[n(2)]
    text: String,
    #[n(3)]
    is_whole: bool,
    #[n(4)]
    slug: String,
    #[n(5)]
    shown: Timestamp,
    /// When the edit it shows was made, by its author; none if it shows the post itself.
    #[n(6)]
    edited: Option<Timestamp>,
    /// The entry it shows.
    #[cbor(n(7), with = "minicbor::bytes")]
    version: [u8; 32],
    /// How many items had arrived when this one did.
    #[n(8)]
    arrival: u64,
}

impl Record for ItemRow {
    const TABLE: Table = Table::new("timeline_items");
    const VERSION: u8 = 1;
}

/// Under `shown ‖ entry`.
#[derive(Encode, Decode)]
#[cbor(map)]
struct PlaceRow {}

impl Record for PlaceRow {
    const TABLE: Table = Table::new("timeline_places");
    const VERSION: u8 = 1;
}

/// Under `entry ‖ number`: a photo; keeps those of its blobs alive that have arrived.
#[derive(Clone, Debug, Encode, Decode)]
#[cbor(map)]
struct PhotoRow {
    #[n(0)]
    large: BlobId,
    #[n(1)]
    large_len: u64,
    #[n(2)]
    small: BlobId,
    #[n(3)]
    small_len: u64,
    #[n(4)]
    alt: String,
    #[n(5)]
    caption: String,
    #[n(6)]
    width: u32,
    #[n(7)]
    height: u32,
    #[cbor(n(8), with = "minicbor::bytes")]
    thumbhash: Vec<u8>,
    #[n(9)]
    has_large: bool,
    #[n(10)]
    has_small: bool,
}

impl Record for PhotoRow {
    const TABLE: Table = Table::referring("timeline_photos");
    const VERSION: u8 = 1;
}

impl PhotoRow {
    /// The blobs that have arrived.
    fn held(&self) -> Vec<BlobId> {
        let both = [(self.has_small, self.small), (self.has_large, self.large)];
        both.into_iter().filter(|(has, _)| *has).map(|(_, blob)| blob).collect()
    }

    /// The blobs that are missing and may be requested, with the lengths that the author gives.
    fn lacking(&self) -> impl Iterator<Item = (BlobId, u64)> + use<> {
        let both = [
            (self.has_small, self.small, self.small_len),
            (self.has_large, self.large, self.large_len),
        ];
        let may_be_asked_for = |len| (1..=FILE_LEN_MAX).contains(&len);
        both.into_iter()
            .filter(move |(has, _, len)| !has && may_be_asked_for(*len))
            .map(|(_, blob, len)| (blob, len))
    }
}

/// How many items have arrived, and how many had when the owner last looked.
#[derive(Default, Encode, Decode)]
#[cbor(map)]
struct SeenRow {
    #[n(0)]
    arrived: u64,
    #[n(1)]
    seen: u64,
    /// When that was.
    #[n(2)]
    seen_at: Option<Timestamp>,
}

impl Record for SeenRow {
    const TABLE: Table = Table::new("timeline_seen");
    const VERSION: u8 = 1;
}

const SEEN: &[u8] = b"seen";

fn place_key(shown: Timestamp, entry: &EntryId) -> Vec<u8> {
    row::key(&[&shown.0.to_be_bytes(), &entry.0])
}

fn photo_key(entry: &EntryId, number: u16) -> Vec<u8> {
    row::key(&[&entry.0, &number.to_be_bytes()])
}

#[cfg(test)]
mod tests;
