//! STARTTLS, AUTHENTICATE and LOGIN (RFC 3501 6.2).

use super::busy::Expected;
use super::{Asked, Busy, Question, Session, State, Step};
use crate::imap::command::authenticate::{self, Authenticate};
use crate::imap::command::capability;
use crate::imap::command::login::Login;
use crate::imap::completion::Completion;
use crate::imap::link::Privacy;
use crate::sasl::scram::ClientFirst;
use crate::sasl::{self, ScramResponse, ScramStart};
use crate::stream::ChannelBinding;

/// Failed logins after which the connection is closed.
const FAILED_LOGINS_MAX: u32 = 5;

impl Session {
    /// RFC 3501 6.2.1.
    pub(super) fn start_tls(&mut self, tag: &str) -> Step {
        if !self.link.may_start_tls {
            return self.respond(tag, &Completion::bad("TLS is unavailable or already active"));
        }
        self.respond(tag, &Completion::ok("begin TLS now"));
        // Bytes received in the clear are dropped here, and again after the handshake.
        self.framer.forget();
        Step::StartTls
    }

    /// RFC 3501 6.2.2, with an initial response (RFC 4959) or without.
    pub(super) fn begin_authenticate(&mut self, tag: String, authenticate: Authenticate) -> Step {
        let expected = match authenticate.mechanism.as_str() {
            "PLAIN" => Some(Expected::Plain),
            scram => self.link.scram.binding_of(scram).map(Expected::ScramFirst),
        };
        let Some(expected) = expected else {
            return self.respond(&tag, &Completion::no("unsupported mechanism"));
        };
        if let Some(refusal) = self.cleartext_refusal() {
            return self.respond(&tag, &refusal);
        }
        match authenticate.initial {
            Some(response) => self.authenticate(tag, expected, &response),
            None => {
                self.out.line("+ ");
                self.busy = Busy::Authenticating { tag, expected };
                Step::More
            }
        }
    }

    /// The client's response to a challenge; `*` cancels, and is no base64.
    pub(super) fn authenticate(&mut self, tag: String, expected: Expected, response: &str) -> Step {
        let (response, asked) = (response.trim_end(), |tag| Asked::Login { tag });
        match expected {
            Expected::Plain => {
                if let Some(login) = authenticate::plain(response) {
                    return self.log_in(tag, login);
                }
            }
            Expected::ScramFirst(binding) => {
                if let Some(start) = self.scram_start(binding, response) {
                    return self.ask(Question::Scram(Box::new(start)), asked(tag));
                }
            }
            Expected::Scram => {
                if let Some(response) = sasl::decoded(response) {
                    return self.ask(Question::ScramResponse(ScramResponse(response)), asked(tag));
                }
            }
        }
        self.respond(&tag, &Completion::bad("the response is malformed or cancelled"))
    }

    fn scram_start(&self, binding: Option<ChannelBinding>, response: &str) -> Option<ScramStart> {
        let first = ClientFirst::parse(&sasl::decoded(response)?).ok()?;
        Some(ScramStart { first, binding, offer: self.link.scram })
    }

    pub(super) fn challenge(&mut self, tag: String, text: &str) {
        self.out.line(format!("+ {text}"));
        self.busy = Busy::Authenticating { tag, expected: Expected::Scram };
    }

    pub(super) fn log_in(&mut self, tag: String, login: Login) -> Step {
        match self.cleartext_refusal() {
            Some(refusal) => self.login_failed(&tag, &refusal),
            None => self.ask(Question::Login(login), Asked::Login { tag }),
        }
    }

    /// Refuses passwords that others on the network could read (RFC 3501 11.1, RFC 5530 3).
    fn cleartext_refusal(&self) -> Option<Completion> {
        (self.link.privacy == Privacy::Cleartext).then(|| {
            Completion::no("start TLS first: the password would be sent in the clear")
                .code("PRIVACYREQUIRED")
        })
    }

    pub(super) fn logged_in(&mut self, tag: &str) -> Step {
        self.state = State::Authenticated;
        self.framer.logged_in();
        self.strikes.failed_logins = 0;
        tracing::debug!("imap: logged in");
        let capabilities = capability::list(&self.link, true);
        self.respond(tag, &Completion::ok("logged in").code(format!("CAPABILITY {capabilities}")))
    }

    pub(super) fn login_failed(&mut self, tag: &str, completion: &Completion) -> Step {
        self.strikes.failed_logins = self.strikes.failed_logins.saturating_add(1);
        let step = self.respond(tag, completion);
        if self.strikes.failed_logins >= FAILED_LOGINS_MAX {
            self.bye("too many failed logins");
            return Step::Close;
        }
        step
    }
}
