//! The node's state: its health, its owner, what it holds, and its addresses.

use anyhow::Result;
use freehold_core::clock::Timestamp;
use freehold_core::node::Node;
use freehold_core::profile::Profile;
use freehold_core::store::{EngineFiles, Health, StoreError};
use freehold_core::{friends, mailbox, notices, posts, profile};
use serde_json::json;

use super::Response;
use super::execute::ControlContext;
use crate::certificate;

/// The most queued messages that are counted.
const QUEUED_MAX: usize = 1000;

/// Numbers of what the node holds.
struct Counts {
    owner: Option<Profile>,
    posts: usize,
    friends: usize,
    inbox: u64,
    queued: usize,
}

fn counts(node: &Node) -> Result<Counts, StoreError> {
    let is_friend = |friend: &&friends::Friend| friend.state == friends::FriendState::Friend;
    let inbox = mailbox::folders(node)?.into_iter().find(|folder| folder.name == "INBOX");
    Ok(Counts {
        owner: profile::get(node)?,
        posts: posts::count(node)?,
        friends: friends::list(node)?.iter().filter(is_friend).count(),
        inbox: inbox.map_or(0, |folder| folder.total.into()),
        // All messages of the queue, whenever their next attempt is due.
        queued: mailbox::queue::due(node, Timestamp(u64::MAX), QUEUED_MAX)?.len(),
    })
}

/// The state. If the rows can't be read now, it has the reason in place of the numbers.
pub(super) fn status(context: &ControlContext) -> Result<Response> {
    let (node, ports) = (&context.node, &context.ports);
    let health = node.store.health();
    let Counts { owner, posts, friends, inbox, queued } = match counts(node) {
        Ok(counts) => counts,
        Err(_) if !health.is_ready() => return Ok(unreadable(context, &health)),
        Err(StoreError::Unavailable(reason)) => {
            return Ok(unreadable(context, &Health::Unreadable(reason)));
        }
        Err(error) => return Err(error.into()),
    };
    let url = context.url(owner.as_ref());
    let notices = notices::of_node(node)?;
    let warnings: String = notices.iter().map(|notice| format!("\n{notice}")).collect();
    let engine = node.store.engine_files().ok();
    let text = format!(
        "{} at {url}\n{posts} posts, {friends} friends, {inbox} messages in the inbox, {queued} in \
         the queue\nprocess {}, data in {}{}{}{warnings}",
        owner.as_ref().map_or("Not set up", |owner| owner.name.as_str()),
        std::process::id(),
        context.data.display(),
        engine.filter(|engine| engine.is_oversized).map_or_else(String::new, oversized),
        if health == Health::Sound { String::new() } else { format!("\n{}", attention(&health)) },
    );
    Ok(Response::text(text).with(json!({
        "health": health_value(&health),
        "name": owner.as_ref().map(|owner| &owner.name),
        "web": format!("{url}/"),
        "login": owner.as_ref().map(|owner| &owner.login),
        "address": owner.as_ref().map(profile::address),
        "person": node.identity.person().map(|person| person.to_string()),
        "posts": posts,
        "friends": friends,
        "queued": queued,
        "ports": {
            "web": ports.web.port(),
            "smtp": ports.smtp.port(),
            "submission": ports.submission.port(),
            "smtps": ports.smtps.port(),
            "imap": ports.imap.port(),
            "imaps": ports.imaps.port(),
            "libp2p": ports.libp2p.port(),
        },
        "certificate": certificate::path(&context.data),
        "libp2p": addresses(context),
        "notices": notices
            .iter()
            .map(|notice| json!({ "name": notice.name(), "text": notice.to_string() }))
            .collect::<Vec<_>>(),
        "data": context.data,
        "engine_len": engine.map(|engine| engine.len),
        "pid": std::process::id(),
        "ends_with": crate::cli::ends_with(),
    })))
}

/// This node's addresses for friends, without its own `PeerId` at the end.
fn addresses(context: &ControlContext) -> Vec<String> {
    let addresses = (context.addresses)().into_iter();
    let plain = |address: String| match address.split_once("/p2p/") {
        Some((plain, _)) => plain.to_owned(),
        None => address,
    };
    addresses.map(plain).collect()
}

/// The state of a node whose rows can't be read.
fn unreadable(context: &ControlContext, health: &Health) -> Response {
    let text = format!(
        "{}\nprocess {}, data in {}",
        attention(health),
        std::process::id(),
        context.data.display()
    );
    Response::text(text).with(json!({
        "health": health_value(health),
        "data": context.data,
        "pid": std::process::id(),
        "ends_with": crate::cli::ends_with(),
    }))
}

fn oversized(engine: EngineFiles) -> String {
    let mib = engine.len >> 20;
    format!(
        "\nthe storage engine's files take {mib} MiB, much more than they hold; the node makes \
         them anew when it has less to do and space on the disk"
    )
}

fn attention(health: &Health) -> String {
    match health {
        Health::Sound | Health::Low | Health::Full => format!("Attention: {health}"),
        health => format!("Not ready: {health}"),
    }
}

fn health_value(health: &Health) -> serde_json::Value {
    let reason = (*health != Health::Sound).then(|| health.to_string());
    json!({ "state": health.name(), "ready": health.is_ready(), "reason": reason })
}
