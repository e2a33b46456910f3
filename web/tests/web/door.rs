//! Names, health, assets and what is said when there is nothing.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use freehold_core::posts::{self, Draft};
use freehold_core::publish;
use freehold_core::testing::TestNode;
use freehold_web::{Access, Route};

use crate::browser::Browser;

#[tokio::test]
async fn health_is_answered() {
    let alice = TestNode::new("alice").await;
    let mut visitor = Browser::stranger(&alice);
    assert_eq!(visitor.get("/livez").await.text(), "alive\n");
    assert_eq!(visitor.get("/readyz").await.text(), "ready\n");
}

#[tokio::test]
async fn a_foreign_name_pointed_at_us_reaches_no_page() {
    let alice = TestNode::new("alice").await;
    let mut visitor = Browser::stranger(&alice);
    for (host, status) in [
        ("alice.localhost:8080", 200),
        ("127.0.0.1:9", 200),
        ("evil.example", 421),
        ("bob.localhost:8080", 421),
    ] {
        let request =
            Request::builder().uri("/livez").header("host", host).body(Body::empty()).unwrap();
        assert_eq!(visitor.send(request).await.status.as_u16(), status, "{host}");
    }
    let nameless = Request::builder().uri("/livez").body(Body::empty()).unwrap();
    assert_eq!(visitor.send(nameless).await.status, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn what_is_not_there_is_said_in_words() {
    let alice = TestNode::new("alice").await;
    let seen = Browser::stranger(&alice).get("/2026/%3Cscript%3E").await;
    assert_eq!(seen.status, StatusCode::NOT_FOUND);
    assert!(seen.text().contains("There is no room here"));
    assert!(!seen.text().contains("<script>"));
}

#[tokio::test]
async fn styles_and_fonts_are_kept_forever_and_named_by_their_content() {
    let alice = TestNode::new("alice").await;
    let mut visitor = Browser::stranger(&alice);
    let page = visitor.get("/login").await.text();
    let path = page
        .split("href=\"")
        .find(|part| part.starts_with("/assets/paper."))
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let styles = visitor.get(path).await;
    assert_eq!(styles.header("content-type"), "text/css; charset=utf-8");
    assert_eq!(styles.header("cache-control"), "public, max-age=31536000, immutable");
    let text = styles.text();
    let font = text.split("url(").nth(1).unwrap().split(')').next().unwrap().to_owned();
    let font = visitor.get(&font).await;
    assert_eq!((font.status, font.header("content-type")), (StatusCode::OK, "font/woff2"));
    assert_eq!(visitor.get("/assets/paper.0000000000.css").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_form_from_another_site_is_refused() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for (name, value) in
        [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example"), ("origin", "null")]
    {
        let request =
            owner.request("POST", "/logout").header(name, value).body(Body::empty()).unwrap();
        let seen = owner.send(request).await;
        assert_eq!(seen.status, StatusCode::FORBIDDEN, "{name}: {value}");
        assert!(seen.text().contains("another site"));
    }
    let own = owner
        .request("POST", "/logout")
        .header("origin", "http://localhost:8080")
        .body(Body::empty())
        .unwrap();
    assert_eq!(owner.send(own).await.location(), "/");
}

#[tokio::test]
async fn what_is_hung_on_to_an_address_changes_no_page_and_spoils_none() {
    let alice = TestNode::new("alice").await;
    let draft = Draft { title: "Tide".into(), text: "and time".into(), ..Draft::default() };
    publish::saved_post(&alice, posts::save_draft(&alice, draft).await.unwrap().id).await.unwrap();
    let hung = "fbclid=%3Cscript%3E&utm_source=x&next=/home/mail&resource=x&before=00000000000000000000000000000000";
    let is_open = |route: &Route| {
        route.method == "GET" && route.access == Access::Anyone && !route.path.contains('{')
    };
    let open: Vec<&str> = freehold_web::routes()
        .iter()
        .filter(|route| is_open(route))
        .map(|route| route.path)
        .collect();
    for path in open.into_iter().chain(["/2026/tide"]) {
        // Each browser has a door of its own, with nothing in memory.
        let plain = Browser::stranger(&alice).get(path).await;
        let mut first = Browser::stranger(&alice);
        let tagged = first.get(&format!("{path}?{hung}")).await;
        let after = first.get(path).await;
        assert_eq!((after.status, &after.bytes), (plain.status, &plain.bytes), "{path}");
        let mut second = Browser::stranger(&alice);
        second.get(path).await;
        let after = second.get(&format!("{path}?{hung}")).await;
        assert_eq!(
            (after.status, &after.bytes),
            (tagged.status, &tagged.bytes),
            "{path} from memory"
        );
        let is_kept = !plain.header("etag").is_empty();
        if is_kept && !["/photos", "/writing"].contains(&path) {
            assert_eq!(
                (tagged.status, &tagged.bytes),
                (StatusCode::OK, &plain.bytes),
                "{path} reads its query"
            );
        }
    }
}

#[tokio::test]
async fn a_page_asked_for_with_a_trackers_mark_comes_from_memory() {
    let alice = TestNode::new("alice").await;
    let mut visitor = Browser::stranger(&alice);
    // An ETag is on what is kept alone.
    for path in ["/about?utm_source=x", "/about?fbclid=1", "/feed.atom?x"] {
        assert!(!visitor.get(path).await.header("etag").is_empty(), "{path}");
    }
    assert!(visitor.get("/photos?before=1").await.header("etag").is_empty());
}
