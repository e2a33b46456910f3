//! Login, logout, sessions, and app passwords for mail clients.

use axum::body::Body;
use axum::http::StatusCode;
use freehold_core::logins;
use freehold_core::mailbox::queue::SendLimits;
use freehold_core::mta_sts::Mode;
use freehold_core::testing::{PASSWORD, TestNode};
use freehold_web::MailEndpoints;

use crate::browser::{Browser, Seen};
use crate::photos::send_parts;

const APP_PASSWORDS: &str = "/home/settings/apps";
const SESSIONS: &str = "/home/settings/sessions";

#[tokio::test]
async fn only_the_right_password_logs_in() {
    let alice = TestNode::new("alice").await;
    let mut browser = Browser::stranger(&alice);
    let wrong = browser.post("/login", &[("password", "let me in please")]).await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    wrong.shown_fault("password");
    assert_eq!(browser.cookie(), None);
    let right = browser.post("/login", &[("password", PASSWORD), ("next", "/home/mail")]).await;
    assert_eq!(right.location(), "/home/mail");
    assert_eq!(browser.get(APP_PASSWORDS).await.status, StatusCode::OK);
    assert_eq!(browser.post("/logout", &[]).await.location(), "/");
    assert_eq!(browser.get(APP_PASSWORDS).await.location(), "/login?next=/home/settings/apps");
}

/// A form as a browser sends it, with its length.
async fn send(browser: &mut Browser, path: &str, form: &str, headers: &[(&str, &str)]) -> Seen {
    let request = browser
        .request("POST", path)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("content-length", form.len());
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    browser.send(request.body(Body::from(form.to_owned())).unwrap()).await
}

#[tokio::test]
async fn text_sent_after_logout_is_shown_to_send_again() {
    let alice = TestNode::new("alice").await;
    let mut browser = Browser::stranger(&alice);
    let form = "id=00000000000000000000000000000007&title=Tide&text=%0Aand+%3C%2Ftextarea%3E%0A%22time%22&intent=draft&photo%5B%5D=x";
    let seen = send(&mut browser, "/home/write", form, &[]).await;
    assert_eq!(seen.status, StatusCode::FORBIDDEN);
    assert_eq!(seen.one("form#unsaved").attr("action"), "/home/write");
    assert_eq!(seen.one("#login").attr("target"), "_blank");
    assert_eq!(seen.one("[value='x']").attr("name"), "photo[]");
    let names = ["id", "title", "text", "intent"];
    let fields = names.map(|name| (name, seen.field(name)));
    let expected =
        ["00000000000000000000000000000007", "Tide", "\nand </textarea>\n\"time\"", "draft"];
    assert_eq!(fields.clone().map(|(_, value)| value), expected.map(str::to_owned));
    // After the login the same form is accepted.
    browser.post("/login", &[("password", PASSWORD)]).await;
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let saved = browser.post("/home/write", &fields).await.location();
    assert_eq!(browser.get(&saved).await.field("title"), "Tide");
}

#[tokio::test]
async fn long_message_sent_after_logout_is_shown_whole() {
    let alice = TestNode::new("alice").await;
    let text = "a word and %22another%22 ".repeat(50_000);
    let form = format!("to=bob%40b.example&subject=long&text={text}");
    let seen = send(&mut Browser::stranger(&alice), "/home/mail/write", &form, &[]).await;
    assert_eq!(seen.status, StatusCode::FORBIDDEN);
    assert_eq!(seen.field("text"), text.replace("%22", "\""));
}

