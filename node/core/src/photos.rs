//! The owner's photos.
//!
//! The original file is stored bit for bit for the owner only. Others see its renditions: up to
//! three JPEGs without metadata. A file in an unsupported format (HEIC) is stored too, but has no
//! renditions.
//! All of them are sealed at rest; rows alone decide who may see a photo.

mod add;
mod change;
mod file;
mod older;
mod read;
mod references;
pub mod renditions;
mod rows;
mod unsupported;

use minicbor::{Decode, Encode};

use self::renditions::Flaw;
use crate::audience::Audience;
use crate::clock::Timestamp;
use crate::ids::id16;
use crate::row::Record;
use crate::store::{BlobId, Table};

#[cfg(any(test, feature = "testing"))]
pub(crate) use add::store_photo;
pub use add::{AddError, Upload, add, upload_writer};
pub use change::{ChangeError, change, delete};
pub use older::add_medium_sizes;
pub(crate) use read::with_blob;
pub use read::{
    by_id, by_slug, entry_photo, image_bytes, list, newer, original_bytes, shared_blob,
};
pub(crate) use references::{add_references, referring, remove_references};
pub use rows::drop_forms;
pub use unsupported::{Unsupported, delete_unsupported, list_unsupported, unsupported_bytes};

/// The longest file, in bytes.
pub const FILE_LEN_MAX: u64 = 64 * 1024 * 1024;
/// The longest alternative text or caption, in bytes.
pub const ALT_LEN_MAX: usize = 1000;
const FILE_NAME_LEN_MAX: usize = 200;

id16! {
    /// The id of a photo, or of a file in an unsupported format.
    PhotoId
}

/// A size of a photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// At most 1600 pixels on the longer edge.
    Large,
    /// At most 800.
    Medium,
    /// At most 400.
    Small,
}

/// A rendition of a photo: a JPEG without metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Rendition {
    /// Its bytes.
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
    /// Its id.
    #[n(0)]
    pub id: PhotoId,
    /// Its slug: the last part of its page's address.
    #[n(1)]
    pub slug: String,
    /// The alternative text, for people who cannot see it.
    #[n(2)]
    pub alt: String,
    /// The caption.
    #[n(3)]
    pub caption: String,
    /// The name of the original file.
    #[n(4)]
    pub file_name: String,
    /// The media type of the original file (RFC 2046).
    #[n(5)]
    pub media_type: String,
    /// When it was taken, by the camera's clock, without a time zone: `YYYY-MM-DD HH:MM:SS`.
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
    /// The thumbhash: a few bytes for a placeholder until the picture has loaded.
    #[cbor(n(10), with = "minicbor::bytes")]
    pub thumbhash: Vec<u8>,
    /// The original file; sent to nobody but the owner.
    #[n(11)]
    pub original: BlobId,
    /// Its length in bytes.
    #[n(12)]
    pub original_len: u64,
    /// The rendition of [`Size::Large`].
    #[n(13)]
    pub large: Rendition,
    /// The rendition of [`Size::Small`].
    #[n(14)]
    pub small: Rendition,
    /// The audience.
    #[n(15)]
    pub audience: Audience,
    /// The rendition of [`Size::Medium`]; `None` if the large one is not longer, or was made by an
    /// earlier version.
    #[n(16)]
    pub medium: Option<Rendition>,
    /// A trait of the file that the renditions do not show.
    #[n(17)]
    pub flaw: Option<Flaw>,
    /// Whether the original says where it was taken; `None` if an earlier version did not look.
    #[n(18)]
    pub has_place: Option<bool>,
}

impl Record for Photo {
    const TABLE: Table = Table::referring("photos_photos");
    const VERSION: u8 = 1;
}

impl Photo {
    /// The rendition of that size, or the next larger one.
    pub fn rendition(&self, size: Size) -> Rendition {
        match size {
            Size::Large => self.large,
            Size::Medium => self.medium.unwrap_or(self.large),
            Size::Small => self.small,
        }
    }

    /// All its renditions.
    fn renditions(&self) -> impl Iterator<Item = Rendition> {
        [self.large, self.small].into_iter().chain(self.medium)
    }

    /// All its blobs: the original and the renditions.
    fn blobs(&self) -> Vec<BlobId> {
        let renditions = self.renditions().map(|rendition| rendition.blob);
        std::iter::once(self.original).chain(renditions).collect()
    }
}

/// The first of the two texts that is too long, with its length in bytes.
fn too_long(alt: &str, caption: &str) -> Option<(&'static str, usize)> {
    [("alternative text", alt), ("caption", caption)]
        .into_iter()
        .map(|(what, text)| (what, text.len()))
        .find(|(_, len)| *len > ALT_LEN_MAX)
}

#[cfg(test)]
mod tests;
