//! Where a recipient is: here, at another node of the route table, or out in the world, where this
//! node does not send yet.

use freehold_core::profile;
use freehold_core::store::StoreError;

use crate::state::MailState;

/// Why nothing goes into the world.
const NOT_THE_WORLD: &str = "this node does not send to the world yet";

/// Where a recipient is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Here: it is the owner.
    Here,
    /// At the owner's domain, but nobody.
    Unknown,
    /// At another server, `host:port`.
    Hop(String),
    /// Nowhere this node sends to, and why.
    Nowhere(&'static str),
}

/// Finds where `address` is. Domains are compared without case (RFC 5321 2.4).
pub(crate) fn to(state: &MailState, address: &str) -> Result<Route, StoreError> {
    if profile::owns(&state.node, address)? {
        return Ok(Route::Here);
    }
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain).trim_end_matches('.');
    if profile::get(&state.node)?.is_some_and(|owner| owner.domain.eq_ignore_ascii_case(domain)) {
        return Ok(Route::Unknown);
    }
    let hop = state.config.routes.iter().find(|(known, _)| known.eq_ignore_ascii_case(domain));
    Ok(hop.map_or(Route::Nowhere(NOT_THE_WORLD), |(_, hop)| Route::Hop(hop.clone())))
}
