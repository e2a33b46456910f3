//! Limits on a hostile peer: rates, credit, invalid messages, strangers.

use super::*;
use crate::limits::{ENTRIES_LEN_MAX, PUSH_BURST, WANTED_MAX};

#[test]
fn flood_of_pushes_ends_the_stream() {
    let mut session = friend_session();
    for seq in 0..u64::from(PUSH_BURST) {
        assert!(matches!(
            session.on_message(Sync::Push(vec![entry(seq, 1)]), NOW)[..],
            [Action::Store(_)]
        ));
        session.on_stored(&[(log(9, 0), seq)]);
    }
    assert_ends(&session.on_message(Sync::Push(vec![entry(200, 1)]), NOW), Reason::Rate);
    assert!(
        session.on_message(Sync::Push(vec![entry(201, 1)]), NOW).is_empty(),
        "messages after Bye are ignored"
    );
}

/// The number of entries of this log, one per frame from `from` on, that are accepted before the
/// stream ends for their rate.
fn accepted_before_rate_limit(session: &mut SyncSession, log: Log, from: u64) -> u32 {
    for count in 0.. {
        let actions =
            session.on_message(Sync::Entries(vec![entry_of(log, from + u64::from(count), 1)]), NOW);
        if actions.contains(&Action::End(Reason::Rate)) || count > 2 * PUSH_BURST {
            return count;
        }
        session.on_stored(&[(log, from + u64::from(count))]);
    }
    unreachable!()
}

#[test]
fn unrequested_entries_count_as_pushes() {
    let endless = Head { hi: u64::MAX, ..head(log(9, 0), 0) };
    let mut session = friend_session();
    session.on_compared(vec![(endless, None)]);
    assert_eq!(
        accepted_before_rate_limit(&mut session, log(9, 1), 0),
        PUSH_BURST,
        "another log than was offered"
    );
    let mut session = friend_session();
    session.on_compared(vec![(endless, None), (head(log(9, 1), 1000), None)]);
    assert_eq!(
        accepted_before_rate_limit(&mut session, log(9, 1), 1001),
        PUSH_BURST,
        "beyond what was offered"
    );
    let mut session = friend_session();
    session.on_compared(vec![(head(log(9, 1), 1000), None)]);
    assert_eq!(
        accepted_before_rate_limit(&mut session, log(9, 1), 0),
        2 * PUSH_BURST + 1,
        "requested entries are not counted"
    );
}

#[test]
fn flood_of_offers_ends_the_stream() {
    let mut session = friend_session();
    let heads =
        |from: u64| (from..from + 512).map(|epoch| head(log(9, epoch), 3)).collect::<Vec<_>>();
    let frames = (0..1000).take_while(|_| {
        !session.on_message(Sync::Have(heads(0)), NOW).contains(&Action::End(Reason::Rate))
    });
    assert!(frames.count() < 40);
    let mut session = friend_session();
    let mut wanted = 0;
    while !session
        .on_compared(heads(wanted).into_iter().map(|head| (head, None)).collect())
        .contains(&Action::End(Reason::Rate))
    {
        wanted += 512;
    }
    assert_eq!(wanted, WANTED_MAX as u64);
}

#[test]
fn entries_beyond_the_credit_end_the_stream() {
    let mut session = friend_session();
    session.on_compared(vec![(head(log(9, 0), 1000), None)]);
    let mut ended = false;
    for seq in 0..64 {
        ended |= session
            .on_message(Sync::Entries(vec![entry(seq, 60_000)]), NOW)
            .contains(&Action::End(Reason::Rate));
    }
    assert!(ended);
}

#[test]
fn waiting_fork_proofs_count_against_the_credit() {
    let mut session = friend_session();
    let proof = Sync::Fork { one: entry(0, 60_000), other: entry(0, 60_001) };
    let accepted = (0..PUSH_BURST / 2)
        .take_while(|_| {
            matches!(session.on_message(proof.clone(), NOW)[..], [Action::StoreFork(_)])
        })
        .count();
    assert!(accepted * 120_000 <= CREDIT + ENTRIES_LEN_MAX && accepted > 3, "{accepted}");
    // The credit ends the stream, not the rate: as many short proofs are accepted.
    let mut session = friend_session();
    let short = Sync::Fork { one: entry(0, 10), other: entry(0, 11) };
    assert!(
        (0..PUSH_BURST / 2)
            .all(|_| matches!(session.on_message(short.clone(), NOW)[..], [Action::StoreFork(_)]))
    );
}

#[test]
fn frame_with_too_many_entries_ends_the_stream() {
    let many = (0..=ENTRIES_MAX as u64).map(|seq| entry(seq, 1)).collect();
    assert_ends(&friend_session().on_message(Sync::Push(many), NOW), Reason::Invalid);
    assert_ends(&friend_session().on_message(Sync::Push(Vec::new()), NOW), Reason::Invalid);
}

#[test]
fn want_beyond_the_log_ends_the_stream() {
    assert_ends(
        &friend_session().on_message(Sync::Want { log: log(1, 0), from: 5 }, NOW),
        Reason::Invalid,
    );
}

#[test]
fn want_of_an_unoffered_log_is_ignored() {
    assert!(friend_session().on_message(Sync::Want { log: log(1, 99), from: 0 }, NOW).is_empty());
}

#[test]
fn offer_of_a_third_persons_log_is_ignored() {
    assert!(friend_session().on_message(Sync::Have(vec![head(log(5, 0), 3)]), NOW).is_empty());
}

#[test]
fn stranger_sends_no_entries_and_reads_slowly() {
    let stranger = || SyncSession::start(SyncPeer::Stranger, vec![head(log(1, 0), 3)], NOW).0;
    assert_ends(&stranger().on_message(Sync::Push(vec![entry(0, 1)]), NOW), Reason::NotFriends);
    assert!(stranger().on_message(Sync::Have(vec![head(log(9, 0), 3)]), NOW).is_empty());
    assert!(stranger().on_new_entry(&new_entry(log(1, 0), 4), NOW).is_empty());
    let mut session = stranger();
    assert!(matches!(
        session.on_message(Sync::Want { log: log(1, 0), from: 0 }, NOW)[..],
        [Action::Read { .. }]
    ));
    let ended = (0..20).any(|_| {
        session.on_message(Sync::Have(Vec::new()), NOW).contains(&Action::End(Reason::Rate))
    });
    assert!(ended);
}
