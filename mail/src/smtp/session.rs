//! An SMTP session as a state machine without IO.
//!
//! `step` is given the bytes read so far; it returns how many of them it consumed and the next
//! step. `answer` hands in the node's answer to a question. The connection around it reads, writes
//! and asks, so that tests can replay a session from a transcript with the input cut at any byte.

use std::collections::VecDeque;
use std::fmt;

use freehold_core::mailbox::queue;

use super::command::Command;
use super::envelope::{Envelope, Hello, Recipient, Sender};
use super::reply::Reply;
use super::text::{Newlines, Text};
use crate::sasl::{ScramOffer, ScramResponse, ScramStart};

mod auth;
mod content;
mod hello;
mod line;
mod transaction;

/// The most recipients of one message from another server; RFC 5321 4.5.3.1.8 asks for at least
/// 100.
const RECIPIENTS_MAX: usize = 1000;
/// Bad commands after which the connection is closed.
const BAD_COMMANDS_MAX: u32 = 20;
/// Refused recipients after which the connection is closed: the client is guessing addresses.
const REFUSED_RECIPIENTS_MAX: u32 = 100;
/// Failed logins after which the connection is closed.
const FAILED_LOGINS_MAX: u32 = 3;

/// The kind of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Other servers, with mail for the owner.
    Receive,
    /// The owner's programs, sending mail (RFC 6409).
    Submit,
}

/// The parameters of a session.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server name of the greeting.
    pub hostname: String,
    /// The kind of client.
    pub role: Role,
    /// The connection has TLS.
    pub tls: bool,
    /// Passwords are accepted without TLS: only on loopback, where nobody can eavesdrop.
    pub cleartext_login: bool,
    /// The SCRAM mechanisms that are offered.
    pub scram: ScramOffer,
    /// The largest message, in bytes.
    pub message_len_max: u64,
}

/// The connection's next action.
#[derive(Debug)]
pub enum Step {
    /// The input is consumed: send the replies and read more.
    More,
    /// Send this reply. Replies may be gathered until the next `More`, `StartTls` or `Close` (RFC
    /// 2920 3.2).
    Reply(Reply),
    /// Have this answered and call `answer` before the next `step`.
    Ask(Question),
    /// A piece of the message in progress.
    Content(Vec<u8>),
    /// Drop the message in progress.
    Abandon,
    /// Send the replies, drop all unconsumed input, do the TLS handshake, and call `tls_started`.
    StartTls,
    /// Send the replies and close.
    Close,
}

/// A question that only the node can answer. A positive reply means yes.
#[derive(Debug)]
pub enum Question {
    /// Is this the app password of this user?
    Login {
        /// The user name.
        user: String,
        /// The password.
        password: Password,
    },
    /// The first message of a SCRAM login. The reply is a 334 with the challenge, or a refusal.
    Scram(Box<ScramStart>),
    /// A later message of a SCRAM login. A 334 goes on, a 235 is a yes.
    ScramResponse(ScramResponse),
    /// Is this sender accepted? With the login name, if the client logged in.
    Sender(Sender, Option<String>),
    /// Is this recipient the owner (or, for the owner's programs, is there a route)?
    Recipient(Recipient),
    /// Can a message be stored? `Content` follows, then `Finish` or `Abandon`.
    Begin(Box<Envelope>),
    /// The message is complete: is it durable?
    Finish,
}

/// A password to be checked. Its `Debug` is empty, so that it is in no log.
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// One session.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    client: Client,
    state: State,
    steps: VecDeque<Step>,
    bad_commands: u32,
    refused_recipients: u32,
}

/// The client's HELO name and login; dropped at the TLS handshake (RFC 3207 4.2).
#[derive(Debug, Default)]
struct Client {
    hello: Option<Hello>,
    login: Option<String>,
    failed_logins: u32,
}

/// The state of the session, with the data that exists only in that state.
#[derive(Debug)]
enum State {
    /// No message is in progress.
    Ready,
    /// Inside a line that is too long, after so many bytes of it; then back to the other state.
    Skipping(usize, Box<State>),
    /// Inside a login.
    Auth(auth::SaslState),
    /// The login is being checked.
    AwaitingLogin { user: String },
    /// A message of a SCRAM login is being checked.
    AwaitingScram { user: String },
    /// The sender is being checked.
    AwaitingSender(Hello, Sender),
    /// A message has its sender, and perhaps recipients.
    Mail(Envelope),
    /// A recipient is being checked.
    AwaitingRecipient(Envelope, Recipient),
    /// DATA was received, and the spool is being opened.
    AwaitingData(Text),
    /// The text is being received.
    Data(Text),
    /// The first BDAT was received, and the spool is being opened.
    AwaitingChunk(content::Chunk),
    /// A chunk is being received.
    Chunk(content::Chunk),
    /// Between two chunks.
    Chunking(Text),
    /// A refused chunk is being skipped, so many bytes of it are left; then comes the reply.
    Refused(u64, Reply),
    /// The message is complete and is being made durable.
    AwaitingFinish,
    /// The session ended.
    Closed,
}

impl Session {
    /// A session that begins with the greeting (RFC 5321 3.1).
    pub fn new(settings: Settings) -> Self {
        let greeting = Reply::new(220, "", format!("{} ESMTP Freehold", settings.hostname));
        Self {
            settings,
            client: Client::default(),
            state: State::Ready,
            steps: VecDeque::from([Step::Reply(greeting)]),
            bad_commands: 0,
            refused_recipients: 0,
        }
    }

