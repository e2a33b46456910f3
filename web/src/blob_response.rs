//! Stored files as responses, streamed in pieces.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use freehold_core::blobs::BlobReader;
use freehold_core::store::{BlobId, StoreError};

use crate::blobs;
use crate::headers::SHOWN_ANYWHERE;
use crate::page_cache;
use crate::preconditions::{self, Outcome};
use crate::response::PageResult;

/// How much of a file is read at once, in bytes.
const PIECE_LEN: u64 = 64 * 1024;

/// The media type of the renditions of photos.
pub(crate) const JPEG: &str = "image/jpeg";

/// The file of `reader`, read piece by piece on blocking threads. `cache_control` tells who may
/// store it and for how long.
pub(crate) fn stream(
    reader: BlobReader,
    media_type: &str,
    cache_control: &'static str,
) -> PageResult {
    let len = reader.len();
    let pieces = futures::stream::try_unfold((reader, 0u64), move |(reader, at)| async move {
        if at >= len {
            return Ok(None);
        }
        let piece_len = usize::try_from(PIECE_LEN.min(len - at)).unwrap_or_default();
        let (piece, reader) = blobs::read_at(reader, at, piece_len).await?;
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
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(len));
    Ok(response)
}

/// A public file that caches may keep and other sites may show; a request that names its ETag is
/// answered with 304, one that asks for another version with 412 (RFC 9110 13.1).
pub(crate) fn cacheable_stream(
    request_headers: &HeaderMap,
    blob: &BlobId,
    reader: BlobReader,
    media_type: &str,
    cache_control: &'static str,
) -> PageResult {
    let etag = page_cache::etag(blob.0.into());
    let mut response = match preconditions::evaluate(request_headers, &[&etag]) {
        Outcome::Content => stream(reader, media_type, cache_control)?,
        Outcome::NotModified(_) => StatusCode::NOT_MODIFIED.into_response(),
        Outcome::Failed => return Ok(StatusCode::PRECONDITION_FAILED.into_response()),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control));
    headers.insert(header::ETAG, etag);
    let (name, anywhere) = SHOWN_ANYWHERE;
    headers.insert(name, anywhere);
    Ok(response)
}
