use std::net::{IpAddr, Ipv4Addr};

use super::check::LAST_USED_EVERY_MS;
use super::*;
use crate::logins::{
    AppClient, AppLimits, AppScope, ClientNet, LoginError, ProgramLoginError, ProgramSession,
    ProvenProgram, ScramProof, log_in_program, prove_program, scram_client, scram_parameters,
};
use crate::testing::{PASSWORD, TestNode};

fn localhost() -> ClientNet {
    IpAddr::V4(Ipv4Addr::LOCALHOST).into()
}

#[tokio::test]
async fn app_password_works_in_any_case_until_revoked() {
    let alice = TestNode::new("alice").await;
    let (app, password) = create_app_password(&alice, " Thunderbird ").await.unwrap();
    assert_eq!((app.label.as_str(), password.len()), ("Thunderbird", 29));
    for user in ["alice", "alice@alice.example", "ALICE+list@alice.example"] {
        for typed in
            [password.clone(), password.replace('-', ""), password.to_uppercase().replace('-', " ")]
        {
            assert_eq!(check_app_password(&alice, user, &typed, localhost()).await, Ok(app.id));
        }
    }
    assert_eq!(app_passwords(&alice).unwrap()[0].last_used, Some(alice.clock.now()));
    revoke_app_password(&alice, app.id).await.unwrap();
    assert_eq!(
        check_app_password(&alice, "alice", &password, localhost()).await,
        Err(LoginError::Wrong)
    );
    assert_eq!(app_passwords(&alice).unwrap(), []);
}

#[tokio::test]
async fn use_of_an_open_session_is_recorded_hourly() {
    let alice = TestNode::new("alice").await;
    let (app, password) = create_app_password(&alice, "phone").await.unwrap();
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let session = log_in_program(&alice, "alice", &password, Protocol::Imap, here).await.unwrap();
    let first = alice.clock.now();
    let last_used = || app_passwords(&alice).unwrap().first().map(|app| app.last_used);
    alice.clock.advance(LAST_USED_EVERY_MS - 1);
    session.record_use().await.unwrap();
    assert_eq!(last_used(), Some(Some(first)));
    alice.clock.advance(1);
    session.record_use().await.unwrap();
    assert_eq!(last_used(), Some(Some(alice.clock.now())));
    let client = AppClient { protocol: Protocol::Imap, address: "127.0.0.1".to_owned() };
    assert_eq!(app_passwords(&alice).unwrap()[0].last_client, Some(client));
    revoke_app_password(&alice, app.id).await.unwrap();
    alice.clock.advance(LAST_USED_EVERY_MS);
    session.record_use().await.unwrap();
    assert_eq!(last_used(), None);
}

#[tokio::test]
async fn app_password_refuses_other_user_and_browser_password() {
    let alice = TestNode::new("alice").await;
    let (_, password) = create_app_password(&alice, "phone").await.unwrap();
    assert_eq!(
        check_app_password(&alice, "bob", &password, localhost()).await,
        Err(LoginError::Wrong)
    );
    assert_eq!(
        check_app_password(&alice, "alice", PASSWORD, localhost()).await,
        Err(LoginError::Wrong)
    );
    assert_eq!(check_app_password(&alice, "alice", "", localhost()).await, Err(LoginError::Wrong));
    assert_eq!(
        check_app_password(&alice, "alice", "another", localhost()).await,
        Err(LoginError::TooOften { retry_after_ms: 1000 })
    );
}

#[tokio::test]
async fn right_app_password_is_accepted_amid_wrong_ones() {
    let alice = TestNode::new("alice").await;
    let (app, right) = create_app_password(&alice, "laptop").await.unwrap();
    let (old, stale) = create_app_password(&alice, "phone").await.unwrap();
    revoke_app_password(&alice, old.id).await.unwrap();
    let check = |typed: String| {
        let node = Node::clone(&alice);
        async move { check_app_password(&node, "alice", &typed, localhost()).await }
    };
    for second in 0..600 {
        alice.clock.advance(1000);
        assert_eq!(check(stale.clone()).await, Err(LoginError::Wrong), "the same one again");
        assert!(check(format!("guess {second}")).await.is_err());
        assert_eq!(check(right.clone()).await, Ok(app.id));
    }
    let refused = check("one more guess".to_owned()).await;
    assert!(matches!(refused, Err(LoginError::TooOften { .. })), "{refused:?}");
    // The owner's browser is not affected.
    let browser = IpAddr::V4(Ipv4Addr::LOCALHOST).into();
    assert!(crate::logins::login(&alice, PASSWORD, browser).await.is_ok());
}

