//! Invites made, taken, refused; people at the door.

use axum::http::StatusCode;
use freehold_core::friends::{self, FriendState, Introduction};
use freehold_core::identity_log;
use freehold_core::testing::TestNode;

use crate::browser::Browser;

async fn link_of(owner: &mut Browser) -> String {
    let page = owner.post("/home/friends/invite", &[("label", "Bob <b>")]).await.text();
    page.split("<p class=\"mono gap\">")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap()
        .replace("&#38;", "&")
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

#[tokio::test]
async fn an_invite_is_shown_once_and_accepted_at_the_other_house() {
    let (alice, bob) = (TestNode::new("alice").await, TestNode::new("bob").await);
    let (mut alices, mut bobs) = (Browser::owner(&alice).await, Browser::owner(&bob).await);
    let link = link_of(&mut alices).await;
    assert!(link.starts_with("http://alice.localhost:8080/i#"), "{link}");
    let list = alices.get("/home/friends").await.text();
    assert!(!list.contains(&link) && list.contains("For Bob &#60;b&#62;"));
    let seen = bobs.post("/home/friends/accept", &[("invite", &format!("  {link}\n"))]).await;
    assert!(seen.text().contains("Taken. Alice will appear here"), "{}", seen.text());
    let asked = friends::list(&bob).unwrap();
    assert_eq!(
        (asked[0].person, asked[0].state),
        (alice.identity.person().unwrap(), FriendState::Requested)
    );
}

#[tokio::test]
async fn what_is_no_invite_and_ones_own_are_refused_in_words() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let own = link_of(&mut owner).await;
    for (pasted, says) in [
        ("https://alice.example/i#AAAA", "not a whole invite"),
        ("", "not a whole invite"),
        (own.as_str(), "your own"),
    ] {
        let seen = owner.post("/home/friends/accept", &[("invite", pasted)]).await;
        assert_eq!(seen.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(seen.text().contains(says), "{}", seen.text());
    }
}

#[tokio::test]
async fn an_invite_can_be_taken_back() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    link_of(&mut owner).await;
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
async fn somebody_at_the_door_is_let_in_or_not() {
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
    let page = owner.get("/home/friends").await.text();
    assert!(
        page.contains("At the door")
            && page.contains("We met by the river")
            && !page.contains("<script>")
    );
    owner.post(&format!("/home/friends/{}/let-in", bob.identity.person().unwrap()), &[]).await;
    owner.post(&format!("/home/friends/{}/not-now", eve.identity.person().unwrap()), &[]).await;
    assert!(friends::is_friend(&alice, &bob.identity.person().unwrap()).unwrap());
    assert!(friends::requests(&alice).unwrap().is_empty());
    let unknown =
        owner.post(&format!("/home/friends/{}/let-in", eve.identity.person().unwrap()), &[]).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    owner.post(&format!("/home/friends/{}/remove", bob.identity.person().unwrap()), &[]).await;
    assert!(!friends::is_friend(&alice, &bob.identity.person().unwrap()).unwrap());
}

#[tokio::test]
async fn an_invite_is_also_a_picture_for_a_camera() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let page = owner.post("/home/friends/invite", &[("label", "Bob")]).await.text();
    let svg = page.split("<svg class=\"qr").nth(1).unwrap().split("</svg>").next().unwrap();
    assert!(
        svg.contains("role=\"img\"")
            && svg.contains("<title id=\"qr-title\">")
            && svg.contains("fill=\"#fff\""),
        "{svg}"
    );
    assert!(
        !owner.get("/home/friends").await.text().contains("class=\"qr"),
        "shown once, like the link"
    );
}

#[tokio::test]
async fn a_friend_and_somebody_at_the_door_can_be_blocked_and_unblocked() {
    let (alice, bob, eve) =
        (TestNode::new("alice").await, TestNode::new("bob").await, TestNode::new("eve").await);
    for (node, name) in [(&bob, "Bob"), (&eve, "Eve <script>")] {
        identity_log::learn(&alice, node.identity.log().unwrap().to_bytes()).await.unwrap();
        friends::receive_request(&alice, &introduction(node, name), "Hello").await.unwrap();
    }
    let mut owner = Browser::owner(&alice).await;
    let path = |node: &TestNode, what: &str| {
        format!("/home/friends/{}/{what}", node.identity.person().unwrap())
    };
    owner.post(&path(&bob, "let-in"), &[]).await;
    for node in [&bob, &eve] {
        let page = owner.get("/home/friends").await.text();
        assert!(
            page.contains(&path(node, "block")) && page.contains("They are not told."),
            "{page}"
        );
        assert_eq!(owner.post(&path(node, "block"), &[]).await.location(), "/home/friends#blocked");
    }
    let page = owner.get("/home/friends").await.text();
    assert!(
        page.contains("id=\"blocked\"")
            && page.contains(&path(&eve, "unblock"))
            && !page.contains("<script>"),
        "{page}"
    );
    assert!(!friends::is_friend(&alice, &bob.identity.person().unwrap()).unwrap());
    assert!(friends::requests(&alice).unwrap().is_empty());
    Browser::stranger(&alice).post(&path(&bob, "unblock"), &[]).await;
    assert_eq!(friends::list(&alice).unwrap().len(), 2, "a stranger unblocks nobody");
    owner.post(&path(&bob, "unblock"), &[]).await;
    assert_eq!(friends::list(&alice).unwrap().len(), 1);
    assert_eq!(
        owner.post(&path(&bob, "block"), &[]).await.status,
        StatusCode::NOT_FOUND,
        "who is not here can't be blocked"
    );
}
