//! The form that writes a message or a reply.

pub(super) mod draft;
mod outgoing;
mod recipients;

use askama::Template;
use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use freehold_core::aliases::{self, Standing};
use freehold_core::mailbox::queue::{
    Outbound, QueueId, ReportRequest, SendLimits, SubmitError, outbound,
};
use freehold_core::mailbox::{
    self, FlagChange, Flags, FolderId, IdempotencyKey, SpecialUse, Submission,
};
use freehold_core::profile;
use freehold_mime::people::{self, Person};
use freehold_mime::{Content, Shown, content, html};
use serde::Deserialize;

use self::recipients::{KnownFriend, Recipient};
use super::host_names::honest_address;
use super::message;
use super::parsed::{ParsedMessage, parsed};
use super::queue;
use crate::blobs;
use crate::done::Done;
use crate::fault::Fault;
use crate::idempotency;
use crate::layout::Layout;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

/// The longest text, in bytes.
const TEXT_LEN_MAX: usize = 1024 * 1024;
/// How much of the original message a reply quotes, in bytes.
const QUOTED_LEN_MAX: usize = 64 * 1024;

pub(super) fn routes() -> Routes {
    Routes::new().get("/home/mail/write", Access::Owner, show).post(
        "/home/mail/write",
        Access::Owner,
        send,
    )
}

/// The form's fields.
#[derive(Clone, Default, Deserialize)]
struct MessageForm {
    #[serde(default)]
    to: String,
    /// The recipients of copies.
    #[serde(default)]
    cc: String,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    text: String,
    /// The owner's address in From; empty for the first.
    #[serde(default)]
    from: String,
    /// `folder.uid` of the message to which this replies.
    #[serde(default)]
    reply: String,
    /// `folder.uid` of the draft that this goes on with.
    #[serde(default)]
    draft: String,
    /// When it is to be sent, as a `datetime-local` field has it; empty to send it at once.
    #[serde(default)]
    later: String,
    /// Not empty for a reply to all.
    #[serde(default)]
    all: String,
    /// Not empty if a message without subject and text is meant.
    #[serde(default)]
    empty: String,
    /// The idempotency key.
    #[serde(default)]
    key: String,
}

#[derive(Template)]
#[template(path = "mailbox/compose.html")]
struct ComposePage {
    page: Layout,
    form: MessageForm,
    fault: Option<Fault>,
    /// The owner's addresses; empty if there is only one.
    addresses: Vec<String>,
    /// Friends with their addresses, as the field takes them.
    friends: Vec<String>,
    /// The domains that mail reaches besides the owner's; `None` if they are not known, or if mail
    /// leaves for every domain.
    reach: Option<Vec<String>>,
    /// True if mail goes to the servers of its recipients' domains.
    is_direct: bool,
    /// The smarthost, by which mail for other domains goes.
    smarthost: Option<String>,
}

impl ComposePage {
    fn new(site: &Site, form: MessageForm, fault: Option<Fault>) -> Result<Self, Problem> {
        let friends = recipients::known_friends(site)?;
        let outbound = outbound(&site.node)?;
        let domains = || site.mail.as_ref().map(|mail| mail.domains.clone());
        Ok(Self {
            page: site.owner_layout("Write a letter", "Mail")?,
            form,
            fault,
            addresses: addresses(site)?,
            friends: friends.iter().map(KnownFriend::typed).collect(),
            reach: if outbound == Outbound::None { domains() } else { None },
            is_direct: outbound == Outbound::Direct,
            smarthost: match outbound {
                Outbound::Smarthost(smarthost) => Some(smarthost.host),
                Outbound::Direct | Outbound::None => None,
            },
        })
    }

    fn fault_of(&self, field: &str) -> Option<&str> {
        Fault::of(self.fault.as_ref(), field)
    }
}

/// The addresses as which the owner can write, the first one first; empty if there is only that.
fn addresses(site: &Site) -> Result<Vec<String>, Problem> {
    let Some(owner) = site.profile()? else { return Ok(Vec::new()) };
    let open = aliases::aliases(&site.node)?.into_iter().filter(|alias| alias.is_on);
    let mut all: Vec<String> = open.map(|alias| aliases::address(&owner, &alias.local)).collect();
    if !all.is_empty() {
        all.insert(0, profile::address(&owner));
    }
    Ok(all)
}

/// The alias to which a message was sent, to answer as that; empty for the owner's first address.
fn addressed(site: &Site, people: &[Person]) -> Result<String, Problem> {
    for person in people {
        if let Standing::Alias(local) = aliases::standing(&site.node, &person.address)?
            && let Some(owner) = site.profile()?
        {
            return Ok(aliases::address(&owner, &local));
        }
    }
    Ok(String::new())
}

