use proptest::prelude::*;

use super::super::forest::tests::printed;
use super::*;

/// The threads of messages, each given as `own id|references|subject`; the n-th was sent at n. A
/// reference is a letter or a word, a subject that begins with `re ` is that of a reply.
fn threads(messages: &[&str]) -> String {
    let mut references = References::default();
    for (date, message) in messages.iter().enumerate() {
        let mut parts = message.split('|');
        let mut part = || parts.next().unwrap_or_default();
        let bracketed =
            |ids: &str| ids.split_whitespace().map(|id| format!("<{id}@x>")).collect::<String>();
        let (own, above, subject) = (bracketed(part()), bracketed(part()), part());
        add(&mut references, date, &own, &above, subject);
    }
    printed(&references.finish())
}

fn add(references: &mut References, date: usize, own: &str, above: &str, subject: &str) {
    let base = subject.trim_start_matches("re ");
    let hash = base.bytes().fold(0, |hash, byte| hash * 31 + u64::from(byte));
    let message = Threaded {
        number: u32::try_from(date).unwrap() + 1,
        date: i64::try_from(date).unwrap(),
        subject: hash,
        is_reply: base != subject,
    };
    let fields = Fields {
        message_id: Some(own.as_bytes()),
        references: Some(above.as_bytes()),
        ..Fields::default()
    };
    references.add(message, &fields);
}

#[test]
fn answers_are_below_their_last_reference() {
    assert_eq!(threads(&["a", "b|a", "c|a b", "d|a", "e"]), "(1 (2 3)(4))(5)");
    // The answer came first.
    assert_eq!(threads(&["b|a", "a"]), "(2 1)");
    assert_eq!(threads(&[]), "");
}

#[test]
fn missing_messages_are_left_out() {
    // One answer to a missing message begins a thread, several are a group.
    assert_eq!(threads(&["b|a"]), "(1)");
    assert_eq!(threads(&["b|a", "c|a"]), "((1)(2))");
    assert_eq!(threads(&["b|m n", "c|m o"]), "((1)(2))");
    // Between messages there are no groups.
    assert_eq!(threads(&["a", "c|a b", "d|a b"]), "(1 (2)(3))");
    assert_eq!(threads(&["x|m a b", "y|m a b", "z|m c"]), "((1)(2)(3))");
}

#[test]
fn own_references_win_over_those_of_others() {
    // The second message puts `a` below `m`; the third says that it has no parent.
    assert_eq!(threads(&["b|m a", "c|m", "a"]), "(2)(3 1)");
    // The last word counts only while nobody else gave a parent.
    assert_eq!(threads(&["a", "b", "c|b a"]), "(2 1 3)");
}

#[test]
fn loops_are_not_made() {
    assert_eq!(threads(&["a|a"]), "(1)");
    assert_eq!(threads(&["a|b", "b|a"]), "(2 1)");
    assert_eq!(threads(&["a|c", "b|a", "c|b"]), "(3 1 2)");
    assert_eq!(threads(&["x|a b a b"]), "(1)");
    assert_eq!(threads(&["x|a b c", "y|c b a", "a|x"]).matches('(').count(), 3);
}

#[test]
fn doubled_and_missing_message_ids_are_messages() {
    assert_eq!(threads(&["a", "a", "b|a"]), "(1 3)(2)");
    assert_eq!(threads(&["", "", "|a", "a"]), "(1)(2)(4 3)");
}

