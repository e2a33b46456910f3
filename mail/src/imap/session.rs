//! An IMAP session without IO: bytes go in (`receive`), what is to be sent comes out
//! (`take_output`), and `step` says what the connection does next (RFC 3501 section 3).
//!
//! Data exists only in the state that has it; a command that takes long is done in slices, so that
//! no session holds more than a little output and none keeps another waiting.

mod entrance;

use freehold_core::mailbox::FolderId;

use super::answer::Done;
use super::command::append::{Append, Head};
use super::command::fetch::{Fetching, Slice};
use super::command::search::Searching;
use super::command::{
    self, By, Command, Tagged, capability, close, copy, create, delete, enable, expunge, id, idle,
    list, lsub, namespace, rename, select, status, store, subscribe,
};
use super::context::Context;
use super::framer::{Announced, Frame, Framer};
use super::selected::{Numbers, Selected};

/// Commands that make no sense, after which the connection is closed.
const BAD_COMMANDS_MAX: u32 = 50;
/// The same before login: whoever speaks something else (HTTP, say) is gone soon.
const BAD_COMMANDS_BEFORE_LOGIN_MAX: u32 = 5;

/// What the connection does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send what is waiting if it is much, and call `step` again.
    More,
    /// Send what is waiting, then read.
    Read,
    /// Send what is waiting, then do the TLS handshake and call `tls_started`.
    StartTls,
    /// Send what is waiting, then close.
    Close,
}

/// RFC 3501 section 3.
#[derive(Debug)]
enum State {
    NotAuthenticated,
    Authenticated,
    Selected(Box<Selected>),
}

/// What is under way between two lines of the client, or takes more than one step.
#[derive(Debug)]
enum Busy {
    Nothing,
    /// AUTHENTICATE waits for the response.
    Authenticating {
        tag: String,
    },
    Appending(Box<Append>),
    Fetching(Box<Fetching>),
    Idle {
        tag: String,
    },
    Searching(Box<Searching>),
}

/// See the module's text.
pub(crate) struct Session {
    cx: Context,
    framer: Framer,
    state: State,
    busy: Busy,
    bad_commands: u32,
    failed_logins: u32,
}

impl Session {
    /// A session that has its greeting ready (RFC 3501 7.1.1).
    pub(crate) fn new(mut cx: Context) -> Self {
        let capabilities = capability::list(&cx, false);
        cx.out.line(format!("* OK [CAPABILITY {capabilities}] Freehold"));
        Self {
            cx,
            framer: Framer::new(),
            state: State::NotAuthenticated,
            busy: Busy::Nothing,
            bad_commands: 0,
            failed_logins: 0,
        }
    }

