//! The effect of a stored entry on those it refers to: an edit replaces, a tombstone deletes. Each
//! effect ends in a projection of the post, which is returned as a [`Change`].
//!
//! The outcome does not depend on the order in which entries of different logs arrive: edits are
//! ordered by (epoch chain, seq), and a tombstone that arrives before its target waits for it. Only
//! the newest version of a post keeps its body: an edit drops the body that it replaces, so a post
//! is deleted in one small change however often it was edited. A deleted newest version leaves
//! nothing to show.

use super::change::{Change, Projection, Version};
use super::refs::{self, Rank, RefKind};
use super::rows::EntryRow;
use super::{
    Body, EntryHeader, EntryId, FeedLogId, Kind, VerifiedEntry, due, jobs, latest, missing,
    retraction_limit, rows,
};
use crate::identity::PersonId;
use crate::node::Node;
use crate::row::Rows;
use crate::store::{StoreError, Tx};

/// The effect of an entry that this node wrote. The retraction limit is for entries of other nodes:
/// it does not delay what the owner does here.
pub(super) fn of_own(
    tx: &mut Tx<'_>,
    node: &Node,
    id: &EntryId,
    header: &EntryHeader,
    generation: u64,
    body: &Body,
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    let (author, rank) = (&header.log.person, Rank::of(id, header, generation));
    match body {
        Body::Post(_) => project(tx, node, author, id, changes),
        Body::Edit { of, .. } => {
            replace(tx, author, of, &rank)?;
            project(tx, node, author, of, changes)
        }
        Body::Tombstone { of } => {
            refs::put(tx, of, author, RefKind::Retracts, &rank)?;
            let ended = end(tx, author, of)?;
            if let Some(Ended { post, edit: Some((_, edit)) }) = &ended {
                replace(tx, author, post, edit)?;
            }
            erased(tx, node, author, ended.map(|ended| ended.post), changes)
        }
        _ => latest::put(tx, &rank, header, body),
    }
}

/// The effect of an entry that another node wrote.
pub(super) fn of_received(
    tx: &mut Tx<'_>,
    node: &Node,
    entry: &VerifiedEntry,
    generation: u64,
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    let (id, header) = (entry.id(), entry.header());
    let (author, rank) = (&header.log.person, Rank::of(&id, header, generation));
    let Some(body) = entry.body() else { return Ok(()) };
    match body {
        Body::Post(_) => project(tx, node, author, &id, changes),
        Body::Edit { of, .. } => {
            if entry.is_vouched() {
                replace(tx, author, of, &rank)?;
            } else {
                replace_in_time(tx, node, &header.log, of, &rank)?;
            }
            project(tx, node, author, of, changes)
        }
        Body::Tombstone { of } => match retraction_limit::until(tx, node, entry)? {
            Some(at) => {
                refs::put(tx, of, author, RefKind::Hides, &rank)?;
                due::confirm_at(tx, at, &rank)?;
                project_of(tx, node, author, of, changes)
            }
            None => {
                refs::put(tx, of, author, RefKind::Retracts, &rank)?;
                delete(tx, node, author, of, changes)
            }
        },
        _ => latest::put(tx, &rank, header, body),
    }
}

/// Records that an edit replaces the earlier versions of its post though it is not shown itself: a
/// later version has replaced it, or its post is deleted.
pub(super) fn note_past(
    tx: &mut Tx<'_>,
    entry: &VerifiedEntry,
    rank: &Rank,
) -> Result<(), StoreError> {
    let (author, Some(Body::Edit { of, .. })) = (&entry.header().log.person, entry.body()) else {
        return Ok(());
    };
    for kind in [RefKind::Replaces, RefKind::WillReplace] {
        if refs::has(tx, of, author, kind, rank)? {
            return Ok(());
        }
    }
    refs::put(tx, of, author, RefKind::Replaces, rank)
}

/// The delay of a tombstone or an edit is over: it takes effect, unless it is void by now.
pub(super) fn confirm(
    tx: &mut Tx<'_>,
    node: &Node,
    entry: &VerifiedEntry,
    generation: u64,
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    let (author, rank) =
        (&entry.header().log.person, Rank::of(&entry.id(), entry.header(), generation));
    let Some(of) = entry.header().refs.first() else { return Ok(()) };
    if refs::has(tx, of, author, RefKind::WillReplace, &rank)? {
        replace(tx, author, of, &rank)?;
        return project(tx, node, author, of, changes);
    }
    if !refs::has(tx, of, author, RefKind::Hides, &rank)? {
        return Ok(());
    }
    refs::delete(tx, of, author, RefKind::Hides, &rank);
    refs::put(tx, of, author, RefKind::Retracts, &rank)?;
    delete(tx, node, author, of, changes)
}

