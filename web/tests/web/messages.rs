//! Messages of every shape on their pages: all bodies, alternatives, files, people, replies.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use axum::http::StatusCode;
use freehold_core::testing::TestNode;

use crate::browser::{Browser, Seen};
use crate::mailbox::deliver;

const HEAD: &str = "From: Ada Test <ada@elsewhere.example>\r\nTo: alice@alice.example\r\nSubject: s\r\nMIME-Version: 1.0\r\n";

/// The page of a message with these fields and this body.
async fn page_of(owner: &mut Browser, alice: &TestNode, rest: &[u8]) -> Seen {
    let message = [HEAD.as_bytes(), rest].concat();
    let place = deliver(alice, &message).await;
    owner.get(&format!("/home/mail/{place}")).await
}

/// The texts of a message and the documents in its frames, in order.
async fn words_of(owner: &mut Browser, alice: &TestNode, rest: &[u8]) -> String {
    let page = page_of(owner, alice, rest).await;
    let mut words = Vec::new();
    for block in page.all("article [data-block]") {
        words.push(if block.has_attr("src") {
            owner.get(block.attr("src")).await.one("body").text().trim().to_owned()
        } else {
            block.text()
        });
    }
    words.join("|")
}

fn mixed(parts: &[&str]) -> Vec<u8> {
    let mut out = "Content-Type: multipart/mixed; boundary=bb\r\n\r\n".to_owned();
    for part in parts {
        out.push_str(&format!("--bb\r\n{part}\r\n"));
    }
    out.push_str("--bb--\r\n");
    out.into_bytes()
}

#[tokio::test]
async fn every_body_of_a_message_is_shown() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let text = |words: &str| format!("Content-Type: text/plain\r\n\r\n{words}");
    let html = "Content-Type: text/html\r\n\r\n<p>FOOTER</p>";
    for (parts, words) in [
        (vec![text("FIRST"), text("LAST")], "FIRST|LAST"),
        (vec![text("MAIN"), html.to_owned()], "MAIN|FOOTER"),
        (vec![html.to_owned(), text("LAST")], "FOOTER|LAST"),
    ] {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        assert_eq!(words_of(&mut owner, &alice, &mixed(&parts)).await, words);
    }
}

#[tokio::test]
async fn text_of_damaged_messages_is_shown() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for (rest, words) in [
        (&b"Content-Type: multipart/mixed; boundary=bb\r\n\r\nWORDS"[..], "WORDS"),
        (b"Content-Type: multipart/mixed; boundary=bb\r\n\r\n--bb\r\n\r\nWORDS", "WORDS"),
        (b"Content-Type: multipart/mixed\r\n\r\nWORDS", "WORDS"),
        (b"Content-Type: text\r\n\r\nWORDS", "WORDS"),
        (b"Content-Type: text/plane\r\n\r\nWORDS", "WORDS"),
        (b"Content-Type: text/markdown\r\n\r\nWORDS", "WORDS"),
        (b"Content-Type: nonsense\r\n\r\nWORDS", "WORDS"),
        (b"Content-Transfer-Encoding: quoted-printable (yes)\r\n\r\nGr=C3=BC=C3=9Fe", "Grüße"),
        (b"Content-Transfer-Encoding: base64\r\n\r\nR3LDv!MOf*ZQ", "Grüße"),
        (b"\r\nGr\xfc\xdfe", "Grüße"),
        (b"Content-Type: text/plain; charset=utf-8\r\n\r\nGr\xfc\xdfe", "Grüße"),
        ("Content-Type: text/plain; charset=us-ascii\r\n\r\nGrüße".as_bytes(), "Grüße"),
        ("Content-Type: text/plain; charset=x-unknown\r\n\r\nGrüße".as_bytes(), "Grüße"),
        (b"Content-Type: text/plain; charset=koi8-r\r\n\r\n\xf0\xd2\xc9\xd7\xc5\xd4", "Привет"),
        (b"Content-Type: text/html\r\n\r\n<meta charset=koi8-r><p>\xf0\xd2\xc9</p>", "При"),
        (b"Content-Type: text/plain; format=flowed\r\n\r\nwords \r\nwrapped", "words wrapped"),
        (
            b"Content-Type: multipart/alternative; boundary=aa\r\n\r\n--aa\r\n\r\nPLAIN\r\n--aa\r\n\
              Content-Type: text/html\r\n\r\n \r\n--aa--",
            "PLAIN",
        ),
    ] {
        let shown = words_of(&mut owner, &alice, rest).await;
        assert_eq!(shown.trim(), words, "{}", String::from_utf8_lossy(rest));
    }
}

