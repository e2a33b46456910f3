//! What an entry does once it is stored: shows a post, replaces it, takes it back, moves a home.
//!
//! The outcome does not depend on the order in which entries of different logs arrive: edits are
//! ordered by (epoch chain, seq), and a tombstone that comes before what it takes back waits for
//! it. Only the newest version of a post keeps its body: an edit drops what it replaces, so a post
//! is deleted in one small change however often it was edited. If that version is taken back,
//! nothing is shown.

use super::VerifiedEntry;
use super::refs::{self, Rank, RefKind};
use super::rows::EntryRow;
use super::{
    Body, EntryHeader, EntryId, FeedLogId, Kind, due, jobs, latest, missing, retraction_limit, rows,
};
use crate::erasure;
use crate::identity::PersonId;
use crate::node::Node;
use crate::posts;
use crate::row::Rows;
use crate::store::{StoreError, Tx};
use crate::timeline;

/// What an own entry does. The author's posts are the posts noun's own; only what every reader does
/// with them happens here.
pub(super) fn of_own(
    tx: &mut Tx<'_>,
    id: &EntryId,
    header: &EntryHeader,
    generation: u64,
    body: &Body,
) -> Result<(), StoreError> {
    let (author, rank) = (&header.log.person, Rank::of(id, header, generation));
    match body {
        Body::Edit { of, .. } => replace(tx, author, of, &rank),
        Body::Tombstone { of } => {
            refs::put(tx, of, author, RefKind::TakesBack, &rank)?;
            match end(tx, author, of)? {
                Some(Ended { post, edit: Some((_, edit)) }) => replace(tx, author, &post, &edit),
                Some(_) => drop_versions(tx, author, of),
                None => Ok(()),
            }
        }
        _ => latest::put(tx, &rank, header, body),
    }
}

/// What a received entry does.
pub(super) fn of_received(
    tx: &mut Tx<'_>,
    node: &Node,
    entry: &VerifiedEntry,
    generation: u64,
) -> Result<(), StoreError> {
    let (id, header) = (entry.id(), entry.header());
    let (author, rank) = (&header.log.person, Rank::of(&id, header, generation));
    let Some(body) = entry.body() else { return Ok(()) };
    match body {
        Body::Post(_) => settle(tx, node, author, &id),
        Body::Edit { of, .. } => {
            if entry.is_vouched() {
                replace(tx, author, of, &rank)?;
            } else {
                replace_in_time(tx, node, &header.log, of, &rank)?;
            }
            settle(tx, node, author, of)
        }
        Body::Tombstone { of } => match retraction_limit::until(tx, node, entry)? {
            Some(at) => {
                refs::put(tx, of, author, RefKind::Hides, &rank)?;
                due::confirm_at(tx, at, &rank)?;
                settle_of(tx, node, author, of)
            }
            None => {
                refs::put(tx, of, author, RefKind::TakesBack, &rank)?;
                take_back(tx, node, author, of)
            }
        },
        _ => latest::put(tx, &rank, header, body),
    }
}

/// Remembers what an edit replaces that has nothing to show itself: a later version has replaced
/// it, or its post is gone.
pub(super) fn note_past(
    tx: &mut Tx<'_>,
    entry: &VerifiedEntry,
    rank: &Rank,
) -> Result<(), StoreError> {
    let (author, Some(Body::Edit { of, .. })) = (&entry.header().log.person, entry.body()) else {
        return Ok(());
    };
    for does in [RefKind::Replaces, RefKind::WillReplace] {
        if refs::has(tx, of, author, does, rank)? {
            return Ok(());
        }
    }
    refs::put(tx, of, author, RefKind::Replaces, rank)
}

/// A tombstone or an edit has waited out its delay: what it hid is taken back, what it replaces is
/// replaced, unless it is void by now.
pub(super) fn confirm(
    tx: &mut Tx<'_>,
    node: &Node,
    entry: &VerifiedEntry,
    generation: u64,
) -> Result<(), StoreError> {
    let (author, rank) =
        (&entry.header().log.person, Rank::of(&entry.id(), entry.header(), generation));
    let Some(of) = entry.header().refs.first() else { return Ok(()) };
    if refs::has(tx, of, author, RefKind::WillReplace, &rank)? {
        replace(tx, author, of, &rank)?;
        return settle(tx, node, author, of);
    }
    if !refs::has(tx, of, author, RefKind::Hides, &rank)? {
        return Ok(());
    }
    refs::delete(tx, of, author, RefKind::Hides, &rank);
    refs::put(tx, of, author, RefKind::TakesBack, &rank)?;
    take_back(tx, node, author, of)
}

