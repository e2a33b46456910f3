//! Invites: created, shown once as a link and as a QR code, revoked; and accepting the invite of
//! somebody else.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use freehold_core::feed;
use freehold_core::friends::{self, AcceptInviteError, Invite, InviteError};
use serde::Deserialize;

use super::{InviteResult, friends_page};
use crate::idempotency;
use crate::layout::Layout;
use crate::made_once::Made;
use crate::problem::Problem;
use crate::qr::Qr;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/i", Access::Anyone, landing)
        .post("/home/friends/invite", Access::Owner, create)
        .post("/home/friends/invite/{id}/revoke", Access::Owner, revoke)
        .post("/home/friends/accept", Access::Owner, accept)
}

/// An invite that was just created; its link is shown for some minutes and never again.
pub(super) struct CreatedInvite {
    pub(super) link: String,
    /// The link as a QR code; `None` if it is too long for one.
    pub(super) qr: Option<Qr>,
}

impl CreatedInvite {
    /// The invite of this link.
    pub(super) fn of(link: String) -> Self {
        Self { qr: Qr::of(&link), link }
    }
}

#[derive(Template)]
#[template(path = "friends/invited.html")]
struct InvitedPage {
    page: Layout,
}

/// The page that an invite's link opens in a browser. The invite itself is the link's fragment,
/// which browsers do not send.
async fn landing(State(site): State<Site>) -> PageResult {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    response::public_page(&InvitedPage {
        page: Layout::public(Some(&profile), "You are invited", ""),
    })
}

#[derive(Deserialize)]
struct CreateForm {
    #[serde(default)]
    label: String,
    #[serde(default)]
    key: String,
}

/// A second press of the button and a reload create no second invite.
async fn create(State(site): State<Site>, _: Owner, Form(form): Form<CreateForm>) -> PageResult {
    let key = if form.key.is_empty() { idempotency::new_key(&site) } else { form.key };
    let now = site.node.clock.now();
    let made_before = format!("/home/friends?made={}", plain_key(&key));
    let mut made = site.made_once.lock().await;
    if made.get(&key, now).is_some() {
        return Ok(response::see_other(&made_before));
    }
    let person = site.node.identity.person().ok_or(Problem::NotFound)?;
    let addresses =
        feed::homes_of(&site.node, &person)?.map(|homes| homes.libp2p).unwrap_or_default();
    let result = match friends::create_invite(&site.node, &form.label, &addresses).await {
        Ok(invite) => {
            let link = invite.to_url(&site.base(site.profile()?.as_deref()));
            made.insert(key, now, Made { label: String::new(), secret: link });
            return Ok(response::see_other(&made_before));
        }
        Err(InviteError::Store(error)) => return Err(error.into()),
        Err(error) => InviteResult { fault: Some(create_fault(&error)), ..InviteResult::default() },
    };
    response::page(&friends_page(&site, result)?)
}

/// The key within an address.
fn plain_key(key: &str) -> String {
    response::percent_encoded(key.as_bytes(), |byte| byte.is_ascii_alphanumeric())
}

fn create_fault(error: &InviteError) -> String {
    match error {
        InviteError::TooMany => {
            "No invite was made: too many are open. Take back some that you no longer need."
        }
        InviteError::Unclaimed => {
            "No invite was made: this node has no owner yet. Finish the set-up first."
        }
        InviteError::Store(_) => "No invite was made: the disk can't be written.",
    }
    .to_owned()
}

async fn revoke(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> PageResult {
    let id = data_encoding::HEXLOWER
        .decode(id.as_bytes())
        .ok()
        .and_then(|id| id.try_into().ok())
        .ok_or(Problem::NotFound)?;
    friends::revoke_invite(&site.node, id).await?;
    Ok(response::see_other("/home/friends"))
}

#[derive(Deserialize)]
struct AcceptForm {
    #[serde(default)]
    invite: String,
}

async fn accept(State(site): State<Site>, _: Owner, Form(form): Form<AcceptForm>) -> PageResult {
    let fault = match form.invite.parse::<Invite>() {
        Ok(invite) => match friends::accept_invite(&site.node, &invite).await {
            Ok(friend) => {
                let accepted = Some(friend.name);
                let result = InviteResult { accepted, ..InviteResult::default() };
                return response::page(&friends_page(&site, result)?);
            }
            Err(AcceptInviteError::Store(error)) => return Err(error.into()),
            Err(error) => accept_fault(&error).to_owned(),
        },
        Err(_) => {
            "That is not a whole invite. Copy all of it, from http to the last letter.".to_owned()
        }
    };
    let result =
        InviteResult { fault: Some(fault), pasted: form.invite, ..InviteResult::default() };
    response::page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &friends_page(&site, result)?)
}

fn accept_fault(error: &AcceptInviteError) -> &'static str {
    match error {
        AcceptInviteError::Own => "This invite is your own. Give it to a friend.",
        AcceptInviteError::Expired => "This invite has expired. Ask for a new one.",
        AcceptInviteError::Already => "You are friends already. Nothing needs to be done.",
        AcceptInviteError::Blocked => "You have blocked this person. Unblock them first.",
        AcceptInviteError::Store(_) => "The invite was not accepted: the disk can't be written.",
    }
}
