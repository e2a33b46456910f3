//! The index gives what a walk over all messages gives, at every step of its building.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

mod hostile;
mod power;
mod removal;

use freehold_mime::search::fold;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;
use crate::mailbox::{
    APPENDED_TOGETHER_MAX, Delivery, Flags, IdempotencyKey, append_all, folder_named, messages,
};
use crate::node::Node;
use crate::store::Scan;
use crate::testing::TestNode;

/// Does all work of the index.
pub(super) async fn index_all(node: &Node) {
    let mut indexer = TextIndexer::default();
    while indexer.step(node).await.unwrap() {}
}

pub(super) fn inbox(node: &Node) -> FolderId {
    folder_named(node, "INBOX").unwrap().unwrap().id
}

/// Stores messages in a folder.
pub(super) async fn store(node: &Node, folder: FolderId, texts: &[Vec<u8>]) {
    for together in texts.chunks(APPENDED_TOGETHER_MAX) {
        let delivery = |text: &Vec<u8>| Delivery {
            folder,
            blob: node.blobs.put(text).unwrap(),
            id: IdempotencyKey::new(node),
            internal_date: node.clock.now(),
            flags: Flags::default(),
        };
        append_all(node, folder, together.iter().map(delivery).collect()).await.unwrap();
    }
}

/// A plain message.
pub(super) fn plain(text: &str) -> Vec<u8> {
    format!("Subject: s\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n").into_bytes()
}

/// The folded texts of a folder's messages: UID, body, header.
pub(super) struct Texts(Vec<(u32, String, String)>);

impl Texts {
    pub(super) fn of(node: &Node, folder: FolderId) -> Self {
        let read = |message: &crate::mailbox::Message| {
            let bytes = crate::mailbox::body(node, message).unwrap().read_all(1 << 30).unwrap();
            let header = fold(&freehold_mime::search::header(content::header(&bytes)));
            (message.uid, body_text(node, message).unwrap(), header)
        };
        let all = messages(node, folder, 1, u32::MAX, usize::MAX >> 1).unwrap();
        Self(all.iter().map(read).collect())
    }

    /// The UIDs that SEARCH BODY or TEXT finds by a walk.
    fn walk(&self, searched: Searched, term: &str) -> Vec<u32> {
        let term = fold(term);
        let contains = |(_, body, header): &&(u32, String, String)| {
            body.contains(&term) || searched == Searched::Whole && header.contains(&term)
        };
        self.0.iter().filter(contains).map(|(uid, ..)| *uid).collect()
    }

    /// The number of candidates, among which are all messages that a walk finds; the certain ones
    /// are found by it.
    pub(super) fn check(
        &self,
        node: &Node,
        folder: FolderId,
        searched: Searched,
        term: &str,
    ) -> usize {
        let found = text_candidates(node, folder, searched, &[term]).unwrap();
        let walked = self.walk(searched, term);
        for uid in &walked {
            assert!(found.contains(*uid), "{term:?} is in message {uid}, which is no candidate");
        }
        for (uid, ..) in self.0.iter().filter(|(uid, ..)| found.is_certain(*uid)) {
            assert!(walked.contains(uid), "{term:?} is not in message {uid}");
        }
        self.0.iter().filter(|(uid, ..)| found.contains(*uid)).count()
    }
}

/// As [`Texts::check`].
pub(super) fn candidates(node: &Node, folder: FolderId, searched: Searched, term: &str) -> usize {
    Texts::of(node, folder).check(node, folder, searched, term)
}

pub(super) fn rows_of<T: Record>(node: &Node) -> usize {
    node.store.keys(T::TABLE, &Scan::prefix(&[], usize::MAX >> 1)).unwrap().len()
}

const WORDS: [&str; 24] = [
    "meeting",
    "invoice",
    "Straße",
    "GRÜSSE",
    "naïve",
    "ΣΊΣΥΦΟΣ",
    "привет",
    "мир",
    "日本語",
    "東京",
    "한국어",
    "中文信件",
    "שלום",
    "مرحبا",
    "हिन्दी",
    "ไทย",
    "x-ray",
    "3.14",
    "a@b.example",
    "İstanbul",
    "e\u{301}te\u{301}",
    "ﬁne",
    "100%",
    "foo_bar",
];

