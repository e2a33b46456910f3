//! Publishing a draft, and changing what is published.

use super::draft::{self, Draft, Over, Ready};
use super::rows::{self, ADDRESSES_MAX, DraftRow, PlaceRow, PostRow};
use super::{Post, PostError, PostId, State, entries};
use crate::clock::Timestamp;
use crate::events::Event;
use crate::feed::{self, Body, EntryId, Lane, MARKDOWN, PostBody};
use crate::node::Node;
use crate::photos::{self, Photo};
use crate::row;
use crate::store::Tx;
use crate::timeline::{self, Version};

/// Saves a draft and publishes it. What can't come out for want of words, or because another post
/// has its address, is not saved either: whoever tries again with the same words would leave a
/// second one.
///
/// # Errors
/// As [`save_draft`](super::save_draft) and [`publish`].
pub async fn publish_new(node: &Node, draft: Draft) -> Result<Post, PostError> {
    if draft.text.trim().is_empty() && draft.photos.is_empty() {
        return Err(PostError::Empty);
    }
    let id = draft.id.unwrap_or_else(|| PostId(node.random.array()));
    let slug = draft.slug.as_deref().map(str::trim).filter(|slug| !slug.is_empty());
    if let Some(slug) = slug
        && !rows::is_free(&node.store, slug, id)?
    {
        return Err(PostError::BadSlug);
    }
    let saved = draft::save_draft(node, draft).await?;
    publish(node, saved.id).await
}

/// Publishes a draft: in one commit it is on the site, in the feed, in the journal and in the
/// owner's own timeline.
///
/// # Errors
/// When it is empty, published already or gone, its address is taken, a photo is gone, or the node
/// belongs to nobody.
pub async fn publish(node: &Node, id: PostId) -> Result<Post, PostError> {
    publish_dated(node, id, None).await
}

/// [`publish`] with the date of a post that was out elsewhere before: it has its place by that
/// among the others, on the site and in friends' timelines. A date that is still to come counts as
/// now.
///
/// # Errors
/// As [`publish`].
pub async fn publish_dated(
    node: &Node,
    id: PostId,
    date: Option<Timestamp>,
) -> Result<Post, PostError> {
    let before = rows::load(&node.store, id)?;
    let text = rows::text(node, &before)?;
    if text.trim().is_empty() && before.photos.is_empty() {
        return Err(PostError::Empty);
    }
    let (author, now) = (node.clone(), node.clock.now());
    let row =
        node.store.commit(move |tx| write(tx, &author, id, &before, text, (now, date))).await?;
    Ok(rows::shown(node, id, row)?)
}

fn write(
    tx: &mut Tx<'_>,
    node: &Node,
    id: PostId,
    before: &PostRow,
    text: String,
    (now, date): (Timestamp, Option<Timestamp>),
) -> Result<PostRow, PostError> {
    let mut row = rows::load(tx, id)?;
    if row.state == State::Published {
        return Err(PostError::AlreadyPublished);
    }
    if row != *before {
        return Err(PostError::ChangedMeanwhile);
    }
    if row.has_own_slug && !rows::is_free(tx, &row.slug, id)? {
        return Err(PostError::BadSlug);
    }
    row.slug = rows::next_free(tx, &row.slug, id)?;
    let shown = draft::load_photos(tx, &row.photos)?;
    row.state = State::Published;
    // The entry's own time where no other is given: a machine whose clock was never set must not
    // date its posts to 1970.
    let moment = feed::moment(tx, node)?;
    let published = date.map_or(moment, |date| date.min(moment));
    row.published = Some(published);
    row.updated = now;
    let body = body(&row, text, &shown);
    let entry = feed::append(tx, node, Lane::PUBLIC, &Body::Post(body.clone()))?;
    row.entry = Some(entry.0);
    entries::note(tx, &entry, id)?;
    if let Some(own) = version(node, entry, now, &body) {
        timeline::show(tx, &entry, &own)?;
    }
    photos::add_references(tx, &id.0, &row.photos, true)?;
    rows::claim_slug(tx, &row.slug, id)?;
    row::delete::<DraftRow>(tx, &id.0);
    row::put(tx, &rows::place_key(published, id), &PlaceRow {})?;
    rows::save(tx, id, &row)?;
    tx.after(Event::Public);
    Ok(row)
}

fn body(row: &PostRow, text: String, shown: &[Photo]) -> PostBody {
    PostBody {
        media_type: MARKDOWN.to_owned(),
        lang: String::new(),
        title: Some(row.title.clone()).filter(|title| !title.is_empty()),
        slug: row.slug.clone(),
        text,
        published: row.published.unwrap_or_default(),
        photos: shown.iter().map(photos::entry_photo).collect(),
    }
}

/// The owner's own version for their own timeline.
fn version<'a>(
    node: &Node,
    entry: EntryId,
    now: Timestamp,
    post: &'a PostBody,
) -> Option<Version<'a>> {
    let author = node.identity.person()?;
    Some(Version {
        author,
        entry,
        at: now,
        posted: post.published,
        has_blobs: true,
        is_news: false,
        post,
    })
}

/// Replaces what a published post says. Its address stays unless the draft names another; the old
/// one then leads to the new.
///
/// # Errors
/// When it is empty, not published, gone or changed meanwhile, the address is taken, or a photo is
/// gone.
pub async fn edit(node: &Node, id: PostId, draft: Draft) -> Result<Post, PostError> {
    let over = draft.over;
    let ready = draft::ready(node, draft)?;
    if ready.raw.trim().is_empty() && ready.photos.is_empty() {
        return Err(PostError::Empty);
    }
    let (author, now) = (node.clone(), node.clock.now());
    let row = node.store.commit(move |tx| write_edit(tx, &author, id, over, ready, now)).await?;
    Ok(rows::shown(node, id, row)?)
}

fn write_edit(
    tx: &mut Tx<'_>,
    node: &Node,
    id: PostId,
    over: Over,
    ready: Ready,
    now: Timestamp,
) -> Result<PostRow, PostError> {
    let mut row = rows::load(tx, id)?;
    let of = row
        .entry
        .map(EntryId)
        .filter(|_| row.state == State::Published)
        .ok_or(PostError::NotPublished)?;
    if !over.is(&row) {
        return if row.says(&ready) { Ok(row) } else { Err(PostError::ChangedMeanwhile) };
    }
    if let Some(slug) = ready.slug.clone().filter(|slug| *slug != row.slug) {
        if !rows::is_free(tx, &slug, id)? || rows::addresses(tx, id)? >= ADDRESSES_MAX {
            return Err(PostError::BadSlug);
        }
        rows::claim_slug(tx, &slug, id)?;
        row.slug = slug;
        row.has_own_slug = true;
    }
    let shown = ready.load_photos(tx)?;
    ready.text.attach(tx);
    photos::remove_references(tx, &id.0, &row.photos)?;
    photos::add_references(tx, &id.0, &ready.photos, true)?;
    row.title = ready.title;
    row.text = ready.text.text.clone();
    row.summary = ready.summary;
    row.minutes = ready.minutes;
    row.photos = ready.photos;
    row.updated = now;
    row.edited = Some(now);
    let post = body(&row, ready.raw, &shown);
    let entry = feed::append(tx, node, Lane::PUBLIC, &Body::Edit { of, post: post.clone() })?;
    row.version = Some(entry.0);
    if let Some(own) = version(node, entry, now, &post) {
        timeline::show(tx, &of, &own)?;
    }
    rows::save(tx, id, &row)?;
    tx.after(Event::Public);
    Ok(row)
}
