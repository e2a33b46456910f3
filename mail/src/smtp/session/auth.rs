//! Logging in: AUTH PLAIN and AUTH LOGIN (RFC 4954, RFC 4616).

use data_encoding::BASE64;

use super::super::reply::Reply;
use super::{LOGINS_FAILED_MAX, Password, Question, Role, Session, State};

/// Where a login is.
#[derive(Debug)]
pub(super) enum Exchange {
    /// PLAIN, its one response to come.
    Plain,
    /// LOGIN, the name to come.
    LoginUser,
    /// LOGIN, the password to come.
    LoginPassword {
        /// The name given.
        user: String,
    },
}

impl Session {
    /// Passwords are for the owner's programs, and never said where others can listen in.
    pub(super) fn offers_auth(&self) -> bool {
        self.settings.role == Role::Submit && (self.settings.tls || self.settings.clear_login)
    }

    /// RFC 4954 4.
    pub(super) fn auth(&mut self, mechanism: &str, initial: Option<&str>) {
        if self.settings.role == Role::Receive {
            return self.junk(Reply::new(502, "5.5.1", "nobody logs in here"));
        }
        if !self.client.hello.as_ref().is_some_and(|hello| hello.extended) {
            return self.junk(Reply::out_of_order("say EHLO first"));
        }
        if self.client.login.is_some() {
            return self.junk(Reply::out_of_order("you are logged in already"));
        }
        if matches!(self.state, State::Mail(_)) {
            return self.junk(Reply::out_of_order("not in the middle of a message"));
        }
        if !self.offers_auth() {
            return self.junk(Reply::new(
                538,
                "5.7.11",
                "not without encryption: say STARTTLS first",
            ));
        }
        match (mechanism, initial) {
            ("PLAIN", None) => self.challenge("", Exchange::Plain),
            ("PLAIN", Some(response)) => self.plain(response),
            ("LOGIN", None) => self.challenge("VXNlcm5hbWU6", Exchange::LoginUser),
            ("LOGIN", Some(response)) => self.login_user(response),
            _ => self.junk(Reply::new(504, "5.5.4", "log in with PLAIN or LOGIN")),
        }
    }

    /// The client's response to a challenge; `*` gives up (RFC 4954 4).
    pub(super) fn auth_line(&mut self, line: &str) {
        let State::Auth(exchange) = std::mem::replace(&mut self.state, State::Ready) else {
            return;
        };
        if line == "*" {
            return self.say(Reply::new(501, "5.0.0", "as you like"));
        }
        match exchange {
            Exchange::Plain => self.plain(line),
            Exchange::LoginUser => self.login_user(line),
            Exchange::LoginPassword { user } => match decoded(line) {
                Some(password) => self.ask_login(user, password),
                None => self.wrong_response(),
            },
        }
    }

    fn challenge(&mut self, text: &'static str, exchange: Exchange) {
        self.state = State::Auth(exchange);
        self.say(Reply::new(334, "", text));
    }

    /// RFC 4616 2: whose rights, NUL, who, NUL, password. Rights are only ever one's own.
    fn plain(&mut self, response: &str) {
        let Some(text) = decoded(response) else { return self.wrong_response() };
        let mut parts = text.split('\0');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(rights), Some(user), Some(password), None)
                if !user.is_empty() && (rights.is_empty() || rights == user) =>
            {
                self.ask_login(user.to_owned(), password.to_owned());
            }
            _ => self.wrong_response(),
        }
    }

    fn login_user(&mut self, response: &str) {
        match decoded(response) {
            Some(user) => self.challenge("UGFzc3dvcmQ6", Exchange::LoginPassword { user }),
            None => self.wrong_response(),
        }
    }

    fn wrong_response(&mut self) {
        self.junk(Reply::new(501, "5.5.2", "that response can't be read"));
    }

    fn ask_login(&mut self, user: String, password: String) {
        self.ask(
            Question::Login { user: user.clone(), password: Password(password) },
            State::AskedLogin { user },
        );
    }

    pub(super) fn login_answered(&mut self, user: String, reply: Reply) {
        if reply.is_positive() {
            self.client.login = Some(user);
            return self.say(reply);
        }
        self.client.logins_failed += 1;
        if self.client.logins_failed < LOGINS_FAILED_MAX {
            return self.say(reply);
        }
        self.say(reply);
        self.close(Reply::closing("4.7.0", "too many failed logins, goodbye"));
    }
}

/// A response in base64; a lone `=` is an empty one (RFC 4954 4).
fn decoded(response: &str) -> Option<String> {
    if response == "=" {
        return Some(String::new());
    }
    String::from_utf8(BASE64.decode(response.as_bytes()).ok()?).ok()
}
