//! Files of a message that is written, and its draft.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use axum::body::Body;
use axum::http::{StatusCode, header};
use freehold_core::mailbox::queue::SendLimits;
use freehold_core::mailbox::{self, Folder, FolderId, SpecialUse};
use freehold_core::mta_sts::Mode;
use freehold_core::node::Node;
use freehold_core::testing::TestNode;
use freehold_mime::{Structure, content};
use freehold_web::MailEndpoints;

use crate::browser::{Browser, Seen};
use crate::mailbox::deliver;

const WRITE: &str = "/home/mail/write";

/// Sends the form with files, the fields before them.
async fn post(owner: &mut Browser, fields: &[(&str, &str)], files: &[(&str, &[u8])]) -> Seen {
    let mut body = Vec::new();
    for (name, value) in fields {
        let head =
            format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}");
        body.extend_from_slice(format!("{head}\r\n").as_bytes());
    }
    for (name, bytes) in files {
        let head = format!(
            "--XX\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\n\
             Content-Type: text/html\r\n\r\n"
        );
        body.extend_from_slice(&[head.as_bytes(), bytes, b"\r\n"].concat());
    }
    body.extend_from_slice(b"--XX--\r\n");
    let request = owner
        .request("POST", WRITE)
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=XX")
        .body(Body::from(body))
        .unwrap();
    owner.send(request).await
}

fn special(node: &Node, special: SpecialUse) -> Folder {
    mailbox::special_folder(node, special).unwrap().unwrap()
}

/// The bytes of the newest message of a folder.
fn newest(node: &Node, folder: FolderId) -> Vec<u8> {
    let (message, _) = mailbox::summaries(node, folder, None, 1).unwrap().remove(0);
    mailbox::body(node, &message).unwrap().read_all(1 << 26).unwrap()
}

/// The names, types and contents of the parts of a message after its text.
fn files_of(message: &[u8]) -> Vec<(String, String, Vec<u8>)> {
    let structure = Structure::parse(message);
    let file = |id| {
        let media = &structure.part(id).media;
        let bytes = structure.decoded(message, id).bytes.into_owned();
        let name = content::file_name(message, &structure, id);
        (name, format!("{}/{}", media.kind, media.subtype), bytes)
    };
    structure.children(Structure::ROOT).skip(1).map(file).collect()
}

fn with_limit(message_len_max: u64) -> MailEndpoints {
    MailEndpoints {
        host: None,
        imaps: 1,
        smtps: 2,
        is_loopback_only: true,
        message_len_max,
        trusted_roots: String::new(),
        domains: vec!["b.example".into()],
        limits: SendLimits::NONE,
        undo_ms: 0,
        mta_sts: Mode::Testing,
    }
}

#[tokio::test]
async fn attached_files_are_kept_in_the_draft_and_sent() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mut owner = Browser::owner(&alice).await;
    let long = vec![7u8; 300_000];
    let files: [(&str, &[u8]); 3] = [
        ("..\\Grüße %22a%22 \u{202e}x.txt", b"words"),
        ("a%0D%0ABcc: x@y.example.bin", &long),
        ("", b""),
    ];
    let fields = [("to", "Bob, bob@b.example"), ("text", "Dear\r\nBob"), ("intent", "attach")];
    let place = post(&mut owner, &fields, &files).await.location();
    let drafts = special(&alice, SpecialUse::Drafts);
    assert_eq!(place, format!("{WRITE}?draft={}.1", drafts.id.0));
    // Another program finds the files too.
    let stored = files_of(&newest(&alice, drafts.id));
    assert_eq!(stored[0].1, "text/plain");
    assert_eq!((stored.len(), stored[1].2 == long), (2, true));
    let page = owner.get(&place).await;
    assert_eq!(page.field("to"), "Bob, bob@b.example");
    assert_eq!(page.field("text"), "Dear\nBob");
    let listed: Vec<String> = page.all("#enclosed-files bdi").iter().map(|e| e.text()).collect();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed, ["Grüße a x.txt", "a Bcc x@y.example.bin"]);
    let draft = page.field("draft");
    let fields = [
        ("to", "bob@b.example"),
        ("text", "Dear Bob"),
        ("draft", draft.as_str()),
        ("key", "k"),
        ("intent", "send"),
    ];
    let more: [(&str, &[u8]); 1] = [("c.png", b"\x89PNG\r\n\x1a\n")];
    let sent = post(&mut owner, &fields, &more).await.location();
    let folder = special(&alice, SpecialUse::Sent);
    assert_eq!(sent, format!("/home/mail/{}", folder.id.0));
    let message = newest(&alice, folder.id);
    let files = files_of(&message);
    assert_eq!((files.len(), files[0].2.as_slice()), (3, &b"words"[..]));
    assert_eq!((files[2].0.as_str(), files[2].1.as_str()), ("c.png", "image/png"));
    assert!(files[1].2 == long);
    let text = String::from_utf8(message).unwrap();
    assert!(text.lines().all(|line| line.len() <= 100), "lines are short");
    assert!(!text.contains("X-Freehold-Draft") && !text.contains("\nBcc"), "{text}");
    assert_eq!(special(&alice, SpecialUse::Drafts).total, 0);
    // The same form once more.
    assert_eq!(post(&mut owner, &fields, &more).await.location(), sent);
    assert_eq!(special(&alice, SpecialUse::Sent).total, 1);
}

