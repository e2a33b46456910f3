//! The Atom feed (RFC 4287): the newest posts, whole, with their photos.

use askama::Template;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use freehold_core::audience::Visitor;
use freehold_core::clock::Timestamp;
use freehold_core::posts::{self, Post};
use freehold_core::profile;

use super::{TITLE_CHARS, path_of, title_of, visible_pictures};
use crate::dates;
use crate::markdown;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;

/// Number of posts in the feed.
const ENTRIES: usize = 20;

pub(super) fn routes() -> Routes {
    Routes::new().get("/feed.atom", Access::Anyone, feed)
}

struct Entry {
    id: String,
    title: String,
    link: String,
    published: String,
    updated: String,
    summary: String,
    /// HTML; the template escapes it as `type="html"` requires.
    html: String,
}

#[derive(Template)]
#[template(path = "posts/feed.xml")]
struct Feed {
    base: String,
    id: String,
    name: String,
    strapline: String,
    updated: String,
    entries: Vec<Entry>,
}

async fn feed(State(site): State<Site>) -> PageResult {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    let base = site.base(Some(&profile));
    let posts = posts::published(&site.node, &Visitor::Stranger, None, ENTRIES)?;
    let updated = posts
        .iter()
        .filter_map(|post| post.edited.max(post.published))
        .max()
        .unwrap_or(Timestamp(0));
    let entries =
        posts.into_iter().map(|post| entry(&site, &base, post)).collect::<Result<_, _>>()?;
    // The id must never change (RFC 4287 4.2.6): the domain may, the person id does not.
    let id = match site.node.identity.person() {
        Some(person) => format!("urn:freehold:{person}"),
        None => format!("mailto:{}", profile::address(&profile)),
    };
    let feed = Feed {
        base,
        id,
        name: profile.name.clone(),
        strapline: profile.strapline.clone(),
        updated: dates::machine(updated),
        entries,
    };
    Ok(response::cacheable(
        ([(header::CONTENT_TYPE, "application/atom+xml; charset=utf-8")], feed.render()?)
            .into_response(),
    ))
}

fn entry(site: &Site, base: &str, post: Post) -> Result<Entry, Problem> {
    let published = post.published.unwrap_or(post.created);
    let mut html = absolute(markdown::render(&post.text).as_str(), base);
    for picture in visible_pictures(site, &Visitor::Stranger, &post)? {
        let alt = response::escape_html(&picture.alt);
        html.push_str(&format!(
            "<p><img src=\"{base}{}\" alt=\"{alt}\" width=\"{}\" height=\"{}\"></p>",
            picture.large, picture.width, picture.height
        ));
    }
    Ok(Entry {
        id: post.entry.map_or_else(
            || format!("urn:freehold:{}", post.id),
            |entry| format!("urn:freehold:{entry}"),
        ),
        link: format!("{base}{}", path_of(&post)),
        title: title_of(&post, TITLE_CHARS),
        published: dates::machine(published),
        updated: dates::machine(post.edited.unwrap_or(published)),
        summary: post.summary,
        html,
    })
}

/// Makes the paths of links and pictures absolute: a feed reader has no base address.
fn absolute(html: &str, base: &str) -> String {
    html.replace("src=\"/", &format!("src=\"{base}/"))
        .replace("href=\"/", &format!("href=\"{base}/"))
}
