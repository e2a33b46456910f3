use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::logins::{PasswordError, set_password};
use crate::testing::{PASSWORD, TestNode};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn localhost() -> Browser {
    IpAddr::V4(Ipv4Addr::LOCALHOST).into()
}

#[tokio::test]
async fn session_is_renewed_by_use_and_expires() {
    let alice = TestNode::new("alice").await;
    let token = login(&alice, PASSWORD, localhost()).await.unwrap();
    for _ in 0..3 {
        alice.clock.advance(29 * DAY_MS);
        assert!(session(&alice, &token).await.unwrap().is_some());
    }
    alice.clock.advance(30 * DAY_MS);
    assert_eq!(session(&alice, &token).await.unwrap(), None);
    let token = login(&alice, PASSWORD, localhost()).await.unwrap();
    logout(&alice, &token).await.unwrap();
    assert_eq!(session(&alice, &token).await.unwrap(), None);
}

#[tokio::test]
async fn password_attempts_are_throttled_even_if_correct() {
    let alice = TestNode::new("alice").await;
    for _ in 0..3 {
        assert_eq!(login(&alice, "wrong wrong wrong", localhost()).await, Err(LoginError::Wrong));
    }
    assert_eq!(
        login(&alice, PASSWORD, localhost()).await,
        Err(LoginError::TooOften { retry_after_ms: 1000 })
    );
    let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)).into();
    assert!(login(&alice, PASSWORD, elsewhere).await.is_ok());
    alice.clock.advance(1000);
    assert!(login(&alice, PASSWORD, localhost()).await.is_ok());
}

#[tokio::test]
async fn known_browser_logs_in_amid_guesses_from_its_network() {
    let alice = TestNode::new("alice").await;
    let known = crate::logins::browser_token(&alice, None).unwrap();
    let own = || Browser { known: Some(known.clone()), ..localhost() };
    let forged = Browser { known: Some("A".repeat(43).parse().unwrap()), ..localhost() };
    for _ in 0..600 {
        alice.clock.advance(1000);
        let _ = login(&alice, "a guess of somebody", localhost()).await;
        if alice.clock.now().0 % 60_000 < 1000 {
            login(&alice, PASSWORD, own()).await.unwrap();
        }
    }
    let stranger = login(&alice, PASSWORD, forged).await;
    assert!(matches!(stranger, Err(LoginError::TooOften { .. })), "{stranger:?}");
    assert_eq!(crate::logins::browser_token(&alice, Some(&known)).unwrap(), known);
}

#[tokio::test]
async fn session_shows_its_browser_and_ends_alone() {
    let alice = TestNode::new("alice").await;
    let agent = "Firefox on Linux".to_owned();
    let one = login(&alice, PASSWORD, Browser { agent, ..localhost() }).await.unwrap();
    let two = login(&alice, PASSWORD, localhost()).await.unwrap();
    let shown = session(&alice, &one).await.unwrap().unwrap();
    assert_eq!((shown.address.as_str(), shown.agent.as_str()), ("127.0.0.1", "Firefox on Linux"));
    end_session(&alice, shown.id).await.unwrap();
    assert_eq!(session(&alice, &one).await.unwrap(), None);
    assert!(session(&alice, &two).await.unwrap().is_some());
    end_all_sessions(&alice).await.unwrap();
    assert_eq!(session(&alice, &two).await.unwrap(), None);
}

#[tokio::test]
async fn store_failure_is_no_wrong_password() {
    let alice = TestNode::new("alice").await;
    let (_, app_password) = crate::logins::create_app_password(&alice, "phone").await.unwrap();
    let here = localhost().address.into();
    let check = || crate::logins::check_app_password(&alice, "alice", &app_password, here);
    alice.fail_rows().await;
    for _ in 0..3 {
        let failed = login(&alice, PASSWORD, localhost()).await;
        assert!(matches!(failed, Err(LoginError::Store(_))), "{failed:?}");
        let failed = check().await;
        assert!(matches!(failed, Err(LoginError::Store(_))), "{failed:?}");
    }
    alice.recover_rows();
    check().await.unwrap();
    login(&alice, PASSWORD, localhost()).await.unwrap();
    // A log that can't be written refuses the session, and lets mail be read.
    alice.fail_disk().await;
    for _ in 0..3 {
        let failed = login(&alice, PASSWORD, localhost()).await;
        assert!(matches!(failed, Err(LoginError::Store(_))), "{failed:?}");
        check().await.unwrap();
    }
    alice.disk().heal();
    while !alice.store.health().is_ready() {
        tokio::task::yield_now().await;
    }
    login(&alice, PASSWORD, localhost()).await.unwrap();
}

#[tokio::test]
async fn concurrent_password_attempts_are_each_counted() {
    let alice = TestNode::new("alice").await;
    let attempts = (0..10).map(|n| {
        let node = Node::clone(&alice);
        tokio::spawn(
            async move { login(&node, &format!("a wrong password {n}"), localhost()).await },
        )
    });
    let mut wrong = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        match attempt.await.unwrap() {
            Err(LoginError::Wrong) => wrong += 1,
            other => assert_eq!(other, Err(LoginError::TooOften { retry_after_ms: 1000 })),
        }
    }
    assert_eq!(wrong, 3);
}

#[tokio::test]
async fn cancelled_login_still_counts_as_attempt() {
    let alice = TestNode::new("alice").await;
    for _ in 0..3 {
        tokio::select! {
            biased;
            done = login(&alice, "a wrong password", localhost()) => {
                panic!("{done:?} before the password was hashed")
            }
            () = std::future::ready(()) => {}
        }
    }
    assert_eq!(
        login(&alice, PASSWORD, localhost()).await,
        Err(LoginError::TooOften { retry_after_ms: 1000 })
    );
}

#[tokio::test]
async fn new_password_ends_sessions_and_the_old_password() {
    let alice = TestNode::new("alice").await;
    let token = login(&alice, PASSWORD, localhost()).await.unwrap();
    assert_eq!(set_password(&alice, "short").await, Err(PasswordError::TooShort));
    assert_eq!(set_password(&alice, &"x".repeat(1001)).await, Err(PasswordError::TooLong));
    set_password(&alice, "another long one").await.unwrap();
    assert_eq!(session(&alice, &token).await.unwrap(), None);
    assert_eq!(login(&alice, PASSWORD, localhost()).await, Err(LoginError::Wrong));
    assert!(login(&alice, "another long one", localhost()).await.is_ok());
}

#[tokio::test]
async fn login_before_setup_answers_like_wrong_password() {
    let node = TestNode::without_owner("nobody").await;
    assert_eq!(login(&node, "", localhost()).await, Err(LoginError::Wrong));
}

#[tokio::test]
async fn sessions_are_bounded() {
    let alice = TestNode::new("alice").await;
    let (first, row) = new(&alice, None);
    let hash = first.hash();
    alice.store.commit(move |tx| row::put(tx, &hash, &row)).await.unwrap();
    for _ in 0..SESSIONS_MAX + 5 {
        alice.clock.advance(1);
        let (token, row) = new(&alice, None);
        let (hash, now) = (token.hash(), alice.clock.now());
        let add = move |tx: &mut Tx<'_>| {
            sweep(tx, now)?;
            row::put(tx, &hash, &row)
        };
        alice.store.commit(add).await.unwrap();
    }
    assert_eq!(sessions(&alice).unwrap().len(), SESSIONS_MAX);
    assert_eq!(session(&alice, &first).await.unwrap(), None);
}
