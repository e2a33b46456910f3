//! Reasons why there is no page, each with a status, and the pages that explain them.

use askama::Template;
use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::{Html, IntoResponse};
use freehold_core::mailbox::{self, FlagError, FolderId};
use freehold_core::store::StoreError;

use crate::layout::Layout;
use crate::site::Site;

/// Paths longer than this are not repeated on the 404 page, in bytes.
const SHOWN_PATH_LEN_MAX: usize = 80;

/// When a client is to ask again, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("30");

/// Why there is no page. The person reads an explanation; the log has the cause.
#[derive(Clone, Debug)]
pub(crate) enum Problem {
    /// 404: absent, or not visible to this viewer. Both answer alike.
    NotFound,
    /// 421: the request names a host that this node does not serve.
    Misdirected,
    /// 426: the site's address is HTTPS, and a form came without TLS.
    HttpsRequired,
    /// 400: the form or the address is malformed.
    BadRequest,
    /// 507: the disk is full.
    Full,
    /// 503: the store can't be read or written now. The text goes to the log, and the health of the
    /// store to the owner.
    Unavailable(String),
    /// 500: damage or a bug; the text goes to the log only.
    Internal(String),
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::Full,
            StoreError::TooLarge { .. } => Self::BadRequest,
            StoreError::NoBlob => Self::NotFound,
            error @ (StoreError::ReadOnly(_) | StoreError::Unavailable(_)) => {
                Self::Unavailable(error.to_string())
            }
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<FlagError> for Problem {
    fn from(error: FlagError) -> Self {
        match error {
            FlagError::Store(error) => error.into(),
            _ => Self::NotFound,
        }
    }
}

impl From<askama::Error> for Problem {
    fn from(error: askama::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

impl Problem {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::HttpsRequired => StatusCode::UPGRADE_REQUIRED,
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Full => StatusCode::INSUFFICIENT_STORAGE,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn log(&self) {
        match self {
            Self::Internal(cause) => tracing::error!(%cause, "a page could not be rendered"),
            Self::Unavailable(cause) => tracing::warn!(%cause, "a request was refused"),
            _ => {}
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        self.log();
        let mut response = self.status().into_response();
        if let Self::Unavailable(_) = self {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

/// Parses an id from an address; text that is no id answers like an id that does not exist.
pub(crate) fn parse_id<T: std::str::FromStr>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::NotFound)
}

#[derive(Template)]
#[template(path = "problem/public.html")]
struct PublicProblemPage {
    page: Layout,
    explanation: Explanation,
    suggestions: &'static [Suggestion],
}

/// The same among the owner's pages.
#[derive(Template)]
#[template(path = "problem/owner.html")]
struct OwnerProblemPage {
    page: Layout,
    explanation: Explanation,
    suggestions: &'static [Suggestion],
}

/// A page the person may have looked for: address, name, remark.
type Suggestion = (&'static str, &'static str, &'static str);

const PUBLIC_SUGGESTIONS: [Suggestion; 2] =
    [("/", "All the writing", "newest first"), ("/photos", "The photos", "all of them")];
const OWNER_SUGGESTIONS: [Suggestion; 3] = [
    ("/home", "Home", "what friends say"),
    ("/home/write", "Write", "what you have begun"),
    ("/home/mail", "Mail", "your letters"),
];

/// Under a name that is not served, every link, style and image would be refused as well: the page
/// has none but the site's own address.
#[derive(Template)]
#[template(path = "problem/misdirected.html")]
struct MisdirectedPage {
    explanation: Explanation,
    /// `public_url`, if it is set.
    site: Option<String>,
}

/// The page for a problem.
pub(crate) fn page(site: &Site, problem: &Problem) -> Response<Body> {
    if let Problem::Misdirected = problem {
        return misdirected(site);
    }
    problem.log();
    explained(site, problem.status(), None, false)
}

fn misdirected(site: &Site) -> Response<Body> {
    let status = StatusCode::MISDIRECTED_REQUEST;
    let explanation = explanation(status, None);
    let heading = explanation.heading;
    let page = MisdirectedPage { explanation, site: site.config.public_url.clone() };
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(_) => (status, heading).into_response(),
    }
}

/// True for an error status without a page. A health check answers programs, with a body.
pub(crate) fn lacks_page(response: &Response<Body>) -> bool {
    let status = response.status();
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let is_page = content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    let is_health = content_type.is_some() && status == StatusCode::SERVICE_UNAVAILABLE;
    !is_page && !is_health && (status.is_client_error() || status.is_server_error())
}

/// The page that explains the status of `response`; `is_owner_page` chooses the owner's layout.
pub(crate) fn with_page(
    site: &Site,
    path: &str,
    is_owner_page: bool,
    response: &Response<Body>,
) -> Response<Body> {
    let mut page = explained(site, response.status(), Some(path), is_owner_page);
    for name in [header::ALLOW, header::RETRY_AFTER] {
        if let Some(value) = response.headers().get(&name) {
            page.headers_mut().insert(name, value.clone());
        }
    }
    page
}

fn explained(
    site: &Site,
    status: StatusCode,
    path: Option<&str>,
    is_owner_page: bool,
) -> Response<Body> {
    let lost = path.filter(|_| is_owner_page && status == StatusCode::NOT_FOUND);
    let explanation =
        lost.and_then(|path| lost_message(site, path)).unwrap_or_else(|| explanation(status, path));
    let heading = explanation.heading;
    // An unreadable profile must not prevent this page.
    let profile = site.profile().unwrap_or_default();
    let suggested =
        status == StatusCode::NOT_FOUND && profile.is_some() && explanation.folder.is_none();
    let suggestions = |all| if suggested { all } else { &[][..] };
    let owner_layout = if is_owner_page { site.owner_layout(heading, "").ok() } else { None };
    let rendered = match owner_layout {
        Some(page) => {
            let suggestions = suggestions(&OWNER_SUGGESTIONS);
            OwnerProblemPage { page, explanation, suggestions }.render()
        }
        None => {
            let page = Layout::public(profile.as_deref(), heading, "");
            let suggestions = suggestions(&PUBLIC_SUGGESTIONS);
            PublicProblemPage { page, explanation, suggestions }.render()
        }
    };
    match rendered {
        Ok(html) => (status, Html(html)).into_response(),
        Err(_) => (status, heading).into_response(),
    }
}

/// The cause of an error status, then the remedy, for a person.
struct Explanation {
    heading: &'static str,
    text: String,
    /// The folder of a message that is no longer in it: its address and title.
    folder: Option<(String, String)>,
}

fn explanation(status: StatusCode, path: Option<&str>) -> Explanation {
    let (heading, text) = match status {
        StatusCode::NOT_FOUND => return not_found(path),
        StatusCode::MISDIRECTED_REQUEST => (
            "This server does not serve that name",
            "The address names a host that this node does not know. If you run the node, add the \
             name to web.names in its configuration and start it again.",
        ),
        StatusCode::UPGRADE_REQUIRED => (
            "HTTPS is required",
            "The form was sent without HTTPS and was refused; nothing was changed. Open the page \
             by HTTPS and send it again. If it held a password, change that password: others on \
             the network could read it.",
        ),
        StatusCode::FORBIDDEN => (
            "That form came from another site",
            "Nothing was changed. Open the page here and send it again.",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => (
            "That is too large",
            "It is more than this form takes, and nothing of it was saved. Go back, make it \
             shorter or smaller, and send it again.",
        ),
        StatusCode::METHOD_NOT_ALLOWED => (
            "This address can’t be used that way",
            "Some addresses are pages to open, others only receive a form. Nothing was changed. Go \
             back to the page you came from and use its links and buttons.",
        ),
        StatusCode::INSUFFICIENT_STORAGE => (
            "The disk is full",
            "Nothing was saved. What was stored before is safe. Make room on the disk and send it \
             again.",
        ),
        StatusCode::SERVICE_UNAVAILABLE => (
            "Not available at the moment",
            "The node can’t read or write its disk now, and tries again by itself. Perhaps your \
             change was not saved: look before you send it again. If you run the node, `freehold \
             status` shows the cause.",
        ),
        status if status.is_client_error() => (
            "The request is not valid",
            "Something in the address or the form is missing or misspelt. Nothing was changed. Go \
             back, check it and send it again.",
        ),
        _ => (
            "This page can't be shown",
            "The node had an error. Nothing was changed. Try again; if it happens again, the log \
             of the node names the cause.",
        ),
    };
    Explanation { heading, text: text.to_owned(), folder: None }
}

fn not_found(path: Option<&str>) -> Explanation {
    let cause = path
        .filter(|path| path.len() <= SHOWN_PATH_LEN_MAX)
        .map_or("There is no page at this address.".to_owned(), |path| {
            format!("There is no page at {path}.")
        });
    let text = format!(
        "{cause} It may have been taken back, or the address has a mistake. Pages that move leave \
         a redirect behind, and this one left none."
    );
    Explanation { heading: "Page not found", text, folder: None }
}

/// The explanation for the address of a message, or of an answer to one.
fn lost_message(site: &Site, path: &str) -> Option<Explanation> {
    let rest = path.strip_prefix("/home/mail/")?;
    let folder = match rest.split_once('/') {
        Some((folder, rest)) => {
            rest.split('/').next()?.parse::<u32>().ok()?;
            mailbox::folder(&site.node, FolderId(folder.parse().ok()?)).ok().flatten()
        }
        None if rest == "write" => None,
        None => return None,
    };
    let folder =
        folder.map(|folder| (format!("/home/mail/{}", folder.id.0), folder.title().into()));
    Some(Explanation {
        heading: "The letter is no longer here",
        text: "It was moved to another folder or deleted, here or by a mail program.".to_owned(),
        folder: folder.or_else(|| Some(("/home/mail".to_owned(), "Inbox".to_owned()))),
    })
}
