//! Answers: pages, redirects, and what to say when something is not there or went wrong.

use askama::Template;
use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::{Html, IntoResponse};
use freehold_core::store::StoreError;

use crate::frame::Frame;
use crate::site::Site;

/// What a handler returns.
pub(crate) type Answer = Result<Response<Body>, Problem>;

/// Marks a public answer that the door may keep in memory.
#[derive(Clone, Copy)]
pub(crate) struct Keep;

/// Why there is no page. The person reads a sentence; the cause goes to the log.
#[derive(Clone, Debug)]
pub(crate) enum Problem {
    /// Not there, or not for whoever asks: the same answer.
    NotFound,
    /// The request is for a name that is not ours.
    NotThisHouse,
    /// The site is under TLS, and this was sent without.
    NotInTheClear,
    /// The form or address makes no sense.
    BadRequest,
    /// No room on the disk.
    Full,
    /// Something is damaged or broken; the text is for the log.
    Unwell(String),
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::Full,
            StoreError::TooLarge { .. } => Self::BadRequest,
            StoreError::NoBlob => Self::NotFound,
            other => Self::Unwell(other.to_string()),
        }
    }
}

impl From<askama::Error> for Problem {
    fn from(error: askama::Error) -> Self {
        Self::Unwell(error.to_string())
    }
}

impl Problem {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::NotThisHouse => StatusCode::MISDIRECTED_REQUEST,
            Self::NotInTheClear => StatusCode::UPGRADE_REQUIRED,
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Full => StatusCode::INSUFFICIENT_STORAGE,
            Self::Unwell(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        if let Self::Unwell(cause) = &self {
            tracing::error!(%cause, "a page could not be made");
        }
        self.status().into_response()
    }
}

/// A page for whoever asked, not kept anywhere.
pub(crate) fn page(template: &impl Template) -> Answer {
    Ok(Html(template.render()?).into_response())
}

/// `text` as it may stand in HTML.
pub(crate) fn escaped(text: &str) -> String {
    let Ok(safe) = askama::filters::escape(text, askama::filters::Html);
    safe.to_string()
}

/// A page with another status, such as a form sent back with its faults.
pub(crate) fn page_with(status: StatusCode, template: &impl Template) -> Answer {
    Ok((status, Html(template.render()?)).into_response())
}

/// A page that is the same for every stranger: kept in memory, asked after again by browsers.
pub(crate) fn public_page(template: &impl Template) -> Answer {
    Ok(public(Html(template.render()?).into_response()))
}

/// Marks an answer as the same for every stranger.
pub(crate) fn public(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response.extensions_mut().insert(Keep);
    response
}

/// Go and look there (303: whatever was sent is not sent again).
pub(crate) fn see(path: &str) -> Response<Body> {
    redirect(StatusCode::SEE_OTHER, path)
}

/// It lives there now, for good.
pub(crate) fn moved(path: &str) -> Response<Body> {
    redirect(StatusCode::MOVED_PERMANENTLY, path)
}

/// `path` may have letters of any script; the header has only those of an address (RFC 9110 10.2.2, RFC 3986 2).
fn redirect(status: StatusCode, path: &str) -> Response<Body> {
    let one = |byte: u8| {
        let is_plain = byte.is_ascii_graphic()
            && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}');
        if is_plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    match HeaderValue::from_str(&path.bytes().map(one).collect::<String>()) {
        Ok(path) => (status, [(header::LOCATION, path)]).into_response(),
        Err(_) => Problem::BadRequest.into_response(),
    }
}

#[derive(Template)]
#[template(path = "problem/page.html")]
struct ProblemPage {
    page: Frame,
    heading: &'static str,
    text: String,
    offers: &'static [Offer],
}

/// The same in one of the owner's rooms.
#[derive(Template)]
#[template(path = "problem/room.html")]
struct ProblemRoom {
    page: Frame,
    heading: &'static str,
    text: String,
    offers: &'static [Offer],
}

