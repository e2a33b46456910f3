use super::*;
use crate::testing::TestNode;

async fn arrive(node: &Node, recipient: &str, sender: &str) {
    let reached = reached(node, &[recipient.to_owned()]).unwrap();
    let (sender, now) = (sender.to_owned(), node.clock.now());
    node.store.commit(move |tx| record(tx, &reached, &sender, now)).await.unwrap();
}

#[tokio::test]
async fn alias_is_switched_off_and_removed() {
    let alice = TestNode::new("alice").await;
    let standing = |address: &str| standing(&alice, address).unwrap();
    assert_eq!(standing("shop@alice.example"), Standing::Foreign);
    add(&alice, " Shop ", "the  shop").await.unwrap();
    for address in ["shop@alice.example", "SHOP+tag@Alice.Example"] {
        assert_eq!(standing(address), Standing::Alias("shop".into()));
        assert!(accepts(&alice, address).unwrap() && owns(&alice, address).unwrap());
    }
    assert_eq!(standing("shop@bob.example"), Standing::Foreign);
    switch(&alice, "Shop@alice.example", false).await.unwrap();
    assert_eq!(standing("shop@alice.example"), Standing::Off);
    assert!(!accepts(&alice, "shop@alice.example").unwrap());
    assert!(owns(&alice, "shop@alice.example").unwrap());
    remove(&alice, "shop").await.unwrap();
    assert_eq!(standing("shop@alice.example"), Standing::Foreign);
    let missing = remove(&alice, "shop").await;
    assert_eq!(missing, Err(AliasError::Missing("shop".into())));
}

#[tokio::test]
async fn malformed_and_taken_names_are_refused() {
    let alice = TestNode::new("alice").await;
    for name in ["", "a b", "a..b", ".a", "a@b", "a+b", "é", "a\r\nb", &"a".repeat(65)] {
        let added = add(&alice, name, "").await;
        assert!(matches!(added, Err(AliasError::Malformed(_))), "{name:?}");
    }
    for name in ["alice", "Postmaster", "abuse"] {
        assert!(matches!(add(&alice, name, "").await, Err(AliasError::Taken(_))), "{name}");
    }
    add(&alice, "shop", "").await.unwrap();
    assert!(matches!(add(&alice, "SHOP", "").await, Err(AliasError::Taken(_))));
    let long = add(&alice, "other", &"x".repeat(81)).await;
    assert_eq!(long, Err(AliasError::LongLabel(81)));
}

#[tokio::test]
async fn masked_addresses_are_all_different() {
    let alice = TestNode::new("alice").await;
    let mut made = Vec::new();
    for _ in 0..50 {
        made.push(mask(&alice, "a list").await.unwrap().local);
    }
    assert!(made.iter().all(|local| local.len() == 13 && is_mask(local)), "{made:?}");
    for other in ["alice", "shop", "shop.2024", "gubizahi.12", "ubigahiz.1234", ".1234", "é.1234"]
    {
        assert!(!is_mask(other) && shows_name(&format!("{other}@alice.example")), "{other}");
    }
    assert!(!shows_name("Gubizahi.1234+tag@alice.example"));
    made.sort();
    made.dedup();
    assert_eq!(made.len(), 50);
}

#[tokio::test]
async fn alias_names_its_latest_senders() {
    let alice = TestNode::new("alice").await;
    add(&alice, "shop", "").await.unwrap();
    for n in 0..30 {
        arrive(&alice, "shop+x@alice.example", &format!("s{n}@{}.example", "d".repeat(200))).await;
    }
    arrive(&alice, "shop@alice.example", "S29@LAST.example").await;
    arrive(&alice, "alice@alice.example", "nobody@x.example").await;
    let alias = aliases(&alice).unwrap().remove(0);
    assert_eq!((alias.messages, alias.senders[0].address.as_str()), (31, "s29@last.example"));
    assert!(alias.senders.len() > 5 && alias.senders.len() <= reached::SENDERS_MAX);
}

#[tokio::test]
async fn one_message_makes_few_aliases() {
    let alice = TestNode::new("alice").await;
    set_catch_all(&alice, true).await.unwrap();
    let many: Vec<String> = (0..1000).map(|n| format!("n{n}@alice.example")).collect();
    for _ in 0..2 {
        let reached = reached(&alice, &many).unwrap();
        let now = alice.clock.now();
        alice.store.commit(move |tx| record(tx, &reached, "x@x.example", now)).await.unwrap();
    }
    assert_eq!(aliases(&alice).unwrap().len(), 2 * reached::CAUGHT_EACH);
    // An alias that is removed while a message for it arrives is not made again.
    add(&alice, "shop", "").await.unwrap();
    let reached = reached(&alice, &["shop@alice.example".to_owned()]).unwrap();
    remove(&alice, "shop").await.unwrap();
    let now = alice.clock.now();
    alice.store.commit(move |tx| record(tx, &reached, "x@x.example", now)).await.unwrap();
    assert_eq!(standing(&alice, "shop@alice.example").unwrap(), Standing::Caught("shop".into()));
}

#[tokio::test]
async fn catch_all_makes_aliases_of_what_comes() {
    let alice = TestNode::new("alice").await;
    set_catch_all(&alice, true).await.unwrap();
    assert!(accepts(&alice, "any.thing@alice.example").unwrap());
    assert!(!accepts(&alice, "any thing@alice.example").unwrap());
    assert!(!accepts(&alice, "any@bob.example").unwrap());
    arrive(&alice, "Any.Thing@alice.example", "x@x.example").await;
    let alias = aliases(&alice).unwrap().remove(0);
    assert!(alias.is_caught && alias.local == "any.thing");
    switch(&alice, "any.thing", false).await.unwrap();
    assert!(!accepts(&alice, "any.thing@alice.example").unwrap());
    set_catch_all(&alice, false).await.unwrap();
    assert!(!accepts(&alice, "other@alice.example").unwrap());
}