#[tokio::test]
async fn refused_form_keeps_its_files_in_a_draft() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mut owner = Browser::owner(&alice).await;
    let fields = [("to", "Nobody Known"), ("subject", "s"), ("text", "x")];
    let seen = post(&mut owner, &fields, &[("a.txt", b"words")]).await;
    seen.fault("to");
    assert_eq!(
        (seen.field("to").as_str(), seen.all("#enclosed-files li").len()),
        ("Nobody Known", 1)
    );
    let draft = seen.field("draft");
    let page = owner.get(&format!("{WRITE}?draft={draft}")).await;
    assert_eq!(page.field("to"), "Nobody Known", "what is no address is kept as well");
    let fields = [("to", "x"), ("text", "x"), ("draft", draft.as_str()), ("intent", "remove-0")];
    let place = owner.post(WRITE, &fields).await.location();
    assert!(!owner.get(&place).await.has("#enclosed-files"));
    assert_eq!(special(&alice, SpecialUse::Drafts).total, 1);
}

#[tokio::test]
async fn files_over_the_limit_are_left_out() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mut owner = Browser::owner_with_mail(&alice, with_limit(1 << 20)).await;
    let (small, large, huge) = (vec![1u8; 500_000], vec![2u8; 500_000], vec![3u8; 30 << 20]);
    let files: [(&str, &[u8]); 3] = [("a.bin", &small), ("b.bin", &large), ("c.bin", &huge)];
    let fields = [("to", "bob@b.example"), ("text", "Dear Bob"), ("intent", "send")];
    let seen = post(&mut owner, &fields, &files).await;
    let fault = seen.fault("files");
    assert!(fault.contains("b.bin") && fault.contains("c.bin") && !fault.contains("a.bin"));
    assert_eq!(
        (seen.field("text").as_str(), seen.all("#enclosed-files li").len()),
        ("Dear Bob", 1)
    );
    assert_eq!(special(&alice, SpecialUse::Sent).total, 0, "nothing is sent without a word");
    let draft = seen.field("draft");
    let again = [("to", "bob@b.example"), ("text", "Dear Bob"), ("draft", draft.as_str())];
    owner.post(WRITE, &again).await.location();
    let message = newest(&alice, special(&alice, SpecialUse::Sent).id);
    assert!(message.len() < 1 << 20 && files_of(&message)[0].2 == small);
}

#[tokio::test]
async fn hundreds_of_files_are_bounded() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let names: Vec<String> = (0..500).map(|number| format!("{number}.txt")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
    let seen = post(&mut owner, &[("text", "x"), ("intent", "attach")], &files).await;
    assert!(seen.fault("files").contains("100.txt"));
    assert_eq!(seen.all("#enclosed-files li").len(), 100);
}

