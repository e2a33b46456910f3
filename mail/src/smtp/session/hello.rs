//! EHLO, HELO, STARTTLS and HELP.

use super::{Role, Session, State, Step};
use crate::smtp::envelope::Hello;
use crate::smtp::reply::Reply;

impl Session {
    /// EHLO and HELO (RFC 5321 4.1.1.1). Both end a message in progress (4.1.4).
    pub(super) fn hello(&mut self, hello: Hello) {
        self.abandon_chunks();
        self.state = State::Ready;
        let extended = hello.extended;
        self.client.hello = Some(hello);
        let hostname = self.settings.hostname.clone();
        if !extended {
            return self.reply(Reply::new(250, "", hostname));
        }
        let mut lines = vec![
            hostname.into(),
            "PIPELINING".into(),
            format!("SIZE {}", self.settings.message_len_max).into(),
            "8BITMIME".into(),
            "SMTPUTF8".into(),
            "CHUNKING".into(),
            "ENHANCEDSTATUSCODES".into(),
            "DSN".into(),
            format!("LIMITS RCPTMAX={}", self.recipients_max()).into(),
        ];
        if !self.settings.tls {
            lines.push("STARTTLS".into());
        }
        if self.offers_auth() {
            let mut mechanisms = vec!["AUTH PLAIN LOGIN"];
            mechanisms.extend(self.settings.scram.names());
            lines.push(mechanisms.join(" ").into());
        }
        lines.push("HELP".into());
        self.reply(Reply::listing(250, lines));
    }

    /// RFC 3207 4.
    pub(super) fn start_tls(&mut self) {
        if self.settings.tls {
            return self.bad_command(Reply::out_of_order("TLS is already active"));
        }
        self.state = State::Ready;
        self.reply(Reply::new(220, "2.0.0", "ready to start TLS"));
        self.steps.push_back(Step::StartTls);
    }

    pub(super) fn help(&mut self) {
        let text = match self.settings.role {
            Role::Receive => "This server accepts mail for its owner and does not relay.",
            Role::Submit => {
                "This port is for the owner's mail programs: log in with an app password."
            }
        };
        let mut commands = vec!["EHLO HELO"];
        if !self.settings.tls {
            commands.push("STARTTLS");
        }
        if self.offers_auth() {
            commands.push("AUTH");
        }
        commands.push("MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT");
        self.reply(Reply::listing(214, vec![text.into(), commands.join(" ").into()]));
    }
}