/// A message with words of many scripts in one of many charsets and encodings.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::collection::vec(select(&WORDS[..]), 0..12);
    let separators = select(vec![" ", ", ", "\r\n", "-", ""]);
    let form =
        select(vec!["plain", "html", "quoted", "base64", "latin1", "mixed", "flowed", "raw"]);
    (words, separators, form, ".{0,12}").prop_map(|(words, separator, form, noise)| {
        let text = format!("{}{noise}", words.join(separator));
        let head = |kind: &str, encoding: &str| {
            format!(
                "Subject: =?utf-8?q?caf=C3=A9?= {noise}\r\nX-Word: {}\r\n\
                 Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n",
                words.first().copied().unwrap_or_default()
            )
        };
        let base64 = data_encoding::BASE64_MIME.encode(text.as_bytes());
        let quoted: String = text.bytes().map(|byte| format!("={byte:02X}")).collect();
        let quoted = quoted.as_bytes().chunks(60).map(String::from_utf8_lossy);
        let quoted = quoted.collect::<Vec<_>>().join("=\r\n");
        match form {
            "plain" => (head("text/plain; charset=utf-8", "8bit") + &text).into_bytes(),
            "html" => {
                let html = format!("<p>{}</p><b>{noise}</b>", words.join("</p><p>x<i>y</i>"));
                (head("text/html; charset=utf-8", "8bit") + &html).into_bytes()
            }
            "quoted" => (head("text/plain; charset=utf-8", "quoted-printable") + &quoted).into(),
            "base64" => (head("text/plain; charset=utf-8", "base64") + &base64).into(),
            "latin1" => {
                let latin = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'));
                let head = head("text/plain; charset=iso-8859-1", "8bit");
                head.into_bytes().into_iter().chain(latin).collect()
            }
            "mixed" => {
                let head = head("multipart/mixed; boundary=b", "8bit");
                format!(
                    "{head}--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n--b\r\n\
                     Content-Type: message/rfc822\r\n\r\nSubject: {noise} inner\r\n\r\n{noise}\r\n\
                     --b\r\nContent-Disposition: attachment; filename=\"{noise}.pdf\"\r\n\
                     Content-Type: application/pdf\r\n\r\nhidden\r\n--b--\r\n"
                )
                .into_bytes()
            }
            "flowed" => {
                (head("text/plain; charset=utf-8; format=flowed", "8bit") + &text).into_bytes()
            }
            _ => text.into_bytes(),
        }
    })
}

fn generated(count: usize) -> Vec<Vec<u8>> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(|_| message().new_tree(&mut runner).unwrap().current()).collect()
}

/// Terms that are in some messages: words, pieces of words, pieces across words.
fn terms(texts: &Texts) -> Vec<String> {
    let mut terms: Vec<String> = WORDS.iter().map(|word| (*word).to_owned()).collect();
    let others = ["eet", "caf\u{e9}", "subject", "本", "рив", "--", "g,", "zzzzz", ""];
    terms.extend(others.map(String::from));
    for (_, body, _) in texts.0.iter().step_by(9) {
        let text: Vec<char> = body.chars().collect();
        for (from, len) in [(0, 4), (2, 9), (text.len() / 2, 6), (text.len() / 3, 3)] {
            terms.push(text.iter().skip(from).take(len).collect());
        }
    }
    terms
}

fn check_terms(node: &Node, folder: FolderId) {
    let texts = Texts::of(node, folder);
    for term in terms(&texts) {
        texts.check(node, folder, Searched::Body, &term);
        texts.check(node, folder, Searched::Whole, &term);
    }
}

#[tokio::test]
async fn index_misses_no_message_at_any_step() {
    let alice = TestNode::new("alice").await;
    let inbox = inbox(&alice);
    let texts = generated(160);
    store(&alice, inbox, &texts[..40]).await;
    check_terms(&alice, inbox);
    index_all(&alice).await;
    assert_eq!(rows_of::<RunRow>(&alice), 1);
    check_terms(&alice, inbox);
    // Not indexed yet: they are candidates.
    store(&alice, inbox, &texts[40..70]).await;
    check_terms(&alice, inbox);
    assert!(candidates(&alice, inbox, Searched::Body, "zzzzzz") >= 30);
    index_all(&alice).await;
    assert_eq!(rows_of::<RunRow>(&alice), 2);
    check_terms(&alice, inbox);
    store(&alice, inbox, &texts[70..]).await;
    index_all(&alice).await;
    assert_eq!(rows_of::<RunRow>(&alice), 3);
    check_terms(&alice, inbox);
    assert_eq!(candidates(&alice, inbox, Searched::Body, "zzzzzz"), 0);
}

