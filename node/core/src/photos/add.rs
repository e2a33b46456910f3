//! Adding photos.

use tokio::sync::Semaphore;

use super::renditions::{self, RenditionError, Renditions};
use super::{
    ALT_LEN_MAX, BlobRow, FILE_LEN_MAX, FILE_NAME_LEN_MAX, Photo, PhotoId, PlaceRow, Rendition,
    SlugRow, forms, unsupported,
};
use crate::audience::Audience;
use crate::blobs::{AtRest, BlobWriter, Blobs, Pinned};
use crate::clock::Timestamp;
use crate::events::Event;
use crate::markdown::{slugify, slugify_within};
use crate::node::{Node, keyed};
use crate::row::{self, Rows, cut};
use crate::store::{BlobId, StoreError, Tx};

/// How much of what a photo shows its address takes, in bytes.
const SLUG_LEN_MAX: usize = 60;

/// How many pictures are decoded at once in this process: each takes some hundred MiB at worst.
static DECODING: Semaphore = Semaphore::const_new(1);

/// A file to be added.
#[derive(Debug)]
pub struct Upload {
    /// The file, as [`upload_writer`] stored it.
    pub file: Pinned,
    /// What it is called; only shown, never a path.
    pub file_name: String,
    /// What it shows, for those who cannot see it.
    pub alt: String,
    /// What the owner says about it.
    pub caption: String,
    /// Who may see it.
    pub audience: Audience,
}

/// Why a photo was not added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// The file can't be shown; nothing of it is kept.
    #[error(transparent)]
    Develop(RenditionError),
    /// The file can't be shown here but is a photo (HEIC), so it is kept; nothing is lost.
    #[error(
        "{media_type} pictures can't be shown here yet: the file is kept, save it as JPEG and add that"
    )]
    KeptButNotShown {
        /// What it is.
        media_type: &'static str,
    },
    /// Alternative text or caption are too long.
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

/// Where the bytes of an upload go, piece by piece; past [`FILE_LEN_MAX`] it refuses.
///
/// # Errors
/// When the disk is full.
pub fn upload_writer(node: &Node) -> Result<BlobWriter, StoreError> {
    node.blobs.writer(AtRest::Sealed, FILE_LEN_MAX)
}

/// Adds a photo: told by content what it is, turned upright, made into two sizes.
///
/// # Errors
/// When the file is no picture, damaged or too large; nothing of it is kept then. HEIC is kept, and
/// said so.
pub async fn add(node: &Node, upload: Upload) -> Result<Photo, AddError> {
    if let Err((what, len)) = checked(&upload.alt, &upload.caption) {
        return Err(AddError::TooLong { what, len, len_max: ALT_LEN_MAX });
    }
    match developed(node, upload.file.id).await? {
        Ok(developed) => Ok(store_photo(node, upload, developed).await?),
        Err(RenditionError::CannotShow(media_type)) => {
            unsupported::keep(node, upload.file, plain_name(&upload.file_name), media_type).await?;
            Err(AddError::KeptButNotShown { media_type })
        }
        Err(error) => Err(AddError::Develop(error)),
    }
}

/// Adds what was made of a file that could be shown.
pub(crate) async fn store_photo(
    node: &Node,
    upload: Upload,
    developed: Renditions,
) -> Result<Photo, StoreError> {
    let Upload { file, file_name, alt, caption, audience } = upload;
    let file_name = plain_name(&file_name);
    let (blobs, prints) = (node.blobs.clone(), (developed.large, developed.small));
    let store = move || Ok::<_, StoreError>((print(&blobs, &prints.0)?, print(&blobs, &prints.1)?));
    let stored = crate::blocking::blocking(store)
        .await
        .map_err(|e| StoreError::Unavailable(e.to_string()))?;
    let ((large, large_pinned), (small, small_pinned)) = stored?;
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
        media_type: developed.media_type.as_str().to_owned(),
        taken: developed.taken,
        added: node.clock.now(),
        width: developed.width,
        height: developed.height,
        thumbhash: developed.thumbhash,
        original: file.id,
        original_len: file.len,
        large,
        small,
        audience,
    };
    node.store
        .commit(move |tx| {
            for pinned in [&file, &large_pinned, &small_pinned] {
                tx.attach(pinned);
            }
            write(tx, photo)
        })
        .await
}

