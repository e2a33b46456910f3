//! MTA-STS (RFC 8461): the policy by which a domain demands verified TLS of those who send mail to
//! it.
//!
//! A TXT record names the policy's id, and the policy itself comes from a web server of the domain
//! over verified HTTPS. It is kept in the store: an attacker who hides the record, or who stops the
//! web server, changes nothing until the policy's time is over.

mod fetch;
mod parse;
mod record;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use freehold_core::blocking::try_blocking;
use freehold_core::clock::Timestamp;
use freehold_core::mta_sts::{self, FetchedPolicy, Policy};
use freehold_core::store::StoreError;

use crate::dns::Dns;
use crate::state::MailState;

/// The pause after a fetch that failed, in milliseconds (RFC 8461 3.3 proposes five minutes).
const FAILED_MS: u64 = 5 * 60 * 1000;
/// The most failed fetches that are remembered.
const FAILED_MAX: usize = 1024;

/// The policy of `domain`, in the form of DNS; `None` if it has none.
///
/// # Errors
/// The store's.
pub(crate) async fn policy(
    state: &MailState,
    dns: &Dns,
    domain: &str,
) -> Result<Option<Policy>, StoreError> {
    let (node, name) = (state.node.clone(), domain.to_owned());
    let known = try_blocking(move || mta_sts::get(&node, &name)).await?;
    // A record that can't be read is as none (RFC 8461 3.1).
    let texts = dns.texts(&format!("_mta-sts.{domain}")).await.unwrap_or_default();
    let record = record::id(&texts);
    let now = state.node.clock.now();
    let id = match (record, &known) {
        (None, None) => return Ok(None),
        (Some(id), Some(known)) if known.id != id => id.to_owned(),
        (_, Some(known)) if !known.is_old(now) => return Ok(Some(known.policy.clone())),
        (_, Some(known)) => known.id.clone(),
        (Some(id), None) => id.to_owned(),
    };
    let valid = known.map(|known| known.policy);
    if state.failed_fetches.contain(domain, &id, now) {
        return Ok(valid);
    }
    match Box::pin(fetch::from_domain(dns, domain, &state.config.trusted_roots)).await {
        Ok(policy) => {
            let fetched = FetchedPolicy { id, policy: policy.clone(), fetched: now };
            mta_sts::put(&state.node, domain, fetched).await?;
            Ok(Some(policy))
        }
        Err(cause) => {
            let is_known = valid.is_some();
            tracing::info!(domain, cause, is_known, "an MTA-STS policy could not be fetched");
            state.failed_fetches.insert(domain, id, now);
            Ok(valid)
        }
    }
}

/// The policies that could not be fetched lately: by domain, the id and the time of the failure. In
/// memory alone. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct FailedFetches(Arc<Mutex<HashMap<String, (String, Timestamp)>>>);

impl FailedFetches {
    fn contain(&self, domain: &str, id: &str, now: Timestamp) -> bool {
        let failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failed.get(domain).is_some_and(|(known, at)| known == id && is_fresh(*at, now))
    }

    /// With [`FAILED_MAX`] fresh ones, another one is not remembered.
    fn insert(&self, domain: &str, id: String, now: Timestamp) {
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= FAILED_MAX {
            failed.retain(|_, (_, at)| is_fresh(*at, now));
        }
        if failed.len() < FAILED_MAX {
            failed.insert(domain.to_owned(), (id, now));
        }
    }
}

fn is_fresh(at: Timestamp, now: Timestamp) -> bool {
    at <= now && now < at.plus_millis(FAILED_MS)
}

#[cfg(test)]
mod tests;
