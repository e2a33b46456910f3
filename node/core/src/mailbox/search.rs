//! Searching the mailbox for a person: newest messages first, over one folder or all of them, with
//! bounded work for each page of results.
//!
//! The folders are walked together from their ends, page by page of the index; of the messages at
//! their heads the one that arrived last is examined next. For words that no field has the index of
//! texts ([`text_index`](super::text_index)) says which bodies can have them; only where it is not
//! certain, or not there yet, the body is read ([`body::message_has_words`]). When the results fill
//! a page, or the work of one request is done, the walk stops and says where it goes on.

mod body;
mod cursor;
mod query;

use std::collections::BTreeMap;

use freehold_mime::search::fold;

use self::body::{BodyBudget, message_has_words};
pub use self::cursor::SearchCursor;
use self::query::Texts;
pub use self::query::{SearchQuery, TERMS_MAX};
use super::Flags;
use super::columns::{self, Values};
use super::details::{self, Column};
use super::folders::{Folder, FolderId, load_all};
use super::page::{self, Entry};
use super::read::{self, Message};
use super::summary::{Correspondent, Summary};
use super::text_index::{Searched, TextCandidates, text_candidates};
use crate::clock::Timestamp;
use crate::node::Node;
use crate::store::StoreError;

/// The most work and results of one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchLimits {
    /// Results.
    pub hits: usize,
    /// Pages of the index, of up to 64 messages each.
    pub pages: usize,
    /// Messages whose body is read, because the index of texts does not know it.
    pub bodies: usize,
    /// Bytes of those messages.
    pub body_bytes: u64,
    /// A longer message is searched by its header alone, in bytes.
    pub message_len_max: u64,
}

impl SearchLimits {
    /// Some tenths of a second on a small machine: 25,600 messages by the index, 200 by their
    /// bodies.
    pub fn of_a_page(hits: usize) -> Self {
        Self {
            hits,
            pages: 400,
            bodies: 200,
            body_bytes: 16 * 1024 * 1024,
            message_len_max: 8 * 1024 * 1024,
        }
    }
}

/// A message that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchHit {
    /// The message.
    pub message: Message,
    /// Its summary.
    pub summary: Summary,
}

/// A page of results.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchPage {
    /// The newest first.
    pub hits: Vec<SearchHit>,
    /// Where the search goes on; `None` if all was searched.
    pub further: Option<SearchCursor>,
    /// The arrival of the oldest message that was examined.
    pub reached: Option<Timestamp>,
}

/// Searches `folder`, or all folders for `None`; goes on at `cursor`. Blocks: call it in
/// [`crate::blocking`].
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn search(
    node: &Node,
    query: &SearchQuery,
    folder: Option<FolderId>,
    cursor: Option<&SearchCursor>,
    limits: SearchLimits,
) -> Result<SearchPage, StoreError> {
    let mut walks = Vec::new();
    for found in load_all(&node.store)? {
        let is_searched = folder.is_none_or(|id| id == found.id) && found.is_paged;
        let before = match cursor {
            None => Some(u32::MAX),
            Some(cursor) => {
                cursor.0.iter().find(|(id, _)| *id == found.id).map(|(_, before)| *before)
            }
        };
        if let Some(before) = before.filter(|_| is_searched) {
            walks.push(Walk::new(node, found, before));
        }
    }
    let mut bodies = BodyBudget {
        messages: limits.bodies,
        bytes: limits.body_bytes,
        message_len_max: limits.message_len_max,
    };
    // A walk over many folders reads the last page of each.
    let mut pages = limits.pages.saturating_add(walks.len());
    let mut found = SearchPage::default();
    loop {
        let mut next: Option<(usize, Message)> = None;
        for (at, walk) in walks.iter_mut().enumerate() {
            walk.fill(&mut pages)?;
            let Some(head) = walk.entries.last() else { continue };
            if next.as_ref().is_none_or(|(_, best)| best.internal_date < head.internal_date) {
                next = Some((at, head.message(walk.folder.id, &walk.folder.keywords)));
            }
        }
        // A walk whose next page was not read might have the newest message.
        let is_stopped = walks.iter().any(Walk::is_unread);
        let Some((at, message)) = next.filter(|_| !is_stopped) else { break };
        let Some(walk) = walks.get_mut(at) else { break };
        if found.hits.len() >= limits.hits {
            break;
        }
        let arrived = message.internal_date;
        match walk.examine(query, message, &mut bodies)? {
            Examined::Hit(hit) => found.hits.push(*hit),
            Examined::Miss => {}
            Examined::Unknown => break,
        }
        walk.entries.pop();
        found.reached = Some(arrived);
    }
    let left: Vec<_> = walks.iter().filter_map(Walk::rest).collect();
    found.further = (!left.is_empty()).then_some(SearchCursor(left));
    Ok(found)
}

enum Examined {
    Hit(Box<SearchHit>),
    Miss,
    /// The budget for bodies is used up.
    Unknown,
}

/// The walk over one folder, from its end.
struct Walk<'a> {
    node: &'a Node,
    folder: Folder,
    /// The entries of the current page that were not examined, in the order of UIDs.
    entries: Vec<Entry>,
    /// The searched texts of the current page.
    texts: Option<Values>,
    /// The summaries of the current page.
    summaries: Option<Values>,
    /// For each word that was looked for in bodies the messages of the folder that can have it.
    candidates: BTreeMap<String, TextCandidates>,
    /// The last UID that the pages before the current one may hold; `None` at the beginning.
    until: Option<u32>,
}