#[tokio::test]
async fn file_is_saved_byte_for_byte() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for (fields, body, name, bytes) in [
        (
            "text/plain; name=a.txt\r\nContent-Transfer-Encoding: base64",
            "R3L832U=",
            "a.txt",
            &b"Gr\xfc\xdfe"[..],
        ),
        (
            "application/pdf; name=b.pdf\r\nContent-Transfer-Encoding: base64",
            "JVBERi0x\r\nLjQK!!",
            "b.pdf",
            b"%PDF-1.4\n",
        ),
        ("application/x; name*0*=utf-8''Gr%C3; name*1*=%BC.x", "ab", "Gr%C3%BC.x", b"ab"),
        ("application/x; name=\"../../inv\u{202e}xcod.exe\"", "ab", "invxcod.exe", b"ab"),
        ("application/x", "ab\r\n--bold\r\n--b", "file%202", b"ab\r\n--bold\r\n--b"),
    ] {
        let part =
            format!("Content-Type: {fields}\r\nContent-Disposition: attachment\r\n\r\n{body}");
        let page = page_of(&mut owner, &alice, &mixed(&["\r\nwords", &part])).await;
        let file = owner.get(page.one("article .rows a").attr("href")).await;
        let disposition = format!("attachment; filename*=UTF-8''{name}");
        assert_eq!(file.header("content-disposition"), disposition);
        assert_eq!(file.bytes, bytes, "{name}");
    }
}

#[tokio::test]
async fn message_inside_a_message_is_shown_in_place() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let inner = "Content-Type: message/rfc822\r\n\r\nFrom: Bo <bo@x.example>\r\nSubject: INNER\r\n\r\nINSIDE";
    let report = "Content-Type: message/delivery-status\r\n\r\nAction: failed\r\n";
    let rest = mixed(&["\r\nOUTSIDE", report, inner]);
    let page = page_of(&mut owner, &alice, &rest).await;
    let texts: Vec<String> = page.all("article .message").iter().map(|text| text.text()).collect();
    assert_eq!(texts, ["OUTSIDE", "Action: failed", "INSIDE"]);
    let section = page.one("article .inner").text();
    assert!(section.contains("INNER") && section.contains("Bo"), "{section}");
    let saved = owner.get(page.one("article .inner .small a").attr("href")).await;
    assert_eq!(saved.header("content-disposition"), "attachment; filename*=UTF-8''INNER.eml");
    assert!(saved.text().starts_with("From: Bo"));
}

#[tokio::test]
async fn deep_messages_are_files() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let deep = "Content-Type: message/rfc822\r\n\r\n".repeat(40) + "\r\nthe end";
    let page = page_of(&mut owner, &alice, deep.as_bytes()).await;
    assert_eq!((page.all("article .inner").len(), page.all("article .rows a").len()), (5, 1));
    let wide = mixed(&["\r\nx"; 900]);
    let page = page_of(&mut owner, &alice, &wide).await;
    let shown = page.all("article .message").len();
    assert_eq!(shown + page.all("article .rows a").len(), 900);
}

#[tokio::test]
async fn long_text_is_cut_and_saved_as_a_file() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for count in [90_000, 400_000] {
        let long = format!("\r\n{}", "words ".repeat(count));
        let page = page_of(&mut owner, &alice, long.as_bytes()).await;
        assert!(page.one("article .message").text().len() <= 512 * 1024);
        let saved = owner.get(page.one("article .rows a").attr("href")).await;
        assert_eq!(saved.bytes.len(), 6 * count);
    }
}

#[tokio::test]
async fn addresses_in_text_are_links() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let text = b"\r\nsee https://x.example/a?b=c&d and <b@x.example>.";
    let page = page_of(&mut owner, &alice, text).await;
    let links: Vec<String> =
        page.all("article .message a").iter().map(|a| a.attr("href").to_owned()).collect();
    assert_eq!(links, ["https://x.example/a?b=c&d", "/home/mail/write?to=b@x.example"]);
    assert_eq!(
        page.one("article .message").text().trim(),
        "see https://x.example/a?b=c&d and <b@x.example>."
    );
}

#[tokio::test]
async fn reply_goes_to_reply_to_and_all() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let message = "From: noreply@shop.example\r\nReply-To: Help <help@shop.example>\r\n\
        To: Alice <alice@alice.example>, \"Mueller, Bo\" <bo@x.example>\r\nCc: cy@x.example\r\nCc: di@x.example\r\nSubject: s\r\n\r\nx";
    let place = deliver(&alice, message.as_bytes()).await;
    let page = owner.get(&format!("/home/mail/{place}")).await;
    let people = page.one("article .from").text();
    for shown in ["Mueller, Bo", "cy@x.example", "di@x.example", "“Help” help@shop.example"] {
        assert!(people.contains(shown), "{shown} in {people}");
    }
    let reply = place.replace('/', ".");
    let form = owner.get(&format!("/home/mail/write?reply={reply}")).await;
    assert_eq!((form.field("to").as_str(), form.field("cc").as_str()), ("help@shop.example", ""));
    let form = owner.get(&format!("/home/mail/write?reply={reply}&all=1")).await;
    assert_eq!(form.field("to"), "help@shop.example");
    assert_eq!(form.field("cc"), "bo@x.example, cy@x.example, di@x.example");
}

