use super::*;

async fn refusal(bob: &Node, from: &Node, entries: Vec<RawEntry>) -> Refused {
    receive(bob, who(from), entries).await.unwrap_err()
}

fn cause(refused: Refused) -> EntryError {
    match refused {
        Refused::Entry { cause, .. } => cause,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn changed_byte_of_entry_is_refused() {
    let (alice, bob) = friends_of_two().await;
    post(&alice, "the boat is in the water").await;
    let good = everything(&alice, &who(&alice)).remove(0);
    let body = good.body.clone().unwrap();
    let mut passed_over = 0;
    for at in 0..good.header.len() {
        let mut bad = good.clone();
        bad.header[at] ^= 0x01;
        // What names a suite that nobody knows yet is passed over: it can't be judged.
        if let Ok(received) = receive(&bob, who(&alice), vec![bad]).await {
            assert_eq!((received.accepted, received.voided), (0, 1), "byte {at}");
            passed_over += 1;
        }
    }
    assert_eq!(passed_over, 1);
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
    assert!(shown(&bob).is_empty());
    assert!(heads(&bob, &who(&alice)).unwrap().is_empty());
    assert_eq!(receive(&bob, who(&alice), vec![good]).await.unwrap().accepted, 1);
}

#[tokio::test]
async fn entry_signed_by_another_key_is_refused() {
    let (alice, bob) = friends_of_two().await;
    let mallory = person(3).await;
    // Mallory signs as Alice, naming Alice's node key.
    let body = Body::Post(note("I am Alice")).to_canonical([0; 16]);
    let forged = signed(&mallory, &next_header(&alice, &body), &body);
    assert_eq!(cause(refusal(&bob, &alice, vec![forged]).await), EntryError::Signature);
    // And naming Mallory's own.
    let mut header = next_header(&alice, &body);
    header.log.node = mallory.identity.node_key();
    let forged = signed(&mallory, &header, &body);
    assert_eq!(cause(refusal(&bob, &alice, vec![forged]).await), EntryError::UnknownNode);
}

#[tokio::test]
async fn entry_of_stranger_is_not_stored() {
    let (alice, bob) = friends_of_two().await;
    let mallory = person(3).await;
    post(&mallory, "buy now").await;
    let spam = everything(&mallory, &who(&mallory));
    assert_eq!(
        receive(&bob, who(&mallory), spam.clone()).await,
        Err(Refused::NotAFriend(who(&mallory)))
    );
    // Nor when a friend brings it.
    assert_eq!(receive(&bob, who(&alice), spam).await, Err(Refused::NotAFriend(who(&mallory))));
    assert!(heads(&bob, &who(&mallory)).unwrap().is_empty());
}

#[tokio::test]
async fn signed_non_canonical_encoding_is_refused() {
    let (alice, bob) = friends_of_two().await;
    let good = forged(&alice, "hello", |_| ());
    // The version in two bytes instead of one: the same thing said otherwise.
    assert_eq!(&good.header[1..3], &[0x00, 0x01]);
    let mut header = good.header.clone();
    header.splice(2..3, [0x18, 0x01]);
    let signature = alice.identity.sign(domains::ENTRY, &header);
    let bad = RawEntry { header, signature, body: good.body.clone() };
    assert_eq!(
        cause(refusal(&bob, &alice, vec![bad]).await),
        EntryError::EntryHeader(crate::cbor::CborError::NotCanonical)
    );

    // The same with a body.
    let mut body = good.body.clone().unwrap();
    assert_eq!(body[1], 0x00);
    body.splice(1..2, [0x18, 0x00]);
    let bad = signed(&alice, &next_header(&alice, &body), &body);
    assert!(matches!(cause(refusal(&bob, &alice, vec![bad]).await), EntryError::Body(_)));
}

#[tokio::test]
async fn oversized_entry_is_refused() {
    let (alice, bob) = friends_of_two().await;
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

    let told = say_in(&alice, Lane::PUBLIC, Body::Post(note(&"x".repeat(BODY_LEN_MAX)))).await;
    assert!(matches!(told, Err(AppendError::TooLong { .. })));
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
    let (alice, bob) = friends_of_two().await;
    let strange = with_key(&alice, 28);
    assert_eq!(receive(&bob, who(&alice), vec![strange.clone()]).await.unwrap().accepted, 1);
    assert!(shown(&bob).is_empty());
    assert_eq!(everything(&bob, &who(&alice)), vec![strange]);
}

#[tokio::test]
async fn unknown_odd_field_is_stored_and_entry_shown() {
    let (alice, bob) = friends_of_two().await;
    let strange = with_key(&alice, 27);
    assert_eq!(receive(&bob, who(&alice), vec![strange.clone()]).await.unwrap().accepted, 1);
    assert_eq!(shown(&bob), ["from the future"]);
    assert_eq!(everything(&bob, &who(&alice)), vec![strange]);
}

#[tokio::test]
async fn unknown_kind_is_stored_forwarded_not_shown() {
    let (alice, bob) = friends_of_two().await;
    let strange = forged(&alice, "a poll", |header| header.kind = Kind::Unknown(1_000));
    assert_eq!(receive(&bob, who(&alice), vec![strange.clone()]).await.unwrap().accepted, 1);
    assert!(shown(&bob).is_empty());
    assert_eq!(everything(&bob, &who(&alice)), vec![strange]);
}

#[tokio::test]
async fn replayed_entry_changes_nothing() {
    let (alice, bob) = friends_of_two().await;
    for text in ["one", "two", "three"] {
        post(&alice, text).await;
    }
    assert_eq!(sync(&alice, &bob).await.accepted, 3);
    let before = (everything(&bob, &who(&alice)), shown(&bob));
    for _ in 0..2 {
        let again = sync(&alice, &bob).await;
        assert_eq!((again.accepted, again.known), (0, 3));
    }
    assert_eq!(before, (everything(&bob, &who(&alice)), shown(&bob)));
}

#[tokio::test]
async fn gap_and_wrong_predecessor_are_refused() {
    let (alice, bob) = friends_of_two().await;
    for text in ["one", "two", "three"] {
        post(&alice, text).await;
    }
    let all = everything(&alice, &who(&alice));
    assert!(matches!(
        refusal(&bob, &alice, vec![all[1].clone()]).await,
        Refused::Gap { seq: 1, expected: 0, .. }
    ));
    receive(&bob, who(&alice), vec![all[0].clone()]).await.unwrap();
    assert!(matches!(
        refusal(&bob, &alice, vec![all[2].clone()]).await,
        Refused::Gap { seq: 2, expected: 1, .. }
    ));
    receive(&bob, who(&alice), all).await.unwrap();
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
    let (alice, bob) = friends_of_two().await;
    post(&alice, "common").await;
    sync(&alice, &bob).await;
    let (one, other) = (forged(&alice, "one side", |_| ()), forged(&alice, "other side", |_| ()));
    receive(&bob, who(&alice), vec![one.clone()]).await.unwrap();
    assert_eq!(shown(&bob), ["common", "one side"]);

    let found = receive(&bob, who(&alice), vec![other.clone()]).await.unwrap();
    let log = EntryHeader::from_canonical(&one.header).unwrap().log;
    assert_eq!(found.forked, [log]);
    let proof = forks(&bob, &who(&alice)).unwrap().remove(0);
    assert_eq!((proof.log, proof.seq), (log, 1));
    assert_eq!((&proof.one.header, &proof.other.header), (&one.header, &other.header));
    run_due(&bob).await.unwrap();
    assert_eq!(shown(&bob), ["common"], "what came after the last common entry is taken back");

    let more = forged(&alice, "more", |header| {
        (header.seq, header.prev) = (2, Some(EntryId::of(&one.header)))
    });
    let more_id = EntryId::of(&more.header);
    assert_eq!(
        receive(&bob, who(&alice), vec![more]).await.unwrap(),
        Received { voided: 1, ..Received::default() }
    );
    assert_eq!(entry(&bob, &more_id).unwrap(), None);

    // The person goes on in a new epoch, whichever side it continues from, or from what was not
    // taken.
    for (epoch, prev) in
        [(7, EntryId::of(&one.header)), (8, EntryId::of(&other.header)), (9, more_id)]
    {
        let next = forged(&alice, &format!("epoch {epoch}"), |header| {
            (header.log.epoch, header.seq, header.prev) = (epoch, 0, Some(prev));
        });
        assert_eq!(receive(&bob, who(&alice), vec![next]).await.unwrap().accepted, 1);
    }
    assert_eq!(shown(&bob), ["common", "epoch 7", "epoch 8", "epoch 9"]);
}

#[tokio::test]
async fn epoch_order_after_fork_is_independent_of_arrival() {
    for turn in 0..3 {
        let (alice, bob) = friends_of_two().await;
        let of = forged(&alice, "said", |_| ());
        let common = EntryId::of(&of.header);
        let side = |text: &str| {
            forged(&alice, text, |header| (header.seq, header.prev) = (1, Some(common)))
        };
        let (one, other) = (side("one side"), side("other side"));
        receive(&bob, who(&alice), vec![of, one, other]).await.unwrap();
        run_due(&bob).await.unwrap();
        // Each continues from something that was not taken, and edits the post; the second one does
        // so twice.
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
                receive(&bob, who(&alice), epoch.clone()).await.unwrap().accepted,
                epoch.len()
            );
        }
        assert_eq!(shown(&bob), ["epoch 8 again"], "turn {turn}");
    }
}

