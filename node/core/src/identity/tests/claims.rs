use super::super::transfer;
use super::*;
use crate::mnemonic::MnemonicKeys;

#[tokio::test]
async fn a_claim_made_elsewhere_makes_the_node_its_persons() {
    let node = unclaimed(1);
    // On the owner's own computer, with nothing but the card's text.
    let card: NodeCard = node.identity.card().to_string().parse().unwrap();
    let text = transfer::begin(&mnemonic(1), &card).unwrap().to_string();
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
    // And after a restart.
    let again =
        Identity::load(&node.store, node.identity.vault(), &Random::seeded(9), node.clock.now())
            .unwrap();
    assert_eq!((again.person(), again.node_key()), (Some(person), node.identity.node_key()));
    assert_ne!(again.epoch(), node.identity.epoch());
}

#[tokio::test]
async fn a_claim_for_another_node_a_second_one_and_a_changed_one_are_refused() {
    let (one, two) = (unclaimed(1), unclaimed(2));
    let for_one = transfer::begin(&mnemonic(1), &one.identity.card()).unwrap();
    assert_eq!(claim(&two, &for_one).await, Err(ClaimError::AnotherNode));
    let person = claim(&one, &for_one).await.unwrap();
    assert_eq!(claim(&one, &for_one).await, Err(ClaimError::AlreadyClaimed(person)));

    let text = transfer::begin(&mnemonic(2), &two.identity.card()).unwrap().to_string();
    for at in 0..text.len() {
        let mut bad = text.clone().into_bytes();
        bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
        let bad = String::from_utf8(bad).unwrap();
        assert!(bad.parse::<Claim>().is_err(), "the text changed at {at} was taken");
    }
    // Changed so that text and checksum fit, but not the signature.
    let honest: Claim = text.parse().unwrap();
    let op = honest.ops[0].op_bytes().to_vec();
    let forged = SignedOp::new(op.clone(), vec![sign_op(Role::Root, &key(77), &op)]).unwrap();
    assert_eq!(
        claim(&two, &Claim { ops: vec![forged], ..honest.clone() }).await,
        Err(ClaimError::Log(IdentityLogError::Signature(0)))
    );
    // A backup key that the thief put in instead, for which nobody or the thief vouches.
    let person = honest.person().unwrap();
    let theirs =
        [mnemonic(9).keys(), MnemonicKeys { root: mnemonic(9).keys().root, ..mnemonic(2).keys() }]
            .map(|keys| BackupKey::of(&keys, &person));
    let elsewhere = BackupKey::of(&mnemonic(2).keys(), &PersonId([1; 32]));
    for backup in theirs.into_iter().chain([elsewhere]) {
        assert_eq!(
            claim(&two, &Claim { backup, ..honest.clone() }).await,
            Err(ClaimError::BackupKey)
        );
    }
    assert_eq!(two.identity.person(), None);
}

#[tokio::test]
async fn two_claims_at_once_end_with_one_person() {
    let node = unclaimed(1);
    let (one, two) = (
        transfer::begin(&mnemonic(1), &node.identity.card()).unwrap(),
        transfer::begin(&mnemonic(2), &node.identity.card()).unwrap(),
    );
    let (first, second) = tokio::join!(claim(&node, &one), claim(&node, &two));
    assert!(first.is_ok() != second.is_ok());
    assert_eq!(node.identity.person(), first.or(second).ok());
}

#[test]
fn a_card_with_a_typing_mistake_is_noticed() {
    let text = unclaimed(1).identity.card().to_string();
    assert!(text.len() < 140, "{} characters are too many to paste", text.len());
    for at in 0..text.len() {
        let mut bad = text.clone().into_bytes();
        bad[at] = if bad[at] == b'x' { b'y' } else { b'x' };
        assert!(
            String::from_utf8(bad).unwrap().parse::<NodeCard>().is_err(),
            "a mistake at {at} was taken"
        );
    }
    assert!(
        format!("  {}\n  {}\n", &text[..40], &text[40..]).parse::<NodeCard>().is_ok(),
        "a broken line is not a mistake"
    );
}

#[test]
fn a_persons_id_is_read_back_and_a_wrong_one_refused() {
    let person = genesis(&[1]).person();
    assert_eq!(person.to_string().parse(), Ok(person));
    assert_eq!(person.to_string().len(), 52);
    assert_eq!(person.to_string(), person.to_string().to_lowercase());
    assert_eq!(person.short().len(), 8);
    assert_eq!("abc".parse::<PersonId>(), Err(NotAPerson));
}

#[tokio::test]
async fn the_words_are_in_no_row_of_the_node() {
    let node = unclaimed(1);
    let (words, _) = create(&node).await.unwrap();
    let phrase = words.phrase();
    let root = words.keys().root.to_bytes();
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
