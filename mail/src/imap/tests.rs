//! Sessions without sockets: transcripts, with the input cut in several ways, and hostile input.

mod damaged;
mod extensions;
mod generated;
mod messages;
mod oracle;
mod serialize;
mod structure;
mod transcript;

use proptest::prelude::*;

use super::command;
use super::enabled::Enabled;
use transcript::{Feed, Play};

/// Plays every transcript with the input cut in one way.
#[allow(clippy::disallowed_methods, reason = "a test may block")]
async fn play_all(feed: Feed) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mail/transcripts/imap");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "transcripts are missing");
    for file in files {
        Play::read(&file).run(feed).await;
    }
}

#[tokio::test]
async fn transcripts_pass_with_whole_lines() {
    play_all(Feed::Whole).await;
}

#[tokio::test]
async fn transcripts_pass_byte_by_byte() {
    play_all(Feed::Bytes).await;
}

#[tokio::test]
async fn transcripts_pass_in_uneven_pieces() {
    for len in [2, 3, 7] {
        play_all(Feed::Pieces(len)).await;
    }
}

#[tokio::test]
async fn endless_line_closes_the_connection() {
    assert!(transcript::feed_all(&[vec![b'x'; 8_000], vec![b'x'; 8_000]], false).await);
    assert!(!transcript::feed_all(&[vec![b'x'; 8_000], vec![b'x'; 8_000]], true).await);
    assert!(transcript::feed_all(&vec![vec![b'x'; 8_000]; 10], true).await);
}

#[tokio::test]
async fn long_id_is_accepted_before_login() {
    let id = |fields: usize, value: usize| {
        let field = |at| format!("\"{at:030}\" \"{}\"", "v".repeat(value));
        let fields: Vec<String> = (0..fields).map(field).collect();
        format!("a id ({})\r\n", fields.join(" ")).into_bytes()
    };
    assert!(!transcript::feed_all(&[id(30, 1_024)], false).await);
    assert!(transcript::feed_all(&[id(30, 1_200)], false).await);
    let halves = id(30, 1_024).chunks(9_000).map(<[u8]>::to_vec).collect::<Vec<_>>();
    assert!(!transcript::feed_all(&halves, false).await);
}

#[tokio::test]
async fn multiappend_of_too_many_messages_stores_none() {
    let append = |count: usize| {
        let messages = " {3+}\r\nabc".repeat(count);
        format!("m APPEND Drafts{messages}\r\nn STATUS Drafts (MESSAGES)\r\n")
    };
    let most = freehold_core::mailbox::APPENDED_TOGETHER_MAX;
    let answers = transcript::answers(&append(most)).await;
    assert!(answers.contains(&format!(" 1:{most}] ")), "{answers}");
    assert!(answers.contains(&format!("(MESSAGES {most})")), "{answers}");
    let answers = transcript::answers(&append(most * 20)).await;
    assert!(answers.contains("m NO [LIMIT] "), "{answers}");
    assert!(answers.contains("(MESSAGES 0)"), "{answers}");
}

