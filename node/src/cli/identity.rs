//! `freehold identity`: what is done with the 24 words, on the owner's own computer, away from any node; and the files that go between.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use freehold_core::identity::recovery_card::RecoveryCard;
use freehold_core::identity::transfer::{Signed, replace_mnemonic};
use freehold_core::identity::{self, IdentityLog, NodeCard, PersonId};
use freehold_core::mnemonic::Mnemonic;
use freehold_core::random::Random;

use super::arguments::{
    IdentityChangeWords, IdentityNew, IdentityRequest, IdentitySign, WantedCommand,
};
use super::{Place, read_input, request, words};
use crate::control::{Request, Wanted};
use crate::{control, exit, say};

pub(super) fn refused(error: impl std::fmt::Display) -> anyhow::Error {
    exit::with(exit::DATA, error.to_string())
}

/// Makes words and a claim file for one node.
pub(super) fn new(new: IdentityNew) -> Result<()> {
    let card: NodeCard =
        new.node.trim().parse().map_err(|error| refused(format!("the node's card: {error}")))?;
    let words = fresh_words()?;
    let claim = identity::transfer::create_claim(&words, &card).map_err(refused)?;
    let person = claim.person().context("the claim names nobody")?;
    write_new(&new.out, &claim.to_string())?;
    say::line(
        "These 24 words are your deeds: they move you, your writing and your friends to a new machine.",
    );
    show_once(words, person, new.at);
    say::line(format!(
        "The claim is in {}. It is no secret: give it to your node, on its set-up page or with",
        new.out.display()
    ));
    say::line(format!("  freehold identity claim {}", new.out.display()));
    Ok(())
}

pub(super) fn fresh_words() -> Result<Mnemonic> {
    Ok(Mnemonic::generate(&Random::from_os().context("this machine gives no randomness")?))
}

fn show_once(words: Mnemonic, person: PersonId, addresses: Vec<String>) {
    say::line(
        "Write this card on paper, or print it. It is shown this once and is kept nowhere.\n",
    );
    say::line(RecoveryCard::new(words, person, addresses).to_string());
    say::line("");
}

/// Writes a request for what needs the words, as the node or a log alone has it.
pub(super) async fn ask(place: Place, asked: IdentityRequest) -> Result<()> {
    let wanted = match asked.wanted {
        WantedCommand::AddNode { card } => Wanted::AddNode { card },
        WantedCommand::RetireNode { node, stolen, accept_loss } => {
            Wanted::RetireNode { node, stolen, lossy: accept_loss }
        }
        WantedCommand::Domain { domain, .. } => Wanted::Domain { domain },
    };
    let (text, asks) = match asked.log {
        Some(path) => {
            let request = control::of_log(&read_log(&path)?, wanted)?;
            (request.to_string(), request.describe())
        }
        None => {
            let response = request::ask(&place, Request::IdentityWants { wanted }).await?;
            let asks = response.word("asks")?;
            (response.text, asks)
        }
    };
    if written(&asked.out, &text)? {
        say::line(format!("This asks to {asks}."));
        say::line(format!(
            "The request is in {}. Take it to where your words are, and there:",
            asked.out.display()
        ));
        say::line(format!("  freehold identity sign {}", asked.out.display()));
    }
    Ok(())
}

/// Writes the identity log to a file.
pub(super) async fn log(place: Place, out: &Path) -> Result<()> {
    let response = request::ask(&place, Request::IdentityLog).await?;
    if written(out, &response.text)? {
        say::line(format!(
            "The identity log is in {}. It is no secret; friends' nodes have it too.",
            out.display()
        ));
    }
    Ok(())
}

