//! Health checks: `/livez` (the process responds) and `/readyz` (the store can be read and
//! written).
//!
//! Both answer under every host name and without TLS: a monitor or a container's runtime asks by
//! the address, often in HTTP/1.0 without `Host`. The answers show nothing of the site.

use axum::extract::State;
use axum::http::{Method, Request, StatusCode};
use freehold_core::profile;
use freehold_core::store::Health;

use crate::routes::{Access, Routes};
use crate::site::Site;

pub(crate) fn routes() -> Routes {
    Routes::new().get("/livez", Access::Anyone, livez).get("/readyz", Access::Anyone, readyz)
}

/// Whether a request is a health check.
pub(crate) fn is_check<B>(request: &Request<B>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
        && matches!(request.uri().path(), "/livez" | "/readyz")
}

async fn livez() -> &'static str {
    "alive\n"
}

async fn readyz(State(site): State<Site>) -> (StatusCode, String) {
    let health = site.node.store.health();
    if !health.is_ready() {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {health}\n"));
    }
    match (profile::get(&site.node), health) {
        (Ok(_), Health::Sound) => (StatusCode::OK, "ready\n".to_owned()),
        // Reading and deleting go on, and another node could not take the mail either.
        (Ok(_), health) => (StatusCode::OK, format!("ready, but {health}\n")),
        (Err(error), _) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {error}\n")),
    }
}