    /// True if the client has logged in.
    pub fn is_logged_in(&self) -> bool {
        self.client.login.is_some()
    }

    /// True if no message is being received, so that a server that shuts down may close the
    /// connection.
    pub fn is_between_messages(&self) -> bool {
        matches!(
            self.state,
            State::Ready | State::Mail(_) | State::Auth(_) | State::Skipping(..) | State::Closed
        )
    }

    /// The next step, given the input that is not yet consumed, and how many bytes are consumed by
    /// it.
    pub fn step(&mut self, input: &[u8]) -> (usize, Step) {
        if let Some(step) = self.steps.pop_front() {
            return (0, step);
        }
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            let taken = match self.state {
                State::Data(_) => self.data(rest),
                State::Chunk(_) => self.chunk(rest),
                State::Refused(..) => self.skip_chunk(rest),
                State::Skipping(..) => self.skip_line(rest),
                State::Ready | State::Mail(_) | State::Chunking(_) | State::Auth(_) => {
                    self.line(rest)
                }
                _ => 0,
            };
            used += taken;
            match self.steps.pop_front() {
                Some(step) => return (used, step),
                None if taken == 0 => return (used, Step::More),
                None => {}
            }
        }
    }

    /// Takes the answer to the question that `step` returned. A 421 ends the session (RFC 5321
    /// 3.8).
    pub fn answer(&mut self, reply: Reply) {
        if reply.code == 421 {
            return self.close(reply);
        }
        match std::mem::replace(&mut self.state, State::Ready) {
            State::AwaitingLogin { user } => self.login_answered(user, reply),
            State::AwaitingScram { user } => self.scram_answered(user, reply),
            State::AwaitingSender(hello, sender) => self.sender_answered(hello, sender, reply),
            State::AwaitingRecipient(envelope, recipient) => {
                self.recipient_answered(envelope, recipient, reply)
            }
            State::AwaitingData(text) => self.data_answered(text, reply),
            State::AwaitingChunk(chunk) => self.chunk_answered(chunk, reply),
            State::AwaitingFinish => self.reply(reply),
            // No question is open.
            other => self.state = other,
        }
    }

    /// The TLS handshake is complete: nothing received before it counts (RFC 3207 4.2).
    pub fn tls_started(&mut self) {
        self.settings.tls = true;
        self.client = Client::default();
        self.state = State::Ready;
    }

    /// The SCRAM mechanisms that are offered from now on: TLS has a channel binding.
    pub fn set_scram(&mut self, offer: ScramOffer) {
        self.settings.scram = offer;
    }

    fn reply(&mut self, reply: Reply) {
        self.steps.push_back(Step::Reply(reply));
    }

    fn ask(&mut self, question: Question, state: State) {
        self.state = state;
        self.steps.push_back(Step::Ask(question));
    }

    fn close(&mut self, reply: Reply) {
        self.reply(reply);
        self.steps.push_back(Step::Close);
        self.state = State::Closed;
    }

    /// Refuses a bad command; after too many the connection is closed.
    fn bad_command(&mut self, reply: Reply) {
        self.bad_commands += 1;
        if self.bad_commands > BAD_COMMANDS_MAX {
            self.abandon_chunks();
            return self.close(Reply::closing("4.7.0", "too many errors"));
        }
        self.reply(reply);
    }

    fn command(&mut self, command: Command, pipelined: bool) {
        // Between chunks only these commands are allowed (RFC 3030 2).
        if matches!(self.state, State::Chunking(_))
            && !matches!(
                command,
                Command::Bdat { .. }
                    | Command::Rset
                    | Command::Quit
                    | Command::Noop
                    | Command::Ehlo(_)
                    | Command::Helo(_)
            )
        {
            return self.bad_command(Reply::out_of_order("a message is being sent in chunks"));
        }
        match command {
            Command::Ehlo(name) => self.hello(Hello { name, extended: true }),
            Command::Helo(name) => self.hello(Hello { name, extended: false }),
            Command::StartTls => self.start_tls(),
            Command::Auth { mechanism, initial } => self.auth(&mechanism, initial.as_deref()),
            Command::Mail(sender) => self.mail(sender),
            Command::Rcpt(recipient) => self.rcpt(recipient),
            Command::Data => self.begin_data(pipelined),
            Command::Bdat { len, last } => self.bdat(len, last),
            Command::Rset => self.rset(),
            Command::Noop => self.reply(Reply::new(250, "2.0.0", "ok")),
            // RFC 5321 7.3: VRFY must not tell which addresses exist.
            Command::Vrfy => self.reply(Reply::new(252, "2.5.2", "cannot verify, send a message")),
            Command::Help => self.help(),
            Command::Quit => {
                self.abandon_chunks();
                self.close(Reply::new(221, "2.0.0", "goodbye"));
            }
        }
    }

    /// RFC 5321 4.1.1.5.
    fn rset(&mut self) {
        self.abandon_chunks();
        self.state = State::Ready;
        self.reply(Reply::new(250, "2.0.0", "reset"));
    }

    /// Announced by RFC 9422 4.3, enforced by RFC 5321 4.5.3.1.10.
    fn recipients_max(&self) -> usize {
        match self.settings.role {
            Role::Receive => RECIPIENTS_MAX,
            Role::Submit => queue::RECIPIENTS_MAX,
        }
    }

    fn newlines(&self) -> Newlines {
        match self.settings.role {
            Role::Receive => Newlines::Refuse,
            Role::Submit => Newlines::Normalize,
        }
    }
}

#[cfg(test)]
mod tests;
