use super::*;
use crate::mailbox::{
    Arrival, DeliverError, IdempotencyKey, Message, SpecialUse, arrive, create_folder,
    delete_folder, folder_named, special_folder,
};
use crate::testing::TestNode;

const MESSAGE: &str = "From: Ann Lee <ann@news.shop.example>\r\nTo: =?utf-8?q?J=C3=BCrgen?= <a@b.c>\r\n\
    Subject: Weekly OFFERS\r\nList-Id: Offers <offers.shop.example>\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nHello.\r\n--b\r\n\
    Content-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment\r\n\r\nx\r\n--b--\r\n";

async fn receive(node: &Node) -> Result<Message, DeliverError> {
    receive_as(node, IdempotencyKey::new(node)).await
}

async fn receive_as(node: &Node, id: IdempotencyKey) -> Result<Message, DeliverError> {
    let arrival = Arrival {
        blob: node.blobs.put(MESSAGE.as_bytes()).unwrap(),
        id,
        recipients: vec!["shop@alice.example".into()],
        sender: String::new(),
        evidence: None,
    };
    arrive(node, arrival, Vec::new()).await.map(|arrived| arrived.message)
}

async fn add(node: &Node, rule: Rule) -> RuleId {
    add_rule(node, rule).await.unwrap()
}

#[tokio::test]
async fn first_folder_and_all_flags_count() {
    let alice = TestNode::new("alice").await;
    create_folder(&alice, "Shops").await.unwrap();
    let shops = folder_named(&alice, "Shops").unwrap().unwrap().id;
    let archive = special_folder(&alice, SpecialUse::Archive).unwrap().unwrap().id;
    let none = Rule { from: "bob".into(), folder: Some(archive), ..Rule::default() };
    add(&alice, none).await;
    let first = add(
        &alice,
        Rule {
            from: "SHOP.example".into(),
            subject: "offers".into(),
            folder: Some(shops),
            ..Rule::default()
        },
    )
    .await;
    let rule =
        Rule { to: "jürgen".into(), folder: Some(archive), is_flagged: true, ..Rule::default() };
    add(&alice, rule).await;
    let message = receive(&alice).await.unwrap();
    assert_eq!((message.folder, message.flags.bits), (shops, Flags::FLAGGED));
    // Without the folder the next rule decides.
    delete_folder(&alice, shops).await.unwrap();
    assert_eq!(receive(&alice).await.unwrap().folder, archive);
    remove_rule(&alice, first).await.unwrap();
    assert_eq!(rules(&alice).unwrap().len(), 2);
}

#[tokio::test]
async fn every_condition_of_a_rule_must_hold() {
    let base = Rule { is_seen: true, ..Rule::default() };
    let seen = Seen::of(MESSAGE.as_bytes(), &["shop@alice.example".into()]);
    let holds = |rule: Rule| rule.holds_for(&seen);
    assert!(holds(Rule { from: "ann lee".into(), ..base.clone() }));
    assert!(holds(Rule { to: "Shop@alice".into(), list: "offers.shop".into(), ..base.clone() }));
    assert!(holds(Rule { has_file: true, ..base.clone() }));
    assert!(!holds(Rule { has_file: true, is_of_friend: true, ..base.clone() }));
    assert!(!holds(Rule { from: "ann".into(), subject: "other".into(), ..base.clone() }));
    assert!(!holds(Rule { larger_than_kib: 1, ..base.clone() }));
    let long = [MESSAGE, &"x".repeat(2048)].concat();
    let long = Seen::of(long.as_bytes(), &[]);
    assert!(Rule { larger_than_kib: 1, ..base }.holds_for(&long));
}

#[tokio::test]
async fn refused_message_is_not_stored() {
    let alice = TestNode::new("alice").await;
    add(&alice, Rule { list: "offers".into(), is_refused: true, ..Rule::default() }).await;
    assert_eq!(receive(&alice).await, Err(DeliverError::RefusedByRule));
    let inbox = special_folder(&alice, SpecialUse::Inbox).unwrap().unwrap();
    assert_eq!(inbox.total, 0);
    // A message that was taken before there was the rule, and whose reply got lost.
    let id = IdempotencyKey::new(&alice);
    let rule = rules(&alice).unwrap().remove(0);
    remove_rule(&alice, rule.0).await.unwrap();
    receive_as(&alice, id).await.unwrap();
    add(&alice, rule.1).await;
    assert_eq!(receive_as(&alice, id).await.unwrap().uid, 1);
}

#[tokio::test]
async fn empty_and_long_rules_are_refused() {
    let alice = TestNode::new("alice").await;
    let seen = Rule { is_seen: true, ..Rule::default() };
    let refused = [
        (Rule { from: "  ".into(), ..seen.clone() }, RuleError::NoCondition),
        (Rule { from: "a".into(), ..Rule::default() }, RuleError::NoAction),
        (Rule { from: "a".repeat(201), ..seen.clone() }, RuleError::TooLong(201)),
        (
            Rule { from: "a".into(), folder: Some(FolderId(99)), ..Rule::default() },
            RuleError::NoSuchFolder,
        ),
    ];
    for (rule, error) in refused {
        assert_eq!(add_rule(&alice, rule).await, Err(error));
    }
    for _ in 0..RULES_MAX {
        add(&alice, Rule { from: "a".into(), ..seen.clone() }).await;
    }
    let more = add_rule(&alice, Rule { from: "a".into(), ..seen }).await;
    assert_eq!(more, Err(RuleError::TooMany));
}
