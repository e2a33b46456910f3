//! The smarthost, or the friend in its place, by command.

use std::time::Duration;

use anyhow::Result;
use freehold_core::friends;
use freehold_core::mailbox::queue::{Outbound, outbound};
use freehold_core::node::Node;
use freehold_core::smarthost::{self, Smarthost};
use serde_json::json;

use super::Response;
use super::execute::{ControlContext, invalid};

/// How long the response waits for the first login. A node that does not run tries none.
const TRY_TIMEOUT: Duration = Duration::from_secs(20);

pub(super) fn show(node: &Node) -> Result<Response> {
    let Some(set) = smarthost::get(node)? else {
        let outbound = outbound(node)?;
        let mut name = None;
        let text = match &outbound {
            Outbound::Friend(person) => {
                let friend = friends::get(node, person)?;
                let friend = friend.map_or_else(|| person.short(), |friend| friend.name);
                let text = format!("Mail for other domains goes by {friend}'s node.");
                name = Some(friend);
                text
            }
            Outbound::Direct => {
                "There is no smarthost: mail goes to the mail servers of each domain.".to_owned()
            }
            Outbound::Smarthost(_) | Outbound::None => {
                "There is no smarthost: mail goes only to domains of the configuration.".to_owned()
            }
        };
        let is_direct = outbound == Outbound::Direct;
        let fields = json!({ "smarthost": null, "friend": name, "direct": is_direct });
        return Ok(Response::text(text).with(fields));
    };
    let state = match &set.tried {
        None => "The login was not tried yet.".to_owned(),
        Some(tried) => match &tried.fault {
            None => "The login works.".to_owned(),
            Some(fault) => format!("It does not work: {fault}"),
        },
    };
    let user = if set.user.is_empty() { "no login" } else { &set.user };
    let fault = set.tried.as_ref().and_then(|tried| tried.fault.clone());
    Ok(Response::text(format!("{} ({user})\n{state}", set.server())).with(json!({
        "smarthost": set.server(),
        "user": set.user,
        "tried": set.tried.is_some(),
        "fault": fault,
    })))
}

pub(super) async fn set(
    context: &ControlContext,
    server: &str,
    user: &str,
    password: &str,
) -> Result<Response> {
    let node = &context.node;
    let new = Smarthost::new(server, user, password).map_err(invalid)?;
    match context.is_running {
        true => smarthost::set_and_try(node, new, TRY_TIMEOUT).await.map_err(invalid)?,
        false => smarthost::set(node, new).await.map_err(invalid)?,
    }
    show(node)
}

pub(super) async fn set_friend(node: &Node, name: &str) -> Result<Response> {
    let friend = super::friends::named(node, name)?;
    friends::send_by(node, friend.person).await.map_err(invalid)?;
    show(node)
}

pub(super) async fn remove(node: &Node) -> Result<Response> {
    smarthost::remove(node).await.map_err(invalid)?;
    Ok(Response::text("There is no smarthost any more."))
}