    /// Hands in what was read.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.framer.push(bytes);
    }

    /// Octets waiting to be sent.
    pub(crate) fn output_len(&self) -> usize {
        self.cx.out.len()
    }

    /// Takes what is to be sent.
    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        self.cx.out.take()
    }

    /// Whether the client has logged in.
    pub(crate) fn is_logged_in(&self) -> bool {
        !matches!(self.state, State::NotAuthenticated)
    }

    /// Whether the client is idle (RFC 2177).
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.busy, Busy::Idle { .. })
    }

    /// The folder whose changes the client wants to hear of as they happen.
    pub(crate) fn watches(&self) -> Option<FolderId> {
        match (&self.busy, &self.state) {
            (Busy::Idle { .. }, State::Selected(selected)) => Some(selected.folder),
            _ => None,
        }
    }

    /// Tells an idle client what changed.
    pub(crate) fn wake(&mut self) {
        if self.is_idle() {
            self.tell(Numbers::MayChange);
        }
    }

    /// Shows an idle client, and whatever stands between, that the connection lives.
    pub(crate) fn still_here(&mut self) {
        if self.is_idle() {
            self.cx.out.line("* OK still here");
        }
    }

    /// The connection is encrypted from here on; nothing that came before counts (RFC 3501 6.2.1).
    pub(crate) fn tls_started(&mut self) {
        self.framer.forget();
        self.cx.link.privacy = super::context::Privacy::Tls;
        self.cx.link.may_start_tls = false;
    }

    /// Says goodbye on the server's own account (RFC 3501 7.1.5).
    pub(crate) fn bye(&mut self, why: &str) {
        self.cx.out.line(format!("* BYE {why}"));
    }

    /// Does the next piece of work.
    pub(crate) async fn step(&mut self) -> Step {
        match std::mem::replace(&mut self.busy, Busy::Nothing) {
            Busy::Fetching(fetching) => return self.fetch_on(fetching).await,
            Busy::Searching(searching) => return self.search_on(searching),
            other => self.busy = other,
        }
        match self.framer.next() {
            Frame::Incomplete => Step::Read,
            Frame::Literal(literal) => self.literal(literal),
            Frame::Piece(piece) => {
                if let Busy::Appending(append) = &mut self.busy {
                    append.write(&piece);
                }
                Step::More
            }
            Frame::PieceEnd => Step::More,
            Frame::TooLong => {
                self.bye("the line is too long");
                Step::Close
            }
            Frame::Command(bytes) => self.line(&bytes).await,
        }
    }

    /// A literal is announced: an APPEND's message is streamed, small ones are kept, the rest is
    /// refused before it comes.
    fn literal(&mut self, literal: Announced) -> Step {
        let free = matches!(self.busy, Busy::Nothing);
        if free
            && self.is_logged_in()
            && let Some(head) = Head::parse(self.framer.text())
        {
            return match head {
                Ok(head) => self.append(head, literal),
                Err(bad) => self.refuse(literal, &bad.into()),
            };
        }
        if free && !literal.binary && self.framer.may_keep(literal) {
            self.framer.keep();
            if literal.waits {
                self.cx.out.line("+ go on");
            }
            return Step::More;
        }
        self.refuse(literal, &Done::bad("the literal is too large").code("TOOBIG"))
    }

    fn append(&mut self, head: Head, literal: Announced) -> Step {
        if !literal.waits && literal.len > self.cx.shared.message_len_max {
            self.bye("[TOOBIG] the message is too large");
            return Step::Close;
        }
        let append = Append::start(&self.cx, head, literal);
        match append.refused() {
            Some(refused) if literal.waits => self.refuse(literal, &refused),
            _ => {
                self.framer.stream();
                if literal.waits {
                    self.cx.out.line("+ go on");
                }
                self.busy = Busy::Appending(Box::new(append));
                Step::More
            }
        }
    }

    /// Refuses a literal. One that does not wait (RFC 7888) comes in any case, so that there is no
    /// way on.
    fn refuse(&mut self, literal: Announced, done: &Done) -> Step {
        let tag = super::cursor::Cursor::new(self.framer.text()).tag();
        if !literal.waits {
            self.bye("the literal is too large");
            return Step::Close;
        }
        let tag = tag.unwrap_or_else(|_| "*".to_owned());
        self.framer.refuse();
        self.busy = Busy::Nothing;
        self.answer(&tag, done)
    }

    async fn line(&mut self, bytes: &[u8]) -> Step {
        match std::mem::replace(&mut self.busy, Busy::Nothing) {
            Busy::Authenticating { tag } => {
                let response = String::from_utf8_lossy(bytes).into_owned();
                self.authenticate(&tag, &response).await
            }
            Busy::Idle { tag } => {
                let done = idle::finish(bytes);
                self.finish(&tag, &done, Numbers::MayChange)
            }
            Busy::Appending(append) => {
                let tag = append.tag.clone();
                // Behind the message comes the line's end; more messages (RFC 3502) are not taken
                // yet.
                let done = if bytes.ends_with(b"}\r\n") || bytes.ends_with(b"}\n") {
                    append.finish(&mut self.cx).await.unwrap_or_else(|done| done)
                } else {
                    Done::bad("something follows the message")
                };
                self.finish(&tag, &done, Numbers::MayChange)
            }
            Busy::Nothing | Busy::Fetching(_) | Busy::Searching(_) => match command::parse(bytes) {
                Ok(Tagged { tag, command }) => Box::pin(self.command(tag, command)).await,
                Err(unreadable) => {
                    let tag = unreadable.tag.unwrap_or_else(|| "*".to_owned());
                    self.answer(&tag, &unreadable.bad.into())
                }
            },
        }
    }

    async fn command(&mut self, tag: String, command: Command) -> Step {
        let cx = &mut self.cx;
        let mut numbers = Numbers::MayChange;
        let done: Result<Done, Done> = match (command, &mut self.state) {
            (Command::Capability, state) => {
                capability::run(cx, !matches!(state, State::NotAuthenticated));
                Ok(Done::ok("that is all"))
            }
            (Command::Noop, _) => Ok(Done::ok("nothing done")),
            (Command::Id, _) => {
                id::run(cx);
                Ok(Done::ok("that is who"))
            }
            (Command::Logout, _) => {
                self.bye("until next time");
                self.answer(&tag, &Done::ok("logged out"));
                return Step::Close;
            }
            (Command::StartTls, State::NotAuthenticated) => return self.start_tls(&tag),
            (Command::Login(login), State::NotAuthenticated) => {
                return self.log_in(&tag, login).await;
            }
            (Command::Authenticate(authenticate), State::NotAuthenticated) => {
                return self.begin_authenticate(tag, authenticate).await;
            }
            (Command::StartTls | Command::Login(_) | Command::Authenticate(_), _) => {
                Err(Done::bad("you are logged in already"))
            }
            (_, State::NotAuthenticated) => Err(Done::bad("log in first")),

            (Command::Enable(enable), _) => {
                enable::run(cx, &enable);
                Ok(Done::ok("enabled"))
            }
            (Command::Namespace, _) => {
                namespace::run(cx);
                Ok(Done::ok("that is all"))
            }
            (Command::Select(select), state) => {
                *state = State::Authenticated;
                select::run(cx, &select).await.map(|(selected, done)| {
                    *state = State::Selected(Box::new(selected));
                    done
                })
            }
            (Command::Create(create), _) => create::run(cx, &create).await,
            (Command::Delete(delete), _) => delete::run(cx, &delete).await,
            (Command::Rename(rename), _) => rename::run(cx, &rename).await,
            (Command::Subscribe(subscribe), _) => subscribe::run(cx, &subscribe).await,
            (Command::List(list), _) => list::run(cx, &list),
            (Command::Lsub(lsub), _) => lsub::run(cx, &lsub),
            (Command::Status(status), _) => status::run(cx, &status),
            (Command::Idle, _) => {
                self.cx.out.line("+ idling");
                self.busy = Busy::Idle { tag };
                self.tell(Numbers::MayChange);
                return Step::More;
            }

            (Command::Check, State::Selected(_)) => Ok(Done::ok("checked")),
            (Command::Close, State::Selected(selected)) => {
                let done = close::run(cx, selected).await;
                self.state = State::Authenticated;
                done
            }
            (Command::Unselect, State::Selected(_)) => {
                self.state = State::Authenticated;
                Ok(Done::ok("left"))
            }
            (Command::Expunge(expunge), State::Selected(selected)) => {
                expunge::run(cx, selected, &expunge).await
            }
            (Command::Copy(copy), State::Selected(selected)) => {
                copy::run(cx, selected, &copy).await
            }
            (Command::Store(store), State::Selected(selected)) => {
                numbers = numbers_after(store.by);
                store::run(cx, selected, &store).await
            }
            (Command::Search(search), State::Selected(selected)) => {
                match Searching::start(cx, selected, tag.clone(), search) {
                    Ok(searching) => {
                        self.busy = Busy::Searching(Box::new(searching));
                        return Step::More;
                    }
                    Err(done) => Err(done),
                }
            }
            (Command::Fetch(fetch), State::Selected(selected)) => {
                match Fetching::start(cx, selected, tag.clone(), fetch) {
                    Ok(fetching) => {
                        self.busy = Busy::Fetching(Box::new(fetching));
                        return Step::More;
                    }
                    Err(done) => Err(done),
                }
            }
            (_, State::Authenticated) => Err(Done::bad("select a folder first")),
        };
        self.finish(&tag, &done.unwrap_or_else(|done| done), numbers)
    }

    async fn fetch_on(&mut self, mut fetching: Box<Fetching>) -> Step {
        let State::Selected(selected) = &mut self.state else { return Step::More };
        match Box::pin(fetching.slice(&mut self.cx, selected)).await {
            Slice::More => {
                self.busy = Busy::Fetching(fetching);
                Step::More
            }
            Slice::Done(done) => self.finish(&fetching.tag, &done, numbers_after(fetching.by)),
            Slice::Broken => Step::Close,
        }
    }

    fn search_on(&mut self, mut searching: Box<Searching>) -> Step {
        let State::Selected(selected) = &self.state else { return Step::More };
        match searching.slice(&mut self.cx, selected) {
            None => {
                self.busy = Busy::Searching(searching);
                Step::More
            }
            Some(done) => self.finish(&searching.tag, &done, numbers_after(searching.by)),
        }
    }

    /// Tells what changed meanwhile, then answers.
    fn finish(&mut self, tag: &str, done: &Done, numbers: Numbers) -> Step {
        self.tell(numbers);
        self.answer(tag, done)
    }

    fn tell(&mut self, numbers: Numbers) {
        if let State::Selected(selected) = &mut self.state
            && let Err(error) = selected.tell(&mut self.cx, numbers)
        {
            // The next occasion tells it; the command that just ended is not to blame.
            tracing::error!(%error, "imap: what changed can't be told");
        }
    }

    fn answer(&mut self, tag: &str, done: &Done) -> Step {
        self.cx.out.line(done.line(tag));
        if done.is_bad() {
            self.bad_commands = self.bad_commands.saturating_add(1);
            let most =
                if self.is_logged_in() { BAD_COMMANDS_MAX } else { BAD_COMMANDS_BEFORE_LOGIN_MAX };
            if self.bad_commands >= most {
                self.bye("too much of this made no sense");
                return Step::Close;
            }
        }
        Step::More
    }
}

/// Commands that use numbers must leave them as they are (RFC 3501 7.4.1); the same by UID need
/// not.
fn numbers_after(by: By) -> Numbers {
    match by {
        By::Number => Numbers::MustStay,
        By::Uid => Numbers::MayChange,
    }
}
