//! Extensions whose commands a transcript can't have: literals in parentheses, octets of zero, and
//! forgotten expunges.

use freehold_core::mailbox::{self, EXPUNGES_REMEMBERED, FlagChange, Flags};

use super::transcript::{self, Client};

fn literal8(message: &str) -> String {
    format!("~{{{}+}}\r\n{message}", message.len())
}

#[tokio::test]
async fn utf8_append_needs_its_extension_enabled() {
    let message = literal8("Subject: Grüße\r\n\r\nHallo");
    let answers = transcript::answers(&format!(
        "a APPEND Drafts UTF8 ({message})\r\n\
         b APPEND Drafts {message}\r\n\
         c ENABLE UTF8=ACCEPT\r\n\
         d APPEND Drafts UTF8 ({message}) (\\Seen) UTF8 ({message})\r\n\
         e APPEND Drafts UTF8 ({message}\r\n\
         f APPEND Drafts UTF8 ({message} UTF8 ({message})\r\n\
         g APPEND Drafts {message}\r\n\
         h EXAMINE Drafts\r\n\
         i FETCH 1:* (FLAGS ENVELOPE)\r\n\
         j SEARCH CHARSET UTF-8 SUBJECT x\r\n\
         k SEARCH SUBJECT \"Grüße\"\r\n",
    ))
    .await;
    for wanted in [
        "a NO [CANNOT] ",
        "b OK [APPENDUID ",
        "* ENABLED UTF8=ACCEPT\r\n",
        " 2:3] appended",
        "e BAD ",
        "f BAD ",
        "g OK [APPENDUID ",
        "* 4 EXISTS\r\n",
        "* 3 FETCH (FLAGS (\\Recent \\Seen) ENVELOPE (NIL \"Grüße\" NIL ",
        "j BAD ",
        "* SEARCH 1 2 3 4\r\n",
    ] {
        assert!(answers.contains(wanted), "{wanted}: {answers}");
    }
}

#[tokio::test]
async fn envelope_in_utf8_is_encoded_for_other_clients() {
    let message = literal8("Subject: Grüße\r\nFrom: Jürgen <jürgen@example.org>\r\n\r\nHallo");
    let mut client = Client::start().await;
    client.send(&format!("a ENABLE UTF8=ACCEPT\r\nb APPEND INBOX {message}\r\n")).await;
    client.restart().await;
    let answers = client.send("c EXAMINE INBOX\r\nd FETCH 1 (ENVELOPE)\r\n").await;
    let name = "\"=?utf-8?B?SsO8cmdlbg==?=\"";
    assert!(answers.is_ascii(), "{answers}");
    assert!(answers.contains("\"=?utf-8?B?R3LDvMOfZQ==?=\""), "{answers}");
    assert!(answers.contains(name), "{answers}");
}

#[tokio::test]
async fn binary_message_is_fetched_as_it_was_appended() {
    let content: String = "a\0\r\n\u{1}".repeat(50_000);
    let head =
        "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n";
    let message = literal8(&format!("{head}{content}"));
    let answers = transcript::answers(&format!(
        "a APPEND Drafts {message}\r\n\
         b APPEND Drafts {}\r\n\
         c EXAMINE Drafts\r\n\
         d FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1])\r\n\
         e FETCH 1 (BINARY.PEEK[1]<200000.40000>)\r\n\
         f FETCH 1 (BODY.PEEK[1]<0.4>)\r\n",
        literal8("Subject: x\r\n\r\n\0"),
    ))
    .await;
    let len = content.len();
    let whole = format!("* 1 FETCH (BINARY.SIZE[1] {len} BINARY[1] ~{{{len}}}\r\n{content})\r\n");
    assert!(answers.contains("b NO [UNKNOWN-CTE] ") && answers.contains(&whole));
    let part = &content[200_000..240_000];
    let partial = format!("* 1 FETCH (BINARY[1]<200000> ~{{40000}}\r\n{part})\r\n");
    assert!(answers.contains(&partial) && answers.contains("BODY[1]<0> {4}\r\nYQAN)"));
}

