use super::*;
use crate::cbor::Value;
use crate::store::Table;

#[tokio::test]
async fn edit_replaces_and_tombstone_deletes_for_good() {
    let (alice, bob) = two_friends().await;
    let of = post(&alice, "first words").await;
    write_entry(&alice, Body::Edit { of, post: note("second words") }).await;
    sync(&alice, &bob).await;
    assert_eq!(shown_texts(&bob), ["second words"]);
    for node in [&alice, &bob] {
        assert!(!is_stored(node, "first words"), "the replaced body is deleted");
    }
    assert!(is_stored(&bob, "second words"));

    write_entry(&alice, Body::Tombstone { of }).await;
    sync(&alice, &bob).await;
    for node in [&alice, &bob] {
        assert!(!is_stored(node, "first words") && !is_stored(node, "second words"));
        let (header, body) = opened(node, &of).unwrap().unwrap();
        assert_eq!((header.kind, body), (Kind::Post, None), "the header stays");
    }
    assert!(shown_texts(&bob).is_empty());
    // A friend who syncs later gets headers only and shows nothing.
    let carol = claimed_node(3).await;
    add_friend(&carol, &alice).await;
    assert_eq!(sync(&alice, &carol).await.accepted, 3);
    assert!(shown_texts(&carol).is_empty());
}

#[tokio::test]
async fn all_pieces_of_long_body_are_deleted() {
    let (alice, bob) = two_friends().await;
    let of = post(&alice, &format!("{} the end", "word ".repeat(12_000))).await;
    sync(&alice, &bob).await;
    assert!(is_stored(&bob, "the end") || is_stored(&bob, "word word"));
    write_entry(&alice, Body::Tombstone { of }).await;
    sync(&alice, &bob).await;
    assert!(!is_stored(&bob, "word word") && !is_stored(&bob, "the end"));
}

#[tokio::test]
async fn timeline_is_independent_of_log_arrival_order() {
    // Three epochs of one node: a post, two edits of it, and a second post that is deleted.
    let alice = claimed_node(1).await;
    let one = post(&alice, "one").await;
    let two = post(&alice, "two").await;
    let second = restarted(&alice, 20);
    write_entry(&second, Body::Edit { of: one, post: note("one, edited") }).await;
    write_entry(&second, Body::Tombstone { of: two }).await;
    let third = restarted(&alice, 21);
    // This node's clock is behind: edits are not ordered by it.
    let third = Node { clock: Clock::manual(Timestamp(START.0 - 1_000_000)), ..third };
    write_entry(&third, Body::Edit { of: one, post: note("one, edited again") }).await;

    // Headers come first and bodies later, in every rotation.
    let all = all_entries(&third, &person_id(&alice));
    for turn in 0..all.len() {
        let bob = claimed_node(2).await;
        add_friend(&bob, &alice).await;
        let bare = all.iter().map(|entry| RawEntry { body: None, ..entry.clone() }).collect();
        receive(&bob, person_id(&alice), bare).await.unwrap();
        for at in 0..all.len() {
            receive(&bob, person_id(&alice), vec![all[(at + turn) % all.len()].clone()])
                .await
                .unwrap();
        }
        assert_eq!(shown_texts(&bob), ["one, edited again"], "turn {turn}");
        assert!(!is_stored(&bob, "two"), "turn {turn}");
    }
}

#[tokio::test]
async fn foreign_edit_or_tombstone_has_no_effect() {
    let (alice, bob) = two_friends().await;
    let carol = claimed_node(3).await;
    add_friend(&carol, &alice).await;
    add_friend(&carol, &bob).await;
    let of = post(&alice, "alice's own words").await;
    write_entry(&bob, Body::Edit { of, post: note("bob's words") }).await;
    write_entry(&bob, Body::Tombstone { of }).await;
    sync(&bob, &carol).await;
    sync(&alice, &carol).await;
    assert_eq!(shown_texts(&carol), ["alice's own words"]);
}

#[tokio::test]
async fn deleted_newest_edit_hides_post_until_next_edit() {
    let (alice, bob) = two_friends().await;
    let of = post(&alice, "first").await;
    write_entry(&alice, Body::Edit { of, post: note("second") }).await;
    let third = write_entry(&alice, Body::Edit { of, post: note("third") }).await;
    sync(&alice, &bob).await;
    assert_eq!(shown_texts(&bob), ["third"]);
    write_entry(&alice, Body::Tombstone { of: third }).await;
    sync(&alice, &bob).await;
    assert!(shown_texts(&bob).is_empty(), "the replaced version is deleted");
    write_entry(&alice, Body::Edit { of, post: note("fourth") }).await;
    sync(&alice, &bob).await;
    assert_eq!(shown_texts(&bob), ["fourth"]);
}

#[tokio::test]
async fn expired_post_is_deleted() {
    let (alice, bob) = two_friends().await;
    let until = START.plus_millis(10_000);
    let inside = alice.clone();
    let body = Body::Post(note("only today"));
    alice
        .store
        .commit(move |tx| {
            let mut changes = Vec::new();
            super::super::append(tx, &inside, Lane::PUBLIC, &body, Some(until), &mut changes)?;
            apply(tx, &inside, changes)?;
            Ok::<_, AppendError>(())
        })
        .await
        .unwrap();
    sync(&alice, &bob).await;
    assert_eq!(shown_texts(&bob), ["only today"]);
    for node in [&alice, &bob] {
        assert_eq!(next_due(node).unwrap(), Some(until));
        node.clock.advance(20_000);
        assert_eq!(run_due(node).await.unwrap(), 1);
        assert!(!is_stored(node, "only today"));
    }
    assert!(shown_texts(&bob).is_empty());
    let carol = claimed_node(3).await;
    add_friend(&carol, &alice).await;
    carol.clock.advance(20_000);
    assert_eq!(
        receive(&carol, person_id(&alice), all_entries(&bob, &person_id(&alice)))
            .await
            .unwrap()
            .accepted,
        1
    );
    assert!(shown_texts(&carol).is_empty());
}

