use super::*;
use crate::apply;
use crate::feed::{self, Body};
use crate::identity::op::{Cutoff, RetireNode};
use crate::identity::transfer::{self, Signed, replace_mnemonic};
use crate::keys::PublicKey;
use crate::mnemonic::Mnemonic;
use crate::random::Random;
use crate::vault::{Unlock, VaultError};

/// The text that the owner's own computer makes of a request's text.
fn signed_with(request: &SignatureRequest, mnemonic: &Mnemonic) -> Result<String, TransferError> {
    let request: SignatureRequest = request.to_string().parse()?;
    Ok(match transfer::sign(&request, mnemonic)? {
        Signed::Request(signed) => signed.to_string(),
        Signed::Claim(claim) => claim.to_string(),
    })
}

fn request_on(node: &Node, body: OpBody) -> Result<SignatureRequest, RequestError> {
    let log = node.identity.log().ok_or(RequestError::Unclaimed)?;
    request(&log, body)
}

fn domain(name: &str) -> OpBody {
    OpBody::SetDomain(Some(name.to_owned()))
}

async fn publish_homes(node: &Node, times: u8) {
    for n in 0..times {
        crate::publish::homes(node, vec![format!("https://{n}.example")], Vec::new(), Vec::new())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn second_node_is_added_by_mnemonic_and_countersignature() {
    let (old, new) = (claimed(1).await, unclaimed(2));
    let request = request_on(&old, OpBody::AddNode(new.identity.card())).unwrap();
    assert!(matches!(signed_with(&request, &mnemonic(3)), Err(TransferError::OtherMnemonic(_))));
    let claim_text = signed_with(&request, &mnemonic(1)).unwrap();
    let person = claim(&new, &claim_text.parse().unwrap()).await.unwrap();
    assert_eq!(Some(person), old.identity.person());
    // The mnemonic opens the new node's vault too.
    assert_eq!(backup_recipient(&new), backup_recipient(&old));

    // The old node gets the log that the new node has completed.
    let log = new.identity.log().unwrap().to_string();
    assert_eq!(upload(&old, &log.parse().unwrap()).await.unwrap().len(), 1);
    assert_eq!(old.identity.log().unwrap().live_nodes().count(), 2);
    assert_eq!(
        request_on(&old, OpBody::AddNode(new.identity.card())),
        Err(RequestError::NodeKnown)
    );
}

#[tokio::test]
async fn signed_request_is_uploaded_to_its_own_node_only() {
    let node = claimed(1).await;
    let request = request_on(&node, domain("alice.example")).unwrap();
    assert!(request.describe().contains("alice.example"));
    let signed: SignedRequest = signed_with(&request, &mnemonic(1)).unwrap().parse().unwrap();
    assert_eq!(upload(&node, &signed).await.unwrap(), [request.describe()]);
    assert_eq!(node.identity.log().unwrap().state().domain.as_deref(), Some("alice.example"));
    assert!(upload(&node, &signed).await.unwrap().is_empty(), "a second upload adds no op");

    let other = claimed(2).await;
    assert_eq!(
        upload(&other, &signed).await,
        Err(UploadError::AnotherPerson(node.identity.person().unwrap()))
    );
    assert_eq!(upload(&unclaimed(3), &signed).await, Err(UploadError::Unclaimed));
}

#[tokio::test]
async fn signed_request_for_an_older_log_is_refused() {
    let node = claimed(1).await;
    let (one, two) = (
        request_on(&node, domain("one.example")).unwrap(),
        request_on(&node, domain("two.example")).unwrap(),
    );
    let [one, two] = [one, two].map(|request| {
        signed_with(&request, &mnemonic(1)).unwrap().parse::<SignedRequest>().unwrap()
    });
    let (first, second) = tokio::join!(upload(&node, &one), upload(&node, &two));
    assert!(first.is_ok() != second.is_ok(), "one of two concurrent uploads is accepted");
    assert_eq!(first.and(second), Err(UploadError::Outdated));
    let log = node.identity.log().unwrap();
    assert_eq!((log.ops().len(), log.state().frozen_at), (2, None));
    assert_eq!(dispute(&node, &log.person()), Ok(None));
    // A log that is older than the stored one removes no op.
    let third =
        signed_with(&request_on(&node, domain("three.example")).unwrap(), &mnemonic(1)).unwrap();
    upload(&node, &third.parse().unwrap()).await.unwrap();
    upload(&node, &one).await.ok();
    assert_eq!(node.identity.log().unwrap().state().domain.as_deref(), Some("three.example"));
}

#[tokio::test]
async fn damaged_or_wrong_transfer_text_is_refused() {
    let node = claimed(1).await;
    let request = request_on(&node, domain("alice.example")).unwrap();
    let signed = signed_with(&request, &mnemonic(1)).unwrap();
    for text in [request.to_string(), signed.clone()] {
        for at in 0..text.len() {
            let mut bad = text.clone().into_bytes();
            bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
            let bad = String::from_utf8(bad).unwrap();
            assert!(
                bad.parse::<SignatureRequest>().is_err() && bad.parse::<SignedRequest>().is_err(),
                "changed at {at}"
            );
        }
    }
    let text_of = |error: TransferError| error.to_string();
    assert!(
        text_of(request.to_string().parse::<SignedRequest>().unwrap_err())
            .contains("identity sign")
    );
    assert!(text_of(signed.parse::<SignatureRequest>().unwrap_err()).contains("identity upload"));
    assert!(text_of(signed.parse::<Claim>().unwrap_err()).contains("identity upload"));
    assert!(
        text_of("nothing of ours".parse::<SignedRequest>().unwrap_err())
            .contains("freehold signed 1")
    );
    // Text and checksum are right, but the signer is not a root key.
    let forged = next(&node.identity.log().unwrap(), domain("mallory.example"), 77, &[], None);
    let ops = node.identity.log().unwrap().ops().iter().cloned().chain([forged]).collect();
    let uploaded = upload(&node, &SignedRequest { ops, backup: None }).await;
    assert_eq!(uploaded, Err(UploadError::Log(IdentityLogError::Signature(1))));
    assert_eq!(node.identity.log().unwrap().ops().len(), 1);
}

#[tokio::test]
async fn impossible_op_is_neither_requested_nor_signed() {
    let node = claimed(1).await;
    let log = node.identity.log().unwrap();
    let retire = |key: PublicKey| {
        OpBody::RetireNode(RetireNode { node: key, cutoffs: Vec::new(), compromised: false })
    };
    assert_eq!(request(&log, retire(key(9).public())), Err(RequestError::NodeUnknown));
    assert_eq!(request(&log, OpBody::AddNode(node.identity.card())), Err(RequestError::NodeKnown));
    // These requests were made without the checks of `request`.
    let refused = |body| {
        matches!(
            transfer::sign(&SignatureRequest::new(&log, body), &mnemonic(1)),
            Err(TransferError::Impossible(_))
        )
    };
    assert!(refused(retire(key(9).public())));
    assert!(refused(OpBody::AddNode(node.identity.card())));
    assert!(refused(OpBody::Recover(vec![mnemonic(1).keys().root.public()])));
    let unknown = OpBody::Unknown { kind: 400, body: crate::cbor::Value::Map(Vec::new()) };
    assert_eq!(
        transfer::sign(&SignatureRequest::new(&log, unknown), &mnemonic(1)),
        Err(TransferError::NotUnderstood)
    );

    let ended = with_op(&log, next_by_mnemonic(&log, OpBody::Tombstone, 1)).unwrap();
    assert_eq!(request(&ended, domain("alice.example")), Err(RequestError::Closed));
}

fn next_by_mnemonic(log: &IdentityLog, body: OpBody, seed: u8) -> SignedOp {
    let bytes = log.next_op(body).to_canonical();
    SignedOp::new(bytes.clone(), vec![sign_op(Role::Root, &mnemonic(seed).keys().root, &bytes)])
        .unwrap()
}

#[tokio::test]
async fn retirement_keeps_the_entries_stored_here() {
    let node = claimed(1).await;
    publish_homes(&node, 3).await;
    let key = node.identity.node_key();
    let head = feed::heads(&node, &node.identity.person().unwrap()).unwrap().remove(0);
    let request = request_retirement(&node, key, true, VoidPolicy::Refuse).unwrap();
    let OpBody::RetireNode(retire) = request.body() else { panic!() };
    assert_eq!(
        retire.cutoffs,
        [Cutoff { lane: head.log.lane.0, epoch: head.log.epoch, seq: 2, entry: head.head.0 }]
    );
    assert!(
        request.describe().contains("all that it has said up to this request stays")
            && request.describe().contains("stolen"),
        "{}",
        request.describe()
    );
    let signed = signed_with(&request, &mnemonic(1)).unwrap();
    upload(&node, &signed.parse().unwrap()).await.unwrap();
    assert_eq!(node.identity.log().unwrap().live_nodes().count(), 0);
    assert_eq!(
        request_retirement(&node, key, true, VoidPolicy::Refuse),
        Err(RequestError::NodeRetired)
    );
}

#[tokio::test]
async fn retirement_that_voids_entries_needs_acceptance() {
    let (old, new) = (claimed(1).await, unclaimed(2));
    publish_homes(&old, 1).await;
    let request = request_on(&old, OpBody::AddNode(new.identity.card())).unwrap();
    claim(&new, &signed_with(&request, &mnemonic(1)).unwrap().parse().unwrap()).await.unwrap();
    let key = old.identity.node_key();
    assert_eq!(
        request_retirement(&new, key, true, VoidPolicy::Refuse),
        Err(RequestError::NothingHeld)
    );
    let request = request_retirement(&new, key, true, VoidPolicy::Accept).unwrap();
    assert!(request.describe().contains("everything it has ever said becomes void"));

    // One feed log per start: more than an op can name, but each continues the one before.
    let mut run = old.clone();
    for seed in 0..40 {
        run = Node {
            identity: Identity::load(
                &old.store,
                old.identity.vault(),
                &Random::seeded(seed),
                old.clock.now(),
            )
            .unwrap(),
            ..run
        };
        crate::publish::homes(
            &run,
            vec![format!("https://again.{seed}.example")],
            Vec::new(),
            Vec::new(),
        )
        .await
        .unwrap();
    }
    let person = old.identity.person().unwrap();
    let request = request_retirement(&old, key, true, VoidPolicy::Refuse).unwrap();
    let OpBody::RetireNode(retire) = request.body() else { panic!() };
    let newest = feed::heads(&old, &person).unwrap().pop().unwrap();
    assert_eq!(
        retire.cutoffs.iter().map(|cutoff| cutoff.epoch).collect::<Vec<_>>(),
        [newest.log.epoch],
        "the newest covers all"
    );
    signed_with(&request, &mnemonic(1)).unwrap();

    // Restored so often from a backup without entries, each time with another epoch, that there are
    // more branches than an op can name.
    for seed in 100..132 {
        let restored = claimed(1).await;
        let identity = Identity::load(
            &restored.store,
            restored.identity.vault(),
            &Random::seeded(seed),
            restored.clock.now(),
        )
        .unwrap();
        let restored = Node { identity, ..restored };
        publish_homes(&restored, 1).await;
        let head = feed::heads(&restored, &person).unwrap().remove(0);
        apply::receive(&old, person, feed::read(&restored, &head.log, 0, 10, usize::MAX).unwrap())
            .await
            .unwrap();
    }
    let refused = request_retirement(&old, key, true, VoidPolicy::Refuse);
    assert_eq!(refused, Err(RequestError::TooManyBranches { branches: 33, branches_max: 32 }));
    let request = request_retirement(&old, key, true, VoidPolicy::Accept).unwrap();
    let OpBody::RetireNode(retire) = request.body() else { panic!() };
    assert!(retire.cutoffs.len() == 32 && retire.cutoffs[0].epoch == newest.log.epoch);
    signed_with(&request, &mnemonic(1)).unwrap();
}

#[tokio::test]
async fn entries_of_a_retired_node_beyond_cutoffs_are_refused() {
    let alice = claimed(1).await;
    publish_homes(&alice, 3).await;
    let person = alice.identity.person().unwrap();
    let head = feed::heads(&alice, &person).unwrap().remove(0);
    let entries = feed::read(&alice, &head.log, 0, 10, usize::MAX).unwrap();
    let cutoff = Cutoff {
        lane: head.log.lane.0,
        epoch: head.log.epoch,
        seq: 1,
        entry: feed::EntryId::of(&entries[1].header).0,
    };
    let retire = RetireNode { node: head.log.node, cutoffs: vec![cutoff], compromised: true };
    let request = request_on(&alice, OpBody::RetireNode(retire)).unwrap();
    let Signed::Request(signed) = transfer::sign(&request, &mnemonic(1)).unwrap() else { panic!() };
    let log = IdentityLog::from_ops(signed.ops).unwrap();
    let now = alice.clock.now();
    let verified: Vec<_> =
        entries.iter().map(|entry| feed::VerifiedEntry::verify(entry.clone(), &log, now)).collect();
    assert!(verified[0].is_ok() && verified[1].is_ok());
    assert!(matches!(
        verified[1].as_ref().unwrap().body(),
        Some(Body::Homes(homes)) if homes.version == 2
    ));
    assert_eq!(verified[2], Err(feed::EntryError::Retired));
}

#[tokio::test]
async fn new_mnemonic_replaces_the_old_and_opens_the_vault() {
    let node = claimed(1).await;
    let log: IdentityLog =
        IdentityLog::from_file(node.identity.log().unwrap().to_string().as_bytes()).unwrap();
    assert_eq!(
        IdentityLog::from_file(&log.to_canonical()).as_ref(),
        Ok(&log),
        "the bytes that an address serves are accepted too"
    );
    assert_eq!(
        replace_mnemonic(&log, &mnemonic(1), &mnemonic(1)),
        Err(TransferError::SameMnemonic)
    );
    assert_eq!(
        replace_mnemonic(&log, &mnemonic(3), &mnemonic(2)),
        Err(TransferError::OtherMnemonic(log.person()))
    );
    let text = replace_mnemonic(&log, &mnemonic(1), &mnemonic(2)).unwrap().to_string();
    let changed: SignedRequest = text.parse().unwrap();
    upload(&node, &changed).await.unwrap();

    let log = node.identity.log().unwrap();
    assert_eq!(log.state().roots, [mnemonic(2).keys().root.public()]);
    let request = request_on(&node, domain("alice.example")).unwrap();
    assert!(matches!(transfer::sign(&request, &mnemonic(1)), Err(TransferError::OtherMnemonic(_))));
    assert!(transfer::sign(&request, &mnemonic(2)).is_ok());
    let opens =
        |seed: u8| node.identity.vault().opens(&Unlock::BackupKey(mnemonic(seed).keys().backup));
    assert_eq!((opens(1), opens(2)), (Err(VaultError::WrongKey), Ok(())));

    // An unsigned backup key is refused, and the old one changes nothing when uploaded again.
    let later = signed_with(&request, &mnemonic(2)).unwrap().parse::<SignedRequest>().unwrap();
    let thief = BackupKey::of(&mnemonic(9).keys(), &log.person());
    let swapped = SignedRequest { backup: Some(thief), ..later.clone() };
    assert_eq!(upload(&node, &swapped).await, Err(UploadError::BackupKey));
    assert_eq!(node.identity.log().unwrap().ops().len(), 2);
    let again = replace_mnemonic(&log, &mnemonic(2), &mnemonic(4)).unwrap();
    upload(&node, &again).await.unwrap();
    assert!(upload(&node, &changed).await.unwrap().is_empty());
    assert_eq!((opens(2), opens(4)), (Err(VaultError::WrongKey), Ok(())));
}
