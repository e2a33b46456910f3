//! AUTH PLAIN, AUTH LOGIN and AUTH SCRAM-SHA-256 (RFC 4954, RFC 4616, RFC 7677).

use data_encoding::BASE64;

use super::super::reply::Reply;
use crate::sasl::scram::ClientFirst;
use crate::sasl::{self, ScramResponse, ScramStart};
use crate::stream::ChannelBinding;

use super::{FAILED_LOGINS_MAX, Password, Question, Role, Session, State};

/// The response that is expected next.
#[derive(Debug)]
pub(super) enum SaslState {
    /// PLAIN: the only response.
    Plain,
    /// LOGIN: the user name.
    LoginUser,
    /// LOGIN: the password.
    LoginPassword {
        /// The user name.
        user: String,
    },
    /// SCRAM: the first message, for a mechanism with this channel binding.
    ScramFirst(Option<ChannelBinding>),
    /// SCRAM: a later message.
    Scram {
        /// The user name.
        user: String,
    },
}

impl Session {
    /// AUTH is for the owner's programs, and only where nobody can eavesdrop.
    pub(super) fn offers_auth(&self) -> bool {
        self.settings.role == Role::Submit && (self.settings.tls || self.settings.cleartext_login)
    }

    /// RFC 4954 4.
    pub(super) fn auth(&mut self, mechanism: &str, initial: Option<&str>) {
        if self.settings.role == Role::Receive {
            return self.bad_command(Reply::new(502, "5.5.1", "AUTH is not offered on this port"));
        }
        if !self.client.hello.as_ref().is_some_and(|hello| hello.extended) {
            return self.bad_command(Reply::out_of_order("send EHLO first"));
        }
        if self.client.login.is_some() {
            return self.bad_command(Reply::out_of_order("already logged in"));
        }
        if matches!(self.state, State::Mail(_)) {
            return self.bad_command(Reply::out_of_order("not during a message"));
        }
        if !self.offers_auth() {
            return self.bad_command(Reply::new(538, "5.7.11", "send STARTTLS first"));
        }
        match (mechanism, initial) {
            ("PLAIN", None) => self.challenge("", SaslState::Plain),
            ("PLAIN", Some(response)) => self.plain(response),
            ("LOGIN", None) => self.challenge("VXNlcm5hbWU6", SaslState::LoginUser),
            ("LOGIN", Some(response)) => self.login_user(response),
            (mechanism, initial) => match (self.settings.scram.binding_of(mechanism), initial) {
                (None, _) => {
                    self.bad_command(Reply::new(504, "5.5.4", "use SCRAM-SHA-256, PLAIN or LOGIN"))
                }
                (Some(binding), None) => self.challenge("", SaslState::ScramFirst(binding)),
                (Some(binding), Some(response)) => self.scram_first(binding, response),
            },
        }
    }

    /// The client's response to a challenge; `*` cancels (RFC 4954 4).
    pub(super) fn auth_line(&mut self, line: &str) {
        let State::Auth(sasl) = std::mem::replace(&mut self.state, State::Ready) else {
            return;
        };
        if line == "*" {
            return self.reply(Reply::new(501, "5.0.0", "cancelled"));
        }
        match sasl {
            SaslState::Plain => self.plain(line),
            SaslState::LoginUser => self.login_user(line),
            SaslState::LoginPassword { user } => match decoded(line) {
                Some(password) => self.ask_login(user, password),
                None => self.wrong_response(),
            },
            SaslState::ScramFirst(binding) => self.scram_first(binding, line),
            SaslState::Scram { user } => match sasl::decoded(line) {
                Some(response) => self.ask(
                    Question::ScramResponse(ScramResponse(response)),
                    State::AwaitingScram { user },
                ),
                None => self.wrong_response(),
            },
        }
    }

    fn scram_first(&mut self, binding: Option<ChannelBinding>, response: &str) {
        let first = sasl::decoded(response).map(|message| ClientFirst::parse(&message));
        let Some(Ok(first)) = first else { return self.wrong_response() };
        let (user, offer) = (first.user().to_owned(), self.settings.scram);
        let start = ScramStart { first, binding, offer };
        self.ask(Question::Scram(Box::new(start)), State::AwaitingScram { user });
    }

    pub(super) fn scram_answered(&mut self, user: String, reply: Reply) {
        match reply.code {
            334 => {
                self.state = State::Auth(SaslState::Scram { user });
                self.reply(reply);
            }
            501 => self.bad_command(reply),
            _ => self.login_answered(user, reply),
        }
    }

    fn challenge(&mut self, text: &'static str, sasl: SaslState) {
        self.state = State::Auth(sasl);
        self.reply(Reply::new(334, "", text));
    }

    /// RFC 4616 2: authorization identity, NUL, authentication identity, NUL, password. The two
    /// identities must not differ.
    fn plain(&mut self, response: &str) {
        let Some(text) = decoded(response) else { return self.wrong_response() };
        let mut parts = text.split('\0');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(authorize), Some(user), Some(password), None)
                if !user.is_empty() && (authorize.is_empty() || authorize == user) =>
            {
                self.ask_login(user.to_owned(), password.to_owned());
            }
            _ => self.wrong_response(),
        }
    }

    fn login_user(&mut self, response: &str) {
        match decoded(response) {
            Some(user) => self.challenge("UGFzc3dvcmQ6", SaslState::LoginPassword { user }),
            None => self.wrong_response(),
        }
    }

    fn wrong_response(&mut self) {
        self.bad_command(Reply::new(501, "5.5.2", "malformed response"));
    }

    fn ask_login(&mut self, user: String, password: String) {
        self.ask(
            Question::Login { user: user.clone(), password: Password(password) },
            State::AwaitingLogin { user },
        );
    }

    pub(super) fn login_answered(&mut self, user: String, reply: Reply) {
        if reply.is_positive() {
            self.client.login = Some(user);
            return self.reply(reply);
        }
        self.client.failed_logins += 1;
        if self.client.failed_logins < FAILED_LOGINS_MAX {
            return self.reply(reply);
        }
        self.reply(reply);
        self.close(Reply::closing("4.7.0", "too many failed logins"));
    }
}

/// Decodes a base64 response; `=` alone is the empty response (RFC 4954 4).
fn decoded(response: &str) -> Option<String> {
    if response == "=" {
        return Some(String::new());
    }
    String::from_utf8(BASE64.decode(response.as_bytes()).ok()?).ok()
}