#[tokio::test]
async fn draft_is_replaced_and_never_overwritten_unseen() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mut owner = Browser::owner(&alice).await;
    let fields = |text, draft| {
        [
            ("text", text),
            ("later", "2031-01-01T10:00"),
            ("draft", draft),
            ("intent", "draft"),
            ("key", "k"),
        ]
    };
    let place = owner.post(WRITE, &fields("one", "")).await.location();
    let first = owner.get(&place).await.field("draft");
    // An answer that was lost: the form is sent again.
    assert_eq!(owner.post(WRITE, &fields("one", "")).await.location(), place);
    let place = owner.post(WRITE, &fields("two", &first)).await.location();
    assert_eq!(owner.post(WRITE, &fields("two", &first)).await.location(), place);
    let page = owner.get(&place).await;
    assert_eq!(
        (page.field("text"), page.field("later")),
        ("two".into(), "2031-01-01T10:00".into())
    );
    assert_eq!(special(&alice, SpecialUse::Drafts).total, 1);
    // Another window still has the first version.
    let stale = owner.post(WRITE, &fields("three", &first)).await;
    assert_eq!(stale.status, StatusCode::CONFLICT);
    assert!(stale.has("#fault[role='alert']"));
    assert_eq!((stale.field("text").as_str(), stale.field("draft").as_str()), ("three", ""));
    assert_eq!(owner.get(&place).await.field("text"), "two");
    let send = [("to", "bob@b.example"), ("text", "three"), ("draft", first.as_str())];
    assert_eq!(owner.post(WRITE, &send).await.status, StatusCode::CONFLICT);
    let second = owner.post(WRITE, &fields("three", "")).await.location();
    assert_eq!(owner.get(&second).await.field("text"), "three");
    assert_eq!(special(&alice, SpecialUse::Drafts).total, 2);
    let gone = owner.get(&format!("{WRITE}?draft={first}")).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn discarded_draft_goes_to_the_bin() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let fields = [("text", "one"), ("intent", "draft")];
    let place = owner.post(WRITE, &fields).await.location();
    let draft = owner.get(&place).await.field("draft");
    let discard = [("text", "more"), ("draft", draft.as_str()), ("intent", "discard")];
    let list = owner.post(WRITE, &discard).await;
    assert!(owner.get(list.header("location")).await.has("#undo"));
    assert_eq!(special(&alice, SpecialUse::Trash).total, 1);
    assert_eq!(owner.post(WRITE, &[("intent", "discard")]).await.location(), "/home/mail");
}

#[tokio::test]
async fn message_with_files_sent_after_logout_keeps_its_texts() {
    let alice = TestNode::new("alice").await;
    let mut stranger = Browser::stranger(&alice);
    let text = "words ".repeat(100_000);
    let fields = [("to", "bob@b.example"), ("cc", "cy@x.example"), ("text", text.as_str())];
    let seen = post(&mut stranger, &fields, &[("a.bin", &[0; 300_000])]).await;
    assert_eq!(seen.status, StatusCode::FORBIDDEN);
    assert_eq!(seen.one("form#unsaved[enctype='multipart/form-data']").attr("action"), WRITE);
    for (name, value) in fields {
        assert_eq!(seen.field(name), value);
    }
    assert!(seen.has("input[name='files'][type='file']"));
}

const WITH_FILES: &str = "From: Ada <ada@x.example>\r\nTo: alice@alice.example\r\n\
    Subject: Tide\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGr\u{fc}\u{df}e\r\n\
    --b\r\nContent-Type: text/html; name=\"a\u{202e}.html\"\r\n\
    Content-Disposition: attachment; filename=\"../a\u{202e}.html\"\r\n\
    Content-Transfer-Encoding: base64\r\n\r\nPGI+\r\n\
    --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nx\r\n--b--\r\n";

