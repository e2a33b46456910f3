//! The route to a recipient: local, to a server of the route table, to the smarthost, by a friend's
//! node, to the mail servers of the domain, or none.

use freehold_core::aliases;
use freehold_core::domain_name;
use freehold_core::identity::PersonId;
use freehold_core::mailbox::QueuedMessage;
use freehold_core::mailbox::queue::{Outbound, outbound};
use freehold_core::profile;
use freehold_core::store::StoreError;

use crate::state::MailState;

/// The reason for [`Route::Nowhere`] of a node without a public domain.
const CLOSED: &str =
    "this node's own domain is not public and it has no smarthost, so it sends to no other domain";
/// The reason for a recipient without a public domain.
const NO_DOMAIN: &str = "the recipient's domain is in no public DNS";

/// The reason for a friend's message once this node has an outgoing host of its own.
const OF_FRIEND: &str = "this node sends by another one itself, and can't pass a friend's mail on";

/// A recipient's route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// The recipient is the owner.
    Local,
    /// The domain is the owner's, the local part is not.
    Unknown,
    /// To another server.
    NextHop(NextHop),
    /// By this friend's node: federation sends it.
    Friend(PersonId),
    /// There is no route, for this reason.
    Nowhere(&'static str),
}

impl Route {
    /// The next hop; `None` if this node decides about the recipient without one.
    pub(crate) fn next_hop(&self) -> Option<&NextHop> {
        match self {
            Self::NextHop(hop) => Some(hop),
            Self::Local | Self::Unknown | Self::Friend(_) | Self::Nowhere(_) => None,
        }
    }
}

/// A server that takes mail for others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum NextHop {
    /// One of the route table, `host:port`.
    Configured(String),
    /// The owner's smarthost.
    Smarthost,
    /// The mail servers of this domain, in the form of DNS.
    Direct(String),
}

/// Finds the route to `address`. Domains are compared without case (RFC 5321 2.4), in both forms
/// (RFC 5890 2.3.2.1).
pub(crate) fn to(state: &MailState, address: &str) -> Result<Route, StoreError> {
    if aliases::accepts(&state.node, address)? {
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
    let outbound = outbound(&state.node)?;
    Ok(match (&outbound, domain_name::ascii(domain)) {
        (Outbound::Friend(person), Some(domain)) if outbound.reaches(&domain) => {
            Route::Friend(*person)
        }
        (Outbound::None, _) => Route::Nowhere(CLOSED),
        (Outbound::Smarthost(_), _) => Route::NextHop(NextHop::Smarthost),
        (Outbound::Direct, Some(domain)) if outbound.reaches(&domain) => {
            Route::NextHop(NextHop::Direct(domain.into_owned()))
        }
        (Outbound::Friend(_) | Outbound::Direct, _) => Route::Nowhere(NO_DOMAIN),
    })
}

/// The route of a queued message to `address`. A friend's message goes no further than one friend.
pub(super) fn of(
    state: &MailState,
    item: &QueuedMessage,
    address: &str,
) -> Result<Route, StoreError> {
    Ok(match to(state, address)? {
        Route::Friend(_) if item.on_behalf.is_some() => Route::Nowhere(OF_FRIEND),
        route => route,
    })
}
