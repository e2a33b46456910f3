//! One message: sender, recipients, text, attachments, and the actions on it.

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, header};
use freehold_core::mailbox::queue::NOT_DELIVERED;
use freehold_core::mailbox::{
    self, FlagChange, FlagError, Flags, FolderId, Message, SpecialUse, Summary, TransferError,
};
use freehold_mime::people::{self, Person};
use freehold_mime::structure::HEADER_LEN_MAX;
use freehold_mime::{Structure, content};
use serde::Deserialize;

use super::blocks::{self, Attachment, Block, Blocks};
use super::compose::{draft, reply};
use super::host_names::honest_address;
use super::leave::{self, Leaving};
use super::named_people;
use super::parsed::{ParsedMessage, parsed};
use super::parts::PicturesQuery;
use super::pictures;
use super::proof::Proof;
use super::queue::{self, RecipientStatus};
use super::remote_pictures;
use super::thread::Thread;
use super::unsubscribe::List;
use super::why::Why;
use super::{Sidebar, sidebar};
use crate::avatar::Avatar;
use crate::done::Done;
use crate::layout::Layout;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;
use crate::{dates, headers};

/// Most people of Reply-To that are named.
const NAMED_MAX: usize = 8;
/// If the `Date` header and the arrival differ by more than this, both are shown, in milliseconds.
const DATE_GAP_MS: u64 = 60 * 60 * 1000;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/home/mail/{folder}/{uid}", Access::Owner, show)
        .post("/home/mail/{folder}/{uid}/move", Access::Owner, move_to)
        .post("/home/mail/{folder}/{uid}/unread", Access::Owner, mark_unread)
}

/// The open message as the template shows it.
struct OpenMessage {
    uid: u32,
    subject: String,
    avatar: Avatar,
    name: String,
    address: String,
    /// The sender's address as written; empty without one.
    sender: String,
    to: String,
    /// The recipients of copies; empty if there are none.
    cc: String,
    /// The people to whom an answer goes, if they are not the sender; else empty.
    reply_to: String,
    /// The authors after the first; empty if there is one.
    authors: String,
    /// True if the sender's name has the form of an address and there is no address.
    has_address_in_name: bool,
    /// True if not all of its header is read.
    has_long_header: bool,
    /// True if an answer can go to more than one person.
    has_others: bool,
    when: String,
    machine_time: String,
    /// `None` if the message is too long to be shown.
    blocks: Option<Vec<ShownBlock>>,
    attachments: Vec<Attachment>,
    /// The date of the `Date` header, if it differs from the arrival.
    written: Option<String>,
    /// True in the folders Sent and Drafts.
    is_own: bool,
    /// True but for drafts and reports of mail servers.
    can_be_answered: bool,
    /// True but for drafts.
    can_be_forwarded: bool,
    /// True if an answer can go to a mailing list.
    has_list: bool,
    /// True for a draft that the form can show.
    can_be_continued: bool,
    /// The state of delivery for each recipient; empty once all have it.
    delivery: Vec<RecipientStatus>,
    /// True if it did not reach every recipient.
    has_failed: bool,
    proof: Proof,
    why: Why,
    /// The sender's domain, if the sender can be let in or kept out; else empty.
    listable_domain: String,
    /// How to leave its mailing list.
    leaving: Option<Leaving>,
    /// The grant of pictures from elsewhere; empty without one.
    pictures: String,
    /// The folders to which it can be moved: form value and label.
    targets: Vec<(&'static str, &'static str)>,
}

/// A block with the address of its picture.
pub(super) struct ShownBlock {
    pub(super) block: Block,
    pub(super) picture: String,
}

/// The blocks of a message with the addresses of their pictures.
pub(super) fn shown(
    site: &Site,
    message: &Message,
    blocks: Vec<Block>,
) -> Result<Vec<ShownBlock>, Problem> {
    let mut shown = Vec::with_capacity(blocks.len());
    for block in blocks {
        let picture = match &block {
            Block::Picture { place, .. } => pictures::address(site, message, *place)?,
            _ => String::new(),
        };
        shown.push(ShownBlock { block, picture });
    }
    Ok(shown)
}

/// The people of a message and its blocks.
#[derive(Default)]
struct Parts {
    from: Vec<Person>,
    to: Vec<Person>,
    cc: Vec<Person>,
    reply_to: Vec<Person>,
    blocks: Blocks,
    has_long_header: bool,
    is_report: bool,
    is_plain: bool,
    has_list: bool,
    list: Option<List>,
    proof: Proof,
}

impl Parts {
    fn of(message: &ParsedMessage) -> Self {
        let charset = content::main_charset(&message.structure);
        let people = |name: &str| people::of(message.header(), name, charset.as_deref());
        let from = people::first(message.header(), "from", charset.as_deref());
        let author = from.first().and_then(|person| person.address.rsplit_once('@'));
        let domain = author.map(|(_, domain)| domain).unwrap_or_default();
        Self {
            proof: Proof::of(message.header(), domain),
            is_plain: draft::fits(message),
            list: leave::list(message),
            has_list: reply::list_address(message.header()).is_some(),
            from,
            to: people("to"),
            cc: people("cc"),
            reply_to: people("reply-to"),
            blocks: blocks::blocks(message),
            is_report: message
                .structure
                .part(Structure::ROOT)
                .media
                .is("multipart", Some("report")),
            has_long_header: message.structure.part(Structure::ROOT).header.len() > HEADER_LEN_MAX,
        }
    }
}