/// The folder and the UID in the field `reply`.
fn reply_target(reply: &str) -> Option<(u32, u32)> {
    let (folder, uid) = reply.split_once('.')?;
    Some((folder.parse().ok()?, uid.parse().ok()?))
}

async fn show(
    State(site): State<Site>,
    _: Owner,
    Query(query): Query<MessageForm>,
    done: Done,
) -> PageResult {
    let form = match (draft::place(&site, &query.draft)?, reply_target(&query.reply)) {
        (Some(place), _) => draft::form(&site, place).await?,
        (None, Some((folder, uid))) => {
            reply_form(&site, folder, uid, !query.all.is_empty()).await?
        }
        (None, None) => query,
    };
    let form = MessageForm { key: idempotency::new_key(&site), ..form };
    let shown = ComposePage::new(&site, form, None)?;
    let page = shown.page.saying(done);
    response::with_editor(response::page(&ComposePage { page, ..shown }))
}

/// The parts of a message that a reply repeats.
#[derive(Default)]
struct Original {
    from: Vec<Person>,
    reply_to: Vec<Person>,
    to: Vec<Person>,
    cc: Vec<Person>,
    text: String,
}

impl Original {
    fn of(message: &ParsedMessage) -> Self {
        let charset = content::main_charset(&message.structure);
        let people = |name: &str| people::of(message.header(), name, charset.as_deref());
        Self {
            from: people::first(message.header(), "from", charset.as_deref()),
            reply_to: people("reply-to"),
            to: people("to"),
            cc: people("cc"),
            text: text(message),
        }
    }
}

/// The texts of a message that are shown, to be quoted.
fn text(message: &ParsedMessage) -> String {
    let (bytes, structure) = (&message.bytes, &message.structure);
    let mut text = String::new();
    for shown in Content::of(bytes, structure).shown {
        let next = match shown {
            Shown::Text(id) => content::text_of(bytes, structure, id, 4 * QUOTED_LEN_MAX),
            Shown::Html(id) => {
                html::to_plain(&content::html_of(bytes, structure, id, TEXT_LEN_MAX))
            }
            Shown::Image(_) | Shown::Message(_) => continue,
        };
        text.push_str(next.trim_end());
        text.push('\n');
        if text.len() >= QUOTED_LEN_MAX {
            break;
        }
    }
    if text.len() > QUOTED_LEN_MAX {
        text.truncate(text.floor_char_boundary(QUOTED_LEN_MAX));
        text.truncate(text.rfind('\n').unwrap_or(text.len()));
        text.push_str("\n[…]");
    }
    text
}

/// A reply to the people of Reply-To, else of From (RFC 5322 3.6.2); one to all also to the others
/// of To and Cc. A reply to the owner's own message goes to the people whom that was for.
async fn reply_form(
    site: &Site,
    folder: u32,
    uid: u32,
    to_all: bool,
) -> Result<MessageForm, Problem> {
    let (message, summary) = message::find(site, folder, uid)?;
    let original = parsed(site, &message, Original::of).await?.unwrap_or_default();
    let quoted: String =
        original.text.trim_end().lines().map(|line| format!("> {line}\n")).collect();
    let is_reply = summary.subject.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("re:"));
    let mut named: Vec<String> = Vec::new();
    let mut add = |people: &[Person], may_be_own: bool| -> Result<String, Problem> {
        let mut added = Vec::new();
        for person in people.iter().filter(|person| !person.address.is_empty()) {
            let address = person.address.to_ascii_lowercase();
            let is_own = !may_be_own && aliases::owns(&site.node, &person.address)?;
            if !is_own && !named.contains(&address) {
                named.push(address);
                added.push(honest_address(&person.address).into_owned());
            }
        }
        Ok(added.join(", "))
    };
    let sender = Person { name: summary.from.name.clone(), address: summary.from.address.clone() };
    let has_author = original.from.iter().any(|person| !person.address.is_empty());
    let authors = if has_author { original.from } else { vec![sender] };
    let has_reply_to = original.reply_to.iter().any(|person| !person.address.is_empty());
    let asked = if has_reply_to { &original.reply_to } else { &authors };
    let mut is_own = true;
    for person in asked.iter().filter(|person| !person.address.is_empty()) {
        is_own &= aliases::owns(&site.node, &person.address)?;
    }
    let mut to = if is_own { add(&original.to, false)? } else { String::new() };
    if to.is_empty() {
        to = add(asked, true)?;
    }
    let people: Vec<Person> = original.to.iter().chain(&original.cc).cloned().collect();
    let from = addressed(site, &people)?;
    let others: Vec<Person> = original.to.into_iter().chain(original.cc).collect();
    let cc = if to_all { add(&others, false)? } else { String::new() };
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
        reply: format!("{folder}.{uid}"),
        ..MessageForm::default()
    })
}

