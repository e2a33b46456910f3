//! A stolen node key: the entries that stay valid after a root key has retired the node.

use super::*;
use crate::feed;
use crate::identity::op::{Cutoff, OpBody, RetireNode};
use crate::identity::transfer::{self, Signed};

/// Signs an op with the person's mnemonic and uploads it to the node.
pub(super) async fn sign(node: &Node, seed: u8, body: OpBody) {
    let request = identity_log::request(&node.identity.log().unwrap(), body).unwrap();
    let Ok(Signed::Request(signed)) = transfer::sign(&request, &Mnemonic::from_entropy([seed; 32]))
    else {
        panic!("not signed")
    };
    identity_log::upload(node, &signed).await.unwrap();
}

/// Retires Alice's node: in its log of epoch 7 the entries up to `last` are valid.
pub(super) fn retire(alice: &Node, log: &[RawEntry], last: usize) -> OpBody {
    let entry = ids(log)[last].0;
    let cutoff = Cutoff { lane: Lane::PUBLIC.0, epoch: 7, seq: last as u64, entry };
    OpBody::RetireNode(RetireNode {
        node: alice.identity.node_key(),
        cutoffs: vec![cutoff],
        compromised: true,
    })
}

/// Sends Alice's identity log to Bob's node.
pub(super) async fn send_identity_log(alice: &Node, bob: &Node) {
    identity_log::learn(bob, alice.identity.log().unwrap().to_bytes()).await.unwrap();
}

fn homes(version: u64, at: &str) -> Body {
    Body::Homes(Homes { version, web: vec![at.to_owned()], ..Homes::default() })
}

fn named(name: &str) -> Body {
    Body::Profile(ProfileBody { name: name.to_owned(), ..ProfileBody::default() })
}

/// Alice's log, which Bob's node has received. From the fifth entry on it was written by a thief of
/// her node key.
async fn receive_compromised_log(alice: &Node, bob: &Node) -> Vec<RawEntry> {
    let posts = ["one", "two"].map(|text| Body::Post(note(text)));
    let begin = chain(alice, 7, None, 0, &posts);
    let [one, two] = ids(&begin)[..] else { panic!() };
    let good = chain(alice, 7, Some(two), 2, &[named("Alice"), homes(1, "https://alice.example")]);
    let thief = [
        Body::Post(note("buy now")),
        Body::Edit { of: one, post: note("one, but buy now") },
        Body::Tombstone { of: two },
        named("Mallory"),
        homes(u64::MAX, "https://mallory.example"),
    ];
    let thief = chain(alice, 7, ids(&good).last().copied(), 4, &thief);
    let other = chain(alice, 9, ids(&thief).last().copied(), 0, &[Body::Post(note("buy here"))]);
    let all: Vec<_> = begin.into_iter().chain(good).chain(thief).chain(other).collect();
    receive_all(bob, alice, &all).await;
    assert_eq!(shown_texts(bob), ["buy here", "buy now", "one, but buy now"]);
    assert_eq!(profile_of(bob, &person_id(alice)).unwrap().unwrap().name, "Mallory");
    all
}

#[tokio::test]
async fn entries_beyond_the_cutoff_are_void() {
    let (alice, bob) = two_friends().await;
    let all = receive_compromised_log(&alice, &bob).await;
    sign(&alice, 1, retire(&alice, &all, 3)).await;
    send_identity_log(&alice, &bob).await;
    assert_eq!(next_due(&bob).unwrap(), Some(Timestamp(0)));
    run_due(&bob).await.unwrap();
    assert_eq!(shown_texts(&bob), [""; 0]);
    assert!(!is_stored(&bob, "buy"));
    assert_eq!(profile_of(&bob, &person_id(&alice)).unwrap().unwrap().name, "Alice");
    assert_eq!(
        feed::homes_of(&bob, &person_id(&alice)).unwrap().unwrap().web,
        ["https://alice.example"]
    );
    let held = heads(&bob, &person_id(&alice)).unwrap();
    assert_eq!(
        (held.len(), held[0].hi, held[0].head),
        (1, 3, ids(&all)[3]),
        "the log ends at the cut-off"
    );
    assert_eq!(check(&bob).unwrap().wrong, Vec::<String>::new());
    // A body that the thief had deleted is accepted again from any peer; an entry of the thief is
    // not.
    let again = receive_all(&bob, &alice, &all).await;
    assert_eq!((again.accepted, again.voided), (0, 6));
    assert_eq!(shown_texts(&bob), ["one", "two"]);
    assert_eq!(all_entries(&bob, &person_id(&alice)), all[..4]);
    assert_eq!(check(&bob).unwrap().wrong, Vec::<String>::new());
}