#[derive(Template)]
#[template(path = "mailbox/message.html")]
struct MessagePage {
    page: Layout,
    sidebar: Sidebar,
    message: OpenMessage,
    /// The other messages of its thread.
    thread: Thread,
}

async fn show(
    State(site): State<Site>,
    _: Owner,
    Path((folder, uid)): Path<(u32, u32)>,
    Query(query): Query<PicturesQuery>,
    headers: HeaderMap,
    done: Done,
) -> PageResult {
    let (message, summary) = find(&site, folder, uid)?;
    // A link on another site must not mark a message as read.
    let is_elsewhere = is_from_elsewhere(&headers);
    if !is_elsewhere {
        match change_flags(&site, &message, FlagChange::Add(Flags::of(Flags::SEEN))).await {
            // A disk that can't be written must not prevent reading.
            Err(FlagError::Store(error)) if error.is_refusal() => {}
            changed => changed?,
        }
    }
    let thread = Thread::of(&site, &message).await?;
    if !is_elsewhere {
        thread.mark_read(&site).await?;
    }
    let sidebar = sidebar(&site, folder, None, Some(uid)).await?;
    let message = open_message(&site, &message, summary).await?;
    let is_granted = remote_pictures::is_granted(&site, (folder, uid), &query.pictures);
    let pictures = if is_granted { query.pictures } else { String::new() };
    let message = OpenMessage { pictures, ..message };
    let page = site.owner_layout(&message.subject, "Mail")?.saying(done);
    let mut response = response::page(&MessagePage { page, sidebar, message, thread })?;
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, headers::PAGE_WITH_MESSAGE_POLICY.clone());
    Ok(response)
}

/// Whether a page of another site led here.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    matches!(site, Some(b"cross-site" | b"same-site"))
}

/// The message and its summary.
///
/// # Errors
/// [`Problem::NotFound`] if the folder has no message of this UID.
pub(super) fn find(site: &Site, folder: u32, uid: u32) -> Result<(Message, Summary), Problem> {
    let message = mailbox::message(&site.node, FolderId(folder), uid)?.ok_or(Problem::NotFound)?;
    let summary = mailbox::summary(&site.node, FolderId(folder), uid)?.unwrap_or_default();
    Ok((message, summary))
}

async fn open_message(
    site: &Site,
    message: &Message,
    summary: Summary,
) -> Result<OpenMessage, Problem> {
    let now = site.node.clock.now();
    let parts = parsed(site, message, Parts::of).await?;
    let is_too_long = parts.is_none();
    let parts = parts.unwrap_or_default();
    let shown = shown(site, message, parts.blocks.blocks)?;
    let joined = |people: &[Person]| named_people::joined(people);
    let is_sender = |person: &Person| person.address.eq_ignore_ascii_case(&summary.from.address);
    let answers_elsewhere = !parts.reply_to.iter().all(is_sender);
    let special = mailbox::folder(&site.node, message.folder)?.and_then(|folder| folder.special);
    let address = honest_address(&summary.from.address).into_owned();
    let name = Some(if summary.from.name.is_empty() { &address } else { &summary.from.name })
        .filter(|shown| !shown.is_empty())
        .map_or("Nobody named", String::as_str)
        .to_owned();
    let is_own = matches!(special, Some(SpecialUse::Sent | SpecialUse::Drafts));
    Ok(OpenMessage {
        uid: message.uid,
        subject: if summary.subject.is_empty() { "No subject".to_owned() } else { summary.subject },
        avatar: Avatar::of(&name, summary.from.address.to_ascii_lowercase().as_bytes()),
        has_address_in_name: summary.from.address.is_empty() && name.contains('@'),
        sender: summary.from.address.clone(),
        address: if address == name { String::new() } else { address },
        name,
        to: if parts.to.is_empty() { "nobody named".to_owned() } else { joined(&parts.to) },
        cc: joined(&parts.cc),
        // With the address: a name alone may be another person's address.
        reply_to: if answers_elsewhere {
            parts
                .reply_to
                .iter()
                .take(NAMED_MAX)
                .map(named_people::full)
                .collect::<Vec<_>>()
                .join(", ")
        } else {
            String::new()
        },
        authors: named_people::joined(parts.from.get(1..).unwrap_or_default()),
        has_long_header: parts.has_long_header,
        has_others: match is_own {
            true => !parts.cc.is_empty(),
            false => parts.to.len().saturating_add(parts.cc.len()) > 1,
        },
        when: dates::ago(message.internal_date, now),
        machine_time: dates::machine(message.internal_date),
        blocks: (!is_too_long).then_some(shown),
        attachments: parts.blocks.attachments,
        written: summary
            .date
            .filter(|date| date.0.abs_diff(message.internal_date.0) > DATE_GAP_MS)
            .map(dates::long),
        is_own,
        can_be_answered: special != Some(SpecialUse::Drafts) && !parts.is_report,
        can_be_forwarded: special != Some(SpecialUse::Drafts),
        has_list: parts.has_list,
        can_be_continued: special == Some(SpecialUse::Drafts) && parts.is_plain,
        delivery: if special == Some(SpecialUse::Sent) {
            delivery(site, message)?
        } else {
            Vec::new()
        },
        why: Why::of(site, message)?,
        listable_domain: if is_own { String::new() } else { domain_of(&parts.from) },
        proof: parts.proof,
        leaving: Leaving::of(site, parts.list, special)?,
        pictures: String::new(),
        has_failed: message.flags.has_keyword(NOT_DELIVERED),
        targets: targets(special),
    })
}

