//! `freehold identity`: signing with the mnemonic on the owner's own computer, away from any node,
//! and the files that are carried between that computer and the node.

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
use super::{Target, prompt, read_input, request as node_request};
use crate::control::{IdentityChange, Request};
use crate::{console, control, exit};

pub(super) fn invalid(error: impl std::fmt::Display) -> anyhow::Error {
    exit::with(exit::DATA, error.to_string())
}

/// Makes a mnemonic and a claim file for one node. The claim is written last: an identity must not
/// exist before its words are on paper.
pub(super) fn new(new: IdentityNew) -> Result<()> {
    let card: NodeCard =
        new.node.trim().parse().map_err(|error| invalid(format!("the node's card: {error}")))?;
    refuse_existing(&new.out)?;
    let mnemonic = new_mnemonic()?;
    let claim = identity::transfer::create_claim(&mnemonic, &card).map_err(invalid)?;
    let person = claim.person().context("the claim names no person")?;
    console::print(
        "These 24 words are the keys to your identity: with them you move your posts and your \
         friends to a new machine.",
    );
    let phrase = mnemonic.phrase();
    show_once(mnemonic, person, new.at)?;
    if let Some(typed) = prompt::mnemonic_again("Type the 24 words, from your paper, then Enter:")?
        && typed.phrase() != phrase
    {
        return Err(invalid(
            "these are not the words above; no claim was written, and the words are not valid",
        ));
    }
    write_new(&new.out, &claim.to_string())?;
    console::print(format!(
        "The claim is in {}. It is not secret. Give it to your node, on its set-up page or with",
        new.out.display()
    ));
    console::print(format!("  freehold identity claim {}", new.out.display()));
    Ok(())
}

pub(super) fn new_mnemonic() -> Result<Mnemonic> {
    Ok(Mnemonic::generate(&Random::from_os().context("the system gives no random numbers")?))
}

fn show_once(mnemonic: Mnemonic, person: PersonId, addresses: Vec<String>) -> Result<()> {
    let card = RecoveryCard::new(mnemonic, person, addresses);
    console::print_durably(format!(
        "Write this card on paper, or print it. It is shown only once and is stored \
         nowhere.\n\n{card}\n"
    ))
    .map_err(|error| {
        exit::with(
            exit::CANT_CREATE,
            format!("the words could not be printed ({error}), so nothing was signed"),
        )
    })
}

/// Writes a request file, to be signed with the mnemonic. It is based on the identity log of the
/// node, or on a log file.
pub(super) async fn request(target: Target, arguments: IdentityRequest) -> Result<()> {
    let change = match arguments.wanted {
        WantedCommand::AddNode { card } => IdentityChange::AddNode { card },
        WantedCommand::RetireNode { node, stolen, accept_loss } => {
            IdentityChange::RetireNode { node, stolen, lossy: accept_loss }
        }
        WantedCommand::Domain { domain, .. } => IdentityChange::Domain { domain },
    };
    let (text, change) = match arguments.log {
        Some(path) => {
            let request = control::request_from_log(&read_log(&path)?, change)?;
            (request.to_string(), format!("{}.", request.describe()))
        }
        None => {
            let response =
                node_request::send(&target, Request::IdentityWants { wanted: change }).await?;
            let effects = response.string("effects").unwrap_or_default();
            let change = response.string("asks")?;
            (response.text, format!("{change}.\n{effects}"))
        }
    };
    if write_or_print(&arguments.out, &text)? {
        console::print(format!("This asks to {}", change.trim_end()));
        console::print(format!(
            "The request is in {}. Take it to the computer where you use your 24 words, and there \
             run:",
            arguments.out.display()
        ));
        console::print(format!("  freehold identity sign {}", arguments.out.display()));
    }
    Ok(())
}

/// Writes the identity log to a file.
pub(super) async fn log(target: Target, out: &Path) -> Result<()> {
    let response = node_request::send(&target, Request::IdentityLog).await?;
    if write_or_print(out, &response.text)? {
        console::print(format!(
            "The identity log is in {}. It is not secret; friends' nodes have it too.",
            out.display()
        ));
    }
    Ok(())
}

