use freehold_core::testing::fuzz::fuzz;
use proptest::prelude::*;

use super::line::AUTH_LEN_MAX;
use super::*;

/// The result of a session.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    replies: String,
    content: Vec<u8>,
    closed: bool,
}

/// Plays `pieces`. The first `yes_count` questions are answered with yes, the others with no.
fn play<'a>(role: Role, pieces: impl Iterator<Item = &'a [u8]>, mut yes_count: usize) -> Outcome {
    let settings = Settings {
        hostname: "host.test".into(),
        role,
        tls: false,
        cleartext_login: true,
        scram: ScramOffer { is_advertised: true, binding: None },
        message_len_max: 300,
    };
    let mut session = Session::new(settings);
    let mut outcome = Outcome::default();
    let mut input = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        // Each step consumes input, replies, or is the last: no session needs more steps than this.
        let steps_max = input.len() * 2 + 100;
        let done = (0..steps_max).any(|_| {
            let (used, step) = session.step(&input);
            input.drain(..used);
            match step {
                Step::More => return true,
                Step::Reply(reply) => outcome.replies.push_str(&reply.to_string()),
                Step::Ask(question) => {
                    let code = match question {
                        Question::Begin(_) => 354,
                        Question::Scram(_) => 334,
                        _ => 250,
                    };
                    session.answer(Reply::new(
                        if yes_count > 0 { code } else { 450 },
                        "2.0.0",
                        "answered",
                    ));
                    yes_count = yes_count.saturating_sub(1);
                }
                Step::Content(text) => outcome.content.extend(text),
                Step::Abandon => outcome.content.extend(b"(abandoned)"),
                Step::StartTls => {
                    input.clear();
                    session.tls_started();
                    return true;
                }
                Step::Close => {
                    outcome.closed = true;
                    return true;
                }
            }
            false
        });
        assert!(done, "the session does not end");
        if outcome.closed {
            break;
        }
        assert!(input.len() <= AUTH_LEN_MAX, "too much input is held: {} bytes", input.len());
    }
    outcome
}

/// Whole commands, parts of them, texts and ends of texts, in any order.
fn mixed_input() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        8 => prop::sample::select(vec![
            "EHLO a.test\r\n", "HELO a.test\r\n", "MAIL FROM:<a@b.test>\r\n", "RCPT \
             TO:<c@host.test>\r\n", "DATA\r\n", "BDAT 5\r\n", "BDAT 9 LAST\r\n",
            "BDAT 0 LAST\r\n", "RSET\r\n", "NOOP\r\n", "AUTH PLAIN\r\n", "AUTH PLAIN \
             AGEAYg==\r\n", "AUTH LOGIN\r\n", "YQ==\r\n", "*\r\n", "QUIT\r\n",
            "AUTH SCRAM-SHA-256 biwsbj1hLHI9eA==\r\n", "AUTH SCRAM-SHA-256\r\n",
            "biwsbj1hLHI9eA==\r\n",
            "\r\n.\r\n", ".\r\n", "\r\n", "\n", "\r", ".", "text", "\n.\n", "RCPT TO:<", "MAIL \
             FROM:<> SIZE=1 BODY=8BITMIME\r\n", "VRFY a\r\n",
        ]).prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
        1 => (0usize..400).prop_map(|len| vec![b'x'; len]),
    ];
    prop::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn session_is_bounded_on_any_input(
        input in mixed_input(),
        size in 1usize..50,
        yes_count in 0usize..10,
    ) {
        for role in [Role::Receive, Role::Submit] {
            play(role, input.chunks(size), yes_count);
        }
    }

    /// Except for text sent before 354, which is detected by the cut of the input.
    #[test]
    fn session_result_is_independent_of_the_cut(
        input in mixed_input(),
        size in 1usize..50,
        yes_count in 0usize..10,
    ) {
        for role in [Role::Receive, Role::Submit] {
            let one = play(role, input.chunks(size), yes_count);
            let other = play(role, input.chunks(1), yes_count);
            if !one.replies.contains("554 5.5.0") {
                prop_assert_eq!(one, other);
            }
        }
    }
}

#[test]
fn endless_line_closes_the_session() {
    let flood = vec![b'x'; 100_000];
    let outcome = play(Role::Receive, flood.chunks(1000), 0);
    assert!(
        outcome.closed
            && outcome.replies.lines().last().is_some_and(|line| line.starts_with("421 4.7.0 ")),
        "{}",
        outcome.replies
    );
}

/// All client lines of the transcripts, damaged.
#[test]
fn damaged_smtp_session_never_panics() {
    let conversations = crate::conversations::client_lines("smtp");
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
        .flat_map(|lines| lines.split(|byte| *byte == b'\n').map(<[u8]>::to_vec))
        .collect();
    fuzz("smtp command", &lines, |input| {
        let _ = Command::parse(&String::from_utf8_lossy(input)).is_ok();
    });
}
