//! All posts of the owner, by page, with a search by title.

use askama::Template;
use axum::extract::{Query, State};
use freehold_core::blocking::try_blocking;
use freehold_core::posts::{self, TITLE_CHARS_MAX, Titled};
use serde::Deserialize;

use super::PostLink;
use crate::layout::Layout;
use crate::problem::parse_id;
use crate::response::{self, PageResult, percent_encoded};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

/// Number of posts in one page.
const PAGE_LEN: usize = 50;
/// The longest search, in characters: no title is longer.
const WORDS_MAX: usize = TITLE_CHARS_MAX;

pub(super) fn routes() -> Routes {
    Routes::new().get("/home/posts", Access::Owner, list)
}

#[derive(Deserialize)]
struct ListQuery {
    before: Option<String>,
    #[serde(default)]
    words: String,
}

#[derive(Template)]
#[template(path = "posts/list.html")]
struct ListPage {
    page: Layout,
    words: String,
    posts: Vec<PostLink>,
    /// The address of the next page.
    earlier: Option<String>,
    is_first: bool,
    fault: Option<String>,
}

async fn list(State(site): State<Site>, _: Owner, Query(query): Query<ListQuery>) -> PageResult {
    let before = query.before.as_deref().map(parse_id).transpose()?;
    let words = query.words.trim().to_owned();
    let count = words.chars().count();
    let fault = (count > WORDS_MAX).then(|| {
        format!("The words have {count} characters; {WORDS_MAX} is the most. Leave some out.")
    });
    let (node, searched) = (site.node.clone(), words.clone());
    let found = match fault {
        Some(_) => Titled { posts: Vec::new(), next: None },
        None => try_blocking(move || posts::titled(&node, &searched, before, PAGE_LEN)).await?,
    };
    let now = site.node.clock.now();
    let encoded = percent_encoded(words.as_bytes(), |byte| byte.is_ascii_alphanumeric());
    response::page(&ListPage {
        page: site.owner_layout("Your posts", "Write")?,
        posts: found.posts.iter().map(|post| PostLink::published(post, now)).collect(),
        earlier: found.next.map(|next| format!("/home/posts?before={next}&words={encoded}")),
        is_first: before.is_none(),
        fault,
        words,
    })
}