#[tokio::test]
async fn last_profile_entry_counts() {
    let (alice, bob) = two_friends().await;
    for name in ["Alice", "Alice A."] {
        let profile = ProfileBody {
            name: name.to_owned(),
            address: "alice@alice.example".to_owned(),
            ..ProfileBody::default()
        };
        write_entry(&alice, Body::Profile(profile)).await;
    }
    sync(&alice, &bob).await;
    assert_eq!(profile_of(&bob, &person_id(&alice)).unwrap().unwrap().name, "Alice A.");
    assert_eq!(profile_of(&alice, &person_id(&alice)).unwrap().unwrap().name, "Alice A.");
}

#[tokio::test]
async fn unclaimed_node_writes_no_entry() {
    let node = Node::in_memory(Clock::manual(START), Random::seeded(5)).unwrap();
    assert_eq!(
        write_entry_in(&node, Lane::PUBLIC, Body::Post(note("hello"))).await,
        Err(AppendError::Unclaimed)
    );
}

#[tokio::test]
async fn unreadable_body_is_not_written() {
    let alice = claimed_node(1).await;
    let mut crowded = note("too many photos");
    crowded.photos = (0..=u8::try_from(PHOTOS_MAX).unwrap()).map(photo).collect();
    assert!(matches!(
        write_entry_in(&alice, Lane::PUBLIC, Body::Post(crowded)).await,
        Err(AppendError::NotReadable(_))
    ));
}

#[tokio::test]
async fn check_finds_changed_entry_rows() {
    let (alice, bob) = two_friends().await;
    let first = post(&alice, "first").await;
    post(&alice, &"long ".repeat(2_000)).await;
    let alice = restarted(&alice, 30);
    post(&alice, "after a restart").await;
    sync(&alice, &bob).await;
    for node in [&alice, &bob] {
        assert_eq!(check(node).unwrap(), Checked { entries: 3, wrong: Vec::new() });
    }
    // The body is replaced by another well-formed one.
    let table = Table::new("feed_entries");
    let mut row = bob.store.get(table, &first.0).unwrap().unwrap().value;
    let at = row.windows(5).position(|window| window == b"first").unwrap();
    row[at..at + 5].copy_from_slice(b"fiend");
    bob.store.commit(move |tx| tx.put(table, &first.0, &row)).await.unwrap();
    let wrong = check(&bob).unwrap().wrong;
    assert!(wrong.len() == 1 && wrong[0].contains("not the one the header names"), "{wrong:?}");
}

/// The same header with a node key of suite 2, longer than any key of a known suite.
fn with_newer_suite(header: &[u8]) -> Vec<u8> {
    let Value::Map(mut fields) = Value::from_canonical(header).unwrap() else { panic!() };
    let (_, key) = fields.iter_mut().find(|(number, _)| *number == 4).unwrap();
    *key = Value::Array(vec![Value::Uint(2), Value::Bytes(vec![9; 600])]);
    Value::Map(fields).to_canonical()
}

#[tokio::test]
async fn entry_of_newer_suite_blocks_no_other() {
    let (alice, bob) = two_friends().await;
    post(&alice, "one").await;
    post(&alice, "two").await;
    let [one, two] = all_entries(&alice, &person_id(&alice)).try_into().unwrap();
    let newer = RawEntry { header: with_newer_suite(&one.header), ..one.clone() };
    assert!(EntryHeader::is_of_a_newer_suite(
        &EntryHeader::from_canonical(&newer.header).unwrap_err()
    ));
    let received = receive(&bob, person_id(&alice), vec![one.clone(), newer, two]).await.unwrap();
    assert_eq!((received.accepted, received.voided), (2, 1));
    assert_eq!(shown_texts(&bob), ["one", "two"]);
    // An unknown version of the header is refused, so that its log cannot continue.
    let mut other = one;
    other.header = [&[other.header[0], 0, 2][..], &other.header[3..]].concat();
    assert!(matches!(
        receive(&bob, person_id(&alice), vec![other]).await,
        Err(Refused::Entry { at: 0, .. })
    ));
}

#[test]
fn homes_with_newer_suite_mirror_are_read() {
    let homes =
        Homes { version: 1, web: vec!["https://alice.example".to_owned()], ..Homes::default() };
    let Value::Map(mut fields) =
        Value::from_canonical(&Body::Homes(homes.clone()).to_canonical([1; 16])).unwrap()
    else {
        panic!()
    };
    let newer = Value::Array(vec![Value::Uint(2), Value::Bytes(vec![9; 897])]);
    fields.last_mut().unwrap().1 = Value::Array(vec![newer]);
    let read = Body::from_canonical(Kind::Homes, &[], &Value::Map(fields).to_canonical());
    assert_eq!(read, Ok(Body::Homes(homes)));
}
