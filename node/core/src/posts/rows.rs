//! The rows of posts.

use minicbor::{Decode, Encode};

use super::{Post, PostError, PostId, Revision, State};
use crate::audience::Audience;
use crate::blobs::Pinned;
use crate::clock::Timestamp;
use crate::feed::{self, EntryId};
use crate::node::{Node, keyed};
use crate::photos::PhotoId;
use crate::row::{self, Record, Rows};
use crate::store::{BlobId, Scan, StoreError, Table, Tx};

/// The longest text in the post's row, in bytes; a longer one is a blob.
const INLINE_LEN_MAX: usize = 1500;
/// The most slugs a post may have had.
pub(super) const ADDRESSES_MAX: usize = 100;

/// Post → its state.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct PostRow {
    #[n(0)]
    pub(super) slug: String,
    #[n(1)]
    pub(super) title: String,
    #[n(2)]
    pub(super) text: Text,
    #[n(3)]
    pub(super) summary: String,
    #[n(4)]
    pub(super) photos: Vec<PhotoId>,
    #[n(5)]
    pub(super) state: State,
    #[n(6)]
    pub(super) created: Timestamp,
    #[n(7)]
    pub(super) updated: Timestamp,
    #[n(8)]
    pub(super) published: Option<Timestamp>,
    #[n(9)]
    pub(super) edited: Option<Timestamp>,
    #[cbor(n(10), with = "minicbor::bytes")]
    pub(super) entry: Option<[u8; 32]>,
    #[n(11)]
    pub(super) audience: Audience,
    #[n(12)]
    pub(super) minutes: u32,
    /// True if the owner chose the slug; then it does not follow the title.
    #[n(13)]
    pub(super) has_own_slug: bool,
    /// The entry of the version that counts, if that is not the one that published the post.
    #[cbor(n(14), with = "minicbor::bytes")]
    pub(super) version: Option<[u8; 32]>,
    /// True while no version may be shown.
    #[cbor(n(15), default)]
    pub(super) is_hidden: bool,
}

impl PostRow {
    /// The hash of the row, which differs after any change.
    pub(super) fn revision(&self) -> Revision {
        Revision(row::key_part(blake3::hash(&row::encode(Self::VERSION, self)).as_bytes(), 0))
    }
}

impl Record for PostRow {
    const TABLE: Table = Table::referring("posts_posts");
    const VERSION: u8 = 1;
}

