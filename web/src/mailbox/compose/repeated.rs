//! A message that was sent already. A browser that goes back after the sending fills a new form
//! with the old text; the new form has a key of its own, so that only the text shows it.

use std::collections::BTreeSet;

use freehold_core::mailbox::{self, Message, SpecialUse, Summary};
use freehold_mime::{people, text};

use super::draft;
use super::form::MessageForm;
use super::outgoing::{body, one_line};
use super::recipients::Recipient;
use crate::dates;
use crate::fault::Fault;
use crate::mailbox::parsed::{ParsedMessage, parsed};
use crate::problem::Problem;
use crate::site::Site;

/// How long a message is remembered, in milliseconds.
const REMEMBERED_MS: u64 = 60 * 60 * 1000;
/// How many of the messages in Sent are looked at, the newest first.
const SEARCHED_MAX: usize = 20;
/// The longest subject of a summary, in bytes.
const SUBJECT_LEN_MAX: usize = 500;

/// The fault of a message that was sent to the same people with the same words within the last
/// hour, unless the owner means it.
///
/// # Errors
/// If the mailbox can't be read.
pub(super) async fn check(
    site: &Site,
    form: &MessageForm,
    recipients: &[Recipient],
) -> Result<Option<Fault>, Problem> {
    // One without text is asked about, or has files, which a browser does not fill in again.
    if !form.again.is_empty() || form.text.trim().is_empty() {
        return Ok(None);
    }
    let Some(sent) = mailbox::special_folder(&site.node, SpecialUse::Sent)? else {
        return Ok(None);
    };
    let now = site.node.clock.now();
    let subject = text::one_line(&one_line(&form.subject), SUBJECT_LEN_MAX);
    let wanted = Words {
        recipients: recipients.iter().map(|to| to.address.to_lowercase()).collect(),
        text: comparable(&form.text),
    };
    let is_near = |(message, summary): &(Message, Summary)| {
        now.millis_since(message.internal_date) < REMEMBERED_MS && subject == summary.subject
    };
    let newest = mailbox::summaries(&site.node, sent.id, None, SEARCHED_MAX)?;
    for (message, _) in newest.into_iter().filter(is_near) {
        // One that was moved or deleted meanwhile is none.
        if mailbox::content(&site.node, &message)?.is_none() {
            continue;
        }
        let words = parsed(site, &message, Words::of).await?.flatten();
        if words.is_some_and(|words| words == wanted) {
            let when = dates::ago(message.internal_date, now);
            let fault = format!(
                "You sent these words to the same people {when}. They were not sent again. Tick the \
                 box to send them once more."
            );
            return Ok(Some(Fault::new("again", fault)));
        }
    }
    Ok(None)
}

/// The words of a message and the people to whom it goes.
#[derive(PartialEq, Eq)]
struct Words {
    recipients: BTreeSet<String>,
    text: String,
}

impl Words {
    fn of(message: &ParsedMessage) -> Option<Self> {
        let of = |name| people::of(message.header(), name, None);
        let people = [of("to"), of("cc")].concat();
        Some(Self {
            recipients: people.into_iter().map(|person| person.address.to_lowercase()).collect(),
            text: comparable(&draft::text(message)?),
        })
    }
}

fn comparable(text: &str) -> String {
    body(text).trim_end().to_owned()
}