#[tokio::test]
async fn reply_to_own_message_goes_to_its_recipients() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for (header, to, cc) in [
        (
            "To: bo@x.example, Alice <alice@alice.example>\r\nCc: cy@x.example",
            "bo@x.example",
            "cy@x.example",
        ),
        ("To: Alice <alice@alice.example>", "alice@alice.example", ""),
        ("Reply-To: di@x.example\r\nTo: bo@x.example", "di@x.example", "bo@x.example"),
    ] {
        let message =
            format!("From: Alice <alice@alice.example>\r\n{header}\r\nSubject: s\r\n\r\nx");
        let place = deliver(&alice, message.as_bytes()).await;
        let reply = format!("/home/mail/write?reply={}&all=1", place.replace('/', "."));
        let form = owner.get(&reply).await;
        assert_eq!((form.field("to").as_str(), form.field("cc").as_str()), (to, cc), "{header}");
    }
}

#[tokio::test]
async fn direction_of_html_is_kept() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let rest =
        "Content-Type: text/html; charset=utf-8\r\n\r\n<html dir=rtl><body>\u{5e9}<p dir=ltr>a</p>";
    let page = page_of(&mut owner, &alice, rest.as_bytes()).await;
    let frame = owner.get(page.one("iframe").attr("src")).await;
    assert!(frame.has("body[dir='rtl']") && frame.has("p[dir='ltr']"), "{}", frame.text());
}

#[tokio::test]
async fn message_of_any_shape_opens_within_bounds() {
    const LEN: usize = 2 * 1024 * 1024;
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let picture = "<img src=cid:1>".repeat(40_000);
    let many = format!(
        "Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n{picture}\r\n--b\r\n\
         Content-ID: <1>\r\nContent-Type: image/gif\r\n\r\nGIF89a{}\r\n--b--\r\n",
        "x".repeat(1 << 20)
    );
    for rest in [
        many,
        "Content-Type: message/rfc822\r\n\r\n".repeat(LEN / 32),
        format!(
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}",
            "--b\r\n\r\nx\r\n".repeat(LEN / 12)
        ),
        format!("Content-Type: text/html\r\n\r\n{}", "<div>".repeat(LEN / 5)),
        format!("Content-Type: text/html\r\n\r\n{}", "<div style=display:none>".repeat(40_000)),
        format!("\r\n{}", "www.a.example ".repeat(LEN / 14)),
    ] {
        let page = page_of(&mut owner, &alice, rest.as_bytes()).await;
        assert!(
            page.status.is_success() && page.bytes.len() < 4 << 20,
            "{} bytes",
            page.bytes.len()
        );
        for frame in page.all("iframe") {
            let frame = owner.get(frame.attr("src")).await;
            assert!(frame.bytes.len() < 8 << 20, "{} bytes", frame.bytes.len());
        }
    }
}

#[tokio::test]
async fn message_page_names_who_proved_to_have_sent_it() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for (results, proof, is_warned) in [
        ("dmarc=pass header.from=bob.example policy.dmarc=reject", "proven", false),
        ("dmarc=none header.from=bob.example; spf=none", "unproven", false),
        ("dmarc=fail header.from=bob.example policy.dmarc=reject", "disowned", true),
        ("none", "unchecked", false),
    ] {
        let message = format!(
            "Return-Path: <bob@bob.example>\r\nAuthentication-Results: alice.example; {results}\r\n\
             Received: by alice.example\r\nFrom: Bob <bob@bob.example>\r\nSubject: s\r\n\r\nx"
        );
        let place = deliver(&alice, message.as_bytes()).await;
        let page = owner.get(&format!("/home/mail/{place}")).await;
        assert_eq!(page.one(".message-pane").attr("data-proof"), proof, "{results}");
        assert_eq!(page.has("[data-notice='disowned']"), is_warned, "{results}");
    }
}

#[tokio::test]
async fn page_of_a_moved_message_leads_to_its_folder() {
    let alice = TestNode::new("alice").await;
    let place = deliver(&alice, HEAD).await;
    let mut owner = Browser::owner(&alice).await;
    let (folder, path) = (place.split('/').next().unwrap(), format!("/home/mail/{place}"));
    owner.post(&format!("{path}/move"), &[("to", "archive")]).await.location();
    let reply = format!("/home/mail/write?reply={}", place.replace('/', "."));
    for (path, target) in [
        (path.clone(), format!("/home/mail/{folder}")),
        (format!("{path}/original"), format!("/home/mail/{folder}")),
        (reply, "/home/mail".to_owned()),
        ("/home/mail/999/1".to_owned(), "/home/mail".to_owned()),
    ] {
        let seen = owner.get(&path).await;
        assert_eq!(seen.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(seen.one("#folder").attr("href"), target, "{path}");
        assert!(!seen.has("#suggestions"), "{path}");
    }
    let unread = owner.post(&format!("{path}/unread"), &[]).await;
    assert_eq!((unread.status, unread.has("#folder")), (StatusCode::NOT_FOUND, true));
    assert!(!owner.get("/home/mail/x/1").await.has("#folder"));
    assert!(!Browser::stranger(&alice).open(&path).await.has("#folder"));
}
