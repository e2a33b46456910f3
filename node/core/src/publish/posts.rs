//! Publishing, editing and deleting posts.

use crate::apply::apply;
use crate::clock::Timestamp;
use crate::feed::{self, Body, Lane};
use crate::node::Node;
use crate::posts::{self, Draft, Edited, Post, PostError, PostId, Precondition, PreparedEdit};
use crate::store::Tx;

/// Publishes a new post. The draft is saved and published in one commit: a post that cannot be
/// published, because it is empty or its address is taken, is not saved either, so that a second
/// try leaves no second post.
///
/// # Errors
/// As [`posts::save_draft`] and [`saved_post`].
pub async fn post(node: &Node, draft: Draft) -> Result<Post, PostError> {
    let id = draft.id.unwrap_or_else(|| PostId(node.random.array()));
    let precondition = if draft.id.is_some() { draft.precondition } else { Precondition::Absent };
    let ready = posts::ready(node, draft)?;
    if ready.is_empty() {
        return Err(PostError::Empty);
    }
    let (author, now) = (node.clone(), node.clock.now());
    let commit = move |tx: &mut Tx<'_>| {
        let moment = feed::moment(tx, &author)?;
        let prepared = posts::prepare_new(tx, id, precondition, ready, (now, moment))?;
        write(tx, &author, prepared)
    };
    let row = node.store.commit(commit).await?;
    Ok(posts::to_post(node, id, row)?)
}

/// Publishes a saved draft: in one commit it is on the site, in the feed, in the outbox and in the
/// owner's own timeline.
///
/// # Errors
/// When it is empty, published already or gone, its address is taken, a photo is gone, or no
/// person has claimed the node.
pub async fn saved_post(node: &Node, id: PostId) -> Result<Post, PostError> {
    post_dated(node, id, None).await
}

/// [`saved_post`] with the date of a post that was published elsewhere before. The date gives its
/// place among the others, on the site and in friends' timelines. A future date counts as now.
///
/// # Errors
/// As [`saved_post`].
pub async fn post_dated(
    node: &Node,
    id: PostId,
    date: Option<Timestamp>,
) -> Result<Post, PostError> {
    let (before, text) = posts::saved(node, id)?;
    let (author, now) = (node.clone(), node.clock.now());
    let commit = move |tx: &mut Tx<'_>| {
        let times = (now, feed::moment(tx, &author)?, date);
        let prepared = posts::prepare_saved(tx, id, &before, text, times)?;
        write(tx, &author, prepared)
    };
    let row = node.store.commit(commit).await?;
    Ok(posts::to_post(node, id, row)?)
}

fn write(
    tx: &mut Tx<'_>,
    node: &Node,
    prepared: posts::PreparedPost,
) -> Result<posts::PostRow, PostError> {
    let (body, mut changes) = (Body::Post(prepared.body.clone()), Vec::new());
    let entry = feed::append(tx, node, Lane::PUBLIC, &body, None, &mut changes)?;
    let row = prepared.finish(tx, &entry)?;
    apply(tx, node, changes)?;
    Ok(row)
}

/// Replaces the content of a published post. Its address stays unless the draft names another; the
/// old address then leads to the new one.
///
/// # Errors
/// When it is empty, not published, gone or changed meanwhile, the address is taken, or a photo is
/// gone.
pub async fn edit(node: &Node, id: PostId, draft: Draft) -> Result<Post, PostError> {
    let precondition = draft.precondition;
    let mut ready = posts::ready(node, draft)?;
    if ready.is_empty() {
        return Err(PostError::Empty);
    }
    // The text may be in an entry that another node of the owner's wrote.
    ready.reuse_text(node, &posts::load(&node.store, id)?)?;
    let (author, now) = (node.clone(), node.clock.now());
    let commit = move |tx: &mut Tx<'_>| -> Result<posts::PostRow, PostError> {
        let prepared = match PreparedEdit::prepare(tx, id, precondition, ready, now)? {
            Edited::Unchanged(row) => return Ok(*row),
            Edited::Changed(prepared) => prepared,
        };
        let body = Body::Edit { of: prepared.of, post: prepared.body.clone() };
        let mut changes = Vec::new();
        let entry = feed::append(tx, &author, Lane::PUBLIC, &body, None, &mut changes)?;
        let row = prepared.finish(tx, &entry)?;
        apply(tx, &author, changes)?;
        // Another node's edit may outrank this one, or show a hidden post again.
        match posts::load(tx, id) {
            Err(PostError::NoSuchPost) => Ok(row),
            stored => stored,
        }
    };
    let row = node.store.commit(commit).await?;
    Ok(posts::to_post(node, id, row)?)
}

/// Deletes a post with its text and its addresses, for good ([`crate::erasure`]). A tombstone in
/// the feed has it deleted on friends' nodes; its photos stay.
///
/// # Errors
/// When there is no such post or the store refuses.
pub async fn delete(node: &Node, id: PostId) -> Result<(), PostError> {
    let author = node.clone();
    let commit = move |tx: &mut Tx<'_>| {
        tx.mark_essential();
        let Some(of) = posts::delete_draft(tx, &author, id)? else { return Ok(()) };
        let mut changes = Vec::new();
        let body = Body::Tombstone { of };
        feed::append(tx, &author, Lane::PUBLIC, &body, None, &mut changes)?;
        apply(tx, &author, changes)?;
        // The feed retracts no void post (of a forked log, say), but the owner deletes it here.
        Ok(posts::retract(tx, &author, &of)?)
    };
    node.store.commit(commit).await
}
