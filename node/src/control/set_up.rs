//! Setting a node up from the command line, as the set-up page does.

use anyhow::{Result, anyhow};
use freehold_core::identity::Claim;
use freehold_core::identity::recovery_card;
use freehold_core::profile::{self, Profile};
use freehold_core::{identity, logins};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::execute::invalid;
use super::{ControlContext, Response};

/// The set-up values.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SetUp {
    /// The owner's name.
    pub(crate) name: String,
    /// The part of the mail address before the @.
    pub(crate) login: String,
    /// The part of the mail address after the @.
    pub(crate) domain: String,
    /// The password for the browser.
    pub(crate) password: String,
    /// A claim that was signed with the mnemonic. Without one the node must have an identity
    /// already.
    pub(crate) claim: Option<String>,
}

impl std::fmt::Debug for SetUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SetUp").field("login", &self.login).finish_non_exhaustive()
    }
}

/// Valid set-up values.
struct Checked {
    profile: Profile,
    password: String,
    claim: Option<Claim>,
}

impl SetUp {
    /// Checks the values without a node.
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
            time_zone: String::new(),
            language: String::new(),
        };
        let profile = profile::checked(profile).map_err(invalid)?;
        logins::check_password(&password).map_err(invalid)?;
        let claim = claim
            .map(|claim| claim.parse())
            .transpose()
            .map_err(|error| invalid(anyhow!("the claim file: {error}")))?;
        Ok(Checked { profile, password, claim })
    }
}

fn already_set_up(context: &ControlContext) -> anyhow::Error {
    invalid(anyhow!("the node in {} is set up already", context.data.display()))
}

/// Checks the values before the owner writes a mnemonic on paper. The response has the node's card,
/// if a mnemonic is still to be made.
pub(super) fn check(context: &ControlContext, values: SetUp) -> Result<Response> {
    let node = &context.node;
    let values = values.checked()?;
    if profile::get(node)?.is_some() {
        return Err(already_set_up(context));
    }
    let needs_mnemonic = values.claim.is_none() && node.identity.person().is_none();
    let addresses = recovery_card::addresses(
        context.web.public_url.as_deref(),
        Some(&values.profile.domain),
        &(context.addresses)(),
    );
    Ok(Response::text("").with(
        json!({ "card": needs_mnemonic.then(|| node.identity.card().to_string()), "addresses": addresses }),
    ))
}

/// Sets the node up: identity, profile, password.
pub(super) async fn set_up(context: &ControlContext, values: SetUp) -> Result<Response> {
    let node = &context.node;
    // Checked before the first write: an identity can't be made twice.
    let values = values.checked()?;
    if profile::get(node)?.is_some() {
        return Err(already_set_up(context));
    }
    match values.claim {
        Some(claim) => {
            identity::claim(node, &claim).await.map_err(invalid)?;
        }
        None if node.identity.person().is_none() => {
            return Err(invalid(anyhow!(
                "this node has no identity yet; give a claim file with --claim"
            )));
        }
        None => {}
    }
    // Made after all checks: a new set-up token ends the previous one, and the link that the node
    // printed must stay valid after a failed check.
    let token = logins::offer_setup(node).await?.ok_or_else(|| already_set_up(context))?;
    logins::set_up(node, &token, values.profile, &values.password, None).await.map_err(invalid)?;
    Ok(Response::text(""))
}

/// A new one-time link; it ends the one before.
pub(super) async fn link(context: &ControlContext) -> Result<Response> {
    let token = logins::offer_setup(&context.node).await?;
    let token = token.ok_or_else(|| already_set_up(context))?.to_string();
    let link = format!("{}/setup?token={token}", context.url(None));
    let text = format!("{link}\n\nOpen this link in a browser; it works once.");
    Ok(Response::text(text).with(json!({ "link": link })))
}
