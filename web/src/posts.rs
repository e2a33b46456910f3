//! Posts: the front page, older posts, one post, the feed; and, for the owner, the form that writes
//! them.

mod atom;
mod list;
mod write;

use askama::Template;
use axum::extract::{Path, Query, State};
use freehold_core::audience::Visitor;
use freehold_core::clock::Timestamp;
use freehold_core::photos::{self, PhotoId};
use freehold_core::posts::{self, Cursor, Found, Post, State as PostState};
use freehold_core::profile::{self, Profile};
use freehold_core::store::StoreError;
use freehold_core::{slug, text};
use serde::Deserialize;

pub(crate) use self::write::PostLink;
use crate::dates;
use crate::done::Done;
use crate::layout::Layout;
use crate::markdown;
use crate::pictures::Picture;
use crate::problem::{Problem, parse_id};
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Viewer;

/// Number of posts in one page of a list.
const PAGE_LEN: usize = 20;
/// The most photos in the front page's row.
const STRIP_LEN: usize = 6;
/// The width of that row, in tenths of its height.
const STRIP_RATIO_MAX: u32 = 60;
/// With fewer photos there is no row.
const STRIP_LEN_MIN: usize = 3;
/// A longer note is shortened in a list, in characters.
const NOTE_CHARS: usize = 600;
/// How much of a note is shown as its title, in characters.
const TITLE_CHARS: usize = 60;
/// How much of the newest post the front page shows, in characters.
const LEAD_CHARS: usize = 320;

pub(crate) fn routes() -> Routes {
    Routes::new()
        .get("/", Access::Anyone, front)
        .get("/writing", Access::Anyone, older)
        .get("/{year}/{slug}", Access::Anyone, show)
        .merge(atom::routes())
        .merge(list::routes())
        .merge(write::routes())
}

/// A post's title or the beginning of its text, about `chars` characters at most. Never empty,
/// since it is the text of links.
pub(crate) fn title_of(post: &Post, chars: usize) -> String {
    let title =
        if post.title.is_empty() { text::summary(&post.text, chars) } else { post.title.clone() };
    if title.is_empty() { "Without a title".to_owned() } else { title }
}

/// The fault of `text`, of `len` bytes where `len_max` are allowed. It counts characters, since
/// people do not count bytes: as many as fit of a text with letters like these.
pub(crate) fn too_long(text: &str, len: usize, len_max: usize) -> String {
    let count = text.trim_end().chars().count();
    let fitting = count.saturating_mul(len_max) / len.max(1);
    let parts = len.div_ceil(len_max.max(1)).max(2);
    format!(
        "The text is too long for one post: {count} characters, and {fitting} of them fit. Make \
         {parts} posts of it; nothing you wrote is lost."
    )
}

/// The path of a post's page.
pub fn path_of(post: &Post) -> String {
    format!("/{}/{}", dates::year(post.published.unwrap_or(post.created)), post.slug)
}

/// A post in a list.
struct PostRow {
    href: String,
    title: String,
    /// The text of a note, or the summary of a longer post.
    text: String,
    /// A longer beginning, for the first post of the front page.
    beginning: String,
    day: String,
    machine_time: String,
    minutes: u32,
    photos: usize,
}

#[derive(Template)]
#[template(path = "posts/front.html")]
struct FrontPage {
    page: Layout,
    strapline: String,
    lead: Option<PostRow>,
    strip: Vec<Picture>,
    rows: Vec<PostRow>,
    older: Option<String>,
}

#[derive(Template)]
#[template(path = "posts/older.html")]
struct OlderPage {
    page: Layout,
    is_first: bool,
    rows: Vec<PostRow>,
    older: Option<String>,
}

#[derive(Template)]
#[template(path = "posts/show.html")]
struct PostPage {
    page: Layout,
    title: String,
    html: String,
    summary: String,
    published: String,
    machine_time: String,
    edited: Option<String>,
    minutes: u32,
    pictures: Vec<Picture>,
    /// The edit page; `None` for strangers.
    edit: Option<String>,
    is_draft: bool,
    canonical: String,
    address: String,
}

#[derive(Template)]
#[template(path = "posts/no_owner.html")]
struct NoOwnerPage {
    page: Layout,
}

fn row(post: Post, now: Timestamp) -> PostRow {
    let published = post.published.unwrap_or(post.created);
    PostRow {
        beginning: text::summary(&post.text, LEAD_CHARS),
        href: path_of(&post),
        text: if post.title.is_empty() {
            text::summary(&post.text, NOTE_CHARS)
        } else {
            post.summary
        },
        title: post.title,
        day: dates::day(published, now),
        machine_time: dates::machine(published),
        minutes: post.minutes,
        photos: post.photos.len(),
    }
}

/// One page of the public posts, and the address of the next.
fn list(site: &Site, before: Option<Cursor>) -> Result<(Vec<PostRow>, Option<String>), StoreError> {
    let posts = posts::published(&site.node, &Visitor::Stranger, before, PAGE_LEN)?;
    let last = posts.last().filter(|_| posts.len() == PAGE_LEN).and_then(Post::cursor);
    let now = site.node.clock.now();
    Ok((
        posts.into_iter().map(|post| row(post, now)).collect(),
        last.map(|cursor| format!("/writing?before={cursor}")),
    ))
}

