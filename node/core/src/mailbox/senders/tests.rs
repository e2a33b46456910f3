use super::super::queue::{ReportRequest, SendLimits};
use super::super::{Arrival, DeliverError, IdempotencyKey, Submission, arrive, submit};
use super::*;
use crate::identity::op::OpBody;
use crate::identity::transfer::{self, Signed};
use crate::identity_log;
use crate::testing::{TestNode, mnemonic_of};

const LIMITS: StrangersLimits = StrangersLimits { network: Limit::mib(2), total: Limit::mib(3) };

fn of(node: &TestNode, from: &str, sender: &str) -> Result<Vec<Allowance>, UsedUp> {
    allowances(node, from.parse().unwrap(), sender, &LIMITS).unwrap()
}

async fn receive(node: &TestNode, charged: Vec<Allowance>, len: usize) -> Result<(), DeliverError> {
    let mut bytes = b"Subject: a\r\n\r\n".to_vec();
    bytes.resize(len, b'a');
    bytes.extend(node.random.array::<16>());
    let blob = node.blobs.put(&bytes).unwrap();
    let arrival = Arrival {
        blob,
        id: IdempotencyKey::new(node),
        recipients: Vec::new(),
        sender: String::new(),
        evidence: None,
    };
    arrive(node, arrival, charged).await.map(drop)
}

#[tokio::test]
async fn strangers_share_a_part_of_the_disk_per_day() {
    let alice = TestNode::new("alice").await;
    let [one, same, other] = ["192.0.2.1", "192.0.2.77", "2001:db8:1::1"];
    receive(&alice, of(&alice, one, "m@spam.example").unwrap(), 2 << 20).await.unwrap();
    assert_eq!(of(&alice, same, "other@spam.example"), Err(UsedUp::Network));
    assert_eq!(of(&alice, "::ffff:192.0.2.9", ""), Err(UsedUp::Network));
    // Two messages began before the share was used up; the second one is too late.
    let charged = of(&alice, other, "n@spam.example").unwrap();
    receive(&alice, charged.clone(), 2 << 20).await.unwrap();
    let refused = receive(&alice, charged, 10).await;
    assert!(matches!(refused, Err(DeliverError::ShareUsedUp(Share::MailOfNetwork(_)))));
    assert_eq!(of(&alice, "203.0.113.1", "x@example.com"), Err(UsedUp::Total));
    alice.clock.advance(24 * 3_600_000);
    assert_eq!(of(&alice, one, "m@spam.example").unwrap().len(), 2);
}

#[tokio::test]
async fn people_whom_the_owner_wrote_to_use_no_share() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    for from in ["alice@alice.example", ""] {
        let submission = Submission {
            id: IdempotencyKey::new(&alice),
            from: from.to_owned(),
            recipients: vec![format!("Carol{}@example.org", from.len()).into()],
            blob: alice.blobs.put(b"Subject: a\r\n\r\n").unwrap(),
            copy_to_sent: false,
            request: ReportRequest::default(),
            limits: SendLimits::NONE,
            not_before: None,
        };
        submit(&alice, submission).await.unwrap();
    }
    alice.use_up_share(Share::MailOfStrangers).await;
    let of = |sender| of(&alice, "192.0.2.1", sender);
    assert_eq!(of("carol19@EXAMPLE.org"), Ok(Vec::new()));
    // The owner did not write a delivery report.
    assert_eq!(of("carol0@example.org"), Err(UsedUp::Total));
    assert_eq!(of("dave@example.org"), Err(UsedUp::Total));
}

#[tokio::test]
async fn friends_domain_passes_when_the_share_is_used_up() {
    let (alice, bob) = TestNode::pair().await;
    let named = OpBody::SetDomain(Some("bob.example".to_owned()));
    let request = identity_log::request(&bob.identity.log().unwrap(), named).unwrap();
    let Signed::Request(signed) = transfer::sign(&request, &mnemonic_of("bob")).unwrap() else {
        panic!("not a request");
    };
    identity_log::upload(&bob, &signed).await.unwrap();
    identity_log::learn(&alice, bob.identity.log().unwrap().to_bytes()).await.unwrap();
    assert_eq!(of(&alice, "192.0.2.1", "bob@bob.example").unwrap().len(), 2);
    alice.use_up_share(Share::MailOfStrangers).await;
    assert_eq!(of(&alice, "192.0.2.1", "bob@BOB.example"), Ok(Vec::new()));
    assert_eq!(of(&alice, "192.0.2.1", "bob@bob.example.com"), Err(UsedUp::Total));
    crate::friends::remove(&alice, bob.identity.person().unwrap()).await.unwrap();
    assert_eq!(of(&alice, "192.0.2.1", "bob@bob.example"), Err(UsedUp::Total));
}