/// The domain of the author's address; empty without one.
fn domain_of(from: &[Person]) -> String {
    let address = from.first().map(|author| author.address.as_str()).unwrap_or_default();
    address.rsplit_once('@').map(|(_, domain)| domain.to_owned()).unwrap_or_default()
}

/// The state of delivery of a sent message for each recipient; empty if it is not in the queue.
fn delivery(site: &Site, message: &Message) -> Result<Vec<RecipientStatus>, Problem> {
    let Some(content) = mailbox::content(&site.node, message)? else { return Ok(Vec::new()) };
    let Some(outgoing) = mailbox::queued_with_blob(&site.node, &content.blob)? else {
        return Ok(Vec::new());
    };
    queue::statuses(site, &outgoing)
}

/// The folders to which a message can be moved from its folder: form value and label.
pub(super) fn targets(from: Option<SpecialUse>) -> Vec<(&'static str, &'static str)> {
    match from {
        Some(SpecialUse::Junk) => vec![("inbox", "Not junk"), ("trash", "Throw away")],
        Some(SpecialUse::Trash) => vec![("inbox", "Take back")],
        Some(SpecialUse::Archive) => vec![("inbox", "Back to the inbox"), ("trash", "Throw away")],
        Some(SpecialUse::Sent | SpecialUse::Drafts) => vec![("trash", "Throw away")],
        Some(SpecialUse::Inbox) | None => {
            vec![("archive", "Keep"), ("junk", "Junk"), ("trash", "Throw away")]
        }
    }
}

async fn change_flags(site: &Site, message: &Message, change: FlagChange) -> Result<(), FlagError> {
    mailbox::store_flags(&site.node, message.folder, &[message.uid], change, None).await.map(drop)
}

async fn mark_unread(
    State(site): State<Site>,
    _: Owner,
    Path((folder, uid)): Path<(u32, u32)>,
) -> PageResult {
    let (message, _) = find(&site, folder, uid)?;
    change_flags(&site, &message, FlagChange::Remove(Flags::of(Flags::SEEN))).await?;
    Ok(response::see_other(&Done::MarkedUnread.at(&format!("/home/mail/{folder}"))))
}

#[derive(Deserialize)]
struct MoveForm {
    /// The name of a special folder, or the number of any folder.
    to: String,
}

async fn move_to(
    State(site): State<Site>,
    _: Owner,
    Path((folder, uid)): Path<(u32, u32)>,
    Form(form): Form<MoveForm>,
) -> PageResult {
    let special = |special| mailbox::special_folder(&site.node, special);
    let (target, done) = match form.to.as_str() {
        "inbox" => (special(SpecialUse::Inbox)?, Done::MovedToInbox),
        "archive" => (special(SpecialUse::Archive)?, Done::MovedToArchive),
        "junk" => (special(SpecialUse::Junk)?, Done::MovedToJunk),
        "trash" => (special(SpecialUse::Trash)?, Done::MovedToTrash),
        id => {
            let id = id.parse().map_err(|_| Problem::BadRequest)?;
            (mailbox::folder(&site.node, FolderId(id))?, Done::Moved)
        }
    };
    let target = target.ok_or(Problem::NotFound)?.id;
    match mailbox::move_messages(&site.node, FolderId(folder), &[uid], target).await {
        // A second press of the button.
        Ok(moved) if moved.is_empty() => Ok(response::see_other(&format!("/home/mail/{folder}"))),
        // An undo leads to the folder in which the message is again.
        Ok(_) if done == Done::Moved => {
            Ok(response::see_other(&done.at(&format!("/home/mail/{}", target.0))))
        }
        Ok(moved) => {
            let undo = moved.first().map(|(_, new)| format!("?moved={}.{new}", target.0));
            let list = format!("/home/mail/{folder}{}", undo.unwrap_or_default());
            Ok(response::see_other(&done.at(&list)))
        }
        Err(TransferError::Store(error)) => Err(error.into()),
        Err(_) => Err(Problem::NotFound),
    }
}
