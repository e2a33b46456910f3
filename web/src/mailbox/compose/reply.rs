//! The form of an answer: to the author, to everyone, or to the list.

use freehold_core::aliases;
use freehold_mime::people::{self, Person};
use freehold_mime::{content, header};

use super::conversation;
use super::form::MessageForm;
use super::quote;
use super::recipients::is_address;
use crate::mailbox::came_for::{self, Addresses};
use crate::mailbox::host_names::honest_address;
use crate::mailbox::parsed::{ParsedMessage, header_of, parsed};
use crate::mailbox::{mailto, message};
use crate::problem::Problem;
use crate::site::Site;

/// The parts of a message that a reply repeats.
#[derive(Default)]
struct Original {
    from: Vec<Person>,
    reply_to: Vec<Person>,
    followup_to: Vec<Person>,
    to: Vec<Person>,
    cc: Vec<Person>,
    list: Option<String>,
    addresses: Addresses,
    text: String,
}

impl Original {
    fn of(message: &ParsedMessage) -> Self {
        let charset = content::main_charset(&message.structure);
        Self { text: quote::text(message), ..Self::of_header(message.header(), charset.as_deref()) }
    }

    fn of_header(fields: &[u8], charset: Option<&str>) -> Self {
        let people = |name: &str| people::of(fields, name, charset);
        Self {
            from: people::first(fields, "from", charset),
            reply_to: people("reply-to"),
            followup_to: people("mail-followup-to"),
            to: people("to"),
            cc: people("cc"),
            list: list_address(fields),
            addresses: Addresses::of(fields),
            text: String::new(),
        }
    }
}

/// The address to which a list wants its messages (List-Post, RFC 2369 3.4); `None` without one,
/// and for a list to which nobody posts.
pub(in crate::mailbox) fn list_address(fields: &[u8]) -> Option<String> {
    let value = header::first(fields, "list-post").map(header::unfold)?;
    let links = mailto::links(&value);
    let address = links.iter().find_map(|link| mailto::Mailto::parse(link))?.to;
    is_address(&address).then_some(address)
}

/// The recipients of an answer, each once.
struct Recipients<'a> {
    site: &'a Site,
    named: Vec<String>,
}

impl Recipients<'_> {
    /// The addresses of people who are not named yet, without the owner's unless they may be.
    fn add(&mut self, people: &[Person], may_be_own: bool) -> Result<String, Problem> {
        let mut added = Vec::new();
        for person in people.iter().filter(has_address) {
            let address = person.address.to_ascii_lowercase();
            let is_own = !may_be_own && aliases::owns(&self.site.node, &person.address)?;
            if !is_own && !self.named.contains(&address) {
                self.named.push(address);
                added.push(honest_address(&person.address).into_owned());
            }
        }
        Ok(added.join(", "))
    }
}

fn has_address(person: &&Person) -> bool {
    !person.address.is_empty()
}

/// A reply to the people of Reply-To, else of From (RFC 5322 3.6.2); one to all also to the others
/// of To and Cc, or to those alone whom the author asks to answer to (Mail-Followup-To). A reply to
/// the owner's own message goes to the people whom that was for.
pub(super) async fn form(
    site: &Site,
    folder: u32,
    uid: u32,
    answer: &str,
) -> Result<MessageForm, Problem> {
    let (message, summary) = message::find(site, folder, uid)?;
    let original = match parsed(site, &message, Original::of).await? {
        Some(original) => original,
        None => Original::of_header(&header_of(site, &message).await?, None),
    };
    let from = came_for::address(site, &message, &original.addresses)?;
    let quoted: String =
        original.text.trim_end().lines().map(|line| format!("> {line}\n")).collect();
    let is_reply = summary.subject.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("re:"));
    let sender = Person { name: summary.from.name.clone(), address: summary.from.address.clone() };
    let has_author = original.from.iter().any(|person| has_address(&person));
    let authors = if has_author { original.from } else { vec![sender] };
    let has_reply_to = original.reply_to.iter().any(|person| has_address(&person));
    let asked = if has_reply_to { &original.reply_to } else { &authors };
    let mut is_own = true;
    for person in asked.iter().filter(has_address) {
        is_own &= aliases::owns(&site.node, &person.address)?;
    }
    let others: Vec<Person> = original.to.iter().chain(&original.cc).cloned().collect();
    let mut named = Recipients { site, named: Vec::new() };
    let (mut to, mut cc) = (String::new(), String::new());
    match (answer, original.list) {
        ("list", Some(list)) => to = list,
        ("all", _) if original.followup_to.iter().any(|person| has_address(&person)) => {
            to = named.add(&original.followup_to, false)?;
        }
        _ if is_own => to = named.add(&original.to, false)?,
        _ => {}
    }
    if to.is_empty() {
        to = named.add(asked, true)?;
    }
    if answer == "all" && original.followup_to.is_empty() {
        cc = named.add(&others, false)?;
    }
    Ok(MessageForm {
        to,
        cc,
        subject: if is_reply {
            summary.subject.clone()
        } else {
            format!("Re: {}", summary.subject)
        },
        text: format!("\n\n{} wrote:\n{quoted}", summary.from.shown()),
        from,
        references: conversation::answer_to(&summary),
        reply: format!("{folder}.{uid}"),
        ..MessageForm::default()
    })
}
