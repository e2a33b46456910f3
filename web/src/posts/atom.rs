//! The Atom feed (RFC 4287): the newest posts, whole, with their photos.

use askama::Template;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use freehold_core::audience::Visitor;
use freehold_core::clock::Timestamp;
use freehold_core::posts::{self, Post};
use freehold_core::profile;
use freehold_core::text;
use url::Url;

use super::{TITLE_CHARS, path_of, title_of, visible_pictures};
use crate::dates;
use crate::markdown;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;

/// Number of posts in the feed.
const ENTRIES: usize = 20;
/// The oldest of these posts are left out when the HTML of all is longer, in bytes. The newest one
/// is always in the feed.
const HTML_LEN_MAX: usize = 1024 * 1024;

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
    lang: String,
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
    let (mut entries, mut len) = (Vec::new(), 0usize);
    for post in posts {
        let entry = entry(&site, &base, post)?;
        len = len.saturating_add(entry.html.len());
        if len > HTML_LEN_MAX && !entries.is_empty() {
            break;
        }
        entries.push(entry);
    }
    // The id must never change (RFC 4287 4.2.6): the domain may, the person id does not.
    let id = match site.node.identity.person() {
        Some(person) => format!("urn:freehold:{person}"),
        None => format!("mailto:{}", profile::address(&profile)),
    };
    let feed = Feed {
        base,
        lang: profile.language().to_owned(),
        id,
        name: profile.name.clone(),
        strapline: profile.strapline.clone(),
        updated: dates::machine(updated),
        entries,
    };
    // Rows of earlier versions may have characters that XML forbids.
    let feed = text::permitted(&feed.render()?).into_owned();
    Ok(response::cacheable(
        ([(header::CONTENT_TYPE, "application/atom+xml; charset=utf-8")], feed).into_response(),
    ))
}

fn entry(site: &Site, base: &str, post: Post) -> Result<Entry, Problem> {
    let published = post.published.unwrap_or(post.created);
    let link = format!("{base}{}", path_of(&post));
    let mut html = absolute(markdown::render_post(&post.title, &post.text).as_str(), &link);
    for picture in visible_pictures(site, &Visitor::Stranger, &post.photos)? {
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
        link,
        // A note has no title; its first words would stand twice in a reader.
        title: match post.title.is_empty() {
            true => dates::long(published),
            false => title_of(&post, TITLE_CHARS),
        },
        published: dates::machine(published),
        updated: dates::machine(post.edited.unwrap_or(published)),
        summary: post.summary,
        html,
    })
}

/// The HTML with the addresses of its links and pictures resolved against the post's own address
/// (RFC 3986 5.2), because a feed reader has no base address. Only attributes are changed, never
/// text or code. `html` is sanitised: each `<` begins a tag, and each value is in double quotes.
fn absolute(html: &str, base: &str) -> String {
    let Ok(base) = Url::parse(base) else { return html.to_owned() };
    let (mut resolved, mut rest) = (String::with_capacity(html.len()), html);
    while let Some((before, tag)) = rest.split_once('<') {
        resolved.push_str(before);
        resolved.push('<');
        let attribute = ["a ", "img "]
            .iter()
            .find(|name| tag.starts_with(**name))
            .map(|name| if *name == "a " { " href=\"" } else { " src=\"" });
        rest = tag;
        let end = tag_end(tag);
        let found = attribute.and_then(|attribute| {
            let at = tag.get(..end)?.find(attribute)?.checked_add(attribute.len())?;
            let (head, value) = tag.split_at_checked(at)?;
            let (value, after) = value.split_once('"')?;
            Some((head, base.join(&decoded(value)).ok()?, after))
        });
        if let Some((head, address, after)) = found {
            resolved.push_str(head);
            resolved.push_str(&response::escape_html(address.as_str()));
            resolved.push('"');
            rest = after;
        }
    }
    resolved.push_str(rest);
    resolved
}

/// Where a tag ends: a `>` within a quoted value ends none.
fn tag_end(tag: &str) -> usize {
    let mut is_quoted = false;
    let end = tag.char_indices().find(|(_, c)| {
        is_quoted ^= *c == '"';
        *c == '>' && !is_quoted
    });
    end.map_or(tag.len(), |(at, _)| at)
}

/// The characters that the sanitiser escapes in a value (HTML 13.3, "Escaping a string").
fn decoded(value: &str) -> String {
    let escapes =
        [("&quot;", "\""), ("&lt;", "<"), ("&gt;", ">"), ("&nbsp;", "\u{a0}"), ("&amp;", "&")];
    escapes.iter().fold(value.to_owned(), |value, (escaped, plain)| value.replace(escaped, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feed_addresses_are_resolved_on_attributes_alone() {
        let text = "`<a href=\"/about\">`\n\n```html\n<img src=\"/x.png\">\n```\n\n[about](/about) \
            [frag](#part) [proto](//other.example/x) [rel](other) [q](?a=1&b=2 \"href=\\\"/t\") \
            [up](../x) [mail](mailto:a@b.example) ![p](/photos/a/1600.jpg) [^1]\n\n[^1]: Note.\n";
        let html = absolute(
            markdown::render_post("A title", text).as_str(),
            "http://alice.example:8080/2026/code-in-feed",
        );
        for kept in
            ["&lt;a href=\"/about\"&gt;", "&lt;img src=\"/x.png\"&gt;", "mailto:a@b.example"]
        {
            assert!(html.contains(kept), "{kept} in {html}");
        }
        for address in [
            "<a href=\"http://alice.example:8080/about\"",
            "<a href=\"http://alice.example:8080/2026/code-in-feed#part\"",
            "<a href=\"http://other.example/x\"",
            "<a href=\"http://alice.example:8080/2026/other\"",
            "<a href=\"http://alice.example:8080/2026/code-in-feed?a=1&#38;b=2\" title=\"href=",
            "<a href=\"http://alice.example:8080/x\"",
            "<img src=\"http://alice.example:8080/photos/a/1600.jpg\"",
            "<a href=\"http://alice.example:8080/2026/code-in-feed#fn-1\"",
        ] {
            assert!(html.contains(address), "{address} in {html}");
        }
    }
}
