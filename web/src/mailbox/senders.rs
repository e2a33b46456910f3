//! The senders that the owner lets in or keeps out, and those whose pictures are always shown.

use askama::Template;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use freehold_core::mailbox::{
    self, FolderId, ListError, ListedSender, Listing, PictureSender, SpecialUse, TransferError,
};
use serde::Deserialize;

use super::chosen;
use crate::dates;
use crate::done::Done;
use crate::fault::Fault;
use crate::layout::Layout;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

const PAGE: &str = "/home/mail/senders";

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/home/mail/senders", Access::Owner, show)
        .post("/home/mail/senders", Access::Owner, add)
        .post("/home/mail/senders/remove", Access::Owner, remove)
        .post("/home/mail/senders/pictures/remove", Access::Owner, ask_for_pictures)
}

/// A sender on the list.
struct Row {
    name: String,
    is_blocked: bool,
    since: String,
}

#[derive(Template)]
#[template(path = "mailbox/senders.html")]
struct SendersPage {
    page: Layout,
    rows: Vec<Row>,
    /// The senders whose pictures are always shown, and since when.
    pictures: Vec<(String, String)>,
    /// How many messages the filter has learnt from: junk and wanted.
    learnt: (u32, u32),
    form: SenderForm,
    fault: Option<Fault>,
}

impl SendersPage {
    fn fault(&self) -> Option<&str> {
        Fault::of(self.fault.as_ref(), "name")
    }
}

#[derive(Default, Deserialize)]
struct SenderForm {
    #[serde(default)]
    name: String,
    /// `allow` or `block`.
    #[serde(default)]
    listing: String,
    /// The message on whose page the form is, as `folder.uid`; it moves along.
    #[serde(default)]
    message: String,
}

impl SenderForm {
    fn listing(&self) -> Result<Listing, Problem> {
        match self.listing.as_str() {
            "allow" => Ok(Listing::Allowed),
            "block" => Ok(Listing::Blocked),
            _ => Err(Problem::BadRequest),
        }
    }
}

fn page(site: &Site, form: SenderForm, fault: Option<Fault>) -> Result<SendersPage, Problem> {
    let now = site.node.clock.now();
    let row = |sender: ListedSender| Row {
        name: sender.name,
        is_blocked: sender.listing == Listing::Blocked,
        since: dates::ago(sender.since, now),
    };
    let picture_row = |sender: PictureSender| (sender.address, dates::ago(sender.since, now));
    Ok(SendersPage {
        page: site.owner_layout("In and out", "Mail")?,
        rows: mailbox::listed_senders(&site.node)?.into_iter().map(row).collect(),
        pictures: mailbox::picture_senders(&site.node)?.into_iter().map(picture_row).collect(),
        learnt: mailbox::lessons_learnt(&site.node)?,
        form,
        fault,
    })
}

async fn show(State(site): State<Site>, _: Owner, done: Done) -> PageResult {
    let shown = page(&site, SenderForm::default(), None)?;
    response::page(&SendersPage { page: shown.page.saying(done), ..shown })
}

async fn add(State(site): State<Site>, _: Owner, Form(form): Form<SenderForm>) -> PageResult {
    let listing = form.listing()?;
    let fault = match mailbox::list_sender(&site.node, &form.name, listing).await {
        Ok(_) => {
            let done = match listing {
                Listing::Allowed => Done::SenderAllowed,
                Listing::Blocked => Done::SenderBlocked,
            };
            let list = move_along(&site, &form.message, listing).await?;
            return Ok(response::see_other(&done.at(&list.unwrap_or_else(|| PAGE.to_owned()))));
        }
        Err(ListError::Store(error)) => return Err(error.into()),
        Err(ListError::Malformed(_)) => {
            "That is no address and no house. Write it like \
                                         ann@example.org, or example.org for everyone there."
        }
        Err(ListError::Own(_)) => {
            "That is your own address, or your own house. What you send yourself can’t be kept out."
        }
        Err(ListError::TooMany) => "There is no room for more senders. Take some off the list.",
    };
    let page = page(&site, form, Some(Fault::new("name", fault)))?;
    response::page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// Moves the message of the form into Junk, or out of it. Returns the list that it was in.
async fn move_along(
    site: &Site,
    message: &str,
    listing: Listing,
) -> Result<Option<String>, Problem> {
    let Some(named) = chosen::moved(site, message)? else { return Ok(None) };
    let (folder, Some(uid)) = (named.folder, named.only()) else { return Ok(None) };
    let from = mailbox::folder(&site.node, FolderId(folder))?.and_then(|folder| folder.special);
    let target = match (listing, from) {
        (Listing::Blocked, Some(SpecialUse::Junk | SpecialUse::Trash)) => None,
        (Listing::Blocked, _) => Some(SpecialUse::Junk),
        (Listing::Allowed, Some(SpecialUse::Junk)) => Some(SpecialUse::Inbox),
        (Listing::Allowed, _) => None,
    };
    if let Some(target) = target {
        let target = mailbox::special_folder(&site.node, target)?.ok_or(Problem::NotFound)?.id;
        let moved = mailbox::move_messages(&site.node, FolderId(folder), &[uid], target).await;
        // Any other error means that the message is gone meanwhile; the sender is listed.
        if let Err(TransferError::Store(error)) = moved {
            return Err(error.into());
        }
    }
    Ok(Some(format!("/home/mail/{folder}")))
}

#[derive(Deserialize)]
struct RemoveForm {
    name: String,
}

async fn remove(State(site): State<Site>, _: Owner, Form(form): Form<RemoveForm>) -> PageResult {
    match mailbox::unlist_sender(&site.node, &form.name).await {
        Ok(()) => Ok(response::see_other(&Done::SenderUnlisted.at(PAGE))),
        Err(ListError::Store(error)) => Err(error.into()),
        Err(_) => Err(Problem::BadRequest),
    }
}

async fn ask_for_pictures(
    State(site): State<Site>,
    _: Owner,
    Form(form): Form<RemoveForm>,
) -> PageResult {
    mailbox::remove_picture_sender(&site.node, &form.name).await?;
    Ok(response::see_other(&Done::PicturesNotAlways.at(&format!("{PAGE}#pictures"))))
}
