//! The bodies of entries. Each is a CBOR map that begins with a 16-byte random salt. Without the
//! salt, the hash that stays after a deletion would let anyone guess a short body.

use super::{EntryId, Kind, Lane};
use crate::BlobId;
use crate::cbor::{CborError, Fields, MapWriter, Value, exactly};
use crate::clock::Timestamp;
use crate::keys::PublicKey;

/// The media type of every post.
pub const MARKDOWN: &str = "text/markdown";
/// Photos in first_ref post, at most.
pub const PHOTOS_MAX: usize = 32;
/// Addresses or mirrors in first_ref Homes record, at most.
pub const HOMES_MAX: usize = 16;
/// The highest version of a Homes record that counts: first_ref new version per second for 136
/// years.
pub const HOMES_VERSION_MAX: u64 = u32::MAX as u64;
/// Keys in first_ref KeyBackup, at most.
pub const BACKUP_KEYS_MAX: usize = 32;
/// Feed logs in first_ref Checkpoint, at most.
const CHECKPOINT_LOGS_MAX: usize = 256;

const TITLE_LEN_MAX: usize = 1_024;
const SLUG_LEN_MAX: usize = 256;
const TEXT_LEN_MAX: usize = super::BODY_LEN_MAX;
const ALT_LEN_MAX: usize = 4_096;
const ADDRESS_LEN_MAX: usize = 512;
const THUMBHASH_LEN_MAX: usize = 64;
const WRAPPED_LEN_MAX: usize = 2_048;

/// A body, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A blog post.
    Post(PostBody),
    /// A new version of a post; the post's entry is the first of the header's refs.
    Edit {
        /// The entry of the post, not of an earlier edit.
        of: EntryId,
        /// The whole new version.
        post: PostBody,
    },
    /// Deletes an entry and every edit of it; the entry is the first of the header's refs.
    Tombstone {
        /// The deleted entry.
        of: EntryId,
    },
    /// Name, strapline, about.
    Profile(ProfileBody),
    /// Addresses of the person's nodes and mirrors.
    Homes(Homes),
    /// The last entry of each of the person's feed logs.
    Checkpoint(Checkpoint),
    /// Wrapped epoch keys.
    KeyBackup(KeyBackup),
}

/// A blog post.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostBody {
    /// The text's media type; [`MARKDOWN`].
    pub media_type: String,
    /// BCP 47 language tag; empty if not known.
    pub lang: String,
    /// The title; `None` for a note.
    pub title: Option<String>,
    /// The last path segment of its address on the author's site.
    pub slug: String,
    /// The text, as Markdown source.
    pub text: String,
    /// The publication time, by the author's clock.
    pub published: Timestamp,
    /// The photos, in order.
    pub photos: Vec<PhotoRef>,
}

/// A photo of a post: references to two public JPEG blobs, and their description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhotoRef {
    /// The large rendition (1600 px), as BLAKE3 of its wire form.
    pub blob: BlobId,
    /// Length of the large rendition in bytes.
    pub len: u64,
    /// The small rendition (400 px), as BLAKE3 of its wire form.
    pub small: BlobId,
    /// Length of the small rendition in bytes.
    pub small_len: u64,
    /// The alternative text, for readers who cannot see the photo.
    pub alt: String,
    /// The author's caption.
    pub caption: String,
    /// Width of the large rendition, in pixels.
    pub width: u32,
    /// Height of the large rendition, in pixels.
    pub height: u32,
    /// A ThumbHash, a blurred preview until the photo is fetched; may be empty.
    pub thumbhash: Vec<u8>,
}

/// A person's profile, in their own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileBody {
    /// The displayed name.
    pub name: String,
    /// `login@domain`.
    pub address: String,
    /// One line.
    pub strapline: String,
    /// A few paragraphs of Markdown.
    pub about: String,
    /// The number of the avatar's colour, 0 to 7.
    pub avatar_colour: u8,
}

/// The addresses of a person's nodes and mirrors. The record with the highest version counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Homes {
    /// One more with each change.
    pub version: u64,
    /// Web addresses (`https://alice.example`), the preferred first_ref first.
    pub web: Vec<String>,
    /// libp2p multiaddresses.
    pub libp2p: Vec<String>,
    /// Node keys of mirrors.
    pub mirrors: Vec<PublicKey>,
}

/// The last entry of each feed log, for a reader that does not fetch all entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// (node, lane, epoch, seq, entry) of each feed log.
    pub logs: Vec<(PublicKey, Lane, u64, u64, EntryId)>,
}

