//! Mail in the browser: ordinary messages, hostile ones, sending.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use std::collections::HashSet;

use axum::http::StatusCode;
use freehold_core::mailbox::{self, Delivery, Flags, IdempotencyKey, SpecialUse};
use freehold_core::node::Node;
use freehold_core::testing::TestNode;

use crate::browser::{Browser, Seen};

const PLAIN: &str = "From: Joost Verhagen <joost@verhagen.example>\r\nTo: Alice <alice@alice.example>\r\nSubject: The survey\r\n\
    Message-ID: <one@verhagen.example>\r\n\r\nDear Alice,\r\n\r\nthe 14th suits us <b>well</b>.\r\n";
const HOSTILE: &str = "From: Eve <eve@evil.example>\r\nTo: alice@alice.example\r\nSubject: =?utf-8?q?=3Cscript=3Ealert(1)=3C/script=3E?=\r\n\
    MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n\
    <script>alert(2)</script><p style=\"position:fixed\">Hello</p><img src=\"https://tracker.example/p.gif\"><form action=\"/logout\"></form>\r\n\
    --b\r\nContent-Type: text/html; name=\"evil.html\"\r\nContent-Disposition: attachment; filename=\"evil.html\"\r\n\r\n\
    <script>alert(3)</script>\r\n--b--\r\n";

/// Delivers a message to the inbox and gives its place: `folder/uid`.
pub(crate) async fn deliver(node: &Node, text: impl AsRef<[u8]>) -> String {
    let inbox = mailbox::special_folder(node, SpecialUse::Inbox).unwrap().unwrap();
    let blob = node.blobs.put(text.as_ref()).unwrap();
    let delivery = Delivery {
        folder: inbox.id,
        blob,
        id: IdempotencyKey::new(node),
        internal_date: node.clock.now(),
        flags: Flags::default(),
    };
    let message = mailbox::deliver(node, delivery).await.unwrap();
    format!("{}/{}", inbox.id.0, message.uid)
}

/// The document in the first frame of the page of a message.
async fn frame_of(owner: &mut Browser, place: &str) -> Seen {
    let page = owner.get(&format!("/home/mail/{place}")).await;
    let address = page.all("iframe")[0].attr("src").to_owned();
    owner.get(&address).await
}

