//! Setting a node up from the command line: what the set-up page does.

use anyhow::{Result, anyhow};
use freehold_core::identity::Claim;
use freehold_core::identity::recovery_card::{self, RecoveryCard};
use freehold_core::profile::{self, Profile};
use freehold_core::{identity, logins};
use serde::{Deserialize, Serialize};

use super::act::refused;
use super::{Acting, Response};

/// Who moves in.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SetUp {
    /// Their name.
    pub(crate) name: String,
    /// The part of their address before the @.
    pub(crate) login: String,
    /// The part after it.
    pub(crate) domain: String,
    /// What opens their rooms in a browser.
    pub(crate) password: String,
    /// A claim made where their words are; without one the words are made here.
    pub(crate) claim: Option<String>,
}

impl std::fmt::Debug for SetUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SetUp").field("login", &self.login).finish_non_exhaustive()
    }
}

/// Sets the node up: identity, profile, password. Answers with the recovery card if the words were made here.
pub(super) async fn set_up(acting: &Acting, given: SetUp) -> Result<Response> {
    let node = &acting.node;
    let SetUp { name, login, domain, password, claim } = given;
    // What can be refused is refused before anything exists: an identity can't be made twice, and words must not be lost.
    let profile = Profile { name, login, domain, strapline: String::new(), about: String::new(), paint: 0 };
    let profile = profile::checked(profile).map_err(refused)?;
    logins::check_password(&password).map_err(refused)?;
    let claim: Option<Claim> = claim.map(|claim| claim.parse()).transpose().map_err(|error| refused(anyhow!("the claim file: {error}")))?;
    let lived_in = || refused(anyhow!("somebody lives in {} already", acting.data.display()));
    if profile::get(node)?.is_some() {
        return Err(lived_in());
    }
    let made_elsewhere = claim.is_some() || node.identity.person().is_some();
    if let Some(claim) = claim {
        identity::claim(node, &claim).await.map_err(refused)?;
    }
    // Only now: an offer ends the one before it, and the link that the node printed must outlive a refusal.
    let token = logins::offer_setup(node).await?.ok_or_else(lived_in)?;
    logins::set_up(node, &token, profile.clone(), &password).await.map_err(refused)?;
    if made_elsewhere {
        return Ok(Response::text(""));
    }
    let (words, person) = identity::create(node).await.map_err(refused)?;
    let known = recovery_card::addresses(acting.web.public_url.as_deref(), Some(&profile.domain), &acting.ports.multiaddrs());
    Ok(Response::text(RecoveryCard::new(words, person, known).to_string()))
}
