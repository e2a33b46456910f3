//! The text of a form that arrives when its sender is logged out: by another tab, or because the
//! session has expired. The answer shows the text in a form to send again after the login, so that
//! nothing that was typed is lost; the node stores none of it.
//!
//! Such a form is read before its sender is known, so its length is bounded, and so is that of all
//! that are held at one time. Forms with passwords or with the 24 words are never among them. The
//! file of a photo is read to its end and dropped: a browser shows the answer only once it has sent
//! all.

use askama::Template;
use axum::body::Body;
use axum::extract::multipart::Multipart;
use axum::extract::{DefaultBodyLimit, Form, FromRequest};
use axum::http::{Method, Request, Response, StatusCode, header};
use freehold_core::photos::FILE_LEN_MAX;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::layout::Layout;
use crate::response::{self, PageResult};
use crate::site::Site;
use crate::site_service::Client;
use crate::viewer;

/// The longest form that is shown again, in bytes: longer than any post with every byte
/// percent-encoded, and than any message of ASCII.
const FORM_LEN_MAX: usize = UNIT_LEN * UNITS_MAX;
/// The most fields of a form that is shown again: each is more markup in the answer.
const FIELDS_MAX: usize = 200;
/// The forms with files: their path, the name of the file's field, and the units that are held for
/// their texts.
const FILE_FORMS: [(&str, &str, u32); 2] =
    [("/home/photos/add", "file", 1), ("/home/mail/write", "files", 5)];
/// The forms that are held at one time are counted in units of so many bytes.
const UNIT_LEN: usize = 256 * 1024;
/// The most units that are held at one time.
pub(crate) const UNITS_MAX: usize = 8;

/// The fields that hold text, with their labels.
const TEXTS: [(&str, &str); 11] = [
    ("title", "Title"),
    ("to", "To"),
    ("subject", "Subject"),
    ("text", "Text"),
    ("name", "Name"),
    ("strapline", "A line below the name"),
    ("about", "About"),
    ("alt", "What it shows"),
    ("caption", "Caption"),
    ("slug", "The last part of its address"),
    ("invite", "Invitation"),
];

/// A form whose sender is logged out.
pub(crate) struct UnsavedForm<'a> {
    action: String,
    fields: Vec<(String, String)>,
    /// The name of the field with files, which are not kept; empty for a form without them.
    files: &'static str,
    _permit: SemaphorePermit<'a>,
}

/// The units that are held for a form on one of the pages where text is written, of a known and
/// bounded length; `None` for another request.
fn units<B>(request: &Request<B>) -> Option<u32> {
    let value = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let len = value(header::CONTENT_LENGTH).and_then(|len| len.parse::<usize>().ok());
    let is_kind = |kind| value(header::CONTENT_TYPE).is_some_and(|value| value.starts_with(kind));
    if request.method() != Method::POST {
        return None;
    }
    if is_kind("multipart/form-data") {
        let (_, _, units) = file_form(request.uri().path())?;
        // The texts are no longer than the form.
        let of_form = len.and_then(|len| u32::try_from(len.div_ceil(UNIT_LEN)).ok());
        return Some(units.min(of_form.unwrap_or(units)).max(1));
    }
    let is_form = has_text(request.uri().path()) && is_kind("application/x-www-form-urlencoded");
    let len = len.filter(|len| is_form && (1..=FORM_LEN_MAX).contains(len))?;
    u32::try_from(len.div_ceil(UNIT_LEN)).ok()
}

fn file_form(path: &str) -> Option<(&'static str, &'static str, u32)> {
    FILE_FORMS.into_iter().find(|(known, ..)| *known == path)
}

fn has_text(path: &str) -> bool {
    let below = |folder: &str| {
        path.strip_prefix(folder).is_some_and(|rest| !rest.is_empty() && !rest.contains('/'))
    };
    matches!(
        path,
        "/home" | "/home/write" | "/home/mail/write" | "/home/settings" | "/home/friends/accept"
    ) || below("/home/write/")
        || below("/home/photos/")
}