#[tokio::test]
async fn stop_while_cutting_retired_logs_loses_nothing() {
    let (alice, bob) = two_friends().await;
    let all = receive_compromised_log(&alice, &bob).await;
    sign(&alice, 1, retire(&alice, &all, 3)).await;
    send_identity_log(&alice, &bob).await;
    // Each step is a commit. The node restarts between any two of them.
    for seed in 40.. {
        let bob = restarted(&bob, seed);
        if !one_step(&bob).await {
            break;
        }
        assert_eq!(check(&bob).unwrap().wrong, Vec::<String>::new());
        assert!(
            all_entries(&bob, &person_id(&alice)).len() <= 4 || seed < 42,
            "void entries are not served to others"
        );
    }
    assert_eq!(receive_all(&bob, &alice, &all).await.voided, 6);
    assert_eq!(shown_texts(&bob), ["one", "two"]);
}

#[tokio::test]
async fn retired_node_undoes_its_entries_and_writes_none() {
    let alice = claimed_node(1).await;
    let of = post(&alice, "mine").await;
    post(&alice, "not mine").await;
    write_entry(&alice, Body::Tombstone { of }).await;
    let log = all_entries(&alice, &person_id(&alice));
    let header = EntryHeader::from_canonical(&log[0].header).unwrap();
    let cutoff = Cutoff { lane: Lane::PUBLIC.0, epoch: header.log.epoch, seq: 0, entry: of.0 };
    let retire =
        RetireNode { node: alice.identity.node_key(), cutoffs: vec![cutoff], compromised: false };
    sign(&alice, 1, OpBody::RetireNode(retire)).await;
    run_due(&alice).await.unwrap();
    assert_eq!(ids(&all_entries(&alice, &person_id(&alice))), [of]);
    assert!(!is_stored(&alice, "not mine"));
    assert_eq!(
        write_entry_in(&alice, Lane::PUBLIC, Body::Post(note("still here"))).await,
        Err(AppendError::Retired)
    );
    assert_eq!(check(&alice).unwrap().wrong, Vec::<String>::new());
}

#[tokio::test]
async fn branch_without_cutoff_is_replaced() {
    let (alice, bob) = two_friends().await;
    let common = chain(&alice, 7, None, 0, &[Body::Post(note("common"))]);
    let side = |text: &str| chain(&alice, 7, Some(ids(&common)[0]), 1, &[Body::Post(note(text))]);
    let (right, wrong) = (side("right"), side("wrong"));
    receive_all(&bob, &alice, &[common.clone(), wrong].concat()).await;
    let all = [common, right].concat();
    sign(&alice, 1, retire(&alice, &all, 1)).await;
    send_identity_log(&alice, &bob).await;
    run_due(&bob).await.unwrap();
    assert_eq!(receive_all(&bob, &alice, &all).await.accepted, 2);
    run_due(&bob).await.unwrap();
    assert_eq!(shown_texts(&bob), ["common", "right"]);
    assert_eq!(check(&bob).unwrap().wrong, Vec::<String>::new());
}

#[tokio::test]
async fn entry_received_while_undoing_a_log_survives() {
    let (alice, bob) = two_friends().await;
    let common = chain(&alice, 7, None, 0, &[Body::Post(note("common"))]);
    let side = |side: &str| {
        chain(
            &alice,
            7,
            Some(ids(&common)[0]),
            1,
            &["1", "2", "3"].map(|at| Body::Post(note(&format!("{side} {at}")))),
        )
    };
    let (right, wrong) = (side("right"), side("wrong"));
    receive_all(&bob, &alice, &[common.clone(), wrong].concat()).await;
    let all = [common, right].concat();
    sign(&alice, 1, retire(&alice, &all, 3)).await;
    send_identity_log(&alice, &bob).await;
    // The log is cut, then its entries are removed one by one; the author's node sends the valid
    // ones again after each step.
    let mut refused = 0;
    loop {
        assert!(one_step(&bob).await);
        match receive(&bob, person_id(&alice), all.clone()).await {
            Err(Refused::BeingCut(_)) => refused += 1,
            other => break assert_eq!(other.unwrap().accepted, 4),
        }
    }
    run_due(&bob).await.unwrap();
    assert!(refused >= 4, "{refused}");
    assert_eq!(shown_texts(&bob), ["common", "right 1", "right 2", "right 3"]);
    assert_eq!(check(&bob).unwrap().wrong, Vec::<String>::new());
}

#[tokio::test]
async fn cutoff_decides_the_side_of_a_fork() {
    for (right_comes_first, last) in [(false, 2), (true, 2), (false, 0), (true, 1)] {
        let (alice, bob) = two_friends().await;
        let common = chain(&alice, 7, None, 0, &[Body::Post(note("common"))]);
        let side = |side: &str| {
            chain(
                &alice,
                7,
                Some(ids(&common)[0]),
                1,
                &["1", "2"].map(|at| Body::Post(note(&format!("{side} {at}")))),
            )
        };
        let (right, wrong) = (side("right"), side("wrong"));
        let (first, second) = if right_comes_first { (&right, &wrong) } else { (&wrong, &right) };
        receive_all(&bob, &alice, &[common.clone(), first.clone()].concat()).await;
        assert_eq!(receive_all(&bob, &alice, second).await.forked.len(), 1);
        run_due(&bob).await.unwrap();
        let all = [common, right].concat();
        sign(&alice, 1, retire(&alice, &all, last)).await;
        send_identity_log(&alice, &bob).await;
        run_due(&bob).await.unwrap();
        assert_eq!(
            (shown_texts(&bob), forks(&bob, &person_id(&alice)).unwrap()),
            (vec!["common".to_owned()], Vec::new())
        );
        receive_all(&bob, &alice, &all).await;
        run_due(&bob).await.unwrap();
        assert_eq!(shown_texts(&bob), ["common", "right 1", "right 2"][..=last]);
        assert_eq!(check(&bob).unwrap().wrong, Vec::<String>::new());
    }
}

