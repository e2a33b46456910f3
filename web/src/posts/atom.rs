//! The Atom feed (RFC 4287): the newest posts, whole, with their photos.

use askama::Template;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use freehold_core::audience::Visitor;
use freehold_core::clock::Timestamp;
use freehold_core::posts::{self, Post};
use freehold_core::profile;

use super::{TITLE_CHARS, path_of, shown, title_of};
use crate::answer::{self, Answer, Problem};
use crate::dates;
use crate::markdown;
use crate::routes::{Access, Routes};
use crate::site::Site;

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
    /// HTML; the template escapes it as `type="html"` asks.
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

async fn feed(State(site): State<Site>) -> Answer {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    let base = site.base(Some(&profile));
    let found = posts::published(&site.node, &Visitor::Stranger, None, ENTRIES)?;
    let updated = found
        .iter()
        .filter_map(|post| post.edited.max(post.published))
        .max()
        .unwrap_or(Timestamp(0));
    let entries =
        found.into_iter().map(|post| entry(&site, &base, post)).collect::<Result<_, _>>()?;
    // The address may change; who it is does not (RFC 4287 4.2.6).
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
    Ok(answer::public(
        ([(header::CONTENT_TYPE, "application/atom+xml; charset=utf-8")], feed.render()?)
            .into_response(),
    ))
}

fn entry(site: &Site, base: &str, post: Post) -> Result<Entry, Problem> {
    let published = post.published.unwrap_or(post.created);
    let mut html = absolute(markdown::render(&post.text).as_str(), base);
    for picture in shown(site, &Visitor::Stranger, &post)? {
        let alt = answer::escaped(&picture.alt);
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

/// Links and pictures with the site's address before them: a reader of feeds does not know where it
/// is.
fn absolute(html: &str, base: &str) -> String {
    html.replace("src=\"/", &format!("src=\"{base}/"))
        .replace("href=\"/", &format!("href=\"{base}/"))
}
