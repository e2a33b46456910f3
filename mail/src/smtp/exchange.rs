//! The node's side of an SMTP session: checks logins, senders and recipients, and stores messages.

use freehold_core::blocking::blocking;
use freehold_core::logins::{
    self, EndSignal, LoginError, ProgramLoginError, ProgramSession, Protocol,
};
use freehold_core::store::StoreError;

use super::envelope::{Envelope, Recipient, Sender};
use super::incoming::{Incoming, Refused};
use super::refusals::Refusals;
use super::reply::Reply;
use super::session::{Question, Role};
use super::trace::Peer;
use super::{receive, submit};
use crate::sasl::scram::ScramError;
use crate::sasl::{Sasl, SaslError, SaslStep};
use crate::state::MailState;
use crate::stream::TlsSummary;

/// The node's side of one session.
pub struct Exchange {
    pub(super) state: MailState,
    pub(super) peer: Peer,
    role: Role,
    /// This server's name, once it was needed.
    hostname: Option<String>,
    incoming: Option<Incoming>,
    /// The session of the login.
    login: Option<ProgramSession>,
    /// The SCRAM login in progress.
    sasl: Sasl,
    refusals: Refusals,
}

impl Exchange {
    /// The node's side of a session with `peer`.
    pub fn new(state: MailState, role: Role, peer: Peer) -> Self {
        let (hostname, incoming, login) = (None, None, None);
        let (sasl, refusals) = (Sasl::default(), Refusals::default());
        Self { state, peer, role, hostname, incoming, login, sasl, refusals }
    }

    /// The TLS handshake is complete.
    pub fn tls_started(&mut self, tls: Option<TlsSummary>) {
        self.peer.tls = tls;
        // The client logs in again (RFC 3207 4.2).
        self.login = None;
        self.sasl = Sasl::default();
    }

    /// Whether the owner has ended the session, or its app password was revoked or has expired.
    /// Reads one row.
    pub fn is_ended(&self) -> bool {
        // A store that can't be read refuses the message by itself.
        self.login.as_ref().is_some_and(|session| !session.is_valid().unwrap_or(true))
    }

    /// The signal that the session was ended; `None` before the login.
    pub fn end_signal(&self) -> Option<EndSignal> {
        self.login.as_ref().map(ProgramSession::end_signal)
    }

    /// Answers one question of the session.
    pub async fn answer(&mut self, question: Question) -> Reply {
        if self.is_ended() {
            self.abandon();
            return ended();
        }
        self.refusals.note(&question);
        match question {
            Question::Login { user, password } => self.login(&user, &password.0).await,
            Question::Scram(start) => {
                let (node, from) = (&self.state.node, self.peer.address);
                let step = self.sasl.start(node, Protocol::Smtp, from, *start);
                self.sasl_reply(step)
            }
            Question::ScramResponse(response) => {
                let (node, from) = (&self.state.node, self.peer.address);
                let step = self.sasl.proceed(node, Protocol::Smtp, from, response).await;
                self.sasl_reply(step)
            }
            Question::Sender(sender, _) => self.sender(sender).await,
            Question::Recipient(recipient) => self.recipient(recipient).await,
            Question::Begin(envelope) => self.begin(*envelope).await,
            Question::Finish => self.finish().await,
        }
    }

    /// Takes the next piece of the message in progress.
    pub async fn content(&mut self, text: &[u8]) {
        if let Some(incoming) = &mut self.incoming {
            incoming.write(text).await;
        }
    }

    /// Records a reply to another server that refuses mail for good.
    pub async fn replied(&mut self, reply: &Reply) {
        if self.role == Role::Receive {
            self.refusals.replied(&self.state.node, &self.peer, reply).await;
        }
    }

    /// Drops the message in progress.
    pub fn abandon(&mut self) {
        self.incoming = None;
    }

    async fn login(&mut self, user: &str, password: &str) -> Reply {
        let (node, from, protocol) = (&self.state.node, self.peer.address, Protocol::Smtp);
        match logins::log_in_program(node, user, password, protocol, from).await {
            Ok(session) => self.logged_in(session),
            Err(error) => {
                logins::report_refused_program(node, protocol, from, user, &error);
                refused_login(error)
            }
        }
    }

    fn logged_in(&mut self, session: ProgramSession) -> Reply {
        self.login = Some(session);
        Reply::new(235, "2.7.0", "logged in")
    }