/// Signs a request file with the mnemonic.
pub(super) fn sign(sign: &IdentitySign) -> Result<()> {
    let request = read_input(&sign.request)?;
    let request: identity::SignatureRequest =
        request.parse().map_err(|error| invalid(format!("the request: {error}")))?;
    refuse_existing(&sign.out)?;
    console::print(format!("This asks to {}.", request.describe()));
    console::print(format!("Person {}", request.person()));
    console::print(format!(
        "It will be change number {} signed with these words.",
        request.log().ops().len() + 1
    ));
    if !sign.yes {
        prompt::confirm("Sign it?", "nothing was signed")?;
    }
    let mnemonic = prompt::mnemonic("Type your 24 words, then Enter:")?;
    let (text, receiver) = match identity::transfer::sign(&request, &mnemonic).map_err(invalid)? {
        Signed::Request(done) => (done.to_string(), "your node:\n freehold identity upload"),
        Signed::Claim(claim) => {
            (claim.to_string(), "the node that is added:\n  freehold identity claim")
        }
    };
    write_new(&sign.out, &text)?;
    console::print(format!("Signed. Give it to {receiver} {}", sign.out.display()));
    Ok(())
}

/// Replaces the mnemonic by a new one. The owner types the new one before the file is written, so
/// that it is on paper.
pub(super) fn change_words(change: IdentityChangeWords) -> Result<()> {
    let log = read_log(&change.log)?;
    refuse_existing(&change.out)?;
    console::print(format!("This replaces the 24 words of person {}.", log.person()));
    let old = prompt::mnemonic("Type your old 24 words, then Enter:")?;
    let new = new_mnemonic()?;
    let signed = replace_mnemonic(&log, &old, &new).map_err(invalid)?;
    console::print(
        "\nThese are the new words. The old ones stop being valid once your node has the signed \
         file.",
    );
    show_once(new, log.person(), change.at)?;
    let typed = prompt::mnemonic("Type the new 24 words, from your paper, then Enter:")?;
    if replace_mnemonic(&log, &old, &typed).map_err(invalid)? != signed {
        return Err(invalid(
            "these are not the new words; nothing was signed, and the old words stay valid",
        ));
    }
    write_new(&change.out, &signed.to_string())?;
    console::print(format!(
        "Signed. Give it to your node:\n  freehold identity upload {}",
        change.out.display()
    ));
    console::print("Keep the old card until that is done; then destroy it.");
    Ok(())
}

/// Makes a new key file for a copied data folder, with the mnemonic.
pub(super) fn unlock(target: &Target) -> Result<()> {
    let mnemonic = prompt::mnemonic("Type your 24 words, then Enter:")?;
    let path = freehold_core::node::new_key_file(&target.data, &mnemonic).map_err(|error| {
        let code = if matches!(error, freehold_core::node::NodeOpenError::Vault(_)) {
            exit::DATA
        } else {
            exit::UNAVAILABLE
        };
        exit::with(code, format!("can't unlock {}: {error}", target.data.display()))
    })?;
    console::print(format!(
        "The folder is unlocked. Its new key file is {}; the old key file no longer opens it.",
        path.display()
    ));
    Ok(())
}

fn read_log(path: &Path) -> Result<IdentityLog> {
    let bytes = std::fs::read(path).map_err(|error| {
        exit::with(exit::NO_INPUT, format!("can't read {}: {error}", path.display()))
    })?;
    IdentityLog::from_file(&bytes).map_err(|error| invalid(format!("{}: {error}", path.display())))
}

/// Writes a file, or prints the text if `path` is `-`. Returns true for a file.
fn write_or_print(path: &Path, text: &str) -> Result<bool> {
    if path.as_os_str() == "-" {
        console::print(text.trim_end());
        return Ok(false);
    }
    write_new(path, text).map(|()| true)
}

/// Checked before the mnemonic is typed, so that it need not be typed twice.
fn refuse_existing(path: &Path) -> Result<()> {
    if path.exists() {
        return Err(exit::with(
            exit::CANT_CREATE,
            format!(
                "{} exists already; move it away or choose another file with --out",
                path.display()
            ),
        ));
    }
    Ok(())
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    refuse_existing(path)?;
    // An existing file is never overwritten: it may be the only copy.
    let mut file = std::fs::File::create_new(path).map_err(|error| {
        exit::with(exit::CANT_CREATE, format!("can't write {}: {error}", path.display()))
    })?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|error| {
        // Half a file must not be taken for a whole one.
        let _ = std::fs::remove_file(path);
        exit::with(exit::CANT_CREATE, format!("can't write {}: {error}", path.display()))
    })
}
