//! The owner's identity for programs: the identity log, and WebFinger (RFC 7033), which gives the
//! log's address for a name like `alice@alice.example`. The domain vouches for the name, the log
//! for the keys; the reader verifies the log.

use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::IntoResponse;
use freehold_core::identity::PersonId;
use freehold_core::profile;

use crate::problem::Problem;
use crate::response::PageResult;
use crate::routes::{Access, Routes};
use crate::site::Site;

/// The address of the identity log (RFC 8615).
const LOG_PATH: &str = "/.well-known/freehold";

pub(crate) fn routes() -> Routes {
    Routes::new().get(LOG_PATH, Access::Anyone, log).get(
        "/.well-known/webfinger",
        Access::Anyone,
        webfinger,
    )
}

/// The whole identity log in canonical CBOR, `{0: [signed op]}`.
async fn log(State(site): State<Site>) -> PageResult {
    let log = site.node.identity.log().ok_or(Problem::NotFound)?;
    let headers = [(header::CONTENT_TYPE, "application/cbor"), (header::CACHE_CONTROL, "no-cache")];
    Ok((headers, log.to_canonical()).into_response())
}

/// The query of WebFinger (RFC 7033 4.1). `rel` may occur several times.
#[derive(Default)]
struct WebfingerQuery {
    resource: String,
    rels: Vec<String>,
}

impl WebfingerQuery {
    fn parse(query: &str) -> Self {
        let mut parsed = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "resource" => parsed.resource = value.into_owned(),
                "rel" => parsed.rels.push(value.into_owned()),
                _ => {}
            }
        }
        parsed
    }

    /// True if links of this relation are wanted: without any `rel` all are (RFC 7033 4.3).
    fn wants(&self, rel: &str) -> bool {
        self.rels.is_empty() || self.rels.iter().any(|wanted| wanted == rel)
    }
}

async fn webfinger(State(site): State<Site>, RawQuery(query): RawQuery) -> PageResult {
    let query = WebfingerQuery::parse(&query.unwrap_or_default());
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    let person = site.node.identity.person().ok_or(Problem::NotFound)?;
    if query.resource.is_empty() {
        return Err(Problem::BadRequest); // RFC 7033 4.2
    }
    // The domain that the identity log asks to vouch may be another one than that of the mail.
    let vouching = site.node.identity.log().and_then(|log| log.state().domain.clone());
    let vouched = vouching.map(|domain| format!("{}@{domain}", profile.login));
    let subject = [Some(profile::address(&profile)), vouched]
        .into_iter()
        .flatten()
        .map(|address| format!("acct:{address}"))
        .find(|subject| query.resource.eq_ignore_ascii_case(subject))
        .ok_or(Problem::NotFound)?;
    let headers = [
        (header::CONTENT_TYPE, "application/jrd+json"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"), // RFC 7033 5
    ];
    let base = site.base(Some(&profile));
    Ok((headers, descriptor(&query, &subject, &person, &base)).into_response())
}

/// The JSON Resource Descriptor (RFC 7033 4.4). No value needs escaping: a login, a domain and an
/// address have no quotes, and a person id is letters and digits.
fn descriptor(query: &WebfingerQuery, subject: &str, person: &PersonId, base: &str) -> String {
    let links = [
        ("self", "application/cbor", LOG_PATH),
        ("http://webfinger.net/rel/profile-page", "text/html", "/"),
    ];
    let links: Vec<String> = links
        .into_iter()
        .filter(|(rel, _, _)| query.wants(rel))
        .map(|(rel, kind, path)| {
            format!("{{\"rel\":\"{rel}\",\"type\":\"{kind}\",\"href\":\"{base}{path}\"}}")
        })
        .collect();
    format!(
        "{{\"subject\":\"{subject}\",\"aliases\":[\"urn:freehold:{person}\"],\"links\":[{}]}}",
        links.join(",")
    )
}