/// Epoch keys wrapped to the recovery KEM key of Genesis.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyBackup {
    /// The wrapped keys.
    pub keys: Vec<WrappedKey>,
}

/// One epoch key, HPKE-wrapped with `info = "freehold/key-backup/1" ‖ person ‖ lane`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// The key's lane.
    pub lane: Lane,
    /// The KEM suite.
    pub suite: u8,
    /// HPKE's encapsulated key (RFC 9180 4.1).
    pub encapsulated: Vec<u8>,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
}

impl Body {
    /// The kind of this body.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Post(_) => Kind::Post,
            Self::Edit { .. } => Kind::Edit,
            Self::Tombstone { .. } => Kind::Tombstone,
            Self::Profile(_) => Kind::Profile,
            Self::Homes(_) => Kind::Homes,
            Self::Checkpoint(_) => Kind::Checkpoint,
            Self::KeyBackup(_) => Kind::KeyBackup,
        }
    }

    /// The refs that the header must have.
    pub fn refs(&self) -> Vec<EntryId> {
        match self {
            Self::Edit { of, .. } | Self::Tombstone { of } => vec![*of],
            _ => Vec::new(),
        }
    }

    /// The post of a Post or an Edit.
    pub fn post(&self) -> Option<&PostBody> {
        match self {
            Self::Post(post) | Self::Edit { post, .. } => Some(post),
            _ => None,
        }
    }

    /// The canonical bytes, beginning with this salt.
    pub fn to_canonical(&self, salt: [u8; 16]) -> Vec<u8> {
        let map = MapWriter::new().bytes(0, &salt);
        match self {
            Self::Post(post) | Self::Edit { post, .. } => write_post(map, post),
            Self::Tombstone { .. } => map,
            Self::Profile(profile) => map
                .text(2, &profile.name)
                .text(4, &profile.address)
                .text(6, &profile.strapline)
                .text(8, &profile.about)
                .uint(10, profile.avatar_colour),
            Self::Homes(homes) => map
                .uint(2, homes.version)
                .list(4, &homes.web, |address| Value::Text(address.clone()))
                .list(6, &homes.libp2p, |address| Value::Text(address.clone()))
                .list(8, &homes.mirrors, |key| key.to_value()),
            Self::Checkpoint(checkpoint) => {
                map.list(2, &checkpoint.logs, |(node, lane, epoch, seq, entry)| {
                    MapWriter::new()
                        .put(0, node.to_value())
                        .bytes(2, &lane.0)
                        .uint(4, *epoch)
                        .uint(6, *seq)
                        .bytes(8, &entry.0)
                        .value()
                })
            }
            Self::KeyBackup(backup) => map.list(2, &backup.keys, |key| {
                MapWriter::new()
                    .bytes(0, &key.lane.0)
                    .uint(2, key.suite)
                    .bytes(4, &key.encapsulated)
                    .bytes(6, &key.wrapped)
                    .value()
            }),
        }
        .canonical()
    }

    /// Reads the exact bytes of a body. `kind` and `refs` are the header's.
    ///
    /// # Errors
    /// When the bytes are malformed, not canonical or not understood, or `refs` do not fit the
    /// kind.
    pub fn from_canonical(kind: Kind, refs: &[EntryId], bytes: &[u8]) -> Result<Self, CborError> {
        let mut fields = Fields::from_canonical(bytes)?;
        let _salt: [u8; 16] = fields.array(0)?;
        let body = match kind {
            Kind::Post => Self::Post(read_post(&mut fields)?),
            Kind::Edit => Self::Edit { of: first_ref(refs)?, post: read_post(&mut fields)? },
            Kind::Tombstone => Self::Tombstone { of: first_ref(refs)? },
            Kind::Profile => Self::Profile(ProfileBody {
                name: fields.text(2, TITLE_LEN_MAX)?,
                address: fields.text(4, ADDRESS_LEN_MAX)?,
                strapline: fields.text(6, TITLE_LEN_MAX)?,
                about: fields.text(8, TEXT_LEN_MAX)?,
                avatar_colour: fields.small(10)?,
            }),
            Kind::Homes => Self::Homes(Homes {
                version: fields.uint(2)?,
                web: fields.list(4, HOMES_MAX, address)?,
                libp2p: fields.list(6, HOMES_MAX, address)?,
                mirrors: fields.list(8, HOMES_MAX, mirror)?.into_iter().flatten().collect(),
            }),
            Kind::Checkpoint => Self::Checkpoint(Checkpoint {
                logs: fields.list(2, CHECKPOINT_LOGS_MAX, checkpoint_log)?,
            }),
            Kind::KeyBackup => {
                Self::KeyBackup(KeyBackup { keys: fields.list(2, BACKUP_KEYS_MAX, wrapped_key)? })
            }
            Kind::Sealed | Kind::Unknown(_) => return Err(CborError::NotUnderstood(16)),
        };
        fields.finish()?;
        if body.refs() != refs {
            return Err(CborError::Invalid(24));
        }
        Ok(body)
    }
}

