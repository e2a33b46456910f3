//! Files that are kept but can't be shown: saved to one's own computer, or let go.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse;
use freehold_core::photos::{self, PhotoId};

use crate::answer::{self, Answer, Problem};
use crate::blob_reads;
use crate::dates;
use crate::pictures;
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::sizes::size;
use crate::visitor::Owner;

/// What is not known to be a picture by browsers.
const ANY_FILE: &str = "application/octet-stream";

pub(super) fn routes() -> Routes {
    Routes::new().get("/home/photos/kept/{file}", Access::Owner, save).post(
        "/home/photos/kept/{file}/delete",
        Access::Owner,
        delete,
    )
}

/// A kept file as the owner sees it in a list.
pub(super) struct KeptFile {
    pub(super) id: String,
    pub(super) name: String,
    /// What it is, how large, and since when it is here.
    pub(super) about: String,
}

pub(super) fn listed(site: &Site) -> Result<Vec<KeptFile>, Problem> {
    let now = site.node.clock.now();
    let kept = photos::kept(&site.node)?.into_iter().map(|file| KeptFile {
        id: file.id.to_string(),
        about: format!(
            "{}, {}, added {}",
            file.media_type,
            size(file.len),
            dates::ago(file.added, now)
        ),
        name: file.file_name,
    });
    Ok(kept.collect())
}

async fn save(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> Answer {
    let id: PhotoId = pictures::id(&id)?;
    let name = photos::kept(&site.node)?
        .into_iter()
        .find(|file| file.id == id)
        .ok_or(Problem::NotFound)?
        .file_name;
    let reader = blob_reads::unsupported(&site, id).await?;
    let file = pictures::file(reader, ANY_FILE, "no-store")?;
    Ok(([(header::CONTENT_DISPOSITION, crate::mailbox::disposition(&name))], file).into_response())
}

async fn delete(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> Answer {
    photos::delete_kept(&site.node, pictures::id(&id)?).await?;
    Ok(answer::see("/home/photos"))
}
