//! The form that writes a message, an answer, or a forwarded message.

mod conversation;
pub(super) mod draft;
mod enclosures;
mod file_type;
mod form;
mod form_state;
mod forward;
mod from;
mod gather;
mod outgoing;
mod quote;
mod recipients;
mod repeated;
pub(super) mod reply;
mod send;
mod suggested;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use freehold_core::mailbox::queue::{Outbound, outbound};
use freehold_core::mailbox::{self, FolderId, SpecialUse};

use self::draft::Listed;
use self::form::{Fields, MessageForm, Posted};
use self::forward::Offers;
use self::from::Choice;
use self::recipients::KnownFriend;
pub(super) use self::send::send_mailto;
use super::parsed::PARSED_LEN_MAX;
use crate::done::Done;
use crate::fault::Fault;
use crate::friends::friend_name;
use crate::idempotency;
use crate::layout::Layout;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::sizes::size;
use crate::viewer::Owner;

const PAGE: &str = "/home/mail/write";
/// The longest text, in bytes.
const TEXT_LEN_MAX: usize = 1024 * 1024;
/// The limit on a message where no mail server is configured, in bytes.
const MESSAGE_LEN_MAX: u64 = 50 * 1024 * 1024;
/// The pause in typing after which a draft is saved, in milliseconds, and that for each MiB of its
/// files, which are written again with it.
const PAUSE_MS: u64 = 2000;
const PAUSE_MS_PER_MIB: u64 = 500;

pub(super) fn routes() -> Routes {
    Routes::new().get("/home/mail/write", Access::Owner, show).post(
        "/home/mail/write",
        Access::Owner,
        take,
    )
}

/// The longest message that the form makes, in bytes: as long as one that is sent may be, and not
/// longer than one that a page can take apart.
fn message_len_max(site: &Site) -> u64 {
    let len_max = site.mail.as_ref().map_or(MESSAGE_LEN_MAX, |mail| mail.message_len_max);
    len_max.min(PARSED_LEN_MAX as u64)
}

#[derive(Template)]
#[template(path = "mailbox/compose.html")]
struct ComposePage {
    page: Layout,
    form: MessageForm,
    fault: Option<Fault>,
    /// The owner's addresses; empty if there is only one.
    addresses: Vec<Choice>,
    /// People who may be meant by a recipient that is none.
    suggested: Vec<String>,
    /// Friends with their addresses, as the field takes them.
    friends: Vec<String>,
    /// The domains that mail reaches besides the owner's; `None` if they are not known, or if mail
    /// leaves for every domain.
    reach: Option<Vec<String>>,
    /// True if mail goes to the servers of its recipients' domains.
    is_direct: bool,
    /// The smarthost, by which mail for other domains goes.
    smarthost: Option<String>,
    /// The friend by whose node mail for other domains goes.
    by_friend: Option<String>,
    /// The files of the draft.
    files: Vec<Listed>,
    /// The files of the message that is forwarded.
    offered: Offers,
    /// The most bytes of files, for a person.
    room: String,
    /// The friends to whose nodes it goes without SMTP.
    straight: Vec<String>,
}

impl ComposePage {
    async fn new(site: &Site, form: MessageForm, fault: Option<Fault>) -> Result<Self, Problem> {
        let friends = recipients::known_friends(site)?;
        let outbound = outbound(&site.node)?;
        let domains = || site.mail.as_ref().map(|mail| mail.domains.clone());
        let straight = recipients::straight(site, &friends)?;
        let is_misnamed = Fault::of(fault.as_ref(), "to").is_some();
        Ok(Self {
            straight,
            page: site.owner_layout("Write a letter", "Mail")?,
            files: draft::files(site, &form.draft).await?,
            offered: forward::offered(site, &form).await?,
            room: size(gather::files_len_max(site)),
            addresses: from::choices(site, &form.from)?,
            suggested: match is_misnamed {
                true => suggested::people(site, &form, &friends)?,
                false => Vec::new(),
            },
            friends: friends.iter().map(KnownFriend::typed).collect(),
            form: MessageForm { key: idempotency::new_key(site), ..form },
            fault,
            reach: if outbound == Outbound::None { domains() } else { None },
            is_direct: outbound == Outbound::Direct,
            by_friend: match &outbound {
                Outbound::Friend(person) => Some(friend_name(&site.node, person)?),
                _ => None,
            },
            smarthost: match outbound {
                Outbound::Smarthost(smarthost) => Some(smarthost.host),
                Outbound::Friend(_) | Outbound::Direct | Outbound::None => None,
            },
        })
    }

    fn fault_of(&self, field: &str) -> Option<&str> {
        Fault::of(self.fault.as_ref(), field)
    }

    /// The pause after which the draft is saved, in milliseconds.
    fn pause_ms(&self) -> u64 {
        let len: u64 = self.files.iter().map(Listed::len).sum();
        PAUSE_MS.saturating_add((len >> 20).saturating_mul(PAUSE_MS_PER_MIB))
    }
}

