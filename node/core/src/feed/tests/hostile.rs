use super::*;

async fn refusal(bob: &Node, from: &Node, entries: Vec<RawEntry>) -> Refused {
    receive(bob, person_id(from), entries).await.unwrap_err()
}

fn cause(refused: Refused) -> EntryError {
    match refused {
        Refused::Entry { cause, .. } => cause,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn changed_byte_of_entry_is_refused() {
    let (alice, bob) = two_friends().await;
    post(&alice, "the boat is in the water").await;
    let good = all_entries(&alice, &person_id(&alice)).remove(0);
    let body = good.body.clone().unwrap();
    let mut skipped = 0;
    for at in 0..good.header.len() {
        let mut bad = good.clone();
        bad.header[at] ^= 0x01;
        // An entry of an unknown signature suite is skipped: it cannot be verified.
        if let Ok(received) = receive(&bob, person_id(&alice), vec![bad]).await {
            assert_eq!((received.accepted, received.voided), (0, 1), "byte {at}");
            skipped += 1;
        }
    }
    assert_eq!(skipped, 1);
    for at in 0..64 {
        let mut bad = good.clone();
        bad.signature.0[at] ^= 0x80;
        assert_eq!(cause(refusal(&bob, &alice, vec![bad]).await), EntryError::Signature);
    }
    for at in 0..body.len() {
        let mut bad = good.clone();
        bad.body.as_mut().unwrap()[at] ^= 0x01;
        assert_eq!(cause(refusal(&bob, &alice, vec![bad]).await), EntryError::AnotherBody);
    }
    for len in 0..good.header.len() {
        let bad = RawEntry { header: good.header[..len].to_vec(), ..good.clone() };
        refusal(&bob, &alice, vec![bad]).await;
    }
    assert!(shown_texts(&bob).is_empty());
    assert!(heads(&bob, &person_id(&alice)).unwrap().is_empty());
    assert_eq!(receive(&bob, person_id(&alice), vec![good]).await.unwrap().accepted, 1);
}

#[tokio::test]
async fn entry_signed_by_another_key_is_refused() {
    let (alice, bob) = two_friends().await;
    let mallory = claimed_node(3).await;
    // Mallory signs as Alice, naming Alice's node key.
    let body = Body::Post(note("I am Alice")).to_canonical([0; 16]);
    let forged = signed(&mallory, &next_header(&alice, &body), &body);
    assert_eq!(cause(refusal(&bob, &alice, vec![forged]).await), EntryError::Signature);
    // Then with Mallory's own node key.
    let mut header = next_header(&alice, &body);
    header.log.node = mallory.identity.node_key();
    let forged = signed(&mallory, &header, &body);
    assert_eq!(cause(refusal(&bob, &alice, vec![forged]).await), EntryError::UnknownNode);
}

#[tokio::test]
async fn entry_of_stranger_is_not_stored() {
    let (alice, bob) = two_friends().await;
    let mallory = claimed_node(3).await;
    post(&mallory, "buy now").await;
    let spam = all_entries(&mallory, &person_id(&mallory));
    assert_eq!(
        receive(&bob, person_id(&mallory), spam.clone()).await,
        Err(Refused::NotAFriend(person_id(&mallory)))
    );
    // A friend cannot bring it either.
    assert_eq!(
        receive(&bob, person_id(&alice), spam).await,
        Err(Refused::NotAFriend(person_id(&mallory)))
    );
    assert!(heads(&bob, &person_id(&mallory)).unwrap().is_empty());
}

#[tokio::test]
async fn signed_non_canonical_encoding_is_refused() {
    let (alice, bob) = two_friends().await;
    let good = forged(&alice, "hello", |_| ());
    // The version in two bytes instead of one: the same value, not canonical.
    assert_eq!(&good.header[1..3], &[0x00, 0x01]);
    let mut header = good.header.clone();
    header.splice(2..3, [0x18, 0x01]);
    let signature = alice.identity.sign(domains::ENTRY, &header);
    let bad = RawEntry { header, signature, body: good.body.clone() };
    assert_eq!(
        cause(refusal(&bob, &alice, vec![bad]).await),
        EntryError::EntryHeader(crate::cbor::CborError::NotCanonical)
    );

    // The same in a body.
    let mut body = good.body.clone().unwrap();
    assert_eq!(body[1], 0x00);
    body.splice(1..2, [0x18, 0x00]);
    let bad = signed(&alice, &next_header(&alice, &body), &body);
    assert!(matches!(cause(refusal(&bob, &alice, vec![bad]).await), EntryError::Body(_)));
}

#[tokio::test]
async fn oversized_entry_is_refused() {
    let (alice, bob) = two_friends().await;
    let long = forged(&alice, "hello", |header| header.refs = vec![EntryId([1; 32]); REFS_MAX + 1]);
    assert!(matches!(cause(refusal(&bob, &alice, vec![long]).await), EntryError::EntryHeader(_)));

    let body = vec![0u8; BODY_LEN_MAX + 1];
    let long = signed(&alice, &next_header(&alice, &body), &body);
    assert!(matches!(cause(refusal(&bob, &alice, vec![long]).await), EntryError::EntryHeader(_)));

    let mut header =
        crate::cbor::Value::from_canonical(&forged(&alice, "x", |_| ()).header).unwrap();
    if let crate::cbor::Value::Map(fields) = &mut header {
        fields.push((27, crate::cbor::Value::Bytes(vec![0; HEADER_LEN_MAX])));
    }
    let header = header.to_canonical();
    let signature = alice.identity.sign(domains::ENTRY, &header);
    let long = RawEntry { header, signature, body: None };
    assert!(matches!(cause(refusal(&bob, &alice, vec![long]).await), EntryError::EntryHeader(_)));

    let many = vec![forged(&alice, "x", |_| ()); RECEIVE_MAX + 1];
    assert_eq!(refusal(&bob, &alice, many).await, Refused::TooMany(RECEIVE_MAX + 1));

    let result =
        write_entry_in(&alice, Lane::PUBLIC, Body::Post(note(&"x".repeat(BODY_LEN_MAX)))).await;
    assert!(matches!(result, Err(AppendError::TooLong { .. })));
}

/// A header with one more key, signed.
fn with_key(node: &Node, key: u64) -> RawEntry {
    let plain = forged(node, "from the future", |_| ());
    let mut header = crate::cbor::Value::from_canonical(&plain.header).unwrap();
    if let crate::cbor::Value::Map(fields) = &mut header {
        fields.push((key, crate::cbor::Value::Uint(1)));
    }
    let header = header.to_canonical();
    RawEntry { signature: node.identity.sign(domains::ENTRY, &header), header, body: plain.body }
}

#[tokio::test]
async fn unknown_even_field_is_stored_forwarded_not_shown() {
    let (alice, bob) = two_friends().await;
    let strange = with_key(&alice, 28);
    assert_eq!(receive(&bob, person_id(&alice), vec![strange.clone()]).await.unwrap().accepted, 1);
    assert!(shown_texts(&bob).is_empty());
    assert_eq!(all_entries(&bob, &person_id(&alice)), vec![strange]);
}

#[tokio::test]
async fn unknown_odd_field_is_stored_and_entry_shown() {
    let (alice, bob) = two_friends().await;
    let strange = with_key(&alice, 27);
    assert_eq!(receive(&bob, person_id(&alice), vec![strange.clone()]).await.unwrap().accepted, 1);
    assert_eq!(shown_texts(&bob), ["from the future"]);
    assert_eq!(all_entries(&bob, &person_id(&alice)), vec![strange]);
}

#[tokio::test]
async fn unknown_kind_is_stored_forwarded_not_shown() {
    let (alice, bob) = two_friends().await;
    let strange = forged(&alice, "a poll", |header| header.kind = Kind::Unknown(1_000));
    assert_eq!(receive(&bob, person_id(&alice), vec![strange.clone()]).await.unwrap().accepted, 1);
    assert!(shown_texts(&bob).is_empty());
    assert_eq!(all_entries(&bob, &person_id(&alice)), vec![strange]);
}

#[tokio::test]
async fn replayed_entry_changes_nothing() {
    let (alice, bob) = two_friends().await;
    for text in ["one", "two", "three"] {
        post(&alice, text).await;
    }
    assert_eq!(sync(&alice, &bob).await.accepted, 3);
    let before = (all_entries(&bob, &person_id(&alice)), shown_texts(&bob));
    for _ in 0..2 {
        let again = sync(&alice, &bob).await;
        assert_eq!((again.accepted, again.known), (0, 3));
    }
    assert_eq!(before, (all_entries(&bob, &person_id(&alice)), shown_texts(&bob)));
}

#[tokio::test]
async fn gap_and_wrong_predecessor_are_refused() {
    let (alice, bob) = two_friends().await;
    for text in ["one", "two", "three"] {
        post(&alice, text).await;
    }
    let all = all_entries(&alice, &person_id(&alice));
    assert!(matches!(
        refusal(&bob, &alice, vec![all[1].clone()]).await,
        Refused::Gap { seq: 1, expected: 0, .. }
    ));
    receive(&bob, person_id(&alice), vec![all[0].clone()]).await.unwrap();
    assert!(matches!(
        refusal(&bob, &alice, vec![all[2].clone()]).await,
        Refused::Gap { seq: 2, expected: 1, .. }
    ));
    receive(&bob, person_id(&alice), all).await.unwrap();
    let astray = forged(&alice, "astray", |header| header.prev = Some(EntryId([3; 32])));
    assert!(matches!(
        refusal(&bob, &alice, vec![astray]).await,
        Refused::Predecessor { seq: 3, .. }
    ));
    // A new epoch must continue from something known.
    let astray = forged(&alice, "astray", |header| {
        (header.log.epoch, header.seq, header.prev) = (99, 0, Some(EntryId([3; 32])));
    });
    assert!(matches!(
        refusal(&bob, &alice, vec![astray]).await,
        Refused::Predecessor { seq: 0, .. }
    ));
}

#[tokio::test]
async fn fork_is_proved_and_ends_only_its_log() {
    let (alice, bob) = two_friends().await;
    post(&alice, "common").await;
    sync(&alice, &bob).await;
    let (one, other) = (forged(&alice, "one side", |_| ()), forged(&alice, "other side", |_| ()));
    receive(&bob, person_id(&alice), vec![one.clone()]).await.unwrap();
    assert_eq!(shown_texts(&bob), ["common", "one side"]);

    let found = receive(&bob, person_id(&alice), vec![other.clone()]).await.unwrap();
    let log = EntryHeader::from_canonical(&one.header).unwrap().log;
    assert_eq!(found.forked, [log]);
    let proof = forks(&bob, &person_id(&alice)).unwrap().remove(0);
    assert_eq!((proof.log, proof.seq), (log, 1));
    assert_eq!((&proof.one.header, &proof.other.header), (&one.header, &other.header));
    run_due(&bob).await.unwrap();
    assert_eq!(shown_texts(&bob), ["common"], "entries after the last common one are void");

    let more = forged(&alice, "more", |header| {
        (header.seq, header.prev) = (2, Some(EntryId::of(&one.header)))
    });
    let more_id = EntryId::of(&more.header);
    assert_eq!(
        receive(&bob, person_id(&alice), vec![more]).await.unwrap(),
        Received { voided: 1, ..Received::default() }
    );
    assert_eq!(entry(&bob, &more_id).unwrap(), None);

    // The person continues in a new epoch: after either side of the fork, or after an entry that
    // was not stored.
    for (epoch, prev) in
        [(7, EntryId::of(&one.header)), (8, EntryId::of(&other.header)), (9, more_id)]
    {
        let next = forged(&alice, &format!("epoch {epoch}"), |header| {
            (header.log.epoch, header.seq, header.prev) = (epoch, 0, Some(prev));
        });
        assert_eq!(receive(&bob, person_id(&alice), vec![next]).await.unwrap().accepted, 1);
    }
    assert_eq!(shown_texts(&bob), ["common", "epoch 7", "epoch 8", "epoch 9"]);
}

#[tokio::test]
async fn epoch_order_after_fork_is_independent_of_arrival() {
    for turn in 0..3 {
        let (alice, bob) = two_friends().await;
        let of = forged(&alice, "common", |_| ());
        let common = EntryId::of(&of.header);
        let side = |text: &str| {
            forged(&alice, text, |header| (header.seq, header.prev) = (1, Some(common)))
        };
        let (one, other) = (side("one side"), side("other side"));
        receive(&bob, person_id(&alice), vec![of, one, other]).await.unwrap();
        run_due(&bob).await.unwrap();
        // Each epoch continues from an unknown entry and edits the post; the second one does so
        // twice.
        let edit = |text: &str| Body::Edit { of: common, post: note(text) };
        let unknown = |byte| Some(EntryId([byte; 32]));
        let mut epochs = [
            chain(&alice, 7, unknown(7), 0, &[edit("epoch 7")]),
            chain(&alice, 8, unknown(8), 0, &[edit("epoch 8"), edit("epoch 8 again")]),
            chain(&alice, 9, unknown(9), 0, &[edit("epoch 9")]),
        ];
        epochs.rotate_left(turn);
        for epoch in epochs {
            assert_eq!(
                receive(&bob, person_id(&alice), epoch.clone()).await.unwrap().accepted,
                epoch.len()
            );
        }
        assert_eq!(shown_texts(&bob), ["epoch 8 again"], "turn {turn}");
    }
}

#[tokio::test]
async fn foreign_entry_for_own_epoch_is_refused() {
    let (alice, bob) = two_friends().await;
    post(&alice, "mine").await;
    // An attacker with Alice's node key writes into the log that her running process has open.
    let stolen = forged(&alice, "not mine", |_| ());
    assert!(matches!(
        receive(&alice, person_id(&bob), vec![stolen]).await,
        Err(Refused::NotMine(_))
    ));
}

#[tokio::test]
async fn batch_with_one_bad_entry_is_refused_whole() {
    let (alice, bob) = two_friends().await;
    post(&alice, "one").await;
    post(&alice, "two").await;
    let mut all = all_entries(&alice, &person_id(&alice));
    all[1].signature.0[0] ^= 1;
    assert!(matches!(refusal(&bob, &alice, all).await, Refused::Entry { at: 1, .. }));
    assert!(shown_texts(&bob).is_empty());
}

#[tokio::test]
async fn mismatched_kind_lane_or_audience_is_refused() {
    let (alice, bob) = two_friends().await;
    let sealed = EntryAudience::Sealed { nonce: [0; 32], commit: [0; 32] };
    let changes: [fn(&mut EntryHeader, EntryAudience); 3] = [
        |header, sealed| header.audience = sealed,
        |header, _| header.kind = Kind::Sealed,
        |header, _| header.log.lane = Lane([4; 16]),
    ];
    for change in changes {
        let misfit = forged(&alice, "x", |header| change(header, sealed));
        assert_eq!(cause(refusal(&bob, &alice, vec![misfit]).await), EntryError::Misfit);
    }
    // An edit with no reference, and one with two.
    for refs in [Vec::new(), vec![EntryId([1; 32]); 2]] {
        let misfit = forged(&alice, "x", |header| (header.kind, header.refs) = (Kind::Edit, refs));
        assert!(matches!(cause(refusal(&bob, &alice, vec![misfit]).await), EntryError::Body(_)));
    }
}

#[tokio::test]
async fn void_post_of_a_forked_log_can_be_deleted() {
    use crate::audience::Visitor;
    use crate::posts::{self, Draft};
    use crate::publish;

    let alice = claimed_node(1).await;
    let draft = Draft { text: "We walked.".to_owned(), ..Draft::default() };
    let post = publish::post(&alice, draft).await.unwrap();
    // A machine that was resumed twice writes another entry at the same place.
    let epoch = alice.identity.epoch();
    let alice = restarted(&alice, 2);
    let forged = chain(&alice, epoch, None, 0, &[Body::Post(note("We flew."))]);
    assert_eq!(receive(&alice, person_id(&alice), forged).await.unwrap().forked.len(), 1);
    run_due(&alice).await.unwrap();
    let visible = |visitor: &Visitor| posts::by_id(&alice, visitor, post.id).unwrap().is_some();
    assert!(!visible(&Visitor::Stranger) && visible(&Visitor::Owner));
    publish::delete(&alice, post.id).await.unwrap();
    assert!(!visible(&Visitor::Owner));
    assert_eq!(posts::count(&alice).unwrap(), 0);
}
