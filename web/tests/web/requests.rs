//! Rules for every request: host names, health, assets, error pages, cross-site forms, the page
//! cache.

use axum::body::Body;
use axum::http::{Request, StatusCode, Version};
use freehold_core::posts::{self, Draft};
use freehold_core::publish;
use freehold_core::testing::TestNode;
use freehold_web::{Access, Route};

use crate::browser::{Browser, PUBLIC};

#[tokio::test]
async fn health_checks_respond() {
    let alice = TestNode::new("alice").await;
    let mut visitor = Browser::stranger(&alice);
    assert_eq!(visitor.get("/livez").await.text(), "alive\n");
    assert_eq!(visitor.get("/readyz").await.text(), "ready\n");
}

#[tokio::test]
async fn health_checks_respond_under_every_host_name() {
    let alice = TestNode::new("alice").await;
    let mut monitors = [
        Browser::stranger(&alice),
        // A site on HTTPS, asked by plain HTTP past the proxy.
        Browser::under_tls(&alice).connected_from([192, 0, 2, 66].into(), false),
    ];
    for monitor in &mut monitors {
        for (path, body) in [("/livez", "alive\n"), ("/readyz?verbose", "ready\n")] {
            for host in [None, Some("192.0.2.1:7080"), Some("evil.example"), Some("")] {
                let version = if host.is_some() { Version::HTTP_11 } else { Version::HTTP_10 };
                let request = Request::builder().uri(path).version(version);
                let request =
                    host.iter().fold(request, |request, host| request.header("host", *host));
                let seen = monitor.send(request.body(Body::empty()).unwrap()).await;
                assert_eq!((seen.status, seen.text().as_str()), (StatusCode::OK, body), "{host:?}");
            }
        }
        let form = Request::builder().method("POST").uri("/livez").header("host", "evil.example");
        let seen = monitor.send(form.body(Body::empty()).unwrap()).await;
        assert_eq!(seen.status, StatusCode::MISDIRECTED_REQUEST, "only GET and HEAD are checks");
    }
}

#[tokio::test]
async fn foreign_host_name_is_misdirected() {
    let alice = TestNode::new("alice").await;
    let mut visitor = Browser::stranger(&alice);
    for (host, status) in [
        ("alice.localhost:8080", 200),
        ("127.0.0.1:9", 200),
        ("evil.example", 421),
        ("bob.localhost:8080", 421),
    ] {
        let request =
            Request::builder().uri("/about").header("host", host).body(Body::empty()).unwrap();
        let seen = visitor.send(request).await;
        assert_eq!(seen.status.as_u16(), status, "{host}");
        if status == 421 {
            let explanation = seen.one("main .strap").text();
            assert!(explanation.contains("web.names"), "it names the setting: {explanation}");
            assert!(!seen.has("a") && !seen.has("link"), "links would be refused as well");
        }
    }
}

#[tokio::test]
async fn no_host_or_two_are_a_bad_request() {
    let alice = TestNode::new("alice").await;
    for hosts in [&[][..], &["alice.localhost", "evil.example"]] {
        let request = hosts
            .iter()
            .fold(Request::builder().uri("/livez"), |request, host| request.header("host", *host));
        let seen = Browser::stranger(&alice).send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(seen.status, StatusCode::BAD_REQUEST, "{hosts:?}");
    }
    let old = Request::builder().uri("/about").version(Version::HTTP_10);
    let seen = Browser::stranger(&alice).send(old.body(Body::empty()).unwrap()).await;
    assert_eq!(seen.status, StatusCode::MISDIRECTED_REQUEST, "HTTP/1.0 may name no host");
}

#[tokio::test]
async fn absolute_target_wins_over_the_host_field() {
    let alice = TestNode::new("alice").await;
    for (target, host, status) in [
        ("http://alice.localhost/about", "evil.example", 200),
        ("http://evil.example/about", "alice.localhost", 421),
    ] {
        let request = Request::builder().uri(target).header("host", host);
        let seen = Browser::stranger(&alice).send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(seen.status.as_u16(), status, "{target} {host}");
    }
}

