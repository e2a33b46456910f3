//! Posts: drafts, publishing, editing, withdrawing; the public pages and the feed.

use axum::http::StatusCode;
use freehold_core::audience::Visitor;
use freehold_core::posts::{self, Draft, Found};
use freehold_core::publish;
use freehold_core::testing::TestNode;

use crate::browser::{Browser, Seen};

const TEXT: &str = "On the first Monday I row out.\r\n\r\n## The field book\r\n\r\nIt is *legible*. <script>alert(1)</script>";

/// Publishes a post with the form and gives its path.
async fn publish(owner: &mut Browser, title: &str, text: &str) -> String {
    owner
        .post("/home/write", &[("title", title), ("text", text), ("intent", "publish")])
        .await
        .location()
}

/// Checks that the form was sent back with a fault, and gives its text.
#[track_caller]
fn post_fault(seen: &Seen) -> String {
    assert_eq!(seen.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", seen.text());
    let text = seen.one("#fault[role='alert']").text();
    assert!(!text.is_empty());
    text
}

#[tokio::test]
async fn published_post_is_public() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let mut visitor = Browser::stranger(&alice);
    assert!(visitor.get("/").await.has("#no-posts"));
    let path = publish(&mut owner, "The mud remembers", TEXT).await;
    assert_eq!(path, "/2026/the-mud-remembers");
    let post = visitor.get(&path).await;
    assert_eq!(post.one(".post em").text(), "legible");
    assert_eq!(post.one(".post h2").text(), "The field book");
    assert!(!post.text().contains("<script"));
    let edit = "a[href^='/home/write/']";
    assert!(!post.has(edit), "a stranger gets no link to the edit page");
    let front = visitor.get("/").await;
    let lead = front.one("h1[dir='auto'] a[href='/2026/the-mud-remembers']");
    assert_eq!((lead.text().as_str(), front.has("#no-posts")), ("The mud remembers", false));
    assert!(owner.get(&path).await.has(edit));
}

#[tokio::test]
async fn draft_is_found_by_its_owner_only() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let draft_page = owner
        .post("/home/write", &[("title", "Six stakes"), ("text", "soon"), ("intent", "draft")])
        .await
        .location();
    assert!(owner.get(&draft_page).await.text().contains("Six stakes"));
    let mut visitor = Browser::stranger(&alice);
    let (draft, nothing) =
        (visitor.get("/2026/six-stakes").await, visitor.get("/2026/six-snakes").await);
    assert_eq!((draft.status, nothing.status), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
    assert_eq!(
        draft.text().replace("six-stakes", ""),
        nothing.text().replace("six-snakes", ""),
        "the same response"
    );
    assert_eq!(draft.headers, nothing.headers);
    for page in ["/", "/feed.atom", "/writing"] {
        assert!(!visitor.get(page).await.text().contains("Six stakes"), "{page}");
    }
}

#[tokio::test]
async fn preview_saves_nothing() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let seen = owner
        .post(
            "/home/write",
            &[
                ("title", "T"),
                ("text", "**bold** <img src=x onerror=alert(1)>"),
                ("intent", "preview"),
            ],
        )
        .await;
    assert_eq!(seen.one("#preview strong").text(), "bold");
    assert!(!seen.has("#preview img"));
    assert!(posts::drafts(&alice).unwrap().is_empty());
}

#[tokio::test]
async fn edit_is_public_at_once_and_old_slug_redirects() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let mut visitor = Browser::stranger(&alice);
    let path = publish(&mut owner, "First", "one").await;
    assert!(visitor.get(&path).await.text().contains("one"));
    let Some(Found::Here(post)) = posts::by_slug(&alice, &Visitor::Owner, "first").unwrap() else {
        panic!("no post")
    };
    alice.clock.advance(1000);
    let moved = owner
        .post(
            &format!("/home/write/{}", post.id),
            &[("title", "Second"), ("text", "two"), ("slug", "second"), ("intent", "edit")],
        )
        .await;
    assert_eq!(moved.location(), "/2026/second");
    assert!(visitor.get("/2026/second").await.text().contains("two"));
    assert_eq!(visitor.get(&path).await.location(), "/2026/second");
    assert_eq!(visitor.get("/2019/second").await.location(), "/2026/second");
    assert_eq!(visitor.get("/nonsense/second").await.status, StatusCode::NOT_FOUND);
    owner.post(&format!("/home/write/{}/withdraw", post.id), &[]).await;
    assert_eq!(visitor.get("/2026/second").await.status, StatusCode::NOT_FOUND);
    assert!(!visitor.get("/").await.text().contains("Second"));
}

