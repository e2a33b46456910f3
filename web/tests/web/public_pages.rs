//! Promises of public pages: addresses, the feed, pictures on other sites, dates, the language.

use axum::body::Body;
use axum::http::StatusCode;
use freehold_core::audience::Visitor;
use freehold_core::photos;
use freehold_core::posts::{Draft, Post};
use freehold_core::profile::{self, Profile};
use freehold_core::publish;
use freehold_core::testing::TestNode;

use crate::browser::{Browser, Seen};
use crate::photos::{png, upload_to};

/// The address of the upload form.
const ADD: &str = "/home/photos/add";

async fn publish(node: &TestNode, title: &str, text: &str) -> Post {
    let draft = Draft { title: title.into(), text: text.into(), ..Draft::default() };
    publish::post(node, draft).await.unwrap()
}

#[tokio::test]
async fn renamed_post_redirects_to_its_own_path_only() {
    let alice = TestNode::new("alice").await;
    let post = publish(&alice, "Old place", "text").await;
    let renamed = Draft {
        slug: Some("new-place".into()),
        title: "Old place".into(),
        text: "text".into(),
        ..Draft::default()
    };
    publish::edit(&alice, post.id, renamed).await.unwrap();
    let mut visitor = Browser::stranger(&alice);
    assert_eq!(visitor.get("/2026/old-place").await.location(), "/2026/new-place");
    for path in ["/%2Fevil.example/old-place", "/%5Cevil.example/old-place", "/%2F/old-place"] {
        assert_eq!(visitor.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn other_forms_of_a_slug_lead_to_the_post() {
    let alice = TestNode::new("alice").await;
    publish(&alice, "हिन्दी भाषा", "text").await;
    publish(&alice, "Em dash", "text").await;
    let mut visitor = Browser::stranger(&alice);
    for path in ["/2026/EM-DASH", "/2026/Em%20dash", "/2026/em-dash/", "/1999/em-dash"] {
        assert_eq!(visitor.get(path).await.location(), "/2026/em-dash", "{path}");
    }
    let hindi = visitor.get("/").await;
    let link = hindi.one("a[href^='/2026/ह'] time").text();
    assert!(!link.is_empty());
    let path = "/2026/%E0%A4%B9%E0%A4%BF%E0%A4%A8%E0%A5%8D%E0%A4%A6%E0%A5%80-%E0%A4%AD%E0%A4%BE%E0%A4%B7%E0%A4%BE";
    assert_eq!(visitor.get(path).await.status, StatusCode::OK);
    assert_eq!(visitor.get("/2026/--%00").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn feed_is_xml_whatever_was_pasted() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let bad = "a\u{1}b\u{b}c\u{fffe}d\u{10}";
    let form = [("title", bad), ("text", bad), ("intent", "publish")];
    owner.post("/home/write", &form).await.location();
    owner.post("/home", &[("text", bad)]).await.location();
    let settings = [("name", "Alice"), ("strapline", bad), ("about", bad), ("paint", "0")];
    owner.post("/home/settings", &settings).await.location();
    upload_to(&mut owner, ADD, &[("alt", bad), ("caption", bad)], &png()).await.location();
    let mut visitor = Browser::stranger(&alice);
    for path in ["/feed.atom", "/", "/about", "/photos", "/2026/ab-cd"] {
        let seen = visitor.get(path).await;
        assert_eq!(seen.status, StatusCode::OK, "{path}");
        let is_bad = |c: char| c.is_control() && c != '\n' || c == '\u{fffe}';
        assert_eq!(seen.text().find(is_bad), None, "{path}");
    }
    let profile = profile::get(&alice).unwrap().unwrap();
    assert_eq!(profile.about, "ab\ncd");
}

#[tokio::test]
async fn public_picture_may_be_shown_on_other_sites() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    upload_to(&mut owner, ADD, &[("alt", "Ours")], &png()).await;
    alice.clock.advance(1000);
    upload_to(&mut owner, ADD, &[("alt", "Mine"), ("audience", "owner")], &png()).await;
    let [mine, ours] = photos::list(&alice, &Visitor::Owner, None, 9)
        .unwrap()
        .into_iter()
        .map(|photo| format!("/photos/{}/400.jpg", photo.id))
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let name = "cross-origin-resource-policy";
    let mut visitor = Browser::stranger(&alice);
    for path in [ours.as_str(), "/icon.svg"] {
        assert_eq!(visitor.get(path).await.header(name), "cross-origin", "{path}");
    }
    for path in ["/", "/feed.atom", "/home/photos", mine.as_str()] {
        assert_eq!(owner.get(path).await.header(name), "same-origin", "{path}");
    }
}

#[tokio::test]
async fn dates_and_language_are_the_owners() {
    let alice = TestNode::new("alice").await;
    let (mut owner, mut visitor) = (Browser::owner(&alice).await, Browser::stranger(&alice));
    publish(&alice, "Tide", "text").await;
    assert_eq!(visitor.get("/").await.one("html").attr("lang"), "en");
    // In Kiritimati it is 14 hours later than in UTC.
    let form = [
        ("name", "Alice"),
        ("paint", "0"),
        ("time_zone", "Pacific/Kiritimati"),
        ("language", "de"),
    ];
    let saved = owner.post("/home/settings", &form).await.location();
    let saved = owner.get(&saved).await;
    assert_eq!(saved.one("html").attr("lang"), "en");
    assert!(saved.has("option[lang='de'][selected]"));
    let page = visitor.get("/2026/tide").await;
    assert_eq!(page.one("html").attr("lang"), "de");
    assert_eq!(page.one("nav").attr("lang"), "en", "the words of the interface");
    assert_eq!(page.one("time").attr("datetime"), "2026-05-02T02:00:00+14:00");
    assert!(page.one("time").text().starts_with("2 May"));
    let feed = visitor.get("/feed.atom").await.text();
    assert!(feed.contains("xml:lang=\"de\"") && feed.contains("2026-05-02T02:00:00+14:00"));
    // Settings of a form without these fields stay.
    owner.post("/home/settings", &[("name", "Alice"), ("paint", "0")]).await;
    let kept = profile::get(&alice).unwrap().unwrap();
    assert_eq!((kept.language(), kept.time_zone.as_str()), ("de", "Pacific/Kiritimati"));
    for (name, value) in [("time_zone", "Mars/Phobos"), ("language", "\"><b>")] {
        let form = [("name", "A"), ("paint", "0"), (name, value)];
        let refused = owner.post("/home/settings", &form).await;
        refused.fault(name);
        assert_eq!(refused.one("[autofocus]").attr("name"), name);
    }
    assert_eq!(profile::get(&alice).unwrap().unwrap(), Profile { ..kept });
}

#[tokio::test]
async fn spellings_of_a_path_get_one_cached_page() {
    let alice = TestNode::new("alice").await;
    publish(&alice, "Hello", "text").await;
    let mut visitor = Browser::stranger(&alice);
    let page = visitor.get("/2026/hello").await;
    for path in ["/2026/%68ello", "/%32026/hello", "/2026/hell%6f?utm=x"] {
        let seen = visitor.get(path).await;
        assert_eq!((seen.status, seen.header("etag")), (StatusCode::OK, page.header("etag")));
    }
    assert_eq!(visitor.get("/2026%2Fhello").await.status, StatusCode::NOT_FOUND);
}

/// The answer to a request with one header.
async fn ask(visitor: &mut Browser, method: &str, path: &str, header: (&str, &str)) -> Seen {
    let request = visitor.request(method, path).header(header.0, header.1);
    visitor.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn head_answers_as_get_on_an_empty_cache() {
    let alice = TestNode::new("alice").await;
    publish(&alice, "Hello", "text").await;
    for path in ["/", "/about", "/photos", "/feed.atom", "/icon.svg", "/2026/hello", "/2026/none"] {
        // Each browser has a service of its own, with an empty page cache.
        let got = Browser::stranger(&alice).get(path).await;
        let mut first = Browser::stranger(&alice);
        let head = ask(&mut first, "HEAD", path, ("accept", "*/*")).await;
        assert_eq!((head.status, head.bytes.len()), (got.status, 0), "{path}");
        for name in ["etag", "vary", "content-type", "cache-control"] {
            let all = |seen: &Seen| seen.headers.get_all(name).iter().cloned().collect::<Vec<_>>();
            assert_eq!(all(&head), all(&got), "{name} of {path}");
        }
        assert_eq!(head.header("content-length"), got.bytes.len().to_string(), "{path}");
        if got.status == StatusCode::OK {
            let known = ("if-none-match", got.header("etag"));
            let mut second = Browser::stranger(&alice);
            let same = ask(&mut second, "HEAD", path, known).await;
            assert_eq!(same.status, StatusCode::NOT_MODIFIED, "{path}");
        }
    }
}

#[tokio::test]
async fn etag_differs_between_content_codings() {
    let alice = TestNode::new("alice").await;
    publish(&alice, "Hello", "text").await;
    let mut visitor = Browser::stranger(&alice);
    for path in ["/", "/feed.atom"] {
        let plain = visitor.get(path).await.header("etag").to_owned();
        let gzip = ask(&mut visitor, "GET", path, ("accept-encoding", "gzip")).await;
        assert_eq!(gzip.header("content-encoding"), "gzip");
        let gzip = gzip.header("etag").to_owned();
        assert_ne!(plain, gzip);
        for (tags, etag) in [
            (plain.clone(), &plain),
            (gzip.clone(), &gzip),
            (format!("\"x\", W/{gzip}"), &gzip),
            (format!("{plain},\"x\""), &plain),
        ] {
            let seen = ask(&mut visitor, "GET", path, ("if-none-match", &tags)).await;
            let wanted = (StatusCode::NOT_MODIFIED, etag.as_str());
            assert_eq!((seen.status, seen.header("etag")), wanted, "{tags}");
        }
        let failed = ask(&mut visitor, "GET", path, ("if-match", "\"x\"")).await;
        assert_eq!(failed.status, StatusCode::PRECONDITION_FAILED);
    }
}

#[tokio::test]
async fn public_page_of_any_length_is_served() {
    let alice = TestNode::new("alice").await;
    let text = format!("{}\n\n[^1]: Note.\n", "[^1]".repeat(14_900));
    for number in 0..6 {
        publish(&alice, &format!("Notes {number}"), &text).await;
        alice.clock.advance(1000);
    }
    let mut visitor = Browser::stranger(&alice);
    let feed = visitor.get("/feed.atom").await;
    assert_eq!(feed.status, StatusCode::OK);
    let feed = feed.text();
    assert!(feed.contains("Notes 5") && !feed.contains("Notes 0"), "the newest are in the feed");
    // Longer than a page that is cached.
    assert!((2..8).contains(&(feed.len() / (1024 * 1024))), "{}", feed.len());
    for path in ["/", "/writing", "/2026/notes-0", "/feed.atom"] {
        let seen = visitor.get(path).await;
        assert_eq!(seen.status, StatusCode::OK, "{path}");
        let head = ask(&mut visitor, "HEAD", path, ("accept", "*/*")).await;
        assert_eq!(head.header("content-length"), seen.bytes.len().to_string(), "{path}");
    }
}
