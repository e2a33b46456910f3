//! Invites: made, shown once as a link and as a picture of it, taken back; and somebody else's,
//! pasted here.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use freehold_core::feed;
use freehold_core::friends::{self, AcceptInviteError, Invite, InviteError};
use serde::Deserialize;

use super::{Said, friends_page};
use crate::answer::{self, Answer, Problem};
use crate::frame::Frame;
use crate::qr::Qr;
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::visitor::Owner;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/i", Access::Anyone, landing)
        .post("/home/friends/invite", Access::Owner, invite)
        .post("/home/friends/invite/{id}/revoke", Access::Owner, revoke)
        .post("/home/friends/accept", Access::Owner, accept)
}

/// An invite just made; it can't be shown again.
pub(super) struct Made {
    pub(super) link: String,
    /// The link for a telephone's camera; `None` if it is too long for one.
    pub(super) qr: Option<Qr>,
}

#[derive(Template)]
#[template(path = "friends/invited.html")]
struct InvitedPage {
    page: Frame,
}

/// Where an invite's link leads a browser. The invite itself stands after the `#` and never comes
/// here.
async fn landing(State(site): State<Site>) -> Answer {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    answer::public_page(&InvitedPage { page: Frame::public(Some(&profile), "You are invited", "") })
}

#[derive(Deserialize)]
struct Label {
    #[serde(default)]
    label: String,
}

async fn invite(State(site): State<Site>, _: Owner, Form(form): Form<Label>) -> Answer {
    let person = site.node.identity.person().ok_or(Problem::NotFound)?;
    let addresses =
        feed::homes_of(&site.node, &person)?.map(|homes| homes.libp2p).unwrap_or_default();
    let said = match friends::create_invite(&site.node, &form.label, &addresses).await {
        Ok(invite) => {
            let link = invite.to_url(&site.base(site.profile()?.as_deref()));
            Said { made: Some(Made { qr: Qr::of(&link), link }), ..Said::default() }
        }
        Err(InviteError::Store(error)) => return Err(error.into()),
        Err(error) => {
            Said { fault: Some(format!("No invite was made: {error}.")), ..Said::default() }
        }
    };
    answer::page(&friends_page(&site, said)?)
}

async fn revoke(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> Answer {
    let id = data_encoding::HEXLOWER
        .decode(id.as_bytes())
        .ok()
        .and_then(|id| id.try_into().ok())
        .ok_or(Problem::NotFound)?;
    friends::revoke_invite(&site.node, id).await?;
    Ok(answer::see("/home/friends"))
}

#[derive(Deserialize)]
struct Pasted {
    #[serde(default)]
    invite: String,
}

async fn accept(State(site): State<Site>, _: Owner, Form(form): Form<Pasted>) -> Answer {
    let fault = match form.invite.parse::<Invite>() {
        Ok(invite) => match friends::accept_invite(&site.node, &invite).await {
            Ok(friend) => {
                let said = Said { accepted: Some(friend.name), ..Said::default() };
                return answer::page(&friends_page(&site, said)?);
            }
            Err(AcceptInviteError::Store(error)) => return Err(error.into()),
            Err(error) => format!("It was not taken: {error}."),
        },
        Err(_) => {
            "That is not a whole invite. Copy all of it, from https to the last letter.".to_owned()
        }
    };
    let said = Said { fault: Some(fault), pasted: form.invite, ..Said::default() };
    answer::page_with(StatusCode::UNPROCESSABLE_ENTITY, &friends_page(&site, said)?)
}