/// A likely page: where it is, what it is called, a remark.
type Offer = (&'static str, &'static str, &'static str);

const PAGES: [Offer; 2] =
    [("/", "All the writing", "newest first"), ("/photos", "The photos", "all of them")];
const ROOMS: [Offer; 3] = [
    ("/home", "Home", "what friends say"),
    ("/home/write", "Write", "what you have begun"),
    ("/home/mail", "Mail", "your letters"),
];

/// The page for a problem.
pub(crate) fn problem(site: &Site, problem: &Problem) -> Response<Body> {
    problem_page(site, problem.status(), None, false)
}

/// Whether an answer went wrong without saying so in words.
pub(crate) fn is_mute_problem(response: &Response<Body>) -> bool {
    let status = response.status();
    let is_page = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    !is_page
        && (status.is_client_error() || status.is_server_error())
        && status != StatusCode::SERVICE_UNAVAILABLE
}

/// The page that says in words what `response` does not; one of the owner's rooms for the owner in
/// them.
pub(crate) fn with_problem_page(
    site: &Site,
    path: &str,
    is_room: bool,
    response: &Response<Body>,
) -> Response<Body> {
    let mut page = problem_page(site, response.status(), Some(path), is_room);
    if let Some(allow) = response.headers().get(header::ALLOW) {
        page.headers_mut().insert(header::ALLOW, allow.clone());
    }
    page
}

fn problem_page(
    site: &Site,
    status: StatusCode,
    path: Option<&str>,
    is_room: bool,
) -> Response<Body> {
    let (heading, text) = words(status, path);
    // A problem page must not fail for want of a name.
    let profile = site.profile().unwrap_or_default();
    let offers = |offers| {
        if status == StatusCode::NOT_FOUND && profile.is_some() { offers } else { &[][..] }
    };
    let room = if is_room { site.home_frame(heading, "").ok() } else { None };
    let rendered = match room {
        Some(page) => ProblemRoom { page, heading, text, offers: offers(&ROOMS) }.render(),
        None => ProblemPage {
            page: Frame::public(profile.as_deref(), heading, ""),
            heading,
            text,
            offers: offers(&PAGES),
        }
        .render(),
    };
    match rendered {
        Ok(html) => (status, Html(html)).into_response(),
        Err(_) => (status, heading).into_response(),
    }
}

fn words(status: StatusCode, path: Option<&str>) -> (&'static str, String) {
    match status {
        StatusCode::NOT_FOUND => {
            let what =
                path.filter(|path| path.len() <= 80).map_or("Nothing lives here.".to_owned(), |path| format!("Nothing lives at {path}."));
            ("There is no room here", format!("{what} Pages that move leave word behind, and this one has not."))
        }
        StatusCode::MISDIRECTED_REQUEST => (
            "Not this house",
            "Nobody of that name lives here. If you run this node, add the name to the web section of its configuration.".to_owned(),
        ),
        StatusCode::UPGRADE_REQUIRED => (
            "That came in the clear",
            "This site speaks HTTPS. What was sent without it was not taken. Open the page by HTTPS and send it again; if that was a password, choose another.".to_owned(),
        ),
        StatusCode::FORBIDDEN => {
            ("That form came from another site", "Nothing was changed. Open the page here and send it again.".to_owned())
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            ("That is too large", "It is more than this form takes, and nothing of it was kept. Go back, make it shorter or smaller, and send it again.".to_owned())
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            ("That can't be done here", "The address is right, but it takes no form. Nothing was changed.".to_owned())
        }
        StatusCode::INSUFFICIENT_STORAGE => {
            ("The disk is full", "Nothing was kept. What was stored before is safe. Make room on the disk and send it again.".to_owned())
        }
        status if status.is_client_error() => {
            ("That was not understood", "Something in the address or the form is missing or misspelt. Nothing was changed.".to_owned())
        }
        _ => ("This page can't be shown", "Something here did not work. The log of this node says what. Nothing was changed.".to_owned()),
    }
}
