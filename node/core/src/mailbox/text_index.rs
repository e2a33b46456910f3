//! The index of texts: which messages of a folder can contain a term. SEARCH BODY and TEXT (RFC
//! 3501 6.4.4) read only these.
//!
//! IMAP finds a term anywhere, inside words too, in any script. So the index has no words. It has
//! *grams* (`grams`), three letters or digits in a row, each as one of some 20,000 buckets by a
//! hash that is keyed with the node's key. A message that lacks a bucket of the term does not
//! contain the term. The others are *candidates*: their texts are read and compared, so an answer
//! never depends on the hash. A term without grams (two letters, punctuation) has all messages as
//! candidates. Grams were measured against words: a list of words has to be looked through for
//! every term, and each message adds numbers, addresses and ids to it. A gram of an English letter
//! of 2,500 characters takes 4 bits, all of them a tenth of its length.
//!
//! Many messages may have a frequent word. So runs also have the frequent words, by a hash that is
//! long enough to be certain (`words`): of these messages no text is read.
//!
//! A background task ([`TextIndexer`]) reads messages that are new. On disk a new message has a row
//! with its *signature*, the set of its buckets. Sixty-four signatures become a *run*, and runs are
//! joined up to 1,024 messages (`run`): for each bucket the messages that have it. A term of six
//! letters then needs four rows of each run, some 400 for 100,000 messages. Messages that are found
//! in great number, as after an import, go into runs of 1,024 at once.
//!
//! The only evidence that excludes a message is its UID in a signature or run. UIDs are never used
//! again. So a message that is not indexed yet, or whose rows are being replaced or damaged, is a
//! candidate; a crash between any two commits costs time and no message. Delivery, COPY, MOVE and
//! import write nothing here. Expunged and moved messages are recorded in their commit, and within
//! an hour their runs are written anew without them (`forget`), before the log and the snapshots
//! are erased ([`crate::erasure`]).
//!
//! Rows are sealed like all rows. Keys show folders, UIDs and sizes, and no buckets.

use minicbor::{Decode, Encode};

use self::grams::Signature;
use self::run::Signed;
use self::words::Word;
use super::folders::FolderId;
use super::page;
use crate::row::{self, Record, Rows};
use crate::store::{StoreError, Table};

mod bits;
mod candidates;
mod check;
mod forget;
mod grams;
mod indexer;
mod run;
mod words;

pub use candidates::{Searched, TextCandidates, body_text, text_candidates};
pub(super) use check::check;
pub(super) use forget::{RemovedRow, record_removed};
pub use indexer::TextIndexer;
pub(super) use run::{DroppedRow, RunRow};

/// Under `folder ‖ UID`: a message that is in no run yet.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct SignatureRow {
    /// Its buckets.
    #[cbor(n(0), with = "minicbor::bytes")]
    signature: Vec<u8>,
    /// Some of its words, eight bytes each.
    #[cbor(n(1), with = "minicbor::bytes")]
    words: Vec<u8>,
}

impl Record for SignatureRow {
    const TABLE: Table = Table::new("mailbox_text_signatures");
    const VERSION: u8 = 1;
}

/// Under `folder ‖ id of a run ‖ number`: postings.
#[derive(Encode, Decode)]
#[cbor(transparent)]
pub(super) struct PostingRow(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>);

impl Record for PostingRow {
    const TABLE: Table = Table::new("mailbox_text_postings");
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
    const TABLE: Table = Table::new("mailbox_text_indexed");
    const VERSION: u8 = 1;
}

/// The longest words of a signature's row, in bytes: the row is at most 4 KiB.
const ROW_WORDS_LEN_MAX: usize = 4000;

impl SignatureRow {
    fn new(signed: &Signed) -> Self {
        let signature = signed.signature.encode();
        let room = ROW_WORDS_LEN_MAX.saturating_sub(signature.len()) / 8;
        let words = signed.words.iter().take(room).flat_map(|word| word.to_be_bytes()).collect();
        Self { signature, words }
    }

    fn words(&self) -> impl Iterator<Item = Word> {
        self.words.as_chunks::<8>().0.iter().map(|word| Word::from_be_bytes(*word))
    }

    fn signed(&self, key: &[u8]) -> Signed {
        let signature = Signature::decode(&self.signature);
        Signed { uid: uid_of(key), signature, words: self.words().collect() }
    }
}

fn signature_key(folder: FolderId, uid: u32) -> Vec<u8> {
    row::key(&[&folder.key(), &uid.to_be_bytes()])
}

fn uid_of(key: &[u8]) -> u32 {
    u32::from_be_bytes(row::key_part(key, 4))
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