#[tokio::test]
async fn uuencoded_file_is_saved_by_its_name() {
    let alice = TestNode::new("alice").await;
    let code = "begin 664 test.txt\r\n#0V%T\r\n`\r\nend\r\n";
    let place = deliver(&alice, format!("Subject: x\r\n\r\none\r\n{code}two\r\n")).await;
    let mut owner = Browser::owner(&alice).await;
    let page = owner.get(&format!("/home/mail/{place}")).await;
    let address = format!("/home/mail/{place}/files/0u0");
    assert!(page.one(&format!("a[href='{address}']")).text().contains("test.txt"));
    assert!(!page.one("article .message").text().contains("begin"));
    let file = owner.get(&address).await;
    assert_eq!(file.text(), "Cat");
    assert!(file.header("content-disposition").ends_with("test.txt"));
    let missing = owner.get(&format!("/home/mail/{place}/files/0u1")).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn plain_message_is_listed_read_and_counted() {
    let alice = TestNode::new("alice").await;
    let place = deliver(&alice, PLAIN).await;
    let mut owner = Browser::owner(&alice).await;
    let path = format!("/home/mail/{place}");
    let unread = format!(".messages a.unread[href='{path}']");
    let list = owner.get("/home/mail").await;
    let row = list.one(&unread).text();
    assert!(row.contains("Joost Verhagen") && row.contains("The survey"), "{row}");
    let count = "nav a[href='/home/mail'] .new";
    assert!(list.one(count).text().starts_with("1 "), "one unread message");
    let page = owner.get(&path).await;
    let text = page.one("article .message").text();
    assert!(text.contains("the 14th suits us <b>well</b>."), "{text}");
    assert!(!page.has("iframe") && !page.has("article .message b"));
    let list = owner.get("/home/mail").await;
    assert!(!list.has(&unread) && !list.has(count));
    owner.post(&format!("{path}/unread"), &[]).await;
    assert!(owner.get("/home/mail").await.has(&unread));
    assert_eq!(owner.get(&format!("/home/mail/{place}/original")).await.text(), PLAIN);
}

#[tokio::test]
async fn hostile_html_neither_runs_nor_loads_anything() {
    let alice = TestNode::new("alice").await;
    let place = deliver(&alice, HOSTILE).await;
    let mut owner = Browser::owner(&alice).await;
    let page = owner.get(&format!("/home/mail/{place}")).await;
    let names: Vec<_> = page.all("script").iter().map(|s| s.attr("src").to_owned()).collect();
    let ours = ["/assets/message.", "/assets/mailbox."];
    assert!(names.len() == 2 && names.iter().zip(ours).all(|(a, b)| a.starts_with(b)), "{names:?}");
    let sandbox = "allow-same-origin allow-popups allow-popups-to-escape-sandbox";
    assert_eq!(page.one("iframe").attr("sandbox"), sandbox);
    assert!(page.has("[data-notice='remote-images']"));
    assert!(page.header("content-security-policy").contains("frame-src 'self'"));
    let frame = frame_of(&mut owner, &place).await;
    for bad in ["script", "position", "tracker", "<form"] {
        assert!(!frame.text().contains(bad), "{bad}");
    }
    let policy = frame.header("content-security-policy");
    assert!(
        policy.contains("sandbox allow-same-origin allow-popups")
            && !policy.contains("script")
            && policy.contains("frame-ancestors 'self'")
            && policy.contains("img-src 'self' data:;"),
        "{policy}"
    );
    let file = owner.get(page.one("article .rows a").attr("href")).await;
    assert_eq!(file.header("content-type"), "application/octet-stream");
    assert_eq!(file.header("content-disposition"), "attachment; filename*=UTF-8''evil.html");
    assert_eq!(
        owner.get(&format!("/home/mail/{place}/files/9")).await.status,
        StatusCode::NOT_FOUND
    );
}

/// A message with plain text and with `html`.
fn alternative(html: &str) -> String {
    let part = |subtype: &str, content: &str| {
        format!("--b\r\nContent-Type: text/{subtype}; charset=utf-8\r\n\r\n{content}\r\n")
    };
    let head = "From: Eve <eve@evil.example>\r\nTo: alice@alice.example\r\nSubject: tall\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/alternative; boundary=b\r\n\r\n";
    format!("{head}{}{}--b--\r\n", part("plain", "the same in <words>"), part("html", html))
}

#[tokio::test]
async fn deeply_nested_html_is_normalised() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let tower = format!("{}the top", "<div>".repeat(40_000));
    let place = deliver(&alice, &alternative(&tower)).await;
    assert!(owner.get(&format!("/home/mail/{place}")).await.has("iframe"));
    let frame = frame_of(&mut owner, &place).await.text();
    assert!(
        frame.contains("the top") && frame.matches("<div>").count() <= 250,
        "{} bytes",
        frame.len()
    );
}

#[tokio::test]
async fn html_over_its_limit_is_shown_as_plain_text() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for html in ["<b>x</b>".repeat(60_000), "long ".repeat(300_000)] {
        let place = deliver(&alice, &alternative(&html)).await;
        let page = owner.get(&format!("/home/mail/{place}")).await;
        assert!(page.one("article .message").text().contains("the same in <words>"));
        assert!(page.has("[data-notice='text-only']") && !page.has("iframe"), "{}", page.text());
        assert_eq!(
            owner.get(&format!("/home/mail/{place}/html/2")).await.status,
            StatusCode::NOT_FOUND
        );
        assert!(owner.get(&format!("/home/mail/{place}/original")).await.text().contains("--b--"));
    }
}

#[tokio::test]
async fn strangers_cannot_read_a_message() {
    let alice = TestNode::new("alice").await;
    let place = deliver(&alice, PLAIN).await;
    let mut stranger = Browser::stranger(&alice);
    for end in ["", "/html/0", "/original", "/files/0"] {
        let seen = stranger.get(&format!("/home/mail/{place}{end}")).await;
        assert!(seen.location().starts_with("/login"), "{end}");
    }
}

