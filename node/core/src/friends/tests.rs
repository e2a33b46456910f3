use data_encoding::BASE64URL_NOPAD;

use super::request::NOTE_LEN_MAX;
use super::*;
use crate::cbor::Value;
use crate::identity::PersonId;
use crate::node::Node;
use crate::store::{Scan, Table};
use crate::testing::TestNode;

fn stranger(n: u8) -> Introduction {
    let node = crate::keys::SecretKey::from_bytes(&[n; 32]).public();
    Introduction {
        person: PersonId([n; 32]),
        node,
        name: format!("Stranger {n}"),
        addresses: vec!["/ip4/192.0.2.1/tcp/1".into()],
    }
}

fn state(node: &Node, person: PersonId) -> Option<FriendState> {
    get(node, &person).unwrap().map(|friend| friend.state)
}

#[tokio::test]
async fn invite_makes_both_sides_friends() {
    let (alice, bob) = TestNode::pair().await;
    let (alice_id, bob_id) = (alice.identity.person().unwrap(), bob.identity.person().unwrap());
    assert!(is_friend(&alice, &bob_id).unwrap() && is_friend(&bob, &alice_id).unwrap());
    assert_eq!(list(&alice).unwrap()[0].name, "Bob");
    assert_eq!(pending_invites(&bob).unwrap(), []);
    assert_eq!(open_invites(&alice).unwrap(), []);
}

#[tokio::test]
async fn invite_link_survives_line_breaks_of_mail_programs() {
    let alice = TestNode::new("alice").await;
    let addresses: Vec<String> = (0..6).map(|n| format!("/ip4/192.0.2.{n}/tcp/4001")).collect();
    let invite = create_invite(&alice, " Bob ", &addresses).await.unwrap();
    assert_eq!(invite.addresses.len(), ADDRESSES_MAX);
    let url = invite.to_url("https://alice.example/");
    assert!(url.starts_with("https://alice.example/i#") && url.len() < 500, "{url}");
    let (head, tail) = url.split_at(60);
    for text in
        [url.clone(), invite.to_string(), format!("  {head}\r\n {tail}\n"), format!("{url}==")]
    {
        assert_eq!(text.parse::<Invite>().unwrap(), invite);
    }
    for bad in [
        "",
        "https://alice.example/i#",
        "https://alice.example/i#AAAA",
        "not an invite",
        &"A".repeat(5000),
    ] {
        assert_eq!(bad.parse::<Invite>(), Err(NotAnInvite));
    }
    let open = open_invites(&alice).unwrap();
    assert_eq!((open.len(), open[0].label.as_str()), (1, "Bob"));
    assert!(!format!("{invite:?}").contains(&data_encoding::HEXLOWER.encode(&invite.token)));
}

#[tokio::test]
async fn invite_with_unknown_even_key_is_refused() {
    let alice = TestNode::new("alice").await;
    let invite = create_invite(&alice, "", &["/ip4/192.0.2.1/tcp/4001".to_owned()]).await.unwrap();
    let code = BASE64URL_NOPAD.decode(invite.to_string().as_bytes()).unwrap();
    type Keys = Vec<(u64, Value)>;
    let with = |change: fn(&mut Keys)| {
        let Value::Map(mut fields) = Value::from_canonical(&code[1..]).unwrap() else { panic!() };
        change(&mut fields);
        BASE64URL_NOPAD
            .encode(&[&code[..1], &Value::Map(fields).to_canonical()].concat())
            .parse::<Invite>()
    };
    assert_eq!(with(|_| {}), Ok(invite.clone()));
    assert_eq!(with(|fields| fields.push((12, Value::Bool(true)))), Err(NotAnInvite));
    assert_eq!(with(|fields| fields.push((13, Value::Bool(true)))), Ok(invite.clone()));
    assert!(with(|fields| fields.truncate(6)).is_ok(), "without a name");
    assert_eq!(
        with(|fields| fields[1].1 = Value::Uint(2)),
        Err(NotAnInvite),
        "an unknown key suite"
    );
    // A second encoding of the same invite.
    let long = [&code[..3], &[0x59, 0x00, 0x20], &code[5..]].concat();
    assert_eq!(BASE64URL_NOPAD.encode(&long).parse::<Invite>(), Err(NotAnInvite));
}

