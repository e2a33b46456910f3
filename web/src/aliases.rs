//! The owner's further addresses: aliases and masked addresses.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use freehold_core::aliases::{self, Alias, AliasError};
use freehold_core::profile::{self, Profile};
use serde::Deserialize;

use crate::dates;
use crate::done::Done;
use crate::fault::Fault;
use crate::layout::Layout;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

const PAGE: &str = "/home/settings/addresses";
/// The most senders of an address that the page names.
const SENDERS_MAX: usize = 5;

pub(crate) fn routes() -> Routes {
    Routes::new()
        .get("/home/settings/addresses", Access::Owner, show)
        .post("/home/settings/addresses", Access::Owner, add)
        .post("/home/settings/addresses/catch-all", Access::Owner, set_catch_all)
        .post("/home/settings/addresses/{local}/{change}", Access::Owner, change)
}

/// An alias as the template shows it.
struct Row {
    local: String,
    address: String,
    label: String,
    is_on: bool,
    messages: u64,
    senders: Vec<Sender>,
}

struct Sender {
    address: String,
    when: String,
}

#[derive(Template)]
#[template(path = "aliases/list.html")]
struct AliasesPage {
    page: Layout,
    address: String,
    domain: String,
    rows: Vec<Row>,
    is_catch_all: bool,
    form: AliasForm,
    fault: Option<Fault>,
}

impl AliasesPage {
    fn fault_of(&self, field: &str) -> Option<&str> {
        Fault::of(self.fault.as_ref(), field)
    }
}

#[derive(Default, Deserialize)]
struct AliasForm {
    /// The local part; empty for a masked address.
    #[serde(default)]
    name: String,
    #[serde(default)]
    label: String,
}

fn page(site: &Site, form: AliasForm, fault: Option<Fault>) -> Result<AliasesPage, Problem> {
    let owner = site.profile()?.ok_or(Problem::NotFound)?;
    let row = |alias: Alias| row(site, &owner, alias);
    Ok(AliasesPage {
        page: site.owner_layout("Your addresses", "Settings")?,
        address: profile::address(&owner),
        domain: owner.domain.clone(),
        rows: aliases::aliases(&site.node)?.into_iter().map(row).collect(),
        is_catch_all: aliases::is_catch_all(&site.node)?,
        form,
        fault,
    })
}

fn row(site: &Site, owner: &Profile, alias: Alias) -> Row {
    let now = site.node.clock.now();
    let senders = alias.senders.into_iter().take(SENDERS_MAX).map(|sender| Sender {
        when: dates::ago(sender.last, now),
        address: if sender.address.is_empty() {
            "a mail server".to_owned()
        } else {
            sender.address
        },
    });
    Row {
        address: aliases::address(owner, &alias.local),
        local: alias.local,
        label: alias.label,
        is_on: alias.is_on,
        messages: alias.messages,
        senders: senders.collect(),
    }
}

async fn show(State(site): State<Site>, _: Owner, done: Done) -> PageResult {
    let shown = page(&site, AliasForm::default(), None)?;
    response::page(&AliasesPage { page: shown.page.saying(done), ..shown })
}

async fn add(State(site): State<Site>, _: Owner, Form(form): Form<AliasForm>) -> PageResult {
    let made = match form.name.trim() {
        "" => aliases::mask(&site.node, &form.label).await,
        name => aliases::add(&site.node, name, &form.label).await,
    };
    let fault = match made {
        Ok(_) => return Ok(response::see_other(&Done::AddressMade.at(PAGE))),
        Err(AliasError::Store(error)) => return Err(error.into()),
        Err(AliasError::Malformed(_)) => Fault::new(
            "name",
            "That can’t stand before the @. Use letters, digits, dots, dashes and underscores.",
        ),
        Err(AliasError::Taken(_)) => Fault::new("name", "You have this address already."),
        Err(AliasError::LongLabel(_)) => Fault::new("label", "That is too long for a note."),
        Err(AliasError::TooMany | AliasError::Missing(_)) => {
            Fault::new("name", "There is no room for more addresses. Remove some first.")
        }
    };
    let page = page(&site, form, Some(fault))?;
    response::page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

async fn change(
    State(site): State<Site>,
    _: Owner,
    Path((local, change)): Path<(String, String)>,
) -> PageResult {
    let changed = match change.as_str() {
        "on" => aliases::switch(&site.node, &local, true).await,
        "off" => aliases::switch(&site.node, &local, false).await,
        "remove" => aliases::remove(&site.node, &local).await,
        _ => return Err(Problem::NotFound),
    };
    match changed {
        Ok(()) => Ok(response::see_other(&Done::SettingsSaved.at(PAGE))),
        Err(AliasError::Store(error)) => Err(error.into()),
        Err(_) => Err(Problem::NotFound),
    }
}

#[derive(Deserialize)]
struct CatchAllForm {
    /// Not empty to accept mail to any address.
    #[serde(default)]
    all: String,
}

async fn set_catch_all(
    State(site): State<Site>,
    _: Owner,
    Form(form): Form<CatchAllForm>,
) -> PageResult {
    aliases::set_catch_all(&site.node, !form.all.is_empty()).await?;
    Ok(response::see_other(&Done::SettingsSaved.at(PAGE)))
}