/// Stores one size; a large file, so this blocks. Sealed whoever may see it: a photo that is its
/// owner's alone may share the file, and if this one is refused after all, no note would have it
/// sealed again. What anyone may see is laid open by [`forms::note`].
fn print(blobs: &Blobs, made: &renditions::Rendition) -> Result<(Rendition, Pinned), StoreError> {
    let pinned = blobs.put(&made.jpeg, AtRest::Sealed)?;
    Ok((
        Rendition { blob: pinned.id, len: pinned.len, width: made.width, height: made.height },
        pinned,
    ))
}

/// Decodes off the async threads, one picture at a time.
async fn developed(
    node: &Node,
    file: BlobId,
) -> Result<Result<Renditions, RenditionError>, StoreError> {
    let stopped = |error: String| StoreError::Unavailable(error);
    let _turn = DECODING.acquire().await.map_err(|e| stopped(e.to_string()))?;
    let blobs = node.blobs.clone();
    let work = move || {
        let bytes =
            blobs.open(&file)?.read_all(usize::try_from(FILE_LEN_MAX).unwrap_or(usize::MAX))?;
        Ok(renditions::make(&bytes))
    };
    // A decoder that panics on a damaged file has not hurt anything else.
    match crate::blocking::blocking(work).await {
        Ok(done) => done,
        Err(_) => Ok(Err(RenditionError::Damaged("the decoder gave up".to_owned()))),
    }
}

/// Writes a new photo's rows, its slug made unique.
fn write(tx: &mut Tx<'_>, mut photo: Photo) -> Result<Photo, StoreError> {
    let base = photo.slug.clone();
    let mut count = 1u32;
    while row::get::<SlugRow>(tx, &slug_key(tx, &photo.slug)?)?.is_some() {
        count += 1;
        photo.slug = format!("{base}-{count}");
    }
    let key = slug_key(tx, &photo.slug)?;
    row::put(tx, &key, &SlugRow { photo: photo.id })?;
    row::put(tx, &place_key(photo.added, photo.id), &PlaceRow {})?;
    for print in [photo.large, photo.small] {
        row::put(tx, &row::key(&[&print.blob.0, &photo.id.0]), &BlobRow {})?;
    }
    row::put_referring(
        tx,
        &photo.id.0,
        &photo,
        &[photo.original, photo.large.blob, photo.small.blob],
    )?;
    // It lies sealed so far; and equal files may lie there already, for another who may see them or
    // may not.
    forms::note(tx, photo.id)?;
    tx.after(Event::Public);
    Ok(photo)
}

pub(super) fn slug_key(rows: &impl Rows, slug: &str) -> Result<[u8; 16], StoreError> {
    keyed(rows, "photo slug", slug.as_bytes())
}

pub(super) fn place_key(added: Timestamp, id: PhotoId) -> Vec<u8> {
    row::key(&[&added.0.to_be_bytes(), &id.0])
}

pub(super) fn checked(alt: &str, caption: &str) -> Result<(), (&'static str, usize)> {
    for (what, text) in [("alternative text", alt), ("caption", caption)] {
        if text.len() > ALT_LEN_MAX {
            return Err((what, text.len()));
        }
    }
    Ok(())
}

/// The last part of whatever path a browser sent, on one line.
fn plain_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let line: String = last.chars().filter(|c| !c.is_control()).collect();
    cut(line.trim(), FILE_NAME_LEN_MAX).to_owned()
}