#[tokio::test]
async fn invite_token_works_once_until_expired_or_revoked() {
    let alice = TestNode::new("alice").await;
    let used = create_invite(&alice, "", &[]).await.unwrap();
    assert!(redeem_invite(&alice, &stranger(5), used.token).await.is_ok());
    assert_eq!(redeem_invite(&alice, &stranger(6), used.token).await, Err(BefriendError::BadToken));
    // A node that lost the answer may send the token again.
    assert!(redeem_invite(&alice, &stranger(5), used.token).await.is_ok());

    let late = create_invite(&alice, "", &[]).await.unwrap();
    alice.clock.advance(INVITE_MS);
    assert_eq!(redeem_invite(&alice, &stranger(6), late.token).await, Err(BefriendError::BadToken));

    let revoked = create_invite(&alice, "", &[]).await.unwrap();
    revoke_invite(&alice, open_invites(&alice).unwrap()[0].id).await.unwrap();
    assert_eq!(
        redeem_invite(&alice, &stranger(6), revoked.token).await,
        Err(BefriendError::BadToken)
    );
    assert_eq!(redeem_invite(&alice, &stranger(6), [0; 16]).await, Err(BefriendError::BadToken));
    assert_eq!(state(&alice, stranger(6).person), None);
}

#[tokio::test]
async fn concurrent_use_of_one_token_makes_one_friend() {
    let alice = TestNode::new("alice").await;
    let invite = create_invite(&alice, "", &[]).await.unwrap();
    let (one, two) = (stranger(5), stranger(6));
    let (one, two) = tokio::join!(
        redeem_invite(&alice, &one, invite.token),
        redeem_invite(&alice, &two, invite.token)
    );
    assert_eq!([one.is_ok(), two.is_ok()].iter().filter(|accepted| **accepted).count(), 1);
}

#[tokio::test]
async fn friend_node_key_is_not_replaced_without_a_token() {
    let alice = TestNode::new("alice").await;
    let invite = create_invite(&alice, "", &[]).await.unwrap();
    redeem_invite(&alice, &stranger(5), invite.token).await.unwrap();
    // Another node key for the same person needs its own token.
    let other = Introduction { node: stranger(7).node, ..stranger(5) };
    assert_eq!(redeem_invite(&alice, &other, invite.token).await, Err(BefriendError::BadToken));
    assert_eq!(get(&alice, &other.person).unwrap().unwrap().node, stranger(5).node);
    assert!(!invite_accepted(&alice, stranger(6).person).await.unwrap());
    assert_eq!(state(&alice, stranger(6).person), None);
}

#[tokio::test]
async fn own_and_expired_invites_are_refused() {
    let (alice, bob) = (TestNode::new("alice").await, TestNode::new("bob").await);
    let invite = create_invite(&alice, "", &[]).await.unwrap();
    assert_eq!(accept_invite(&alice, &invite).await, Err(AcceptInviteError::Own));
    accept_invite(&bob, &invite).await.unwrap();
    let pending = pending_invites(&bob).unwrap();
    assert_eq!(
        (pending.len(), pending[0].token, pending[0].friend.state),
        (1, invite.token, FriendState::Requested)
    );
    assert!(!is_friend(&bob, &invite.person).unwrap());
    assert!(invite_refused(&bob, invite.person).await.unwrap());
    assert_eq!(
        (pending_invites(&bob).unwrap().len(), state(&bob, invite.person)),
        (0, Some(FriendState::Refused))
    );
    // A new invite can be accepted.
    let second = create_invite(&alice, "", &[]).await.unwrap();
    accept_invite(&bob, &second).await.unwrap();
    invite_accepted(&bob, second.person).await.unwrap();
    assert_eq!(accept_invite(&bob, &second).await, Err(AcceptInviteError::Already));
    bob.clock.advance(INVITE_MS);
    assert_eq!(accept_invite(&bob, &second).await, Err(AcceptInviteError::Expired));
}