/// The UIDs, of 1 to `end`, of messages that certainly have a term in their body.
fn certain(node: &Node, folder: FolderId, term: &str, end: u32) -> usize {
    let found = text_candidates(node, folder, Searched::Body, &[term]).unwrap();
    (1..=end).filter(|uid| found.is_certain(*uid)).count()
}

#[tokio::test]
async fn small_runs_are_joined() {
    let alice = TestNode::new("alice").await;
    let inbox = inbox(&alice);
    let mut indexer = TextIndexer::default();
    for round in 0..40 {
        let text = |n: usize| plain(&format!("letter number{} of round{round}", n + round * 100));
        let texts: Vec<Vec<u8>> = (0..20).map(text).collect();
        store(&alice, inbox, &texts).await;
        while indexer.step(&alice).await.unwrap() {}
    }
    // Two of 320 messages and eight of 20.
    assert_eq!((rows_of::<RunRow>(&alice), rows_of::<DroppedRow>(&alice)), (10, 0));
    assert_eq!(candidates(&alice, inbox, Searched::Body, "number1007"), 1);
    assert_eq!(candidates(&alice, inbox, Searched::Body, "round16"), 20);
    let both = text_candidates(&alice, inbox, Searched::Body, &["number1007", "round10"]).unwrap();
    assert_eq!((both.excluded_len(), both.is_certain(208)), (799, true));
    let certain = |term: &str| certain(&alice, inbox, term, 800);
    assert_eq!([certain("Letter"), certain("round16"), certain("ette")], [800, 20, 800]);
    assert_eq!([certain("letter number"), certain("umber39")], [0, 20]);
}

#[tokio::test]
async fn piece_of_a_word_is_certain_in_any_script() {
    let alice = TestNode::new("alice").await;
    let inbox = inbox(&alice);
    let texts = generated(300);
    store(&alice, inbox, &texts).await;
    index_all(&alice).await;
    let texts = Texts::of(&alice, inbox);
    let pieces =
        ["eet", "SSE", "ïv", "ΊΣΥΦ", "риве", "м", "日本", "語", "한국", "信件", "ש", "رح", "0"];
    for term in pieces {
        let walked = texts.walk(Searched::Body, term).len();
        assert_eq!(texts.check(&alice, inbox, Searched::Body, term), walked, "{term}");
        assert_eq!(certain(&alice, inbox, term, 300), walked, "{term}");
        assert!(walked < 300 && (walked > 5 || term == "0"), "{term} is in {walked}");
    }
}

#[tokio::test]
async fn rows_of_the_earlier_index_are_deleted() {
    let alice = TestNode::new("alice").await;
    let inbox = inbox(&alice);
    store(&alice, inbox, &[plain("some words")]).await;
    let old = Table::new("mailbox_text_postings");
    for from in [0, 400] {
        let fill = move |tx: &mut crate::store::Tx<'_>| {
            (from..from + 400u32).try_for_each(|n| tx.put(old, &n.to_be_bytes(), &[1, 0x40]))
        };
        alice.store.commit(fill).await.unwrap();
    }
    index_all(&alice).await;
    assert!(alice.store.keys(old, &Scan::prefix(&[], 1)).unwrap().is_empty());
    assert_eq!(candidates(&alice, inbox, Searched::Body, "absent"), 0);
}

#[tokio::test]
async fn damaged_index_row_excludes_no_message() {
    let alice = TestNode::new("alice").await;
    let inbox = inbox(&alice);
    store(&alice, inbox, &vec![plain("some words"); 70]).await;
    index_all(&alice).await;
    assert_eq!(candidates(&alice, inbox, Searched::Body, "absent"), 0);
    let key = alice.store.keys(PostingRow::TABLE, &Scan::prefix(&[], 1)).unwrap().pop().unwrap();
    let damage = move |tx: &mut crate::store::Tx<'_>| tx.put(PostingRow::TABLE, &key, &[9]);
    alice.store.commit(damage).await.unwrap();
    assert_eq!(candidates(&alice, inbox, Searched::Body, "some"), 70);
}
