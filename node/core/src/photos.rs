//! The owner's photos.
//!
//! The file as it came is kept bit for bit, sealed, for the owner alone; what others see are two
//! JPEGs made from it, without any metadata, sealed as long as nobody else may see the photo
//! ([`apply_at_rest`]). A file that can be kept but not shown (HEIC) is kept apart.

mod add;
mod change;
mod forms;
mod read;
pub mod renditions;
mod unsupported;
mod uses;

use minicbor::{Decode, Encode};

use crate::audience::Audience;
use crate::clock::Timestamp;
use crate::ids::id16;
use crate::row::Record;
use crate::store::{BlobId, Table};

pub(crate) use add::store_photo;
pub use add::{AddError, Upload, add, upload_writer};
pub use change::{ChangeError, change, delete};
pub use forms::{apply_at_rest, check, mark_unsealed};
pub(crate) use read::with_blob;
pub use read::{by_id, by_slug, entry_photo, image_bytes, list, original_bytes, shared_blob};
pub use unsupported::{Unsupported, delete_unsupported, list_unsupported, unsupported_bytes};
pub(crate) use uses::{add_references, remove_references};

/// The longest file, in bytes.
pub const FILE_LEN_MAX: u64 = 64 * 1024 * 1024;
/// The longest alternative text or caption, in bytes.
pub const ALT_LEN_MAX: usize = 1000;
const FILE_NAME_LEN_MAX: usize = 200;

id16! {
    /// Which photo.
    PhotoId
}

/// Which size of a photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// At most 1600 pixels on the longer edge.
    Large,
    /// At most 400.
    Small,
}

/// A file made of a photo: a JPEG without metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Rendition {
    /// The file.
    #[n(0)]
    pub blob: BlobId,
    /// Its length in bytes.
    #[n(1)]
    pub len: u64,
    /// Width in pixels.
    #[n(2)]
    pub width: u32,
    /// Height in pixels.
    #[n(3)]
    pub height: u32,
}

/// A photo.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Photo {
    /// Which one.
    #[n(0)]
    pub id: PhotoId,
    /// The last part of its page's address.
    #[n(1)]
    pub slug: String,
    /// What it shows, for those who cannot see it.
    #[n(2)]
    pub alt: String,
    /// What the owner says about it.
    #[n(3)]
    pub caption: String,
    /// What its file was called.
    #[n(4)]
    pub file_name: String,
    /// What kind of file it came in, as a media type.
    #[n(5)]
    pub media_type: String,
    /// When it was taken, by the camera's clock and without a zone: `YYYY-MM-DD HH:MM:SS`.
    #[n(6)]
    pub taken: Option<String>,
    /// When it was added.
    #[n(7)]
    pub added: Timestamp,
    /// Width of the original, upright, in pixels.
    #[n(8)]
    pub width: u32,
    /// Height of the original, upright, in pixels.
    #[n(9)]
    pub height: u32,
    /// A few bytes that stand for it until it has loaded.
    #[cbor(n(10), with = "minicbor::bytes")]
    pub thumbhash: Vec<u8>,
    /// The file as it came; never leaves but to the owner.
    #[n(11)]
    pub original: BlobId,
    /// Its length in bytes.
    #[n(12)]
    pub original_len: u64,
    /// At most 1600 pixels on the longer edge.
    #[n(13)]
    pub large: Rendition,
    /// At most 400.
    #[n(14)]
    pub small: Rendition,
    /// Who may see it.
    #[n(15)]
    pub audience: Audience,
}

impl Record for Photo {
    const TABLE: Table = Table::new("photos_photos");
    const VERSION: u8 = 1;
}

impl Photo {
    /// One of its sizes.
    pub fn rendition(&self, size: Size) -> Rendition {
        match size {
            Size::Large => self.large,
            Size::Small => self.small,
        }
    }
}

/// Under the slug's keyed hash: the photo.
#[derive(Encode, Decode)]
#[cbor(map)]
struct SlugRow {
    #[n(0)]
    photo: PhotoId,
}

impl Record for SlugRow {
    const TABLE: Table = Table::new("photos_slugs");
    const VERSION: u8 = 1;
}

/// Under `added ‖ photo`.
#[derive(Encode, Decode)]
#[cbor(map)]
struct PlaceRow {}

impl Record for PlaceRow {
    const TABLE: Table = Table::new("photos_places");
    const VERSION: u8 = 1;
}

/// Under `blob ‖ photo`: a size of the photo.
#[derive(Encode, Decode)]
#[cbor(map)]
struct BlobRow {}

impl Record for BlobRow {
    const TABLE: Table = Table::new("photos_blobs");
    const VERSION: u8 = 1;
}

#[cfg(test)]
mod tests;
