//! Letters in the browser, kind ones and hostile ones.

use axum::http::StatusCode;
use freehold_core::blobs::AtRest;
use freehold_core::mailbox::{self, Delivery, DeliveryId, Flags, SpecialUse};
use freehold_core::node::Node;
use freehold_core::testing::TestNode;

use crate::browser::Browser;

const PLAIN: &str = "From: Joost Verhagen <joost@verhagen.example>\r\nTo: Alice <alice@alice.example>\r\nSubject: The survey\r\n\
    Message-ID: <one@verhagen.example>\r\n\r\nDear Alice,\r\n\r\nthe 14th suits us <b>well</b>.\r\n";
const HOSTILE: &str = "From: Eve <eve@evil.example>\r\nTo: alice@alice.example\r\nSubject: =?utf-8?q?=3Cscript=3Ealert(1)=3C/script=3E?=\r\n\
    MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n\
    <script>alert(2)</script><p style=\"position:fixed\">Hello</p><img src=\"https://tracker.example/p.gif\"><form action=\"/logout\"></form>\r\n\
    --b\r\nContent-Type: text/html; name=\"evil.html\"\r\nContent-Disposition: attachment; filename=\"evil.html\"\r\n\r\n\
    <script>alert(3)</script>\r\n--b--\r\n";

/// Puts a letter into the inbox and says where: `folder/uid`.
#[allow(clippy::disallowed_methods, reason = "a test may block")]
async fn arrives(node: &Node, text: &str) -> String {
    let inbox = mailbox::special_folder(node, SpecialUse::Inbox).unwrap().unwrap();
    let blob = node.blobs.put(text.as_bytes(), AtRest::Sealed).unwrap();
    let delivery = Delivery {
        folder: inbox.id,
        blob,
        id: DeliveryId::new(node),
        internal_date: node.clock.now(),
        flags: Flags::default(),
    };
    let message = mailbox::deliver(node, delivery).await.unwrap();
    format!("{}/{}", inbox.id.0, message.uid)
}

#[tokio::test]
async fn a_plain_letter_is_listed_read_and_counted() {
    let alice = TestNode::new("alice").await;
    let place = arrives(&alice, PLAIN).await;
    let mut owner = Browser::owner(&alice).await;
    let list = owner.get("/home/mail").await.text();
    assert!(
        list.contains("Joost Verhagen") && list.contains("The survey") && list.contains("Unread: ")
    );
    assert!(list.contains("<span class=\"new\">1<span class=\"hid\"> unread"));
    let letter = owner.get(&format!("/home/mail/{place}")).await;
    assert!(letter.text().contains("the 14th suits us &#60;b&#62;well&#60;/b&#62;."));
    assert!(!letter.text().contains("<iframe"));
    assert!(!owner.get("/home/mail").await.text().contains("Unread: "));
    owner.post(&format!("/home/mail/{place}/unread"), &[]).await;
    assert!(owner.get("/home/mail").await.text().contains("Unread: "));
    assert_eq!(owner.get(&format!("/home/mail/{place}/original")).await.text(), PLAIN);
}

#[tokio::test]
async fn a_hostile_letter_runs_loads_and_dresses_nothing() {
    let alice = TestNode::new("alice").await;
    let place = arrives(&alice, HOSTILE).await;
    let mut owner = Browser::owner(&alice).await;
    let page = owner.get(&format!("/home/mail/{place}")).await;
    assert!(!page.text().contains("<script"));
    assert!(page.text().contains("sandbox=\"allow-popups allow-popups-to-escape-sandbox\""));
    assert!(page.text().contains("a picture from elsewhere. It was not loaded."));
    assert!(page.header("content-security-policy").contains("frame-src 'self'"));
    let frame = owner.get(&format!("/home/mail/{place}/letter")).await;
    for bad in ["script", "position", "tracker", "<form"] {
        assert!(!frame.text().contains(bad), "{bad}");
    }
    let policy = frame.header("content-security-policy");
    assert!(
        policy.contains("sandbox allow-popups")
            && policy.contains("frame-ancestors 'self'")
            && policy.contains("img-src data:;"),
        "{policy}"
    );
    let file = owner.get(&format!("/home/mail/{place}/files/0")).await;
    assert_eq!(file.header("content-type"), "application/octet-stream");
    assert_eq!(file.header("content-disposition"), "attachment; filename*=UTF-8''evil.html");
    assert_eq!(
        owner.get(&format!("/home/mail/{place}/files/1")).await.status,
        StatusCode::NOT_FOUND
    );
}

