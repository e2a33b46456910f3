//! Writing, publishing, changing and taking back; what strangers see of it.

use axum::http::StatusCode;
use freehold_core::audience::Visitor;
use freehold_core::posts::{self, Draft, Found};
use freehold_core::publish;
use freehold_core::testing::TestNode;

use crate::browser::Browser;

const TEXT: &str = "On the first Monday I row out.\r\n\r\n## The field book\r\n\r\nIt is *legible*. <script>alert(1)</script>";

/// Publishes a post through the form and says where it lives.
async fn published(owner: &mut Browser, title: &str, text: &str) -> String {
    owner
        .post("/home/write", &[("title", title), ("text", text), ("then", "publish")])
        .await
        .location()
}

#[tokio::test]
async fn a_post_written_in_the_browser_is_read_by_anyone() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let mut visitor = Browser::stranger(&alice);
    assert!(visitor.get("/").await.text().contains("Nothing is written here yet."));
    let path = published(&mut owner, "The mud remembers", TEXT).await;
    assert_eq!(path, "/2026/the-mud-remembers");
    let post = visitor.get(&path).await.text();
    assert!(
        post.contains("<em>legible</em>")
            && post.contains("The field book")
            && !post.contains("<script"),
        "{post}"
    );
    assert!(!post.contains("/home/write/"), "a stranger is offered no pen");
    let front = visitor.get("/").await.text();
    assert!(
        front.contains(
            "<h1 dir=\"auto\"><a href=\"/2026/the-mud-remembers\">The mud remembers</a></h1>"
        ),
        "{front}"
    );
    assert!(owner.get(&path).await.text().contains("/home/write/"));
}

#[tokio::test]
async fn a_draft_is_found_by_nobody_but_its_owner() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let desk = owner
        .post("/home/write", &[("title", "Six stakes"), ("text", "soon"), ("then", "draft")])
        .await
        .location();
    assert!(owner.get(&desk).await.text().contains("Six stakes"));
    let mut visitor = Browser::stranger(&alice);
    let (draft, nothing) =
        (visitor.get("/2026/six-stakes").await, visitor.get("/2026/six-snakes").await);
    assert_eq!((draft.status, nothing.status), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
    assert_eq!(
        draft.text().replace("six-stakes", ""),
        nothing.text().replace("six-snakes", ""),
        "the same answer"
    );
    assert_eq!(draft.headers, nothing.headers);
    for page in ["/", "/feed.atom", "/writing"] {
        assert!(!visitor.get(page).await.text().contains("Six stakes"), "{page}");
    }
}

#[tokio::test]
async fn a_look_at_it_saves_nothing() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let seen = owner
        .post(
            "/home/write",
            &[
                ("title", "T"),
                ("text", "**bold** <img src=x onerror=alert(1)>"),
                ("then", "preview"),
            ],
        )
        .await;
    assert!(seen.text().contains("<strong>bold</strong>") && !seen.text().contains("<img src=x"));
    assert!(posts::drafts(&alice).unwrap().is_empty());
}

