//! How the owner's mail leaves for domains that the configuration does not name.

use crate::domain_name;
use crate::node::Node;
use crate::profile;
use crate::smarthost::{self, Smarthost};
use crate::store::StoreError;

/// The way to other domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outbound {
    /// By the smarthost.
    Smarthost(Smarthost),
    /// To each domain's own mail servers.
    Direct,
    /// There is none: the owner's domain is one that no other server can answer to.
    None,
}

/// The way of the owner's mail to other domains.
///
/// # Errors
/// The store's.
pub fn outbound(node: &Node) -> Result<Outbound, StoreError> {
    if let Some(smarthost) = smarthost::get(node)? {
        return Ok(Outbound::Smarthost(smarthost));
    }
    let owner = profile::get(node)?;
    let is_public = owner.is_some_and(|owner| !domain_name::is_special_use(&owner.domain));
    Ok(if is_public { Outbound::Direct } else { Outbound::None })
}

impl Outbound {
    /// True if mail to `domain` can leave this way.
    pub fn reaches(&self, domain: &str) -> bool {
        match self {
            Self::Smarthost(_) => true,
            Self::Direct => !domain_name::is_special_use(domain),
            Self::None => false,
        }
    }
}
