//! Leaving a mailing list from the page of a message, when the owner presses the button: by one
//! POST of this node (RFC 8058), or by a message.
//!
//! The request is made while the owner waits, as for an invite: a crash before the answer leaves
//! the button there, so that no record of intent is needed. The request is recorded, and may be
//! repeated: only the list knows whether it took the request.

use axum::extract::{Form, Path, State};
use freehold_core::clock::Timestamp;
use freehold_core::mailbox::{self, IdempotencyKey, SpecialUse};
use serde::Deserialize;

use super::came_for::{self, Addresses};
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
pub(super) struct Leaving {
    pub(super) way: LeavingWay,
    /// When the owner last asked, for a person; empty if they did not.
    pub(super) asked: String,
    /// The same in milliseconds, for the form: a second press of one button asks once.
    pub(super) asked_ms: String,
}

/// How a list is left.
pub(super) enum LeavingWay {
    /// A button: the node asks the list at this host.
    Button(String),
    /// A button: a message to this address leaves.
    Mail(String),
    /// A page of the sender.
    Page(String),
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
        let asked = mailbox::asked_to_leave(&site.node, &list.target)?;
        Ok(Some(Self {
            asked: asked.map(dates::long).unwrap_or_default(),
            asked_ms: millis(asked),
            way: match list.way {
                Way::OneClick(link) => {
                    let url = url::Url::parse(&link).ok();
                    let host = url.and_then(|url| Some(url.host_str()?.to_owned()));
                    LeavingWay::Button(host.unwrap_or_default())
                }
                Way::Mail(mailto) => LeavingWay::Mail(mailto.to),
                Way::Page(link) => LeavingWay::Page(link),
            },
        }))
    }
}

fn millis(asked: Option<Timestamp>) -> String {
    asked.map(|at| at.0.to_string()).unwrap_or_default()
}

fn may_be_left(special: Option<SpecialUse>) -> bool {
    !matches!(special, Some(SpecialUse::Junk | SpecialUse::Sent | SpecialUse::Drafts))
}

/// The list of a message and the addresses that it came for.
fn read(message: &ParsedMessage) -> (Option<List>, Addresses) {
    (List::of(message.header()), Addresses::of(message.header()))
}

#[derive(Deserialize)]
struct LeaveForm {
    /// When the owner had asked before, as the page showed it.
    #[serde(default)]
    asked: String,
}

async fn leave(
    State(site): State<Site>,
    _: Owner,
    Path((folder, uid)): Path<(u32, u32)>,
    Form(form): Form<LeaveForm>,
) -> PageResult {
    let (message, _) = find(&site, folder, uid)?;
    let special = mailbox::folder(&site.node, message.folder)?.and_then(|folder| folder.special);
    let (list, addresses) = parsed(&site, &message, read).await?.unwrap_or_default();
    let list = list.filter(|_| may_be_left(special)).ok_or(Problem::NotFound)?;
    let page = format!("/home/mail/{folder}/{uid}");
    if millis(mailbox::asked_to_leave(&site.node, &list.target)?) != form.asked {
        // A second press of the button.
        return Ok(response::see_other(&page));
    }
    let done = match &list.way {
        Way::OneClick(link) if link.len() <= URL_LEN_MAX => {
            match site.internet.post(link, ONE_CLICK).await {
                Ok(()) => Done::ListLeft,
                Err(cause) => {
                    tracing::info!(%cause, "a list could not be left");
                    return Ok(response::see_other(&Done::ListNotLeft.at(&page)));
                }
            }
        }
        Way::Mail(mailto) => {
            let from = came_for::address(&site, &message, &addresses)?;
            let id = IdempotencyKey::of(&[b"leave", list.target.as_bytes(), form.asked.as_bytes()]);
            compose::send_mailto(&site, id, mailto, &from).await?;
            Done::LeaveMailSent
        }
        Way::OneClick(_) | Way::Page(_) => return Err(Problem::BadRequest),
    };
    mailbox::record_asked_to_leave(&site.node, &list.target).await?;
    Ok(response::see_other(&done.at(&page)))
}
