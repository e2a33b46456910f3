//! Requests about the node's person: which nodes may publish for them, and changes that need a
//! signature with the mnemonic.

use anyhow::{Context, Result, anyhow};
use freehold_core::domain_name;
use freehold_core::identity::op::OpBody;
use freehold_core::identity::{self, IdentityLog};
use freehold_core::identity_log::{self, VoidPolicy};
use freehold_core::keys::PublicKey;
use freehold_core::node::Node;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Response;
use super::execute::invalid;
use crate::exit;

/// The fewest hexadecimal digits of a node's key that select it.
const KEY_DIGITS_MIN: usize = 8;

/// A change that needs the signature of a root key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "op")]
pub(crate) enum IdentityChange {
    /// Add another node, by its card.
    AddNode { card: String },
    /// Retire a node; `lossy` accepts that some of its entries become void.
    RetireNode { node: String, stolen: bool, lossy: bool },
    /// Set the domain that vouches for the name, or none.
    Domain { domain: Option<String> },
}

/// The identity log of the node's person.
fn own_log(node: &Node) -> Result<std::sync::Arc<IdentityLog>> {
    node.identity.log().context("this node has no identity yet; set it up first").map_err(invalid)
}

/// Shows the node's person and the nodes that may publish for them.
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
        format!("Person {}\nNodes that may publish for them:\n{}", log.person(), nodes.join("\n"));
    if let Some(domain) = &state.domain {
        text += &format!(
            "\nThe domain {domain} is asked to vouch for the name. This node does not check whether \
             it does."
        );
    }
    text += &format!("\nChanges signed with the 24 words: {}.", log.ops().len());
    if identity_log::dispute(node, &log.person())?.is_some() {
        text +=
            "\nDISPUTED: two signed changes follow the same one, and no rule decides between them.";
    }
    let listed = state
        .nodes
        .iter()
        .map(|(key, of)| json!({ "key": key.to_string(), "retired": of.retired.is_some() }));
    let value = json!({
        "person": log.person().to_string(),
        "nodes": listed.collect::<Vec<_>>(),
        "domain": state.domain,
    });
    Ok(Response::text(text).with(value))
}

/// The identity log as text.
pub(super) fn log(node: &Node) -> Result<Response> {
    Ok(Response::text(own_log(node)?.to_string()))
}

/// Makes a request file for a change, to be signed with the mnemonic.
pub(super) fn request(node: &Node, change: IdentityChange) -> Result<Response> {
    let log = own_log(node)?;
    let mut effects = String::new();
    let request = match change {
        IdentityChange::RetireNode { node: key, stolen, lossy } => {
            let policy = if lossy { VoidPolicy::Accept } else { VoidPolicy::Refuse };
            let retired = find_node(&log, &key)?;
            effects = super::retirement::effects(node, &log, &retired)?;
            identity_log::request_retirement(node, retired, stolen, policy).map_err(|error| {
                match error {
                    identity_log::RequestError::NothingHeld
                    | identity_log::RequestError::TooManyBranches { .. } => {
                        invalid(anyhow!("{error}; to retire it anyway, add --accept-loss"))
                    }
                    other => invalid(other),
                }
            })?
        }
        other => request_from_log(&log, other)?,
    };
    let value = json!({ "asks": request.describe(), "effects": effects });
    Ok(Response::text(request.to_string()).with(value))
}

/// Makes a request file from the identity log alone.
pub(crate) fn request_from_log(
    log: &IdentityLog,
    change: IdentityChange,
) -> Result<identity::SignatureRequest> {
    let body = match change {
        IdentityChange::AddNode { card } => OpBody::AddNode(card.parse().map_err(invalid)?),
        IdentityChange::Domain { domain } => {
            OpBody::SetDomain(domain.map(|domain| checked_domain(&domain)).transpose()?)
        }
        IdentityChange::RetireNode { .. } => {
            return Err(exit::with(
                exit::USAGE,
                "--log can't be used to retire a node: the request must come from a node that \
                 holds its entries",
            ));
        }
    };
    identity_log::request(log, body).map_err(invalid)
}

fn checked_domain(domain: &str) -> Result<String> {
    let ascii = domain_name::ascii(domain.trim()).filter(|domain| domain_name::is_host(domain));
    let ascii = ascii.map(|domain| domain.into_owned());
    ascii.ok_or_else(|| invalid(anyhow!("{domain:?} is not a domain name")))
}

/// Finds the node whose key begins with `typed`.
fn find_node(log: &IdentityLog, typed: &str) -> Result<PublicKey> {
    let typed = typed.trim().to_ascii_lowercase();
    if typed.len() < KEY_DIGITS_MIN {
        return Err(exit::with(
            exit::USAGE,
            format!("give at least the first {KEY_DIGITS_MIN} digits of the node's key"),
        ));
    }
    let mut matching = log.state().nodes.keys().filter(|key| key.to_string().starts_with(&typed));
    match (matching.next(), matching.next()) {
        (Some(key), None) => Ok(*key),
        (Some(_), Some(_)) => {
            Err(invalid(anyhow!("more than one node's key begins with {typed}; give more digits")))
        }
        (None, _) => Err(invalid(identity_log::RequestError::NodeUnknown)),
    }
}

/// Adds signed changes to the identity log.
pub(super) async fn upload(node: &Node, signed: &str) -> Result<Response> {
    let signed = signed.parse().map_err(invalid)?;
    let added = identity_log::upload(node, &signed).await.map_err(invalid)?;
    Ok(Response::text(match added.is_empty() {
        true => "Nothing new: the identity log has these changes already.".to_owned(),
        false => added
            .iter()
            .map(|change| format!("Added to the identity log: {change}."))
            .collect::<Vec<_>>()
            .join("\n"),
    }))
}