/// The folder and the UID in a field such as `reply`.
fn reply_target(field: &str) -> Option<(u32, u32)> {
    let (folder, uid) = field.split_once('.')?;
    Some((folder.parse().ok()?, uid.parse().ok()?))
}

async fn show(
    State(site): State<Site>,
    _: Owner,
    Query(query): Query<Fields>,
    done: Done,
) -> PageResult {
    let query = MessageForm::of(query);
    let draft = draft::place(&site, &query.draft)?;
    let form = match (draft, reply_target(&query.reply), reply_target(&query.forward)) {
        (Some(place), ..) => draft::form(&site, place).await?.0,
        // It was sent, thrown away, or saved again.
        (None, ..) if !query.draft.is_empty() => return Err(Problem::NotFound),
        (None, Some((folder, uid)), _) => reply::form(&site, folder, uid, query.answer).await?,
        (None, None, Some((folder, uid))) => {
            forward::form(&site, folder, uid, query.is_whole).await?
        }
        (None, None, None) => MessageForm { key: String::new(), ..query },
    };
    let shown = ComposePage::new(&site, form, None).await?;
    let page = shown.page.saying(done);
    response::with_editor(response::page(&ComposePage { page, ..shown }))
}

async fn take(State(site): State<Site>, _: Owner, posted: Posted) -> PageResult {
    let intent = posted.form.intent.clone();
    match intent.as_str() {
        "draft" | "attach" => save(&site, posted, None).await,
        "discard" => discard(&site, &posted.form.draft).await,
        other => match other.strip_prefix("remove-") {
            Some(number) => {
                let number = number.parse().map_err(|_| Problem::BadRequest)?;
                save(&site, posted, Some(number)).await
            }
            None => match other.strip_prefix("name-") {
                Some(person) => {
                    let friends = recipients::known_friends(&site)?;
                    let form = suggested::with(posted.form, person, &friends);
                    save(&site, Posted { form, ..posted }, None).await
                }
                None => send::send(&site, posted).await,
            },
        },
    }
}

/// Saves the form as a draft, without one of the files that the draft had.
async fn save(site: &Site, posted: Posted, without: Option<usize>) -> PageResult {
    if posted.form.text.len() > TEXT_LEN_MAX {
        let len = posted.form.text.len();
        let fault = crate::fault::too_long("message", len, TEXT_LEN_MAX);
        return send_back(site, posted.form, Fault::new("text", fault)).await;
    }
    let (form, gathered) = gather::gather(site, posted, without).await?;
    match draft::save(site, &form, gathered.enclosures).await {
        Ok(place) => match gathered.fault {
            None => {
                let page = format!("{PAGE}?draft={}.{}", place.0, place.1);
                Ok(response::see_other(&Done::Saved.at(&page)))
            }
            Some(fault) => send_back(site, saved_form(form, place), fault).await,
        },
        Err(error) => send::not_saved(site, form, error).await,
    }
}

/// The form once it is saved: what it took from a forwarded message is in the draft.
fn saved_form(form: MessageForm, (folder, uid): (u32, u32)) -> MessageForm {
    let forwarded = if form.forwarded.is_empty() { form.forward } else { form.forwarded };
    let draft = format!("{folder}.{uid}");
    MessageForm { draft, forwarded, forward: String::new(), take: Vec::new(), ..form }
}

/// Moves the draft to the bin.
async fn discard(site: &Site, field: &str) -> PageResult {
    let Some((folder, uid)) = draft::place(site, field)? else {
        return Ok(response::see_other("/home/mail"));
    };
    let trash = mailbox::special_folder(&site.node, SpecialUse::Trash)?.ok_or(Problem::NotFound)?;
    match mailbox::move_messages(&site.node, FolderId(folder), &[uid], trash.id).await {
        Err(mailbox::TransferError::Store(error)) => Err(error.into()),
        Err(_) => Err(Problem::NotFound),
        Ok(moved) => {
            let undo = moved.first().map(|(_, new)| format!("?moved={}.{new}", trash.id.0));
            let list = format!("/home/mail/{folder}{}", undo.unwrap_or_default());
            Ok(response::see_other(&Done::MovedToTrash.at(&list)))
        }
    }
}

async fn send_back(site: &Site, form: MessageForm, fault: Fault) -> PageResult {
    send_back_with(site, StatusCode::UNPROCESSABLE_ENTITY, form, fault).await
}

async fn send_back_with(
    site: &Site,
    status: StatusCode,
    form: MessageForm,
    fault: Fault,
) -> PageResult {
    let page = ComposePage::new(site, form, Some(fault)).await?;
    response::with_editor(response::page_with_status(status, &page))
}

/// The answer to a form whose draft was changed elsewhere: its text comes back, as a new draft.
async fn changed(site: &Site, form: MessageForm) -> PageResult {
    let form = MessageForm { draft: String::new(), ..form };
    let fault = Fault::new(
        "form",
        "This draft was changed, sent or thrown away in another window. The text here is yours; \
         saved now, it becomes a second draft, without the files that the other one has.",
    );
    send_back_with(site, StatusCode::CONFLICT, form, fault).await
}
