//! Answers to other servers and to mail programs: the MTA-STS policy and settings.

use axum::body::Body;
use axum::http::StatusCode;
use freehold_core::mailbox::queue::SendLimits;
use freehold_core::mta_sts::Mode;
use freehold_core::testing::TestNode;
use freehold_web::MailEndpoints;

use crate::browser::Browser;

fn mail() -> MailEndpoints {
    MailEndpoints {
        host: Some("mail.alice.example".to_owned()),
        imaps: 7993,
        smtps: 7465,
        is_loopback_only: false,
        message_len_max: 1_000_000,
        trusted_roots: String::new(),
        domains: Vec::new(),
        limits: SendLimits::NONE,
        undo_ms: 0,
        mta_sts: Mode::Enforce,
    }
}

#[tokio::test]
async fn mta_sts_policy_is_at_its_host_alone() {
    let alice = TestNode::new("alice").await;
    const POLICY: &str = "/.well-known/mta-sts.txt";
    let mut stranger = Browser::stranger_with_mail(&alice, mail()).at("mta-sts.alice.example");
    let seen = stranger.get(POLICY).await;
    assert_eq!((seen.status, seen.header("content-type")), (StatusCode::OK, "text/plain"));
    let expected = "version: STSv1\r\nmode: enforce\r\nmx: mail.alice.example\r\n";
    assert!(seen.text().starts_with(expected), "{}", seen.text());
    for path in ["/", "/login", "/home", "/mail/config-v1.1.xml"] {
        assert_eq!(stranger.get(path).await.status, StatusCode::MISDIRECTED_REQUEST, "{path}");
    }
    let mut stranger = stranger.at("localhost");
    assert_eq!(stranger.get(POLICY).await.status, StatusCode::NOT_FOUND);
    let mut stranger = stranger.at("mta-sts.evil.example");
    assert_eq!(stranger.get(POLICY).await.status, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn mail_programs_find_the_settings() {
    let alice = TestNode::new("alice").await;
    let mut stranger = Browser::stranger_with_mail(&alice, mail()).at("autoconfig.alice.example");
    let seen = stranger.get("/mail/config-v1.1.xml?emailaddress=%3C%26").await;
    assert_eq!(seen.status, StatusCode::OK);
    assert!(seen.header("content-type").starts_with("text/xml"));
    let text = seen.text();
    for part in ["<hostname>mail.alice.example</hostname>", "<port>7993</port>", "%EMAILADDRESS%"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("alice@") && !text.contains("<&"));
    let mut stranger = stranger.at("localhost");
    let same = stranger.get("/.well-known/autoconfig/mail/config-v1.1.xml").await;
    assert_eq!(same.text(), text);
    // The body is XML that would grow; nobody parses it.
    let mut stranger = stranger.at("autodiscover.alice.example");
    let bomb = "<!DOCTYPE a [<!ENTITY b \"c\">]><EMailAddress>&b;</EMailAddress>";
    let request = stranger.request("POST", "/autodiscover/autodiscover.xml");
    let request = request.header("content-type", "text/xml").body(Body::from(bomb)).unwrap();
    let seen = stranger.send(request).await;
    assert_eq!(seen.status, StatusCode::OK);
    assert!(seen.text().contains("<Port>7465</Port>"), "{}", seen.text());
}

#[tokio::test]
async fn apple_profile_is_the_owners() {
    let alice = TestNode::new("alice").await;
    const PROFILE: &str = "/home/settings/apps/mail.mobileconfig";
    let mut owner = Browser::owner_with_mail(&alice, mail()).await;
    let seen = owner.get(PROFILE).await;
    assert_eq!(seen.header("content-type"), "application/x-apple-aspen-config");
    let text = seen.text();
    assert!(text.contains("<string>alice@alice.example</string>") && !text.contains("PasswordKey"));
    assert_eq!(text, owner.get(PROFILE).await.text());
    let mut stranger = Browser::stranger_with_mail(&alice, mail());
    assert!(stranger.get(PROFILE).await.status.is_redirection());
}
