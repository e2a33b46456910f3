//! The parameters of MAIL and RCPT that a next hop supports.

use freehold_core::mailbox::QueuedMessage;
use freehold_core::mailbox::queue::{Notify, xtext_encoded};

use super::connection::Connection;
use super::text::Text;
use crate::queue::result::AttemptResult;
use crate::smtp::address::Mailbox;

impl Connection {
    /// MAIL with the parameters that the next hop supports (RFC 1870, 6152, 6531, 3461). ENVID is
    /// the same at every attempt.
    pub(super) fn mail(
        &self,
        item: &QueuedMessage,
        size: u64,
        to: &[String],
        text: &Text,
    ) -> Result<String, AttemptResult> {
        let refused = |reply: &str| AttemptResult::Refused(reply.to_owned());
        let from = match item.from.as_str() {
            "" => None,
            from => {
                let from = Mailbox::parse(from).map(Mailbox::with_ascii_domain);
                Some(from.ok_or_else(|| refused("553 5.1.7 not a valid address"))?)
            }
        };
        let mut mail =
            format!("MAIL FROM:<{}>", from.as_ref().map(Mailbox::to_string).unwrap_or_default());
        if let Some(len_max) = self.extensions.size {
            if len_max > 0 && size > len_max {
                return Err(AttemptResult::Refused(format!(
                    "552 5.3.4 the next hop accepts messages of at most {len_max} bytes"
                )));
            }
            mail.push_str(&format!(" SIZE={size}"));
        }
        if self.extensions.eight_bit {
            mail.push_str(" BODY=8BITMIME");
        } else if text.is_eight_bit {
            return Err(refused("554 5.6.3 the next hop does not accept 8-bit messages"));
        }
        let international = from.is_some_and(|from| from.is_international())
            || to.iter().any(|to| needs_smtputf8(to))
            || text.is_international;
        if international && self.extensions.international {
            mail.push_str(" SMTPUTF8");
        } else if international {
            return Err(refused(
                "553 5.6.7 the next hop does not accept non-ASCII addresses or headers",
            ));
        }
        if self.extensions.dsn {
            let ret = if item.request.return_full { "FULL" } else { "HDRS" };
            let own_id = item.id.to_string();
            let id = item.request.envelope_id.as_deref().unwrap_or(&own_id);
            mail.push_str(&format!(" RET={ret} ENVID={}", xtext_encoded(id)));
        }
        mail.push_str("\r\n");
        Ok(mail)
    }

    /// NOTIFY and ORCPT as the sender gave them (RFC 3461 5.2.1).
    pub(super) fn report_parameters(&self, item: &QueuedMessage, address: &str) -> String {
        let recipient = item.recipients.iter().find(|recipient| recipient.address == address);
        let Some(recipient) = recipient.filter(|_| self.extensions.dsn) else {
            return String::new();
        };
        let mut parameters = String::new();
        if let Some(Notify { success, failure, delay }) = recipient.notify {
            let words = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
            let words: Vec<&str> =
                words.iter().filter(|(wanted, _)| *wanted).map(|(_, word)| *word).collect();
            let notify = if words.is_empty() { "NEVER".to_owned() } else { words.join(",") };
            parameters.push_str(&format!(" NOTIFY={notify}"));
        }
        let original = recipient.original.as_ref();
        if let Some(original) = original.filter(|o| o.is_ascii() || self.extensions.international) {
            parameters.push_str(&format!(" ORCPT={original}"));
        }
        parameters
    }
}

/// Whether an address needs SMTPUTF8 in any form of its domain.
fn needs_smtputf8(address: &str) -> bool {
    !address.is_ascii()
        && Mailbox::parse(address)
            .is_none_or(|mailbox| mailbox.with_ascii_domain().is_international())
}