/// Reads the form of a sender who is logged out, and puts a copy back into the request for the
/// checks of the router. `None` for the owner, when too many are held, and when it is no form with
/// text.
pub(crate) async fn read<'a>(
    request: &mut Request<Body>,
    client: Client,
    site: &Site,
    forms: &'a Semaphore,
) -> Option<UnsavedForm<'a>> {
    let units = units(request)?;
    if viewer::is_owner(request.headers(), client, site).await {
        return None;
    }
    let permit = forms.try_acquire_many(units).ok()?;
    let kind = request.headers().get(header::CONTENT_TYPE)?.clone();
    if kind.to_str().is_ok_and(|kind| kind.starts_with("multipart/form-data")) {
        return read_file_form(request, permit).await;
    }
    let body = std::mem::take(request.body_mut());
    let bytes = axum::body::to_bytes(body, FORM_LEN_MAX).await.ok()?;
    let copy = Request::post("/").header(header::CONTENT_TYPE, kind).body(bytes.clone().into());
    *request.body_mut() = bytes.into();
    let form = Form::<Vec<(String, String)>>::from_request(copy.ok()?, &()).await;
    let Form(fields) = form.ok().filter(|Form(fields)| fields.len() <= FIELDS_MAX)?;
    let has_content = |(name, value): &(String, String)| {
        TEXTS.iter().any(|(known, _)| known == name) && !value.trim().is_empty()
    };
    let action = request.uri().path().to_owned();
    fields.iter().any(has_content).then_some(UnsavedForm {
        action,
        fields,
        files: "",
        _permit: permit,
    })
}

/// Reads the text fields of a form with files. The router gets no copy of its body: it refuses the
/// form by its head.
async fn read_file_form<'a>(
    request: &mut Request<Body>,
    permit: SemaphorePermit<'a>,
) -> Option<UnsavedForm<'a>> {
    let action = request.uri().path_and_query()?.as_str().to_owned();
    let kind = request.headers().get(header::CONTENT_TYPE)?.clone();
    let body = std::mem::take(request.body_mut());
    let mut sent = Request::post("/").header(header::CONTENT_TYPE, kind).body(body).ok()?;
    let len_max = usize::try_from(FILE_LEN_MAX).unwrap_or(usize::MAX);
    let (_, files, units) = file_form(request.uri().path())?;
    let mut room = UNIT_LEN.saturating_mul(usize::try_from(units).ok()?);
    let len_max = len_max.saturating_add(room);
    DefaultBodyLimit::max(len_max).apply(&mut sent);
    let mut form = Multipart::from_request(sent, &()).await.ok()?;
    let mut read = UnsavedForm { action, fields: Vec::new(), files, _permit: permit };
    // A file that breaks off or is over the limit leaves the fields before it.
    while let Ok(Some(mut field)) = form.next_field().await {
        if field.file_name().is_some() {
            continue;
        }
        let (name, mut value) = (field.name().unwrap_or_default().to_owned(), Vec::new());
        while let Ok(Some(piece)) = field.chunk().await {
            room = room.checked_sub(piece.len())?;
            value.extend_from_slice(&piece);
        }
        read.fields.push((name, String::from_utf8(value).ok()?));
        if read.fields.len() > FIELDS_MAX {
            return None;
        }
    }
    (!read.fields.is_empty()).then_some(read)
}

/// True if the router asks for a login.
pub(crate) fn asks_for_login(response: &Response<Body>) -> bool {
    response.status() == StatusCode::SEE_OTHER
        && response.headers().get(header::LOCATION).is_some_and(|path| path == "/login")
}

/// A field that is shown.
struct ShownField {
    name: String,
    label: &'static str,
    value: String,
    is_long: bool,
}

#[derive(Template)]
#[template(path = "logins/unsaved.html")]
struct UnsavedPage {
    page: Layout,
    action: String,
    shown: Vec<ShownField>,
    hidden: Vec<(String, String)>,
    files: &'static str,
}

/// The page with the text, and a form that sends it again.
pub(crate) fn page(site: &Site, form: UnsavedForm<'_>) -> PageResult {
    let (mut shown, mut hidden) = (Vec::new(), Vec::new());
    for (name, value) in form.fields {
        match TEXTS.iter().find(|(known, _)| *known == name) {
            Some((_, label)) if !value.is_empty() => {
                let is_long = value.len() > 80 || value.contains('\n');
                shown.push(ShownField { name, label, value, is_long });
            }
            _ => hidden.push((name, value)),
        }
    }
    let page = Layout::public(site.profile()?.as_deref(), "Not saved", "");
    let page = UnsavedPage { page, action: form.action, shown, hidden, files: form.files };
    response::page_with_status(StatusCode::FORBIDDEN, &page)
}