/// A proof of `password` by `user`, and the signature by which the client knows the server.
fn proof(node: &TestNode, user: &str, password: &str) -> (ScramProof, [u8; 32]) {
    let (user, auth_message) = (user.to_owned(), format!("n={user},r=a,r=ab,s=c,i=1,c=biws,r=ab"));
    let parameters = scram_parameters(node).unwrap();
    let (proof, signature) = scram_client(password, &parameters, auth_message.as_bytes());
    (ScramProof { user, auth_message, proof }, signature)
}

/// Proves `password` over IMAP.
async fn prove(
    node: &TestNode,
    user: &str,
    password: &str,
) -> Result<ProvenProgram, ProgramLoginError> {
    let (proof, signature) = proof(node, user, password);
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let proven = prove_program(node, proof, Protocol::Imap, here).await?;
    assert_eq!(proven.server_signature, signature);
    Ok(proven)
}

fn is_wrong<T>(result: Result<T, ProgramLoginError>) -> bool {
    result.is_err_and(|error| error == ProgramLoginError::Refused(LoginError::Wrong))
}

#[tokio::test]
async fn scram_proof_opens_the_session_of_its_password() {
    let alice = TestNode::new("alice").await;
    let (phone, one) = create_app_password(&alice, "phone").await.unwrap();
    let (_, two) = create_app_password(&alice, "laptop").await.unwrap();
    let mut sessions: Vec<ProgramSession> = Vec::new();
    for (user, password) in [
        ("alice", one.clone()),
        ("alice@alice.example", one.replace('-', "")),
        ("ALICE+list@alice.example", two.clone()),
    ] {
        let proven = prove(&alice, user, &password).await.unwrap();
        sessions.push(proven.log_in(&alice).await.unwrap());
    }
    let proven = prove(&alice, "alice", &one).await.unwrap();
    revoke_app_password(&alice, phone.id).await.unwrap();
    let valid: Vec<bool> = sessions.iter().map(|session| session.is_valid().unwrap()).collect();
    assert_eq!(valid, [false, false, true]);
    assert!(is_wrong(proven.log_in(&alice).await), "it was revoked after the proof");
    assert!(is_wrong(prove(&alice, "alice", &one).await));
    assert!(prove(&alice, "alice", &two).await.is_ok());
}

#[tokio::test]
async fn scram_refuses_other_user_like_wrong_proof() {
    let alice = TestNode::new("alice").await;
    let (_, password) = create_app_password(&alice, "phone").await.unwrap();
    assert!(is_wrong(prove(&alice, "bob", &password).await));
    assert!(is_wrong(prove(&alice, "alice", &password.to_uppercase()).await));
    assert!(is_wrong(prove(&alice, "alice", "").await));
    // Each is a guess, also the same one again, because a proof does not tell its password.
    let fourth = prove(&alice, "alice", "").await.map(drop);
    assert_eq!(fourth, Err(LoginError::TooOften { retry_after_ms: 1000 }.into()));
    assert!(prove(&alice, "alice", &password).await.is_ok(), "a right one is never delayed");
    let text = check_app_password(&alice, "alice", "another", localhost()).await;
    assert!(matches!(text, Err(LoginError::TooOften { .. })), "both ways are counted together");
    // The proof of one exchange is none in another.
    let (mut reused, _) = proof(&alice, "alice", &password);
    reused.auth_message.push('x');
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    assert!(prove_program(&alice, reused, Protocol::Imap, here).await.is_err());
}

#[tokio::test]
async fn store_failure_is_no_wrong_scram_proof() {
    let alice = TestNode::new("alice").await;
    let (_, password) = create_app_password(&alice, "phone").await.unwrap();
    let (right, _) = proof(&alice, "alice", &password);
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    alice.fail_rows().await;
    for _ in 0..5 {
        let failed = prove_program(&alice, right.clone(), Protocol::Imap, here).await.map(drop);
        let is_failure = matches!(failed, Err(ProgramLoginError::Refused(LoginError::Store(_))));
        assert!(is_failure, "{failed:?}");
    }
    alice.recover_rows();
    assert!(prove_program(&alice, right, Protocol::Imap, here).await.is_ok());
}

