//! The effects of a retirement in numbers, shown before the owner signs it.

use anyhow::Result;
use freehold_core::friends::{self, FriendState};
use freehold_core::identity::IdentityLog;
use freehold_core::keys::PublicKey;
use freehold_core::node::Node;
use freehold_core::{feed, posts};

/// Friends that are named.
const NAMED_MAX: usize = 20;

/// The entries that stay, the rights that go, and the friends who know no other node, a line each.
pub(super) fn effects(node: &Node, log: &IdentityLog, retired: &PublicKey) -> Result<String> {
    let is_this = node.identity.node_key() == *retired;
    let others = log.live_nodes().filter(|live| *live != retired).count();
    let entries = feed::entries_held(node, &log.person(), retired)?;
    let mut lines = Vec::new();
    if is_this {
        lines.push("Attention: this is the node you are asking.".to_owned());
    }
    if others == 0 {
        lines.push(
            "Attention: it is your last node. After this nothing can publish for you until you add \
             another one."
                .to_owned(),
        );
    }
    lines.push(format!(
        "Stays: everything that node has published up to now, as far as this node has it: \
         {entries} entries{}. It stays visible, but nobody can edit or delete it any more.",
        if is_this { own_posts(node)? } else { String::new() }
    ));
    lines.push(
        "Goes: whatever that node publishes after this. Friends' nodes no longer talk to it."
            .to_owned(),
    );
    if is_this {
        lines.push(stranded(node, others)?);
    }
    Ok(lines.join("\n"))
}

fn own_posts(node: &Node) -> Result<String> {
    let newest = posts::published(node, &freehold_core::audience::Visitor::Owner, None, 1)?;
    let newest = newest.first().map(|post| format!(", the newest {:?}", post.slug));
    let count = posts::count(node)?;
    let noun = if count == 1 { "post" } else { "posts" };
    Ok(format!(" ({count} {noun}{})", newest.unwrap_or_default()))
}

/// The friends who lose the owner: a friend's node learns the address of another node from an
/// invite of that node alone.
fn stranded(node: &Node, others: usize) -> Result<String> {
    let is_friend = |friend: &friends::Friend| friend.state == FriendState::Friend;
    let names: Vec<String> =
        friends::list(node)?.into_iter().filter(is_friend).map(|friend| friend.name).collect();
    if names.is_empty() {
        return Ok("Friends: none would lose you.".to_owned());
    }
    let more = names.len().saturating_sub(NAMED_MAX);
    let mut named: Vec<String> = names.iter().take(NAMED_MAX).cloned().collect();
    if more > 0 {
        named.push(format!("{more} more"));
    }
    Ok(format!(
        "Friends: {} know no other node of yours from this one: {}. {}",
        names.len(),
        named.join(", "),
        if others == 0 {
            "They hear nothing from you until you invite them from a new node."
        } else {
            "Each that you have not invited at your other node hears nothing more; invite them \
             there."
        }
    ))
}
