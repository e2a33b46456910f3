//! Responses of handlers: pages, redirects, and the mark for pages that may be kept in memory.

use askama::Template;
use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::{Html, IntoResponse};

use crate::problem::Problem;

/// The result of a handler.
pub(crate) type PageResult = Result<Response<Body>, Problem>;

/// Response extension: this public page may be kept in the page cache.
#[derive(Clone, Copy)]
pub(crate) struct Cacheable;

/// A page for the person who asked; no cache keeps it.
pub(crate) fn page(template: &impl Template) -> PageResult {
    Ok(Html(template.render()?).into_response())
}

/// `text` with the characters escaped that mean something in HTML.
pub(crate) fn escape_html(text: &str) -> String {
    let Ok(safe) = askama::filters::escape(text, askama::filters::Html);
    safe.to_string()
}

/// A page with another status than 200, such as a form that is sent back with its faults.
pub(crate) fn page_with_status(status: StatusCode, template: &impl Template) -> PageResult {
    Ok((status, Html(template.render()?)).into_response())
}

/// A page that is the same for every stranger: kept in the page cache, revalidated by browsers.
pub(crate) fn public_page(template: &impl Template) -> PageResult {
    Ok(cacheable(Html(template.render()?).into_response()))
}

/// Marks a response as the same for every stranger.
pub(crate) fn cacheable(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response.extensions_mut().insert(Cacheable);
    response
}

/// A redirect after a form (303): the browser fetches `path` and does not send the form again.
pub(crate) fn see_other(path: &str) -> Response<Body> {
    redirect(StatusCode::SEE_OTHER, path)
}

/// A permanent redirect (301).
pub(crate) fn moved_permanently(path: &str) -> Response<Body> {
    redirect(StatusCode::MOVED_PERMANENTLY, path)
}

/// `path` may have letters of any script; the header takes only the characters of a URI (RFC 9110
/// 10.2.2, RFC 3986 2), so all others are percent-encoded.
fn redirect(status: StatusCode, path: &str) -> Response<Body> {
    let encode = |byte: u8| {
        let is_plain = byte.is_ascii_graphic()
            && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}');
        if is_plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    match HeaderValue::from_str(&path.bytes().map(encode).collect::<String>()) {
        Ok(path) => (status, [(header::LOCATION, path)]).into_response(),
        Err(_) => Problem::BadRequest.into_response(),
    }
}