#[tokio::test]
async fn forwarded_message_takes_its_files_along() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mut owner = Browser::owner(&alice).await;
    let place = deliver(&alice, WITH_FILES).await;
    let link = owner.get(&format!("/home/mail/{place}")).await;
    let page = owner.get(link.one("[data-key='f']").attr("href")).await;
    assert_eq!(page.field("subject"), "Fwd: Tide");
    let text = page.field("text");
    for kept in ["From: “Ada” ada@x.example", "Subject: Tide", "Grüße"] {
        assert!(text.contains(kept), "{kept} in {text}");
    }
    let taken = page.all("[name='take'][checked]");
    let numbers: Vec<&str> = taken.iter().map(|field| field.attr("value")).collect();
    let from = page.field("forward");
    let mut fields = vec![("to", "bob@b.example"), ("text", &text), ("forward", &from)];
    fields.extend(numbers.iter().map(|number| ("take", *number)));
    // Kept as a draft first: the files are in it once.
    fields.push(("intent", "draft"));
    let draft = owner.post(WRITE, &fields).await.location();
    let page = owner.get(&draft).await;
    assert_eq!((page.all("#enclosed-files li").len(), page.has("[name='take']")), (2, false));
    let (draft, mark) = (page.field("draft"), page.field("forwarded"));
    let fields =
        [("to", "bob@b.example"), ("text", &text), ("draft", &draft), ("forwarded", &mark)];
    let fields = fields.map(|(name, value): (&str, &str)| (name, value));
    owner.post(WRITE, &fields).await.location();
    let message = newest(&alice, special(&alice, SpecialUse::Sent).id);
    let files = files_of(&message);
    assert_eq!((files[0].0.as_str(), files[0].2.as_slice()), ("a.html", &b"<b>"[..]));
    assert_eq!(files[0].1, "application/octet-stream", "no page of a stranger runs at the next");
    assert_eq!((files[1].1.as_str(), files.len()), ("message/rfc822", 2));
    let (folder, uid) = place.split_once('/').unwrap();
    let original =
        mailbox::message(&alice, FolderId(folder.parse().unwrap()), uid.parse().unwrap());
    assert!(original.unwrap().unwrap().flags.has_keyword("$Forwarded"));
}

#[tokio::test]
async fn whole_message_is_forwarded_as_it_is() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mut owner = Browser::owner(&alice).await;
    let long = format!("Subject: Tide\r\n\r\n{}\r\n", "x".repeat(2000));
    for (original, media) in [
        (WITH_FILES, "message/rfc822"),
        ("Subject: Tide\r\n\r\nbare\nline\r\n", "application/octet-stream"),
        ("Subject: Tide\r\n\r\nnul\0\r\n", "application/octet-stream"),
        (long.as_str(), "application/octet-stream"),
    ] {
        let place = deliver(&alice, original).await.replace('/', ".");
        let page = owner.get(&format!("{WRITE}?forward={place}&whole=1")).await;
        assert_eq!(page.one("[name='take'][checked]").attr("value"), "whole");
        let fields = [("to", "bob@b.example"), ("forward", place.as_str()), ("take", "whole")];
        owner.post(WRITE, &fields).await.location();
        let message = newest(&alice, special(&alice, SpecialUse::Sent).id);
        let files = files_of(&message);
        assert_eq!((files[0].0.as_str(), files[0].1.as_str()), ("Tide.eml", media), "{original}");
        let structure = Structure::parse(&message);
        let part = structure.children(Structure::ROOT).nth(1).unwrap();
        let bytes = structure.decoded(&message, part).bytes.into_owned();
        assert_eq!(bytes, original.as_bytes());
    }
    // A part that is not there is not left out without a word.
    let place = deliver(&alice, WITH_FILES).await.replace('/', ".");
    let fields = [("to", "bob@b.example"), ("forward", place.as_str()), ("take", "9")];
    assert_eq!(owner.post(WRITE, &fields).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn reply_goes_to_list_or_followup_address() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let message = "From: Ada <ada@x.example>\r\nTo: list@l.example, Alice <alice@alice.example>\r\n\
        Cc: cy@x.example\r\nMail-Followup-To: list@l.example, alice@alice.example\r\n\
        List-Post: (moderated) <mailto:list%40l.example?subject=x>\r\nSubject: s\r\n\r\nx";
    let place = deliver(&alice, message).await;
    let page = owner.get(&format!("/home/mail/{place}")).await;
    for (key, to, cc) in
        [("r", "ada@x.example", ""), ("a", "list@l.example", ""), ("l", "list@l.example", "")]
    {
        let form = owner.get(page.one(&format!("[data-key='{key}']")).attr("href")).await;
        assert_eq!((form.field("to").as_str(), form.field("cc").as_str()), (to, cc), "{key}");
    }
    for list in ["NO", "<https://l.example>", "<mailto:>", "<mailto:a b>"] {
        let message = format!("From: ada@x.example\r\nList-Post: {list}\r\nSubject: s\r\n\r\nx");
        let place = deliver(&alice, message).await;
        assert!(!owner.get(&format!("/home/mail/{place}")).await.has("[data-key='l']"), "{list}");
    }
}
