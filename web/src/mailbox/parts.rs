//! The parts of a message as responses of their own: its HTML, its source, pictures and files.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{Html, IntoResponse};
use freehold_mime::{Kind, content, encoding};
use serde::Deserialize;

use super::blocks::is_html;
use super::file_names::{embedded_name, saved_name};
use super::message::find;
use super::normalize::{HTML_READ_LEN_MAX, REMOTE, normalize};
use super::parsed::{ParsedMessage, parsed};
use super::part_path::{self, FilePath, PartPath};
use super::pictures::{self, Pictures, Place};
use super::{remote_pictures, sanitise};
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;
use crate::{assets, blob_response, blobs, headers};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/home/mail/{folder}/{uid}/html/{part}", Access::Owner, html)
        .get("/home/mail/{folder}/{uid}/original", Access::Owner, original)
        .get("/home/mail/{folder}/{uid}/files/{part}", Access::Owner, file)
        // The key in the address decides, not the cookie.
        .get("/home/mail/{folder}/{uid}/pictures/{place}", Access::Anyone, picture)
}

#[derive(Template)]
#[template(path = "mailbox/html.html")]
struct HtmlFrame {
    styles: &'static str,
    /// `ltr`, `rtl` or `auto`.
    direction: &'static str,
    html: String,
}

/// The grant of pictures from elsewhere.
#[derive(Default, Deserialize)]
pub(super) struct PicturesQuery {
    /// Empty without one.
    #[serde(default)]
    pub(super) pictures: String,
}

/// The document in the frame: with a policy under which nothing runs, and nothing loads but the
/// pictures that came inside the message, and those that this node fetches when asked to.
async fn html(
    State(site): State<Site>,
    _: Owner,
    Path((folder, uid, part)): Path<(u32, u32, String)>,
    Query(query): Query<PicturesQuery>,
) -> PageResult {
    let path: PartPath = part.parse().map_err(|_| Problem::NotFound)?;
    let (message, _) = find(&site, folder, uid)?;
    let shows_remote = remote_pictures::is_granted(&site, (folder, uid), &query.pictures);
    let normalized = parsed(&site, &message, move |stored| {
        part_path::at(stored, &path, |parsed, id| {
            if !is_html(&parsed.structure, id) {
                return None;
            }
            let html = content::html_of(&parsed.bytes, &parsed.structure, id, HTML_READ_LEN_MAX);
            // The pictures of an encoded message have no place in the stored one.
            let is_stored = path == PartPath::of(id);
            let mut pictures =
                if is_stored { Pictures::of(parsed, id) } else { Pictures::default() };
            pictures.shows_remote = shows_remote;
            let normalized = normalize(&html, &pictures)?;
            let place = |part: &usize| Some((*part, Place::of(parsed, *part)?));
            let places: Vec<(usize, Place)> =
                normalized.pictures.iter().filter_map(place).collect();
            Some((normalized, places))
        })
    });
    let (normalized, places) = normalized.await?.flatten().ok_or(Problem::NotFound)?;
    let mut addresses = HashMap::new();
    for (part, place) in places {
        addresses.insert(format!("cid:{part}"), pictures::address(&site, &message, place)?);
    }
    let remote =
        remote_pictures::addresses(&site, (folder, uid), &query.pictures, &normalized.remote);
    let remote = remote.unwrap_or_default().into_iter().enumerate();
    for (number, address) in remote.filter(|(_, address)| !address.is_empty()) {
        addresses.insert(format!("{REMOTE}{number}"), address);
    }
    let direction = normalized.direction.unwrap_or("auto");
    let clean = move || sanitise::clean(&normalized, addresses);
    let html = freehold_core::blocking::blocking(clean)
        .await
        .map_err(|error| Problem::Internal(error.to_string()))?;
    let page = HtmlFrame { styles: assets::address("message.css"), direction, html }.render()?;
    let headers = [
        (header::CONTENT_SECURITY_POLICY, headers::MESSAGE_POLICY),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    Ok((headers, Html(page)).into_response())
}

async fn original(
    State(site): State<Site>,
    _: Owner,
    Path((folder, uid)): Path<(u32, u32)>,
) -> PageResult {
    let (message, _) = find(&site, folder, uid)?;
    let reader = blobs::message(&site, message).await?;
    blob_response::stream(reader, "text/plain; charset=utf-8", "no-store")
}

/// A part as a download, its decoded octets unchanged (RFC 2045 6): its media type is the sender's
/// claim, so no browser may act on it.
async fn file(
    State(site): State<Site>,
    _: Owner,
    Path((folder, uid, part)): Path<(u32, u32, String)>,
) -> PageResult {
    let path: FilePath = part.parse().map_err(|_| Problem::NotFound)?;
    let (message, _) = find(&site, folder, uid)?;
    let copied = move |stored: &ParsedMessage| {
        part_path::at(stored, &path.part, |parsed, id| {
            if let Some(number) = path.embedded {
                let files = content::embedded(&parsed.bytes, &parsed.structure, id);
                let file = files.into_iter().nth(number)?;
                let name = embedded_name(&file, number);
                return Some((response::attachment_named(&name), file.bytes));
            }
            if parsed.structure.part(id).kind == Kind::Multipart {
                return None;
            }
            let bytes = parsed.structure.decoded(&parsed.bytes, id).bytes.into_owned();
            Some((response::attachment_named(&saved_name(parsed, id)), bytes))
        })
    };
    let copied = parsed(&site, &message, copied).await?.flatten();
    let (disposition, bytes) = copied.ok_or(Problem::NotFound)?;
    let media_type = HeaderValue::from_static("application/octet-stream");
    let headers = [(header::CONTENT_TYPE, media_type), (header::CONTENT_DISPOSITION, disposition)];
    Ok((headers, bytes).into_response())
}

#[derive(Deserialize)]
struct PictureKey {
    #[serde(default)]
    key: String,
}

/// A picture of a message, for each browser that has its key.
async fn picture(
    State(site): State<Site>,
    Path((folder, uid, place)): Path<(u32, u32, String)>,
    Query(query): Query<PictureKey>,
) -> PageResult {
    let place = Place::parse(&place).ok_or(Problem::NotFound)?;
    let (message, _) = find(&site, folder, uid)?;
    if !pictures::is_key(&site, &message, place, &query.key)? {
        return Err(Problem::NotFound);
    }
    let reader = blobs::message(&site, message).await?;
    let (body, _) = blobs::read_at(reader, place.start as u64, place.len).await?;
    let decoded = move || encoding::decode(&body, place.encoding).bytes.into_owned();
    let bytes = freehold_core::blocking::blocking(decoded)
        .await
        .map_err(|error| Problem::Internal(error.to_string()))?;
    let media_type = pictures::media_type(&bytes).ok_or(Problem::NotFound)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=3600")),
        // Opened alone, the HTML that shows it may have an opaque origin.
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("cross-origin"),
        ),
    ];
    Ok((headers, bytes).into_response())
}
