//! Health checks: `/livez` (the process responds) and `/readyz` (the store can be read).
//!
//! Both answer under every host name and without TLS: a monitor or a container's runtime asks by
//! the address, often in HTTP/1.0 without `Host`. The answers show nothing of the site.

use axum::extract::State;
use axum::http::{Method, Request, StatusCode};
use freehold_core::profile;

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

async fn readyz(State(site): State<Site>) -> (StatusCode, &'static str) {
    match profile::get(&site.node) {
        Ok(_) => (StatusCode::OK, "ready\n"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    }
}
