//! Behind a reverse proxy: what is believed of what it says, and from whom; and what a browser is
//! told under TLS.

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

/// What the proxy says of a visitor who came to it by HTTPS.
const HTTPS: (&str, &str) = ("x-forwarded-proto", "https");

async fn login(browser: &mut Browser, password: &str, lines: &[(&str, &str)]) -> Seen {
    let mut request = Request::post("/login")
        .header("host", PUBLIC)
        .header("content-type", "application/x-www-form-urlencoded");
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    let password = password.replace(' ', "+");
    browser.send(request.body(Body::from(format!("password={password}"))).unwrap()).await
}

#[tokio::test]
async fn a_login_through_a_trusted_proxy_that_speaks_tls_is_a_secure_one() {
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
        "other names below this one are the owner's own affair"
    );
}

#[tokio::test]
async fn what_others_say_of_themselves_is_not_believed() {
    let alice = TestNode::new("alice").await;
    let said = [
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=203.0.113.9;proto=https"),
    ];
    let mut spoofer = through(&alice, "192.0.2.66");
    let seen = login(&mut spoofer, PASSWORD, &said).await;
    assert_eq!((seen.status, seen.header("set-cookie")), (StatusCode::UPGRADE_REQUIRED, ""));
    assert_eq!(seen.header("strict-transport-security"), "");
    // Nor without any configuration, from this machine.
    let mut local = Browser::stranger(&alice);
    let request = local
        .request("GET", "/login")
        .header("x-forwarded-proto", "https")
        .body(Body::empty())
        .unwrap();
    assert_eq!(local.send(request).await.header("strict-transport-security"), "");
}

#[tokio::test]
async fn guesses_are_counted_for_whom_the_proxy_names_and_not_for_the_proxy() {
    let alice = TestNode::new("alice").await;
    let mut browser = through(&alice, "10.0.0.1");
    let mut last = StatusCode::OK;
    for spoofed in ["1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4"] {
        // What the client sent itself stands to the left of what the proxy adds.
        let said = format!("{spoofed}, 203.0.113.66");
        last = login(&mut browser, "not the one sorry", &[("x-forwarded-for", &said), HTTPS])
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
        "a new name in the header is no new client"
    );
}

#[tokio::test]
async fn a_form_of_our_own_address_is_taken_though_the_proxy_renamed_the_host() {
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
async fn a_laptop_under_tls_does_not_bind_every_other_port_of_localhost() {
    let alice = TestNode::new("alice").await;
    let mut browser = Browser::stranger(&alice).connected_from(address("127.0.0.1"), true);
    let seen = browser.post("/login", &[("password", PASSWORD)]).await;
    assert!(seen.header("set-cookie").starts_with("__Host-fh_"));
    assert_eq!(seen.header("strict-transport-security"), "");
}

#[tokio::test]
async fn whoever_gets_past_the_proxy_is_sent_to_it_and_nothing_of_theirs_is_taken() {
    let alice = TestNode::new("alice").await;
    // A stranger, and the proxy that says whom it speaks for and that they came in the clear.
    for (peer, lines) in [
        ("192.0.2.66", [].as_slice()),
        ("10.0.0.1", &[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "http")]),
    ] {
        let mut browser = through(&alice, peer);
        let seen = login(&mut browser, PASSWORD, lines).await;
        assert_eq!((seen.status, seen.header("set-cookie")), (StatusCode::UPGRADE_REQUIRED, ""));
        assert!(seen.text().contains("speaks HTTPS"), "{}", seen.text());
        for (method, path) in [
            ("GET", "/login"),
            ("GET", "/?page=2"),
            ("HEAD", "/assets/none"),
            ("GET", "//evil.example/"),
        ] {
            let request = lines.iter().fold(
                Request::builder().method(method).uri(path).header("host", PUBLIC),
                |request, (name, value)| request.header(*name, *value),
            );
            let seen = browser.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(seen.location(), format!("https://{PUBLIC}{path}"), "{method} {path}");
            assert_eq!(
                seen.header("cache-control"),
                "no-store",
                "the proxy may come to speak for itself"
            );
        }
    }
    // On the machine itself there is no wire to listen on.
    let mut local = through(&alice, "127.0.0.1");
    assert_eq!(local.post("/login", &[("password", PASSWORD)]).await.location(), "/home");
}
