//! The smarthost, by command.

use std::time::Duration;

use anyhow::Result;
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
        let is_direct = outbound(node)? == Outbound::Direct;
        let text = match is_direct {
            true => "There is no smarthost: mail goes to the mail servers of each domain.",
            false => "There is no smarthost: mail goes only to domains of the configuration.",
        };
        let fields = json!({ "smarthost": null, "direct": is_direct });
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

pub(super) async fn remove(node: &Node) -> Result<Response> {
    smarthost::remove(node).await.map_err(invalid)?;
    Ok(Response::text("There is no smarthost any more."))
}
