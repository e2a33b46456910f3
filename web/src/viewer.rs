//! Extractors for the viewer of a page. A handler that takes [`Owner`] can't be reached by anyone
//! else; [`Viewer`] tells the owner from a stranger.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use freehold_core::audience::Visitor;
use freehold_core::logins::{self, Session, SessionToken};

use crate::problem::Problem;
use crate::response;
use crate::site::Site;
use crate::site_service::Client;

/// The session cookie's `Max-Age`, in seconds.
const COOKIE_SECONDS: u64 = 30 * 24 * 60 * 60;

/// The node's owner, logged in.
pub(crate) struct Owner {
    pub(crate) token: SessionToken,
    pub(crate) session: Session,
}

/// The owner or a stranger.
pub(crate) struct Viewer(pub(crate) Visitor);

impl Viewer {
    pub(crate) fn is_owner(&self) -> bool {
        self.0 == Visitor::Owner
    }
}

impl FromRequestParts<Site> for Client {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Site) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Self>()
            .copied()
            .ok_or_else(|| Problem::Internal("a request without a client".to_owned()))
    }
}

impl FromRequestParts<Site> for Viewer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Problem> {
        Ok(Self(if owner(parts, site).await?.is_some() {
            Visitor::Owner
        } else {
            Visitor::Stranger
        }))
    }
}

impl FromRequestParts<Site> for Owner {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Response> {
        match owner(parts, site).await {
            Ok(Some(owner)) => Ok(owner),
            // After the login a page is shown; a form is not sent again.
            Ok(None) if parts.method == Method::GET => {
                Err(response::see_other(&format!("/login?next={}", parts.uri.path())))
            }
            Ok(None) => Err(response::see_other("/login")),
            Err(problem) => Err(problem.into_response()),
        }
    }
}

/// True if the request has a valid session.
pub(crate) async fn is_owner(headers: &HeaderMap, client: Client, site: &Site) -> bool {
    session(headers, client.secure, site).await.is_ok_and(|owner| owner.is_some())
}

async fn owner(parts: &Parts, site: &Site) -> Result<Option<Owner>, Problem> {
    let secure = parts.extensions.get::<Client>().is_some_and(|client| client.secure);
    session(&parts.headers, secure, site).await
}

async fn session(headers: &HeaderMap, secure: bool, site: &Site) -> Result<Option<Owner>, Problem> {
    let name = cookie_name(site, secure);
    let Some(token) = cookie(headers, &name).and_then(|value| value.parse::<SessionToken>().ok())
    else {
        return Ok(None);
    };
    let session = logins::session(&site.node, &token).await?;
    Ok(session.map(|session| Owner { token, session }))
}

/// The cookie's name. Cookies ignore ports, so several nodes on one machine need different names.
/// The prefix `__Host-` (RFC 6265bis 4.1.3.2) requires TLS.
fn cookie_name(site: &Site, secure: bool) -> String {
    if secure { format!("__Host-{}", site.cookie) } else { site.cookie.to_string() }
}

/// True if the request has this node's cookie, valid or not: its response must not come from the
/// page cache.
pub(crate) fn has_cookie(headers: &HeaderMap, site: &Site) -> bool {
    headers
        .get_all(header::COOKIE)
        .iter()
        .any(|value| value.to_str().is_ok_and(|text| text.contains(&*site.cookie)))
}

pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let pairs = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// The `Set-Cookie` value that logs a browser in.
pub(crate) fn cookie_set(site: &Site, client: Client, token: &SessionToken) -> HeaderValue {
    set(client, &cookie_name(site, client.secure), &token.to_string(), COOKIE_SECONDS)
}

/// The `Set-Cookie` value that logs a browser out.
pub(crate) fn cookie_cleared(site: &Site, client: Client) -> HeaderValue {
    set(client, &cookie_name(site, client.secure), "", 0)
}

/// A `Set-Cookie` value for the whole site.
pub(crate) fn set(client: Client, name: &str, value: &str, seconds: u64) -> HeaderValue {
    let secure = if client.secure { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    // The name, base64url and numbers are always a valid header value.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}
