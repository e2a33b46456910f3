//! The route to a recipient: local, to a server of the route table, to the smarthost, or none, as
//! this node does not resolve MX records yet.

use freehold_core::domain_name;
use freehold_core::profile;
use freehold_core::smarthost;
use freehold_core::store::StoreError;

use crate::state::MailState;

/// The reason for [`Route::Nowhere`].
const NO_SMARTHOST: &str = "this node has no smarthost and sends to no other domain";

/// A recipient's route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// The recipient is the owner.
    Local,
    /// The domain is the owner's, the local part is not.
    Unknown,
    /// To another server.
    NextHop(NextHop),
    /// There is no route, for this reason.
    Nowhere(&'static str),
}

/// A server that takes mail for others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NextHop {
    /// One of the route table, `host:port`.
    Configured(String),
    /// The owner's smarthost.
    Smarthost,
}

/// Finds the route to `address`. Domains are compared without case (RFC 5321 2.4), in both forms
/// (RFC 5890 2.3.2.1).
pub(crate) fn to(state: &MailState, address: &str) -> Result<Route, StoreError> {
    if profile::owns(&state.node, address)? {
        return Ok(Route::Local);
    }
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    if profile::get(&state.node)?.is_some_and(|owner| domain_name::is_same(&owner.domain, domain)) {
        return Ok(Route::Unknown);
    }
    let mut routes = state.config.routes.iter();
    let route = routes.find(|(known, _)| domain_name::is_same(known, domain));
    if let Some((_, server)) = route {
        return Ok(Route::NextHop(NextHop::Configured(server.clone())));
    }
    Ok(match smarthost::get(&state.node)? {
        Some(_) => Route::NextHop(NextHop::Smarthost),
        None => Route::Nowhere(NO_SMARTHOST),
    })
}
