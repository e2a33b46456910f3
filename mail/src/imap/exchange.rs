//! The node's side of an IMAP session: answers the session's questions.
//!
//! Commands on the mailbox read many rows and whole messages, so they run on a thread that may
//! block, one at a time for each session.

use std::net::IpAddr;
use std::sync::Arc;

use freehold_core::blocking::{Unfinished, blocking, blocking_future};
use freehold_core::clock::Timestamp;
use freehold_core::logins::{self, EndSignal, LoginError, ProgramSession, Protocol};
use freehold_core::mailbox::FolderId;
use freehold_core::node::Node;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::command::append::Append;
use super::command::login::Login;
use super::completion::Completion;
use super::context::{Context, Shared};
use super::executor::Executor;
use super::selected::Numbers;
use super::session::{Answer, Question};
use freehold_mime::imap::Printer;

/// The pause between two records of the use of an app password, in milliseconds.
const USE_RECORDED_EVERY_MS: u64 = 60 * 60 * 1000;

/// See the module's text.
pub(crate) struct Exchange {
    node: Node,
    /// The client's address, for the throttling of wrong passwords.
    peer: IpAddr,
    /// Missing while a command runs, and for good after one panicked.
    executor: Option<Box<Executor>>,
    /// The session of the login, and when the use of its app password was last recorded.
    login: Option<(ProgramSession, Timestamp)>,
    /// The APPEND whose messages are being received, or its refusal.
    append: Option<Result<Box<Append>, Completion>>,
    compressions: Arc<Semaphore>,
    /// The permit of a compressed connection.
    compression: Option<OwnedSemaphorePermit>,
}

impl Exchange {
    /// The node's side of a session with `peer`.
    pub(crate) fn new(node: Node, shared: Arc<Shared>, peer: IpAddr) -> Self {
        let compressions = Arc::clone(&shared.compressions);
        let cx = Context { node: node.clone(), shared, out: Printer::default(), condstore: false };
        Self {
            node,
            peer,
            executor: Some(Box::new(Executor::new(cx))),
            login: None,
            append: None,
            compressions,
            compression: None,
        }
    }

    /// Answers one question; also returns the untagged responses to be sent before the answer.
    pub(crate) async fn answer(&mut self, question: Question) -> (Answer, Vec<u8>) {
        if self.is_ended() {
            return (Answer::Ended, Vec::new());
        }
        let answered = match question {
            Question::Login(login) => Ok(self.log_in(login).await),
            Question::Report(numbers) => self.report(numbers).await.map(|()| Answer::More),
            Question::Append { head, literal } => {
                let started = self.on_executor(move |executor| {
                    executor.start_append(head, literal).map(Box::new)
                });
                started.await.map(|append| self.append_started(append))
            }
            Question::AppendNext { head, literal } => {
                let next = match self.append.take() {
                    Some(Ok(append)) => append.next(&self.node, head, literal).await.map(Box::new),
                    Some(Err(refusal)) => Err(refusal),
                    None => return (Answer::Broken, Vec::new()),
                };
                Ok(self.append_started(Some(next)))
            }
            Question::AppendPiece(piece) => {
                self.append_piece(&piece).await;
                Ok(Answer::More)
            }
            Question::AppendEnd { keep } => self.append_end(keep).await,
            Question::Compress => Ok(self.compress()),
            Question::AppendAbandon => {
                self.append = None;
                Ok(Answer::More)
            }
            question => self.run(question).await,
        };
        let answer = answered.unwrap_or_else(|error| {
            tracing::error!(%error, "imap: a command did not finish");
            Answer::Broken
        });
        let output =
            self.executor.as_mut().map(|executor| executor.take_output()).unwrap_or_default();
        (answer, output)
    }

    /// Whether the owner has ended the session or revoked its app password. Reads one row.
    pub(crate) fn is_ended(&self) -> bool {
        let Some((session, _)) = &self.login else { return false };
        // A store that can't be read refuses the commands by itself.
        !session.is_valid().unwrap_or(true)
    }

    /// The signal that the session was ended; `None` before the login.
    pub(crate) fn end_signal(&self) -> Option<EndSignal> {
        self.login.as_ref().map(|(session, _)| session.end_signal())
    }

