//! Threads (THREADID, RFC 8474 5.2): a message belongs to the thread of the messages that it
//! answers, if they have the same base subject (RFC 8621 3).
//!
//! On disk a row under a keyed hash of base subject and Message-ID names the thread of all messages
//! with that id among their own and their references. It outlives them: an answer to a message that
//! was deleted joins its thread.

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

use super::summary::Summary;
use crate::clock::Timestamp;
use crate::ids::id16;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table, Tx};

/// How long an id is remembered after the last message with it, in milliseconds: two years.
const REMEMBERED: u64 = 2 * 365 * 24 * 3_600_000;
/// The number of rows read at a time.
const PAGE: usize = 500;
/// The most ids of a message by which its thread is found.
const IDS_MAX: usize = 4;
/// Prefixes of answers and forwards in several languages, lower case.
const PREFIXES: [&str; 12] =
    ["re", "fw", "fwd", "aw", "wg", "sv", "vs", "antw", "ant", "tr", "rv", "rif"];

id16! {
    /// The id of a thread.
    ThreadId
}

/// The key of a row: a keyed hash of base subject and Message-ID.
pub(super) type ThreadKey = ByteArray<16>;

#[derive(Encode, Decode)]
#[cbor(map)]
struct ThreadRow {
    #[n(0)]
    thread: ThreadId,
    /// When the last message with this key arrived.
    #[n(1)]
    used: Timestamp,
}

impl Record for ThreadRow {
    const TABLE: Table = Table::new("mailbox_threads");
    const VERSION: u8 = 1;
}

/// The keys of a message: its own id, then those of the messages it answers, the nearest first.
///
/// # Errors
/// When the node is locked.
pub(super) fn keys(node: &Node, summary: &Summary) -> Result<Vec<ThreadKey>, StoreError> {
    let subject = base_subject(&summary.subject);
    let own = summary.message_id.iter();
    let nearest = summary.references.iter().rev().chain(&summary.in_reply_to);
    let mut keys = Vec::new();
    for id in own.chain(nearest) {
        let hash =
            node.keyed("mailbox.thread", &[subject.as_bytes(), b"\0", id.as_bytes()].concat())?;
        let key = ByteArray::from(hash);
        if keys.len() < IDS_MAX && !keys.contains(&key) {
            keys.push(key);
        }
    }
    Ok(keys)
}

/// The thread of a message with these keys that arrives `now`: a `new` one if there is none.
pub(super) fn join(
    tx: &mut Tx<'_>,
    keys: &[ThreadKey],
    new: ThreadId,
    now: Timestamp,
) -> Result<ThreadId, StoreError> {
    let mut known = Vec::with_capacity(keys.len());
    for key in keys {
        known.push(row::get::<ThreadRow>(tx, &**key)?.map(|row| row.thread));
    }
    let thread = known.iter().flatten().next().copied().unwrap_or(new);
    for (key, known) in keys.iter().zip(known) {
        row::put(tx, &**key, &ThreadRow { thread: known.unwrap_or(thread), used: now })?;
    }
    Ok(thread)
}

/// Forgets ids that no message had for two years, and returns their number.
///
/// # Errors
/// When a row is damaged or the store refuses.
pub async fn forget_old_threads(node: &Node) -> Result<usize, StoreError> {
    let (mut forgotten, mut last) = (0, Vec::new());
    loop {
        let found = row::scan::<ThreadRow>(&node.store, &Scan::prefix(&[], PAGE).after(&last))?;
        let Some((end, _)) = found.last() else { return Ok(forgotten) };
        last.clone_from(end);
        let now = node.clock.now();
        let is_old = |row: &ThreadRow| row.used.plus_millis(REMEMBERED) < now;
        let old: Vec<Vec<u8>> =
            found.into_iter().filter(|(_, row)| is_old(row)).map(|(key, _)| key).collect();
        if old.is_empty() {
            continue;
        }
        forgotten += old.len();
        let delete = move |tx: &mut Tx<'_>| {
            for key in &old {
                // A message may have come since.
                let row = row::get::<ThreadRow>(tx, key)?;
                if row.is_some_and(|row| row.used.plus_millis(REMEMBERED) < now) {
                    row::delete::<ThreadRow>(tx, key);
                }
            }
            Ok::<_, StoreError>(())
        };
        node.store.commit(delete).await?;
    }
}

