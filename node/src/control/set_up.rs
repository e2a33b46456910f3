//! Setting a node up from the command line: what the set-up page does.

use anyhow::{Result, anyhow};
use freehold_core::identity::Claim;
use freehold_core::identity::recovery_card;
use freehold_core::profile::{self, Profile};
use freehold_core::{identity, logins};
use serde::{Deserialize, Serialize};
use serde_json::json;

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
    /// A claim made where their words are; without one the node must have been claimed before.
    pub(crate) claim: Option<String>,
}

impl std::fmt::Debug for SetUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SetUp").field("login", &self.login).finish_non_exhaustive()
    }
}

/// What is given, once nothing of it can be refused any more.
struct Checked {
    profile: Profile,
    password: String,
    claim: Option<Claim>,
}

impl SetUp {
    /// Refuses what any node would refuse, before there is one.
    pub(crate) fn check(&self) -> Result<()> {
        self.clone().checked().map(drop)
    }

    fn checked(self) -> Result<Checked> {
        let Self { name, login, domain, password, claim } = self;
        let avatar_colour = profile::default_avatar_colour(&login, &domain);
        let profile = Profile {
            name,
            login,
            domain,
            strapline: String::new(),
            about: String::new(),
            avatar_colour,
        };
        let profile = profile::checked(profile).map_err(refused)?;
        logins::check_password(&password).map_err(refused)?;
        let claim = claim
            .map(|claim| claim.parse())
            .transpose()
            .map_err(|error| refused(anyhow!("the claim file: {error}")))?;
        Ok(Checked { profile, password, claim })
    }
}

fn taken(acting: &Acting) -> anyhow::Error {
    refused(anyhow!("somebody lives in {} already", acting.data.display()))
}

/// Refuses what would be refused, before anybody writes words on paper. Answers with what words are
/// made from, if there are none.
pub(super) fn may(acting: &Acting, given: SetUp) -> Result<Response> {
    let node = &acting.node;
    let given = given.checked()?;
    if profile::get(node)?.is_some() {
        return Err(taken(acting));
    }
    let is_wanted = given.claim.is_none() && node.identity.person().is_none();
    let known = recovery_card::addresses(
        acting.web.public_url.as_deref(),
        Some(&given.profile.domain),
        &acting.ports.multiaddrs(),
    );
    Ok(Response::text("").with(
        json!({ "card": is_wanted.then(|| node.identity.card().to_string()), "addresses": known }),
    ))
}

/// Sets the node up: identity, profile, password.
pub(super) async fn set_up(acting: &Acting, given: SetUp) -> Result<Response> {
    let node = &acting.node;
    // What can be refused is refused before anything exists: an identity can't be made twice.
    let given = given.checked()?;
    if profile::get(node)?.is_some() {
        return Err(taken(acting));
    }
    match given.claim {
        Some(claim) => {
            identity::claim(node, &claim).await.map_err(refused)?;
        }
        None if node.identity.person().is_none() => {
            return Err(refused(anyhow!("nobody's words have claimed this node yet")));
        }
        None => {}
    }
    // Only now: an offer ends the one before it, and the link that the node printed must outlive a
    // refusal.
    let token = logins::offer_setup(node).await?.ok_or_else(|| taken(acting))?;
    logins::set_up(node, &token, given.profile, &given.password).await.map_err(refused)?;
    Ok(Response::text(""))
}
