//! Invites created, accepted, refused and revoked; requests; blocking.

use std::collections::HashSet;

use axum::http::StatusCode;
use freehold_core::friends::{self, FriendState, Introduction, ShortInvite};
use freehold_core::posts::Draft;
use freehold_core::shares::Share;
use freehold_core::testing::TestNode;
use freehold_core::{apply, identity_log, publish, timeline};

use crate::browser::Browser;

/// The short link and the long one.
async fn create_invite(owner: &mut Browser) -> [String; 2] {
    let form = [("label", "Bob <b>"), ("key", "7")];
    let made = owner.post("/home/friends/invite", &form).await.location();
    // A second press makes no second one.
    assert_eq!(owner.post("/home/friends/invite", &form).await.location(), made);
    let page = owner.get(&made).await;
    assert!(page.one("#invite-for").text().contains("Bob <b>"));
    ["#invite-link", "#invite-long"].map(|id| page.one(id).text())
}

fn introduction(node: &TestNode, name: &str) -> Introduction {
    let (person, node) = (node.identity.person().unwrap(), node.identity.node_key());
    Introduction {
        person,
        node,
        name: name.to_owned(),
        addresses: vec!["/ip4/127.0.0.1/tcp/1".to_owned()],
    }
}

/// The address of a form about a person.
fn form(node: &TestNode, action: &str) -> String {
    format!("/home/friends/{}/{action}", node.identity.person().unwrap())
}

/// The same as a selector.
fn form_selector(node: &TestNode, action: &str) -> String {
    format!("form[action='{}']", form(node, action))
}

#[tokio::test]
async fn invite_is_shown_once_and_accepted_elsewhere() {
    let (alice, bob) = (TestNode::new("alice").await, TestNode::new("bob").await);
    let (mut alices, mut bobs) = (Browser::owner(&alice).await, Browser::owner(&bob).await);
    let [short, link] = create_invite(&mut alices).await;
    assert!(link.starts_with("http://alice.localhost:8080/i#"), "{link}");
    assert_eq!(
        short.split_once('#').map(|(site, token)| (site, token.len())),
        Some(("http://alice.localhost:8080/i", 22))
    );
    let list = alices.get("/home/friends").await;
    assert!(!list.has("#invite-link") && !list.text().contains(link.split('#').nth(1).unwrap()));
    assert!(list.one("[data-invite]").text().contains("Bob <b>"));
    let seen = bobs.post("/home/friends/accept", &[("invite", &format!("  {link}\n"))]).await;
    assert!(seen.one("#accepted[role='status']").text().contains("Alice"), "{}", seen.text());
    assert!(!seen.has("[aria-invalid]"));
    let listed = friends::list(&bob).unwrap();
    assert_eq!(
        (listed[0].person, listed[0].state),
        (alice.identity.person().unwrap(), FriendState::Requested)
    );
}

#[tokio::test]
async fn malformed_and_own_invites_are_refused_with_different_faults() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let [own_short, own] = create_invite(&mut owner).await;
    let mut faults = Vec::new();
    for pasted in ["https://alice.example/i#AAAA", "", own.as_str(), own_short.as_str()] {
        let seen = owner.post("/home/friends/accept", &[("invite", pasted)]).await;
        faults.push(seen.fault("invite"));
        assert_eq!(seen.field("invite"), pasted, "the pasted text is sent back");
        assert!(!seen.has("#accepted"));
    }
    assert_eq!(faults[0], faults[1]);
    assert_eq!(faults.iter().collect::<HashSet<_>>().len(), 2, "{faults:?}");
}

#[tokio::test]
async fn invite_can_be_revoked() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    create_invite(&mut owner).await;
    let id = data_encoding::HEXLOWER.encode(&friends::open_invites(&alice).unwrap()[0].id);
    assert_eq!(
        owner.post(&format!("/home/friends/invite/{id}/revoke"), &[]).await.location(),
        "/home/friends"
    );
    assert!(friends::open_invites(&alice).unwrap().is_empty());
    assert_eq!(
        owner.post("/home/friends/invite/zz/revoke", &[]).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn friend_request_is_accepted_or_rejected() {
    let (alice, bob, eve) =
        (TestNode::new("alice").await, TestNode::new("bob").await, TestNode::new("eve").await);
    for (node, name) in [(&bob, "Bob"), (&eve, "Eve <script>")] {
        let ops = node.identity.log().unwrap().to_bytes();
        identity_log::learn(&alice, ops).await.unwrap();
        friends::receive_request(&alice, &introduction(node, name), "We met by the river")
            .await
            .unwrap();
    }
    let mut owner = Browser::owner(&alice).await;
    let page = owner.get("/home/friends").await;
    assert!(page.has("h2#requests") && !page.has("script"));
    for (node, name) in [(&bob, "Bob"), (&eve, "Eve <script>")] {
        let row = page.one(&format!("[data-person='{}']", node.identity.person().unwrap())).text();
        assert!(row.contains(name) && row.contains("We met by the river"), "{row}");
        assert!(
            page.has(&form_selector(node, "let-in")) && page.has(&form_selector(node, "not-now"))
        );
    }
    owner.post(&form(&bob, "let-in"), &[]).await;
    owner.post(&form(&eve, "not-now"), &[]).await;
    assert!(friends::is_friend(&alice, &bob.identity.person().unwrap()).unwrap());
    assert!(friends::requests(&alice).unwrap().is_empty());
    let unknown = owner.post(&form(&eve, "let-in"), &[]).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    owner.post(&form(&bob, "remove"), &[]).await;
    assert!(!friends::is_friend(&alice, &bob.identity.person().unwrap()).unwrap());
}

#[tokio::test]
async fn invite_has_a_qr_code_that_is_shown_once() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let made = owner.post("/home/friends/invite", &[("label", "Bob")]).await.location();
    let page = owner.get(&made).await;
    let title = page.one("svg.qr[role='img'][aria-labelledby='qr-title'] title#qr-title");
    assert!(!title.text().is_empty());
    assert!(page.has("svg.qr path[fill='#fff']") && page.has("svg.qr path[fill='#000'][d^='M']"));
    assert!(!owner.get("/home/friends").await.has("svg.qr"), "shown once, like the link");
}

