//! The photos of friends' posts that have not arrived: the blobs to request, by author.
//!
//! On disk: a row per blob and photo under `author ‖ blob ‖ entry ‖ number`, so that one
//! friend's waiting photos cost the others nothing, and a count per author. A blob is requested
//! from each author who names it, even if it is stored for another author's photo: an author who
//! only names a hash gets nothing shown.
//!
//! An attacker gets [`WANTS_MAX`] rows. A blob longer than a photo may be gets none.

use minicbor::{Decode, Encode};

use super::{ItemRow, PhotoRow, PlaceRow};
use crate::blobs::Pinned;
use crate::events::Event;
use crate::feed::{EntryId, PHOTOS_MAX};
use crate::identity::PersonId;
use crate::node::Node;
use crate::row::{self, Record};
use crate::shares::{self, Allowance, Limit, Share};
use crate::store::{BlobId, Scan, StoreError, Table, Tx};

/// The most blobs of one author that wait to be fetched, each counted once per photo: those of some
/// two thousand photos. Posts beyond that are shown without their photos; [`want_left_out`] wants
/// them once half of the waiting ones have arrived or were dropped.
pub const WANTS_MAX: u64 = 4096;
/// Photos that get their blob in one commit.
const PHOTOS_EACH: usize = 300;
/// Posts read at once.
const POSTS_EACH: usize = 256;

/// A blob that a friend's post names and that has not arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedBlob {
    /// The blob.
    pub blob: BlobId,
    /// Its length in bytes by its author: above zero, and within the limit of a photo.
    pub len: u64,
    /// The author of the post, who has the blob.
    pub author: PersonId,
}

/// Author ‖ blob ‖ entry ‖ number: a blob that has not arrived, and its photo.
#[derive(Encode, Decode)]
#[cbor(map)]
struct WantRow {
    #[n(0)]
    len: u64,
}

impl Record for WantRow {
    const TABLE: Table = Table::new("timeline_wants");
    const VERSION: u8 = 1;
}

/// Author → counts.
#[derive(Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct CountRow {
    /// The number of [`WantRow`]s.
    #[n(0)]
    waiting: u64,
    /// The number of blobs left out because of the limit since [`want_left_out`] last finished.
    #[n(1)]
    left_out: u64,
}

impl Record for CountRow {
    const TABLE: Table = Table::new("timeline_want_counts");
    const VERSION: u8 = 1;
}

/// The wanted blobs of one author within a commit; [`Wants::write`] stores the counts.
pub(super) struct Wants {
    author: PersonId,
    before: CountRow,
    count: CountRow,
    is_news: bool,
}

impl Wants {
    pub(super) fn of(tx: &Tx<'_>, author: PersonId) -> Result<Self, StoreError> {
        let before = row::get::<CountRow>(tx, &author.0)?.unwrap_or_default();
        Ok(Self { author, before, count: before, is_news: false })
    }

    /// Wants the missing blobs of a photo, up to the limit.
    pub(super) fn note(
        &mut self,
        tx: &mut Tx<'_>,
        photo: &PhotoRow,
        photo_key: &[u8],
    ) -> Result<(), StoreError> {
        for (blob, len) in photo.lacking() {
            let key = self.key(&blob, photo_key);
            if row::get::<WantRow>(tx, &key)?.is_some() {
                continue;
            }
            if self.is_full() {
                self.count.left_out += 1;
                continue;
            }
            row::put(tx, &key, &WantRow { len })?;
            self.count.waiting += 1;
            self.is_news = true;
        }
        Ok(())
    }

    /// Stops wanting the blobs of a photo.
    pub(super) fn forget(
        &mut self,
        tx: &mut Tx<'_>,
        photo: &PhotoRow,
        photo_key: &[u8],
    ) -> Result<(), StoreError> {
        for (blob, _) in photo.lacking() {
            let key = self.key(&blob, photo_key);
            if row::get::<WantRow>(tx, &key)?.is_some() {
                row::delete::<WantRow>(tx, &key);
                self.count.waiting = self.count.waiting.saturating_sub(1);
            }
        }
        Ok(())
    }

    pub(super) fn write(self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        if self.is_news {
            tx.after(Event::Wanted(self.author));
        }
        if self.count == self.before {
            return Ok(());
        }
        if self.count == CountRow::default() {
            row::delete::<CountRow>(tx, &self.author.0);
            return Ok(());
        }
        row::put(tx, &self.author.0, &self.count)
    }

    fn is_full(&self) -> bool {
        self.count.waiting >= WANTS_MAX
    }

    fn key(&self, blob: &BlobId, photo_key: &[u8]) -> Vec<u8> {
        row::key(&[&self.author.0, &blob.0, photo_key])
    }
}

