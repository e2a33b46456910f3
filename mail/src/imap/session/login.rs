//! How a client comes in: STARTTLS, AUTHENTICATE, LOGIN (RFC 3501 6.2).

use super::super::answer::Done;
use super::super::command::authenticate;
use super::super::command::login::{self, Login};
use super::{Busy, Session, State, Step};

/// Failed logins, after which the connection is closed.
const FAILED_LOGINS_MAX: u32 = 5;

impl Session {
    /// RFC 3501 6.2.1.
    pub(super) fn start_tls(&mut self, tag: &str) -> Step {
        if !self.cx.link.may_start_tls {
            return self.answer(tag, &Done::bad("TLS is not to be had here, or is on already"));
        }
        self.answer(tag, &Done::ok("begin TLS now"));
        // What follows in the clear is dropped now and again when TLS stands.
        self.framer.forget();
        Step::StartTls
    }

    pub(super) async fn begin_authenticate(
        &mut self,
        tag: String,
        authenticate: authenticate::Authenticate,
    ) -> Step {
        if authenticate.mechanism != "PLAIN" {
            return self.answer(&tag, &Done::no("this mechanism is not known"));
        }
        if let Some(refused) = login::refused_in_the_open(&self.cx) {
            return self.answer(&tag, &refused);
        }
        match authenticate.initial {
            Some(response) => self.authenticate(&tag, &response).await,
            None => {
                self.cx.out.line("+ ");
                self.busy = Busy::Authenticating { tag };
                Step::More
            }
        }
    }

    pub(super) async fn authenticate(&mut self, tag: &str, response: &str) -> Step {
        match authenticate::plain(response) {
            Some(login) => self.log_in(tag, login).await,
            None => self.answer(tag, &Done::bad("the response is malformed, or cancelled")),
        }
    }

    pub(super) async fn log_in(&mut self, tag: &str, login: Login) -> Step {
        let done = login::run(&mut self.cx, login).await;
        if done.is_ok() {
            self.state = State::Authenticated;
            self.framer.logged_in();
            self.failed_logins = 0;
            tracing::debug!("imap: logged in");
        } else {
            self.failed_logins = self.failed_logins.saturating_add(1);
        }
        let step = self.answer(tag, &done);
        if self.failed_logins >= FAILED_LOGINS_MAX {
            self.bye("too many failed logins");
            return Step::Close;
        }
        step
    }
}
