//! A picture on a page: its files, what it shows, and how wide it stands beside others.

use freehold_core::blobs::BlobReader;
use freehold_core::blocking::try_blocking;
use freehold_core::photos::{Photo, Size};
use freehold_core::timeline::ItemPhoto;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use freehold_core::feed::EntryId;
use freehold_core::store::{BlobId, StoreError};

use crate::answer::{Answer, Problem};
use crate::pages;

/// How much of an image file is read at once.
const PIECE_LEN: u64 = 64 * 1024;

/// Tenths between which a picture's share of its row lies; the style sheet has a class for each.
pub(crate) const RATIOS: std::ops::RangeInclusive<u32> = 4..=30;

/// A picture as a template shows it.
pub(crate) struct Picture {
    /// The page it leads to; may be empty.
    pub(crate) href: String,
    pub(crate) small: String,
    pub(crate) large: String,
    pub(crate) alt: String,
    pub(crate) caption: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) small_width: u32,
    /// Width in tenths of the height.
    pub(crate) ratio: u32,
    /// Whether the file is here; one on its way is a quiet place.
    pub(crate) is_here: bool,
}

fn ratio(width: u32, height: u32) -> u32 {
    let tenths =
        (width.saturating_mul(10).saturating_add(height / 2)).checked_div(height).unwrap_or(10);
    tenths.clamp(*RATIOS.start(), *RATIOS.end())
}

impl Picture {
    /// One of the owner's own.
    pub(crate) fn own(photo: &Photo) -> Self {
        let (id, large, small) = (photo.id, photo.print(Size::Large), photo.print(Size::Small));
        Self {
            href: format!("/photos/{}", photo.slug),
            small: format!("/photos/{id}/400.jpg"),
            large: format!("/photos/{id}/1600.jpg"),
            alt: photo.alt.clone(),
            caption: photo.caption.clone(),
            width: large.width,
            height: large.height,
            small_width: small.width,
            ratio: ratio(large.width, large.height),
            is_here: true,
        }
    }

    /// One of a post in the timeline: the `number`th of `entry`.
    pub(crate) fn of_item(entry: &EntryId, number: usize, photo: ItemPhoto) -> Self {
        let file = |size: &str| format!("/home/timeline/{entry}/{number}/{size}.jpg");
        let (small, large) = match (photo.has_small, photo.has_large) {
            (true, false) => (file("400"), file("400")),
            (false, true) => (file("1600"), file("1600")),
            _ => (file("400"), file("1600")),
        };
        Self {
            href: String::new(),
            small,
            large,
            alt: photo.alt,
            caption: photo.caption,
            ratio: ratio(photo.width, photo.height),
            small_width: small_width(photo.width, photo.height),
            width: photo.width,
            height: photo.height,
            is_here: photo.has_small || photo.has_large,
        }
    }
}

/// How wide the small file is: at most 400 pixels on the longer edge.
fn small_width(width: u32, height: u32) -> u32 {
    let longer = width.max(height).max(1);
    if longer <= 400 { width.max(1) } else { (width.saturating_mul(400) / longer).max(1) }
}

/// Which size a file's name asks for.
pub(crate) fn size_of(name: &str) -> Option<Size> {
    match name {
        "1600.jpg" => Some(Size::Large),
        "400.jpg" => Some(Size::Small),
        _ => None,
    }
}

/// What the sizes made here are.
pub(crate) const JPEG: &str = "image/jpeg";

#[allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]
fn read_piece(reader: &BlobReader, at: u64, len: u64) -> Result<Vec<u8>, StoreError> {
    let mut piece = vec![0; usize::try_from(len).unwrap_or_default()];
    let read = reader.read_at(at, &mut piece)?;
    piece.truncate(read);
    Ok(piece)
}

/// A file as an answer, read piece by piece off the threads that serve; `kept` says who may keep it
/// and for how long.
pub(crate) fn file(reader: BlobReader, media_type: &str, kept: &'static str) -> Answer {
    let len = reader.len();
    let pieces = futures::stream::try_unfold((reader, 0u64), move |(reader, at)| async move {
        if at >= len {
            return Ok(None);
        }
        let (piece, reader) = try_blocking(move || {
            read_piece(&reader, at, PIECE_LEN.min(len - at)).map(|piece| (piece, reader))
        })
        .await?;
        let next = at + piece.len() as u64;
        if piece.is_empty() {
            Err(StoreError::NoBlob)
        } else {
            Ok(Some((Bytes::from(piece), (reader, next))))
        }
    });
    let mut response: Response<Body> = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    let media_type = HeaderValue::from_str(media_type)
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(len));
    Ok(response)
}

/// A file that anyone may have and keep; who asks whether theirs is still the one (RFC 9110 13.1.2)
/// need not take it again.
pub(crate) fn lasting_file(
    asked: &HeaderMap,
    blob: &BlobId,
    reader: BlobReader,
    media_type: &str,
    kept: &'static str,
) -> Answer {
    let etag = pages::etag(blob.0.into());
    let is_same = asked.get(header::IF_NONE_MATCH).is_some_and(|tags| pages::names(tags, &etag));
    let mut response = if is_same {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        file(reader, media_type, kept)?
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    response.headers_mut().insert(header::ETAG, etag);
    Ok(response)
}

/// An id in an address; one that is none is not found.
pub(crate) fn id<T: std::str::FromStr>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_stands_as_wide_as_it_is_for_its_height_within_reason() {
        assert_eq!(
            (
                ratio(1600, 1200),
                ratio(1200, 1600),
                ratio(1600, 900),
                ratio(100, 10_000),
                ratio(10_000, 1),
                ratio(5, 0)
            ),
            (13, 8, 18, 4, 30, 10)
        );
        assert_eq!(
            (small_width(1600, 1200), small_width(1200, 1600), small_width(300, 200)),
            (400, 300, 300)
        );
    }
}
