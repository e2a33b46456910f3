//! Responses of handlers: pages, redirects, and the mark for pages that may be cached in memory.

use askama::Template;
use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::{Html, IntoResponse};

use crate::headers;
use crate::problem::Problem;

/// Longer file names are cut in a download's header, in bytes.
const FILE_NAME_LEN_MAX: usize = 200;

/// The result of a handler.
pub(crate) type PageResult = Result<Response<Body>, Problem>;

/// Response extension: this public page may be stored in the page cache.
#[derive(Clone, Copy)]
pub(crate) struct Cacheable;

/// A page for one viewer; no cache stores it.
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

/// Allows the editor's script on a page.
pub(crate) fn with_editor(page: PageResult) -> PageResult {
    let mut page = page?;
    let policy = headers::PAGE_WITH_EDITOR_POLICY.clone();
    page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(page)
}

/// A page that is the same for every stranger: stored in the page cache, revalidated by browsers.
pub(crate) fn public_page(template: &impl Template) -> PageResult {
    Ok(cacheable(Html(template.render()?).into_response()))
}

/// Marks a response as the same for every stranger.
pub(crate) fn cacheable(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response.extensions_mut().insert(Cacheable);
    response
}

/// True for a path within this site. `//host`, `/\host` and `/<tab>/host` are addresses of other
/// hosts for browsers (WHATWG URL 4.4, "relative slash state").
fn is_within_site(path: &str) -> bool {
    let mut chars = path.chars();
    chars.next() == Some('/')
        && !matches!(chars.next(), Some('/' | '\\'))
        && !path.contains(char::is_control)
}

/// A redirect after a form (303): the browser fetches `path` and does not send the form again.
pub(crate) fn see_other(path: &str) -> Response<Body> {
    redirect(StatusCode::SEE_OTHER, path)
}

/// A permanent redirect (301).
pub(crate) fn moved_permanently(path: &str) -> Response<Body> {
    redirect(StatusCode::MOVED_PERMANENTLY, path)
}

/// A permanent redirect (308): what is here is at `path`.
pub(crate) fn moved(path: &str) -> Response<Body> {
    redirect(StatusCode::PERMANENT_REDIRECT, path)
}

/// Percent-encodes (RFC 3986 2.1) the bytes that are not plain.
pub(crate) fn percent_encoded(bytes: &[u8], is_plain: impl Fn(u8) -> bool) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len()), |mut out, byte| {
        if is_plain(*byte) {
            out.push(char::from(*byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

/// A permanent redirect (301) to the same path at `base`, an address of this site.
pub(crate) fn moved_to_site(base: &str, path: &str) -> Response<Body> {
    if path.starts_with('/') {
        located(StatusCode::MOVED_PERMANENTLY, &format!("{base}{path}"))
    } else {
        Problem::BadRequest.into_response()
    }
}

/// No handler redirects to another site, for any request.
fn redirect(status: StatusCode, path: &str) -> Response<Body> {
    if is_within_site(path) { located(status, path) } else { Problem::BadRequest.into_response() }
}

/// The address may have letters of any script; the header takes only the characters of a URI (RFC
/// 9110 10.2.2, RFC 3986 2), so all others are percent-encoded.
fn located(status: StatusCode, address: &str) -> Response<Body> {
    let is_plain = |byte: u8| {
        byte.is_ascii_graphic()
            && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
    };
    match HeaderValue::from_str(&percent_encoded(address.as_bytes(), is_plain)) {
        Ok(address) => (status, [(header::LOCATION, address)]).into_response(),
        Err(_) => Problem::BadRequest.into_response(),
    }
}

/// `Content-Disposition: attachment` with the name percent-encoded, a form that needs no quoting
/// (RFC 6266 4.3, RFC 8187).
pub(crate) fn attachment_named(name: &str) -> HeaderValue {
    let name = name.as_bytes();
    let name = name.get(..FILE_NAME_LEN_MAX).unwrap_or(name);
    let encoded = percent_encoded(name, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
    });
    HeaderValue::from_str(&format!("attachment; filename*=UTF-8''{encoded}"))
        .unwrap_or(HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_never_leaves_the_site() {
        for path in ["//evil.example/a", "/\\evil.example", "https://evil.example", "", "/\t/evil"]
        {
            for response in [see_other(path), moved_permanently(path), moved(path)] {
                assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path:?}");
            }
        }
        let at = |path| see_other(path).headers().get(header::LOCATION).cloned().unwrap();
        assert_eq!(at("/2026/é?done=a#b"), "/2026/%C3%A9?done=a#b");
        assert_eq!(
            moved_to_site("https://a.example", ".evil.example/b").status(),
            StatusCode::BAD_REQUEST
        );
    }

    #[test]
    fn hostile_file_name_stays_in_its_header() {
        assert_eq!(
            attachment_named("a\"; x=\"\r\nSet-Cookie: é/..\u{202e}.pdf"),
            "attachment; filename*=UTF-8''a%22%3B%20x%3D%22%0D%0ASet-Cookie%3A%20%C3%A9%2F..%E2%80%AE.pdf"
        );
    }
}
