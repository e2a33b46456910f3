//! Uploaded files of unsupported formats (HEIC, AVIF): stored, but not shown on the site; the owner
//! can download or delete them.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse;
use freehold_core::photos::renditions::MediaType;
use freehold_core::photos::{self, PhotoId};

use crate::blob_response;
use crate::blobs;
use crate::dates;
use crate::problem::{Problem, parse_id};
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::sizes::size;
use crate::viewer::Owner;

/// A media type that browsers save and never display.
const OCTET_STREAM: &str = "application/octet-stream";

pub(super) fn routes() -> Routes {
    Routes::new().get("/home/photos/kept/{file}", Access::Owner, download).post(
        "/home/photos/kept/{file}/delete",
        Access::Owner,
        delete,
    )
}

/// An unsupported file in the list.
pub(super) struct UnsupportedFile {
    pub(super) id: String,
    pub(super) name: String,
    /// Format, size and age.
    pub(super) about: String,
    /// True for AVIF, which browsers show; few show HEIC.
    pub(super) is_shown_by_browsers: bool,
}

pub(super) fn list(site: &Site) -> Result<Vec<UnsupportedFile>, Problem> {
    let now = site.node.clock.now();
    let files = photos::list_unsupported(&site.node)?.into_iter().map(|file| UnsupportedFile {
        id: file.id.to_string(),
        is_shown_by_browsers: file.media_type() == MediaType::Avif,
        about: format!(
            "{}, {}, added {}",
            file.media_type().name(),
            size(file.len),
            dates::ago(file.added, now)
        ),
        name: file.file_name,
    });
    Ok(files.collect())
}

async fn download(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> PageResult {
    let id: PhotoId = parse_id(&id)?;
    let files = photos::list_unsupported(&site.node)?;
    let found = files.into_iter().find(|file| file.id == id).ok_or(Problem::NotFound)?;
    let reader = blobs::unsupported(&site, id).await?;
    if found.media_type() == MediaType::Avif {
        return blob_response::stream(reader, MediaType::Avif.as_str(), "no-store");
    }
    let file = blob_response::stream(reader, OCTET_STREAM, "no-store")?;
    let disposition = response::attachment_named(&found.file_name);
    Ok(([(header::CONTENT_DISPOSITION, disposition)], file).into_response())
}

async fn delete(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> PageResult {
    photos::delete_unsupported(&site.node, parse_id(&id)?).await?;
    Ok(response::see_other("/home/photos"))
}
