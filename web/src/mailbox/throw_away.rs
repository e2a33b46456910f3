//! Throwing messages away. One that has not set off yet is taken back first: else it would go
//! although its copy is in Trash.

use freehold_core::mailbox::queue::{self, QueuedMessage};
use freehold_core::mailbox::{self, FolderId, SpecialUse, TransferError};

use crate::done::Done;
use crate::problem::Problem;
use crate::site::Site;

/// Where thrown-away messages are.
#[derive(Default)]
pub(super) struct ThrownAway {
    /// The UIDs in Trash of the messages that were moved.
    pub(super) moved: Vec<u32>,
    /// The UIDs in Trash of those that were taken back: they are drafts now.
    pub(super) taken_back: Vec<u32>,
    /// True if one of them goes nonetheless: its sending has begun.
    pub(super) goes_on: bool,
}

/// Moves messages of a folder to the bin.
///
/// # Errors
/// [`Problem::NotFound`] if there is no such folder.
pub(super) async fn throw_away(
    site: &Site,
    folder: FolderId,
    uids: &[u32],
    trash: FolderId,
) -> Result<ThrownAway, Problem> {
    let mut thrown = ThrownAway::default();
    let mut rest = Vec::with_capacity(uids.len());
    for uid in uids {
        match waiting(site, folder, *uid)? {
            None => rest.push(*uid),
            Some(item) => match queue::take_back(&site.node, item.id).await? {
                Some((drafts, uid)) => {
                    thrown.taken_back.extend(moved(site, drafts, &[uid], trash).await?);
                }
                None => {
                    thrown.goes_on = true;
                    rest.push(*uid);
                }
            },
        }
    }
    thrown.moved = moved(site, folder, &rest, trash).await?;
    Ok(thrown)
}

/// Moves one message to Trash. Returns the folder in which an undo puts it again, its UID in Trash
/// and the outcome: a message that was taken back is among the drafts then. `None` if it is not
/// there any more.
///
/// # Errors
/// As [`throw_away`].
pub(super) async fn one(
    site: &Site,
    (folder, uid): (u32, u32),
    trash: FolderId,
) -> Result<Option<(u32, u32, Done)>, Problem> {
    let thrown = throw_away(site, FolderId(folder), &[uid], trash).await?;
    let drafts = mailbox::special_folder(&site.node, SpecialUse::Drafts)?;
    Ok(match (thrown.taken_back.first(), thrown.moved.first(), drafts) {
        (Some(uid), _, Some(drafts)) => Some((drafts.id.0, *uid, Done::TakenBackToTrash)),
        (_, Some(uid), _) if thrown.goes_on => Some((folder, *uid, Done::GoesOnFromTrash)),
        (_, Some(uid), _) => Some((folder, *uid, Done::MovedToTrash)),
        _ => None,
    })
}

/// The item of the queue whose copy in Sent a message is.
fn waiting(site: &Site, folder: FolderId, uid: u32) -> Result<Option<QueuedMessage>, Problem> {
    let special = mailbox::folder(&site.node, folder)?.and_then(|folder| folder.special);
    if special != Some(SpecialUse::Sent) {
        return Ok(None);
    }
    let Some(message) = mailbox::message(&site.node, folder, uid)? else { return Ok(None) };
    let Some(content) = mailbox::content(&site.node, &message)? else { return Ok(None) };
    let item = mailbox::queued_with_blob(&site.node, &content.blob)?;
    let Some(item) = item else { return Ok(None) };
    let copy = queue::sent_copy(&site.node, item.id)?;
    Ok(Some(item).filter(|_| copy == Some((folder, uid))))
}

async fn moved(
    site: &Site,
    folder: FolderId,
    uids: &[u32],
    target: FolderId,
) -> Result<Vec<u32>, Problem> {
    match mailbox::move_messages(&site.node, folder, uids, target).await {
        Ok(pairs) => Ok(pairs.into_iter().map(|(_, new)| new).collect()),
        Err(TransferError::Store(error)) => Err(error.into()),
        Err(_) => Err(Problem::NotFound),
    }
}
