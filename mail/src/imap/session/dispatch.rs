//! One command: answered here, or asked of the exchange.

use super::busy::{Asked, Busy};
use super::{Question, Session, State, Step};
use crate::imap::command::notify::Notify;
use crate::imap::command::{Command, Tagged, capability, compress, id, namespace, set_quota};
use crate::imap::completion::Completion;

impl Session {
    pub(super) fn command(&mut self, tag: String, command: Command) -> Step {
        let completion = match (command, self.state) {
            (Command::Capability, _) => {
                let list = capability::list(&self.link, self.is_logged_in());
                self.out.line(format!("* CAPABILITY {list}"));
                Completion::ok("capabilities listed")
            }
            (Command::Noop, _) => Completion::ok("done"),
            (Command::Id, _) => {
                id::print(&mut self.out);
                Completion::ok("identified")
            }
            (Command::Logout, _) => {
                self.bye("logging out");
                self.respond(&tag, &Completion::ok("logged out"));
                return Step::Close;
            }
            (Command::StartTls, State::NotAuthenticated) => return self.start_tls(&tag),
            (Command::Login(login), State::NotAuthenticated) => return self.log_in(tag, login),
            (Command::Authenticate(authenticate), State::NotAuthenticated) => {
                return self.begin_authenticate(tag, authenticate);
            }
            (Command::StartTls | Command::Login(_) | Command::Authenticate(_), _) => {
                Completion::bad("already logged in")
            }
            (_, State::NotAuthenticated) => Completion::bad("log in first"),

            (Command::Namespace, _) => {
                namespace::print(&mut self.out);
                Completion::ok("namespaces listed")
            }
            (Command::Idle, state) => {
                self.out.line("+ idling");
                self.busy = Busy::Idle { tag };
                self.is_stale = self.notifies || matches!(state, State::Selected(_));
                return Step::More;
            }
            (Command::BadName, _) => Completion::bad_name(),
            (Command::Compress, _) => match compress::refusal(&self.link) {
                Some(refusal) => refusal,
                None => return self.ask(Question::Compress, Asked::Compress { tag }),
            },
            (command, State::Authenticated) if command.needs_folder() => Completion::not_selected(),
            (Command::Enable(enable), state) => {
                let refusal = enable.refusal_in_folder();
                if let Some(refusal) = refusal.filter(|_| matches!(state, State::Selected(_))) {
                    return self.complete(tag, refusal);
                }
                self.enabled = self.enabled.with(enable.enabled);
                let asked = Asked::Command { tag: tag.clone() };
                let command = Command::Enable(enable);
                return self.ask(Question::Run(Tagged { tag, command }), asked);
            }
            (Command::Check, _) => Completion::ok("checked"),
            (Command::SetQuota, _) => set_quota::refusal(),
            (command, _) => {
                if let Command::Notify(notify) = &command {
                    self.notifies = *notify != Notify::None;
                }
                let asked = Asked::Command { tag: tag.clone() };
                return self.ask(Question::Run(Tagged { tag, command }), asked);
            }
        };
        self.complete(tag, completion)
    }

    /// From the tagged response on both directions are compressed (RFC 4978 3). A client sends
    /// nothing between the command and that response: such input is dropped, as before TLS.
    pub(super) fn compress(&mut self, tag: &str) -> Step {
        self.respond(tag, &Completion::ok("compression begins"));
        self.link.is_compressed = true;
        self.framer.forget();
        Step::Compress
    }
}
