//! Adding photos: renditions are made, then everything is stored in one commit.

use tokio::sync::Semaphore;

use super::file::BlobFile;
use super::renditions::{self, Flaw, MediaType, Memory, RenditionError, Renditions};
use super::rows::{AddedRow, BlobRow, SlugRow, added_key, slug_key};
use super::{
    ALT_LEN_MAX, FILE_LEN_MAX, FILE_NAME_LEN_MAX, Photo, PhotoId, Rendition, too_long, unsupported,
};
use crate::audience::Audience;
use crate::blobs::{BlobWriter, Blobs, Pinned};
use crate::blocking::{blocking, try_blocking};
use crate::events::Event;
use crate::free_memory::free_memory;
use crate::node::Node;
use crate::row::{self, cut};
use crate::slug::{slugify, slugify_within};
use crate::store::{BlobId, StoreError, Tx};
use crate::text::permitted;

/// The longest slug made from a photo's alternative text, in bytes.
const SLUG_LEN_MAX: usize = 60;

/// Pictures decoded at the same time in this process: one may take some hundred MiB.
pub(super) static DECODING: Semaphore = Semaphore::const_new(1);

/// A file to be added.
#[derive(Debug)]
pub struct Upload {
    /// The file, stored by [`upload_writer`].
    pub file: Pinned,
    /// Its name; only shown, never used as a path.
    pub file_name: String,
    /// The alternative text.
    pub alt: String,
    /// The caption.
    pub caption: String,
    /// The audience.
    pub audience: Audience,
}

/// Why a photo was not added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// No renditions can be made; the file is not stored.
    #[error(transparent)]
    Rendition(RenditionError),
    /// The file is a photo in an unsupported format (HEIC). It was stored, so that nothing is lost.
    #[error(
        "this kind of {} can't be shown here yet: the file is stored; save it as an ordinary JPEG \
         and add that", .media_type.name()
    )]
    StoredUnsupported {
        /// Its media type.
        media_type: MediaType,
    },
    /// The alternative text or the caption is too long.
    #[error("the {what} is {len} bytes, the limit is {len_max}")]
    TooLong {
        /// Which of them.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        len_max: usize,
    },
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// The writer for the bytes of an upload; it refuses more than [`FILE_LEN_MAX`].
///
/// # Errors
/// When the disk is full.
pub fn upload_writer(node: &Node) -> Result<BlobWriter, StoreError> {
    node.blobs.writer(FILE_LEN_MAX)
}

/// Adds a photo: its renditions are made from the file's content, upright and in three sizes.
///
/// A photo with a damaged file ([`Flaw::Damaged`]) is added for the owner alone, who can look at
/// it and choose.
///
/// # Errors
/// When the file is no picture, damaged so that nothing can be shown, or too large, also for the
/// memory that is free now; it is not stored then. HEIC is stored, and returns
/// [`AddError::StoredUnsupported`].
pub async fn add(node: &Node, mut upload: Upload) -> Result<Photo, AddError> {
    upload.alt = permitted(&upload.alt).into_owned();
    upload.caption = permitted(&upload.caption).into_owned();
    if let Some((what, len)) = too_long(&upload.alt, &upload.caption) {
        return Err(AddError::TooLong { what, len, len_max: ALT_LEN_MAX });
    }
    match renditions_of(node, upload.file.id).await? {
        Ok(renditions) => Ok(store_photo(node, upload, renditions).await?),
        Err(RenditionError::Unsupported(media_type)) => {
            let name = plain_name(&upload.file_name);
            unsupported::store(node, upload.file, name, media_type.as_str()).await?;
            Err(AddError::StoredUnsupported { media_type })
        }
        Err(error) => Err(AddError::Rendition(error)),
    }
}