#[tokio::test]
async fn foreign_entry_for_own_epoch_is_refused() {
    let (alice, bob) = friends_of_two().await;
    post(&alice, "mine").await;
    // Somebody with a copy of Alice's key writes into the very log of her running process.
    let stolen = forged(&alice, "not mine", |_| ());
    assert!(matches!(receive(&alice, who(&bob), vec![stolen]).await, Err(Refused::NotMine(_))));
}

#[tokio::test]
async fn batch_with_one_bad_entry_is_refused_whole() {
    let (alice, bob) = friends_of_two().await;
    post(&alice, "one").await;
    post(&alice, "two").await;
    let mut all = everything(&alice, &who(&alice));
    all[1].signature.0[0] ^= 1;
    assert!(matches!(refusal(&bob, &alice, all).await, Refused::Entry { at: 1, .. }));
    assert!(shown(&bob).is_empty());
}

#[tokio::test]
async fn mismatched_kind_lane_or_audience_is_refused() {
    let (alice, bob) = friends_of_two().await;
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
    // A tombstone that names nothing, an edit that names two.
    for refs in [Vec::new(), vec![EntryId([1; 32]); 2]] {
        let misfit = forged(&alice, "x", |header| (header.kind, header.refs) = (Kind::Edit, refs));
        assert!(matches!(cause(refusal(&bob, &alice, vec![misfit]).await), EntryError::Body(_)));
    }
}
