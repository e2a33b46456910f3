//! Fetches a policy over HTTPS (RFC 8461 3.3).

#[cfg(test)]
use std::{net::SocketAddr, time::Duration};

use freehold_core::mta_sts::Policy;

use super::parse;
use crate::dns::Dns;
use crate::https::{self, Wanted};

/// The longest policy is that of RFC 8461 3.3. The content is a text: on some servers strangers can
/// place files of other types.
const WANTED: Wanted =
    Wanted { path: "/.well-known/mta-sts.txt", content_type: "text/plain", len_max: 64 * 1024 };

/// The policy of `domain`. `more_roots` is a file of certificates (PEM) that its server's may be
/// signed by, besides those of public authorities; empty for none.
///
/// # Errors
/// The reason why there is none, for the log.
pub(super) async fn from_domain(
    dns: &Dns,
    domain: &str,
    more_roots: &str,
) -> Result<Policy, String> {
    let host = format!("mta-sts.{domain}");
    let body = https::get(dns, &host, &WANTED, more_roots).await?;
    parse::policy(&body).map_err(|error| error.to_string())
}

#[cfg(test)]
async fn in_time(
    limit: Duration,
    fetch: impl Future<Output = Result<Policy, String>>,
) -> Result<Policy, String> {
    https::in_time(limit, fetch).await
}

#[cfg(test)]
async fn from_host(
    host: &str,
    addresses: &[SocketAddr],
    more_roots: &str,
) -> Result<Policy, String> {
    let body = https::from_host(host, addresses, &WANTED, more_roots).await?;
    parse::policy(&body).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