/// Deletes an author's entry for good, with a post also its edits. Another author's entry and a
/// tombstone stay.
pub(super) fn delete(
    tx: &mut Tx<'_>,
    node: &Node,
    author: &PersonId,
    of: &EntryId,
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    if rows::entry(tx, of)?.is_none() {
        return Ok(());
    }
    let ended = end(tx, author, of)?;
    if let Some(Ended { post, edit: Some((log, edit)) }) = &ended {
        replace_in_time(tx, node, log, post, edit)?;
    }
    erased(tx, node, author, ended.map(|ended| ended.post), changes)
}

/// Reports that content was deleted, and projects the post it belonged to.
fn erased(
    tx: &mut Tx<'_>,
    node: &Node,
    author: &PersonId,
    post: Option<EntryId>,
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    changes.push(Change::Erased { post });
    match &post {
        Some(post) => project(tx, node, author, post, changes),
        None => Ok(()),
    }
}

/// A deleted post, or the post of a deleted edit.
struct Ended {
    post: EntryId,
    /// The log and rank of the edit. It still replaces the versions before it, even if its body was
    /// never received.
    edit: Option<(FeedLogId, Rank)>,
}

/// Marks one entry of an author as deleted. Returns the post that it opens or edits.
fn end(tx: &mut Tx<'_>, author: &PersonId, of: &EntryId) -> Result<Option<Ended>, StoreError> {
    let Some(mut row) = rows::entry(tx, of)? else { return Ok(None) };
    let header = rows::header(of, &row)?;
    if header.log.person != *author || header.kind == Kind::Tombstone {
        return Ok(None);
    }
    let rank = Rank::of(of, &header, row.generation);
    if matches!(header.kind, Kind::Profile | Kind::Homes)
        && let Some((entry, _)) = rows::verified(tx, of)?
        && let Some(body) = entry.body()
    {
        // The one before counts again.
        latest::delete(tx, &rank, &header, body);
    }
    row.dead = true;
    rows::put_bare(tx, of, row)?;
    Ok(match (header.kind, header.refs.first()) {
        (Kind::Post, _) => Some(Ended { post: *of, edit: None }),
        (Kind::Edit, Some(post)) => Some(Ended { post: *post, edit: Some((header.log, rank)) }),
        _ => None,
    })
}

/// An edit takes effect, at once or when the retraction limit allows.
fn replace_in_time(
    tx: &mut Tx<'_>,
    node: &Node,
    log: &FeedLogId,
    post: &EntryId,
    edit: &Rank,
) -> Result<(), StoreError> {
    match retraction_limit::until_edited(tx, node, log, post, edit)? {
        Some(at) => {
            refs::put(tx, post, &log.person, RefKind::WillReplace, edit)?;
            due::confirm_at(tx, at, edit)
        }
        None => replace(tx, &log.person, post, edit),
    }
}

/// An edit takes effect: of the edit and the newest version so far, the older one loses its body.
fn replace(
    tx: &mut Tx<'_>,
    author: &PersonId,
    post: &EntryId,
    edit: &Rank,
) -> Result<(), StoreError> {
    refs::delete(tx, post, author, RefKind::WillReplace, edit);
    let newest = refs::last(tx, post, author, RefKind::Replaces)?;
    if newest.is_some_and(|newest| newest.id == edit.id) {
        return Ok(());
    }
    refs::put(tx, post, author, RefKind::Replaces, edit)?;
    match newest {
        Some(newest) if newest > *edit => rows::drop_body(tx, &edit.id),
        Some(older) => rows::drop_body(tx, &older.id),
        None if own_post(tx, author, post)?.is_some() => rows::drop_body(tx, post),
        None => Ok(()),
    }
}

