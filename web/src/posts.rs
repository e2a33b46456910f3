//! The writing: the front page, a post, its feed; and, for the owner, the desk it is written at.

mod atom;
mod write;

use askama::Template;
use axum::extract::{Path, Query, State};
use freehold_core::audience::Visitor;
use freehold_core::clock::Timestamp;
use freehold_core::photos;
use freehold_core::posts::{self, Cursor, Found, Post, State as Stage};
use freehold_core::store::StoreError;
use freehold_core::text;
use serde::Deserialize;

use crate::answer::{self, Answer, Problem};
use crate::dates;
use crate::frame::Frame;
use crate::markdown;
use crate::pictures::{self, Picture};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::visitor::Asker;

const PAGE_LEN: usize = 20;
/// How many pictures hang on the front page at most, and how wide they are together, in tenths of
/// their height.
const STRIP_LEN: usize = 6;
const STRIP_RATIO_MAX: u32 = 60;
const STRIP_LEN_MIN: usize = 3;
/// A longer note is shortened in a list.
const NOTE_CHARS: usize = 600;
/// How much of a note stands for its title.
const TITLE_CHARS: usize = 60;
/// How much of the newest post the front page shows.
const LEAD_CHARS: usize = 320;

pub(crate) fn routes() -> Routes {
    Routes::new()
        .get("/", Access::Anyone, front)
        .get("/writing", Access::Anyone, older)
        .get("/{year}/{slug}", Access::Anyone, show)
        .merge(atom::routes())
        .merge(write::routes())
}

/// A post's title, or how it begins, in at most about `chars` characters; never nothing, since it
/// stands in links.
pub(crate) fn title_of(post: &Post, chars: usize) -> String {
    let begins =
        if post.title.is_empty() { text::summary(&post.text, chars) } else { post.title.clone() };
    if begins.is_empty() { "Without a title".to_owned() } else { begins }
}

/// What to say of a text that takes `len` of `len_max` bytes: people count pages, not bytes.
pub(crate) fn too_long(len: usize, len_max: usize) -> String {
    let parts = len.div_ceil(len_max.max(1)).max(2);
    format!(
        "That is more than one post holds. Make {parts} of it; nothing of what you wrote is lost here."
    )
}

/// Where a post lives.
pub fn path_of(post: &Post) -> String {
    format!("/{}/{}", dates::year(post.published.unwrap_or(post.created)), post.slug)
}

/// A post in a list.
struct Line {
    href: String,
    title: String,
    /// A note's own text, or how a longer post begins.
    text: String,
    /// A longer beginning, for the lead.
    begins: String,
    day: String,
    machine_time: String,
    minutes: u32,
    photos: usize,
}

#[derive(Template)]
#[template(path = "posts/front.html")]
struct FrontPage {
    page: Frame,
    strapline: String,
    lead: Option<Line>,
    strip: Vec<Picture>,
    lines: Vec<Line>,
    older: Option<String>,
}

#[derive(Template)]
#[template(path = "posts/older.html")]
struct OlderPage {
    page: Frame,
    lines: Vec<Line>,
    older: Option<String>,
}

#[derive(Template)]
#[template(path = "posts/show.html")]
struct PostPage {
    page: Frame,
    title: String,
    html: String,
    summary: String,
    published: String,
    machine_time: String,
    edited: Option<String>,
    minutes: u32,
    pictures: Vec<Picture>,
    /// Where the owner changes it; nothing for others.
    edit: Option<String>,
    is_draft: bool,
    canonical: String,
    address: String,
}

#[derive(Template)]
#[template(path = "posts/unsettled.html")]
struct UnsettledPage {
    page: Frame,
}

