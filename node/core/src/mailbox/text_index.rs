//! The index of texts: which messages of a folder can contain a term. SEARCH BODY and TEXT (RFC
//! 3501 6.4.4) read only these.
//!
//! IMAP finds a term anywhere, inside words too, in any script. So a list of words that is asked
//! for whole words is not enough, and an index of short pieces (grams) of the texts answers a piece
//! of a frequent word with nearly all messages, each of which has to be read then. This index has
//! the words of each message (`tokens`): a term without spaces and punctuation is in a message if,
//! and only if, one of its words contains it, so no text is read. All words are looked through for
//! each term; this is fast, because they are short beside the texts and are kept together.
//!
//! Up to 1,024 messages are a *run* (`run`). Most of its words are in several messages; each of
//! these is once in the run, with the list of its messages. A word that one message has, as numbers
//! and ids are, is among the words of that message (`rare`). There are many of these, so for
//! each of their *grams* (`grams`), three letters in a row by a keyed hash, the run says which of
//! its rows have it, and a search reads these rows. A run of 1,024 messages of 2.5 KB has some 185
//! rows; a search reads between 30 and all of them.
//!
//! Where the index is not certain, it gives *candidates*, whose texts are read and compared: for a
//! term of several words, the messages that have all of them, at the ends that the term says; for
//! SEARCH TEXT, the messages whose header has the grams of the term, because headers are full of
//! ids; and a message with more than 256 KiB of words, always. A term without a letter or digit has
//! all messages as candidates.
//!
//! A background task ([`TextIndexer`]) reads messages that are new and writes them as a run, be it
//! of one message. Small runs are joined, sixteen at a time. Rows are sealed like all rows. Keys
//! show folders, UIDs and sizes, and no words.
//!
//! The only evidence that excludes a message is its UID in a run. UIDs are never used again. So a
//! message that is not indexed yet, or whose rows are being replaced or damaged, is a candidate; a
//! crash between any two commits costs time and no message. Delivery, COPY, MOVE and import write
//! nothing here. Expunged and moved messages are recorded in their commit, and within an hour their
//! runs are written anew without them and their words (`forget`), before the log and the snapshots
//! are erased ([`crate::erasure`]).

use minicbor::{Decode, Encode};

use super::folders::FolderId;
use super::page;
use crate::row::{self, Record, Rows};
use crate::store::{StoreError, Table};

mod bits;
mod candidates;
mod check;
mod content;
mod forget;
mod grams;
mod indexer;
mod lists;
mod matching;
mod old;
mod places;
mod rare;
mod run;
mod tokens;

pub use candidates::{Searched, TextCandidates, body_text, text_candidates};
pub(super) use check::check;
pub(super) use forget::{RemovedRow, record_removed};
pub use indexer::TextIndexer;
pub(super) use run::{DroppedRow, RunRow};

/// Under `folder ‖ id of a run ‖ number`: words, and lists of their messages.
#[derive(Encode, Decode)]
#[cbor(transparent)]
pub(super) struct PostingRow(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>);

impl Record for PostingRow {
    const TABLE: Table = Table::new("mailbox_word_postings");
    const VERSION: u8 = 1;
}

/// Under the folder: how far it is indexed.
#[derive(Clone, Copy, Default, Encode, Decode)]
#[cbor(map)]
pub(super) struct IndexedRow {
    /// Messages up to this UID were read.
    #[n(0)]
    last: u32,
    /// Some after it may be indexed: a run was dropped, and its messages are read again.
    #[n(1)]
    #[cbor(default)]
    has_gaps: bool,
}

impl Record for IndexedRow {
    const TABLE: Table = Table::new("mailbox_word_indexed");
    const VERSION: u8 = 1;
}

/// How far a folder is indexed.
fn indexed(rows: &impl Rows, folder: FolderId) -> Result<IndexedRow, StoreError> {
    Ok(row::get::<IndexedRow>(rows, &folder.key())?.unwrap_or_default())
}

/// Those of `uids`, which ascend, that are in the folder.
fn present(rows: &impl Rows, folder: FolderId, uids: &[u32]) -> Result<Vec<u32>, StoreError> {
    let (Some(first), Some(last)) = (uids.first(), uids.last()) else { return Ok(Vec::new()) };
    let mut found = Vec::with_capacity(uids.len());
    page::walk(rows, folder, *first, |page| {
        let of_page = page.entries.iter().map(|entry| entry.uid);
        found.extend(of_page.filter(|uid| uids.binary_search(uid).is_ok()));
        page.first <= *last
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests;