/// The base subject (RFC 5256 2.1): without prefixes of answers and forwards, tags of lists in
/// brackets, and `(fwd)` at the end; in lower case, words separated by one space.
fn base_subject(subject: &str) -> String {
    let folded = subject.to_lowercase();
    let mut rest = folded.trim();
    loop {
        let before = rest;
        rest = rest.strip_suffix("(fwd)").unwrap_or(rest).trim_end();
        if let Some((tag, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'))
            && !tag.contains('[')
            && !after.trim().is_empty()
        {
            rest = after.trim_start();
        }
        if let Some((prefix, after)) = rest.split_once(':') {
            let word = prefix.split(['[', '(']).next().unwrap_or(prefix);
            let word = word.trim().trim_end_matches(|c: char| c.is_ascii_digit() || c == '^');
            if PREFIXES.contains(&word) {
                rest = after.trim_start();
            }
        }
        if rest == before {
            return rest.split_whitespace().collect::<Vec<_>>().join(" ");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::{Delivery, Flags, IdempotencyKey, content, deliver, folder_named};
    use crate::testing::TestNode;

    /// Delivers a message with these header fields and returns its thread.
    async fn thread_of(alice: &TestNode, header: &str) -> ThreadId {
        let folder = folder_named(alice, "INBOX").unwrap().unwrap().id;
        let blob = alice.blobs.put(format!("{header}\r\n\r\n").as_bytes()).unwrap();
        let (id, internal_date) = (IdempotencyKey::new(alice), alice.clock.now());
        let delivery = Delivery { folder, blob, id, internal_date, flags: Flags::default() };
        let message = deliver(alice, delivery).await.unwrap();
        content(alice, &message).unwrap().unwrap().thread.unwrap()
    }

    #[tokio::test]
    async fn answers_join_the_thread_of_their_references() {
        let alice = TestNode::new("alice").await;
        let first = thread_of(&alice, "Message-ID: <1@x>\r\nSubject: The plan").await;
        let answer = "Message-ID: <2@x>\r\nSubject: Re: The plan\r\nIn-Reply-To: <1@x>";
        assert_eq!(thread_of(&alice, answer).await, first);
        // The message between them never arrived.
        let later = "Message-ID: <4@x>\r\nSubject: AW: the plan\r\nReferences: <1@x> <2@x> <3@x>";
        assert_eq!(thread_of(&alice, later).await, first);
        let missing = "Message-ID: <3@x>\r\nSubject: Re: the plan";
        assert_eq!(thread_of(&alice, missing).await, first);
        // Another subject begins another thread, and so does a message without ids.
        let other = "Message-ID: <5@x>\r\nSubject: Lunch\r\nIn-Reply-To: <1@x>";
        assert_ne!(thread_of(&alice, other).await, first);
        let (one, two) =
            (thread_of(&alice, "Subject: x").await, thread_of(&alice, "Subject: x").await);
        assert_ne!(one, two);
        assert_eq!(forget_old_threads(&alice).await.unwrap(), 0);
        alice.clock.advance(REMEMBERED);
        assert_eq!(thread_of(&alice, answer).await, first);
        alice.clock.advance(1);
        // The ids of the answer were used since.
        assert_eq!(forget_old_threads(&alice).await.unwrap(), 4);
        assert_eq!(thread_of(&alice, answer).await, first);
        alice.clock.advance(REMEMBERED + 1);
        assert_eq!(forget_old_threads(&alice).await.unwrap(), 2);
        assert_ne!(thread_of(&alice, answer).await, first);
    }

    #[test]
    fn base_subject_has_no_prefixes() {
        for subject in [
            "the plan",
            "Re: The  plan",
            "RE: Fwd: [list] the plan",
            "[list] Re[2]: the plan (fwd)",
            "AW: Re^3: the plan",
            "Re: Re: re: the plan",
        ] {
            assert_eq!(base_subject(subject), "the plan", "{subject}");
        }
        assert_eq!(base_subject("[list]"), "[list]");
        assert_eq!(base_subject("Report: the plan"), "report: the plan");
        assert_eq!(base_subject(&"re:".repeat(100_000)), "");
    }
}
