//! The one path from the feed to what readers see. An entry of the owner's and a friend's take it
//! alike: the feed verifies and orders it and returns what changed, and one match on the change
//! lets each noun make its rows, in the same commit. A friend's post appears here by this path, and
//! a friend's edit becomes visible here by it.
//!
//! No noun writes the timeline by hand, and the feed knows no noun.

mod due;
mod receive;

pub use due::run_due;
pub use receive::{ENTRIES_PER_DAY, entries_allowance, receive};

use crate::erasure;
use crate::feed::EntryId;
use crate::feed::change::{Change, Projection};
use crate::identity::PersonId;
use crate::node::Node;
use crate::posts;
use crate::store::{StoreError, Tx};
use crate::timeline;

/// Makes the rows of the nouns follow the feed.
///
/// # Errors
/// The store's; the commit is to be dropped then.
pub(crate) fn apply(tx: &mut Tx<'_>, node: &Node, changes: Vec<Change>) -> Result<(), StoreError> {
    for change in changes {
        match change {
            Change::Erased { post } => erase(tx, node, post.as_ref())?,
            Change::Post { author, post, now } => {
                if node.identity.person() == Some(author) {
                    project_on_site(tx, node, &post, &now)?;
                }
                project_on_timeline(tx, node, author, &post, &now)?;
            }
        }
    }
    Ok(())
}

/// Has the blobs that the timeline holds of a post erased from log and snapshots, too.
fn erase(tx: &mut Tx<'_>, node: &Node, post: Option<&EntryId>) -> Result<(), StoreError> {
    let held = post.map(|post| timeline::held_blobs(tx, post)).transpose()?.unwrap_or_default();
    erasure::erase(tx, node.clock.now(), &held)
}

/// The owner's site follows a post of the owner's, whichever node of theirs wrote the entry.
fn project_on_site(
    tx: &mut Tx<'_>,
    node: &Node,
    post: &EntryId,
    now: &Projection,
) -> Result<(), StoreError> {
    match now {
        Projection::Shown(version) => posts::apply_version(tx, post, version),
        Projection::Hidden => posts::hide(tx, post),
        Projection::Retracted => posts::retract(tx, node, post),
        // The site keeps the version it can read.
        Projection::NotUnderstood => Ok(()),
    }
}

fn project_on_timeline(
    tx: &mut Tx<'_>,
    node: &Node,
    author: PersonId,
    post: &EntryId,
    now: &Projection,
) -> Result<(), StoreError> {
    let Projection::Shown(version) = now else { return timeline::hide(tx, &author, post) };
    let shown = timeline::Version {
        author,
        entry: version.entry,
        at: version.at,
        posted: version.posted,
        has_blobs: version.is_from_here,
        is_news: node.identity.person() != Some(author),
        post: &version.body,
    };
    timeline::show(tx, post, &shown)
}
