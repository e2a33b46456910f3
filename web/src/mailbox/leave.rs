//! Leaving a mailing list from the page of a message, when the owner presses the button: by one
//! POST of this node (RFC 8058), or by a message.
//!
//! The request is made while the owner waits, as for an invite: a crash before the answer leaves
//! the button there, so that no record of intent is needed. A list that was left is recorded.

use axum::extract::{Path, State};
use freehold_core::mailbox::{self, IdempotencyKey, Message, SpecialUse};
use freehold_mime::people::{self, Person};
use freehold_mime::{Structure, content};

use super::compose;
use super::message::find;
use super::parsed::{ParsedMessage, parsed};
use super::unsubscribe::{List, Way};
use crate::dates;
use crate::done::Done;
use crate::internet::URL_LEN_MAX;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

/// The content of the POST (RFC 8058 3.2).
const ONE_CLICK: &str = "List-Unsubscribe=One-Click";

pub(super) fn routes() -> Routes {
    Routes::new().post("/home/mail/{folder}/{uid}/leave", Access::Owner, leave)
}

/// How the page of a message shows its list.
pub(super) enum Leaving {
    /// A button: the node asks the list at this host.
    Button(String),
    /// A button: a message to this address leaves.
    Mail(String),
    /// A page of the sender.
    Page(String),
    /// It was left at this time.
    Left(String),
}

impl Leaving {
    /// `None` for a message that is in Junk, where a request would tell the sender that it was
    /// read, or that is the owner's.
    pub(super) fn of(
        site: &Site,
        list: Option<List>,
        special: Option<SpecialUse>,
    ) -> Result<Option<Self>, Problem> {
        let Some(list) = list.filter(|_| may_be_left(special)) else { return Ok(None) };
        if let Some(left) = mailbox::left_list(&site.node, &list.name)? {
            return Ok(Some(Self::Left(dates::long(left))));
        }
        Ok(Some(match list.way {
            Way::OneClick(link) => {
                let host =
                    url::Url::parse(&link).ok().and_then(|url| Some(url.host_str()?.to_owned()));
                Self::Button(host.unwrap_or_default())
            }
            Way::Mail(mailto) => Self::Mail(mailto.to),
            Way::Page(link) => Self::Page(link),
        }))
    }
}

fn may_be_left(special: Option<SpecialUse>) -> bool {
    !matches!(special, Some(SpecialUse::Junk | SpecialUse::Sent | SpecialUse::Drafts))
}

/// The list of a message.
pub(super) fn list(message: &ParsedMessage) -> Option<List> {
    let charset = content::main_charset(&message.structure);
    let from = people::first(message.header(), "from", charset.as_deref());
    List::of(message.header(), from.first())
}

/// The list and the people that a message was for.
fn read(message: &ParsedMessage) -> (Option<List>, Vec<Person>) {
    let fields = message.structure.header(&message.bytes, Structure::ROOT);
    let of = |name| people::of(fields, name, None);
    (list(message), [of("to"), of("cc")].concat())
}

async fn leave(
    State(site): State<Site>,
    _: Owner,
    Path((folder, uid)): Path<(u32, u32)>,
) -> PageResult {
    let (message, _) = find(&site, folder, uid)?;
    let special = mailbox::folder(&site.node, message.folder)?.and_then(|folder| folder.special);
    let (list, people) = parsed(&site, &message, read).await?.unwrap_or_default();
    let list = list.filter(|_| may_be_left(special)).ok_or(Problem::NotFound)?;
    let page = format!("/home/mail/{folder}/{uid}");
    if mailbox::left_list(&site.node, &list.name)?.is_some() {
        return Ok(response::see_other(&page));
    }
    let done = match &list.way {
        Way::OneClick(link) if link.len() <= URL_LEN_MAX => {
            match site.internet.post(link, ONE_CLICK).await {
                Ok(()) => Done::ListLeft,
                Err(cause) => {
                    tracing::info!(%cause, list = list.name, "a list could not be left");
                    return Ok(response::see_other(&Done::ListNotLeft.at(&page)));
                }
            }
        }
        Way::Mail(mailto) => {
            compose::send_mailto(&site, key(&message), mailto, &people).await?;
            Done::LeaveMailSent
        }
        Way::OneClick(_) | Way::Page(_) => return Err(Problem::BadRequest),
    };
    mailbox::record_left_list(&site.node, &list.name).await?;
    Ok(response::see_other(&done.at(&page)))
}

/// The key of the message that leaves the list: a second press sends none.
fn key(message: &Message) -> IdempotencyKey {
    let (folder, uid) = (message.folder.0.to_be_bytes(), message.uid.to_be_bytes());
    IdempotencyKey::of(&[b"leave", &folder, &uid])
}
