//! Who asks. A handler that takes [`Owner`] cannot be reached by anyone else; [`Asker`] says which
//! of both it is.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use freehold_core::audience::Visitor;
use freehold_core::logins::{self, Session, SessionToken};

use crate::answer::{self, Problem};
use crate::site::Site;
use crate::site_service::Client;

const COOKIE_SECONDS: u64 = 30 * 24 * 60 * 60;

/// The node's owner, logged in.
pub(crate) struct Owner {
    pub(crate) token: SessionToken,
    pub(crate) session: Session,
}

/// Whoever asks, logged in or not.
pub(crate) struct Asker(pub(crate) Visitor);

impl Asker {
    pub(crate) fn is_owner(&self) -> bool {
        self.0 == Visitor::Owner
    }
}

/// Where the request came from.
impl FromRequestParts<Site> for Client {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Site) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Self>()
            .copied()
            .ok_or_else(|| Problem::Unwell("a request without a client".to_owned()))
    }
}

impl FromRequestParts<Site> for Asker {
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
            // A page that was looked for is shown after the login; a form that was sent is not sent
            // again.
            Ok(None) if parts.method == Method::GET => {
                Err(answer::see(&format!("/login?next={}", parts.uri.path())))
            }
            Ok(None) => Err(answer::see("/login")),
            Err(problem) => Err(problem.into_response()),
        }
    }
}

/// Whether the request carries a session that lasts.
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

/// The cookie's name. Cookies ignore ports, so several nodes on one machine each need their own;
/// `__Host-` (RFC 6265bis 4.1.3.2) needs TLS.
fn cookie_name(site: &Site, secure: bool) -> String {
    if secure { format!("__Host-{}", site.cookie) } else { site.cookie.to_string() }
}

/// Whether the request carries a session of this node's, real or not: then its answer does not come
/// from memory.
pub(crate) fn has_cookie(headers: &HeaderMap, site: &Site) -> bool {
    headers
        .get_all(header::COOKIE)
        .iter()
        .any(|value| value.to_str().is_ok_and(|text| text.contains(&*site.cookie)))
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
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

/// The header that logs a browser in.
pub(crate) fn cookie_set(site: &Site, client: Client, token: &SessionToken) -> HeaderValue {
    set(site, client, &token.to_string(), COOKIE_SECONDS)
}

/// The header that logs a browser out.
pub(crate) fn cookie_cleared(site: &Site, client: Client) -> HeaderValue {
    set(site, client, "", 0)
}

fn set(site: &Site, client: Client, value: &str, seconds: u64) -> HeaderValue {
    let secure = if client.secure { "; Secure" } else { "" };
    let name = cookie_name(site, client.secure);
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    // Made of the name, base64url and numbers: always a header.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}