fn line(post: Post, now: Timestamp) -> Line {
    let published = post.published.unwrap_or(post.created);
    Line {
        begins: text::summary(&post.text, LEAD_CHARS),
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

/// One page of what anyone may read, and where the next begins.
fn listed(site: &Site, before: Option<Cursor>) -> Result<(Vec<Line>, Option<String>), StoreError> {
    let found = posts::published(&site.node, &Visitor::Stranger, before, PAGE_LEN)?;
    let last = found.last().filter(|_| found.len() == PAGE_LEN).and_then(Post::cursor);
    let now = site.node.clock.now();
    Ok((
        found.into_iter().map(|post| line(post, now)).collect(),
        last.map(|cursor| format!("/writing?before={cursor}")),
    ))
}

async fn front(State(site): State<Site>, asker: Asker) -> Answer {
    let Some(profile) = site.profile()? else {
        return answer::page(&UnsettledPage {
            page: Frame::public(None, "Nobody lives here yet", ""),
        });
    };
    let (mut lines, older) = listed(&site, None)?;
    // The lead is the newest post with a title; a note is said in passing.
    let lead = lines.iter().position(|line| !line.title.is_empty()).map(|at| lines.remove(at));
    let page = Frame::public(Some(&profile), "", "Writing").for_owner(asker.is_owner());
    answer::public_page(&FrontPage {
        page,
        strapline: profile.strapline.clone(),
        lead,
        strip: strip(&site)?,
        lines,
        older,
    })
}

/// As many of the newest photos as fit one row; none if there are too few for a row.
fn strip(site: &Site) -> Result<Vec<Picture>, StoreError> {
    let mut wide = 0;
    let newest = photos::list(&site.node, &Visitor::Stranger, None, STRIP_LEN)?;
    let mut fits: Vec<Picture> = newest.iter().map(Picture::own).collect();
    fits.retain(|picture| {
        wide += picture.ratio;
        wide <= STRIP_RATIO_MAX
    });
    Ok(if fits.len() < STRIP_LEN_MIN { Vec::new() } else { fits })
}

#[derive(Deserialize)]
struct Older {
    before: Option<String>,
}

async fn older(State(site): State<Site>, asker: Asker, Query(query): Query<Older>) -> Answer {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    let before = query.before.as_deref().map(pictures::id).transpose()?;
    let (lines, older) = listed(&site, before)?;
    let page =
        Frame::public(Some(&profile), "Older writing", "Writing").for_owner(asker.is_owner());
    answer::public_page(&OlderPage { page, lines, older })
}

async fn show(
    State(site): State<Site>,
    asker: Asker,
    Path((year, slug)): Path<(String, String)>,
) -> Answer {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    let post = match posts::by_slug(&site.node, &asker.0, &slug)?.ok_or(Problem::NotFound)? {
        Found::Here(post) => *post,
        Found::Moved(slug) => return Ok(answer::moved(&format!("/{year}/{slug}"))),
    };
    let path = path_of(&post);
    if path != format!("/{year}/{slug}") {
        return if year.parse::<u16>().is_ok() {
            Ok(answer::moved(&path))
        } else {
            Err(Problem::NotFound)
        };
    }
    let title = title_of(&post, TITLE_CHARS);
    let base = site.base(Some(&profile));
    let page = PostPage {
        page: Frame::public(Some(&profile), &title, "Writing").for_owner(asker.is_owner()),
        html: markdown::render(&post.text).to_string(),
        summary: post.summary.clone(),
        published: dates::long(post.published.unwrap_or(post.created)),
        machine_time: dates::machine(post.published.unwrap_or(post.created)),
        edited: post.edited.map(dates::long),
        minutes: post.minutes,
        pictures: shown(&site, &asker.0, &post)?,
        edit: asker.is_owner().then(|| format!("/home/write/{}", post.id)),
        is_draft: post.state == Stage::Draft,
        canonical: format!("{base}{path}"),
        address: freehold_core::profile::address(&profile),
        title: post.title,
    };
    if page.is_draft { answer::page(&page) } else { answer::public_page(&page) }
}

/// The photos of a post that `visitor` may see.
fn shown(site: &Site, visitor: &Visitor, post: &Post) -> Result<Vec<Picture>, StoreError> {
    let mut pictures = Vec::new();
    for id in &post.photos {
        pictures.extend(photos::by_id(&site.node, visitor, *id)?.map(|photo| Picture::own(&photo)));
    }
    Ok(pictures)
}