/// The row as earlier versions wrote it.
#[derive(Encode, Decode)]
#[cbor(map)]
struct EarlierRow {
    #[n(0)]
    id: AppPasswordId,
    #[n(1)]
    label: String,
    #[n(2)]
    created: Timestamp,
    #[n(3)]
    last_used: Option<Timestamp>,
}

impl Record for EarlierRow {
    const TABLE: Table = AppRow::TABLE;
    const VERSION: u8 = AppRow::VERSION;
}

#[tokio::test]
async fn earlier_password_gets_scram_keys_from_plain() {
    let alice = TestNode::new("alice").await;
    let letters = "abcdefghijklmnopqrstuvwxy";
    let key = key_of(&alice, letters).unwrap();
    let (id, label, created) = (AppPasswordId([1; 16]), "old".to_owned(), alice.clock.now());
    let row = EarlierRow { id, label, created, last_used: Some(created) };
    alice.store.commit(move |tx| row::put(tx, &key, &row)).await.unwrap();
    let listed = app_passwords(&alice).unwrap().remove(0);
    assert_eq!((listed.limits, listed.last_client), (AppLimits::default(), None));
    let (_, new) = create_app_password(&alice, "new").await.unwrap();
    assert!(prove(&alice, "alice", &new).await.is_ok());
    assert!(!offers_scram(&alice).unwrap(), "a program with the old one would fail");
    assert!(is_wrong(prove(&alice, "alice", letters).await));
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let (typed, protocol) = (shown(letters).to_uppercase(), Protocol::Smtp);
    let session = log_in_program(&alice, "alice", &typed, protocol, here).await.unwrap();
    assert!(offers_scram(&alice).unwrap());
    for known_as in [shown(letters), letters.to_owned()] {
        assert!(prove(&alice, "alice", &known_as).await.is_ok(), "{known_as}");
    }
    drop(session);
}

#[tokio::test]
async fn expired_app_password_is_refused_and_ends_sessions() {
    let alice = TestNode::new("alice").await;
    let expires = Some(alice.clock.now().plus_millis(1000));
    let limits = AppLimits { scope: AppScope::Both, expires };
    let (app, password) = create_limited_app_password(&alice, "visit", limits).await.unwrap();
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let log_in = || log_in_program(&alice, "alice", &password, Protocol::Imap, here);
    let session = log_in().await.unwrap();
    alice.clock.advance(999);
    crate::logins::end_expired_program_sessions(&alice);
    assert_eq!((session.is_valid(), session.end_signal().is_ended()), (Ok(true), false));
    alice.clock.advance(1);
    assert_eq!((session.is_valid(), session.end_signal().is_ended()), (Ok(false), false));
    crate::logins::end_expired_program_sessions(&alice);
    session.end_signal().ended().await;
    for _ in 0..10 {
        // It is no guess.
        assert_eq!(log_in().await.err(), Some(ProgramLoginError::Expired));
        let proven = prove(&alice, "alice", &password).await;
        assert_eq!(proven.err(), Some(ProgramLoginError::Expired));
    }
    let checked = check_app_password(&alice, "alice", &password, localhost()).await;
    assert_eq!(checked, Err(LoginError::Wrong));
    assert!(is_wrong(prove(&alice, "bob", &password).await), "a stranger learns no limit");
    assert!(app_passwords(&alice).unwrap()[0].is_expired(alice.clock.now()));
    revoke_app_password(&alice, app.id).await.unwrap();
}

#[tokio::test]
async fn app_password_is_refused_outside_its_scope() {
    let alice = TestNode::new("alice").await;
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    for (scope, imap, smtp) in
        [(AppScope::Both, true, true), (AppScope::Read, true, false), (AppScope::Send, false, true)]
    {
        let limits = AppLimits { scope, expires: None };
        let (_, password) = create_limited_app_password(&alice, "x", limits).await.unwrap();
        for (protocol, is_covered) in [(Protocol::Imap, imap), (Protocol::Smtp, smtp)] {
            let by_text = log_in_program(&alice, "alice", &password, protocol, here).await.err();
            let (proof, _) = proof(&alice, "alice", &password);
            let by_proof = prove_program(&alice, proof, protocol, here).await.err();
            let refusal = (!is_covered).then_some(ProgramLoginError::OutOfScope(scope));
            assert_eq!((by_text, by_proof), (refusal.clone(), refusal), "{scope} {protocol}");
        }
    }
}