#[tokio::test]
async fn message_is_moved_to_another_folder() {
    let alice = TestNode::new("alice").await;
    let place = deliver(&alice, PLAIN).await;
    let mut owner = Browser::owner(&alice).await;
    let seen = owner.post(&format!("/home/mail/{place}/move"), &[("to", "archive")]).await;
    assert!(seen.location().starts_with("/home/mail/"));
    let archive = mailbox::special_folder(&alice, SpecialUse::Archive).unwrap().unwrap();
    assert_eq!(archive.total, 1);
    assert!(owner.get(&format!("/home/mail/{}", archive.id.0)).await.text().contains("The survey"));
    assert_eq!(
        owner.post(&format!("/home/mail/{place}/move"), &[("to", "nowhere")]).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn reply_is_queued_threaded_and_copied_to_sent() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let place = deliver(&alice, PLAIN).await;
    let mut owner = Browser::owner(&alice).await;
    let form = owner.get(&format!("/home/mail/write?reply={}", place.replace('/', "."))).await;
    assert_eq!(form.field("to"), "joost@verhagen.example");
    assert_eq!(form.field("subject"), "Re: The survey");
    let reply = place.replace('/', ".");
    let fields = [
        ("to", "Joost <joost@verhagen.example>"),
        ("subject", "Re: The survey\r\nBcc: x@evil.example"),
        ("text", "Good.\r\n.\r\nAlice"),
        ("reply", &reply),
    ];
    let sent = owner.post("/home/mail/write", &fields).await;
    assert!(owner.get(&sent.location()).await.text().contains("Joost"));
    let due = mailbox::due(&alice, alice.clock.now(), 10).unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(
        (due[0].from.as_str(), due[0].recipients[0].address.as_str()),
        ("alice@alice.example", "joost@verhagen.example")
    );
    let text =
        String::from_utf8(alice.blobs.open(&due[0].blob).unwrap().read_all(100_000).unwrap())
            .unwrap();
    assert!(
        text.contains("In-Reply-To: <one@verhagen.example>") && !text.contains("\r\nBcc:"),
        "{text}"
    );
}

#[tokio::test]
async fn message_to_an_invalid_address_is_sent_back() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for to in ["", "dora", "dora@finch.example, <x y>"] {
        let seen = owner.post("/home/mail/write", &[("to", to), ("text", "Dear Dora")]).await;
        seen.fault("to");
        assert_eq!((seen.field("to").as_str(), seen.field("text").as_str()), (to, "Dear Dora"));
    }
}

#[tokio::test]
async fn message_form_sent_twice_is_queued_once() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mut owner = Browser::owner(&alice).await;
    let key = owner.get("/home/mail/write").await.field("key");
    for (text, queued) in [("Dear Dora", 1), ("Dear Dora", 1), ("Dear Dora, a word more", 2)] {
        let fields =
            [("to", "dora@finch.example"), ("subject", "Tides"), ("text", text), ("key", &key)];
        assert!(
            owner.post("/home/mail/write", &fields).await.location().starts_with("/home/mail/")
        );
        assert_eq!(mailbox::due(&alice, alice.clock.now(), 10).unwrap().len(), queued);
    }
    assert_eq!(mailbox::special_folder(&alice, SpecialUse::Sent).unwrap().unwrap().total, 2);
}

/// The bytes of a picture, in base64.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAA";

