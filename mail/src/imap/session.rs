//! An IMAP session as a state machine without IO (RFC 3501 section 3).
//!
//! The connection hands in the bytes it read (`receive`), calls `step`, and sends the output
//! (`take_output`). A command that needs the mailbox or the logins becomes a [`Question`]; the
//! connection has the exchange answer it and hands the answer in. A long FETCH, SEARCH, SORT or
//! THREAD is answered in slices, so that a session holds little output at a time.

mod busy;
mod dispatch;
mod literal;
mod login;
mod question;

pub(crate) use question::{Answer, Question};

use freehold_core::mailbox::FolderId;

use self::busy::{Appending, Asked, Busy};
use super::command::{self, Tagged, capability, idle};
use super::completion::Completion;
use super::enabled::Enabled;
use super::framer::{Frame, Framer};
use super::link::{Link, Privacy};
use super::selected::Numbers;
use crate::sasl::ScramOffer;
use freehold_mime::imap::Printer;

/// BAD responses after which the connection is closed.
const BAD_COMMANDS_MAX: u32 = 50;
/// BAD responses before login after which the connection is closed: a client of another protocol,
/// such as HTTP, soon reaches the limit.
const BAD_COMMANDS_BEFORE_LOGIN_MAX: u32 = 5;

/// The text of the BYE after the session was ended.
pub(crate) const ENDED: &str = "this session was ended, or its app password is no longer valid";

/// The connection's next action.
#[derive(Debug)]
pub(crate) enum Step {
    /// Send the output if there is much of it, and call `step` again.
    More,
    /// Have this answered and call `answer`.
    Ask(Question),
    /// Send the output, then read.
    Read,
    /// Send the output, then do the TLS handshake and call `tls_started`.
    StartTls,
    /// Send the output; what follows is compressed.
    Compress,
    /// Send the output, then close.
    Close,
}

/// The changes that are reported as they happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    /// None.
    Nothing,
    /// Those of the selected folder, in IDLE.
    Folder(FolderId),
    /// Those of every folder and of the subscriptions (NOTIFY).
    Everything,
}

/// RFC 3501 section 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    NotAuthenticated,
    Authenticated,
    Selected(FolderId),
}

/// See the module's text.
pub(crate) struct Session {
    link: Link,
    framer: Framer,
    out: Printer,
    state: State,
    busy: Busy,
    /// A watched folder may have changed.
    is_stale: bool,
    /// The client has sent NOTIFY SET.
    notifies: bool,
    strikes: Strikes,
    /// The extensions that the client has enabled.
    enabled: Enabled,
}

/// Counts towards the closing of the connection.
#[derive(Debug, Default)]
struct Strikes {
    bad_commands: u32,
    failed_logins: u32,
}

impl Session {
    /// A session with its greeting ready to be sent (RFC 3501 7.1.1).
    pub(crate) fn new(link: Link) -> Self {
        let mut out = Printer::default();
        out.line(format!("* OK [CAPABILITY {}] Freehold", capability::list(&link, false)));
        Self {
            link,
            framer: Framer::new(),
            out,
            state: State::NotAuthenticated,
            busy: Busy::Nothing,
            is_stale: false,
            notifies: false,
            strikes: Strikes::default(),
            enabled: Enabled::default(),
        }
    }