#[tokio::test]
async fn a_change_is_seen_at_once_and_an_old_address_leads_on() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let mut visitor = Browser::stranger(&alice);
    let path = published(&mut owner, "First", "one").await;
    assert!(visitor.get(&path).await.text().contains("one"));
    let Some(Found::Here(post)) = posts::by_slug(&alice, &Visitor::Owner, "first").unwrap() else {
        panic!("no post")
    };
    alice.clock.advance(1000);
    let moved = owner
        .post(
            &format!("/home/write/{}", post.id),
            &[("title", "Second"), ("text", "two"), ("slug", "second"), ("then", "edit")],
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
async fn what_can_not_be_kept_comes_back_with_its_words() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    published(&mut owner, "Taken", "text").await;
    let empty =
        owner.post("/home/write", &[("title", ""), ("text", ""), ("then", "publish")]).await;
    assert_eq!(empty.status, StatusCode::UNPROCESSABLE_ENTITY);
    let taken = owner
        .post(
            "/home/write",
            &[("title", "Other"), ("text", "my words"), ("slug", "taken"), ("then", "publish")],
        )
        .await;
    assert_eq!(taken.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        taken.text().contains("my words") && taken.text().contains("Another post has that address")
    );
    assert_eq!(
        owner.get("/home/write/00000000000000000000000000000000").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn the_feed_is_whole_and_its_ids_stay_when_addresses_change() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    published(&mut owner, "Tide & time", "See [this](/photos) and <b>that</b>.").await;
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
async fn the_writing_is_paged_to_its_end() {
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
        let text = visitor.get(&path).await.text();
        seen += text.matches("Post ").count();
        match text.split("href=\"").find(|part| part.starts_with("/writing?before=")) {
            Some(next) => path = next.split('"').next().unwrap().to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, 45);
    assert_eq!(visitor.get("/writing?before=nonsense").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn of_two_windows_the_second_to_save_gets_its_words_back_and_is_told() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let draft = owner
        .post("/home/write", &[("title", "Tide"), ("text", "one"), ("then", "draft")])
        .await
        .location();
    for then in ["draft", "publish", "edit"] {
        let opened = owner.get(&draft).await.field("revision");
        let words = format!("the first window, to {then}");
        owner
            .post(
                &draft,
                &[("title", "Tide"), ("text", &words), ("revision", &opened), ("then", then)],
            )
            .await
            .location();
        let second = owner
            .post(
                &draft,
                &[("title", "Tide"), ("text", "the second"), ("revision", &opened), ("then", then)],
            )
            .await;
        assert_eq!(second.status, StatusCode::UNPROCESSABLE_ENTITY, "{then}");
        assert!(
            second.text().contains("It was changed in another window meanwhile.")
                && second.text().contains("the second")
        );
        assert!(owner.get(&draft).await.text().contains(&words), "nothing is lost");
        let told = second.field("revision");
        let again = owner
            .post(
                &draft,
                &[("title", "Tide"), ("text", "the second"), ("revision", &told), ("then", "edit")],
            )
            .await;
        assert!(
            again.status.is_redirection() && owner.get(&draft).await.text().contains("the second"),
            "{then}"
        );
    }
    assert!(Browser::stranger(&alice).get("/2026/tide").await.text().contains("the second"));
    // A look keeps what was opened, not what is there now.
    let opened = owner.get(&draft).await.field("revision");
    owner
        .post(
            &draft,
            &[("title", "Tide"), ("text", "three"), ("revision", &opened), ("then", "edit")],
        )
        .await
        .location();
    let look = owner
        .post(
            &draft,
            &[("title", "Tide"), ("text", "four"), ("revision", &opened), ("then", "preview")],
        )
        .await;
    assert_eq!(look.field("revision"), opened);
    // Withdrawn meanwhile: the words come back as those of a new post.
    owner.post(&format!("{draft}/withdraw"), &[]).await.location();
    let gone = owner
        .post(
            &draft,
            &[("title", "Tide"), ("text", "five"), ("revision", &opened), ("then", "edit")],
        )
        .await;
    assert_eq!(gone.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        gone.text().contains("five")
            && gone.text().contains("action=\"/home/write\"")
            && gone.field("id").len() == 32
    );
}

#[tokio::test]
async fn a_post_sent_twice_comes_out_once() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for (then, title, path) in [("publish", "Twice", "/2026/twice"), ("draft", "Begun", "")] {
        let id = owner.get("/home/write").await.field("id");
        let form = [("title", title), ("text", "said once"), ("id", id.as_str()), ("then", then)];
        let first = owner.post("/home/write", &form).await.location();
        assert!(path.is_empty() || first == path, "{first}");
        assert_eq!(owner.post("/home/write", &form).await.location(), first);
        // Back, and other words: they are not dropped.
        let other = owner
            .post(
                "/home/write",
                &[("title", title), ("text", "other words"), ("id", &id), ("then", then)],
            )
            .await;
        assert!(
            other.text().contains("in another window") && other.text().contains("other words"),
            "{}",
            other.text()
        );
        assert!(other.text().contains(&format!("action=\"/home/write/{id}\"")));
    }
    assert_eq!(posts::published(&alice, &Visitor::Owner, None, 10).unwrap().len(), 1);
    assert_eq!(posts::drafts(&alice).unwrap().len(), 1);
    // What could not come out for its address was begun all the same: sent again with another, it
    // is that one.
    let id = owner.get("/home/write").await.field("id");
    let form = [
        ("title", "Third"),
        ("text", "words"),
        ("slug", "twice"),
        ("id", id.as_str()),
        ("then", "publish"),
    ];
    let taken = owner.post("/home/write", &form).await;
    assert!(taken.text().contains("Another post has that address"), "{}", taken.text());
    assert!(posts::drafts(&alice).unwrap().len() <= 2);
}

#[tokio::test]
async fn an_address_in_another_script_is_sent_on_in_the_letters_of_a_header() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let path = published(&mut owner, "Прилив и время", "text").await;
    assert!(
        path.is_ascii() && path.starts_with("/2026/%D0%9F") | path.starts_with("/2026/%D0%BF"),
        "{path}"
    );
    assert_eq!(Browser::stranger(&alice).get(&path).await.status, StatusCode::OK);
}

#[tokio::test]
async fn nothing_written_is_neither_kept_nor_published() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for (title, then) in [("", "publish"), ("", "draft"), ("A title alone", "publish")] {
        let seen =
            owner.post("/home/write", &[("title", title), ("text", " \r\n"), ("then", then)]).await;
        assert_eq!(seen.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(seen.text().contains("There is nothing in it yet.") && seen.text().contains(title));
    }
    assert!(posts::drafts(&alice).unwrap().is_empty());
    // One that lost its words can still be found, opened and thrown away.
    let begun = posts::save_draft(&alice, Draft { title: "Later".into(), ..Draft::default() })
        .await
        .unwrap();
    posts::save_draft(&alice, Draft { id: Some(begun.id), ..Draft::default() }).await.unwrap();
    let desk = format!("/home/write/{}", begun.id);
    let link = format!("<a href=\"{desk}\">Without a title</a>");
    assert!(owner.get("/home/write").await.text().contains(&link));
    assert!(owner.get("/home?write=1").await.text().contains(&link));
    assert!(owner.get(&desk).await.text().contains("Throw it away"));
    assert_eq!(owner.post(&format!("{desk}/withdraw"), &[]).await.location(), "/home/write");
    assert!(posts::drafts(&alice).unwrap().is_empty());
}

#[tokio::test]
async fn limits_are_told_beforehand_and_in_letters() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let desk = owner.get("/home/write").await.text();
    assert!(
        desk.contains("maxlength=\"250\"")
            && desk.contains("At most 250 letters")
            && desk.contains("about ten thousand words")
    );
    let long = owner
        .post("/home/write", &[("title", &"ш".repeat(251)), ("text", "x"), ("then", "publish")])
        .await;
    assert!(long.text().contains("That title has 251 letters; 250 is the most."));
    let longer = owner
        .post(
            "/home/write",
            &[("title", ""), ("text", &"word ".repeat(13_000)), ("then", "publish")],
        )
        .await;
    assert!(longer.text().contains("Make 2 of it") && !longer.text().contains("bytes"));
}

#[tokio::test]
async fn a_look_lands_at_the_preview() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    assert!(
        owner
            .get("/home/write")
            .await
            .text()
            .contains("value=\"preview\" formaction=\"/home/write#preview\"")
    );
    let seen = owner.post("/home/write", &[("text", "words"), ("then", "preview")]).await;
    assert!(seen.text().contains("id=\"preview\""));
}

#[tokio::test]
async fn the_owner_lost_in_the_rooms_is_led_back_into_them() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for path in ["/home/nonsense", "/home/write/00000000000000000000000000000000"] {
        let seen = owner.get(path).await;
        assert_eq!(seen.status, StatusCode::NOT_FOUND);
        assert!(
            seen.text().contains("<body class=\"home\">")
                && seen.text().contains("what you have begun"),
            "{path}"
        );
    }
    let stranger = Browser::stranger(&alice).get("/home/nonsense").await;
    assert_eq!(stranger.status, StatusCode::NOT_FOUND);
    assert!(
        !stranger.text().contains("class=\"home\"") && stranger.text().contains("All the writing")
    );
    assert!(owner.get("/nonsense").await.text().contains("All the writing"));
}