#[tokio::test]
async fn only_enclosed_pictures_are_shown() {
    let alice = TestNode::new("alice").await;
    let text = format!(
        "From: e@evil.example\r\nTo: alice@alice.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/html\r\n\r\n<p>See <img src=\"cid:hill%40x\" alt=\"the hill\"> <img src=\"cid:code@x\" alt=\"not this\">\
         <img src=\"cid:none@x\" alt=\"nor this\"> <img src=\"data:image/png;base64,AAAA\" alt=\"nor that\"> <a href=\"cid:hill@x\">c</a>\
         <img src=\"/home/mail/1/1/pictures/2\" alt=\"no address of ours\"><img src=\"hill.png\">\r\n\
         --b\r\nContent-Type: application/octet-stream\r\nContent-ID: <hill@x>\r\nContent-Transfer-Encoding: base64\r\n\r\n{PNG}\r\n\
         --b\r\nContent-Type: image/png\r\nContent-ID: <code@x>\r\n\r\n<svg onload=alert(1)>\r\n\
         --b\r\nContent-Type: image/png\r\nContent-Location: hill.png\r\nContent-Transfer-Encoding: base64\r\n\r\n{PNG}\r\n\
         --b\r\nContent-Type: image/png; name=unused.png\r\nContent-ID: <unused@x>\r\nContent-Transfer-Encoding: base64\r\n\r\n{PNG}\r\n--b--\r\n"
    );
    let place = deliver(&alice, &text).await;
    let mut owner = Browser::owner(&alice).await;
    let frame = frame_of(&mut owner, &place).await;
    let policy = frame.header("content-security-policy").to_owned();
    assert!(
        policy.starts_with("default-src 'none';")
            && policy.contains("img-src 'self' data:;")
            && policy.contains("sandbox "),
        "{policy}"
    );
    let text = frame.text();
    for word in ["nor this", "not this", "no address of ours"] {
        assert!(text.contains(word), "{word} in {text}");
    }
    assert!(!text.contains("cid:") && !text.contains("svg"), "{text}");
    let pictures: Vec<String> =
        frame.all("img").iter().map(|img| img.attr("src").to_owned()).collect();
    let (data, pictures): (Vec<String>, Vec<String>) =
        pictures.into_iter().partition(|source| source.starts_with("data:"));
    assert_eq!((data.len(), pictures.len()), (1, 2), "{text}");
    // The frame sends no cookie.
    let mut stranger = Browser::stranger(&alice);
    for address in &pictures {
        let picture = stranger.get(address).await;
        assert_eq!(picture.header("content-type"), "image/png");
        assert_eq!(picture.header("cross-origin-resource-policy"), "cross-origin");
        let (path, key) = address.split_once("?key=").unwrap();
        let mut wrong = key.to_owned();
        wrong.replace_range(..1, if key.starts_with('0') { "1" } else { "0" });
        for refused in [path.to_owned(), format!("{path}?key={wrong}"), format!("{path}?key=")] {
            assert_eq!(stranger.get(&refused).await.status, StatusCode::NOT_FOUND, "{refused}");
        }
    }
    alice.clock.advance(3 * 86_400_000);
    assert_eq!(stranger.get(&pictures[0]).await.status, StatusCode::NOT_FOUND);
    let page = owner.get(&format!("/home/mail/{place}")).await;
    let files: Vec<String> = page.all("article .rows a").iter().map(|a| a.text()).collect();
    assert!(files.contains(&"unused.png".to_owned()) && files.len() == 2, "{files:?}");
}

#[tokio::test]
async fn frame_is_as_high_as_its_content() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let mut height = async |html: &str| -> u32 {
        let text = format!("From: e@evil.example\r\nContent-Type: text/html\r\n\r\n{html}");
        let place = deliver(&alice, &text).await;
        let page = owner.get(&format!("/home/mail/{place}")).await;
        page.one("iframe").attr("height").parse().unwrap()
    };
    let (short, long) = (height("<p>Yes.").await, height(&"<p>Yes.</p>".repeat(50)).await);
    assert!(short < 200 && long > 2000, "{short}, {long}");
    assert!(height(&"<br>".repeat(40_000)).await <= 12_000);
}

#[tokio::test]
async fn sent_message_shows_the_state_of_each_recipient() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mut owner = Browser::owner(&alice).await;
    let sent = owner
        .post(
            "/home/mail/write",
            &[
                ("to", "dora@finch.example, per@x.example"),
                ("subject", "Picnic"),
                ("text", "Dear both"),
            ],
        )
        .await
        .location();
    let is_queued = ".messages b.new";
    let list = owner.get(&sent).await;
    assert!(list.has(is_queued), "{}", list.text());
    let page = owner.get(&format!("{sent}/1")).await;
    let states = page.all("#delivery [data-state='new']");
    assert_eq!(states.len(), 2);
    assert!(states[0].text().contains("dora@finch.example"));
    assert!(page.has("article[data-origin='own']"));
    let reply = page.one("a[href^='/home/mail/write?reply=']").attr("href").to_owned();
    let form = owner.get(&reply).await;
    assert_eq!(form.field("to"), "dora@finch.example, per@x.example", "not to oneself");
    let id = mailbox::due(&alice, alice.clock.now(), 9).unwrap()[0].id;
    let later = mailbox::Outcome::Later {
        at: freehold_core::clock::Timestamp(alice.clock.now().0 + 20 * 60_000),
        reply: "4.2.1 <busy>".into(),
    };
    let outcomes = vec![
        ("dora@finch.example".into(), later),
        ("per@x.example".into(), mailbox::Outcome::Failed("no such user".into())),
    ];
    mailbox::record_outcomes(&alice, id, outcomes).await.unwrap();
    let page = owner.get(&format!("{sent}/1")).await;
    let waiting = page.one("#delivery [data-state='waiting']").text();
    for part in ["dora@finch.example", "20", "4.2.1 <busy>"] {
        assert!(waiting.contains(part), "{part} in {waiting}");
    }
    let failed = page.one("#delivery [data-state='failed']").text();
    assert!(failed.contains("per@x.example") && failed.contains("no such user"), "{failed}");
    mailbox::record_outcomes(
        &alice,
        id,
        vec![("dora@finch.example".into(), mailbox::Outcome::Delivered("ok".into()))],
    )
    .await
    .unwrap();
    let list = owner.get(&sent).await;
    assert!(!list.has(is_queued) && list.has("[data-failed]"));
    let page = owner.get(&format!("{sent}/1")).await;
    assert!(page.has("[data-notice='not-delivered']"));
    // The report names the message, and there is nobody to answer it.
    let inbox = mailbox::special_folder(&alice, SpecialUse::Inbox).unwrap().unwrap().id.0;
    let report = owner.get(&format!("/home/mail/{inbox}/1")).await;
    assert!(report.one("h1.subject").text().contains("Picnic"), "{}", report.text());
    assert!(!report.has("a[href^='/home/mail/write?reply=']"));
}

