//! The parts of a message as responses of their own: its HTML, its source, its attachments.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse};
use mail_parser::MimeHeaders;

use super::inline_images::inline_images;
use super::message::find;
use super::normalize::normalize;
use super::parsed::{html_of, parsed};
use super::sanitise;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;
use crate::{assets, blob_response, blobs, headers};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/home/mail/{folder}/{uid}/html", Access::Owner, html)
        .get("/home/mail/{folder}/{uid}/original", Access::Owner, original)
        .get("/home/mail/{folder}/{uid}/files/{number}", Access::Owner, attachment)
}

#[derive(Template)]
#[template(path = "mailbox/html.html")]
struct HtmlFrame {
    styles: &'static str,
    html: String,
}

/// The document in the frame: an origin of its own, with a policy under which nothing runs or
/// loads.
async fn html(
    State(site): State<Site>,
    _: Owner,
    Path((folder, uid)): Path<(u32, u32)>,
) -> PageResult {
    let (message, _) = find(&site, folder, uid)?;
    let sanitised = |parsed: &mail_parser::Message<'_>| {
        let html = html_of(parsed).and_then(normalize)?;
        Some(sanitise::clean(&html, inline_images(parsed)))
    };
    let html = parsed(&site, &message, sanitised).await?.flatten().ok_or(Problem::NotFound)?;
    let page = HtmlFrame { styles: assets::address("message.css"), html }.render()?;
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

/// An attachment as a download: its media type is the sender's claim, so no browser may act on it.
async fn attachment(
    State(site): State<Site>,
    _: Owner,
    Path((folder, uid, number)): Path<(u32, u32, usize)>,
) -> PageResult {
    let (message, _) = find(&site, folder, uid)?;
    let copied = move |parsed: &mail_parser::Message<'_>| {
        let part = parsed.attachments().nth(number)?;
        let name = part.attachment_name().unwrap_or("file");
        Some((response::attachment_named(name), part.contents().to_vec()))
    };
    let copied = parsed(&site, &message, copied).await?.flatten();
    let (disposition, bytes) = copied.ok_or(Problem::NotFound)?;
    let media_type = HeaderValue::from_static("application/octet-stream");
    let headers = [(header::CONTENT_TYPE, media_type), (header::CONTENT_DISPOSITION, disposition)];
    Ok((headers, bytes).into_response())
}
