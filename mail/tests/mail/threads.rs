//! SORT and THREAD over real connections.

use crate::imap::{deliver, inbox, open};

/// Messages of the folder; more than one slice examines.
const COUNT: usize = 2_300;

#[tokio::test]
async fn sort_and_thread_examine_every_slice() {
    let server = open().await;
    for number in 0..COUNT {
        // Ten threads, the newest message first.
        let (thread, day) = (number % 10, COUNT - number);
        let (hour, minute) = (day / 60 % 24, day % 60);
        let date = format!("{} Jan 2026 {hour:02}:{minute:02}:00 +0000", 1 + day / 1_440);
        let message = format!(
            "Subject: Re: plan {thread}\r\nDate: {date}\r\nMessage-ID: <{number}@x>\r\n\
             References: <root{thread}@x>\r\n\r\n"
        );
        deliver(&server.node, message.as_bytes()).await;
    }
    let mut program = inbox(&server).await;
    let sorted = program.ok("SORT (REVERSE SUBJECT DATE) UTF-8 ALL").await;
    let numbers: Vec<usize> =
        sorted[0].split_whitespace().skip(2).map(|word| word.parse().unwrap()).collect();
    assert_eq!(numbers.len(), COUNT);
    // Thread 9 first, in it the oldest message, which is the last.
    assert_eq!(numbers[..3], [COUNT, COUNT - 10, COUNT - 20]);
    let threads = program.ok("UID THREAD REFERENCES UTF-8 ALL").await;
    assert_eq!(threads[0].matches("((").count(), 10);
    assert!(threads[0].starts_with(&format!("* THREAD (({COUNT})({})", COUNT - 10)));
    let ordered = program.ok("THREAD ORDEREDSUBJECT UTF-8 1:10").await;
    assert_eq!(ordered[0], "* THREAD (10)(9)(8)(7)(6)(5)(4)(3)(2)(1)\r\n");
}

#[tokio::test]
async fn sort_after_a_change_has_the_new_messages() {
    let server = open().await;
    let store = async |subjects: &[&str]| {
        for subject in subjects {
            let message = format!("Subject: {subject}\r\nFrom: {subject} <a@x>\r\n\r\ntext\r\n");
            deliver(&server.node, message.as_bytes()).await;
        }
    };
    store(&["delta", "Re: alpha", "charlie"]).await;
    let mut program = inbox(&server).await;
    for _ in 0..2 {
        let sorted = program.ok("SORT (SUBJECT) UTF-8 ALL").await;
        assert_eq!(sorted[0], "* SORT 2 3 1\r\n");
        let sorted = program.ok("SORT (REVERSE SUBJECT) UTF-8 ALL").await;
        assert_eq!(sorted[0], "* SORT 1 3 2\r\n");
    }
    let sorted = program.ok("SORT (DISPLAYFROM) UTF-8 2:3").await;
    assert_eq!(sorted[0], "* SORT 3 2\r\n");
    store(&["bravo", "charlie"]).await;
    program.ok("NOOP").await;
    program.ok("STORE 3 +FLAGS.SILENT (\\Deleted)").await;
    program.ok("EXPUNGE").await;
    let sorted = program.ok("SORT (SUBJECT REVERSE ARRIVAL) UTF-8 ALL").await;
    assert_eq!(sorted[0], "* SORT 2 3 4 1\r\n");
    let sorted = program.ok("SORT (REVERSE DISPLAYFROM) UTF-8 BODY text").await;
    assert_eq!(sorted[0], "* SORT 2 1 4 3\r\n");
    server.close().await;
}
