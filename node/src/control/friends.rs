//! The list of friends with what is known of their nodes, and the friends whose mail goes out here.

use anyhow::Result;
use freehold_core::clock::Timestamp;
use freehold_core::friends::{self, Friend, FriendState};
use freehold_core::mailbox::relay::{
    RELAYED_MESSAGES_PER_DAY, RELAYED_MIB_PER_DAY, RELAYED_RECIPIENTS_PER_DAY,
};
use freehold_core::node::Node;
use freehold_core::notices::{self, duration};
use serde_json::{Value, json};

use super::Response;
use super::execute::invalid;
use crate::exit;

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

/// The friend of this name or with this id.
pub(super) fn named(node: &Node, name: &str) -> Result<Friend> {
    let mut found = friends::list(node)?;
    found.retain(|friend| {
        let is_named = friend.name.to_lowercase() == name.to_lowercase();
        friend.state == FriendState::Friend && (is_named || friend.person.to_string() == name)
    });
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(exit::with(exit::DATA, format!("you have no friend called {name:?}"))),
        count => {
            let text = format!(
                "{count} friends are called {name:?}; name one by the id of the person, from \
                 `freehold friend list --json`"
            );
            Err(exit::with(exit::DATA, text))
        }
    }
}

/// Sends a friend's mail to the world by this node, or no more.
pub(super) async fn relay(node: &Node, name: &str, is_on: bool) -> Result<Response> {
    let Friend { name, person, .. } = named(node, name)?;
    friends::set_relayed(node, person, is_on).await.map_err(invalid)?;
    Ok(Response::text(match is_on {
        true => format!(
            "This node sends {name}'s mail to the world, if {name}'s domain has signed it: at most \
             {RELAYED_MESSAGES_PER_DAY} messages, {RELAYED_RECIPIENTS_PER_DAY} recipients and \
             {RELAYED_MIB_PER_DAY} MiB a day."
        ),
        false => format!("This node does not send {name}'s mail to the world any more."),
    }))
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
    if friend.is_relayed {
        line.push_str("\n         this node sends their mail to the world");
    }
    for notice in &notices {
        line.push_str(&format!("\n         {notice}"));
    }
    let value = json!({
        "name": friend.name,
        "person": friend.person.to_string(),
        "state": state,
        "online": friend.is_online,
        "relayed": friend.is_relayed,
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
