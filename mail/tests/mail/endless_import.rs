//! Imports from servers that announce too much, or never come to an end.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use freehold_core::node::Node;
use freehold_core::testing::TestNode;
use freehold_mail::imap_import::import_paced;

use crate::imap_import::{INBOX, examined, fetch, import, listener, play};

#[tokio::test]
async fn messages_without_number_end_the_folder() {
    let (listener, account) = listener().await;
    let list = format!("{INBOX}* LIST () \"/\" Work\r\n");
    let steps = vec![
        ("LIST", list),
        ("STATUS", "* STATUS INBOX (MESSAGES 0)\r\n".to_owned()),
        ("EXAMINE \"INBOX\"", examined(u32::MAX)),
        ("EXAMINE \"Work\"", examined(1)),
        ("FETCH 1:1 ", fetch(1, 3, "", "Subject: a\r\n\r\n")),
    ];
    let playing = play(listener, vec![steps]);
    let bob = TestNode::new("bob").await;
    let (never, read) = (std::future::pending(), Arc::default());
    let counts: Arc<Mutex<Vec<(u64, u64)>>> = Arc::clone(&read);
    let on_read = Box::new(move |done, total| counts.lock().unwrap().push((done, total)));
    let import = import_paced(Node::clone(&bob), account, "", on_read, never, Duration::ZERO);
    let end = Box::pin(import).await;
    assert!(end.error.is_none(), "{:?}", end.error);
    assert_eq!(end.report.outcome.stored, 1, "the next folder is read");
    assert!(end.report.left_out.count <= 10_000);
    assert!(read.lock().unwrap().iter().all(|(done, total)| done <= total));
    drop(playing.await.unwrap());
}

#[tokio::test]
async fn endless_responses_end_the_import() {
    let (listener, account) = listener().await;
    let endless = "* OK still here\r\n".repeat(100_001);
    let steps =
        vec![("LIST", INBOX.to_owned()), ("EXAMINE", examined(3)), ("FETCH", endless + "!")];
    let playing = play(listener, vec![steps]);
    let bob = TestNode::new("bob").await;
    let end = import(&bob, &account, "").await;
    assert!(end.error.unwrap().to_string().contains("without an end"));
    playing.abort();
}

#[tokio::test]
async fn hostile_server_costs_no_memory() {
    let long = "x".repeat(300 * 1024);
    for (list, examine, fetched) in [
        (long.as_str(), "", ""),
        ("* LIST () \"/\" {999999999}\r\n", "", ""),
        (INBOX, "* 1 EXISTS\r\n", "* 1 FETCH (BODY[HEADER] {99999999999999}\r\n"),
        (INBOX, "* 1 EXISTS\r\n", "* 1 FETCH ((((((\r\n"),
        (INBOX, "* 1 EXISTS\r\n", "nonsense\r\n"),
    ] {
        let (listener, account) = listener().await;
        let steps = vec![
            ("LIST", list.to_owned()),
            ("EXAMINE", examine.to_owned()),
            ("FETCH", fetched.to_owned()),
        ];
        let playing = play(listener, vec![steps]);
        let bob = TestNode::new("bob").await;
        let end = import(&bob, &account, "").await;
        assert!(end.error.is_some(), "{:.40} {fetched}", list);
        playing.abort();
    }
}
