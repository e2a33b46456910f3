use super::*;
use crate::mailbox::queue::{
    Outcome, RecipientState, ReportRequest, SendLimits, check, drop_item, item,
    record_friend_outcomes, record_outcomes,
};
use crate::mailbox::{IdempotencyKey, Submission, submit};
use crate::testing::TestNode;

const BOB: &str = "bob@bob.example";
const CAROL: &str = "carol@carol.example";

/// Alice's node with a message to Bob, a friend, and to Carol.
async fn submitted() -> (TestNode, TestNode, QueueId) {
    let (alice, bob) = TestNode::pair().await;
    bob.write_profile(&alice, BOB).await;
    let submission = Submission {
        id: IdempotencyKey::new(&alice),
        from: "alice@alice.example".into(),
        recipients: vec![BOB.to_owned().into(), CAROL.to_owned().into()],
        blob: alice.blobs.put(b"From: alice@alice.example\r\n\r\nx\r\n").unwrap(),
        copy_to_sent: false,
        request: ReportRequest::default(),
        limits: SendLimits::NONE,
        not_before: None,
    };
    let id = submit(&alice, submission).await.unwrap();
    (alice.allowing_queued_mail(), bob, id)
}

/// The same outcome for both recipients.
fn both(outcome: &Outcome) -> Vec<(String, Outcome)> {
    [BOB, CAROL].map(|address| (address.to_owned(), outcome.clone())).to_vec()
}

fn waiting(node: &TestNode, id: QueueId) -> Vec<(bool, bool)> {
    let item = item(node, id).unwrap().unwrap();
    let state = |to: &Recipient| (to.waits_for_friend().is_some(), to.waits_for_smtp());
    item.recipients.iter().map(state).collect()
}

#[tokio::test]
async fn recipient_is_of_one_carrier_alone() {
    let (alice, _bob, id) = submitted().await;
    assert_eq!(waiting(&alice, id), [(true, false), (false, true)]);
    let refused = Outcome::Failed("550 no".into());
    record_outcomes(&alice, id, both(&refused)).await.unwrap();
    assert_eq!(waiting(&alice, id), [(true, false), (false, false)], "Bob is federation's");
    assert_eq!(for_friends(&alice, 10).unwrap().len(), 1);
    // The node is not reached: from now on Bob is mail's.
    let by_smtp = Outcome::BySmtp("the node is not reached".into());
    record_friend_outcomes(&alice, id, both(&by_smtp)).await.unwrap();
    assert_eq!(waiting(&alice, id), [(false, true), (false, false)]);
    assert_eq!(for_friends(&alice, 10).unwrap().len(), 0);
    assert_eq!(check(&alice, true).unwrap(), Vec::<String>::new());
    let delivered = Outcome::Delivered("250 ok".into());
    record_friend_outcomes(&alice, id, both(&delivered)).await.unwrap();
    assert_eq!(waiting(&alice, id)[0], (false, true), "federation has lost it");
    record_outcomes(&alice, id, both(&delivered)).await.unwrap();
    assert!(item(&alice, id).unwrap().is_none());
    assert_eq!(check(&alice, false).unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn delivered_recipient_leaves_the_friends_queue() {
    let (alice, _bob, id) = submitted().await;
    let addresses = || vec![BOB.to_owned(), CAROL.to_owned()];
    assert_eq!(mark_offered(&alice, id, addresses()).await.unwrap(), [BOB]);
    let first = item(&alice, id).unwrap().unwrap().recipients[0].offered;
    assert_eq!(first, Some(alice.clock.now()));
    alice.clock.advance(1000);
    assert_eq!(mark_offered(&alice, id, addresses()).await.unwrap(), [BOB]);
    let offered = item(&alice, id).unwrap().unwrap().recipients[0].offered;
    assert_eq!(offered, first, "the first time counts");
    let delivered = Outcome::Delivered("250 ok".into());
    record_friend_outcomes(&alice, id, both(&delivered)).await.unwrap();
    let item = item(&alice, id).unwrap().unwrap();
    assert_eq!(item.recipients[0].state, RecipientState::Delivered);
    assert_eq!(mark_offered(&alice, id, addresses()).await.unwrap(), Vec::<String>::new());
    assert_eq!(for_friends(&alice, 10).unwrap().len(), 0);
    assert!(drop_item(&alice, id).await.unwrap());
}

#[tokio::test]
async fn dropped_item_leaves_the_friends_queue() {
    let (alice, _bob, id) = submitted().await;
    assert!(drop_item(&alice, id).await.unwrap());
    assert_eq!(for_friends(&alice, 10).unwrap().len(), 0);
    assert_eq!(mark_offered(&alice, id, vec![BOB.to_owned()]).await.unwrap(), Vec::<String>::new());
    assert_eq!(check(&alice, false).unwrap(), Vec::<String>::new());
}