#[tokio::test]
async fn friend_request_waits_for_the_owner() {
    let alice = TestNode::new("alice").await;
    let from = Introduction {
        name: "\u{7} ".into(),
        addresses: vec!["x".repeat(300), "a b".into(), "/ok".into()],
        ..stranger(5)
    };
    assert!(!receive_request(&alice, &from, &"hello\u{0}\n".repeat(200)).await.unwrap());
    let open = requests(&alice).unwrap();
    assert_eq!((open.len(), open[0].from.name.as_str()), (1, from.person.short().as_str()));
    assert_eq!(open[0].from.addresses, ["/ok"]);
    assert!(open[0].note.len() <= NOTE_LEN_MAX && !open[0].note.contains('\0'));
    accept_request(&alice, from.person).await.unwrap();
    assert!(is_friend(&alice, &from.person).unwrap());
    assert_eq!(requests(&alice).unwrap(), []);
    assert_eq!(accept_request(&alice, from.person).await, Err(BefriendError::NoSuchRequest));
    // A request of a friend is accepted.
    assert!(receive_request(&alice, &from, "").await.unwrap());

    receive_request(&alice, &stranger(6), "").await.unwrap();
    reject_request(&alice, stranger(6).person).await.unwrap();
    assert_eq!((requests(&alice).unwrap().len(), state(&alice, stranger(6).person)), (0, None));
}

#[tokio::test]
async fn unanswered_friend_request_expires_and_frees_its_place() {
    let alice = TestNode::new("alice").await;
    for n in 0..200u8 {
        receive_request(&alice, &Introduction { person: PersonId([n; 32]), ..stranger(5) }, "")
            .await
            .unwrap();
    }
    alice.clock.advance(REQUEST_MS - 1);
    assert_eq!(
        (requests(&alice).unwrap().len(), receive_request(&alice, &stranger(220), "").await),
        (200, Err(BefriendError::TooMany))
    );
    alice.clock.advance(1);
    assert_eq!(requests(&alice).unwrap(), []);
    assert_eq!(accept_request(&alice, PersonId([3; 32])).await, Err(BefriendError::NoSuchRequest));
    assert_eq!(receive_request(&alice, &stranger(220), "").await, Ok(false));
    assert_eq!(requests(&alice).unwrap().len(), 1);
}

#[tokio::test]
async fn unfollow_notice_is_kept_until_delivered() {
    let (alice, bob) = TestNode::pair().await;
    let (alice_id, bob_id) = (alice.identity.person().unwrap(), bob.identity.person().unwrap());
    remove(&alice, bob_id).await.unwrap();
    let notices = unfollow_notices(&alice).unwrap();
    assert_eq!(
        (notices.len(), notices[0].person, notices[0].node),
        (1, bob_id, bob.identity.node_key())
    );
    // Bob's node receives the notice: Alice stays in Bob's list, as one who has left.
    assert!(unfollowed_by(&bob, alice_id).await.unwrap());
    assert_eq!(state(&bob, alice_id), Some(FriendState::Left));
    assert!(!is_friend(&bob, &alice_id).unwrap() && !unfollowed_by(&bob, alice_id).await.unwrap());
    unfollow_notice_delivered(&alice, bob_id).await.unwrap();
    assert_eq!(unfollow_notices(&alice).unwrap(), []);
    // They can become friends again.
    let invite = create_invite(&alice, "", &[]).await.unwrap();
    accept_invite(&bob, &invite).await.unwrap();
    assert_eq!(state(&bob, alice_id), Some(FriendState::Requested));
}

