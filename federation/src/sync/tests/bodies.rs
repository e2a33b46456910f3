//! Requests for missing bodies.

use super::*;

#[test]
fn missing_bodies_are_requested_once_and_in_sequence() {
    let ids = |seqs: std::ops::Range<u64>| {
        seqs.map(|seq| EntryId::of(&entry(seq, 9).header)).collect::<Vec<_>>()
    };
    let requested = |actions: &[Action]| match actions {
        [.., Action::Send(Sync::Lacking(ids))] => ids.iter().map(|id| EntryId(**id)).collect(),
        _ => Vec::new(),
    };
    let mut session = friend_session();
    assert_eq!(requested(&session.request_bodies(ids(0..5))), ids(0..3));
    assert!(session.request_bodies(ids(0..5)).is_empty(), "the first request has no answer yet");
    // Entries with any of the bodies are an answer, and so are Entries with none.
    let stored = session.on_message(Sync::Entries(vec![entry(1, 9)]), NOW);
    assert!(
        matches!(stored[..], [Action::Store(_)]),
        "the next request waits until the answer is durable"
    );
    assert_eq!(requested(&session.on_stored(&[])), ids(3..5));
    assert!(session.on_message(Sync::Entries(Vec::new()), NOW).is_empty());
    assert!(session.request_bodies(ids(0..5)).is_empty(), "a body is requested once per stream");
    assert!(
        session.on_message(Sync::Entries(Vec::new()), NOW).is_empty(),
        "a late answer is ignored"
    );
}

#[test]
fn body_answer_fits_beside_a_used_up_credit() {
    let big = |seq: u64| entry(seq, 60_000);
    let mut session = friend_session();
    session.on_compared(vec![(head(log(9, 0), 1000), None)]);
    let frames = CREDIT / big(0).len();
    for seq in 0..frames as u64 {
        assert!(matches!(
            session.on_message(Sync::Entries(vec![big(seq)]), NOW)[..],
            [Action::Store(_)]
        ));
    }
    let missing: Vec<Entry> = (500..506).map(big).collect();
    assert_eq!(
        session
            .request_bodies(missing.iter().map(|entry| EntryId::of(&entry.header)).collect())
            .len(),
        1
    );
    let answer = |part: &[Entry]| Sync::Entries(part.to_vec());
    assert!(
        matches!(session.on_message(answer(&missing[..3]), NOW)[..], [Action::Store(_)]),
        "the next request waits"
    );
    for _ in 0..frames {
        assert!(session.on_stored(&[]).is_empty());
    }
    assert!(matches!(session.on_stored(&[])[..], [Action::Send(Sync::Lacking(_))]));
    assert!(matches!(session.on_message(answer(&missing[3..]), NOW)[..], [Action::Store(_)]));
}

#[test]
fn want_answer_with_missing_bodies_ends_no_request() {
    let mut session = friend_session();
    session.on_compared(vec![(head(log(9, 0), 1000), None)]);
    assert_eq!(
        session
            .request_bodies((0..6).map(|seq| EntryId::of(&entry(seq, 9).header)).collect())
            .len(),
        1
    );
    session.on_message(Sync::Entries(vec![entry(2, 9), entry(3, 9)]), NOW);
    assert!(session.on_stored(&[]).is_empty(), "the request has no answer yet");
    let next = session.on_message(Sync::Entries(Vec::new()), NOW);
    assert!(matches!(next[..], [Action::Send(Sync::Lacking(_))]), "{next:?}");
}

#[test]
fn oversized_lacking_and_strangers_lacking_are_refused() {
    let lacking = |count: usize| Sync::Lacking(vec![[1; 32].into(); count]);
    assert_ends(&friend_session().on_message(lacking(ENTRIES_MAX + 1), NOW), Reason::Invalid);
    assert!(matches!(friend_session().on_message(lacking(2), NOW)[..], [Action::FindBodies(_)]));
    let mut stranger = SyncSession::start(SyncPeer::Stranger, vec![head(log(1, 0), 3)], NOW).0;
    assert!(stranger.on_message(lacking(2), NOW).is_empty());
    assert!(stranger.request_bodies(vec![EntryId([1; 32])]).is_empty());
}