    fn sasl_reply(&mut self, step: SaslStep) -> Reply {
        match step {
            SaslStep::Challenge(text) => Reply::new(334, "", text),
            SaslStep::LoggedIn(session) => self.logged_in(session),
            SaslStep::Refused(SaslError::Login(error)) => refused_login(error),
            SaslStep::Refused(SaslError::Scram(ScramError::Malformed(text))) => {
                Reply::new(501, "5.5.2", text)
            }
            SaslStep::Refused(SaslError::Scram(error)) => {
                Reply::new(535, "5.7.8", error.to_string())
            }
        }
    }

    async fn sender(&self, sender: Sender) -> Reply {
        match self.role {
            Role::Receive => Reply::new(250, "2.1.0", "ok"),
            Role::Submit => self.check(move |state| submit::sender(state, &sender)).await,
        }
    }

    async fn recipient(&self, recipient: Recipient) -> Reply {
        let reply = match self.role {
            Role::Receive => {
                let address = self.peer.address;
                let check = move |state: &MailState| {
                    let closed_out = receive::closed_out(state, address);
                    closed_out.unwrap_or_else(|| receive::recipient(state, &recipient))
                };
                self.check(check).await
            }
            Role::Submit => self.check(move |state| submit::recipient(state, &recipient)).await,
        };
        if self.role == Role::Receive && reply.status == receive::UNKNOWN {
            self.state.guesses.note(self.peer.address, self.state.node.clock.now());
        }
        self.report_refused(&reply);
        reply
    }

    /// Logs a refused recipient, without its address.
    fn report_refused(&self, reply: &Reply) {
        let is_refused = (500..600).contains(&reply.code);
        let Some(left_out) =
            is_refused.then(|| self.state.refusals.take(self.state.node.clock.now()))
        else {
            return;
        };
        let Some(left_out) = left_out else { return };
        if left_out > 0 {
            tracing::info!("{left_out} refused recipients were not logged: too many in a minute");
        }
        let (from, status) = (self.peer.address, reply.status);
        tracing::info!("recipient refused: smtp from {from}, {} {status}", reply.code);
    }

    /// Runs a check that reads rows on a thread that may block: the disk may be slow.
    async fn check(&self, check: impl FnOnce(&MailState) -> Reply + Send + 'static) -> Reply {
        let state = self.state.clone();
        let checked = blocking(move || check(&state)).await;
        checked.unwrap_or_else(|error| StoreError::from(error).into())
    }

    async fn begin(&mut self, envelope: Envelope) -> Reply {
        let hostname = match self.hostname.take() {
            Some(hostname) => hostname,
            None => self.state.hostname().await,
        };
        let begun = match self.role {
            Role::Receive => receive::begin(&self.state, envelope, &self.peer, &hostname).await,
            Role::Submit => submit::begin(&self.state, envelope, &self.peer, &hostname)
                .await
                .map_err(Reply::from),
        };
        self.hostname = Some(hostname);
        match begun {
            Ok(incoming) => {
                self.incoming = Some(incoming);
                Reply::new(354, "", "")
            }
            Err(reply) => reply,
        }
    }

    async fn finish(&mut self) -> Reply {
        let Some(incoming) = self.incoming.take() else { return Reply::unavailable() };
        match self.role {
            Role::Receive => match receive::finish(&self.state, incoming).await {
                Ok(reply) => reply,
                Err(Refused { reply, text }) => {
                    text.into_iter().for_each(|text| self.refusals.keep(text));
                    reply
                }
            },
            Role::Submit => submit::finish(&self.state, incoming).await,
        }
    }
}

/// RFC 4954 6: 535 for a wrong password, for an unknown user and for a password that is not
/// permitted; 454 after too many wrong passwords.
fn refused_login(error: ProgramLoginError) -> Reply {
    match error {
        ProgramLoginError::Refused(LoginError::Wrong) => {
            Reply::new(535, "5.7.8", "wrong user name or app password")
        }
        ProgramLoginError::Refused(LoginError::TooOften { retry_after_ms }) => Reply::new(
            454,
            "4.7.0",
            format!("too many wrong passwords, wait {} s", retry_after_ms.div_ceil(1000)),
        ),
        ProgramLoginError::Refused(LoginError::Store(error)) => error.into(),
        error @ (ProgramLoginError::Expired | ProgramLoginError::OutOfScope(_)) => {
            Reply::new(535, "5.7.8", error.to_string())
        }
    }
}

/// The reply after the session was ended.
pub(super) fn ended() -> Reply {
    Reply::closing("4.7.0", "this session was ended, or its app password is no longer valid")
}
