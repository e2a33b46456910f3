//! In and out, and the passwords for mail programs.

use axum::http::StatusCode;
use freehold_core::logins;
use freehold_core::testing::{PASSWORD, TestNode};
use freehold_web::MailEndpoints;

use crate::browser::Browser;

const APPS: &str = "/home/settings/apps";

#[tokio::test]
async fn the_right_password_opens_and_the_wrong_one_does_not() {
    let alice = TestNode::new("alice").await;
    let mut browser = Browser::stranger(&alice);
    let wrong = browser.post("/login", &[("password", "let me in please")]).await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    assert!(wrong.text().contains("aria-invalid"));
    assert_eq!(browser.cookie(), None);
    let right = browser.post("/login", &[("password", PASSWORD), ("next", "/home/mail")]).await;
    assert_eq!(right.location(), "/home/mail");
    assert_eq!(browser.get(APPS).await.status, StatusCode::OK);
    assert_eq!(browser.post("/logout", &[]).await.location(), "/");
    assert_eq!(browser.get(APPS).await.location(), "/login?next=/home/settings/apps");
}

#[tokio::test]
async fn after_a_login_nobody_is_led_elsewhere() {
    let alice = TestNode::new("alice").await;
    for next in ["https://evil.example/", "//evil.example", "/\\evil.example"] {
        let mut browser = Browser::stranger(&alice);
        assert_eq!(
            browser.post("/login", &[("password", PASSWORD), ("next", next)]).await.location(),
            "/home"
        );
    }
}

#[tokio::test]
async fn guessing_is_slowed() {
    let alice = TestNode::new("alice").await;
    let mut browser = Browser::stranger(&alice);
    let mut last = StatusCode::OK;
    for _ in 0..4 {
        last = browser.post("/login", &[("password", "not the one, sorry")]).await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn the_cookie_is_our_own_and_bound_to_the_host_under_tls() {
    let (alice, bob) = (TestNode::new("alice").await, TestNode::new("bob").await);
    let (alices, bobs) = (Browser::owner(&alice).await, Browser::owner(&bob).await);
    let name = |browser: &Browser| browser.cookie().unwrap().split('=').next().unwrap().to_owned();
    assert_ne!(name(&alices), name(&bobs));
    let mut secure = Browser::under_tls(&alice);
    let seen = secure.post("/login", &[("password", PASSWORD)]).await;
    let cookie = seen.header("set-cookie");
    assert!(cookie.starts_with("__Host-fh_") && cookie.contains("; Path=/;"), "{cookie}");
    assert!(cookie.ends_with("; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
}

#[tokio::test]
async fn an_ended_session_and_an_invented_one_open_nothing() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let name = owner.cookie().unwrap().split('=').next().unwrap().to_owned();
    let mut invented = Browser::stranger(&alice).with_cookie(&format!("{name}={}", "A".repeat(43)));
    assert_eq!(invented.get(APPS).await.location(), "/login?next=/home/settings/apps");
    alice.clock.advance(31 * 24 * 60 * 60 * 1000);
    assert_eq!(owner.get(APPS).await.location(), "/login?next=/home/settings/apps");
}

#[tokio::test]
async fn an_app_password_is_shown_once_works_and_can_be_taken_back() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let made = owner.post(APPS, &[("label", "phone <b>")]).await.text();
    let password =
        made.split("<p class=\"mono gap\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let here = std::net::IpAddr::from([127, 0, 0, 1]);
    let id = logins::check_app_password(&alice, "alice@alice.example", &password, here.into())
        .await
        .unwrap();
    let list = owner.get(APPS).await.text();
    assert!(!list.contains(&password) && list.contains("phone &#60;b&#62;"));
    owner.post(&format!("{APPS}/{id}/revoke"), &[]).await;
    assert!(
        logins::check_app_password(&alice, "alice@alice.example", &password, here.into())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn what_a_mail_program_asks_for_is_said_and_who_can_reach_it() {
    let alice = TestNode::new("alice").await;
    let here = MailEndpoints { host: None, imaps: 7993, smtps: 7465, is_loopback_only: true };
    let page = Browser::owner_with_mail(&alice, here.clone()).await.get(APPS).await.text();
    assert!(
        page.contains("localhost, port 7993, SSL/TLS")
            && page.contains("localhost, port 7465, SSL/TLS"),
        "{page}"
    );
    assert!(
        page.contains("alice@alice.example") && page.contains("on this computer alone"),
        "{page}"
    );
    for (host, shown) in
        [(None, "alice.example"), (Some("mail.alice.example".to_owned()), "mail.alice.example")]
    {
        let abroad = MailEndpoints { host, is_loopback_only: false, ..here.clone() };
        let page = Browser::owner_with_mail(&alice, abroad).await.get(APPS).await.text();
        assert!(
            page.contains(&format!("<dd>{shown}, port 7993"))
                && !page.contains("this computer alone"),
            "{page}"
        );
    }
}
