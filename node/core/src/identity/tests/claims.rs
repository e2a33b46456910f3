use super::super::transfer;
use super::*;
use crate::mnemonic::MnemonicKeys;

#[tokio::test]
async fn claim_signed_elsewhere_claims_the_node() {
    let node = unclaimed(1);
    // On the owner's own computer, which has the text of the node card only.
    let card: NodeCard = node.identity.card().to_string().parse().unwrap();
    let text = transfer::create_claim(&mnemonic(1), &card).unwrap().to_string();
    // On the node.
    let person = claim(&node, &text.parse().unwrap()).await.unwrap();
    assert_eq!(node.identity.person(), Some(person));
    let log = node.identity.log().unwrap();
    assert_eq!(log.state().roots, [mnemonic(1).keys().root.public()]);
    assert_eq!(log.state().recovery_kem, mnemonic(1).keys().recovery.public());
    assert_eq!(IdentityLog::verify(&log.to_bytes()).unwrap().person(), person);
    let backup = mnemonic(1).keys().backup;
    let recipient =
        *x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(*backup)).as_bytes();
    assert_eq!(backup_recipient(&node).unwrap(), Some(recipient));
    // After a restart.
    let restarted =
        Identity::load(&node.store, node.identity.vault(), &Random::seeded(9), node.clock.now())
            .unwrap();
    assert_eq!(
        (restarted.person(), restarted.node_key()),
        (Some(person), node.identity.node_key())
    );
    assert_ne!(restarted.epoch(), node.identity.epoch());
}

#[tokio::test]
async fn foreign_second_and_tampered_claims_are_refused() {
    let (one, two) = (unclaimed(1), unclaimed(2));
    let for_one = transfer::create_claim(&mnemonic(1), &one.identity.card()).unwrap();
    assert_eq!(claim(&two, &for_one).await, Err(ClaimError::AnotherNode));
    let person = claim(&one, &for_one).await.unwrap();
    assert_eq!(claim(&one, &for_one).await, Err(ClaimError::AlreadyClaimed(person)));

    let text = transfer::create_claim(&mnemonic(2), &two.identity.card()).unwrap().to_string();
    for at in 0..text.len() {
        let mut bad = text.clone().into_bytes();
        bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
        let bad = String::from_utf8(bad).unwrap();
        assert!(bad.parse::<Claim>().is_err(), "the text changed at {at} was accepted");
    }
    // The text and its checksum are changed together, so only the signature is wrong.
    let honest: Claim = text.parse().unwrap();
    let op = honest.ops[0].op_bytes().to_vec();
    let forged = SignedOp::new(op.clone(), vec![sign_op(Role::Root, &key(77), &op)]).unwrap();
    assert_eq!(
        claim(&two, &Claim { ops: vec![forged], ..honest.clone() }).await,
        Err(ClaimError::Log(IdentityLogError::Signature(0)))
    );
    // A backup key that a thief has replaced, signed by another key or by the thief's own.
    let person = honest.person().unwrap();
    let replaced =
        [mnemonic(9).keys(), MnemonicKeys { root: mnemonic(9).keys().root, ..mnemonic(2).keys() }]
            .map(|keys| BackupKey::of(&keys, &person));
    let other_person = BackupKey::of(&mnemonic(2).keys(), &PersonId([1; 32]));
    for backup in replaced.into_iter().chain([other_person]) {
        assert_eq!(
            claim(&two, &Claim { backup, ..honest.clone() }).await,
            Err(ClaimError::BackupKey)
        );
    }
    assert_eq!(two.identity.person(), None);
}

#[tokio::test]
async fn concurrent_claims_of_a_node_give_one_person() {
    let node = unclaimed(1);
    let (one, two) = (
        transfer::create_claim(&mnemonic(1), &node.identity.card()).unwrap(),
        transfer::create_claim(&mnemonic(2), &node.identity.card()).unwrap(),
    );
    let (first, second) = tokio::join!(claim(&node, &one), claim(&node, &two));
    assert!(first.is_ok() != second.is_ok());
    assert_eq!(node.identity.person(), first.or(second).ok());
}

#[test]
fn node_card_with_a_typing_mistake_is_refused() {
    let text = unclaimed(1).identity.card().to_string();
    assert!(text.len() < 140, "{} characters are too many to paste", text.len());
    for at in 0..text.len() {
        let mut bad = text.clone().into_bytes();
        bad[at] = if bad[at] == b'x' { b'y' } else { b'x' };
        assert!(
            String::from_utf8(bad).unwrap().parse::<NodeCard>().is_err(),
            "a mistake at {at} was accepted"
        );
    }
    assert!(
        format!("  {}\n  {}\n", &text[..40], &text[40..]).parse::<NodeCard>().is_ok(),
        "line breaks are ignored"
    );
}

#[test]
fn person_id_text_parses_and_wrong_one_is_refused() {
    let person = genesis(&[1]).person();
    assert_eq!(person.to_string().parse(), Ok(person));
    assert_eq!(person.to_string().len(), 52);
    assert_eq!(person.to_string(), person.to_string().to_lowercase());
    assert_eq!(person.short().len(), 8);
    assert_eq!("abc".parse::<PersonId>(), Err(NotAPerson));
}

#[tokio::test]
async fn mnemonic_is_in_no_row_of_the_node() {
    let node = unclaimed(1);
    let (mnemonic, _) = create(&node).await.unwrap();
    let phrase = mnemonic.phrase();
    let root = mnemonic.keys().root.to_bytes();
    for table in ["identity_self", "identity_ops"] {
        for (_, row) in node
            .store
            .scan(crate::store::Table::new(table), &crate::store::Scan::prefix(&[], 100))
            .unwrap()
        {
            assert!(!row.value.windows(32).any(|window| window == root.as_slice()));
            assert!(!row.value.windows(phrase.len()).any(|window| window == phrase.as_bytes()));
        }
    }
}
