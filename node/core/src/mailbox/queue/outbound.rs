//! How the owner's mail leaves for domains that the configuration does not name.

use crate::domain_name;
use crate::identity::PersonId;
use crate::node::Node;
use crate::profile;
use crate::smarthost::{self, Smarthost};
use crate::store::StoreError;

/// The way to other domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outbound {
    /// By the smarthost.
    Smarthost(Smarthost),
    /// By the node of this friend, over libp2p.
    Friend(PersonId),
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
    if !is_public {
        return Ok(Outbound::None);
    }
    // A friend's node takes only messages that the owner's domain has signed.
    Ok(smarthost::friend(node)?.map_or(Outbound::Direct, Outbound::Friend))
}

impl Outbound {
    /// True if mail to `domain` can leave this way.
    pub fn reaches(&self, domain: &str) -> bool {
        match self {
            Self::Smarthost(_) => true,
            Self::Direct | Self::Friend(_) => !domain_name::is_special_use(domain),
            Self::None => false,
        }
    }
}
