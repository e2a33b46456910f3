use super::*;
use crate::feed;
use crate::publish;
use crate::{outbox, timeline};

#[tokio::test]
async fn entries_of_a_friend_reach_the_timeline() {
    let (alice, bob) = two_friends().await;
    let mut with_photo = note("a boat at dawn");
    with_photo.photos = vec![photo(1)];
    post(&alice, "hello").await;
    write_entry(&alice, Body::Post(with_photo)).await;
    let received = sync(&alice, &bob).await;
    assert_eq!(received.accepted, 2);
    let wanted = timeline::wanted_blobs(&bob, &person_id(&alice), None, 10).unwrap();
    let wanted: Vec<_> = wanted.iter().map(|wanted| (wanted.blob, wanted.len)).collect();
    assert_eq!(wanted, [(BlobId([1; 32]), 1_000), (BlobId([101; 32]), 100)]);
    assert_eq!(shown_texts(&bob), ["a boat at dawn", "hello"]);
    assert_eq!(
        all_entries(&alice, &person_id(&alice)),
        all_entries(&bob, &person_id(&alice)),
        "the stored bytes are identical"
    );
}

#[tokio::test]
async fn outbox_has_no_gaps_and_cursor_only_advances() {
    let (alice, bob) = two_friends().await;
    for text in ["one", "two", "three"] {
        post(&alice, text).await;
    }
    assert_eq!(outbox::durable_head(&alice).unwrap(), 3);
    let records = outbox::read(&alice, 1, 10).unwrap();
    assert_eq!(
        records.iter().map(|(number, record)| (*number, record.seq)).collect::<Vec<_>>(),
        [(2, 1), (3, 2)]
    );
    assert_eq!(super::super::check::check_outbox(&alice).unwrap(), Vec::<String>::new());

    let bob = person_id(&bob);
    assert_eq!(outbox::cursor(&alice, &bob).unwrap(), 0);
    outbox::set_cursor(&alice, &bob, 2).await.unwrap();
    outbox::set_cursor(&alice, &bob, 1).await.unwrap();
    assert_eq!(outbox::cursor(&alice, &bob).unwrap(), 2);
}

#[tokio::test]
async fn each_start_opens_an_epoch_after_the_last_entry() {
    let (alice, bob) = two_friends().await;
    let first = post(&alice, "before").await;
    let alice = restarted(&alice, 77);
    let second = post(&alice, "after").await;
    let (header, _) = opened(&alice, &second).unwrap().unwrap();
    assert_eq!((header.seq, header.prev), (0, Some(first)));
    assert_eq!(sync(&alice, &bob).await.accepted, 2);
    assert_eq!(shown_texts(&bob), ["after", "before"]);
    assert_eq!(outbox::durable_head(&alice).unwrap(), 2);
}

#[tokio::test]
async fn rolled_back_disk_branches_and_does_not_fork() {
    let (alice, bob) = two_friends().await;
    for text in ["saved", "lost one", "lost two"] {
        post(&alice, text).await;
    }
    sync(&alice, &bob).await;
    // The same node as it was after its first post: restored from an old backup.
    let restored = claimed_node(1).await;
    add_friend(&restored, &bob).await;
    post(&restored, "saved").await;
    let restored = restarted(&restored, 78);
    assert_eq!(person_id(&restored), person_id(&alice));
    post(&restored, "a new day").await;
    let received = sync(&restored, &bob).await;
    assert_eq!((received.accepted, received.known, received.forked.len()), (1, 1, 0));
    assert_eq!(shown_texts(&bob), ["a new day", "lost one", "lost two", "saved"]);
    assert!(forks(&bob, &person_id(&alice)).unwrap().is_empty());

    // The friend sends the lost entries back.
    assert_eq!(
        receive(&restored, person_id(&bob), all_entries(&bob, &person_id(&alice)))
            .await
            .unwrap()
            .accepted,
        2
    );
    post(&restored, "and on").await;
    assert_eq!(sync(&restored, &bob).await.accepted, 1);
}

#[tokio::test]
async fn only_own_entries_advance_the_hybrid_clock() {
    let (alice, bob) = two_friends().await;
    let hlc = |node: &Node, id: &EntryId| opened(node, id).unwrap().unwrap().0.hlc;
    let one = post(&alice, "one").await;
    let two = post(&alice, "two").await;
    assert!(hlc(&alice, &two) > hlc(&alice, &one));
    // Bob's clock is 50 seconds ahead: not so far that his post is held.
    bob.clock.advance(50_000);
    post(&bob, "from bob").await;
    sync(&bob, &alice).await;
    let three = post(&alice, "three").await;
    assert_eq!(hlc(&alice, &three).time(), alice.clock.now());
}

#[tokio::test]
async fn entry_from_the_future_waits_until_due() {
    let (alice, bob) = two_friends().await;
    alice.clock.advance(3_600_000);
    post(&alice, "from the future").await;
    let received = sync(&alice, &bob).await;
    assert_eq!((received.accepted, received.held), (1, 1));
    assert!(shown_texts(&bob).is_empty());
    assert_eq!(run_due(&bob).await.unwrap(), 0);
    assert_eq!(next_due(&bob).unwrap(), Some(alice.clock.now()));
    bob.clock.advance(3_600_001);
    assert_eq!(run_due(&bob).await.unwrap(), 1);
    assert_eq!(shown_texts(&bob), ["from the future"]);
    assert_eq!(next_due(&bob).unwrap(), None);
}

#[tokio::test]
async fn many_long_entries_are_taken_in_parts() {
    let (alice, bob) = two_friends().await;
    for number in 0..40u8 {
        post(&alice, &format!("{number:02} {}", "long ".repeat(11_000))).await;
    }
    let (log, mut from, mut parts) = (heads(&alice, &person_id(&alice)).unwrap()[0].log, 0, 0);
    loop {
        let part = read(&alice, &log, from, 64, 256 * 1024).unwrap();
        if part.is_empty() {
            break;
        }
        assert!(part.len() <= 5);
        from += part.len() as u64;
        parts += 1;
        receive(&bob, person_id(&alice), part).await.unwrap();
    }
    assert_eq!((from, parts), (40, 10));
    assert_eq!(all_entries(&alice, &person_id(&alice)), all_entries(&bob, &person_id(&alice)));
    // Then all of them at once.
    let carol = claimed_node(3).await;
    add_friend(&carol, &alice).await;
    assert_eq!(sync(&alice, &carol).await.accepted, 40);
}

#[tokio::test]
async fn homes_of_the_highest_version_count() {
    let (alice, bob) = two_friends().await;
    let web = |n: u8| vec![format!("https://{n}.alice.example")];
    assert_eq!(publish::homes(&alice, web(1), Vec::new(), Vec::new()).await.unwrap(), 1);
    assert_eq!(
        publish::homes(&alice, web(1), Vec::new(), Vec::new()).await.unwrap(),
        1,
        "unchanged homes keep their version"
    );
    assert_eq!(publish::homes(&alice, web(2), Vec::new(), Vec::new()).await.unwrap(), 2);
    sync(&alice, &bob).await;
    assert_eq!(feed::homes_of(&bob, &person_id(&alice)).unwrap().unwrap().web, web(2));
    assert_eq!(outbox::durable_head(&alice).unwrap(), 2);
}