async fn send(State(site): State<Site>, _: Owner, Form(form): Form<MessageForm>) -> PageResult {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    let friends = recipients::known_friends(&site)?;
    let to = recipients::complete(recipients::typed(&form.to), &friends);
    let cc = recipients::complete(recipients::typed(&form.cc), &friends);
    let all: Vec<Recipient> = to.iter().chain(&cc).cloned().collect();
    if let Some(fault) = outgoing::check(&site, &profile, &form, &all)? {
        return send_back(&site, form, fault);
    }
    let from = match form.from.as_str() {
        "" => profile::address(&profile),
        from if aliases::owns(&site.node, from)? => from.to_owned(),
        _ => return Err(Problem::BadRequest),
    };
    let message = outgoing::message(&site, (&profile, &from), &form, &to, &cc)?;
    let blob = blobs::put(&site, message).await?;
    let texts = [form.to.as_str(), &form.cc, &form.subject, &form.text, &form.reply];
    // Without copies the id is that of the form without the field, so that a form that was opened
    // before an update is still recognised.
    let without_cc = [form.to.as_str(), &form.subject, &form.text, &form.reply];
    let texts: &[&str] = if form.cc.is_empty() { &without_cc } else { &texts };
    let id = IdempotencyKey(idempotency::id_for(&site, &form.key, texts));
    let recipients = all.into_iter().map(|recipient| recipient.address.into()).collect();
    let request = ReportRequest::default();
    let limits = site.mail.as_ref().map_or(SendLimits::NONE, |mail| mail.limits);
    let undo_ms = site.mail.as_ref().map_or(0, |mail| mail.undo_ms);
    let at_once = site.node.clock.now().plus_millis(undo_ms);
    let not_before = match outgoing::later(&form, site.node.clock.now()) {
        Ok(later) => later.or((undo_ms > 0).then_some(at_once)),
        Err(fault) => return send_back(&site, form, fault),
    };
    let submission =
        Submission { id, from, recipients, blob, copy_to_sent: true, request, limits, not_before };
    match mailbox::submit(&site.node, submission).await {
        Ok(id) => sent(&site, &form, id).await,
        Err(SubmitError::Store(error)) => Err(error.into()),
        Err(error) => send_back(&site, form, refusal(&error)),
    }
}

async fn sent(site: &Site, form: &MessageForm, id: QueueId) -> PageResult {
    mark_answered(site, &form.reply).await;
    draft::delete(site, &form.draft).await;
    if mailbox::queue::item(&site.node, id)?.is_some_and(|item| item.held) {
        return Ok(response::see_other(&Done::MessageHeld.at("/home/mail/queue")));
    }
    if !form.later.trim().is_empty() {
        return Ok(response::see_other(&Done::MessageScheduled.at("/home/mail/queue")));
    }
    let sent = mailbox::special_folder(&site.node, SpecialUse::Sent)?.ok_or(Problem::NotFound)?;
    let undo = queue::undoable(site, &id.to_string())?.map(|id| format!("?sent={id}"));
    let list = format!("/home/mail/{}{}", sent.id.0, undo.unwrap_or_default());
    Ok(response::see_other(&Done::MessageSent.at(&list)))
}

fn refusal(error: &SubmitError) -> Fault {
    Fault::new("to", format!("The message was not sent: {error}. Nothing you typed is lost."))
}

fn send_back(site: &Site, form: MessageForm, fault: Fault) -> PageResult {
    let page = ComposePage::new(site, form, Some(fault))?;
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    response::with_editor(response::page_with_status(status, &page))
}

/// Sets `\Answered` on the message to which this replied. The reply is queued already, so a failure
/// is only logged.
async fn mark_answered(site: &Site, reply: &str) {
    if let Some((folder, uid)) = reply_target(reply) {
        let change = FlagChange::Add(Flags::of(Flags::ANSWERED));
        if let Err(error) =
            mailbox::store_flags(&site.node, FolderId(folder), &[uid], change, None).await
        {
            tracing::warn!(%error, "the flag \\Answered could not be set");
        }
    }
}
