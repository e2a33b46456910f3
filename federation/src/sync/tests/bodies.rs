//! Bodies that are missing, asked for on a stream.

use super::*;

#[test]
fn what_is_lacking_is_asked_for_once_and_question_by_question() {
    let ids = |seqs: std::ops::Range<u64>| {
        seqs.map(|seq| EntryId::of(&entry(seq, 9).header)).collect::<Vec<_>>()
    };
    let asked = |actions: &[Action]| match actions {
        [.., Action::Send(Sync::Lacking(asked))] => asked.iter().map(|id| EntryId(**id)).collect(),
        _ => Vec::new(),
    };
    let mut session = with_a_friend();
    assert_eq!(asked(&session.lacking(ids(0..5))), ids(0..3));
    assert!(session.lacking(ids(0..5)).is_empty(), "the first question has no answer yet");
    // What the friend has of it, however little, is an answer, and so is nothing.
    let stored = session.received(Sync::Entries(vec![entry(1, 9)]), NOW);
    assert!(
        matches!(stored[..], [Action::Store(_)]),
        "the next question waits until the answer is durable"
    );
    assert_eq!(asked(&session.stored(&[])), ids(3..5));
    assert!(session.received(Sync::Entries(Vec::new()), NOW).is_empty());
    assert!(session.lacking(ids(0..5)).is_empty(), "nothing is asked for twice on one stream");
    assert!(session.received(Sync::Entries(Vec::new()), NOW).is_empty(), "a late answer is none");
}

#[test]
fn answers_fit_beside_a_credit_that_is_used_up() {
    let big = |seq: u64| entry(seq, 60_000);
    let mut session = with_a_friend();
    session.compared(vec![(head(log(9, 0), 1000), None)]);
    let loads = CREDIT / big(0).len();
    for seq in 0..loads as u64 {
        assert!(matches!(
            session.received(Sync::Entries(vec![big(seq)]), NOW)[..],
            [Action::Store(_)]
        ));
    }
    let lacking: Vec<Entry> = (500..506).map(big).collect();
    assert_eq!(
        session.lacking(lacking.iter().map(|entry| EntryId::of(&entry.header)).collect()).len(),
        1
    );
    let answer = |part: &[Entry]| Sync::Entries(part.to_vec());
    assert!(
        matches!(session.received(answer(&lacking[..3]), NOW)[..], [Action::Store(_)]),
        "nothing more is asked for yet"
    );
    for _ in 0..loads {
        assert!(session.stored(&[]).is_empty());
    }
    assert!(matches!(session.stored(&[])[..], [Action::Send(Sync::Lacking(_))]));
    assert!(matches!(session.received(answer(&lacking[3..]), NOW)[..], [Action::Store(_)]));
}

#[test]
fn what_is_lacking_in_a_load_of_its_log_ends_no_question() {
    let mut session = with_a_friend();
    session.compared(vec![(head(log(9, 0), 1000), None)]);
    assert_eq!(
        session.lacking((0..6).map(|seq| EntryId::of(&entry(seq, 9).header)).collect()).len(),
        1
    );
    session.received(Sync::Entries(vec![entry(2, 9), entry(3, 9)]), NOW);
    assert!(session.stored(&[]).is_empty(), "the answer is on its way");
    let next = session.received(Sync::Entries(Vec::new()), NOW);
    assert!(matches!(next[..], [Action::Send(Sync::Lacking(_))]), "{next:?}");
}

#[test]
fn who_lacks_too_much_at_once_is_not_heard_and_a_stranger_never() {
    let lacking = |count: usize| Sync::Lacking(vec![[1; 32].into(); count]);
    ends_with(&with_a_friend().received(lacking(ENTRIES_MAX + 1), NOW), Reason::Invalid);
    assert!(matches!(with_a_friend().received(lacking(2), NOW)[..], [Action::Find(_)]));
    let mut stranger = Session::start(Trust::Stranger, vec![head(log(1, 0), 3)], NOW).0;
    assert!(stranger.received(lacking(2), NOW).is_empty());
    assert!(stranger.lacking(vec![EntryId([1; 32])]).is_empty());
}
