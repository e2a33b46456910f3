//! The policy of the owner's domain (MTA-STS, RFC 8461 3.2): other servers fetch it from the host
//! `mta-sts.` of the domain.

use axum::Extension;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use freehold_core::mta_sts::Policy;

use crate::problem::Problem;
use crate::response::PageResult;
use crate::routes::{Access, Routes};
use crate::service_hosts::Service;
use crate::site::Site;

pub(crate) fn routes() -> Routes {
    Routes::new().get("/.well-known/mta-sts.txt", Access::Anyone, policy)
}

async fn policy(
    State(site): State<Site>,
    Extension(service): Extension<Option<Service>>,
) -> PageResult {
    let owner = site.profile()?.ok_or(Problem::NotFound)?;
    let mail = site.mail.as_ref().filter(|_| service == Some(Service::MtaSts));
    let mail = mail.ok_or(Problem::NotFound)?;
    let host = mail.host.as_deref().unwrap_or(&owner.domain);
    let policy = Policy::own(mail.mta_sts, host);
    Ok(([(header::CONTENT_TYPE, "text/plain")], policy.text()).into_response())
}