#[tokio::test]
async fn refused_post_is_sent_back_with_its_text() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    publish(&mut owner, "Taken", "text").await;
    let empty =
        owner.post("/home/write", &[("title", ""), ("text", ""), ("intent", "publish")]).await;
    let empty = post_fault(&empty);
    let taken = owner
        .post(
            "/home/write",
            &[("title", "Other"), ("text", "my words"), ("slug", "taken"), ("intent", "publish")],
        )
        .await;
    assert_ne!(post_fault(&taken), empty, "each cause has its own text");
    assert_eq!((taken.field("text").as_str(), taken.field("slug").as_str()), ("my words", "taken"));
    assert_eq!(
        owner.get("/home/write/00000000000000000000000000000000").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn atom_feed_is_complete_with_stable_ids() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    publish(&mut owner, "Tide & time", "See [this](/photos) and <b>that</b>.").await;
    let seen = Browser::stranger(&alice).get("/feed.atom").await;
    assert_eq!(seen.header("content-type"), "application/atom+xml; charset=utf-8");
    let feed = seen.text();
    assert!(feed.starts_with("<?xml version=\"1.0\" encoding=\"utf-8\"?>"), "{feed}");
    let person = alice.identity.person().unwrap();
    for part in [
        format!("<id>urn:freehold:{person}</id>"),
        "<title>Tide &#38; time</title>".to_owned(),
        "href=\"http://alice.localhost:8080/2026/tide-time\"".to_owned(),
        "<updated>2026-05-01T12:00:00Z</updated>".to_owned(),
        "&#60;a href=&#34;http://alice.localhost:8080/photos&#34;".to_owned(),
    ] {
        assert!(feed.contains(&part), "{part} not in {feed}");
    }
}

