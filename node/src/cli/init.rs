//! `freehold init`: what the set-up page does, from the command line.

use anyhow::Result;
use freehold_core::profile::Profile;
use freehold_core::{identity, logins};

use super::{Place, arguments, read_input};
use crate::{exit, open, say};

/// Sets the node up: identity, profile, password.
pub(super) async fn run(place: Place, init: arguments::Init) -> Result<()> {
    let password = read_input(&init.password_file)?;
    let password = password.trim_end_matches(['\r', '\n']);
    let claim = init.claim.as_deref().map(read_input).transpose()?;
    let node = open::node(&place.data, &place.config).await?;
    let Some(token) = logins::offer_setup(&node).await? else {
        return Err(exit::with(exit::DATA, format!("somebody lives in {} already", place.data.display())));
    };
    let profile = Profile {
        name: init.name,
        domain: init.domain.unwrap_or_else(|| format!("{}.localhost", init.login)),
        login: init.login,
        strapline: String::new(),
        about: String::new(),
        paint: 0,
    };
    // What can be refused is refused before the identity exists: it can't be made twice.
    let profile = freehold_core::profile::checked(profile).map_err(|error| exit::with(exit::DATA, error.to_string()))?;
    match claim {
        Some(claim) => {
            let claim = claim.parse().map_err(|error| exit::with(exit::DATA, format!("the claim file: {error}")))?;
            identity::claim(&node, &claim).await.map_err(|error| exit::with(exit::DATA, error.to_string()))?;
        }
        None if node.identity.person().is_none() => {
            let (words, _) = identity::create(&node).await?;
            show(&words);
        }
        None => {}
    }
    logins::set_up(&node, &token, profile, password).await.map_err(|error| exit::with(exit::DATA, error.to_string()))?;
    tokio::task::spawn_blocking(move || node.close()).await?;
    say::line(format!(
        "The house in {} is set up. Start it with: {} --data {}",
        place.data.display(),
        crate::welcome::program(),
        place.data.display()
    ));
    Ok(())
}

fn show(words: &freehold_core::words::Words) {
    say::line("These 24 words are the deeds. They were made on this machine, so whoever runs it could have seen them;");
    say::line("to be beyond doubt, make them with `freehold identity new` on your own computer instead.");
    say::line("They are shown this once and are not kept here:\n");
    say::line(super::identity::card(words));
}