/// Signs a node's request with the words.
pub(super) fn sign(sign: &IdentitySign) -> Result<()> {
    let request = read_input(&sign.request)?;
    let request: identity::SignatureRequest =
        request.parse().map_err(|error| refused(format!("the request: {error}")))?;
    can_be_written(&sign.out)?;
    say::line(format!("This asks to {}.", request.describe()));
    say::line(format!("Person {}", request.person()));
    say::line(format!(
        "It becomes change number {} signed with the words.",
        request.log().ops().len() + 1
    ));
    if !sign.yes {
        words::agreed("Sign it?", "nothing was signed")?;
    }
    let words = words::ask("Type your 24 words, then Enter:")?;
    let (text, to) = match identity::transfer::sign(&request, &words).map_err(refused)? {
        Signed::Request(done) => (done.to_string(), "your node:\n  freehold identity upload"),
        Signed::Claim(claim) => {
            (claim.to_string(), "the node that is added:\n  freehold identity claim")
        }
    };
    write_new(&sign.out, &text)?;
    say::line(format!("Signed. Give it to {to} {}", sign.out.display()));
    Ok(())
}

/// Replaces the words by new ones, which are asked back before anything is written.
pub(super) fn change_words(change: IdentityChangeWords) -> Result<()> {
    let log = read_log(&change.log)?;
    can_be_written(&change.out)?;
    say::line(format!("This replaces the 24 words of person {}.", log.person()));
    let old = words::ask("Type your old 24 words, then Enter:")?;
    let new = fresh_words()?;
    let signed = replace_mnemonic(&log, &old, &new).map_err(refused)?;
    say::line(
        "\nThese are the new words. The old ones count for nothing more once your node has what is signed here.",
    );
    show_once(new, log.person(), change.at);
    let back = words::ask("Type the new 24 words, from your paper, then Enter:")?;
    if replace_mnemonic(&log, &old, &back).map_err(refused)? != signed {
        return Err(refused(
            "these are not the new words; nothing was signed, and the old words still count",
        ));
    }
    write_new(&change.out, &signed.to_string())?;
    say::line(format!(
        "Signed. Give it to your node:\n  freehold identity upload {}",
        change.out.display()
    ));
    say::line("Keep the old card until that is done; then destroy it.");
    Ok(())
}

/// Gives a copied data folder another key file, by the words.
pub(super) fn unlock(place: &Place) -> Result<()> {
    let words = words::ask("Type your 24 words, then Enter:")?;
    let path = freehold_core::node::new_key_file(&place.data, &words).map_err(|error| {
        let code = if matches!(error, freehold_core::node::NodeOpenError::Vault(_)) {
            exit::DATA
        } else {
            exit::UNAVAILABLE
        };
        exit::with(code, format!("can't unlock {}: {error}", place.data.display()))
    })?;
    say::line(format!(
        "Your words open it. The new key file is {}; whatever opened the folder before does so no more.",
        path.display()
    ));
    Ok(())
}

fn read_log(path: &Path) -> Result<IdentityLog> {
    let bytes = std::fs::read(path).map_err(|error| {
        exit::with(exit::NO_INPUT, format!("can't read {}: {error}", path.display()))
    })?;
    IdentityLog::from_file(&bytes).map_err(|error| refused(format!("{}: {error}", path.display())))
}

/// Writes to a file, or to standard output for `-`; whether it was a file.
fn written(path: &Path, text: &str) -> Result<bool> {
    if path.as_os_str() == "-" {
        say::line(text.trim_end());
        return Ok(false);
    }
    write_new(path, text).map(|()| true)
}

/// Refuses before the words are typed what would be refused after.
fn can_be_written(path: &Path) -> Result<()> {
    if path.exists() {
        return Err(exit::with(
            exit::CANT_CREATE,
            format!("{} is there already; move it away or name another with --out", path.display()),
        ));
    }
    Ok(())
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    can_be_written(path)?;
    // Never over a file that is there: it may be somebody's only copy.
    let mut file = std::fs::File::create_new(path).map_err(|error| {
        exit::with(exit::CANT_CREATE, format!("can't write {}: {error}", path.display()))
    })?;
    file.write_all(text.as_bytes()).with_context(|| format!("can't write {}", path.display()))
}