#[tokio::test]
async fn friend_and_requester_can_be_blocked_and_unblocked() {
    let (alice, bob, eve) =
        (TestNode::new("alice").await, TestNode::new("bob").await, TestNode::new("eve").await);
    for (node, name) in [(&bob, "Bob"), (&eve, "Eve <script>")] {
        identity_log::learn(&alice, node.identity.log().unwrap().to_bytes()).await.unwrap();
        friends::receive_request(&alice, &introduction(node, name), "Hello").await.unwrap();
    }
    let mut owner = Browser::owner(&alice).await;
    owner.post(&form(&bob, "let-in"), &[]).await;
    for node in [&bob, &eve] {
        let page = owner.get("/home/friends").await;
        assert!(page.has(&format!("details {}", form_selector(node, "block"))), "{}", page.text());
        let person = node.identity.person().unwrap();
        let consequences = format!("[data-person='{person}'] [data-consequences='block']");
        assert!(!page.one(&consequences).text().is_empty(), "the form says what blocking does");
        assert_eq!(owner.post(&form(node, "block"), &[]).await.location(), "/home/friends");
    }
    let page = owner.get("/home/friends").await;
    assert!(page.has("#blocked") && page.has(&form_selector(&eve, "unblock")), "{}", page.text());
    assert!(!page.has("script"));
    assert!(!friends::is_friend(&alice, &bob.identity.person().unwrap()).unwrap());
    assert!(friends::requests(&alice).unwrap().is_empty());
    Browser::stranger(&alice).post(&form(&bob, "unblock"), &[]).await;
    assert_eq!(friends::list(&alice).unwrap().len(), 2, "a stranger unblocks nobody");
    owner.post(&form(&bob, "unblock"), &[]).await;
    assert_eq!(friends::list(&alice).unwrap().len(), 1);
    assert_eq!(
        owner.post(&form(&bob, "block"), &[]).await.status,
        StatusCode::NOT_FOUND,
        "an unknown person can't be blocked"
    );
}

#[tokio::test]
async fn ended_friendship_forgets_what_was_said_if_asked() {
    for (action, forgets) in [("remove", false), ("remove", true), ("block", true)] {
        let (alice, bob) = TestNode::pair().await;
        publish::post(&bob, Draft { text: "Hello".to_owned(), ..Draft::default() }).await.unwrap();
        crate::timeline::carry(&bob, &alice).await;
        let mut owner = Browser::owner(&alice).await;
        let tick = format!("{} input[name='forget']", form_selector(&bob, action));
        assert!(owner.get("/home/friends").await.has(&tick), "{action}");
        let fields: &[(&str, &str)] = if forgets { &[("forget", "1")] } else { &[] };
        owner.post(&form(&bob, action), fields).await;
        assert!(!friends::is_friend(&alice, &bob.identity.person().unwrap()).unwrap());
        apply::run_due(&alice).await.unwrap();
        let shown = timeline::page(&alice, None, 10).unwrap().len();
        assert_eq!(shown, usize::from(!forgets), "{action}");
    }
}

#[tokio::test]
async fn friend_over_the_daily_share_is_shown_until_tomorrow() {
    let (alice, bob) = TestNode::pair().await;
    let notice =
        format!("[data-person='{}'] [data-notice='over-share']", bob.identity.person().unwrap());
    for share in [Share::Entries, Share::Photos] {
        let mut owner = Browser::owner(&alice).await;
        assert!(!owner.get("/home/friends").await.has(&notice));
        alice.use_up_share(share(bob.identity.person().unwrap())).await;
        assert!(owner.get("/home/friends").await.has(&notice));
        alice.clock.advance(24 * 60 * 60 * 1000);
    }
}

#[tokio::test]
async fn short_invite_is_resolved_by_its_hash_alone() {
    let alice = TestNode::new("alice").await;
    let (mut owner, mut anyone) = (Browser::owner(&alice).await, Browser::stranger(&alice));
    let [short, _] = create_invite(&mut owner).await;
    let invite: ShortInvite = short.parse().unwrap();
    let answer = anyone.get(&invite.path()).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(invite.open(&answer.bytes).unwrap().person, alice.identity.person().unwrap());
    let token = short.split_once('#').unwrap().1;
    for path in [format!("/i/{token}"), format!("/i/{}", "A".repeat(43)), "/i/%00".to_owned()] {
        assert_eq!(anyone.get(&path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn owner_carries_a_friends_letters_and_stops() {
    let (alice, bob) = TestNode::pair().await;
    let person = bob.identity.person().unwrap();
    let mut owner = Browser::owner(&alice).await;
    assert!(!owner.get("/home/friends").await.has("[data-relayed]"));
    let shown = owner.post(&form(&bob, "relay"), &[("on", "1")]).await.location();
    assert!(friends::is_relayed(&alice, &person).unwrap());
    assert!(owner.get(&shown).await.has("[data-relayed]"));
    let shown = owner.post(&form(&bob, "relay"), &[]).await.location();
    assert!(!friends::is_relayed(&alice, &person).unwrap());
    assert!(!owner.get(&shown).await.has("[data-relayed]"));
    friends::remove(&alice, person).await.unwrap();
    let refused = owner.post(&form(&bob, "relay"), &[("on", "1")]).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
}
