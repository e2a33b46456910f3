//! Every route of the table: security headers, body limits, and owner's pages for the owner alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::http::{StatusCode, header};
use freehold_core::testing::TestNode;
use freehold_web::{Access, Route};
use futures::StreamExt;

use crate::browser::{Browser, Seen};

/// A path that matches the route; the page may be missing.
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

/// The pages with a script: with long forms, and with lists of messages.
const SCRIPTED_PAGES: [(&str, &str); 6] = [
    ("/home/write", "editor"),
    ("/home/write/{id}", "editor"),
    ("/home/mail/write", "editor"),
    ("/home/mail", "mailbox"),
    ("/home/mail/{folder}", "mailbox"),
    ("/home/mail/search", "mailbox"),
];

fn check(route: &Route, seen: &Seen, secure: bool) {
    let policy = seen.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; ") && policy.contains("base-uri 'none'"),
        "{route:?}: {policy}"
    );
    assert!(
        !policy.contains("unsafe") && policy.contains("frame-ancestors"),
        "{route:?}: {policy}"
    );
    let script = policy.split("; ").find_map(|part| part.strip_prefix("script-src "));
    let mut scripts = SCRIPTED_PAGES.iter().filter(|(path, _)| *path == route.path);
    let name = scripts.clone().next().map_or("", |(_, name)| name);
    match script {
        // One file, by its hash, on some pages alone.
        Some(source) => {
            assert!(source.starts_with("'sha256-") && !source.contains(' '), "{route:?}: {policy}");
            assert!(scripts.next().is_some(), "{route:?}: {policy}");
        }
        None => assert!(!policy.contains("script-src"), "{route:?}: {policy}"),
    }
    for name in [
        "referrer-policy",
        "cross-origin-opener-policy",
        "cross-origin-resource-policy",
        "permissions-policy",
        "cache-control",
    ] {
        assert!(!seen.header(name).is_empty(), "{route:?} has no {name}");
    }
    assert_eq!(seen.header("x-content-type-options"), "nosniff", "{route:?}");
    assert_eq!(!seen.header("strict-transport-security").is_empty(), secure, "{route:?}");
    if route.access == Access::Owner {
        assert_eq!(seen.header("cache-control"), "no-store", "{route:?}");
    }
    assert!(!seen.status.is_server_error(), "{route:?}: {}", seen.text());
    if seen.header("content-type").starts_with("text/html") {
        let mut html = seen.text();
        if let Some(source) = script {
            let element = format!("<script type=\"module\" src=\"/assets/{name}.");
            let start = html.find(&element).expect("its script");
            let element = format!("integrity=\"{}\"></script>", source.trim_matches('\''));
            let end = start + html[start..].find(&element).expect("its hash") + element.len();
            html.replace_range(start..end, "");
        }
        // A browser cuts a text at maxlength without a word, and forgets a field without
        // autocomplete when its page is left and opened again.
        assert!(!html.contains(" maxlength="), "{route:?}");
        let is_secret = route.path.starts_with("/setup/");
        assert!(is_secret || !html.contains("autocomplete=\"off\""), "{route:?}");
        for inline in ["<style", " style=", "<script", " onclick", "javascript:"] {
            assert!(!html.contains(inline), "{route:?} has {inline}");
        }
    }
}

/// The forms after which the browser is logged out.
const LOG_OUT: [&str; 2] = ["/logout", "/home/settings/sessions/end"];

/// A form that is longer than every limit, and how many bytes of it were read.
fn endless_form() -> (Body, Arc<AtomicUsize>) {
    const PIECE: &[u8] = &[b'a'; 4096];
    let read = Arc::new(AtomicUsize::new(0));
    let pieces = futures::stream::repeat_with({
        let read = read.clone();
        move || {
            read.fetch_add(PIECE.len(), Ordering::Relaxed);
            Ok::<_, std::io::Error>(PIECE)
        }
    });
    // Longer than the limit of the owner's forms.
    (Body::from_stream(pieces.take(2000)), read)
}

#[tokio::test]
async fn form_body_is_read_up_to_its_limit() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let mut refused = 0;
    for route in freehold_web::routes().iter().filter(|route| route.method == "POST") {
        let form = |browser: &Browser, body| {
            let request = browser
                .request("POST", &path_of(route))
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            request.body(body).unwrap()
        };
        let mut stranger = Browser::stranger(&alice);
        let (body, read) = endless_form();
        let seen = stranger.send(form(&stranger, body)).await;
        let len_max = if route.access == Access::Anyone { 20 * 1024 } else { 0 };
        assert!(
            read.load(Ordering::Relaxed) <= len_max,
            "{route:?} read {read:?} bytes from a stranger"
        );
        assert_eq!(
            seen.status == StatusCode::PAYLOAD_TOO_LARGE,
            route.access == Access::Anyone,
            "{route:?}: {}",
            seen.status
        );
        if LOG_OUT.contains(&route.path) {
            continue;
        }
        let (body, read) = endless_form();
        let seen = owner.send(form(&owner, body)).await;
        let read = read.load(Ordering::Relaxed);
        assert!(read <= 4100 * 1024, "{route:?} read {read} bytes from the owner");
        if read > 0 {
            assert_eq!(seen.status, StatusCode::PAYLOAD_TOO_LARGE, "{route:?}");
            assert!(seen.header("content-type").starts_with("text/html"), "{route:?}");
            refused += 1;
        }
    }
    assert!(refused >= 10, "only {refused} forms were read at all");
}

#[tokio::test]
async fn longest_post_fits_its_form() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let text = "字".repeat(freehold_core::posts::TEXT_LEN_MAX / 3);
    let seen =
        owner.post("/home/write", &[("title", "long"), ("text", &text), ("then", "draft")]).await;
    assert!(seen.location().starts_with("/home/write/"));
}

#[tokio::test]
async fn every_route_has_security_headers_and_owner_access() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for route in freehold_web::routes() {
        for secure in [false, true] {
            let mut stranger =
                if secure { Browser::under_tls(&alice) } else { Browser::stranger(&alice) };
            let seen = ask(&mut stranger, &route).await;
            check(&route, &seen, secure);
            if route.access == Access::Owner {
                assert_eq!(seen.status, StatusCode::SEE_OTHER, "{route:?}");
                assert!(seen.location().starts_with("/login"), "{route:?}");
            }
        }
        if !LOG_OUT.contains(&route.path) && route.path != "/login" {
            let seen = ask(&mut owner, &route).await;
            check(&route, &seen, false);
            assert!(!seen.header("location").starts_with("/login"), "{route:?}");
        }
    }
}