/// Blobs of an author still to be fetched, of at most `limit` photos, after the id `after`.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn wanted_blobs(
    node: &Node,
    author: &PersonId,
    after: Option<BlobId>,
    limit: usize,
) -> Result<Vec<WantedBlob>, StoreError> {
    let scan = Scan::prefix(&author.0, limit);
    let scan = match after {
        // No key is longer than author, blob, entry and number, so this one is after all of that
        // blob's.
        Some(blob) => scan.after(&row::key(&[&author.0, &blob.0, &[0xff; 35]])),
        None => scan,
    };
    let rows = row::scan::<WantRow>(&node.store, &scan)?;
    let wanted = |(key, row): (Vec<u8>, WantRow)| WantedBlob {
        blob: BlobId(row::key_part(&key, 32)),
        len: row.len,
        author: *author,
    };
    let mut wanted: Vec<WantedBlob> = rows.into_iter().map(wanted).collect();
    wanted.dedup();
    Ok(wanted)
}

/// Gives a blob to the photos of this author that wait for it, and charges it to the author's share
/// of photos, whose limit is `limit`. Returns whether any did.
///
/// # Errors
/// When the store refuses.
pub async fn blob_arrived(
    node: &Node,
    author: PersonId,
    blob: Pinned,
    limit: Limit,
) -> Result<bool, StoreError> {
    let mut any = false;
    let allowance = Allowance { share: Share::Photos(author), limit };
    loop {
        let (arrived, now, is_first) = (blob.clone(), node.clock.now(), !any);
        let commit = move |tx: &mut Tx<'_>| {
            let photos = arrive(tx, author, &arrived.id)?;
            if photos > 0 && is_first {
                let cost = shares::cost(tx, &[arrived.len]);
                shares::charge(tx, now, &allowance, cost, 1)?;
            }
            Ok::<_, StoreError>(photos)
        };
        let photos = node.store.commit(commit).await?;
        any |= photos > 0;
        if photos < PHOTOS_EACH {
            return Ok(any);
        }
    }
}

fn arrive(tx: &mut Tx<'_>, author: PersonId, blob: &BlobId) -> Result<usize, StoreError> {
    let mut wants = Wants::of(tx, author)?;
    let waiting =
        row::scan::<WantRow>(tx, &Scan::prefix(&row::key(&[&author.0, &blob.0]), PHOTOS_EACH))?;
    for (key, _) in &waiting {
        row::delete::<WantRow>(tx, key);
        wants.count.waiting = wants.count.waiting.saturating_sub(1);
        let photo_key = key.get(author.0.len() + blob.0.len()..).unwrap_or_default();
        let Some(mut photo) = row::get::<PhotoRow>(tx, photo_key)? else { continue };
        photo.has_large |= photo.large == *blob;
        photo.has_small |= photo.small == *blob;
        row::put_referring(tx, photo_key, &photo, &photo.held())?;
    }
    if !waiting.is_empty() {
        tx.after(Event::Timeline);
    }
    wants.write(tx)?;
    Ok(waiting.len())
}

/// Wants the left-out photos of this author, the newest posts' first. Returns whether there may be
/// new ones to fetch. Does nothing until half of [`WANTS_MAX`] is free, so that not every arriving
/// blob costs a scan of all posts.
///
/// # Errors
/// When a row is damaged or the store refuses.
pub async fn want_left_out(node: &Node, author: PersonId) -> Result<bool, StoreError> {
    let count = row::get::<CountRow>(&node.store, &author.0)?.unwrap_or_default();
    if count.left_out == 0 || count.waiting > WANTS_MAX / 2 {
        return Ok(false);
    }
    let mut scan = Scan::prefix(&[], POSTS_EACH).reversed();
    loop {
        let places = node.store.scan(PlaceRow::TABLE, &scan)?;
        let Some((last, _)) = places.last() else { break };
        for (key, _) in &places {
            let post = EntryId(row::key_part(key, 8));
            if lacks_photos(node, author, &post)?
                && node.store.commit(move |tx| want_of(tx, author, &post)).await?
            {
                return Ok(true);
            }
        }
        scan = scan.after(last);
    }
    let all_seen = move |tx: &mut Tx<'_>| {
        let mut wants = Wants::of(tx, author)?;
        // More may have been left out meanwhile, in posts that the scan has passed.
        if wants.count.left_out == count.left_out {
            wants.count.left_out = 0;
        }
        wants.write(tx)
    };
    node.store.commit(all_seen).await?;
    Ok(true)
}

fn lacks_photos(node: &Node, author: PersonId, post: &EntryId) -> Result<bool, StoreError> {
    if row::get::<ItemRow>(&node.store, &post.0)?.is_none_or(|item| item.author != author.0) {
        return Ok(false);
    }
    let photos = row::scan::<PhotoRow>(&node.store, &Scan::prefix(&post.0, PHOTOS_MAX))?;
    Ok(photos.iter().any(|(_, photo)| photo.lacking().next().is_some()))
}

/// Wants the missing blobs of a post's photos. Returns whether the limit is reached.
fn want_of(tx: &mut Tx<'_>, author: PersonId, post: &EntryId) -> Result<bool, StoreError> {
    let mut wants = Wants::of(tx, author)?;
    for (key, photo) in row::scan::<PhotoRow>(tx, &Scan::prefix(&post.0, PHOTOS_MAX))? {
        wants.note(tx, &photo, &key)?;
    }
    let is_full = wants.is_full();
    wants.write(tx)?;
    Ok(is_full)
}

#[cfg(test)]
mod tests;
