//! SEARCH BODY and TEXT give the same with and without the index of texts (RFC 3501 6.4.4).

use freehold_core::mailbox::TextIndexer;
use freehold_core::node::Node;

use crate::imap::{Program, deliver, inbox, open};

/// Searches of every form: alone, negated, alternative, beside cheap keys, short, of any script.
const SEARCHES: [&str; 24] = [
    "SEARCH BODY needle",
    "SEARCH BODY eedl",
    "SEARCH BODY NEEDLE7",
    "UID SEARCH BODY \"needle7 in\"",
    "SEARCH BODY xy",
    "SEARCH BODY \"\"",
    "SEARCH BODY absent",
    "SEARCH NOT BODY needle1",
    "SEARCH OR BODY needle1 BODY needle2",
    "SEARCH OR BODY absent UNSEEN",
    "SEARCH NOT (BODY needle1 NOT BODY hay)",
    "SEARCH 20:60 BODY needle SINCE 1-Jan-2020",
    "SEARCH TEXT subject",
    "SEARCH TEXT needle1",
    "SEARCH TEXT number33",
    "SEARCH NOT TEXT number33",
    "SEARCH SUBJECT number4 BODY hay",
    "SEARCH BODY hay BODY needle3 BODY in",
    "SEARCH TEXT secret.example",
    "SEARCH BODY secret.example",
    "SEARCH BODY {6+}\r\n\u{6771}\u{4eac}",
    "SEARCH CHARSET UTF-8 BODY {6+}\r\nstra\u{df}",
    "UID SEARCH RETURN (MIN MAX COUNT) BODY needle",
    "SORT (REVERSE SUBJECT) UTF-8 BODY needle3",
];

fn message(number: usize) -> String {
    let text = match number % 5 {
        0 => format!("needle{number} in the hay"),
        1 => "nothing but hay".to_owned(),
        2 => "\u{6771}\u{4eac}\u{90fd} xy".to_owned(),
        3 => format!("STRA\u{df}E {number}"),
        _ => "a needl, an eedle".to_owned(),
    };
    format!(
        "Subject: number{number}\r\nReceived: from secret.example\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    )
}

async fn results<S>(program: &mut Program<S>) -> Vec<Vec<String>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut results = Vec::new();
    for search in SEARCHES {
        let mut lines = program.ok(search).await;
        // The last line has the tag.
        lines.pop();
        results.push(lines.iter().map(|line| without_tag(line)).collect());
    }
    results
}

/// A response without the tag of its command.
fn without_tag(line: &str) -> String {
    line.split_once("(TAG ")
        .and_then(|(_, rest)| rest.split_once(')'))
        .map_or(line, |(_, r)| r)
        .into()
}

async fn index(node: &Node, steps: usize) {
    let mut indexer = TextIndexer::default();
    for _ in 0..steps {
        if !indexer.step(node).await.unwrap() {
            return;
        }
    }
}

#[tokio::test]
async fn indexed_search_finds_what_a_walk_finds() {
    let server = open().await;
    for number in 0..70 {
        deliver(&server.node, message(number).as_bytes()).await;
    }
    let mut program = inbox(&server).await;
    let walked = results(&mut program).await;
    assert_eq!(walked[2], ["* SEARCH\r\n"], "needle7 is in no message");
    assert_eq!(walked[14], ["* SEARCH 34\r\n"]);
    index(&server.node, usize::MAX).await;
    assert_eq!(results(&mut program).await, walked);
    // Some messages are indexed, the others are not.
    for number in 70..140 {
        deliver(&server.node, message(number).as_bytes()).await;
    }
    program.ok("NOOP").await;
    program.ok("STORE 3,66,70:80 +FLAGS.SILENT (\\Deleted)").await;
    program.ok("EXPUNGE").await;
    let walked = results(&mut program).await;
    for steps in [1, 2, usize::MAX] {
        index(&server.node, steps).await;
        assert_eq!(results(&mut program).await, walked);
    }
    server.close().await;
}

#[tokio::test]
async fn search_with_many_texts_is_answered() {
    let server = open().await;
    for number in 0..30 {
        deliver(&server.node, message(number).as_bytes()).await;
    }
    index(&server.node, usize::MAX).await;
    let mut program = inbox(&server).await;
    let texts: String = (0..40).map(|n| format!(" NOT BODY absent{n} TEXT e")).collect();
    let found = program.ok(&format!("SEARCH{texts} BODY needle5")).await;
    assert_eq!(found[0], "* SEARCH 6\r\n");
    server.close().await;
}
