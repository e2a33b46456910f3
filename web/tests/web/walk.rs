//! Every route of the table: the strict headers, and nobody in the owner's rooms but the owner.

use axum::http::StatusCode;
use freehold_core::testing::TestNode;
use freehold_web::{Access, Route};

use crate::browser::{Browser, Seen};

/// A path that fits the route, whether or not anything is there.
fn path_of(route: &Route) -> String {
    let parts = route.path.split('/').map(|part| match part {
        "{year}" => "2026",
        "{folder}" | "{uid}" => "1",
        part if part.starts_with('{') => "00000000000000000000000000000000",
        part => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

async fn ask(browser: &mut Browser, route: &Route) -> Seen {
    let path = path_of(route);
    if route.method == "GET" { browser.get(&path).await } else { browser.post(&path, &[]).await }
}

fn check(route: &Route, seen: &Seen, secure: bool) {
    let policy = seen.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; ") && policy.contains("base-uri 'none'"), "{route:?}: {policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("script-src") && policy.contains("frame-ancestors"), "{route:?}: {policy}");
    for name in ["referrer-policy", "cross-origin-opener-policy", "cross-origin-resource-policy", "permissions-policy", "cache-control"] {
        assert!(!seen.header(name).is_empty(), "{route:?} has no {name}");
    }
    assert_eq!(seen.header("x-content-type-options"), "nosniff", "{route:?}");
    assert_eq!(!seen.header("strict-transport-security").is_empty(), secure, "{route:?}");
    if route.access == Access::Owner {
        assert_eq!(seen.header("cache-control"), "no-store", "{route:?}");
    }
    assert!(!seen.status.is_server_error(), "{route:?}: {}", seen.text());
    if seen.header("content-type").starts_with("text/html") {
        let html = seen.text();
        for inline in ["<style", " style=", "<script", " onclick", "javascript:"] {
            assert!(!html.contains(inline), "{route:?} has {inline}");
        }
    }
}

#[tokio::test]
async fn every_route_carries_the_strict_headers_and_the_rooms_are_the_owners() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for route in freehold_web::routes() {
        for secure in [false, true] {
            let mut stranger = if secure { Browser::under_tls(&alice) } else { Browser::stranger(&alice) };
            let seen = ask(&mut stranger, &route).await;
            check(&route, &seen, secure);
            if route.access == Access::Owner {
                assert_eq!(seen.status, StatusCode::SEE_OTHER, "{route:?}");
                assert!(seen.location().starts_with("/login"), "{route:?}");
            }
        }
        if route.path != "/logout" && route.path != "/login" {
            let seen = ask(&mut owner, &route).await;
            check(&route, &seen, false);
            assert!(!seen.header("location").starts_with("/login"), "{route:?}");
        }
    }
}