#[tokio::test]
async fn unknown_local_address_is_refused_and_form_kept() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let seen = owner
        .post("/home/mail/write", &[("to", "alcie@Alice.example"), ("text", "Note to myself")])
        .await;
    assert!(seen.fault("to").contains("alcie@Alice.example"));
    assert_eq!(seen.field("text"), "Note to myself");
}

#[tokio::test]
async fn each_empty_folder_has_its_own_explanation() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let mut texts = HashSet::new();
    for special in [SpecialUse::Inbox, SpecialUse::Sent, SpecialUse::Trash] {
        let folder = mailbox::special_folder(&alice, special).unwrap().unwrap();
        let page = owner.get(&format!("/home/mail/{}", folder.id.0)).await;
        texts.insert(page.one("#empty-folder").text());
    }
    assert_eq!((texts.len(), texts.contains("")), (3, false), "{texts:?}");
}

#[tokio::test]
async fn message_is_deleted_for_good_from_the_bin_only() {
    let alice = TestNode::new("alice").await;
    let place = deliver(&alice, PLAIN).await;
    let mut owner = Browser::owner(&alice).await;
    let bin = mailbox::special_folder(&alice, SpecialUse::Trash).unwrap().unwrap().id;
    let (inbox, delete) = (place.split('/').next().unwrap(), format!("/home/mail/{place}/delete"));
    for path in [&delete, &format!("/home/mail/{inbox}/empty"), &"/home/mail/999/empty".to_owned()]
    {
        assert_eq!(owner.post(path, &[]).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let page = owner.get(&format!("/home/mail/{place}")).await;
    let form = |action: &str| format!("form[action='/home/mail/{action}']");
    let (empty, of_inbox) = (form(&format!("{}/empty", bin.0)), form(&format!("{inbox}/empty")));
    assert!(!page.has(&form(&format!("{place}/delete"))) && !page.has(&of_inbox));
    for _ in 0..3 {
        deliver(&alice, PLAIN).await;
    }
    for uid in 1..=4 {
        owner.post(&format!("/home/mail/{inbox}/{uid}/move"), &[("to", "trash")]).await;
    }
    let (list, total) =
        (format!("/home/mail/{}", bin.0), || mailbox::folder(&alice, bin).unwrap().unwrap().total);
    assert_eq!(total(), 4);
    let page = owner.get(&format!("{list}/2")).await;
    assert!(page.has(&format!("details {}", form(&format!("{}/2/delete", bin.0)))));
    assert_eq!(owner.post(&format!("{list}/2/delete"), &[]).await.location(), list);
    assert_eq!(total(), 3);
    assert!(owner.get(&list).await.has(&empty));
    assert_eq!(owner.post(&format!("{list}/empty"), &[]).await.location(), list);
    assert_eq!(total(), 0);
    assert!(!owner.get(&list).await.has(&empty));
}

#[tokio::test]
async fn owner_chooses_when_the_bin_is_emptied() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let chosen = "form[action='/home/settings/bin'] option[selected]";
    assert_eq!(owner.get("/home/settings").await.one(chosen).attr("value"), "");
    for days in ["30", "45", ""] {
        let saved = owner.post("/home/settings/bin", &[("days", days)]).await;
        assert_eq!(saved.location(), "/home/settings");
        assert_eq!(owner.get("/home/settings").await.one(chosen).attr("value"), days);
    }
    let wrong = owner.post("/home/settings/bin", &[("days", "many")]).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
}
