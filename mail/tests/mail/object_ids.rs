//! Object ids over real connections (OBJECTID, RFC 8474): they survive COPY, MOVE and RENAME.

use crate::imap::{deliver, inbox, open};

/// The value in the parentheses after `name` in a response.
fn value<'a>(line: &'a str, name: &str) -> &'a str {
    let (_, rest) = line.split_once(&format!("{name} (")).expect("the item is missing");
    rest.split_once(')').expect("the item is not closed").0
}

#[tokio::test]
async fn email_id_survives_copy_and_move() {
    let server = open().await;
    deliver(&server.node, b"Subject: x\r\nMessage-ID: <1@x>\r\n\r\none\r\n").await;
    let answer = b"Subject: Re: x\r\nIn-Reply-To: <1@x>\r\n\r\ntwo\r\n";
    deliver(&server.node, answer).await;
    deliver(&server.node, answer).await;
    let mut program = inbox(&server).await;
    let before = program.ok("FETCH 1:3 (EMAILID THREADID)").await;
    let ids: Vec<&str> = before[..3].iter().map(|line| value(line, "EMAILID")).collect();
    let thread = value(&before[0], "THREADID");
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    assert!(before[..3].iter().all(|line| value(line, "THREADID") == thread));
    program.ok("COPY 1:2 Archive").await;
    program.ok("MOVE 3 Archive").await;
    let found = program.ok(&format!("SEARCH THREADID {thread} EMAILID {}", ids[1])).await;
    assert_eq!(found[0], "* SEARCH 2\r\n");
    program.ok("SELECT Archive").await;
    let after = program.ok("FETCH 1:3 (EMAILID THREADID)").await;
    assert_eq!(after[..3], before[..3]);
    let found = program.ok(&format!("UID SEARCH OR EMAILID {} EMAILID {}", ids[0], ids[2])).await;
    assert_eq!(found[0], "* SEARCH 1 3\r\n");
    let found = program.ok(&format!("SEARCH NOT THREADID {thread}")).await;
    assert_eq!(found[0], "* SEARCH\r\n");
}

#[tokio::test]
async fn mailbox_id_survives_rename_and_is_never_reused() {
    let server = open().await;
    deliver(&server.node, b"Subject: x\r\n\r\n").await;
    let mut program = inbox(&server).await;
    let created = program.ok("CREATE Plans").await;
    let id = value(&created[0], "MAILBOXID").to_owned();
    program.ok("RENAME Plans Projects").await;
    let status = program.ok("STATUS Projects (MAILBOXID)").await;
    assert_eq!(value(&status[0], "MAILBOXID"), id);
    // The messages of INBOX move to a new folder, and INBOX stays the same (RFC 3501 6.3.5).
    let inbox_id = program.ok("STATUS INBOX (MAILBOXID)").await;
    program.ok("RENAME INBOX Old").await;
    assert_eq!(program.ok("STATUS INBOX (MAILBOXID)").await, inbox_id);
    let old = program.ok("STATUS Old (MAILBOXID MESSAGES)").await;
    assert!(old[0].contains("MESSAGES 1") && value(&old[0], "MAILBOXID") != id);
    program.ok("DELETE Projects").await;
    let created = program.ok("CREATE Projects").await;
    assert_ne!(value(&created[0], "MAILBOXID"), id);
}