/// A letter in plain words and in `html`.
fn both_ways(html: &str) -> String {
    let part = |kind: &str, inside: &str| {
        format!("--b\r\nContent-Type: text/{kind}; charset=utf-8\r\n\r\n{inside}\r\n")
    };
    let head = "From: Eve <eve@evil.example>\r\nTo: alice@alice.example\r\nSubject: tall\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/alternative; boundary=b\r\n\r\n";
    format!("{head}{}{}--b--\r\n", part("plain", "the same in <words>"), part("html", html))
}

#[tokio::test]
async fn a_letter_made_to_be_slow_is_shown_straightened() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let tower = format!("{}the top", "<div>".repeat(40_000));
    let place = arrives(&alice, &both_ways(&tower)).await;
    assert!(owner.get(&format!("/home/mail/{place}")).await.text().contains("<iframe"));
    let frame = owner.get(&format!("/home/mail/{place}/letter")).await.text();
    assert!(
        frame.contains("the top") && frame.matches("<div>").count() <= 250,
        "{} bytes",
        frame.len()
    );
}

#[tokio::test]
async fn a_letter_of_more_html_than_is_taken_apart_is_shown_in_its_words_and_says_so() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for html in ["<br>".repeat(60_000), "long ".repeat(300_000)] {
        let place = arrives(&alice, &both_ways(&html)).await;
        let page = owner.get(&format!("/home/mail/{place}")).await.text();
        assert!(
            page.contains("the same in &#60;words&#62;")
                && page.contains("more HTML than is taken apart here"),
            "{page}"
        );
        assert!(!page.contains("<iframe"));
        assert_eq!(
            owner.get(&format!("/home/mail/{place}/letter")).await.status,
            StatusCode::NOT_FOUND
        );
        assert!(owner.get(&format!("/home/mail/{place}/original")).await.text().contains("--b--"));
    }
}

#[tokio::test]
async fn nobody_else_reads_a_letter() {
    let alice = TestNode::new("alice").await;
    let place = arrives(&alice, PLAIN).await;
    let mut stranger = Browser::stranger(&alice);
    for end in ["", "/letter", "/original", "/files/0"] {
        let seen = stranger.get(&format!("/home/mail/{place}{end}")).await;
        assert!(seen.location().starts_with("/login"), "{end}");
    }
}

