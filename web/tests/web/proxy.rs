//! Behind a reverse proxy: which forwarded headers are believed and from whom; HSTS and redirects.

use std::net::IpAddr;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use freehold_core::testing::{PASSWORD, TestNode};
use freehold_web::WebConfig;

use crate::browser::{Browser, PUBLIC, Seen};

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A client that connects from `peer` to a site whose proxy is at 10.0.0.1.
fn through(node: &TestNode, peer: &str) -> Browser {
    let config = WebConfig {
        public_url: Some(format!("https://{PUBLIC}")),
        trusted_proxies: vec![address("10.0.0.1")],
        ..WebConfig::default()
    };
    Browser::stranger_with(node, config).connected_from(address(peer), false)
}

/// The header a proxy sets for a request that came by HTTPS.
const HTTPS: (&str, &str) = ("x-forwarded-proto", "https");

async fn login(browser: &mut Browser, password: &str, forwarded: &[(&str, &str)]) -> Seen {
    let mut request = Request::post("/login")
        .header("host", PUBLIC)
        .header("content-type", "application/x-www-form-urlencoded");
    for (name, value) in forwarded {
        request = request.header(*name, *value);
    }
    let password = password.replace(' ', "+");
    browser.send(request.body(Body::from(format!("password={password}"))).unwrap()).await
}

#[tokio::test]
async fn login_through_a_tls_proxy_is_secure() {
    let alice = TestNode::new("alice").await;
    let mut browser = through(&alice, "10.0.0.1");
    let seen = login(
        &mut browser,
        PASSWORD,
        &[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "https")],
    )
    .await;
    assert_eq!(seen.location(), "/home");
    assert!(
        seen.header("set-cookie").starts_with("__Host-fh_")
            && seen.header("set-cookie").ends_with("; Secure")
    );
    assert_eq!(
        seen.header("strict-transport-security"),
        "max-age=63072000",
        "no includeSubDomains: other hosts of the domain may lack TLS"
    );
}

#[tokio::test]
async fn forwarded_headers_of_untrusted_peers_are_ignored() {
    let alice = TestNode::new("alice").await;
    let forged = [
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=203.0.113.9;proto=https"),
    ];
    let mut spoofer = through(&alice, "192.0.2.66");
    let seen = login(&mut spoofer, PASSWORD, &forged).await;
    assert_eq!((seen.status, seen.header("set-cookie")), (StatusCode::UPGRADE_REQUIRED, ""));
    assert_eq!(seen.header("strict-transport-security"), "");
    // Without a configured proxy, headers from this machine are ignored as well.
    let mut local = Browser::stranger(&alice);
    let request = local
        .request("GET", "/login")
        .header("x-forwarded-proto", "https")
        .body(Body::empty())
        .unwrap();
    assert_eq!(local.send(request).await.header("strict-transport-security"), "");
}

#[tokio::test]
async fn login_attempts_count_for_the_forwarded_client() {
    let alice = TestNode::new("alice").await;
    let mut browser = through(&alice, "10.0.0.1");
    let mut last = StatusCode::OK;
    for spoofed in ["1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4"] {
        // The proxy appends to the client's own header, so the forged address is on the left.
        let list = format!("{spoofed}, 203.0.113.66");
        last = login(&mut browser, "not the one sorry", &[("x-forwarded-for", &list), HTTPS])
            .await
            .status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    let owner = login(&mut browser, PASSWORD, &[("x-forwarded-for", "203.0.113.9"), HTTPS]).await;
    assert_eq!(owner.location(), "/home");
    let mut direct = through(&alice, "192.0.2.66").connected_from(address("192.0.2.66"), true);
    for _ in 0..3 {
        last = login(&mut direct, "not the one sorry", &[("x-forwarded-for", "198.51.100.1")])
            .await
            .status;
    }
    assert_eq!(last, StatusCode::FORBIDDEN);
    let elsewhere = login(&mut direct, PASSWORD, &[("x-forwarded-for", "198.51.100.2")]).await;
    assert_eq!(
        elsewhere.status,
        StatusCode::TOO_MANY_REQUESTS,
        "another address in an untrusted header is no other client"
    );
}

#[tokio::test]
async fn form_with_public_origin_is_accepted_behind_proxy() {
    let alice = TestNode::new("alice").await;
    for (origin, expected) in [
        ("https://alice.example", StatusCode::SEE_OTHER),
        ("https://evil.example", StatusCode::FORBIDDEN),
    ] {
        let mut browser = through(&alice, "10.0.0.1");
        let request = browser
            .request("POST", "/logout")
            .header(HTTPS.0, HTTPS.1)
            .header("origin", origin)
            .body(Body::empty())
            .unwrap();
        assert_eq!(browser.send(request).await.status, expected, "{origin}");
    }
}

#[tokio::test]
async fn localhost_under_tls_gets_no_hsts() {
    let alice = TestNode::new("alice").await;
    let mut browser = Browser::stranger(&alice).connected_from(address("127.0.0.1"), true);
    let seen = browser.post("/login", &[("password", PASSWORD)]).await;
    assert!(seen.header("set-cookie").starts_with("__Host-fh_"));
    assert_eq!(seen.header("strict-transport-security"), "");
}

#[tokio::test]
async fn request_without_tls_is_redirected_and_forms_refused() {
    let alice = TestNode::new("alice").await;
    // A stranger past the proxy, and a proxy that reports plain HTTP.
    for (peer, forwarded) in [
        ("192.0.2.66", [].as_slice()),
        ("10.0.0.1", &[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "http")]),
    ] {
        let mut browser = through(&alice, peer);
        let seen = login(&mut browser, PASSWORD, forwarded).await;
        assert_eq!((seen.status, seen.header("set-cookie")), (StatusCode::UPGRADE_REQUIRED, ""));
        assert!(seen.one("main h1").text().contains("HTTPS"), "{}", seen.text());
        for (method, path) in [
            ("GET", "/login"),
            ("GET", "/?page=2"),
            ("HEAD", "/assets/none"),
            ("GET", "//evil.example/"),
        ] {
            let request = forwarded.iter().fold(
                Request::builder().method(method).uri(path).header("host", PUBLIC),
                |request, (name, value)| request.header(*name, *value),
            );
            let seen = browser.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(seen.location(), format!("https://{PUBLIC}{path}"), "{method} {path}");
            assert_eq!(
                seen.header("cache-control"),
                "no-store",
                "the redirect may become wrong once the proxy is configured"
            );
        }
    }
    // Plain HTTP is safe on the machine itself.
    let mut local = through(&alice, "127.0.0.1");
    assert_eq!(local.post("/login", &[("password", PASSWORD)]).await.location(), "/home");
}
