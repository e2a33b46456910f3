//! The browser that logs in: its name for the list of sessions, and the long-lived cookie of one
//! that has logged in before, whose wrong passwords are counted apart from those of its network.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::AppendHeaders;
use freehold_core::logins::{self, Browser, BrowserToken, SessionToken};
use freehold_core::store::StoreError;

use crate::site::Site;
use crate::site_service::Client;
use crate::viewer;

/// The cookie's `Max-Age`, in seconds: 400 days, the longest that browsers keep one (RFC 6265bis
/// 5.5). Each login renews it.
const COOKIE_SECONDS: u64 = 400 * 24 * 60 * 60;

/// Extractor: the browser of a request.
pub(crate) struct KnownBrowser(pub(crate) Browser);

impl FromRequestParts<Site> for KnownBrowser {
    type Rejection = crate::problem::Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Self::Rejection> {
        let client = Client::from_request_parts(parts, site).await?;
        let known =
            viewer::cookie(&parts.headers, &name(site, client)).and_then(|v| v.parse().ok());
        let agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        let agent = agent.map(named).unwrap_or_default();
        Ok(Self(Browser { address: client.address, agent, known }))
    }
}

/// The cookie's name. It does not contain the session cookie's name, so that public pages for this
/// browser come from the page cache.
fn name(site: &Site, client: Client) -> String {
    let prefix = if client.secure { "__Host-" } else { "" };
    format!("{prefix}fb_{}", site.cookie.trim_start_matches("fh_"))
}

/// The cookies after a login: the session's, and the one by which this browser is known.
///
/// # Errors
/// If the store can't be read.
pub(crate) fn login_cookies(
    site: &Site,
    client: Client,
    known: Option<&BrowserToken>,
    session: &SessionToken,
) -> Result<AppendHeaders<[(HeaderName, HeaderValue); 2]>, StoreError> {
    let known = logins::browser_token(&site.node, known)?.to_string();
    Ok(AppendHeaders([
        (header::SET_COOKIE, viewer::cookie_set(site, client, session)),
        (header::SET_COOKIE, viewer::set(client, &name(site, client), &known, COOKIE_SECONDS)),
    ]))
}

/// Marks in `User-Agent` with the names shown. Other browsers imitate the later ones.
const PROGRAMS: [(&str, &str); 9] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
];
const SYSTEMS: [(&str, &str); 6] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("Linux", "Linux"),
];

/// A short name for a `User-Agent`, such as “Firefox on Linux”; empty if nothing is known.
fn named(agent: &str) -> String {
    let find = |names: &[(&str, &'static str)]| {
        names.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name)
    };
    match (find(&PROGRAMS), find(&SYSTEMS)) {
        (Some(program), Some(system)) => format!("{program} on {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_agent_has_a_short_name() {
        for (agent, name) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox on Linux",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0) Chrome/130.0 Safari/537.36 Edg/130.0",
                "Edge on Windows",
            ),
            ("curl/7.88.1", "curl"),
            ("<script>", ""),
        ] {
            assert_eq!(named(agent), name);
        }
    }
}
