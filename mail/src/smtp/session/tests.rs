use freehold_core::testing::fuzz::fuzz;
use proptest::prelude::*;

use super::line::AUTH_LEN_MAX;
use super::*;

/// What a conversation came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    said: String,
    content: Vec<u8>,
    closed: bool,
}

/// Plays `pieces`, answering every question with a yes as long as `patience` lasts and with a no
/// after it.
fn play<'a>(role: Role, pieces: impl Iterator<Item = &'a [u8]>, mut patience: usize) -> Outcome {
    let settings = Settings {
        hostname: "host.test".into(),
        role,
        tls: false,
        clear_login: true,
        message_len_max: 300,
    };
    let mut session = Session::new(settings);
    let mut outcome = Outcome::default();
    let mut input = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        // Each step uses input, says something or is the last; twice the bytes and some is more
        // than any conversation needs.
        let steps_max = input.len() * 2 + 100;
        let done = (0..steps_max).any(|_| {
            let (used, step) = session.step(&input);
            input.drain(..used);
            match step {
                Step::More => return true,
                Step::Reply(reply) => outcome.said.push_str(&reply.to_string()),
                Step::Ask(question) => {
                    let code = if matches!(question, Question::Begin(_)) { 354 } else { 250 };
                    session.answer(Reply::new(
                        if patience > 0 { code } else { 450 },
                        "2.0.0",
                        "answered",
                    ));
                    patience = patience.saturating_sub(1);
                }
                Step::Content(text) => outcome.content.extend(text),
                Step::Abandon => outcome.content.extend(b"(abandoned)"),
                Step::StartTls => {
                    input.clear();
                    session.encrypted();
                    return true;
                }
                Step::Close => {
                    outcome.closed = true;
                    return true;
                }
            }
            false
        });
        assert!(done, "the session goes on without end");
        if outcome.closed {
            break;
        }
        assert!(input.len() <= AUTH_LEN_MAX, "input is hoarded: {} bytes", input.len());
    }
    outcome
}

/// Whole commands, parts of them, texts and ends of texts, in any order.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        8 => prop::sample::select(vec![
            "EHLO a.test\r\n", "HELO a.test\r\n", "MAIL FROM:<a@b.test>\r\n", "RCPT TO:<c@host.test>\r\n", "DATA\r\n", "BDAT 5\r\n", "BDAT 9 LAST\r\n",
            "BDAT 0 LAST\r\n", "RSET\r\n", "NOOP\r\n", "AUTH PLAIN\r\n", "AUTH PLAIN AGEAYg==\r\n", "AUTH LOGIN\r\n", "YQ==\r\n", "*\r\n", "QUIT\r\n",
            "\r\n.\r\n", ".\r\n", "\r\n", "\n", "\r", ".", "text", "\n.\n", "RCPT TO:<", "MAIL FROM:<> SIZE=1 BODY=8BITMIME\r\n", "VRFY a\r\n",
        ]).prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
        1 => (0usize..400).prop_map(|len| vec![b'x'; len]),
    ];
    prop::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn no_input_makes_a_session_panic_hoard_or_go_on_without_end(input in soup(), size in 1usize..50, patience in 0usize..10) {
        for role in [Role::Receive, Role::Submit] {
            play(role, input.chunks(size), patience);
        }
    }

    /// But for text that comes before it was asked for, which only shows in how the input is cut.
    #[test]
    fn how_the_input_is_cut_changes_nothing(input in soup(), size in 1usize..50, patience in 0usize..10) {
        for role in [Role::Receive, Role::Submit] {
            let one = play(role, input.chunks(size), patience);
            let other = play(role, input.chunks(1), patience);
            if !one.said.contains("554 5.5.0") {
                prop_assert_eq!(one, other);
            }
        }
    }
}

#[test]
fn a_line_without_end_is_not_waited_for() {
    let flood = vec![b'x'; 100_000];
    let outcome = play(Role::Receive, flood.chunks(1000), 0);
    assert!(
        outcome.closed && outcome.said.ends_with("421 4.7.0 the line has no end, goodbye\r\n"),
        "{}",
        outcome.said
    );
}

/// Everything a client says in the transcripts, damaged.
#[test]
fn a_damaged_conversation_ends_or_goes_on() {
    let conversations = crate::conversations::said("smtp");
    fuzz("smtp session", &conversations, |input| {
        for role in [Role::Receive, Role::Submit] {
            play(
                role,
                input.chunks(61),
                usize::from(input.first().copied().unwrap_or_default()) % 8,
            );
        }
    });
    let lines: Vec<Vec<u8>> = conversations
        .iter()
        .flat_map(|said| said.split(|byte| *byte == b'\n').map(<[u8]>::to_vec))
        .collect();
    fuzz("smtp command", &lines, |input| {
        let _ = Command::parse(&String::from_utf8_lossy(input)).is_ok();
    });
}
