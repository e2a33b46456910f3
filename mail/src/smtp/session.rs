//! The SMTP conversation as a state machine without input or output.
//!
//! `step` is given the bytes read so far and says how many of them it used and what is to be done next; `answer` brings back what the
//! node decided. The connection loop around it does the reading, the writing and the asking, so a
//! whole conversation can be replayed from a text file, cut wherever one likes.

use std::collections::VecDeque;
use std::fmt;

use freehold_core::mailbox::queue;

use super::command::Command;
use super::envelope::{Envelope, Hello, Recipient, Sender};
use super::reply::Reply;
use super::text::{Newlines, Text};

mod auth;
mod content;
mod hello;
mod line;
mod transaction;

/// The most recipients of one message from another server; RFC 5321 4.5.3.1.8 asks for at least
/// 100.
const RECIPIENTS_MAX: usize = 1000;
/// How many commands may be wrong before the connection is closed.
const JUNK_MAX: u32 = 20;
/// How many recipients may be refused before the connection is taken for somebody guessing
/// addresses.
const REFUSED_MAX: u32 = 100;
/// How many logins may fail on one connection.
const LOGINS_FAILED_MAX: u32 = 3;

/// Whom the session serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Other servers, bringing mail for the owner.
    Receive,
    /// The owner's programs, sending mail (RFC 6409).
    Submit,
}

/// What the session is told when it begins.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name to greet with.
    pub hostname: String,
    /// Whom it serves.
    pub role: Role,
    /// Whether the connection is encrypted already.
    pub tls: bool,
    /// Whether a password may be said in the clear: only where nobody else can listen in.
    pub clear_login: bool,
    /// The largest message, in bytes.
    pub message_len_max: u64,
}

/// What is to be done next.
#[derive(Debug)]
pub enum Step {
    /// Everything that can be done is: send the replies and read more.
    More,
    /// Say this. Replies may be gathered until the next `More`, `StartTls` or `Close` (RFC 2920
    /// 3.2).
    Reply(Reply),
    /// Decide this and call `answer` before the next step.
    Ask(Question),
    /// A piece of the message.
    Content(Vec<u8>),
    /// The message that was begun will not be finished: forget it.
    Abandon,
    /// Send the replies, forget all input that was not used, shake hands, and call `encrypted`.
    StartTls,
    /// Send the replies and close.
    Close,
}

/// What only the node can decide. A positive reply is a yes.
#[derive(Debug)]
pub enum Question {
    /// Do this name and app password belong together?
    Login {
        /// The name.
        user: String,
        /// The password.
        password: Password,
    },
    /// May this sender send? With the name of the login, if there was one.
    Sender(Sender, Option<String>),
    /// Does this recipient live here (or, for the owner's programs, can it be reached)?
    Recipient(Recipient),
    /// Is there room for this message, which comes next? `Content` follows, then `Finish` or
    /// `Abandon`.
    Begin(Box<Envelope>),
    /// The message is whole: is it safe?
    Finish,
}

/// A password on its way to being checked; it is never shown, not even in a log of everything.
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// One conversation.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    client: Client,
    state: State,
    todo: VecDeque<Step>,
    junk: u32,
    refused: u32,
}

/// What is known of the client; forgotten when the connection is encrypted (RFC 3207 4.2).
#[derive(Debug, Default)]
struct Client {
    hello: Option<Hello>,
    login: Option<String>,
    logins_failed: u32,
}

/// Where the conversation is. What belongs to a moment exists only in it.
#[derive(Debug)]
enum State {
    /// Waiting for a command, with no message under way.
    Ready,
    /// Inside a line that is too long, this many bytes of it gone already; then back to where we
    /// were.
    Skipping(usize, Box<State>),
    /// Inside a login.
    Auth(auth::Exchange),
    /// The login is being checked.
    AskedLogin { user: String },
    /// The sender is being checked.
    AskedSender(Hello, Sender),
    /// A message has its sender, and perhaps recipients.
    Mail(Envelope),
    /// A recipient is being checked.
    AskedRecipient(Envelope, Recipient),
    /// DATA was said, and whether there is room is being looked at.
    AskedData(Text),
    /// The text comes.
    Data(Text),
    /// The first BDAT was said, and whether there is room is being looked at.
    AskedChunk(content::Chunk),
    /// A chunk comes.
    Chunk(content::Chunk),
    /// Between two chunks.
    Chunking(Text),
    /// A chunk that nobody wants goes by, this many bytes of it still; then this is said.
    Unwanted(u64, Reply),
    /// The message is whole and is being made safe.
    AskedFinish,
    /// The conversation is over.
    Closed,
}

