//! `freehold init`: what the set-up page does, from the command line, on a node that runs or on its folder.

use anyhow::Result;

use super::{Place, arguments, read_input, request};
use crate::control::{self, Request, SetUp};
use crate::say;
use crate::welcome::{program, quoted};

/// Sets the node up: identity, profile, password.
pub(super) async fn run(place: Place, init: arguments::Init) -> Result<()> {
    let password = read_input(&init.password_file)?;
    let password = password.trim_end_matches(['\r', '\n']).to_owned();
    let claim = init.claim.as_deref().map(read_input).transpose()?;
    let domain = init.domain.unwrap_or_else(|| format!("{}.localhost", init.login));
    let set_up = SetUp { name: init.name, login: init.login, domain, password, claim };
    let card = request::ask(&place, Request::SetUp(set_up)).await?.text;
    if !card.is_empty() {
        say::line("These 24 words are the deeds. They were made on this machine, so whoever runs it could have seen them;");
        say::line("to be beyond doubt, make them with `freehold identity new` on your own computer instead.");
        say::line("Write this card on paper. It is shown this once and is not kept here:\n");
        say::line(card);
        say::line("");
    }
    let folder = place.data.display();
    say::line(match control::ask(&place.data, &Request::Status).await? {
        Some(running) => format!("The house in {folder} is set up, and open at {}", running.word("web")?),
        None => {
            let data = quoted(&place.data.to_string_lossy());
            format!("The house in {folder} is set up. Start it with: {} --data {data}", quoted(&program()))
        }
    });
    Ok(())
}