#[tokio::test]
async fn unknown_expunges_are_all_reported_after_history_was_forgotten() {
    let mut client = Client::start().await;
    let append = "x APPEND Drafts {3+}\r\nabc\r\n".repeat(6);
    client.send(&append).await;
    let drafts = mailbox::folder_named(&client.node, "Drafts").unwrap().unwrap();
    let (node, id) = (&client.node, drafts.id);
    let change = |flags, add| match add {
        true => FlagChange::Add(Flags::of(flags)),
        false => FlagChange::Remove(Flags::of(flags)),
    };
    let deleted = change(Flags::DELETED, true);
    mailbox::store_flags(node, id, &[2, 3, 5], deleted, None).await.unwrap();
    mailbox::expunge(node, id, None).await.unwrap();
    node.advance_modseq(id, EXPUNGES_REMEMBERED - 1).await;
    mailbox::store_flags(node, id, &[1], change(Flags::SEEN, true), None).await.unwrap();
    let uid_validity = drafts.uid_validity;
    let answers = client
        .send(&format!(
            "a ENABLE QRESYNC\r\n\
             b SELECT Drafts (QRESYNC ({uid_validity} 2))\r\n\
             c SELECT Drafts (QRESYNC ({uid_validity} 2 1:900 (1:2 1,4)))\r\n\
             d UID FETCH 3:* (FLAGS) (CHANGEDSINCE 2 VANISHED)\r\n"
        ))
        .await;
    let vanished: Vec<&str> =
        answers.lines().filter(|line| line.contains("VANISHED (EARLIER)")).collect();
    let wanted = ["2:3,5", "5", "3,5"].map(|set| format!("* VANISHED (EARLIER) {set}"));
    assert_eq!(vanished, wanted, "{answers}");
}

#[tokio::test]
async fn notify_ends_when_too_many_messages_come_at_once() {
    let mut client = Client::start().await;
    let set = "NOTIFY SET (selected (MessageNew (BODY.PEEK[]) MessageExpunge FlagChange))";
    client.send(&format!("a SELECT INBOX\r\nb {set}\r\n")).await;
    transcript::deliver(&client.node, "INBOX", b"Subject: one\r\n\r\n").await;
    let answers = client.send("c NOOP\r\n").await;
    assert!(
        answers.contains("* 1 FETCH (UID 1 BODY[] {16}\r\nSubject: one\r\n\r\n)\r\n"),
        "{answers}"
    );
    for _ in 0..257 {
        transcript::deliver(&client.node, "INBOX", b"Subject: many\r\n\r\n").await;
    }
    let answers = client.send("d NOOP\r\n").await;
    assert!(answers.contains("* 258 EXISTS\r\n"), "{answers}");
    assert!(answers.contains("* OK [NOTIFICATIONOVERFLOW] ") && !answers.contains("FETCH"));
    transcript::deliver(&client.node, "INBOX", b"Subject: next\r\n\r\n").await;
    let answers = client.send("e NOOP\r\n").await;
    assert!(answers.contains("* 259 EXISTS\r\n") && !answers.contains("FETCH"), "{answers}");
}

#[tokio::test]
async fn notify_of_too_many_groups_is_refused() {
    let groups = " (personal (MailboxName))".repeat(51);
    let names = "A ".repeat(1_001);
    let answers = transcript::answers(&format!(
        "a NOTIFY SET{groups}\r\nb NOTIFY SET (mailboxes ({}) (MailboxName))\r\n",
        names.trim_end(),
    ))
    .await;
    for tag in ["a", "b"] {
        assert!(answers.contains(&format!("{tag} NO [NOTIFICATIONOVERFLOW] ")), "{answers}");
    }
}