#[tokio::test]
async fn unfollow_notice_ends_by_block_new_friendship_or_age() {
    let (alice, bob) = TestNode::pair().await;
    let bob_id = bob.identity.person().unwrap();
    block(&alice, bob_id).await.unwrap();
    assert_eq!(unfollow_notices(&alice).unwrap(), []);
    unblock(&alice, bob_id).await.unwrap();
    let invite = create_invite(&alice, "", &[]).await.unwrap();
    redeem_invite(&alice, &bob.introduction(), invite.token).await.unwrap();
    remove(&alice, bob_id).await.unwrap();
    assert_eq!(unfollow_notices(&alice).unwrap().len(), 1);
    // A friend again before the notice was delivered.
    let invite = create_invite(&alice, "", &[]).await.unwrap();
    redeem_invite(&alice, &bob.introduction(), invite.token).await.unwrap();
    assert_eq!(unfollow_notices(&alice).unwrap(), []);
    remove(&alice, bob_id).await.unwrap();
    alice.clock.advance(UNFOLLOW_NOTICE_MS - 1);
    assert_eq!(
        (
            unfollow_notices(&alice).unwrap().len(),
            drop_expired_unfollow_notices(&alice).await.unwrap()
        ),
        (1, 0)
    );
    alice.clock.advance(1);
    assert_eq!(unfollow_notices(&alice).unwrap(), []);
    // The expired row, which has an address, is deleted.
    let stored =
        || alice.store.scan(Table::new("friends_farewells"), &Scan::prefix(&[], 10)).unwrap().len();
    assert_eq!(
        (stored(), drop_expired_unfollow_notices(&alice).await.unwrap(), stored()),
        (1, 1, 0)
    );
}

#[tokio::test]
async fn open_friend_requests_are_bounded() {
    let alice = TestNode::new("alice").await;
    for n in 0..=200u8 {
        let from = Introduction { person: PersonId([n; 32]), ..stranger(5) };
        let answer = receive_request(&alice, &from, "").await;
        assert_eq!(answer, if n < 200 { Ok(false) } else { Err(BefriendError::TooMany) });
    }
    assert_eq!(
        receive_request(
            &alice,
            &Introduction { person: PersonId([3; 32]), ..stranger(5) },
            "again"
        )
        .await,
        Ok(false)
    );
}

#[tokio::test]
async fn blocked_person_is_refused_until_unblocked() {
    let (alice, bob) = TestNode::pair().await;
    let bob_id = bob.identity.person().unwrap();
    block(&alice, bob_id).await.unwrap();
    assert!(!is_friend(&alice, &bob_id).unwrap());
    let invite = create_invite(&alice, "", &[]).await.unwrap();
    assert_eq!(
        redeem_invite(&alice, &bob.introduction(), invite.token).await,
        Err(BefriendError::Refused)
    );
    assert_eq!(open_invites(&alice).unwrap().len(), 1);
    assert_eq!(receive_request(&alice, &bob.introduction(), "").await, Err(BefriendError::Refused));
    let theirs = create_invite(&bob, "", &[]).await.unwrap();
    assert_eq!(accept_invite(&alice, &theirs).await, Err(AcceptInviteError::Blocked));
    unblock(&alice, bob_id).await.unwrap();
    assert!(redeem_invite(&alice, &bob.introduction(), invite.token).await.is_ok());

    receive_request(&alice, &stranger(6), "").await.unwrap();
    assert!(block(&alice, stranger(6).person).await.unwrap());
    assert_eq!(
        (requests(&alice).unwrap().len(), state(&alice, stranger(6).person)),
        (0, Some(FriendState::Blocked))
    );
    assert!(!block(&alice, stranger(9).person).await.unwrap());
}

#[tokio::test]
async fn addresses_of_a_moved_friend_are_updated() {
    let (alice, bob) = TestNode::pair().await;
    let bob_id = bob.identity.person().unwrap();
    record_contact(&alice, bob_id, &["/ip4/192.0.2.7/tcp/1".into()]).await.unwrap();
    let friend = get(&alice, &bob_id).unwrap().unwrap();
    assert_eq!(
        (friend.addresses, friend.last_seen),
        (vec!["/ip4/192.0.2.7/tcp/1".to_owned()], Some(alice.clock.now()))
    );
    alice.clock.advance(2 * 60 * 60 * 1000);
    record_contact(&alice, bob_id, &[]).await.unwrap();
    let friend = get(&alice, &bob_id).unwrap().unwrap();
    assert_eq!((friend.addresses.len(), friend.last_seen), (1, Some(alice.clock.now())));
    record_contact(&alice, stranger(5).person, &["/x".into()]).await.unwrap();
    remove(&alice, bob_id).await.unwrap();
    assert_eq!(list(&alice).unwrap(), []);
}
