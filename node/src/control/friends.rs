//! The list of friends with what is known of their nodes.

use anyhow::Result;
use freehold_core::clock::Timestamp;
use freehold_core::friends::{self, Friend, FriendState};
use freehold_core::node::Node;
use freehold_core::notices::{self, duration};
use serde_json::{Value, json};

use super::Response;

/// The friends: state, name, last contact, the address tried, notices.
pub(super) fn list(node: &Node) -> Result<Response> {
    let (mut lines, mut values) = (Vec::new(), Vec::new());
    for friend in friends::list(node)? {
        let (line, value) = described(node, &friend)?;
        lines.push(line);
        values.push(value);
    }
    let text = if lines.is_empty() {
        "No friends yet; make an invitation with `freehold invite`.".to_owned()
    } else {
        lines.join("\n")
    };
    Ok(Response::text(text).with(values.into()))
}

fn described(node: &Node, friend: &Friend) -> Result<(String, Value)> {
    let (state, contact) = (state_name(friend.state), contact(friend, node.clock.now()));
    let has_node = matches!(friend.state, FriendState::Friend | FriendState::Requested);
    let addresses = if has_node { notices::addresses_of(node, friend) } else { Vec::new() };
    let notices: Vec<String> = if has_node {
        notices::of_friend(node, friend)?.iter().map(ToString::to_string).collect()
    } else {
        Vec::new()
    };
    let mut line = format!("{state:8} {}", friend.name);
    if has_node {
        line.push_str(&format!("  {contact}"));
    }
    if !friend.is_online
        && let Some(first) = addresses.first()
    {
        line.push_str(&format!(", tried at {first}"));
    }
    for notice in &notices {
        line.push_str(&format!("\n         {notice}"));
    }
    let value = json!({
        "name": friend.name,
        "person": friend.person.to_string(),
        "state": state,
        "online": friend.is_online,
        "last_heard_ms": friend.last_seen.map(|seen| seen.0),
        "addresses": addresses,
        "notices": notices,
    });
    Ok((line, value))
}

fn state_name(state: FriendState) -> &'static str {
    match state {
        FriendState::Requested => "asked",
        FriendState::Friend => "friend",
        FriendState::Blocked => "blocked",
        FriendState::Refused => "refused",
        FriendState::Left => "left",
    }
}

fn contact(friend: &Friend, now: Timestamp) -> String {
    match friend.last_seen {
        _ if friend.is_online => "connected".to_owned(),
        Some(seen) => format!("last heard {} ago", duration(now.millis_since(seen))),
        None => "never reached".to_owned(),
    }
}
