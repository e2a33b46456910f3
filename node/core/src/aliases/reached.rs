//! The aliases to which a message came, and who wrote to them.

use std::collections::HashSet;

use super::{Alias, AliasSender, Standing, all, key, standing};
use crate::clock::Timestamp;
use crate::node::Node;
use crate::row;
use crate::store::{StoreError, Tx};

/// The most aliases that a catch-all makes, so that strangers leave room for the owner's.
const CAUGHT_MAX: usize = 500;
/// The most of them that one message makes.
pub(super) const CAUGHT_EACH: usize = 10;
/// The most senders that an alias remembers: the latest.
pub(super) const SENDERS_MAX: usize = 20;
/// The longest sender that is remembered, in bytes.
const SENDER_LEN_MAX: usize = 254;

/// An alias to which a message came, with the key of its row.
struct ReachedAlias {
    local: String,
    key: [u8; 16],
    /// True if the catch-all makes it.
    is_caught: bool,
}

/// The most addresses of the owner that are kept with a message, so that its row stays short.
const ADDRESSED_MAX: usize = 4;

/// The owner's addresses to which a message came.
pub(crate) struct Reached {
    aliases: Vec<ReachedAlias>,
    addressed: Vec<String>,
}

impl Reached {
    /// The local parts of the aliases, and an empty text for the owner's first address: the first
    /// four of them.
    pub(crate) fn addressed(&self) -> &[String] {
        &self.addressed
    }
}

/// The owner's addresses among a message's recipients, those included that the catch-all makes.
/// Blocks.
///
/// # Errors
/// As [`standing`].
pub(crate) fn reached(node: &Node, recipients: &[String]) -> Result<Reached, StoreError> {
    let (mut reached, mut addressed, mut caught) = (Vec::new(), Vec::new(), 0usize);
    let mut known = HashSet::new();
    for recipient in recipients {
        let standing = standing(node, recipient)?;
        let local = match &standing {
            Standing::Owner => Some(String::new()),
            Standing::Alias(local) | Standing::Caught(local) => Some(local.clone()),
            Standing::Off | Standing::Foreign => None,
        };
        if addressed.len() < ADDRESSED_MAX {
            addressed.extend(local.filter(|local| !addressed.contains(local)));
        }
        let (local, is_caught) = match standing {
            Standing::Alias(local) => (local, false),
            Standing::Caught(local) if caught < CAUGHT_EACH => (local, true),
            _ => continue,
        };
        if known.insert(local.clone()) {
            caught += usize::from(is_caught);
            let key = key(node, &local)?;
            reached.push(ReachedAlias { local, key, is_caught });
        }
    }
    // The rows are counted here, and not in the commit that others wait for.
    if caught > 0 && all(&node.store)?.iter().filter(|alias| alias.is_caught).count() >= CAUGHT_MAX
    {
        reached.retain(|alias| !alias.is_caught);
    }
    Ok(Reached { aliases: reached, addressed })
}

/// Records within the commit of a message that `sender` wrote to these aliases.
///
/// # Errors
/// When a row is damaged.
pub(crate) fn record(
    tx: &mut Tx<'_>,
    reached: &Reached,
    sender: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    for ReachedAlias { local, key, is_caught } in &reached.aliases {
        let alias = match row::get::<Alias>(tx, key)? {
            Some(alias) => Some(alias),
            None if *is_caught => Some(Alias {
                local: local.clone(),
                label: String::new(),
                is_on: true,
                made: now,
                is_caught: true,
                messages: 0,
                senders: Vec::new(),
            }),
            // It was removed meanwhile.
            None => None,
        };
        let Some(mut alias) = alias else { continue };
        alias.messages = alias.messages.saturating_add(1);
        let end = sender.floor_char_boundary(SENDER_LEN_MAX);
        let address = sender.get(..end).unwrap_or_default().to_lowercase();
        alias.senders.retain(|sender| sender.address != address);
        alias.senders.insert(0, AliasSender { address, last: now });
        // At most 3 KiB, because a row has at most 4.
        let mut len = 0usize;
        alias.senders.retain(|sender| {
            len = len.saturating_add(sender.address.len() + 20);
            len < 3 * 1024
        });
        alias.senders.truncate(SENDERS_MAX);
        row::put(tx, key, &alias)?;
    }
    Ok(())
}