async fn front(State(site): State<Site>, viewer: Viewer) -> PageResult {
    let Some(profile) = site.profile()? else {
        return response::page(&NoOwnerPage {
            page: Layout::public(None, "Nobody lives here yet", ""),
        });
    };
    let (mut rows, older) = list(&site, None)?;
    // The lead is the newest post that has a title.
    let lead = rows.iter().position(|row| !row.title.is_empty()).map(|at| rows.remove(at));
    let page = Layout::public(Some(&profile), "", "Writing").for_owner(viewer.is_owner());
    response::public_page(&FrontPage {
        page,
        strapline: profile.strapline.clone(),
        lead,
        strip: strip(&site)?,
        rows,
        older,
    })
}

/// The newest photos that fit one row; none if they are fewer than [`STRIP_LEN_MIN`].
fn strip(site: &Site) -> Result<Vec<Picture>, StoreError> {
    let mut width = 0;
    let newest = photos::list(&site.node, &Visitor::Stranger, None, STRIP_LEN)?;
    let mut strip: Vec<Picture> = newest.iter().map(Picture::own).collect();
    strip.retain(|picture| {
        width += picture.ratio;
        width <= STRIP_RATIO_MAX
    });
    Ok(if strip.len() < STRIP_LEN_MIN { Vec::new() } else { strip })
}

#[derive(Deserialize)]
struct Older {
    before: Option<String>,
}

async fn older(State(site): State<Site>, viewer: Viewer, Query(query): Query<Older>) -> PageResult {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    let before = query.before.as_deref().map(parse_id).transpose()?;
    let (rows, older) = list(&site, before)?;
    let is_first = before.is_none();
    let title = if is_first { "Writing" } else { "Older writing" };
    let page = Layout::public(Some(&profile), title, "Writing").for_owner(viewer.is_owner());
    response::public_page(&OlderPage { page, is_first, rows, older })
}

async fn show(
    State(site): State<Site>,
    viewer: Viewer,
    Path((year, slug)): Path<(String, String)>,
    done: Done,
) -> PageResult {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    let post = find(&site, &viewer.0, &slug)?.ok_or(Problem::NotFound)?;
    let path = path_of(&post);
    if path != format!("/{year}/{slug}") {
        // The target is the post's own path, never the requested one.
        let is_year = year.parse::<u16>().is_ok();
        return if is_year {
            Ok(response::moved_permanently(&path))
        } else {
            Err(Problem::NotFound)
        };
    }
    let page = post_page(&site, &viewer, &profile, post)?;
    let page = PostPage { page: page.page.saying(done), ..page };
    if page.is_draft { response::page(&page) } else { response::public_page(&page) }
}

/// The post that has or had a slug. A slug in capitals or in another Unicode form is found, too.
fn find(site: &Site, visitor: &Visitor, slug: &str) -> Result<Option<Post>, StoreError> {
    let found = posts::by_slug(&site.node, visitor, slug)?;
    let found = match (found, slug::slugify(slug).filter(|plain| plain != slug)) {
        (None, Some(plain)) => posts::by_slug(&site.node, visitor, &plain)?,
        (found, _) => found,
    };
    match found {
        Some(Found::Here(post)) => Ok(Some(*post)),
        Some(Found::Moved(slug)) => match posts::by_slug(&site.node, visitor, &slug)? {
            Some(Found::Here(post)) => Ok(Some(*post)),
            _ => Ok(None),
        },
        None => Ok(None),
    }
}

fn post_page(
    site: &Site,
    viewer: &Viewer,
    profile: &Profile,
    post: Post,
) -> Result<PostPage, Problem> {
    let title = title_of(&post, TITLE_CHARS);
    let published = post.published.unwrap_or(post.created);
    let is_owner = viewer.is_owner();
    Ok(PostPage {
        page: Layout::public(Some(profile), &title, "Writing").for_owner(is_owner),
        html: markdown::render_post(&post.title, &post.text).to_string(),
        published: dates::long(published),
        machine_time: dates::machine(published),
        // On the day of publication a change is no news.
        edited: post.edited.map(dates::long).filter(|edited| *edited != dates::long(published)),
        minutes: post.minutes,
        pictures: visible_pictures(site, &viewer.0, &post.photos)?,
        edit: is_owner.then(|| format!("/home/write/{}", post.id)),
        is_draft: post.state == PostState::Draft,
        canonical: format!("{}{}", site.base(Some(profile)), path_of(&post)),
        address: profile::address(profile),
        summary: post.summary,
        title: post.title,
    })
}

/// Those of the photos that `visitor` may see.
fn visible_pictures(
    site: &Site,
    visitor: &Visitor,
    ids: &[PhotoId],
) -> Result<Vec<Picture>, StoreError> {
    let mut pictures = Vec::new();
    for id in ids {
        pictures.extend(photos::by_id(&site.node, visitor, *id)?.map(|photo| Picture::own(&photo)));
    }
    Ok(pictures)
}