#[tokio::test]
async fn damaged_job_or_identity_log_holds_up_no_other() {
    let (alice, bob) = two_friends().await;
    let log = chain(&alice, 7, None, 0, &[Body::Post(note("good")), Body::Post(note("void"))]);
    receive_all(&bob, &alice, &log).await;
    sign(&alice, 1, retire(&alice, &log, 0)).await;
    send_identity_log(&alice, &bob).await;
    bob.store.commit(|tx| tx.put(Table::new("feed_jobs"), &[0], b"not a row")).await.unwrap();
    bob.store
        .commit(|tx| tx.put(Table::new("identity_recoveries"), &[0; 32], b"not a row"))
        .await
        .unwrap();
    run_due(&bob).await.unwrap();
    assert_eq!((shown_texts(&bob), next_due(&bob).unwrap()), (vec!["good".to_owned()], None));
}

#[tokio::test]
async fn batch_verified_before_retirement_is_verified_again() {
    let (alice, bob) = two_friends().await;
    let log = chain(&alice, 7, None, 0, &[Body::Post(note("good")), Body::Post(note("void"))]);
    sign(&alice, 1, retire(&alice, &log, 0)).await;
    let newer = alice.identity.log().unwrap().to_bytes();
    // The retirement is stored after the batch was verified and before it is committed.
    let learn = identity_log::learn(&bob, newer);
    let receive = receive(&bob, person_id(&alice), log);
    let (learned, received) = tokio::join!(biased; learn, receive);
    learned.unwrap();
    let received = received.unwrap();
    assert_eq!((received.accepted, received.voided), (1, 1));
    run_due(&bob).await.unwrap();
    assert_eq!(shown_texts(&bob), ["good"]);
}

#[tokio::test]
async fn ended_identity_writes_no_entry() {
    let (alice, bob) = two_friends().await;
    post(&alice, "goodbye").await;
    sync(&alice, &bob).await;
    let later = chain(&alice, 8, None, 0, &[Body::Post(note("still here"))]);
    sign(&alice, 1, OpBody::Tombstone).await;
    send_identity_log(&alice, &bob).await;
    run_due(&bob).await.unwrap();
    assert_eq!(receive_all(&bob, &alice, &later).await.voided, 1);
    assert_eq!(shown_texts(&bob), ["goodbye"], "earlier entries stay");
    assert_eq!(
        write_entry_in(&alice, Lane::PUBLIC, Body::Post(note("me too"))).await,
        Err(AppendError::Retired)
    );
    assert_eq!(check(&bob).unwrap().wrong, Vec::<String>::new());
}

#[tokio::test]
async fn recovery_in_effect_cuts_off_retired_nodes() {
    use crate::identity::op::{OpSignature, Recovery, Role, SignedOp, sign as sign_op};
    let (alice, bob) = two_friends().await;
    let log =
        chain(&alice, 7, None, 0, &[Body::Post(note("good")), Body::Post(note("by a thief"))]);
    receive_all(&bob, &alice, &log).await;
    let guardian = crate::keys::SecretKey::from_bytes(&[50; 32]);
    let guardians = vec![identity::log::commitment(&guardian.public(), [50; 16])];
    sign(&alice, 1, OpBody::SetGuardians(Recovery { needed: 1, guardians, delay_secs: 60 })).await;
    // The mnemonic is lost; a guardian countersigns a new one, which retires the node at once.
    let root = Mnemonic::from_entropy([9; 32]).keys().root;
    let bytes =
        alice.identity.log().unwrap().next_op(OpBody::Recover(vec![root.public()])).to_canonical();
    let countersigned =
        OpSignature { salt: Some([50; 16]), ..sign_op(Role::Guardian, &guardian, &bytes) };
    let op = SignedOp::new(bytes.clone(), vec![sign_op(Role::Root, &root, &bytes), countersigned])
        .unwrap();
    let mut recovered = (*alice.identity.log().unwrap()).clone();
    recovered.extend(op).unwrap();
    identity_log::learn(&alice, recovered.to_bytes()).await.unwrap();
    sign(&alice, 9, retire(&alice, &log, 0)).await;
    send_identity_log(&alice, &bob).await;
    run_due(&bob).await.unwrap();
    assert_eq!(shown_texts(&bob), ["by a thief", "good"], "the recovery waits");
    bob.clock.advance(60_000);
    run_due(&bob).await.unwrap();
    assert_eq!(shown_texts(&bob), ["good"]);
    assert_eq!(check(&bob).unwrap().wrong, Vec::<String>::new());
}
