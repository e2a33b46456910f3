//! Health checks: `/livez` (the process responds) and `/readyz` (the store can be read).

use axum::extract::State;
use axum::http::StatusCode;
use freehold_core::profile;

use crate::routes::{Access, Routes};
use crate::site::Site;

pub(crate) fn routes() -> Routes {
    Routes::new().get("/livez", Access::Anyone, livez).get("/readyz", Access::Anyone, readyz)
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