/// Stores a photo with its renditions.
pub(crate) async fn store_photo(
    node: &Node,
    upload: Upload,
    renditions: Renditions,
) -> Result<Photo, StoreError> {
    let Upload { file, file_name, alt, caption, audience } = upload;
    let file_name = plain_name(&file_name);
    let flaw = renditions.flaw;
    let audience = if flaw == Some(Flaw::Damaged) { Audience::Owner } else { audience };
    let (blobs, made) =
        (node.blobs.clone(), (renditions.large, renditions.medium, renditions.small));
    let ((large, large_pinned), medium, (small, small_pinned)) = try_blocking(move || {
        let store = |made: &renditions::Rendition| store_rendition(&blobs, made);
        let medium = made.1.as_ref().map(store).transpose()?;
        Ok::<_, StoreError>((store(&made.0)?, medium, store(&made.2)?))
    })
    .await?;
    let (medium, medium_pinned) = medium.unzip();
    let stem = file_name.rsplit_once('.').map_or(file_name.as_str(), |(stem, _)| stem);
    let wanted = slugify_within(&alt, SLUG_LEN_MAX)
        .or_else(|| slugify(stem))
        .unwrap_or_else(|| "photo".to_owned());
    let photo = Photo {
        id: PhotoId(node.random.array()),
        slug: wanted,
        alt,
        caption,
        file_name,
        media_type: renditions.media_type.as_str().to_owned(),
        taken: renditions.taken,
        added: node.clock.now(),
        width: renditions.width,
        height: renditions.height,
        thumbhash: renditions.thumbhash,
        original: file.id,
        original_len: file.len,
        large,
        small,
        audience,
        medium,
        flaw,
        has_place: Some(renditions.has_place),
    };
    node.store
        .commit(move |tx| {
            for pinned in [&file, &large_pinned, &small_pinned].into_iter().chain(&medium_pinned) {
                tx.attach(pinned);
            }
            write(tx, photo)
        })
        .await
}

/// Stores one rendition; blocks.
pub(super) fn store_rendition(
    blobs: &Blobs,
    made: &renditions::Rendition,
) -> Result<(Rendition, Pinned), StoreError> {
    let pinned = blobs.put(&made.jpeg)?;
    Ok((
        Rendition { blob: pinned.id, len: pinned.len, width: made.width, height: made.height },
        pinned,
    ))
}

/// Makes the renditions of a file on a blocking thread, one file at a time.
async fn renditions_of(
    node: &Node,
    file: BlobId,
) -> Result<Result<Renditions, RenditionError>, StoreError> {
    let stopped = |error: String| StoreError::Unavailable(error);
    let _permit = DECODING.acquire().await.map_err(|e| stopped(e.to_string()))?;
    let blobs = node.blobs.clone();
    let decode = move || {
        let mut file = BlobFile::open(&blobs, &file)?;
        Ok(renditions::make(&mut file, Memory::of(free_memory())))
    };
    // A decoder that panics on a damaged file leaves nothing inconsistent.
    match blocking(decode).await {
        Ok(made) => made,
        Err(_) => Ok(Err(RenditionError::Damaged)),
    }
}

/// Writes a new photo's rows, with a unique slug.
fn write(tx: &mut Tx<'_>, mut photo: Photo) -> Result<Photo, StoreError> {
    let base = photo.slug.clone();
    let mut count = 1u32;
    while row::get::<SlugRow>(tx, &slug_key(tx, &photo.slug)?)?.is_some() {
        count += 1;
        photo.slug = format!("{base}-{count}");
    }
    let key = slug_key(tx, &photo.slug)?;
    row::put(tx, &key, &SlugRow { photo: photo.id })?;
    row::put(tx, &added_key(photo.added, photo.id), &AddedRow {})?;
    for rendition in photo.renditions() {
        row::put(tx, &row::key(&[&rendition.blob.0, &photo.id.0]), &BlobRow {})?;
    }
    row::put_referring(tx, &photo.id.0, &photo, &photo.blobs())?;
    tx.after(Event::Public);
    Ok(photo)
}

/// The last component of a file name, which some browsers send as a path, on one line.
fn plain_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let line: String = last.chars().filter(|c| !c.is_control()).collect();
    cut(line.trim(), FILE_NAME_LEN_MAX).to_owned()
}