/// The place of a text.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) enum Text {
    #[n(0)]
    Here(#[n(0)] String),
    #[n(1)]
    Blob(#[n(0)] BlobId),
    /// In a feed entry that another node of the owner's wrote.
    #[n(2)]
    Entry(#[cbor(n(0), with = "minicbor::bytes")] [u8; 32]),
}

impl Text {
    /// The blob of the text, if it is one.
    pub(super) fn blob(&self) -> Option<BlobId> {
        match self {
            Self::Here(_) | Self::Entry(_) => None,
            Self::Blob(blob) => Some(*blob),
        }
    }
}

/// A text ready for a commit.
pub(super) struct ReadyText {
    pub(super) text: Text,
    pinned: Option<Pinned>,
}

impl ReadyText {
    pub(super) fn store(node: &Node, text: &str) -> Result<Self, StoreError> {
        if text.len() <= INLINE_LEN_MAX {
            return Ok(Self { text: Text::Here(text.to_owned()), pinned: None });
        }
        let pinned = node.blobs.put(text.as_bytes())?;
        Ok(Self { text: Text::Blob(pinned.id), pinned: Some(pinned) })
    }

    /// A text that is stored already, where `text` says.
    pub(super) fn stored(text: Text) -> Self {
        Self { text, pinned: None }
    }

    pub(super) fn attach(&self, tx: &mut Tx<'_>) {
        if let Some(pinned) = &self.pinned {
            tx.attach(pinned);
        }
    }
}

/// Keyed hash of a slug → the post that has or had it.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct SlugRow {
    #[n(0)]
    pub(super) post: PostId,
}

impl Record for SlugRow {
    const TABLE: Table = Table::new("posts_slugs");
    const VERSION: u8 = 1;
}

/// Post ‖ keyed hash of a slug: a slug of the post.
#[derive(Encode, Decode)]
#[cbor(map)]
struct AddressRow {}

impl Record for AddressRow {
    const TABLE: Table = Table::new("posts_addresses");
    const VERSION: u8 = 1;
}

/// Publication time ‖ post: the order of published posts.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct PlaceRow {}

impl Record for PlaceRow {
    const TABLE: Table = Table::new("posts_places");
    const VERSION: u8 = 1;
}

/// Post, while it is a draft.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct DraftRow {}

impl Record for DraftRow {
    const TABLE: Table = Table::new("posts_drafts");
    const VERSION: u8 = 1;
}

pub(super) fn place_key(published: Timestamp, id: PostId) -> Vec<u8> {
    row::key(&[&published.0.to_be_bytes(), &id.0])
}

pub(crate) fn load(rows: &impl Rows, id: PostId) -> Result<PostRow, PostError> {
    row::get(rows, &id.0)?.ok_or(PostError::NoSuchPost)
}

pub(super) fn save(tx: &mut Tx<'_>, id: PostId, row: &PostRow) -> Result<(), StoreError> {
    row::put_referring(tx, &id.0, row, row.text.blob().as_slice())
}

/// The text of a post, read from its row, a blob or an entry.
pub(super) fn text(node: &Node, row: &PostRow) -> Result<String, StoreError> {
    match &row.text {
        Text::Here(text) => Ok(text.clone()),
        Text::Blob(blob) => {
            let bytes = node.blobs.open(blob)?.read_all(super::TEXT_LEN_MAX)?;
            String::from_utf8(bytes).map_err(|_| StoreError::Corrupt {
                table: "blobs".to_owned(),
                key: blob.0.to_vec(),
            })
        }
        // A void version's text is gone, and the version before it may not have been received yet.
        Text::Entry(entry) => {
            let body = feed::opened(node, &EntryId(*entry))?.and_then(|(_, body)| body);
            Ok(body.and_then(|body| body.post().map(|post| post.text.clone())).unwrap_or_default())
        }
    }
}

pub(crate) fn to_post(node: &Node, id: PostId, row: PostRow) -> Result<Post, StoreError> {
    let (text, revision) = (text(node, &row)?, row.revision());
    let PostRow {
        slug,
        title,
        summary,
        photos,
        state,
        created,
        updated,
        published,
        edited,
        entry,
        audience,
        minutes,
        ..
    } = row;
    let (has_own_slug, entry) = (row.has_own_slug, entry.map(EntryId));
    Ok(Post {
        id,
        slug,
        has_own_slug,
        title,
        text,
        summary,
        photos,
        state,
        created,
        updated,
        published,
        edited,
        entry,
        audience,
        minutes,
        revision,
    })
}

pub(super) fn slug_key(rows: &impl Rows, slug: &str) -> Result<[u8; 16], StoreError> {
    keyed(rows, "post slug", slug.as_bytes())
}

/// True if no other post has or had that slug.
pub(super) fn is_free(tx: &impl Rows, slug: &str, id: PostId) -> Result<bool, StoreError> {
    let key = slug_key(tx, slug)?;
    Ok(row::get::<SlugRow>(tx, &key)?.is_none_or(|taken| taken.post == id))
}

/// The requested slug, with a number appended if another post has or had it.
pub(super) fn next_free(tx: &impl Rows, base: &str, id: PostId) -> Result<String, StoreError> {
    let (mut slug, mut count) = (base.to_owned(), 1u32);
    while !is_free(tx, &slug, id)? {
        count += 1;
        slug = format!("{base}-{count}");
    }
    Ok(slug)
}

/// Gives the post that slug; its earlier slugs redirect to it.
pub(super) fn claim_slug(tx: &mut Tx<'_>, slug: &str, id: PostId) -> Result<(), StoreError> {
    let key = slug_key(tx, slug)?;
    row::put(tx, &key, &SlugRow { post: id })?;
    row::put(tx, &row::key(&[&id.0, &key]), &AddressRow {})
}

/// Frees every slug the post has or had.
pub(super) fn free_slugs(tx: &mut Tx<'_>, id: PostId) -> Result<(), StoreError> {
    for (key, _) in tx.scan(AddressRow::TABLE, &Scan::prefix(&id.0, ADDRESSES_MAX))? {
        row::delete::<AddressRow>(tx, &key);
        row::delete::<SlugRow>(tx, &row::key_part::<16>(&key, 16));
    }
    Ok(())
}

/// The number of slugs the post has or had.
pub(super) fn addresses(tx: &Tx<'_>, id: PostId) -> Result<usize, StoreError> {
    Ok(tx.scan(AddressRow::TABLE, &Scan::prefix(&id.0, ADDRESSES_MAX))?.len())
}

/// Entry of a published post → the post.
#[derive(Encode, Decode)]
#[cbor(map)]
struct EntryRow {
    #[n(0)]
    post: PostId,
}

impl Record for EntryRow {
    const TABLE: Table = Table::new("posts_entries");
    const VERSION: u8 = 1;
}

/// Records the entry that published a post.
pub(super) fn record_entry(
    tx: &mut Tx<'_>,
    entry: &EntryId,
    post: PostId,
) -> Result<(), StoreError> {
    row::put(tx, &entry.0, &EntryRow { post })
}

/// Deletes that record.
pub(super) fn remove_entry(tx: &mut Tx<'_>, entry: &EntryId) {
    row::delete::<EntryRow>(tx, &entry.0);
}

/// The post that an entry published here, if it still exists.
pub(super) fn published_by(
    tx: &Tx<'_>,
    entry: &EntryId,
) -> Result<Option<(PostId, PostRow)>, StoreError> {
    let Some(EntryRow { post }) = row::get(tx, &entry.0)? else { return Ok(None) };
    Ok(row::get::<PostRow>(tx, &post.0)?.map(|row| (post, row)))
}