#[test]
fn threads_with_one_subject_are_joined() {
    // A reply goes below the message that is none, whichever was sent first.
    assert_eq!(threads(&["a||plan", "b||re plan"]), "(1 2)");
    assert_eq!(threads(&["b||re plan", "a||plan", "c||re plan"]), "(2 (1)(3))");
    // Two of a kind are a group; further ones join it.
    assert_eq!(threads(&["a||plan", "b||plan", "c||re plan"]), "((1)(2)(3))");
    assert_eq!(threads(&["a||re plan", "b||re plan"]), "((1)(2))");
    // Groups are joined, and a group is preferred.
    assert_eq!(threads(&["a||plan", "b|m|re plan", "c|m|x"]), "((1)(2)(3))");
    assert_eq!(threads(&["a|m|plan", "b|m|plan", "c|n|re plan", "d|n|re plan"]), "((1)(2)(3)(4))");
    // Empty subjects are not joined, nor are messages below others.
    assert_eq!(threads(&["a", "b", "c||re "]), "(1)(2)(3)");
    assert_eq!(threads(&["a||x", "b|a|plan", "c||re plan"]), "(1 2)(3)");
}

#[test]
fn threads_are_ordered_by_date() {
    let mut references = References::default();
    for (date, own, above) in
        [(9, "<a@x>", ""), (3, "<b@x>", "<a@x>"), (2, "<c@x>", "<a@x>"), (5, "<d@x>", "")]
    {
        add(&mut references, date, own, above, "");
    }
    assert_eq!(printed(&references.finish()), "(6)(10 (3)(4))");
}

#[test]
fn long_chain_of_references_is_linear() {
    for order in [0, 1, 2] {
        let mut references = References::default();
        let count = 100_000usize;
        for at in 0..count {
            let at = match order {
                0 => at,
                1 => count - 1 - at,
                _ => at * 7_919 % count,
            };
            let above = if at == 0 { String::new() } else { format!("<{}@x>", at - 1) };
            add(&mut references, at, &format!("<{at}@x>"), &above, "");
        }
        let text = printed(&references.finish());
        if order < 2 {
            assert!(text.starts_with("(1 2 3 ") && text.ends_with(" 100000)"), "{order}");
        }
        assert_eq!(text.split([' ', '(', ')']).filter(|word| !word.is_empty()).count(), count);
    }
    // One message with 100,000 references, and one with as many in the other order.
    let mut references = References::default();
    let up: Vec<String> = (0..100_000).map(|at| format!("<{at}@x>")).collect();
    add(&mut references, 0, "<a@x>", &up.concat(), "");
    let down: Vec<&str> = up.iter().rev().map(String::as_str).collect();
    add(&mut references, 1, "<b@x>", &down.concat(), "");
    assert_eq!(printed(&references.finish()), "((1)(2))");
}

#[test]
fn search_for_loops_is_bounded() {
    let mut references = References::default();
    let up: Vec<String> = (0..20_000).map(|at| format!("<{at}@x>")).collect();
    add(&mut references, 0, "<a@x>", &up.concat(), "");
    // Each of these has a child and goes below the long chain.
    for at in 1..20_000 {
        add(&mut references, at * 2, &format!("<c{at}@x>"), &format!("<p{at}@x>"), "");
        add(&mut references, at * 2 + 1, &format!("<p{at}@x>"), "<19999@x>", "");
    }
    assert!(references.steps <= STEPS_PER_MESSAGE * references.messages.len() as u64);
    references.finish();
}

proptest! {
    #[test]
    fn every_message_is_in_one_thread(
        messages in proptest::collection::vec((0..9u8, "[a-i ]{0,8}", 0..4u8, any::<bool>()), 0..40)
    ) {
        let lines: Vec<String> = messages
            .iter()
            .map(|(own, above, subject, is_reply)| {
                let own = char::from(b'a' + own);
                let above: Vec<String> = above.chars().map(String::from).collect();
                let subject = ["", "x", "y", "z"][usize::from(*subject)];
                let reply = if *is_reply { "re " } else { "" };
                format!("{own}|{}|{reply}{subject}", above.join(" "))
            })
            .collect();
        let text = threads(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        let mut numbers: Vec<usize> = text
            .split([' ', '(', ')'])
            .filter(|word| !word.is_empty())
            .map(|word| word.parse().unwrap())
            .collect();
        numbers.sort_unstable();
        prop_assert!(numbers.into_iter().eq(1..=messages.len()));
    }
}
