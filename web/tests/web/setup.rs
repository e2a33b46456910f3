//! The first visit, from the one-time link to the words.

use axum::http::StatusCode;
use freehold_core::mnemonic::Mnemonic;
use freehold_core::testing::TestNode;
use freehold_core::{identity, logins, profile};

use crate::browser::{Browser, Seen};

const PASSWORD: &str = "nobody walks on varnish";

fn answers<'a>(
    token: &'a str,
    address: &'a str,
    password: &'a str,
    again: &'a str,
) -> [(&'a str, &'a str); 5] {
    [
        ("token", token),
        ("name", "Ruth Aldous"),
        ("address", address),
        ("password", password),
        ("again", again),
    ]
}

/// The words asked back, as the page's card has them.
fn asked(page: &Seen) -> Vec<String> {
    let words: Vec<String> = page.field("words").split(' ').map(str::to_owned).collect();
    let text = page.text();
    let numbers = text
        .split("for=\"word-")
        .skip(1)
        .map(|part| part.split('"').next().unwrap().parse::<usize>().unwrap());
    numbers.map(|number| words[number - 1].clone()).collect()
}

#[tokio::test]
async fn from_the_link_to_the_open_house() {
    let node = TestNode::without_owner("ruth").await;
    let token = logins::offer_setup(&node).await.unwrap().unwrap().to_string();
    let mut browser = Browser::stranger(&node);
    let first = browser.get(&format!("/setup?token={token}")).await.text();
    assert!(
        first.contains("The key is in the door")
            && first.contains("First visit. This page works once."),
        "{first}"
    );
    let seen =
        browser.post("/setup", &answers(&token, "Ruth@Aldous.Example", PASSWORD, PASSWORD)).await;
    assert_eq!(seen.location(), "/setup/words");
    let set = profile::get(&node).unwrap().unwrap();
    assert_eq!(
        (set.name.as_str(), profile::address(&set).as_str()),
        ("Ruth Aldous", "ruth@aldous.example")
    );

    let page = browser.get("/setup/words").await;
    assert_eq!(page.text().matches("<li><span>").count(), 24);
    assert!(page.text().contains("could, in principle, have watched"));
    let (words, asked) = (page.field("words"), asked(&page));
    let wrong = browser
        .post(
            "/setup/words",
            &[("words", &words), ("first", &asked[0]), ("second", "zoo"), ("third", &asked[2])],
        )
        .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(wrong.field("words"), words, "the same card is shown again");
    assert_eq!(node.identity.person(), None);
    let loud = asked[1].to_uppercase();
    let right = browser
        .post(
            "/setup/words",
            &[("words", &words), ("first", &asked[0]), ("second", &loud), ("third", &asked[2])],
        )
        .await;
    assert_eq!(right.location(), "/home");
    let person = node.identity.person().unwrap();
    assert!(page.text().contains(&person.to_string()), "the card names the whole person");
    let places = page
        .text()
        .split("can be had at")
        .nth(1)
        .unwrap()
        .split("</ol>")
        .next()
        .unwrap()
        .to_owned();
    assert!(
        places.contains("https://aldous.example/.well-known/freehold") && places.contains("____"),
        "{places}"
    );
    assert_eq!(places.matches("<li>").count(), 3);
    let same =
        identity::create_claim(&Mnemonic::parse(&words).unwrap(), &node.identity.card()).unwrap();
    assert_eq!(same.person(), Some(person));
    assert_eq!(browser.get("/setup/words").await.location(), "/home", "the words are shown once");
    assert!(
        !browser.get(&format!("/setup?token={token}")).await.status.is_success(),
        "the link works once"
    );
}

#[tokio::test]
async fn a_wrong_or_used_link_opens_nothing() {
    let node = TestNode::without_owner("ruth").await;
    let token = logins::offer_setup(&node).await.unwrap().unwrap().to_string();
    let mut browser = Browser::stranger(&node);
    for wrong in ["", "AAAAAAAAAAAAAAAAAAAAAA", "%00"] {
        assert_eq!(
            browser.get(&format!("/setup?token={wrong}")).await.status,
            StatusCode::FORBIDDEN
        );
        assert_eq!(
            browser.post("/setup", &answers(wrong, "a@b.example", PASSWORD, PASSWORD)).await.status,
            StatusCode::FORBIDDEN
        );
    }
    assert_eq!(profile::get(&node).unwrap(), None);
    assert!(
        browser
            .post("/setup", &answers(&token, "a@b.example", PASSWORD, PASSWORD))
            .await
            .status
            .is_redirection()
    );
    let late =
        browser.post("/setup", &answers(&token, "mallory@evil.example", PASSWORD, PASSWORD)).await;
    assert_eq!(late.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_can_not_be_taken_is_sent_back_with_the_likely_fix_and_without_the_password() {
    let node = TestNode::without_owner("ruth").await;
    let token = logins::offer_setup(&node).await.unwrap().unwrap().to_string();
    let mut browser = Browser::stranger(&node);
    let bad = [
        ("ruth.aldous.example", PASSWORD, PASSWORD, "There is no @ in it."),
        ("ruth@aldous,example", PASSWORD, PASSWORD, "is no domain"),
        ("r u@aldous.example", PASSWORD, PASSWORD, "letters a to z"),
        ("ruth@aldous.example", "short", "short", "That is short."),
        ("ruth@aldous.example", PASSWORD, "another one, sorry", "not the same"),
    ];
    for (address, password, again, fix) in bad {
        let seen = browser.post("/setup", &answers(&token, address, password, again)).await;
        assert_eq!(seen.status, StatusCode::UNPROCESSABLE_ENTITY, "{address}");
        assert!(
            seen.text().contains(fix) && seen.text().contains("Ruth Aldous"),
            "{}",
            seen.text()
        );
        assert!(!seen.text().contains(PASSWORD));
    }
}

#[tokio::test]
async fn a_claim_made_elsewhere_opens_the_house_and_one_for_another_node_does_not() {
    let (node, other) =
        (TestNode::without_owner("ruth").await, TestNode::without_owner("other").await);
    let token = logins::offer_setup(&node).await.unwrap().unwrap().to_string();
    let mut browser = Browser::stranger(&node);
    browser.post("/setup", &answers(&token, "ruth@aldous.example", PASSWORD, PASSWORD)).await;
    assert!(browser.get("/setup/words").await.text().contains(&node.identity.card().to_string()));
    let words = Mnemonic::from_entropy([7; 32]);
    let foreign = identity::create_claim(&words, &other.identity.card()).unwrap().to_string();
    let shown = browser.get("/setup/words").await;
    assert!(shown.text().contains("Each time this page is opened it makes new words"));
    for bad in [foreign.as_str(), "not a claim"] {
        let seen =
            browser.post("/setup/claim", &[("claim", bad), ("words", &shown.field("words"))]).await;
        assert_eq!(
            seen.field("words"),
            shown.field("words"),
            "whoever wrote them down still holds the right card"
        );
        assert_eq!(seen.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(seen.text().contains("claim-fault"));
    }
    let claim = identity::create_claim(&words, &node.identity.card()).unwrap();
    assert_eq!(
        browser.post("/setup/claim", &[("claim", &claim.to_string())]).await.location(),
        "/home"
    );
    assert_eq!(node.identity.person(), claim.person());
}