#[tokio::test]
async fn annotation_limits_have_response_codes() {
    let long = "v".repeat(freehold_core::mailbox::METADATA_VALUE_LEN_MAX + 1);
    let name = "n".repeat(300);
    let many: Vec<String> = (0..101).map(|at| format!("/private/{at} \"\"")).collect();
    let input = format!(
        "a SETMETADATA INBOX (/private/x {{{}+}}\r\n{long})\r\n\
         b SETMETADATA INBOX (/private/{name} \"x\")\r\n\
         c SETMETADATA \"\" ({})\r\n\
         d SETMETADATA \"\" (/private/x ~{{3+}}\r\na\0b)\r\n\
         e GETMETADATA (DEPTH infinity) \"\" /private\r\n",
        long.len(),
        many.join(" "),
    );
    let answers = transcript::answers(&input).await;
    assert!(answers.contains("a NO [METADATA MAXSIZE 3072] "), "{answers}");
    assert!(answers.contains("b NO [LIMIT] "), "{answers}");
    assert!(answers.contains("c NO [METADATA TOOMANY] "), "{answers}");
    assert!(answers.contains("* METADATA \"\" (/private/x ~{3}\r\na\0b)\r\ne OK"), "{answers}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn session_survives_any_bytes(
        pieces in proptest::collection::vec(hostile(), 1..20),
        logged_in in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _closed = runtime.block_on(transcript::feed_all(&pieces, logged_in));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn command_parser_survives_any_bytes(
        bytes in proptest::collection::vec(any::<u8>(), 0..120),
        word in 0..5usize,
    ) {
        let verb = ["", "a FETCH 1 ", "a SEARCH ", "a SETMETADATA x (", "a LIST (" ][word];
        let text = [verb.as_bytes(), &bytes].concat();
        let _ = command::parse(&text, Enabled::default());
        let _ = command::append::Head::parse(&text, Enabled::default());
    }

    #[test]
    fn command_means_the_same_to_imap_codec(text in generated::command()) {
        oracle::assert_same_meaning(&text);
    }

    #[test]
    fn damaged_command_is_refused_by_both_parsers_or_neither(text in generated::damaged()) {
        oracle::assert_same_verdict(&text);
    }
}

/// Pieces of commands, literals, and noise.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        proptest::sample::select(vec![
            "a SELECT INBOX\r\n",
            "a ",
            "b UID FETCH 1:* (FLAGS BODY[1.2.MIME]<0.5>)\r\n",
            "{5}\r\n",
            "{5+}\r\nhello",
            "\r\n",
            "c SEARCH OR ",
            "NOT (",
            ")",
            "\"",
            "d APPEND INBOX {3}\r\nabc\r\n",
            "d APPEND INBOX {3+}\r\nabc (\\Seen) ~{3+}\r\nabc",
            " {3+}\r\nabc",
            "x COMPRESS DEFLATE\r\n",
            "x SETMETADATA INBOX (/private/comment ~{3+}\r\na\0b /shared/comment NIL)\r\n",
            "x GETMETADATA (DEPTH infinity MAXSIZE 9) INBOX (/private /shared/comment)\r\n",
            "d REPLACE * INBOX {3+}\r\nabc\r\n",
            "d UID REPLACE 1 Sent (\\Seen) {3+}\r\nabc\r\n",
            "e IDLE\r\n",
            "DONE\r\n",
            "f STORE 1:* +FLAGS (\\Seen)\r\n",
            "{999999999}\r\n",
            "g EXPUNGE\r\n",
            "h LIST (SUBSCRIBED) \"\" (*) RETURN (STATUS (MESSAGES))\r\n",
            "i AUTHENTICATE PLAIN\r\n",
            "*\r\n",
            "&-",
            "BODY[",
            "j UID COPY * Sent\r\n",
            "k LOGOUT\r\n",
            "l APPEND INBOX ~{3}\r\na\0b\r\n",
            "m SUBSCRIBE ../x\r\n",
            "n SEARCH NEW OLD RECENT 9\r\n",
            "o SELECT &\r\n",
            "p ID (\"a\" \"b\")\r\n",
            "t UID SORT RETURN (MIN ALL) (REVERSE SUBJECT DISPLAYTO) UTF-8 1:*\r\n",
            "v THREAD REFERENCES UTF-8 1:*\r\n",
            "w UID THREAD ORDEREDSUBJECT UTF-8 NOT MODSEQ 1\r\n",
            "u SORT (DATE SIZE CC) US-ASCII TEXT x\r\n",
            "r FETCH 1 (EMAILID THREADID SAVEDATE PREVIEW (LAZY))\r\n",
            "s SEARCH EMAILID M1 THREADID T2 SAVEDON 1-Jan-2026\r\n",
            "x NOTIFY SET STATUS (selected (MessageNew (BODY[] BINARY[1]) MessageExpunge))\r\n",
            "x NOTIFY SET (subtree (A \"\u{fc}\") (MailboxName)) (inboxes NONE)\r\n",
            "x NOTIFY NONE\r\n",
            "x ENABLE QRESYNC IMAP4rev2 UTF8=ACCEPT\r\n",
            "x SELECT INBOX (QRESYNC (1 1 1:9 (1:4294967295 1:4294967295)))\r\n",
            "x UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)\r\n",
            "x FETCH 1 (BINARY[1]<0.9> BINARY.SIZE[1.2] BINARY[])\r\n",
            "x APPEND INBOX UTF8 (~{3+}\r\na\0b)\r\n",
            "x CREATE \"\u{fc}&\"\r\n",
            "q LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (% *)\r\n",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ]
}