impl<'a> Walk<'a> {
    fn new(node: &'a Node, folder: Folder, before: u32) -> Self {
        let until = before.checked_sub(1);
        Self {
            node,
            folder,
            entries: Vec::new(),
            texts: None,
            summaries: None,
            candidates: BTreeMap::new(),
            until,
        }
    }

    /// Reads the page of the newest message that was not examined, if `pages` is not used up.
    fn fill(&mut self, pages: &mut usize) -> Result<(), StoreError> {
        while let Some(until) = self.until.filter(|_| self.entries.is_empty() && *pages > 0) {
            *pages = pages.saturating_sub(1);
            (self.texts, self.summaries) = (None, None);
            self.until = None;
            if let Some(page) = page::holding(&self.node.store, self.folder.id, until)? {
                self.until = page.first.checked_sub(1);
                self.entries = page.entries;
                self.entries.retain(|entry| entry.uid <= until);
            }
        }
        Ok(())
    }

    /// Whether its newest message is in a page that was not read.
    fn is_unread(&self) -> bool {
        self.entries.is_empty() && self.until.is_some()
    }

    /// Where it goes on; `None` at its end.
    fn rest(&self) -> Option<(FolderId, u32)> {
        let last = self.entries.last().map(|entry| entry.uid).or(self.until)?;
        Some((self.folder.id, last.saturating_add(1)))
    }

    /// A column of the messages of the current page that were not examined.
    fn column(&self, column: Column) -> Result<Values, StoreError> {
        let first = self.entries.first().map_or(0, |entry| entry.uid);
        let last = self.entries.last().map_or(0, |entry| entry.uid);
        columns::values(self.node, self.folder.id, column, first, last)
    }

    fn summary(&mut self, uid: u32) -> Result<Summary, StoreError> {
        let summaries = match self.summaries.take() {
            Some(values) => values,
            None => self.column(Column::Summary)?,
        };
        let summaries = self.summaries.insert(summaries);
        read::summary_of(&self.node.store, summaries, self.folder.id, uid)
    }

    fn fields(&mut self, uid: u32) -> Result<Fields, StoreError> {
        let texts = match self.texts.take() {
            Some(values) => values,
            None => self.column(Column::Search)?,
        };
        match self.texts.insert(texts).get(uid).and_then(Fields::of_searched) {
            Some(fields) => Ok(fields),
            None => Ok(Fields::of_summary(&self.summary(uid)?)),
        }
    }

    /// Those of `words` that only the body of a message can tell of; `None` if the index excludes
    /// one of them.
    fn uncertain_words<'w>(
        &mut self,
        uid: u32,
        words: &[&'w str],
    ) -> Result<Option<Vec<&'w str>>, StoreError> {
        let mut uncertain = Vec::new();
        for word in words {
            let candidates = match self.candidates.get(*word) {
                Some(known) => known,
                None => {
                    let read = text_candidates(self.node, self.folder.id, Searched::Body, &[word])?;
                    self.candidates.entry((*word).to_owned()).or_insert(read)
                }
            };
            if !candidates.contains(uid) {
                return Ok(None);
            }
            if !candidates.is_certain(uid) {
                uncertain.push(*word);
            }
        }
        Ok(Some(uncertain))
    }

    fn examine(
        &mut self,
        query: &SearchQuery,
        message: Message,
        bodies: &mut BodyBudget,
    ) -> Result<Examined, StoreError> {
        if !query.fits_state(&message) {
            return Ok(Examined::Miss);
        }
        if query.has_file && !self.summary(message.uid)?.has_files {
            return Ok(Examined::Miss);
        }
        let fields = self.fields(message.uid)?;
        if !query.fits_fields(&fields.texts()) {
            return Ok(Examined::Miss);
        }
        let missing = query.missing_words(&fields.texts());
        let is_found = match missing.as_slice() {
            [] => Some(true),
            words => match self.uncertain_words(message.uid, words)? {
                None => Some(false),
                Some(words) if words.is_empty() => Some(true),
                Some(words) => message_has_words(self.node, &message, &words, bodies)?,
            },
        };
        Ok(match is_found {
            Some(true) => {
                let summary = self.summary(message.uid)?;
                Examined::Hit(Box::new(SearchHit { message, summary }))
            }
            Some(false) => Examined::Miss,
            None => Examined::Unknown,
        })
    }
}

/// The folded address fields and subject of a message.
struct Fields {
    from: String,
    to: String,
    subject: String,
}

impl Fields {
    /// From a value of [`Column::Search`]. `None` if it is not one.
    fn of_searched(value: &[u8]) -> Option<Self> {
        let field = |name: &str| details::searched(value, name);
        Some(Self {
            from: field("from")?.to_owned(),
            to: [field("to")?, field("cc")?, field("bcc")?].join("\n"),
            subject: field("subject")?.to_owned(),
        })
    }

    /// For a message whose texts were too long to be stored, or were not read yet.
    fn of_summary(summary: &Summary) -> Self {
        let people = |people: &[Correspondent]| {
            let texts = people.iter().map(|person| format!("{} {}", person.name, person.address));
            fold(&texts.collect::<Vec<_>>().join("\n"))
        };
        Self {
            from: people(std::slice::from_ref(&summary.from)),
            to: people(&summary.to),
            subject: fold(&summary.subject),
        }
    }

    fn texts(&self) -> Texts<'_> {
        Texts { from: &self.from, to: &self.to, subject: &self.subject }
    }
}

#[cfg(test)]
mod tests;
