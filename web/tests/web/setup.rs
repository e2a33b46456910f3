//! The set-up, from the one-time link to the mnemonic.

use std::collections::HashSet;

use axum::http::StatusCode;
use freehold_core::mnemonic::Mnemonic;
use freehold_core::testing::TestNode;
use freehold_core::{identity, logins, profile};

use crate::browser::{Browser, Seen};

const PASSWORD: &str = "nobody walks on varnish";

fn setup_form<'a>(
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

/// The words that the page asks for, from its card.
fn checked_words(page: &Seen) -> Vec<String> {
    let words: Vec<String> = words_of(page).split(' ').map(str::to_owned).collect();
    let fields = page.all("input[id^='word-']");
    let numbers = fields
        .iter()
        .map(|field| field.attr("id").trim_start_matches("word-").parse::<usize>().unwrap());
    numbers.map(|number| words[number - 1].clone()).collect()
}

/// All words, from the hidden field.
fn words_of(page: &Seen) -> String {
    page.one("form[action='/setup/words'] [name='words']").value()
}

#[tokio::test]
async fn setup_link_leads_to_a_claimed_node() {
    let node = TestNode::without_owner("ruth").await;
    let token = logins::offer_setup(&node).await.unwrap().unwrap().to_string();
    let mut browser = Browser::stranger(&node);
    let first = browser.get(&format!("/setup?token={token}")).await;
    assert_eq!(first.status, StatusCode::OK);
    assert!(first.has("#works-once"), "the page says that its link works once");
    assert_eq!(first.one("form[action='/setup'] [name='token']").value(), token);
    let seen = browser
        .post("/setup", &setup_form(&token, "Ruth@Aldous.Example", PASSWORD, PASSWORD))
        .await;
    assert_eq!(seen.location(), "/setup/words");
    let set = profile::get(&node).unwrap().unwrap();
    assert_eq!(
        (set.name.as_str(), profile::address(&set).as_str()),
        ("Ruth Aldous", "ruth@aldous.example")
    );

    let page = browser.get("/setup/words").await;
    assert_eq!(page.all(".card .words li").len(), 24);
    assert!(page.has("#words-warning"));
    let (words, checked) = (words_of(&page), checked_words(&page));
    assert_eq!(checked.len(), 3);
    let wrong = browser
        .post(
            "/setup/words",
            &[("words", &words), ("first", &checked[0]), ("second", "zoo"), ("third", &checked[2])],
        )
        .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(wrong.one("[aria-invalid='true']").attr("name"), "second");
    assert_eq!(words_of(&wrong), words, "the same card is shown again");
    assert_eq!(node.identity.person(), None);
    let upper_case = checked[1].to_uppercase();
    let right = browser
        .post(
            "/setup/words",
            &[
                ("words", &words),
                ("first", &checked[0]),
                ("second", &upper_case),
                ("third", &checked[2]),
            ],
        )
        .await;
    assert_eq!(right.location(), "/home");
    let person = node.identity.person().unwrap();
    assert_eq!(page.one("#person").text(), person.to_string(), "the card has the whole person id");
    let addresses = page.one("#log-addresses").text();
    assert!(addresses.contains("https://aldous.example/.well-known/freehold"), "{addresses}");
    assert!(addresses.contains("____"), "blanks to fill in: {addresses}");
    assert_eq!(page.all("#log-addresses li").len(), 3);
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
async fn wrong_or_used_setup_link_is_refused() {
    let node = TestNode::without_owner("ruth").await;
    let token = logins::offer_setup(&node).await.unwrap().unwrap().to_string();
    let mut browser = Browser::stranger(&node);
    for wrong in ["", "AAAAAAAAAAAAAAAAAAAAAA", "%00"] {
        assert_eq!(
            browser.get(&format!("/setup?token={wrong}")).await.status,
            StatusCode::FORBIDDEN
        );
        assert_eq!(
            browser
                .post("/setup", &setup_form(wrong, "a@b.example", PASSWORD, PASSWORD))
                .await
                .status,
            StatusCode::FORBIDDEN
        );
    }
    assert_eq!(profile::get(&node).unwrap(), None);
    assert!(
        browser
            .post("/setup", &setup_form(&token, "a@b.example", PASSWORD, PASSWORD))
            .await
            .status
            .is_redirection()
    );
    let late = browser
        .post("/setup", &setup_form(&token, "mallory@evil.example", PASSWORD, PASSWORD))
        .await;
    assert_eq!(late.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn refused_setup_form_keeps_all_but_a_refused_password() {
    let node = TestNode::without_owner("ruth").await;
    let token = logins::offer_setup(&node).await.unwrap().unwrap().to_string();
    let mut browser = Browser::stranger(&node);
    let bad = [
        ("ruth.aldous.example", PASSWORD, PASSWORD, "address"),
        ("ruth@aldous,example", PASSWORD, PASSWORD, "address"),
        ("r u@aldous.example", PASSWORD, PASSWORD, "address"),
        ("ruth@aldous.example", "short", "short", "password"),
        ("ruth@aldous.example", PASSWORD, "another one, sorry", "password"),
    ];
    let mut faults = HashSet::new();
    for (address, password, again, wrong) in bad {
        let seen = browser.post("/setup", &setup_form(&token, address, password, again)).await;
        faults.insert(seen.fault(wrong));
        assert_eq!(seen.field("name"), "Ruth Aldous");
        assert_eq!(seen.field("address"), address);
        let kept = if wrong == "password" { "" } else { PASSWORD };
        assert_eq!((seen.field("password").as_str(), seen.field("again").as_str()), (kept, kept));
        assert!(seen.one("[autofocus]").has_attr("aria-invalid"), "the page opens at the fault");
    }
    assert_eq!(faults.len(), 5, "each cause has its own text: {faults:?}");
}

#[tokio::test]
async fn claim_is_accepted_only_for_its_own_node() {
    let (node, other) =
        (TestNode::without_owner("ruth").await, TestNode::without_owner("other").await);
    let token = logins::offer_setup(&node).await.unwrap().unwrap().to_string();
    let mut browser = Browser::stranger(&node);
    browser.post("/setup", &setup_form(&token, "ruth@aldous.example", PASSWORD, PASSWORD)).await;
    let command = browser.get("/setup/words").await.one("#claim-command").text();
    assert!(command.contains(&node.identity.card().to_string()), "{command}");
    let words = Mnemonic::from_entropy([7; 32]);
    let foreign = identity::create_claim(&words, &other.identity.card()).unwrap().to_string();
    let shown = browser.get("/setup/words").await;
    assert!(shown.has("#words-once"), "the page says that its words are new each time");
    let mut claim_faults = HashSet::new();
    for bad in [foreign.as_str(), "not a claim"] {
        let seen =
            browser.post("/setup/claim", &[("claim", bad), ("words", &words_of(&shown))]).await;
        assert_eq!(words_of(&seen), words_of(&shown), "a card that was written down stays valid");
        claim_faults.insert(seen.fault("claim"));
    }
    assert_eq!(claim_faults.len(), 2, "each cause has its own text: {claim_faults:?}");
    let claim = identity::create_claim(&words, &node.identity.card()).unwrap();
    assert_eq!(
        browser.post("/setup/claim", &[("claim", &claim.to_string())]).await.location(),
        "/home"
    );
    assert_eq!(node.identity.person(), claim.person());
}