/// Deletes the bodies of a post that is gone.
fn drop_versions(tx: &mut Tx<'_>, author: &PersonId, post: &EntryId) -> Result<(), StoreError> {
    rows::drop_body(tx, post)?;
    if let Some(newest) = refs::last(tx, post, author, RefKind::Replaces)? {
        rows::drop_body(tx, &newest.id)?;
    }
    if refs::first(tx, post, author, RefKind::WillReplace)?.is_some() {
        // There may be too many of these for one commit.
        jobs::drop_held(tx, post, author)?;
    }
    Ok(())
}

/// [`project`] for the post that an entry opens or edits.
pub(super) fn project_of(
    tx: &mut Tx<'_>,
    node: &Node,
    author: &PersonId,
    of: &EntryId,
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    let Some(row) = rows::entry(tx, of)? else { return Ok(()) };
    let header = rows::header(of, &row)?;
    match (header.kind, header.refs.first()) {
        (Kind::Post, _) => project(tx, node, author, of, changes),
        (Kind::Edit, Some(post)) => project(tx, node, author, post, changes),
        _ => Ok(()),
    }
}

/// Computes the projection of a post from its stored entries, and drops the bodies of a post that
/// is deleted, expired or void.
pub(super) fn project(
    tx: &mut Tx<'_>,
    node: &Node,
    author: &PersonId,
    post: &EntryId,
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    let Some((target, header)) = own_post(tx, author, post)? else { return Ok(()) };
    let now = projection(tx, node, author, post, (&target, &header))?;
    changes.push(Change::Post { author: *author, post: *post, now });
    Ok(())
}

fn projection(
    tx: &mut Tx<'_>,
    node: &Node,
    author: &PersonId,
    post: &EntryId,
    (target, header): (&EntryRow, &EntryHeader),
) -> Result<Projection, StoreError> {
    if target.dead || refs::is_retracted(tx, author, post)? {
        drop_versions(tx, author, post)?;
        missing::note(tx, author, post, None)?;
        // A void entry may count again when the author's identity log changes.
        return Ok(if target.void { Projection::Hidden } else { Projection::Retracted });
    }
    let newest = refs::last(tx, post, author, RefKind::Replaces)?.map_or(*post, |edit| edit.id);
    let version = rows::entry(tx, &newest)?;
    let is_missing = version.as_ref().is_some_and(|row| !row.dead && !row.has_body());
    missing::note(tx, author, post, is_missing.then_some(&newest))?;
    let Some(entry) = shown(tx, author, post, &newest)? else {
        let is_deleted = version.is_some_and(|row| row.dead);
        return Ok(if is_deleted { Projection::Retracted } else { Projection::Hidden });
    };
    let Some(body) = entry.body().and_then(Body::post) else {
        return Ok(Projection::NotUnderstood);
    };
    let (here, at) = (node.identity.node_key(), entry.header().hlc.time());
    // An own entry was stored when it was written; a clock that was never set would say 1970.
    let stored = if header.log.node == here { header.hlc.time() } else { target.seen };
    Ok(Projection::Shown(Box::new(Version {
        entry: newest,
        at,
        // The author may date a post back, as one that was out elsewhere before, but not ahead.
        posted: header.hlc.time().min(stored).min(body.published),
        is_post_from_here: header.log.node == here,
        is_from_here: entry.header().log.node == here,
        body: body.clone(),
    })))
}

/// The newest version of a post with its body. `None` while it is hidden, and if its body was
/// deleted or not received yet.
fn shown(
    rows: &impl Rows,
    author: &PersonId,
    post: &EntryId,
    newest: &EntryId,
) -> Result<Option<VerifiedEntry>, StoreError> {
    for hidden in [post, newest] {
        if refs::first(rows, hidden, author, RefKind::Hides)?.is_some() {
            return Ok(None);
        }
    }
    Ok(rows::verified(rows, newest)?
        .map(|(entry, _)| entry)
        .filter(|entry| entry.raw().body.is_some()))
}

/// The row and header of a post of this author, if it is held and does not wait for a cut-off.
fn own_post(
    rows: &impl Rows,
    author: &PersonId,
    post: &EntryId,
) -> Result<Option<(EntryRow, EntryHeader)>, StoreError> {
    let Some(row) = rows::entry(rows, post)?.filter(|row| !row.waits) else { return Ok(None) };
    let header = rows::header(post, &row)?;
    Ok((header.log.person == *author && header.kind == Kind::Post).then_some((row, header)))
}
