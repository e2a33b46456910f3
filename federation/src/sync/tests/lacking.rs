//! Bodies that are missing, asked for on a stream.

use super::*;

#[test]
fn what_is_lacking_is_asked_for_once_and_question_by_question() {
    let ids = |seqs: std::ops::Range<u64>| seqs.map(|seq| EntryId::of(&entry(seq, 9).header)).collect::<Vec<_>>();
    let asked = |actions: &[Action]| match actions {
        [.., Action::Send(Sync::Lacking(asked))] => asked.iter().map(|id| EntryId(**id)).collect(),
        _ => Vec::new(),
    };
    let mut session = with_a_friend();
    assert_eq!(asked(&session.lacking(ids(0..5))), ids(0..3));
    assert!(session.lacking(ids(0..5)).is_empty(), "the first question has no answer yet");
    // What the friend has of it, however little, is an answer, and so is nothing.
    let stored = session.received(Sync::Entries(vec![entry(1, 9)]), NOW);
    assert!(matches!(stored[0], Action::Store(_)));
    assert_eq!(asked(&stored), ids(3..5));
    assert!(session.received(Sync::Entries(Vec::new()), NOW).is_empty());
    assert!(session.lacking(ids(0..5)).is_empty(), "nothing is asked for twice on one stream");
    ends_with(&session.received(Sync::Entries(Vec::new()), NOW), Reason::Invalid);
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