    /// Hands in received bytes.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.framer.push(bytes);
    }

    /// Octets waiting to be sent.
    pub(crate) fn output_len(&self) -> usize {
        self.out.len()
    }

    /// Takes the output.
    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        self.out.take()
    }

    /// True if the client has logged in.
    pub(crate) fn is_logged_in(&self) -> bool {
        self.state != State::NotAuthenticated
    }

    /// True if the client is in IDLE (RFC 2177).
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.busy, Busy::Idle { .. })
    }

    /// True between two slices of a SEARCH, SORT or THREAD.
    pub(crate) fn is_searching(&self) -> bool {
        matches!(self.busy, Busy::Running { is_search: true, .. })
    }

    /// Octets received and not yet part of a command.
    pub(crate) fn input_len(&self) -> usize {
        self.framer.input_len()
    }

    /// The changes that are reported as they happen.
    pub(crate) fn watched(&self) -> Watched {
        match (&self.busy, self.state) {
            _ if self.notifies => Watched::Everything,
            (Busy::Idle { .. }, State::Selected(folder)) => Watched::Folder(folder),
            _ => Watched::Nothing,
        }
    }

    /// A watched folder may have changed: `step` requests a report in IDLE or, after NOTIFY SET,
    /// between two commands.
    pub(crate) fn folder_changed(&mut self) {
        self.is_stale = self.watched() != Watched::Nothing;
    }

    /// Sends a client that waits a line, so that neither side nor the network between takes the
    /// connection for dead.
    pub(crate) fn keep_alive(&mut self) {
        if self.is_idle() || self.is_searching() {
            self.out.line("* OK still here");
        }
    }

    /// The TLS handshake is complete; nothing received before it counts (RFC 3501 6.2.1).
    pub(crate) fn tls_started(&mut self) {
        self.framer.forget();
        self.link.privacy = Privacy::Tls;
        self.link.may_start_tls = false;
    }

    /// The SCRAM mechanisms that are offered from now on: TLS has a channel binding.
    pub(crate) fn set_scram(&mut self, offer: ScramOffer) {
        self.link.scram = offer;
    }

    /// Announces that the server closes the connection (RFC 3501 7.1.5).
    pub(crate) fn bye(&mut self, why: &str) {
        self.out.line(format!("* BYE {why}"));
    }

    /// Does the next piece of work.
    pub(crate) fn step(&mut self) -> Step {
        match std::mem::replace(&mut self.busy, Busy::Nothing) {
            Busy::Running { tag, .. } => {
                return self.ask(Question::Continue, Asked::Command { tag });
            }
            Busy::Idle { tag } if std::mem::take(&mut self.is_stale) => {
                let question = match self.notifies {
                    true => Question::Notify { is_idle: true },
                    false => Question::Report(Numbers::MayChange),
                };
                return self.ask(question, Asked::IdleReport { tag });
            }
            Busy::Nothing
                if self.notifies && self.is_stale && self.framer.is_between_commands() =>
            {
                self.is_stale = false;
                return self.ask(Question::Notify { is_idle: false }, Asked::Notify);
            }
            // The connection called `step` instead of `answer`: the answer is lost.
            Busy::Asked(_) => return Step::Close,
            other => self.busy = other,
        }
        match self.framer.next() {
            Frame::Incomplete => Step::Read,
            Frame::Literal(literal) => self.literal(literal),
            Frame::Piece(piece) => match std::mem::replace(&mut self.busy, Busy::Nothing) {
                Busy::Appending(appending) => {
                    self.ask(Question::AppendPiece(piece), Asked::Piece(appending))
                }
                other => {
                    self.busy = other;
                    Step::More
                }
            },
            Frame::PieceEnd => Step::More,
            Frame::TooLong => {
                self.bye("the line is too long");
                Step::Close
            }
            Frame::Command(bytes) => self.line(&bytes),
        }
    }

    fn ask(&mut self, question: Question, asked: Asked) -> Step {
        self.busy = Busy::Asked(asked);
        Step::Ask(question)
    }

    /// Takes the answer to the question that `step` returned, with the responses it printed.
    pub(crate) fn answer(&mut self, answer: Answer, output: Vec<u8>) -> Step {
        self.out.append(output);
        let Busy::Asked(asked) = std::mem::replace(&mut self.busy, Busy::Nothing) else {
            return Step::Close;
        };
        match (asked, answer) {
            (_, Answer::Broken) => return Step::Close,
            (_, Answer::Ended) => {
                self.bye(ENDED);
                return Step::Close;
            }
            (Asked::Login { tag }, Answer::LoggedIn) => return self.logged_in(&tag),
            (Asked::Login { tag }, Answer::Completed { completion, .. }) => {
                return self.login_failed(&tag, &completion);
            }
            (Asked::Login { tag }, Answer::Challenge(text)) => self.challenge(tag, &text),
            (Asked::Login { .. }, Answer::More | Answer::Searching) => return Step::Close,
            (Asked::Command { tag }, Answer::Completed { completion, selected }) => {
                self.state = selected.map_or(State::Authenticated, State::Selected);
                return self.respond(&tag, &completion);
            }
            (Asked::Command { tag }, answer) => {
                let is_search = matches!(answer, Answer::Searching);
                self.busy = Busy::Running { tag, is_search };
            }
            (Asked::Append { appending, literal }, Answer::Completed { completion, .. })
                if literal.waits =>
            {
                return self.refuse(appending.tag, literal, false, completion);
            }
            (Asked::Append { appending, literal }, _) => {
                self.framer.stream();
                if literal.waits {
                    self.out.line("+ ready for the literal");
                }
                self.busy = Busy::Appending(appending);
            }
            (Asked::Piece(appending), _) => self.busy = Busy::Appending(appending),
            (Asked::Compress { tag }, Answer::Completed { completion, .. }) => {
                return self.complete(tag, completion);
            }
            (Asked::Compress { tag }, _) => return self.compress(&tag),
            (Asked::Report { tag, completion }, _) => return self.respond(&tag, &completion),
            (Asked::IdleReport { tag }, _) => self.busy = Busy::Idle { tag },
            (Asked::Notify, _) => {}
        }
        Step::More
    }

    fn line(&mut self, bytes: &[u8]) -> Step {
        match std::mem::replace(&mut self.busy, Busy::Nothing) {
            Busy::Authenticating { tag, expected } => {
                let response = String::from_utf8_lossy(bytes).into_owned();
                self.authenticate(tag, expected, &response)
            }
            Busy::Idle { tag } => self.complete(tag, idle::finish(bytes)),
            Busy::Refusing { tag, completion } => self.refused(tag, completion),
            Busy::Appending(Appending { tag, parsed, is_open }) => {
                // Only the line's end may follow the last message.
                let end: &[u8] = if is_open { b")" } else { b"" };
                let keep = bytes.get(parsed..) == Some(end);
                self.ask(Question::AppendEnd { keep }, Asked::Command { tag })
            }
            _ => match command::parse(bytes, self.enabled) {
                Ok(Tagged { tag, command }) => self.command(tag, command),
                Err(malformed) => {
                    let tag = malformed.tag.unwrap_or_else(|| "*".to_owned());
                    self.respond(&tag, &malformed.completion)
                }
            },
        }
    }

    /// Ends a command that did not need the mailbox: changes are reported first (RFC 3501 5.2).
    fn complete(&mut self, tag: String, completion: Completion) -> Step {
        match self.state {
            State::Selected(_) => {
                let report = Question::Report(Numbers::MayChange);
                self.ask(report, Asked::Report { tag, completion })
            }
            State::NotAuthenticated | State::Authenticated => self.respond(&tag, &completion),
        }
    }

    /// Prints the tagged response.
    fn respond(&mut self, tag: &str, completion: &Completion) -> Step {
        self.out.line(completion.line(tag));
        if completion.is_bad() {
            self.strikes.bad_commands = self.strikes.bad_commands.saturating_add(1);
            let limit =
                if self.is_logged_in() { BAD_COMMANDS_MAX } else { BAD_COMMANDS_BEFORE_LOGIN_MAX };
            if self.strikes.bad_commands >= limit {
                self.bye("too many bad commands");
                return Step::Close;
            }
        }
        Step::More
    }
}
