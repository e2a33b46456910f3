//! Reading posts, each as far as its reader may see it.

use super::rows::{self, DraftRow, PlaceRow, PostRow, SlugRow};
use super::{Post, PostId, State};
use crate::audience::{Visitor, may_see};
use crate::clock::Timestamp;
use crate::node::Node;
use crate::photos::{self, PhotoId};
use crate::row::{self, Record};
use crate::store::{Scan, StoreError};

/// Keys read at once while counting.
const COUNT_PAGE: usize = 1000;
const DRAFTS_MAX: usize = 1000;
/// The most posts that one search reads.
pub const SEARCHED_MAX: usize = 2000;

/// The target of a slug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The post itself.
    Here(Box<Post>),
    /// The slug that replaced it.
    Moved(String),
}

/// The end of a page of posts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The publication time of its last post.
    pub published: Timestamp,
    /// Its last post.
    pub id: PostId,
}

impl Post {
    /// The cursor of the page after this post; `None` for a draft.
    pub fn cursor(&self) -> Option<Cursor> {
        self.published.map(|published| Cursor { published, id: self.id })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.published.0, self.id)
    }
}

impl std::str::FromStr for Cursor {
    type Err = crate::ids::NotAnId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (published, id) = text.split_once('-').ok_or(crate::ids::NotAnId)?;
        Ok(Self {
            published: Timestamp(published.parse().map_err(|_| crate::ids::NotAnId)?),
            id: id.parse()?,
        })
    }
}

fn visible(row: &PostRow, visitor: &Visitor) -> bool {
    match row.state {
        State::Draft => *visitor == Visitor::Owner,
        State::Published => {
            (!row.is_hidden || *visitor == Visitor::Owner) && may_see(&row.audience, visitor)
        }
    }
}

/// One post, if `visitor` may see it; drafts are the owner's.
///
/// # Errors
/// When a row or text is damaged or the store is unavailable.
pub fn by_id(node: &Node, visitor: &Visitor, id: PostId) -> Result<Option<Post>, StoreError> {
    let row = row::get::<PostRow>(&node.store, &id.0)?.filter(|row| visible(row, visitor));
    row.map(|row| rows::to_post(node, id, row)).transpose()
}

/// The target of a slug, if `visitor` may see it.
///
/// # Errors
/// As [`by_id`].
pub fn by_slug(node: &Node, visitor: &Visitor, slug: &str) -> Result<Option<Found>, StoreError> {
    let Some(found) = row::get::<SlugRow>(&node.store, &rows::slug_key(&node.store, slug)?)? else {
        return Ok(None);
    };
    let Some(row) =
        row::get::<PostRow>(&node.store, &found.post.0)?.filter(|row| visible(row, visitor))
    else {
        return Ok(None);
    };
    if row.slug != slug {
        return Ok(Some(Found::Moved(row.slug)));
    }
    rows::to_post(node, found.post, row).map(|post| Some(Found::Here(Box::new(post))))
}

/// Published posts that `visitor` may see, the newest first: those before `before` (all for
/// `None`), at most `limit`.
///
/// # Errors
/// As [`by_id`].
pub fn published(
    node: &Node,
    visitor: &Visitor,
    before: Option<Cursor>,
    limit: usize,
) -> Result<Vec<Post>, StoreError> {
    let mut found = Vec::new();
    let mut scan = Scan::prefix(&[], limit.max(1)).reversed();
    if let Some(cursor) = before {
        scan = scan.after(&rows::place_key(cursor.published, cursor.id));
    }
    while found.len() < limit {
        let page = node.store.scan(PlaceRow::TABLE, &scan)?;
        for (key, _) in &page {
            found.extend(by_id(node, visitor, PostId(row::key_part(key, 8)))?);
        }
        match page.last() {
            Some((last, _)) => scan = Scan::prefix(&[], limit).reversed().after(last),
            None => break,
        }
    }
    found.truncate(limit);
    Ok(found)
}

/// One page of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Titled {
    /// The posts, newest first.
    pub posts: Vec<Post>,
    /// Where the search goes on; `None` at the end.
    pub next: Option<Cursor>,
}

/// The owner's published posts before `before` whose title, or whose summary if they have none,
/// contains each of the `words` in any case and order; at most `limit`. Reads at most
/// [`SEARCHED_MAX`] posts: a page may be short, or empty, although the search goes on.
///
/// # Errors
/// As [`by_id`].
pub fn titled(
    node: &Node,
    words: &str,
    before: Option<Cursor>,
    limit: usize,
) -> Result<Titled, StoreError> {
    let words = words.to_lowercase();
    let words: Vec<&str> = words.split_whitespace().collect();
    let mut found = Titled { posts: Vec::new(), next: None };
    let mut scan = Scan::prefix(&[], SEARCHED_MAX).reversed();
    if let Some(cursor) = before {
        scan = scan.after(&rows::place_key(cursor.published, cursor.id));
    }
    let places = node.store.scan(PlaceRow::TABLE, &scan)?;
    for (number, (key, _)) in places.iter().enumerate() {
        let id = PostId(row::key_part(key, 8));
        let Some(row) = row::get::<PostRow>(&node.store, &id.0)? else { continue };
        let line = if row.title.is_empty() { &row.summary } else { &row.title };
        let line = line.to_lowercase();
        if !words.iter().all(|word| line.contains(word)) {
            continue;
        }
        found.posts.push(rows::to_post(node, id, row)?);
        let is_last = number + 1 == places.len() && places.len() < SEARCHED_MAX;
        if found.posts.len() == limit && !is_last {
            found.next = found.posts.last().and_then(Post::cursor);
            return Ok(found);
        }
    }
    if let Some((key, _)) = places.last().filter(|_| places.len() == SEARCHED_MAX) {
        let published = Timestamp(u64::from_be_bytes(row::key_part(key, 0)));
        found.next = Some(Cursor { published, id: PostId(row::key_part(key, 8)) });
    }
    Ok(found)
}

/// The posts that show a photo and that `visitor` may see; drafts are the owner's.
///
/// # Errors
/// As [`by_id`].
pub fn showing(node: &Node, visitor: &Visitor, photo: PhotoId) -> Result<Vec<Post>, StoreError> {
    let mut found = Vec::new();
    for id in photos::referring(&node.store, photo)? {
        found.extend(by_id(node, visitor, PostId(id))?);
    }
    Ok(found)
}

/// The number of published posts of any audience. Reads a key per post.
///
/// # Errors
/// When the store is unavailable.
pub fn count(node: &Node) -> Result<usize, StoreError> {
    let (mut counted, mut scan) = (0, Scan::prefix(&[], COUNT_PAGE));
    loop {
        let page = node.store.scan(PlaceRow::TABLE, &scan)?;
        counted += page.len();
        match page.last() {
            Some((last, _)) => scan = Scan::prefix(&[], COUNT_PAGE).after(last),
            None => return Ok(counted),
        }
    }
}

/// The owner's drafts, the last saved first.
///
/// # Errors
/// As [`by_id`].
pub fn drafts(node: &Node) -> Result<Vec<Post>, StoreError> {
    let mut found = Vec::new();
    for (key, _) in node.store.scan(DraftRow::TABLE, &Scan::prefix(&[], DRAFTS_MAX))? {
        found.extend(by_id(node, &Visitor::Owner, PostId(row::key_part(&key, 0)))?);
    }
    found.sort_by_key(|post| std::cmp::Reverse(post.updated));
    Ok(found)
}