impl Session {
    /// A conversation that begins with our greeting (RFC 5321 3.1).
    pub fn new(settings: Settings) -> Self {
        let greeting = Reply::new(220, "", format!("{} ESMTP Freehold", settings.hostname));
        Self {
            settings,
            client: Client::default(),
            state: State::Ready,
            todo: VecDeque::from([Step::Reply(greeting)]),
            junk: 0,
            refused: 0,
        }
    }

    /// Whether the client has logged in.
    pub fn is_logged_in(&self) -> bool {
        self.client.login.is_some()
    }

    /// Whether no message is under way, so that a stopping server may say goodbye.
    pub fn is_between_messages(&self) -> bool {
        matches!(
            self.state,
            State::Ready | State::Mail(_) | State::Auth(_) | State::Skipping(..) | State::Closed
        )
    }

    /// What comes next, given the input that was read and not yet used; also how much of it is used
    /// now.
    pub fn step(&mut self, input: &[u8]) -> (usize, Step) {
        if let Some(step) = self.todo.pop_front() {
            return (0, step);
        }
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            let taken = match self.state {
                State::Data(_) => self.data(rest),
                State::Chunk(_) => self.chunk(rest),
                State::Unwanted(..) => self.unwanted(rest),
                State::Skipping(..) => self.skip(rest),
                State::Ready | State::Mail(_) | State::Chunking(_) | State::Auth(_) => {
                    self.line(rest)
                }
                _ => 0,
            };
            used += taken;
            match self.todo.pop_front() {
                Some(step) => return (used, step),
                None if taken == 0 => return (used, Step::More),
                None => {}
            }
        }
    }

    /// Brings the answer to the question that `step` asked.
    pub fn answer(&mut self, reply: Reply) {
        match std::mem::replace(&mut self.state, State::Ready) {
            State::AskedLogin { user } => self.login_answered(user, reply),
            State::AskedSender(hello, sender) => self.sender_answered(hello, sender, reply),
            State::AskedRecipient(envelope, recipient) => {
                self.recipient_answered(envelope, recipient, reply)
            }
            State::AskedData(text) => self.data_answered(text, reply),
            State::AskedChunk(chunk) => self.chunk_answered(chunk, reply),
            State::AskedFinish => self.say(reply),
            // Nothing was asked: nothing changes.
            other => self.state = other,
        }
    }

    /// The handshake is done: what was said before it counts for nothing (RFC 3207 4.2).
    pub fn encrypted(&mut self) {
        self.settings.tls = true;
        self.client = Client::default();
        self.state = State::Ready;
    }

    fn say(&mut self, reply: Reply) {
        self.todo.push_back(Step::Reply(reply));
    }

    fn ask(&mut self, question: Question, state: State) {
        self.state = state;
        self.todo.push_back(Step::Ask(question));
    }

    fn close(&mut self, reply: Reply) {
        self.say(reply);
        self.todo.push_back(Step::Close);
        self.state = State::Closed;
    }

    /// Says what was wrong; a client that is wrong too often is shown the door.
    fn junk(&mut self, reply: Reply) {
        self.junk += 1;
        if self.junk > JUNK_MAX {
            self.abandon_chunks();
            return self.close(Reply::closing("4.7.0", "too many errors, goodbye"));
        }
        self.say(reply);
    }

    fn command(&mut self, command: Command, pipelined: bool) {
        // Between chunks only what ends or goes on with the message has a place (RFC 3030 2).
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
            return self.junk(Reply::out_of_order("a message is being sent in chunks"));
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
            Command::Noop => self.say(Reply::new(250, "2.0.0", "ok")),
            // RFC 5321 7.3: who lives here is not told.
            Command::Vrfy => self.say(Reply::new(252, "2.5.2", "send some mail and see")),
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
        self.say(Reply::new(250, "2.0.0", "forgotten"));
    }

    /// RFC 9422 4.3 announces it, RFC 5321 4.5.3.1.10 is how it is held.
    fn recipients_max(&self) -> usize {
        match self.settings.role {
            Role::Receive => RECIPIENTS_MAX,
            Role::Submit => queue::RECIPIENTS_MAX,
        }
    }

    fn newlines(&self) -> Newlines {
        match self.settings.role {
            Role::Receive => Newlines::Refuse,
            Role::Submit => Newlines::Mend,
        }
    }
}

#[cfg(test)]
mod tests;