#[tokio::test]
async fn misdirected_page_links_to_the_public_site_alone() {
    let alice = TestNode::new("alice").await;
    let mut visitor = Browser::under_tls(&alice);
    let request = Request::builder().uri("/about").header("host", "evil.example");
    let seen = visitor.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(seen.status, StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(seen.one("a").attr("href"), format!("https://{PUBLIC}"));
}

#[tokio::test]
async fn not_found_page_escapes_the_path() {
    let alice = TestNode::new("alice").await;
    let seen = Browser::stranger(&alice).get("/2026/%3Cscript%3E").await;
    assert_eq!(seen.status, StatusCode::NOT_FOUND);
    assert!(!seen.one("main h1").text().is_empty() && seen.has("#suggestions a"));
    assert!(!seen.text().contains("<script>"));
    let unknown = Browser::stranger(&alice).get("/2026/nothing").await;
    assert!(unknown.one("main .strap").text().contains("/2026/nothing"));
}

#[tokio::test]
async fn assets_are_immutable_and_named_by_hash() {
    let alice = TestNode::new("alice").await;
    let mut visitor = Browser::stranger(&alice);
    let link = visitor.get("/login").await.one("link[rel='stylesheet']");
    assert!(link.attr("href").starts_with("/assets/paper."));
    let styles = visitor.get(link.attr("href")).await;
    assert_eq!(styles.header("content-type"), "text/css; charset=utf-8");
    assert_eq!(styles.header("cache-control"), "public, max-age=31536000, immutable");
    let text = styles.text();
    let font = text.split("url(").nth(1).unwrap().split(')').next().unwrap().to_owned();
    let font = visitor.get(&font).await;
    assert_eq!((font.status, font.header("content-type")), (StatusCode::OK, "font/woff2"));
    assert_eq!(visitor.get("/assets/paper.0000000000.css").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn trailing_slash_redirects_to_the_page_without_it() {
    let alice = TestNode::new("alice").await;
    let draft = Draft { title: "Tide".into(), text: "and time".into(), ..Draft::default() };
    publish::saved_post(&alice, posts::save_draft(&alice, draft).await.unwrap().id).await.unwrap();
    let mut visitor = Browser::stranger(&alice);
    for (path, target) in [
        ("/2026/tide/", "/2026/tide"),
        ("/about/?utm_source=x", "/about?utm_source=x"),
        ("/feed.atom/", "/feed.atom"),
        ("/home/mail/", "/home/mail"),
    ] {
        let seen = visitor.get(path).await;
        assert_eq!(seen.status, StatusCode::PERMANENT_REDIRECT, "{path}");
        assert_eq!(seen.location(), target);
    }
    for path in ["/2026/none/", "/none/", "//evil.example/", "//about/", "/about//"] {
        assert_eq!(visitor.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let form = visitor.post("/login/", &[("password", "x")]).await;
    assert_eq!(form.status, StatusCode::NOT_FOUND, "a form is not sent again");
}

#[tokio::test]
async fn robots_rules_exclude_no_public_path() {
    let alice = TestNode::new("alice").await;
    let rules = Browser::stranger(&alice).get("/robots.txt").await.text();
    let rules: Vec<&str> =
        rules.lines().filter_map(|line| line.strip_prefix("Disallow: ")).collect();
    let is_excluded = |path: &str| {
        rules.iter().any(|rule| match rule.strip_suffix('$') {
            Some(whole) => path == whole,
            None => path.starts_with(rule),
        })
    };
    for path in ["/home", "/home/mail", "/login?next=/home", "/setup?token=x", "/i", "/i?x"] {
        assert!(is_excluded(path), "{path}");
    }
    for path in ["/", "/icon.svg", "/2026/home", "/feed.atom", "/homely", "/photos"] {
        assert!(!is_excluded(path), "{path}");
    }
}

#[tokio::test]
async fn cross_site_form_is_refused() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://evil.example"),
        ("origin", "https://localhost:8080"),
        ("origin", "null"),
    ] {
        let request =
            owner.request("POST", "/logout").header(name, value).body(Body::empty()).unwrap();
        let seen = owner.send(request).await;
        assert_eq!(seen.status, StatusCode::FORBIDDEN, "{name}: {value}");
        assert!(!seen.one("main h1").text().is_empty(), "{}", seen.text());
    }
    let own = owner
        .request("POST", "/logout")
        .header("origin", "http://localhost:8080")
        .body(Body::empty())
        .unwrap();
    assert_eq!(owner.send(own).await.location(), "/");
}

#[tokio::test]
async fn unknown_query_changes_no_cached_page() {
    let alice = TestNode::new("alice").await;
    let draft = Draft { title: "Tide".into(), text: "and time".into(), ..Draft::default() };
    publish::saved_post(&alice, posts::save_draft(&alice, draft).await.unwrap().id).await.unwrap();
    let query = "fbclid=%3Cscript%3E&utm_source=x&next=/home/mail&resource=x&before=00000000000000000000000000000000";
    let is_open = |route: &Route| {
        route.method == "GET" && route.access == Access::Anyone && !route.path.contains('{')
    };
    let open: Vec<&str> = freehold_web::routes()
        .iter()
        .filter(|route| is_open(route))
        .map(|route| route.path)
        .collect();
    for path in open.into_iter().chain(["/2026/tide"]) {
        // Each browser has a service of its own, with an empty page cache.
        let plain = Browser::stranger(&alice).get(path).await;
        let mut first = Browser::stranger(&alice);
        let tagged = first.get(&format!("{path}?{query}")).await;
        let after = first.get(path).await;
        assert_eq!((after.status, &after.bytes), (plain.status, &plain.bytes), "{path}");
        let mut second = Browser::stranger(&alice);
        second.get(path).await;
        let after = second.get(&format!("{path}?{query}")).await;
        assert_eq!(
            (after.status, &after.bytes),
            (tagged.status, &tagged.bytes),
            "{path} from memory"
        );
        let is_cached = !plain.header("etag").is_empty();
        if is_cached && !["/photos", "/writing"].contains(&path) {
            assert_eq!(
                (tagged.status, &tagged.bytes),
                (StatusCode::OK, &plain.bytes),
                "{path} reads its query"
            );
        }
    }
}

#[tokio::test]
async fn page_with_tracking_parameters_comes_from_the_cache() {
    let alice = TestNode::new("alice").await;
    let mut visitor = Browser::stranger(&alice);
    // Only cached pages have an ETag.
    for path in ["/about?utm_source=x", "/about?fbclid=1", "/feed.atom?x"] {
        assert!(!visitor.get(path).await.header("etag").is_empty(), "{path}");
    }
    assert!(visitor.get("/photos?before=1").await.header("etag").is_empty());
}
