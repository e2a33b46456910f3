//! Searching the mailbox: a page of results, and the way further back.

use axum::extract::{Query, State};
use freehold_core::blocking::try_blocking;
use freehold_core::mailbox::{self, FolderId, SearchCursor, SearchLimits, SearchQuery, SpecialUse};
use serde::Deserialize;

use super::chosen::Chooser;
use super::list::{self, LIST_LEN};
use super::list_place::ListPlace;
use super::{Sidebar, folder_row, list_page};
use crate::dates;
use crate::done::Done;
use crate::problem::Problem;
use crate::response::{PageResult, percent_encoded};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

pub(super) fn routes() -> Routes {
    Routes::new().get("/home/mail/search", Access::Owner, show)
}

/// The form of a search, and what it found.
#[derive(Default)]
pub(super) struct Search {
    /// The folder from whose list the search began.
    pub(super) folder: u32,
    /// The query as typed; empty in the list of a folder.
    pub(super) query: String,
    /// `here` or `all`.
    pub(super) scope: &'static str,
    /// The extent of the search, in words.
    pub(super) result: String,
    /// The terms that have no meaning.
    pub(super) not_understood: String,
    /// Where this page goes on; empty on the first one.
    pub(super) from: String,
    /// The same search in the other scope.
    pub(super) other: String,
    /// True if the next page goes on in messages that were not searched yet.
    pub(super) is_cut: bool,
    /// True if the results fill the page and there may be more.
    pub(super) is_full: bool,
}

#[derive(Deserialize)]
struct SearchForm {
    #[serde(default)]
    q: String,
    /// `here` for the folder alone.
    #[serde(default, rename = "in")]
    scope: String,
    /// The folder; the inbox without one.
    folder: Option<u32>,
    /// Where the search goes on.
    #[serde(default)]
    from: String,
}

/// The address of a search.
pub(super) fn address(q: &str, scope: &str, folder: u32, from: Option<&SearchCursor>) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let q = percent_encoded(q.as_bytes(), is_plain);
    let scope = if scope == "here" { "&in=here" } else { "" };
    let from = from.map(|from| format!("&from={from}")).unwrap_or_default();
    format!("/home/mail/search?q={q}&folder={folder}{scope}{from}")
}

async fn show(
    State(site): State<Site>,
    _: Owner,
    Query(form): Query<SearchForm>,
    done: Done,
) -> PageResult {
    let folders = mailbox::folders(&site.node)?;
    let current = match form.folder {
        Some(id) => folders.iter().find(|folder| folder.id.0 == id),
        None => folders.iter().find(|folder| folder.special == Some(SpecialUse::Inbox)),
    };
    let current = current.ok_or(Problem::NotFound)?;
    let query = SearchQuery::parse(&form.q, |day| {
        let is_date = day.len() == "2026-01-01".len();
        dates::typed(&format!("{day}T00:00")).filter(|_| is_date)
    });
    let cursor: Option<SearchCursor> = match form.from.as_str() {
        "" => None,
        from => Some(from.parse().map_err(|_| Problem::BadRequest)?),
    };
    let is_here = form.scope == "here";
    let scope = is_here.then_some(current.id);
    let page = match query.is_empty() {
        true => mailbox::SearchPage::default(),
        false => found(&site, query.clone(), scope, cursor).await?,
    };
    let now = site.node.clock.now();
    let place =
        if is_here { format!("in {}", current.title()) } else { "in all folders".to_owned() };
    let is_cut = page.further.is_some() && page.hits.len() < LIST_LEN;
    let is_full = page.further.is_some() && !is_cut;
    let result = match (query.is_empty(), page.hits.len()) {
        (_, count) if is_full => {
            format!("{count} letters on this page, and more may follow, {place}")
        }
        (true, _) => "Type words from a letter, or from whom it is.".to_owned(),
        (_, 0) if is_cut => format!("None yet, {place}"),
        (_, 0) => format!("No letters, {place}"),
        (_, 1) => format!("1 letter, {place}"),
        (_, count) => format!("{count} letters, {place}"),
    };
    let result = match page.reached.filter(|_| is_cut) {
        Some(reached) => format!("{result}, back to {}.", dates::long(reached)),
        None => format!("{}.", result.trim_end_matches('.')),
    };
    let id = current.id.0;
    let older =
        page.further.as_ref().map(|further| address(&form.q, &form.scope, id, Some(further)));
    let search = Search {
        folder: id,
        scope: if is_here { "here" } else { "all" },
        result,
        not_understood: query.not_understood.join(", "),
        other: address(&form.q, if is_here { "all" } else { "here" }, id, None),
        is_cut,
        is_full,
        query: form.q,
        from: form.from,
    };
    let rows = page.hits.into_iter().filter_map(|hit| list::found(hit, &folders, now));
    let sidebar = Sidebar {
        folder: id,
        title: current.title().to_owned(),
        messages: rows.collect(),
        empty_text: "",
        older: older.unwrap_or_default(),
        place: ListPlace::default(),
        by_threads: false,
        heeds_keys: mailbox::heeds_keys(&site.node)?,
        search,
        chooser: Some(Chooser::of_search(&folders)),
        moved: None,
        sent: None,
        waiting: mailbox::queued_blobs(&site.node)?.len(),
        can_be_emptied: false,
        folders: folders.iter().map(|folder| folder_row(folder, 0)).collect(),
    };
    list_page(&site, sidebar, done)
}

/// One page of results. One search at a time opens messages, as one page at a time does: the
/// sender of a message decides how much work it is.
async fn found(
    site: &Site,
    query: SearchQuery,
    folder: Option<FolderId>,
    cursor: Option<SearchCursor>,
) -> Result<mailbox::SearchPage, Problem> {
    let permit = site
        .message_parsing
        .clone()
        .acquire_owned()
        .await
        .map_err(|error| Problem::Internal(error.to_string()))?;
    let node = site.node.clone();
    let work = move || {
        // Held until the work is done, also if the client has disconnected.
        let _permit = permit;
        let limits = SearchLimits::of_a_page(LIST_LEN);
        mailbox::search(&node, &query, folder, cursor.as_ref(), limits)
    };
    Ok(try_blocking(work).await?)
}
