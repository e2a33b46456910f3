//! The node's side of an IMAP session: answers the session's questions.
//!
//! Commands on the mailbox read many rows and whole messages, so they run on a thread that may
//! block, one at a time for each session.

use std::net::IpAddr;
use std::sync::Arc;

use freehold_core::blocking::{Unfinished, blocking, blocking_future};
use freehold_core::clock::Timestamp;
use freehold_core::logins::{
    self, EndSignal, LoginError, ProgramLoginError, ProgramSession, Protocol,
};
use freehold_core::mailbox::FolderId;
use freehold_core::node::Node;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::command::append::Append;
use super::command::login::Login;
use super::completion::Completion;
use super::context::{Context, Shared};
use super::enabled::Enabled;
use super::executor::Executor;
use super::selected::Numbers;
use super::session::{Answer, Question};
use crate::sasl::scram::ScramError;
use crate::sasl::{Sasl, SaslError, SaslStep};
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
    /// The SCRAM login in progress.
    sasl: Sasl,
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
        let (out, enabled) = (Printer::default(), Enabled::default());
        let cx = Context { node: node.clone(), shared, out, enabled };
        Self {
            node,
            peer,
            executor: Some(Box::new(Executor::new(cx))),
            login: None,
            sasl: Sasl::default(),
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
            Question::Scram(start) => {
                let step = self.sasl.start(&self.node, Protocol::Imap, self.peer, *start);
                Ok(self.sasl_answer(step))
            }
            Question::ScramResponse(response) => {
                let (node, from) = (&self.node, self.peer);
                let step = self.sasl.proceed(node, Protocol::Imap, from, response).await;
                Ok(self.sasl_answer(step))
            }
            Question::Report(numbers) => self.report(numbers).await,
            Question::Notify { is_idle } => self.notify(is_idle).await,
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

    /// Whether the owner has ended the session, or its app password was revoked or has expired.
    /// Reads one row.
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
        if let Err(error) = session.record_use().await {
            tracing::warn!(%error, "imap: the use of an app password could not be recorded");
        }
    }

    /// Checks an app password. An unknown user and a wrong password get the same answer.
    async fn log_in(&mut self, login: Login) -> Answer {
        let (Login { user, password }, protocol) = (login, Protocol::Imap);
        match logins::log_in_program(&self.node, &user, &password, protocol, self.peer).await {
            Ok(session) => self.logged_in(session),
            Err(error) => {
                logins::report_refused_program(&self.node, protocol, self.peer, &user, &error);
                refused_login(error)
            }
        }
    }

    fn logged_in(&mut self, session: ProgramSession) -> Answer {
        self.login = Some((session, self.node.clock.now()));
        Answer::LoggedIn
    }

    fn sasl_answer(&mut self, step: SaslStep) -> Answer {
        let completion = match step {
            SaslStep::Challenge(text) => return Answer::Challenge(text),
            SaslStep::LoggedIn(session) => return self.logged_in(session),
            SaslStep::Refused(SaslError::Login(error)) => return refused_login(error),
            SaslStep::Refused(SaslError::Scram(ScramError::Malformed(text))) => {
                Completion::bad(text)
            }
            SaslStep::Refused(SaslError::Scram(error @ ScramError::OtherIdentity)) => {
                Completion::no(error.to_string()).code("AUTHORIZATIONFAILED")
            }
            SaslStep::Refused(SaslError::Scram(error)) => {
                Completion::no(error.to_string()).code("AUTHENTICATIONFAILED")
            }
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
    async fn report(&mut self, numbers: Numbers) -> Result<Answer, Unfinished> {
        if self.executor.as_ref().is_some_and(|executor| executor.is_current()) {
            return Ok(Answer::More);
        }
        let Some(mut executor) = self.executor.take() else { return Ok(Answer::More) };
        let work = async move {
            let is_whole = executor.report(numbers).await;
            (executor, is_whole)
        };
        self.reported(blocking_future(work).await?)
    }

    /// Reports what NOTIFY asked for.
    async fn notify(&mut self, is_idle: bool) -> Result<Answer, Unfinished> {
        let Some(mut executor) = self.executor.take() else { return Ok(Answer::More) };
        let work = async move {
            let is_whole = executor.notify(is_idle).await;
            (executor, is_whole)
        };
        self.reported(blocking_future(work).await?)
    }

    fn reported(
        &mut self,
        (executor, is_whole): (Box<Executor>, bool),
    ) -> Result<Answer, Unfinished> {
        self.executor = Some(executor);
        Ok(if is_whole { Answer::More } else { Answer::Broken })
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
        if let Answer::Broken = self.report(Numbers::MayChange).await? {
            return Ok(Answer::Broken);
        }
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

/// The response to a refused login (RFC 5530 section 3).
fn refused_login(error: ProgramLoginError) -> Answer {
    let completion = match error {
        ProgramLoginError::Refused(LoginError::Wrong) => {
            Completion::no("wrong user name or password").code("AUTHENTICATIONFAILED")
        }
        ProgramLoginError::Refused(LoginError::TooOften { .. }) => {
            Completion::no("too many wrong passwords; try again later").code("UNAVAILABLE")
        }
        ProgramLoginError::Refused(LoginError::Store(error)) => error.into(),
        error @ ProgramLoginError::Expired => Completion::no(error.to_string()).code("EXPIRED"),
        error @ ProgramLoginError::OutOfScope(_) => {
            Completion::no(error.to_string()).code("AUTHORIZATIONFAILED")
        }
    };
    Answer::Completed { completion, selected: None }
}