#[tokio::test]
async fn text_survives_an_expired_session_on_every_page() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    alice.clock.advance(31 * 24 * 60 * 60 * 1000);
    let id = "00000000000000000000000000000007";
    for (path, form, name) in [
        ("/home".to_owned(), "key=x&text=hello", "text"),
        (format!("/home/write/{id}"), "revision=1&text=hello&intent=edit", "text"),
        ("/home/mail/write".to_owned(), "to=bob%40b.example&subject=&text=hello", "text"),
        ("/home/settings".to_owned(), "name=hello&paint=1", "name"),
        (format!("/home/photos/{id}"), "alt=x&caption=hello&audience=owner", "caption"),
        ("/home/friends/accept".to_owned(), "invite=hello", "invite"),
    ] {
        let seen = send(&mut owner, &path, form, &[]).await;
        assert_eq!(
            (seen.status, seen.field(name).as_str()),
            (StatusCode::FORBIDDEN, "hello"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn photo_form_sent_after_logout_keeps_its_texts() {
    let alice = TestNode::new("alice").await;
    let mut browser = Browser::stranger(&alice);
    let post = "/home/photos/add?post=new";
    let texts = [("alt", "Low sun"), ("caption", "Early."), ("audience", "owner")];
    let seen = send_parts(&mut browser, post, &texts, &[0; 300_000], &[]).await;
    assert_eq!(seen.status, StatusCode::FORBIDDEN);
    let form = seen.one("form#unsaved[enctype='multipart/form-data']");
    assert_eq!(form.attr("action"), post);
    for (name, value) in texts {
        assert_eq!(seen.field(name), value);
    }
    assert_eq!(seen.all("#unsaved [name]").last().unwrap().attr("type"), "file");
    let long = "a".repeat(300_000);
    let long = send_parts(&mut browser, post, &[("alt", &long)], b"x", &[]).await;
    assert_eq!(long.location(), "/login", "strangers get little room");
    let request = browser.request("POST", post).header("content-type", "multipart/form-data");
    assert_eq!(browser.send(request.body(Body::from("x")).unwrap()).await.location(), "/login");
}

#[tokio::test]
async fn secrets_and_foreign_forms_are_not_echoed() {
    let alice = TestNode::new("alice").await;
    let mut stranger = Browser::stranger(&alice);
    for (path, form) in [
        ("/home/settings/password", "current=hush&new=hush&text=hush"),
        ("/setup/words", "text=hush"),
        ("/home/write", "intent=hush&title=+"),
        ("/home/mail/1/1/move", "text=hush"),
    ] {
        let seen = send(&mut stranger, path, form, &[]).await;
        assert_eq!(seen.location(), "/login", "{path}");
        assert!(!seen.text().contains("hush"), "{path}");
    }
    let long = format!("text={}", "a".repeat(2 * 1024 * 1024));
    let many = "text=a&".repeat(300);
    for form in [long, many] {
        assert_eq!(send(&mut stranger, "/home/write", &form, &[]).await.location(), "/login");
    }
    let foreign = [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
    for header in foreign {
        let seen = send(&mut stranger, "/home/write", "text=hush", &[header]).await;
        assert_eq!(seen.status, StatusCode::FORBIDDEN);
        assert!(!seen.has("#unsaved") && !seen.text().contains("hush"), "{header:?}");
    }
}

#[tokio::test]
async fn login_redirects_to_no_other_site() {
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
async fn password_guessing_is_rate_limited() {
    let alice = TestNode::new("alice").await;
    let mut browser = Browser::stranger(&alice);
    let mut last = StatusCode::OK;
    for _ in 0..4 {
        last = browser.post("/login", &[("password", "not the one, sorry")]).await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn session_cookie_is_host_bound_under_tls() {
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
async fn expired_and_forged_sessions_are_refused() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let name = owner.cookie().unwrap().split('=').next().unwrap().to_owned();
    let mut forged = Browser::stranger(&alice).with_cookie(&format!("{name}={}", "A".repeat(43)));
    assert_eq!(forged.get(APP_PASSWORDS).await.location(), "/login?next=/home/settings/apps");
    alice.clock.advance(31 * 24 * 60 * 60 * 1000);
    assert_eq!(owner.get(APP_PASSWORDS).await.location(), "/login?next=/home/settings/apps");
}

#[tokio::test]
async fn app_password_is_not_shown_as_an_invite() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let made = owner.post(APP_PASSWORDS, &[("label", "phone"), ("key", "7")]).await.location();
    assert!(owner.get(&made).await.has("#new-password"));
    assert!(!owner.get("/home/friends?made=7").await.has("#invite-link"));
    let made = owner.post("/home/friends/invite", &[("label", "Bob"), ("key", "8")]).await;
    assert!(owner.get(&made.location()).await.has("#invite-link"));
    assert!(!owner.get(&format!("{APP_PASSWORDS}?made=8")).await.has("#new-password"));
}

#[tokio::test]
async fn app_password_is_shown_once_and_can_be_revoked() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let form = [("label", "phone <b>"), ("key", "7")];
    let made = owner.post(APP_PASSWORDS, &form).await.location();
    let password = owner.get(&made).await.one("#new-password").text();
    // A second press and a reload make no second one.
    assert_eq!(owner.post(APP_PASSWORDS, &form).await.location(), made);
    assert_eq!(owner.get(&made).await.one("#new-password").text(), password);
    assert_eq!(logins::app_passwords(&alice).unwrap().len(), 1);
    let here = std::net::IpAddr::from([127, 0, 0, 1]);
    let id = logins::check_app_password(&alice, "alice@alice.example", &password, here.into())
        .await
        .unwrap();
    alice.clock.advance(5 * 60 * 1000);
    assert!(!owner.get(&made).await.has("#new-password"));
    let list = owner.get(APP_PASSWORDS).await;
    assert!(!list.has("#new-password") && !list.text().contains(&password));
    assert!(list.one("#app-passwords li").text().contains("phone <b>"));
    owner.post(&format!("{APP_PASSWORDS}/{id}/revoke"), &[]).await;
    assert!(
        logins::check_app_password(&alice, "alice@alice.example", &password, here.into())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn app_password_has_a_scope_and_an_end() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let now = alice.clock.now();
    let form = [("label", "printer"), ("scope", "send"), ("days", "7"), ("key", "7")];
    let made = owner.post(APP_PASSWORDS, &form).await.location();
    let password = owner.get(&made).await.one("#new-password").text();
    let limits = logins::app_passwords(&alice).unwrap()[0].limits;
    let week = 7 * 24 * 60 * 60 * 1000;
    assert_eq!(limits.scope, logins::AppScope::Send);
    assert_eq!(limits.expires, Some(now.plus_millis(week)));
    let address = std::net::IpAddr::from([192, 0, 2, 7]);
    let sent = logins::Protocol::Smtp;
    assert!(logins::log_in_program(&alice, "alice", &password, sent, address).await.is_ok());
    let listed = owner.get(APP_PASSWORDS).await.one("#app-passwords li").text();
    assert!(listed.contains("192.0.2.7"), "{listed}");
    for wrong in [("scope", "all"), ("days", "8"), ("days", "-1")] {
        let refused = owner.post(APP_PASSWORDS, &[("label", "x"), wrong]).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{wrong:?}");
    }
    // A refused form comes back as it was chosen.
    let long = "x".repeat(logins::APP_LABEL_LEN_MAX + 1);
    let form = [("label", long.as_str()), ("scope", "read"), ("days", "90")];
    let refused = owner.post(APP_PASSWORDS, &form).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.has("#scope option[value=read][selected]"));
    assert!(refused.has("#days option[value='90'][selected]"));
    assert_eq!(logins::app_passwords(&alice).unwrap().len(), 1);
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let alice = TestNode::new("alice").await;
    let (mut owner, mut other) = (Browser::owner(&alice).await, Browser::owner(&alice).await);
    let (_, password) = logins::create_app_password(&alice, "phone <b>").await.unwrap();
    let address = std::net::IpAddr::from([192, 0, 2, 7]);
    let program =
        logins::log_in_program(&alice, "alice", &password, logins::Protocol::Imap, address);
    let program = program.await.unwrap();
    alice.clock.advance(2 * 60 * 1000);
    let page = owner.get(SESSIONS).await;
    let in_use = page
        .all("#browser-sessions li")
        .into_iter()
        .filter(|row| row.text().contains("last seen now"));
    assert_eq!(in_use.count(), 1);
    // One of set-up, two of browsers.
    assert_eq!(page.all("#browser-sessions li").len(), 3, "{}", page.text());
    let listed = page.one("#program-sessions li").text();
    assert!(listed.contains("phone <b>") && listed.contains("192.0.2.7"), "{listed}");
    let action = page.one("#program-sessions form").attr("action").to_owned();
    assert_eq!(owner.post(&action, &[]).await.location(), SESSIONS);
    assert_eq!(program.is_valid(), Ok(false));
    assert!(owner.get(SESSIONS).await.has("#no-programs"));
    for form in page.all("#browser-sessions form") {
        if !other.get(SESSIONS).await.status.is_success() {
            break;
        }
        let id = form.attr("action").to_owned();
        other.post(&id, &[]).await;
    }
    assert!(other.get(SESSIONS).await.status.is_redirection());
    let mut owner = Browser::owner(&alice).await;
    assert_eq!(owner.post(&format!("{SESSIONS}/end"), &[]).await.location(), "/login");
    assert!(logins::sessions(&alice).unwrap().is_empty());
}

#[tokio::test]
async fn browser_that_logged_in_before_is_counted_apart() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::stranger(&alice);
    let seen = owner.post("/login", &[("password", PASSWORD)]).await;
    let cookies: Vec<&str> =
        seen.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap()).collect();
    let known = cookies.iter().find(|cookie| cookie.starts_with("fb_")).unwrap();
    assert!(known.contains("; Max-Age=34560000; HttpOnly; SameSite=Lax"), "{known}");
    let mut stranger = Browser::stranger(&alice);
    for _ in 0..4 {
        stranger.post("/login", &[("password", "not the one, sorry")]).await;
    }
    let mut known = Browser::stranger(&alice).with_cookie(known.split(';').next().unwrap());
    let seen = known.post("/login", &[("password", PASSWORD)]).await;
    assert_eq!(seen.location(), "/home");
    let mut forged = Browser::stranger(&alice).with_cookie(&format!("fb_{}", "A".repeat(43)));
    let seen = forged.post("/login", &[("password", PASSWORD)]).await;
    assert_eq!(seen.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn mail_client_settings_are_shown_to_the_owner() {
    let alice = TestNode::new("alice").await;
    let here = MailEndpoints {
        host: None,
        imaps: 7993,
        smtps: 7465,
        is_loopback_only: true,
        message_len_max: 1 << 25,
        trusted_roots: String::new(),
        domains: Vec::new(),
        limits: SendLimits::NONE,
        undo_ms: 0,
        mta_sts: Mode::Testing,
    };
    let page = Browser::owner_with_mail(&alice, here.clone()).await.get(APP_PASSWORDS).await;
    for (server, port) in [("#imap-server", "7993"), ("#smtp-server", "7465")] {
        let shown = page.one(server).text();
        assert!(shown.contains("localhost") && shown.contains(port), "{shown}");
        assert!(shown.contains("TLS"), "{shown}");
    }
    assert_eq!(page.one("#user-name").text(), "alice@alice.example");
    assert!(page.has("#loopback-only"));
    for (host, shown) in
        [(None, "alice.example"), (Some("mail.alice.example".to_owned()), "mail.alice.example")]
    {
        let public = MailEndpoints { host, is_loopback_only: false, ..here.clone() };
        let page = Browser::owner_with_mail(&alice, public).await.get(APP_PASSWORDS).await;
        let server = page.one("#imap-server").text();
        assert!(server.starts_with(&format!("{shown},")) && server.contains("7993"), "{server}");
        assert!(!page.has("#loopback-only"));
    }
}

#[tokio::test]
async fn node_without_owner_redirects_login_to_the_front_page() {
    let node = TestNode::without_owner("nobody").await;
    let mut stranger = Browser::stranger(&node);
    assert_eq!(stranger.get("/home").await.location(), "/login?next=/home");
    assert_eq!(stranger.get("/login").await.location(), "/");
    assert_eq!(stranger.get("/").await.status, StatusCode::OK);
}