fn first_ref(refs: &[EntryId]) -> Result<EntryId, CborError> {
    refs.first().copied().ok_or(CborError::Missing(24))
}

/// A mirror's key; `None` for a key of a suite that this program does not know.
fn mirror(value: Value, key: u64) -> Result<Option<PublicKey>, CborError> {
    match PublicKey::from_value(value, key) {
        Err(CborError::NotUnderstood(_)) => Ok(None),
        key => key.map(Some),
    }
}

fn write_post(map: MapWriter, post: &PostBody) -> MapWriter {
    map.text(2, &post.media_type)
        .text(4, &post.lang)
        .maybe(6, post.title.clone().map(Value::Text))
        .text(8, &post.slug)
        .text(10, &post.text)
        .uint(12, post.published.0)
        .list(14, &post.photos, |photo| {
            MapWriter::new()
                .bytes(0, &photo.blob.0)
                .uint(2, photo.len)
                .bytes(4, &photo.small.0)
                .uint(6, photo.small_len)
                .text(8, &photo.alt)
                .text(10, &photo.caption)
                .uint(12, photo.width)
                .uint(14, photo.height)
                .bytes(15, &photo.thumbhash)
                .value()
        })
}

fn read_post(fields: &mut Fields) -> Result<PostBody, CborError> {
    Ok(PostBody {
        media_type: fields.text(2, ADDRESS_LEN_MAX)?,
        lang: fields.text(4, SLUG_LEN_MAX)?,
        title: fields.maybe_text(6, TITLE_LEN_MAX)?,
        slug: fields.text(8, SLUG_LEN_MAX)?,
        text: fields.text(10, TEXT_LEN_MAX)?,
        published: Timestamp(fields.uint(12)?),
        photos: fields.list(14, PHOTOS_MAX, photo)?,
    })
}

fn photo(value: Value, key: u64) -> Result<PhotoRef, CborError> {
    let mut fields = Fields::of(value, key)?;
    let photo = PhotoRef {
        blob: BlobId(fields.array(0)?),
        len: fields.uint(2)?,
        small: BlobId(fields.array(4)?),
        small_len: fields.uint(6)?,
        alt: fields.text(8, ALT_LEN_MAX)?,
        caption: fields.text(10, ALT_LEN_MAX)?,
        width: fields.small(12)?,
        height: fields.small(14)?,
        thumbhash: fields.maybe_bytes(15, THUMBHASH_LEN_MAX)?.unwrap_or_default(),
    };
    fields.finish()?;
    Ok(photo)
}

fn address(value: Value, key: u64) -> Result<String, CborError> {
    match value {
        Value::Text(text) if text.len() <= ADDRESS_LEN_MAX => Ok(text),
        _ => Err(CborError::Invalid(key)),
    }
}

fn checkpoint_log(
    value: Value,
    key: u64,
) -> Result<(PublicKey, Lane, u64, u64, EntryId), CborError> {
    let mut fields = Fields::of(value, key)?;
    let node = PublicKey::from_value(fields.need(0)?, 0)?;
    let log =
        (node, Lane(fields.array(2)?), fields.uint(4)?, fields.uint(6)?, EntryId(fields.array(8)?));
    fields.finish()?;
    Ok(log)
}

fn wrapped_key(value: Value, key: u64) -> Result<WrappedKey, CborError> {
    let mut fields = Fields::of(value, key)?;
    let wrapped = WrappedKey {
        lane: Lane(exactly(fields.need(0)?, 0)?),
        suite: fields.small(2)?,
        encapsulated: fields.bytes(4, WRAPPED_LEN_MAX)?,
        wrapped: fields.bytes(6, WRAPPED_LEN_MAX)?,
    };
    fields.finish()?;
    Ok(wrapped)
}
