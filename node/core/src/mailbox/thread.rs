//! Threads (THREADID, RFC 8474 5.2): a message belongs to the thread of the messages that it
//! answers, if they have the same base subject (RFC 8621 3).
//!
//! On disk a row under a keyed hash of base subject and Message-ID names the thread of all messages
//! with that id among their own and their references. It counts them, and goes with the last.

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

use super::summary::Summary;
use crate::ids::id16;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{StoreError, Table, Tx};

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
    /// The number of messages with this key.
    #[n(1)]
    count: u32,
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

/// The thread of a message with these keys, a `new` one if there is none, and counts the message.
pub(super) fn join(
    tx: &mut Tx<'_>,
    keys: &[ThreadKey],
    new: ThreadId,
) -> Result<ThreadId, StoreError> {
    let mut thread = None;
    for key in keys {
        if let Some(row) = row::get::<ThreadRow>(tx, &**key)? {
            thread = Some(row.thread);
            break;
        }
    }
    let thread = thread.unwrap_or(new);
    add(tx, keys, thread)?;
    Ok(thread)
}

/// Counts a further message with these keys, for example a copy.
pub(super) fn add(tx: &mut Tx<'_>, keys: &[ThreadKey], thread: ThreadId) -> Result<(), StoreError> {
    for key in keys {
        let row = row::get::<ThreadRow>(tx, &**key)?;
        let mut row = row.unwrap_or(ThreadRow { thread, count: 0 });
        row.count = row.count.saturating_add(1);
        row::put(tx, &**key, &row)?;
    }
    Ok(())
}

/// Subtracts a message with these keys.
pub(super) fn leave(tx: &mut Tx<'_>, keys: &[ThreadKey]) -> Result<(), StoreError> {
    for key in keys {
        let Some(mut row) = row::get::<ThreadRow>(tx, &**key)? else { continue };
        row.count = row.count.saturating_sub(1);
        if row.count == 0 {
            row::delete::<ThreadRow>(tx, &**key);
        } else {
            row::put(tx, &**key, &row)?;
        }
    }
    Ok(())
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
    use crate::blobs::AtRest;
    use crate::mailbox::{
        Delivery, FlagChange, Flags, IdempotencyKey, content, deliver, expunge, folder_named,
        store_flags,
    };
    use crate::store::Scan;
    use crate::testing::TestNode;

    /// Delivers a message with these header fields and returns its thread.
    async fn thread_of(alice: &TestNode, header: &str) -> ThreadId {
        let folder = folder_named(alice, "INBOX").unwrap().unwrap().id;
        let blob = alice.blobs.put(format!("{header}\r\n\r\n").as_bytes(), AtRest::Sealed).unwrap();
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
        let inbox = folder_named(&alice, "INBOX").unwrap().unwrap().id;
        let deleted = FlagChange::Add(Flags::of(Flags::DELETED));
        store_flags(&alice, inbox, &[1, 2, 3, 4, 5, 6, 7], deleted, None).await.unwrap();
        expunge(&alice, inbox, None).await.unwrap();
        let left = alice.store.scan(ThreadRow::TABLE, &Scan::prefix(&[], 10)).unwrap();
        assert!(left.is_empty());
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
