//! `freehold init`: what the set-up page does, from the command line, on a node that runs or on its folder.

use std::io::IsTerminal;

use anyhow::{Context, Result};
use freehold_core::identity::recovery_card::RecoveryCard;
use freehold_core::identity::{self, NodeCard};

use super::identity::{fresh_words, refused};
use super::{Place, arguments, read_input, request, words};
use crate::control::{self, Request, Response, SetUp};
use crate::say;
use crate::welcome::{program, quoted};

/// Sets the node up: identity, profile, password.
pub(super) async fn run(place: Place, init: arguments::Init) -> Result<()> {
    let password = read_input(&init.password_file)?;
    let password = password.trim_end_matches(['\r', '\n']).to_owned();
    let claim = init.claim.as_deref().map(read_input).transpose()?;
    let domain = init.domain.unwrap_or_else(|| format!("{}.localhost", init.login));
    let mut set_up = SetUp { name: init.name, login: init.login, domain, password, claim };
    // What is refused leaves no folder behind.
    set_up.check()?;
    let may = request::ask(&place, Request::MaySetUp(set_up.clone())).await?;
    // Words are made here and seen here before they count: an end at any moment loses none that
    // speak for somebody.
    let are_shown = may.get("card").is_string();
    if are_shown {
        set_up.claim = Some(show_words(&may)?);
    }
    if let Err(error) = request::ask(&place, Request::SetUp(set_up)).await {
        if are_shown {
            say::line(
                "If `freehold init` can be given once more, this did not come to pass: the words above count for nothing then.",
            );
        }
        return Err(error);
    }
    let folder = place.data.display();
    say::line(match control::ask(&place.data, &Request::Status).await? {
        Some(running) => {
            format!("The house in {folder} is set up, and open at {}", running.word("web")?)
        }
        None => {
            let data = quoted(&place.data.to_string_lossy());
            format!(
                "The house in {folder} is set up. Start it with: {} --data {data}",
                quoted(&program())
            )
        }
    });
    Ok(())
}

/// Makes words for the node that answered, and shows them; gives the claim.
fn show_words(node: &Response) -> Result<String> {
    let card: NodeCard =
        node.word("card")?.parse().map_err(|error| refused(format!("the node's card: {error}")))?;
    let made = fresh_words()?;
    let claim = identity::create_claim(&made, &card).map_err(refused)?;
    let person = claim.person().context("the claim names nobody")?;
    let known: Vec<String> = serde_json::from_value(node.get("addresses").clone())?;
    let card = RecoveryCard::new(made, person, known);
    say::surely(format!(
        "These 24 words are the deeds. They were made on this machine, so whoever runs it could have seen them;\n\
         to be beyond doubt, make them with `freehold identity new` on your own computer instead.\n\
         Write this card on paper. It is shown this once and is not kept here:\n\n{card}\n"
    ))
    .context("the words could not be shown, so nothing was set up")?;
    if std::io::stdin().is_terminal() {
        words::agreed(
            "Is the card on paper?",
            "nothing was set up, and these words count for nothing",
        )?;
    }
    Ok(claim.to_string())
}