/// Deletes an author's entry for good, and its edits with a post, and takes it from the timeline.
/// RefKind nothing to another's, or to a tombstone.
pub(super) fn take_back(
    tx: &mut Tx<'_>,
    node: &Node,
    author: &PersonId,
    of: &EntryId,
) -> Result<(), StoreError> {
    if rows::entry(tx, of)?.is_none() {
        return Ok(());
    }
    let mut held = Vec::new();
    if let Some(Ended { post, edit }) = end(tx, author, of)? {
        held = timeline::held_blobs(tx, &post)?;
        if let Some((log, edit)) = edit {
            replace_in_time(tx, node, &log, &post, &edit)?;
        }
        settle(tx, node, author, &post)?;
    }
    erasure::erase(tx, node.clock.now(), &held)
}

/// A post that has ended, or to which an edit belongs that has.
struct Ended {
    post: EntryId,
    /// The edit's log and rank. It still replaces what was before it, even if its body never came.
    edit: Option<(FeedLogId, Rank)>,
}

/// Ends one entry of an author; gives the post it is or belongs to.
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
        // What was said before counts again.
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

/// An edit comes into effect, at once or when the brake lets it.
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

/// An edit is in effect: whichever of it and the newest version before it is older loses its body.
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

/// Deletes what is left of a post that is gone.
fn drop_versions(tx: &mut Tx<'_>, author: &PersonId, post: &EntryId) -> Result<(), StoreError> {
    rows::drop_body(tx, post)?;
    if let Some(newest) = refs::last(tx, post, author, RefKind::Replaces)? {
        rows::drop_body(tx, &newest.id)?;
    }
    if refs::first(tx, post, author, RefKind::WillReplace)?.is_some() {
        // There may be many of these.
        jobs::drop_held(tx, post, author)?;
    }
    Ok(())
}

/// [`settle`] for whatever post an entry is or belongs to.
pub(super) fn settle_of(
    tx: &mut Tx<'_>,
    node: &Node,
    author: &PersonId,
    of: &EntryId,
) -> Result<(), StoreError> {
    let Some(row) = rows::entry(tx, of)? else { return Ok(()) };
    let header = rows::header(of, &row)?;
    match (header.kind, header.refs.first()) {
        (Kind::Post, _) => settle(tx, node, author, of),
        (Kind::Edit, Some(post)) => settle(tx, node, author, post),
        _ => Ok(()),
    }
}

/// Makes the timeline, and the site if the post was published there, show of a post what the
/// entries held add up to, whatever they showed before.
pub(super) fn settle(
    tx: &mut Tx<'_>,
    node: &Node,
    author: &PersonId,
    post: &EntryId,
) -> Result<(), StoreError> {
    let Some((target, header)) = own_post(tx, author, post)? else { return Ok(()) };
    let is_owners = node.identity.person() == Some(*author);
    if target.dead || refs::is_taken_back(tx, author, post)? {
        drop_versions(tx, author, post)?;
        missing::note(tx, author, post, None)?;
        match (is_owners, target.void) {
            // What counts for nothing now may count again, when more is known of who spoke for the
            // owner.
            (true, true) => posts::hide(tx, post)?,
            (true, false) => posts::retract(tx, node, post)?,
            (false, _) => {}
        }
        return timeline::hide(tx, author, post);
    }
    let newest = refs::last(tx, post, author, RefKind::Replaces)?.map_or(*post, |edit| edit.id);
    let version = rows::entry(tx, &newest)?;
    missing::note(
        tx,
        author,
        post,
        version.as_ref().filter(|row| !row.dead && !row.has_body()).map(|_| &newest),
    )?;
    let Some(entry) = shown(tx, author, post, &newest)? else {
        match version.is_some_and(|row| row.dead) {
            true if is_owners => posts::retract(tx, node, post)?,
            false if is_owners => posts::hide(tx, post)?,
            _ => {}
        }
        return timeline::hide(tx, author, post);
    };
    // What has a body that says nothing here was written by a newer program.
    let Some(said) = entry.body().and_then(Body::post) else {
        return timeline::hide(tx, author, post);
    };
    let at = entry.header().hlc.time();
    if is_owners {
        posts::apply_version(
            tx,
            post,
            &newest,
            at,
            said,
            header.log.node == node.identity.node_key(),
        )?;
    }
    let version = timeline::Version {
        author: *author,
        entry: newest,
        at,
        // The author may date it back, as what was out elsewhere before, but not ahead.
        posted: header.hlc.time().min(target.seen).min(said.published),
        has_blobs: entry.header().log.node == node.identity.node_key(),
        is_news: !is_owners,
        post: said,
    };
    timeline::show(tx, post, &version)
}

/// The newest version of a post with its body; `None` while it is hidden, and if its body is gone
/// or has not come.
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

/// The row and header of a post of this author, if it is held and does not wait to be vouched for.
fn own_post(
    rows: &impl Rows,
    author: &PersonId,
    post: &EntryId,
) -> Result<Option<(EntryRow, EntryHeader)>, StoreError> {
    let Some(row) = rows::entry(rows, post)?.filter(|row| !row.waits) else { return Ok(None) };
    let header = rows::header(post, &row)?;
    Ok((header.log.person == *author && header.kind == Kind::Post).then_some((row, header)))
}