#[tokio::test]
async fn posts_are_paged_to_the_end() {
    let alice = TestNode::new("alice").await;
    for number in 0..45 {
        alice.clock.advance(1000);
        let draft =
            Draft { title: format!("Post {number:02}."), text: "words".into(), ..Draft::default() };
        let draft = posts::save_draft(&alice, draft).await.unwrap();
        publish::saved_post(&alice, draft.id).await.unwrap();
    }
    let mut visitor = Browser::stranger(&alice);
    let (mut path, mut seen) = ("/".to_owned(), 0);
    loop {
        let page = visitor.get(&path).await;
        seen += page.text().matches("Post ").count();
        match page.all("a[href^='/writing?before=']").first() {
            Some(next) => path = next.attr("href").to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, 45);
    assert_eq!(visitor.get("/writing?before=nonsense").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn stale_revision_is_refused_and_its_text_kept() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let draft = owner
        .post("/home/write", &[("title", "Tide"), ("text", "one"), ("intent", "draft")])
        .await
        .location();
    for intent in ["draft", "publish", "edit"] {
        let opened = owner.get(&draft).await.field("revision");
        let words = format!("the first window, to {intent}");
        owner
            .post(
                &draft,
                &[("title", "Tide"), ("text", &words), ("revision", &opened), ("intent", intent)],
            )
            .await
            .location();
        let second = owner
            .post(
                &draft,
                &[
                    ("title", "Tide"),
                    ("text", "the second"),
                    ("revision", &opened),
                    ("intent", intent),
                ],
            )
            .await;
        post_fault(&second);
        assert_eq!(second.field("text"), "the second", "{intent}");
        assert!(owner.get(&draft).await.text().contains(&words), "nothing is lost");
        let newest = second.field("revision");
        assert_ne!(newest, opened, "sent again, the form replaces the other version");
        let again = owner
            .post(
                &draft,
                &[
                    ("title", "Tide"),
                    ("text", "the second"),
                    ("revision", &newest),
                    ("intent", "edit"),
                ],
            )
            .await;
        assert!(
            again.status.is_redirection() && owner.get(&draft).await.text().contains("the second"),
            "{intent}"
        );
    }
    assert!(Browser::stranger(&alice).get("/2026/tide").await.text().contains("the second"));
    // A preview keeps the revision of the opened form, not the newest.
    let opened = owner.get(&draft).await.field("revision");
    owner
        .post(
            &draft,
            &[("title", "Tide"), ("text", "three"), ("revision", &opened), ("intent", "edit")],
        )
        .await
        .location();
    let preview = owner
        .post(
            &draft,
            &[("title", "Tide"), ("text", "four"), ("revision", &opened), ("intent", "preview")],
        )
        .await;
    assert_eq!(preview.field("revision"), opened);
    // Withdrawn meanwhile: the form is sent back as that of a new post.
    owner.post(&format!("{draft}/withdraw"), &[]).await.location();
    let gone = owner
        .post(
            &draft,
            &[("title", "Tide"), ("text", "five"), ("revision", &opened), ("intent", "edit")],
        )
        .await;
    post_fault(&gone);
    assert!(gone.has("form[action='/home/write']") && !gone.has("[name='revision']"));
    assert_eq!((gone.field("text").as_str(), gone.field("id").len()), ("five", 32));
}

#[tokio::test]
async fn post_form_sent_twice_publishes_once() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let mut changed_faults = Vec::new();
    for (intent, title, path) in [("publish", "Twice", "/2026/twice"), ("draft", "Begun", "")] {
        let id = owner.open("/home/write").await.field("id");
        let form =
            [("title", title), ("text", "said once"), ("id", id.as_str()), ("intent", intent)];
        let first = owner.post("/home/write", &form).await.location();
        assert!(path.is_empty() || first == path, "{first}");
        assert_eq!(owner.post("/home/write", &form).await.location(), first);
        // The back button and another text: that text is not lost.
        let other = owner
            .post(
                "/home/write",
                &[("title", title), ("text", "other words"), ("id", &id), ("intent", intent)],
            )
            .await;
        changed_faults.push(post_fault(&other));
        assert_eq!(other.field("text"), "other words");
        assert!(other.has(&format!("form[action='/home/write/{id}']")));
    }
    assert_eq!(posts::published(&alice, &Visitor::Owner, None, 10).unwrap().len(), 1);
    assert_eq!(posts::drafts(&alice).unwrap().len(), 1);
    // A post whose slug is taken is not stored, however often its form is sent.
    let id = owner.open("/home/write").await.field("id");
    let form = [
        ("title", "Third"),
        ("text", "words"),
        ("slug", "twice"),
        ("id", id.as_str()),
        ("intent", "publish"),
    ];
    for _ in 0..2 {
        let taken = owner.post("/home/write", &form).await;
        let fault = post_fault(&taken);
        assert!(!changed_faults.contains(&fault), "each cause has its own text: {fault}");
    }
    assert_eq!(posts::drafts(&alice).unwrap().len(), 1);
}

#[tokio::test]
async fn redirect_percent_encodes_other_scripts() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let path = publish(&mut owner, "Прилив и время", "text").await;
    assert!(
        path.is_ascii() && path.starts_with("/2026/%D0%9F") | path.starts_with("/2026/%D0%BF"),
        "{path}"
    );
    assert_eq!(Browser::stranger(&alice).get(&path).await.status, StatusCode::OK);
}

#[tokio::test]
async fn empty_post_is_neither_saved_nor_published() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for (title, intent) in [("", "publish"), ("", "draft"), ("A title alone", "publish")] {
        let seen = owner
            .post("/home/write", &[("title", title), ("text", " \r\n"), ("intent", intent)])
            .await;
        post_fault(&seen);
        assert_eq!(seen.field("title"), title);
    }
    assert!(posts::drafts(&alice).unwrap().is_empty());
    // A draft whose text was deleted can still be found, opened and deleted.
    let begun = posts::save_draft(&alice, Draft { title: "Later".into(), ..Draft::default() })
        .await
        .unwrap();
    posts::save_draft(&alice, Draft { id: Some(begun.id), ..Draft::default() }).await.unwrap();
    let path = format!("/home/write/{}", begun.id);
    let link = format!("main a[href='{path}']");
    for page in ["/home/write", "/home?write=1"] {
        assert!(!owner.open(page).await.one(&link).text().is_empty(), "{page}: a link has a text");
    }
    let withdraw = format!("{path}/withdraw");
    assert!(owner.get(&path).await.has(&format!("form[action='{withdraw}']")));
    assert_eq!(owner.post(&withdraw, &[]).await.location(), "/home/write");
    assert!(posts::drafts(&alice).unwrap().is_empty());
}

