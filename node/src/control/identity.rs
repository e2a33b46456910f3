//! What can be asked of a node about its person: who speaks for them, and what needs their words.

use anyhow::{Context, Result, anyhow};
use freehold_core::identity::op::OpBody;
use freehold_core::identity::{self, IdentityLog};
use freehold_core::identity_log::{self, VoidPolicy};
use freehold_core::keys::PublicKey;
use freehold_core::node::Node;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Response;
use super::act::refused;
use crate::exit;

/// How much of a node's key must be typed at least, in hexadecimal digits.
const KEY_DIGITS_MIN: usize = 8;

/// What needs a root key's signature.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "op")]
pub(crate) enum Wanted {
    /// Another node, by its card.
    AddNode { card: String },
    /// No more of a node; `lossy` accepts that some of what it said becomes void.
    RetireNode { node: String, stolen: bool, lossy: bool },
    /// A domain that vouches for the name, or none.
    Domain { domain: Option<String> },
}

/// The log of the person whose node this is.
fn own_log(node: &Node) -> Result<std::sync::Arc<IdentityLog>> {
    node.identity.log().context("this node belongs to nobody yet").map_err(refused)
}

/// Who this node speaks for, and which nodes do.
pub(super) fn show(node: &Node) -> Result<Response> {
    let log = own_log(node)?;
    let state = log.state();
    let this = node.identity.node_key();
    let line = |(key, of): (&PublicKey, &identity::log::NodeState)| {
        let retired = if of.retired.is_some() { ", retired" } else { "" };
        format!("  {key}{}{retired}", if *key == this { " (this one)" } else { "" })
    };
    let nodes: Vec<String> = state.nodes.iter().map(line).collect();
    let mut text =
        format!("Person {}\nNodes that may speak for them:\n{}", log.person(), nodes.join("\n"));
    if let Some(domain) = &state.domain {
        text += &format!("\nThe domain {domain} vouches for the name.");
    }
    text += &format!("\nChanges signed with the words so far: {}.", log.ops().len());
    if identity_log::dispute(node, &log.person())?.is_some() {
        text +=
            "\nDISPUTED: two signed changes follow the same one, and nothing decides between them.";
    }
    let listed = state
        .nodes
        .iter()
        .map(|(key, of)| json!({ "key": key.to_string(), "retired": of.retired.is_some() }));
    let value = json!({ "person": log.person().to_string(), "nodes": listed.collect::<Vec<_>>(), "domain": state.domain });
    Ok(Response::text(text).with(value))
}

/// The identity log as a text.
pub(super) fn log(node: &Node) -> Result<Response> {
    Ok(Response::text(own_log(node)?.to_string()))
}

/// A request for what is wanted, to be signed with the words.
pub(super) fn request(node: &Node, wanted: Wanted) -> Result<Response> {
    let log = own_log(node)?;
    let asked = match wanted {
        Wanted::RetireNode { node: key, stolen, lossy } => {
            let policy = if lossy { VoidPolicy::Accept } else { VoidPolicy::Refuse };
            identity_log::request_retirement(node, key_of(&log, &key)?, stolen, policy).map_err(
                |error| match error {
                    identity_log::RequestError::NothingHeld
                    | identity_log::RequestError::TooManyBranches { .. } => {
                        refused(anyhow!("{error}; --accept-loss asks for it all the same"))
                    }
                    other => refused(other),
                },
            )?
        }
        other => of_log(&log, other)?,
    };
    Ok(Response::text(asked.to_string()).with(json!({ "asks": asked.describe() })))
}

/// A request that needs nothing but the log.
pub(crate) fn of_log(log: &IdentityLog, wanted: Wanted) -> Result<identity::SignatureRequest> {
    let body = match wanted {
        Wanted::AddNode { card } => OpBody::AddNode(card.parse().map_err(refused)?),
        Wanted::Domain { domain } => {
            OpBody::SetDomain(domain.map(|domain| domain_of(&domain)).transpose()?)
        }
        Wanted::RetireNode { .. } => {
            return Err(exit::with(
                exit::USAGE,
                "a node is retired from a node that holds what it said; --log can't be used for that",
            ));
        }
    };
    identity_log::request(log, body).map_err(refused)
}

fn domain_of(domain: &str) -> Result<String> {
    let domain = domain.trim().trim_end_matches('.').to_ascii_lowercase();
    if freehold_core::profile::is_domain(&domain) {
        Ok(domain)
    } else {
        Err(refused(anyhow!("{domain:?} is not a domain")))
    }
}

/// The node whose key begins like this.
fn key_of(log: &IdentityLog, typed: &str) -> Result<PublicKey> {
    let typed = typed.trim().to_ascii_lowercase();
    if typed.len() < KEY_DIGITS_MIN {
        return Err(exit::with(
            exit::USAGE,
            format!("a node is named by at least the first {KEY_DIGITS_MIN} digits of its key"),
        ));
    }
    let mut found = log.state().nodes.keys().filter(|key| key.to_string().starts_with(&typed));
    match (found.next(), found.next()) {
        (Some(key), None) => Ok(*key),
        (Some(_), Some(_)) => Err(refused(anyhow!("more than one node's key begins like that"))),
        (None, _) => Err(refused(identity_log::RequestError::NodeUnknown)),
    }
}

/// Takes in what was signed.
pub(super) async fn upload(node: &Node, signed: &str) -> Result<Response> {
    let signed = signed.parse().map_err(refused)?;
    let fresh = identity_log::upload(node, &signed).await.map_err(refused)?;
    Ok(Response::text(match fresh.is_empty() {
        true => "Nothing new: all of it was in the identity log already.".to_owned(),
        false => fresh
            .iter()
            .map(|what| format!("Taken into the identity log: {what}."))
            .collect::<Vec<_>>()
            .join("\n"),
    }))
}