#[tokio::test]
async fn a_letter_is_carried_to_another_folder() {
    let alice = TestNode::new("alice").await;
    let place = arrives(&alice, PLAIN).await;
    let mut owner = Browser::owner(&alice).await;
    let seen = owner.post(&format!("/home/mail/{place}/move"), &[("to", "kept")]).await;
    assert!(seen.location().starts_with("/home/mail/"));
    let kept = mailbox::special_folder(&alice, SpecialUse::Archive).unwrap().unwrap();
    assert_eq!(kept.total, 1);
    assert!(owner.get(&format!("/home/mail/{}", kept.id.0)).await.text().contains("The survey"));
    assert_eq!(
        owner.post(&format!("/home/mail/{place}/move"), &[("to", "nowhere")]).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[allow(clippy::disallowed_methods, reason = "a test may block")]
#[tokio::test]
async fn an_answer_is_queued_threaded_and_kept_in_sent() {
    let alice = TestNode::new("alice").await.leaving_its_queue();
    let place = arrives(&alice, PLAIN).await;
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
    assert!(owner.get(&sent.location()).await.text().contains("joost@verhagen.example"));
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
async fn a_letter_to_no_address_comes_back_with_its_words() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for to in ["", "dora", "dora@finch.example, <x y>"] {
        let seen = owner.post("/home/mail/write", &[("to", to), ("text", "Dear Dora")]).await;
        assert_eq!(seen.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(seen.text().contains("Dear Dora") && seen.text().contains("aria-invalid"));
    }
}

#[tokio::test]
async fn a_letter_sent_twice_goes_once_and_other_words_are_another_letter() {
    let alice = TestNode::new("alice").await.leaving_its_queue();
    let mut owner = Browser::owner(&alice).await;
    let once = owner.get("/home/mail/write").await.field("once");
    for (text, queued) in [("Dear Dora", 1), ("Dear Dora", 1), ("Dear Dora, a word more", 2)] {
        let fields =
            [("to", "dora@finch.example"), ("subject", "Tides"), ("text", text), ("once", &once)];
        assert!(
            owner.post("/home/mail/write", &fields).await.location().starts_with("/home/mail/")
        );
        assert_eq!(mailbox::due(&alice, alice.clock.now(), 10).unwrap().len(), queued);
    }
    assert_eq!(mailbox::special_folder(&alice, SpecialUse::Sent).unwrap().unwrap().total, 2);
}

/// The bytes of a picture and what stands for it in a page.
const PICTURE: (&str, &str) =
    ("iVBORw0KGgoAAAANSUhEUgAA", "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA");

#[tokio::test]
async fn a_picture_of_the_letters_own_is_shown_in_the_page_itself_and_no_other() {
    let alice = TestNode::new("alice").await;
    let text = format!(
        "From: e@evil.example\r\nTo: alice@alice.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/html\r\n\r\n<p>See <img src=\"cid:hill@x\" alt=\"the hill\"> <img src=\"cid:code@x\" alt=\"not this\">\
         <img src=\"cid:none@x\" alt=\"nor this\"> <img src=\"data:image/png;base64,AAAA\" alt=\"nor that\"> <a href=\"cid:hill@x\">c</a>\r\n\
         --b\r\nContent-Type: image/png\r\nContent-ID: <hill@x>\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n\
         --b\r\nContent-Type: image/png\r\nContent-ID: <code@x>\r\n\r\n<svg onload=alert(1)>\r\n--b--\r\n",
        PICTURE.0
    );
    let place = arrives(&alice, &text).await;
    let mut owner = Browser::owner(&alice).await;
    let frame = owner.get(&format!("/home/mail/{place}/letter")).await;
    let policy = frame.header("content-security-policy").to_owned();
    assert!(
        policy.starts_with("default-src 'none';")
            && policy.contains("img-src data:;")
            && policy.contains("sandbox "),
        "{policy}"
    );
    let frame = frame.text();
    assert!(
        frame.contains(&format!("src=\"{}\"", PICTURE.1)) && frame.contains("nor that"),
        "{frame}"
    );
    assert_eq!(
        (frame.matches("data:").count(), frame.contains("cid:"), frame.contains("svg")),
        (1, false, false),
        "{frame}"
    );
    assert!(
        owner.get(&format!("/home/mail/{place}")).await.text().contains("<iframe class=\"long\"")
    );
    let short =
        arrives(&alice, "From: e@evil.example\r\nContent-Type: text/html\r\n\r\n<p>Yes.").await;
    assert!(
        owner.get(&format!("/home/mail/{short}")).await.text().contains("<iframe class=\"brief\"")
    );
}

#[tokio::test]
async fn ones_own_letter_says_how_far_it_is_and_is_not_answered() {
    let alice = TestNode::new("alice").await.leaving_its_queue();
    let mut owner = Browser::owner(&alice).await;
    let sent = owner
        .post(
            "/home/mail/write",
            &[("to", "dora@finch.example, per@x.example"), ("text", "Dear both")],
        )
        .await
        .location();
    let list = owner.get(&sent).await.text();
    assert!(list.contains(">Waits</b>"), "{list}");
    let letter = owner.get(&format!("{sent}/1")).await.text();
    assert!(
        letter.contains("Setting off to dora@finch.example.") && letter.contains(" Yours."),
        "{letter}"
    );
    assert!(!letter.contains("ordinary mail") && !letter.contains("Reply"), "{letter}");
    let id = mailbox::due(&alice, alice.clock.now(), 9).unwrap()[0].id;
    let later = mailbox::Outcome::Later {
        at: freehold_core::clock::Timestamp(alice.clock.now().0 + 20 * 60_000),
        reply: "4.2.1 <busy>".into(),
    };
    let outcomes = vec![
        ("dora@finch.example".into(), later),
        ("per@x.example".into(), mailbox::Outcome::Failed("no such user".into())),
    ];
    mailbox::record(&alice, id, outcomes).await.unwrap();
    let letter = owner.get(&format!("{sent}/1")).await.text();
    assert!(
        letter.contains("Waiting to reach dora@finch.example; tried again in 20 minutes. The answer: “4.2.1 &#60;busy&#62;”."),
        "{letter}"
    );
    assert!(
        letter.contains("Not delivered to per@x.example. The answer: “no such user”."),
        "{letter}"
    );
    mailbox::record(
        &alice,
        id,
        vec![("dora@finch.example".into(), mailbox::Outcome::Delivered("ok".into()))],
    )
    .await
    .unwrap();
    assert!(!owner.get(&sent).await.text().contains(">Waits</b>"));
}

#[tokio::test]
async fn an_address_at_home_that_nobody_has_is_refused_with_the_words_kept() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let seen = owner
        .post("/home/mail/write", &[("to", "alcie@Alice.example"), ("text", "Note to myself")])
        .await;
    assert_eq!(seen.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        seen.text().contains("Nobody lives here by the name of alcie@Alice.example.")
            && seen.text().contains("Note to myself")
    );
}

#[tokio::test]
async fn an_empty_folder_says_what_it_is_for() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for (special, says) in [
        (SpecialUse::Inbox, "What is sent to you"),
        (SpecialUse::Sent, "Nothing sent yet"),
        (SpecialUse::Trash, "The bin is empty"),
    ] {
        let folder = mailbox::special_folder(&alice, special).unwrap().unwrap();
        assert!(owner.get(&format!("/home/mail/{}", folder.id.0)).await.text().contains(says));
    }
}