#[tokio::test]
async fn post_limits_are_shown_in_characters() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let page = owner.open("/home/write").await;
    assert!(page.one("#title-hint").text().contains("250"));
    assert!(!page.one("#text-hint").text().is_empty());
    let long = owner
        .post("/home/write", &[("title", &"ш".repeat(251)), ("text", "x"), ("intent", "publish")])
        .await;
    let long = post_fault(&long);
    assert!(long.contains("251") && long.contains("250"), "{long}");
    let longer = owner
        .post(
            "/home/write",
            &[("title", ""), ("text", &"word ".repeat(13_000)), ("intent", "publish")],
        )
        .await;
    let longer = post_fault(&longer);
    assert!(longer.contains("64999") && longer.contains("60000"), "{longer}");
    let other = [("text", &*"ш".repeat(40_000)), ("intent", "publish")];
    let other = post_fault(&owner.post("/home/write", &other).await);
    assert!(other.contains("40000") && other.contains("30000"), "no bytes: {other}");
}

#[tokio::test]
async fn too_long_texts_come_back_whole() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    // Each line end is three bytes of the form.
    let long = format!("{}x", "line\n".repeat(200_000));
    let line = "w".repeat(1_000_000);
    let to = ("to", "bob@bob.example");
    for (path, fields, name) in [
        ("/home", vec![("text", &*long)], "text"),
        ("/home/write", vec![("title", "T"), ("text", &long), ("intent", "draft")], "text"),
        ("/home/write", vec![("title", "T"), ("text", &long), ("intent", "preview")], "text"),
        ("/home/write", vec![("title", &line), ("text", "x"), ("intent", "publish")], "title"),
        ("/home/settings", vec![("name", "A"), ("about", &long)], "about"),
        ("/home/settings", vec![("name", "A"), ("strapline", &line)], "strapline"),
        ("/home/settings", vec![("name", &line), ("about", "kept")], "name"),
        ("/home/mail/write", vec![to, ("subject", &line), ("text", "x")], "subject"),
        ("/home/friends/invite", vec![("label", &line)], "label"),
        ("/home/settings/apps", vec![("label", &line)], "label"),
    ] {
        let seen = owner.post(path, &fields).await;
        let fault = seen.fault(name);
        assert!(fault.contains("1000"), "its length: {fault}");
        for (name, value) in fields.iter().filter(|(name, _)| *name != "intent") {
            assert!(seen.field(name) == *value, "{path} {name}");
        }
    }
    let longer = format!("{long}{}", "b".repeat(100_000));
    let seen = owner.post("/home/mail/write", &[to, ("subject", "s"), ("text", &longer)]).await;
    assert!(seen.fault("text").contains("1100001"));
    assert!(seen.field("text") == longer);
    let words = "w".repeat(300);
    let seen = owner.get(&format!("/home/posts?words={words}")).await;
    assert!(seen.shown_fault("words").contains("300") && seen.field("words") == words);
}

#[tokio::test]
async fn preview_button_jumps_to_the_preview() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let button = "button[value='preview'][formaction='/home/write#preview']";
    assert!(owner.open("/home/write").await.has(button));
    let seen = owner.post("/home/write", &[("text", "words"), ("intent", "preview")]).await;
    assert!(seen.has("#preview"));
}

#[tokio::test]
async fn not_found_suggests_pages_of_the_viewer() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for path in ["/home/nonsense", "/home/write/00000000000000000000000000000000"] {
        let seen = owner.get(path).await;
        assert_eq!(seen.status, StatusCode::NOT_FOUND);
        assert!(seen.has("body.home") && seen.has("#suggestions a[href='/home/write']"), "{path}");
    }
    let stranger = Browser::stranger(&alice).get("/home/nonsense").await;
    assert_eq!(stranger.status, StatusCode::NOT_FOUND);
    let public = "#suggestions a[href='/photos']";
    assert!(!stranger.has("body.home") && stranger.has(public));
    assert!(!stranger.has("#suggestions a[href^='/home']"));
    assert!(owner.get("/nonsense").await.has(public));
}
