//! Aliases and masked addresses, by command.

use anyhow::{Context, Result};
use clap::{Subcommand, ValueEnum};
use freehold_core::aliases::{self, Alias};
use freehold_core::node::Node;
use freehold_core::profile::{self, Profile};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Response;
use super::execute::invalid;

/// Subcommands of `address`.
#[derive(Clone, Debug, Subcommand, Serialize, Deserialize)]
pub(crate) enum AddressCommand {
    /// Show your addresses, and who wrote to them.
    List,
    /// Make an alias: mail to NAME at your domain comes to you.
    Add {
        /// The part before the @.
        name: String,
        /// Your note on it, as for whom it is.
        #[arg(long = "for", value_name = "TEXT", default_value = "")]
        label: String,
    },
    /// Make an address that nobody guesses, to give to one shop or list.
    Mask {
        /// Your note on it, as for whom it is.
        #[arg(long = "for", value_name = "TEXT", default_value = "")]
        label: String,
    },
    /// Refuse mail to an alias.
    Off {
        /// The part before the @, or the address.
        name: String,
    },
    /// Accept mail to an alias again.
    On {
        /// The part before the @, or the address.
        name: String,
    },
    /// Remove an alias and what is known of it.
    Remove {
        /// The part before the @, or the address.
        name: String,
    },
    /// Accept mail to any address at your domain, or stop that.
    CatchAll {
        /// Whether it is accepted.
        state: Switch,
    },
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Switch {
    /// Accept it.
    On,
    /// Refuse it.
    Off,
}

/// Executes the command.
pub(super) async fn run(node: &Node, command: AddressCommand) -> Result<Response> {
    let owner = profile::get(node)?.context("the node is not set up yet")?;
    match command {
        AddressCommand::List => return list(node, &owner),
        AddressCommand::Add { name, label } => {
            return made(&owner, &aliases::add(node, &name, &label).await.map_err(invalid)?);
        }
        AddressCommand::Mask { label } => {
            return made(&owner, &aliases::mask(node, &label).await.map_err(invalid)?);
        }
        AddressCommand::Off { name } => {
            aliases::switch(node, &name, false).await.map_err(invalid)?;
        }
        AddressCommand::On { name } => {
            aliases::switch(node, &name, true).await.map_err(invalid)?;
        }
        AddressCommand::Remove { name } => aliases::remove(node, &name).await.map_err(invalid)?,
        AddressCommand::CatchAll { state } => {
            aliases::set_catch_all(node, state == Switch::On).await?;
        }
    }
    Ok(Response::text("Changed."))
}

fn made(owner: &Profile, alias: &Alias) -> Result<Response> {
    let address = aliases::address(owner, &alias.local);
    Ok(Response::text(address.clone()).with(json!({ "address": address })))
}

fn list(node: &Node, owner: &Profile) -> Result<Response> {
    let all = aliases::aliases(node)?;
    let is_catch_all = aliases::is_catch_all(node)?;
    let mut text = profile::address(owner);
    if is_catch_all {
        text.push_str("\nAny other address at the domain comes to you too (catch-all).");
    }
    for alias in &all {
        text.push_str(&format!("\n{}", aliases::address(owner, &alias.local)));
        if !alias.label.is_empty() {
            text.push_str(&format!(" ({})", alias.label));
        }
        text.push_str(if alias.is_on { "" } else { ", off" });
        let messages = if alias.messages == 1 { "message" } else { "messages" };
        text.push_str(&format!(", {} {messages}", alias.messages));
        for sender in &alias.senders {
            let shown = if sender.address.is_empty() { "a mail server" } else { &sender.address };
            text.push_str(&format!("\n    {shown}"));
        }
    }
    let value = all.iter().map(|alias| {
        json!({
            "address": aliases::address(owner, &alias.local),
            "label": alias.label,
            "on": alias.is_on,
            "caught": alias.is_caught,
            "messages": alias.messages,
            "senders": alias.senders.iter().map(|sender| &sender.address).collect::<Vec<_>>(),
        })
    });
    let aliases = value.collect::<Vec<_>>();
    Ok(Response::text(text).with(json!({ "aliases": aliases, "catch_all": is_catch_all })))
}
