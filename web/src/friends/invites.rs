//! Invites: created, shown once as a link and as a QR code, revoked; and accepting the invite of
//! somebody else.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use freehold_core::feed;
use freehold_core::friends::{self, AcceptInviteError, INVITE_LABEL_LEN_MAX, Invite, InviteError};
use serde::Deserialize;

use super::fetch::{FindInviteError, find_invite};
use super::{InviteResult, friends_page};
use crate::fault;
use crate::idempotency;
use crate::layout::Layout;
use crate::made_once::{InviteLinks, Made};
use crate::problem::Problem;
use crate::qr::Qr;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/i", Access::Anyone, landing)
        .get("/i/{id}", Access::Anyone, resolve)
        .post("/home/friends/invite", Access::Owner, create)
        .post("/home/friends/invite/{id}/revoke", Access::Owner, revoke)
        .post("/home/friends/accept", Access::Owner, accept)
}

/// An invite that was just created; its link is shown for some minutes and never again.
pub(super) struct CreatedInvite {
    /// The name of the person it is for; may be empty.
    pub(super) label: String,
    pub(super) links: InviteLinks,
    /// The link as a QR code; `None` if it is too long for one.
    pub(super) qr: Option<Qr>,
}

impl CreatedInvite {
    pub(super) fn of(links: InviteLinks, label: String) -> Self {
        Self { label, qr: Qr::of(&links.link), links }
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

/// The links of an invite. The short form needs a site that the bearer's node can reach: one with a
/// public address, or one on the same machine, which is where the inviter's node is then as well.
pub fn invite_links(invite: &Invite, base: &str, is_public: bool) -> InviteLinks {
    let is_loopback =
        |address: &String| address.starts_with("/ip4/127.") || address.starts_with("/ip6/::1/");
    let long = invite.to_url(base);
    if is_public || invite.addresses.iter().all(is_loopback) {
        return InviteLinks { link: invite.to_short_url(base), long: Some(long) };
    }
    InviteLinks { link: long, long: None }
}

/// The rest of an invite for the node of somebody who has its short form; `id` is not the token.
async fn resolve(State(site): State<Site>, Path(id): Path<String>) -> PageResult {
    let id = data_encoding::BASE64URL_NOPAD.decode(id.as_bytes()).ok();
    let id = id.and_then(|id| id.try_into().ok()).ok_or(Problem::NotFound)?;
    let answer = friends::resolve_invite(&site.node, &id)?.ok_or(Problem::NotFound)?;
    let headers =
        [(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, answer).into_response())
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
    let len = form.label.trim().len();
    if len > INVITE_LABEL_LEN_MAX {
        let not_created = Some(fault::too_long("name", len, INVITE_LABEL_LEN_MAX));
        return refused(
            &site,
            InviteResult { not_created, label: form.label, ..Default::default() },
        );
    }
    let mut made = site.made_once.lock().await;
    if made.get(&key, now).is_some() {
        return Ok(response::see_other(&made_before));
    }
    let person = site.node.identity.person().ok_or(Problem::NotFound)?;
    let addresses =
        feed::homes_of(&site.node, &person)?.map(|homes| homes.libp2p).unwrap_or_default();
    let result = match friends::create_invite(&site.node, &form.label, &addresses).await {
        Ok(invite) => {
            let base = site.base(site.profile()?.as_deref());
            let links = invite_links(&invite, &base, site.config.public_url.is_some());
            made.insert(key, now, Made::Invite(links, form.label.trim().to_owned()));
            return Ok(response::see_other(&made_before));
        }
        Err(InviteError::Store(error)) => return Err(error.into()),
        Err(error) => {
            let not_created = Some(create_fault(&error));
            InviteResult { not_created, label: form.label, ..InviteResult::default() }
        }
    };
    refused(&site, result)
}

fn refused(site: &Site, result: InviteResult) -> PageResult {
    response::page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &friends_page(site, result)?)
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
        InviteError::Retired => {
            "No invite was made: this node is retired, so it would lead nowhere. Make it at your \
             other node."
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
    let fault = match find_invite(&site.node, &form.invite).await {
        Ok(invite) => match friends::accept_invite(&site.node, &invite).await {
            Ok(friend) => {
                let accepted = Some(friend.name);
                let result = InviteResult { accepted, ..InviteResult::default() };
                return response::page(&friends_page(&site, result)?);
            }
            Err(AcceptInviteError::Store(error)) => return Err(error.into()),
            Err(error) => accept_fault(&error).to_owned(),
        },
        Err(FindInviteError::Store(error)) => return Err(error.into()),
        Err(error) => find_fault(&error),
    };
    let result =
        InviteResult { fault: Some(fault), pasted: form.invite, ..InviteResult::default() };
    refused(&site, result)
}

fn find_fault(error: &FindInviteError) -> String {
    match error {
        FindInviteError::Unreachable { site, cause } => format!(
            "{site} does not answer, so the invite can\u{2019}t be looked up ({cause}). Try again \
             later, or ask for the long form of the address."
        ),
        FindInviteError::Unknown(site) => format!(
            "{site} knows no such invite: it was used, taken back or has ended. Ask for a new one."
        ),
        FindInviteError::Forged(site) => format!(
            "The answer of {site} does not belong to this invite. Ask for the long form of the \
             address."
        ),
        FindInviteError::Own => accept_fault(&AcceptInviteError::Own).to_owned(),
        FindInviteError::NotAnInvite | FindInviteError::Store(_) => {
            "That is not a whole invite. Copy all of it, from http to the last character."
                .to_owned()
        }
    }
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
