//! Fields that were added to a signed message (RFC 6376 8.15).
//!
//! A signature covers as many instances of a field as its `h=` names it, from the last one upwards.
//! A forger may put another `Subject` or `Content-Type` before them: the signature stays valid, and
//! programs show the first one. RFC 5322 3.6 and RFC 2045 allow these fields once, so a signature
//! that does not cover every instance proves nothing about the message that is shown.
//!
//! A field that is there once and is not signed does not count: RFC 6376 5.4 leaves the choice
//! to the signer, honest ones often leave out Reply-To or Content-Type, and nothing shows that
//! somebody else has added it.

use freehold_mime::header;
use mail_auth::{AuthenticatedMessage, DkimOutput, DkimResult, Error};

/// The fields that a message has at most once (RFC 5322 3.6, RFC 2045 3, RFC 2183 2).
const ONCE: [&str; 17] = [
    "date",
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "bcc",
    "message-id",
    "in-reply-to",
    "references",
    "subject",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
    "content-id",
    "content-description",
];

/// The fields of a header that are there more than once, with their number.
pub(super) struct Repeated(Vec<(&'static str, usize)>);

impl Repeated {
    /// Reads a header. Instances that say the same are one: programs show the same by any of them.
    pub(super) fn of(header: &[u8]) -> Self {
        let mut found: Vec<(&'static str, usize, Vec<u8>, bool)> = Vec::new();
        for field in header::fields(header) {
            let Some(name) = ONCE.into_iter().find(|name| field.is(name)) else { continue };
            let value = header::unfold(field.value);
            match found.iter_mut().find(|(known, ..)| *known == name) {
                Some((_, count, first, is_same)) => {
                    *count = count.saturating_add(1);
                    *is_same &= *first == value;
                }
                None => found.push((name, 1, value, true)),
            }
        }
        let differing = found.into_iter().filter(|(.., is_same)| !is_same);
        Self(differing.map(|(name, count, ..)| (name, count)).collect())
    }

    /// The first of them of which a signature of the fields `signed` does not cover every instance.
    pub(super) fn beyond(&self, signed: &[String]) -> Option<&'static str> {
        let signed = |name: &str| {
            signed.iter().filter(|signed| signed.trim().eq_ignore_ascii_case(name)).count()
        };
        self.0.iter().find(|(name, count)| signed(name) < *count).map(|(name, _)| *name)
    }

    /// The first of them that a valid signature of `outputs` does not cover.
    pub(super) fn found_by(&self, outputs: &[DkimOutput<'_>]) -> Option<&'static str> {
        let refused = outputs.iter().filter(|output| is_refused(output));
        refused.filter_map(DkimOutput::signature).find_map(|signature| self.beyond(&signature.h))
    }

    /// The result of a signature of `message`, which is none that counts if a field was added.
    pub(super) fn judged<'a>(
        &self,
        message: &'a AuthenticatedMessage<'a>,
        output: DkimOutput<'a>,
    ) -> DkimOutput<'a> {
        let Some(signature) = output.signature() else { return output };
        if *output.result() != DkimResult::Pass || self.beyond(&signature.h).is_none() {
            return output;
        }
        let own = message.dkim_headers.iter().find(|header| header.header == *signature);
        let refused = DkimOutput::neutral(Error::NotAligned);
        match own {
            Some(own) => refused.with_signature(&own.header),
            None => refused,
        }
    }
}

/// Whether a signature is valid and does not count. No other result has this error.
fn is_refused(output: &DkimOutput<'_>) -> bool {
    *output.result() == DkimResult::Neutral(Error::NotAligned)
}

/// The text of such a result, with its name in RFC 8601 2.7.1: the signature is valid, and this
/// server does not accept it.
pub(super) fn named(field: &str) -> String {
    field.replace(
        "dkim=neutral (policy not aligned)",
        "dkim=policy (a field was added to the signed ones)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beyond(header: &str, signed: &[&str]) -> Option<&'static str> {
        let signed: Vec<String> = signed.iter().map(|name| (*name).to_owned()).collect();
        Repeated::of(header.as_bytes()).beyond(&signed)
    }

    #[test]
    fn added_field_is_found() {
        for name in ONCE {
            let header =
                format!("{name}: forged\r\nX: y\r\n{}: \r\n true\r\n\r\n", name.to_uppercase());
            assert_eq!(beyond(&header, &["X", name]), Some(name));
            assert_eq!(beyond(&header, &[]), Some(name));
            assert_eq!(beyond(&header, &[name, "X", name]), None, "both are signed");
        }
        let spaced = "Subject : forged\r\nsubject: true\r\n\r\n";
        assert_eq!(beyond(spaced, &["subject"]), Some("subject"));
    }

    #[test]
    fn fields_that_add_nothing_are_passed_over() {
        for header in [
            "Subject: a\r\nTo: b\r\nReply-To: c\r\n\r\n",
            "MIME-Version: 1.0\r\nMIME-Version:\r\n 1.0 \r\n\r\n",
            "Received: a\r\nReceived: b\r\nX-A: a\r\nX-A: b\r\n\r\n",
            "",
        ] {
            assert_eq!(beyond(header, &["From"]), None, "{header}");
        }
    }
}