    /// Records the use of the login's app password, at most once an hour.
    pub(crate) async fn record_use(&mut self) {
        let now = self.node.clock.now();
        let Some((session, recorded)) = &mut self.login else { return };
        if now.millis_since(*recorded) < USE_RECORDED_EVERY_MS {
            return;
        }
        *recorded = now;
        if let Err(error) = logins::app_password_used(&self.node, session.app_password()).await {
            tracing::warn!(%error, "imap: the use of an app password could not be recorded");
        }
    }

    /// Checks an app password. An unknown user and a wrong password get the same answer.
    async fn log_in(&mut self, login: Login) -> Answer {
        let Login { user, password } = login;
        let protocol = Protocol::Imap;
        let checked =
            logins::log_in_program(&self.node, &user, &password, protocol, self.peer).await;
        let error = match checked {
            Ok(session) => {
                self.login = Some((session, self.node.clock.now()));
                return Answer::LoggedIn;
            }
            Err(error) => error,
        };
        let (node, from) = (&self.node, self.peer);
        logins::report_refused_login(node, protocol, from, Some(&user), &error);
        let completion = match error {
            LoginError::Wrong => {
                Completion::no("wrong user name or password").code("AUTHENTICATIONFAILED")
            }
            LoginError::TooOften { .. } => {
                Completion::no("too many wrong passwords; try again later").code("UNAVAILABLE")
            }
            LoginError::Store(error) => error.into(),
        };
        Answer::Completed { completion, selected: None }
    }

    async fn run(&mut self, question: Question) -> Result<Answer, Unfinished> {
        let Some(mut executor) = self.executor.take() else { return Ok(Answer::Broken) };
        let work = async move {
            let answer = executor.answer(question).await;
            (executor, answer)
        };
        let (executor, answer) = blocking_future(work).await?;
        self.executor = Some(executor);
        Ok(answer)
    }

    /// Runs `work` where it may block. Without an executor it is not run, and the session ends.
    async fn on_executor<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Executor) -> T + Send + 'static,
    ) -> Result<Option<T>, Unfinished> {
        let Some(mut executor) = self.executor.take() else { return Ok(None) };
        let work = move || {
            let done = work(&mut executor);
            (executor, done)
        };
        let (executor, done) = blocking(work).await?;
        self.executor = Some(executor);
        Ok(Some(done))
    }

    /// Reports changes. Most often there are none, which one row tells.
    async fn report(&mut self, numbers: Numbers) -> Result<(), Unfinished> {
        if self.executor.as_ref().is_some_and(|executor| executor.is_current()) {
            return Ok(());
        }
        let Some(mut executor) = self.executor.take() else { return Ok(()) };
        let work = async move {
            executor.report(numbers).await;
            executor
        };
        self.executor = Some(blocking_future(work).await?);
        Ok(())
    }

    fn append_started(&mut self, append: Option<Result<Box<Append>, Completion>>) -> Answer {
        let Some(append) = append else { return Answer::Broken };
        let refusal = append.as_ref().err().cloned();
        self.append = Some(append);
        match refusal {
            None => Answer::More,
            Some(completion) => Answer::Completed { completion, selected: self.selected() },
        }
    }

    /// Takes the next piece of a message. After a refusal it is dropped.
    async fn append_piece(&mut self, piece: &[u8]) {
        if let Some(Ok(append)) = &mut self.append {
            append.write(piece).await;
        }
    }

    async fn append_end(&mut self, keep: bool) -> Result<Answer, Unfinished> {
        let completion = match self.append.take() {
            None => return Ok(Answer::Broken),
            Some(_) if !keep => Completion::bad("the command goes on after the message"),
            Some(Err(refusal)) => refusal,
            Some(Ok(append)) => match (append.finish(&self.node).await, &mut self.executor) {
                (Ok(appended), Some(executor)) => executor.appended(&appended),
                (Err(completion), _) => completion,
                (_, None) => return Ok(Answer::Broken),
            },
        };
        self.report(Numbers::MayChange).await?;
        Ok(Answer::Completed { completion, selected: self.selected() })
    }

    /// Takes one of the permits to compress.
    fn compress(&mut self) -> Answer {
        match Arc::clone(&self.compressions).try_acquire_owned() {
            Ok(permit) => {
                self.compression = Some(permit);
                Answer::More
            }
            Err(_) => {
                let completion = Completion::no("too many compressed connections").code("LIMIT");
                Answer::Completed { completion, selected: self.selected() }
            }
        }
    }

    fn selected(&self) -> Option<FolderId> {
        self.executor.as_ref().and_then(|executor| executor.selected())
    }
}
