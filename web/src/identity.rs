//! Who lives here, for machines: the identity log itself, and WebFinger (RFC 7033), which says
//! where it is for a name like
//! `alice@alice.example`. The domain vouches for the name, the log for the keys; whoever reads it verifies it.

use axum::extract::{Query, State};
use axum::http::header;
use axum::response::IntoResponse;
use freehold_core::profile;
use serde::Deserialize;

use crate::problem::Problem;
use crate::response::PageResult;
use crate::routes::{Access, Routes};
use crate::site::Site;

/// Where the log is (RFC 8615).
const LOG_PATH: &str = "/.well-known/freehold";

pub(crate) fn routes() -> Routes {
    Routes::new().get(LOG_PATH, Access::Anyone, log).get(
        "/.well-known/webfinger",
        Access::Anyone,
        webfinger,
    )
}

/// The whole log in canonical CBOR, `{0: [signed op]}`.
async fn log(State(site): State<Site>) -> PageResult {
    let log = site.node.identity.log().ok_or(Problem::NotFound)?;
    let headers = [(header::CONTENT_TYPE, "application/cbor"), (header::CACHE_CONTROL, "no-cache")];
    Ok((headers, log.to_canonical()).into_response())
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    resource: String,
}

async fn webfinger(State(site): State<Site>, Query(asked): Query<Asked>) -> PageResult {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    let person = site.node.identity.person().ok_or(Problem::NotFound)?;
    let subject = format!("acct:{}", profile::address(&profile));
    if asked.resource.is_empty() {
        return Err(Problem::BadRequest); // RFC 7033 4.2
    }
    if !asked.resource.eq_ignore_ascii_case(&subject) {
        return Err(Problem::NotFound);
    }
    let base = site.base(Some(&profile));
    // Nothing here needs escaping: a login, a domain and an address hold no quotes, and the person
    // is letters and digits.
    let found = format!(
        "{{\"subject\":\"{subject}\",\"aliases\":[\"urn:freehold:{person}\"],\"links\":[\
         {{\"rel\":\"self\",\"type\":\"application/cbor\",\"href\":\"{base}{LOG_PATH}\"}},\
         {{\"rel\":\"http://webfinger.net/rel/profile-page\",\"type\":\"text/html\",\"href\":\"{base}/\"}}]}}"
    );
    let headers = [
        (header::CONTENT_TYPE, "application/jrd+json"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"), // RFC 7033 5
    ];
    Ok((headers, found).into_response())
}
