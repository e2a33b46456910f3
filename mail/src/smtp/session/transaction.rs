//! MAIL, RCPT, and the replies to bad commands (RFC 5321 4.1.1.2, 4.1.1.3, 4.2.4).

use super::super::command::CommandError;
use super::super::envelope::{Envelope, Hello, Recipient, Sender};
use super::super::reply::Reply;
use super::{Question, REFUSED_RECIPIENTS_MAX, Role, Session, State};

impl Session {
    /// RFC 5321 4.1.1.2, RFC 1870 6.1 (declared size), RFC 4954 6 (530).
    pub(super) fn mail(&mut self, sender: Sender) {
        let Some(hello) = self.client.hello.clone() else {
            return self.bad_command(Reply::out_of_order("send EHLO first"));
        };
        if !matches!(self.state, State::Ready) {
            return self.bad_command(Reply::out_of_order("a message is already in progress"));
        }
        if self.settings.role == Role::Submit && self.client.login.is_none() {
            let text =
                if self.offers_auth() { "log in first" } else { "send STARTTLS and log in first" };
            return self.bad_command(Reply::new(530, "5.7.0", text));
        }
        let question = Question::Sender(sender.clone(), self.client.login.clone());
        self.ask(question, State::AwaitingSender(hello, sender));
    }

    pub(super) fn sender_answered(&mut self, hello: Hello, sender: Sender, reply: Reply) {
        if reply.is_positive() {
            let len_max = self.settings.message_len_max;
            if sender.size.is_some_and(|size| size > len_max) {
                return self.reply(Reply::too_large(len_max));
            }
            self.state = State::Mail(Envelope {
                hello,
                login: self.client.login.clone(),
                sender,
                recipients: Vec::new(),
            });
        }
        self.reply(reply);
    }

    /// RFC 5321 4.1.1.3, 4.5.3.1.10 (452 when there are too many), RFC 9422 (RCPTMAX).
    pub(super) fn rcpt(&mut self, recipient: Recipient) {
        match std::mem::replace(&mut self.state, State::Ready) {
            State::Mail(envelope) if envelope.recipients.len() >= self.recipients_max() => {
                self.state = State::Mail(envelope);
                self.reply(Reply::new(
                    452,
                    "4.5.3",
                    "too many recipients, send the rest in another message",
                ));
            }
            State::Mail(envelope)
                if recipient.mailbox.as_ref().is_some_and(|mailbox| mailbox.is_international())
                    && !envelope.sender.international =>
            {
                self.state = State::Mail(envelope);
                self.reply(Reply::new(553, "5.6.7", "this address needs SMTPUTF8"));
            }
            State::Mail(envelope) => {
                self.ask(
                    Question::Recipient(recipient.clone()),
                    State::AwaitingRecipient(envelope, recipient),
                );
            }
            other => {
                self.state = other;
                self.bad_command(Reply::out_of_order("send MAIL first"));
            }
        }
    }

    pub(super) fn recipient_answered(
        &mut self,
        mut envelope: Envelope,
        recipient: Recipient,
        reply: Reply,
    ) {
        if reply.is_positive() {
            // A repeated address is one recipient.
            if !envelope.recipients.iter().any(|known| known.mailbox == recipient.mailbox) {
                envelope.recipients.push(recipient);
            }
            self.state = State::Mail(envelope);
            return self.reply(reply);
        }
        self.refused_recipients += 1;
        if self.refused_recipients > REFUSED_RECIPIENTS_MAX {
            return self.close(Reply::closing("4.7.0", "too many unknown recipients"));
        }
        self.state = State::Mail(envelope);
        self.reply(reply);
    }

    /// RFC 5321 4.2.4, with the codes of RFC 3463 3.6.
    pub(super) fn refuse_command(&mut self, error: CommandError) {
        match error {
            CommandError::Http => {
                self.abandon_chunks();
                self.close(Reply::closing("4.7.0", "this is a mail server"));
            }
            CommandError::Unknown => self.bad_command(Reply::new(500, "5.5.1", "no such command")),
            CommandError::NotOffered => {
                self.bad_command(Reply::new(502, "5.5.1", "this command is not offered"))
            }
            CommandError::Syntax(text) => self.bad_command(Reply::new(501, "5.5.4", text)),
            CommandError::Address => {
                self.bad_command(Reply::new(501, "5.1.3", "not a valid address"))
            }
            CommandError::Parameter => {
                self.bad_command(Reply::new(555, "5.5.4", "this parameter is not offered"))
            }
            CommandError::Value => self.bad_command(Reply::new(
                501,
                "5.5.4",
                "a parameter is given twice or has a wrong value",
            )),
        }
    }
}
