//! `freehold init`: the set-up page's work from the command line, on a running node or on its
//! folder.

use std::io::IsTerminal;

use anyhow::{Context, Result};
use freehold_core::identity::recovery_card::RecoveryCard;
use freehold_core::identity::{self, NodeCard};

use super::identity::{invalid, new_mnemonic};
use super::{Target, arguments, prompt, read_input, request};
use crate::console;
use crate::control::{self, Request, Response, SetUp};
use crate::shell::{program, quote};

/// Sets the node up: identity, profile, password.
pub(super) async fn run(target: Target, init: arguments::Init) -> Result<()> {
    let password = read_input(&init.password_file)?;
    let password = password.trim_end_matches(['\r', '\n']).to_owned();
    let claim = init.claim.as_deref().map(read_input).transpose()?;
    let domain = init.domain.unwrap_or_else(|| format!("{}.localhost", init.login));
    let mut set_up = SetUp { name: init.name, login: init.login, domain, password, claim };
    // Checked before the folder is created.
    set_up.check()?;
    let checked = request::send(&target, Request::MaySetUp(set_up.clone())).await?;
    // The mnemonic is made and shown before the claim is stored: a crash at any moment leaves no
    // identity whose mnemonic nobody has seen.
    let is_mnemonic_new = checked.get("card").is_string();
    if is_mnemonic_new {
        set_up.claim = Some(show_new_mnemonic(&checked)?);
    }
    if let Err(error) = request::send(&target, Request::SetUp(set_up)).await {
        if is_mnemonic_new {
            console::print(
                "The set-up failed. If you can run `freehold init` again, the 24 words above are \
                 not valid: destroy them.",
            );
        }
        return Err(error);
    }
    let folder = target.data.display();
    console::print(match control::call(&target.data, &Request::Status).await? {
        Some(running) => {
            format!("The node in {folder} is set up and running at {}", running.string("web")?)
        }
        None => {
            let data = target.data.to_string_lossy();
            let mut command = vec![program(), "--data".to_owned(), data.into_owned()];
            command.extend(target.options);
            let command: Vec<String> = command.iter().map(|word| quote(word)).collect();
            format!("The node in {folder} is set up. Start it with: {}", command.join(" "))
        }
    });
    Ok(())
}

/// Makes a mnemonic for the node of this response and prints its recovery card. Returns the claim.
fn show_new_mnemonic(node: &Response) -> Result<String> {
    let card: NodeCard = node
        .string("card")?
        .parse()
        .map_err(|error| invalid(format!("the node's card: {error}")))?;
    let mnemonic = new_mnemonic()?;
    let claim = identity::create_claim(&mnemonic, &card).map_err(invalid)?;
    let person = claim.person().context("the claim names no person")?;
    let addresses: Vec<String> = serde_json::from_value(node.get("addresses").clone())?;
    let card = RecoveryCard::new(mnemonic, person, addresses);
    console::print_flushed(format!(
"These 24 words are the keys to your identity. They were made on this machine, so its operator could have\n\
seen them; to rule that out, make them with `freehold identity new` on your own computer instead.\n\
Write this card on paper. It is shown only once and is not stored here:\n\n{card}\n"
    ))
    .context("the words could not be printed, so nothing was set up")?;
    if std::io::stdin().is_terminal() {
        prompt::confirm(
            "Is the card on paper?",
            "nothing was set up, and these words are not valid; run the command again",
        )?;
    }
    Ok(claim.to_string())
}
