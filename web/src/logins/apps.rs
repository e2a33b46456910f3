//! Passwords for mail programs: made here, shown once, taken back one by one.

use askama::Template;
use axum::extract::{Form, Path, State};
use freehold_core::logins::{self, AppPasswordId};
use freehold_core::profile;
use serde::Deserialize;

use crate::dates;
use crate::layout::Layout;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/home/settings/apps", Access::Owner, list)
        .post("/home/settings/apps", Access::Owner, create)
        .post("/home/settings/apps/{id}/revoke", Access::Owner, revoke)
}

struct App {
    id: String,
    label: String,
    used: String,
}

#[derive(Template)]
#[template(path = "logins/apps.html")]
struct AppsPage {
    page: Layout,
    address: String,
    /// What a program asks for: host, IMAP port, submission port, and whether only this machine
    /// reaches them.
    place: Option<(String, u16, u16, bool)>,
    apps: Vec<App>,
    /// Its label and the password itself, right after it was made and never again.
    made: Option<(String, String)>,
}

#[derive(Deserialize)]
struct NewApp {
    label: String,
}

fn apps_page(site: &Site, made: Option<(String, String)>) -> PageResult {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    let now = site.node.clock.now();
    let apps = logins::app_passwords(&site.node)?.into_iter().map(|app| App {
        id: app.id.to_string(),
        used: app.last_used.map_or_else(
            || "not used yet".to_owned(),
            |at| format!("used {}", dates::ago(at, now)),
        ),
        label: app.label,
    });
    let page = site.owner_layout("Mail programs", "Settings")?;
    let place = site
        .mail
        .as_ref()
        .map(|mail| (mail.host(&profile), mail.imaps, mail.smtps, mail.is_here_only));
    response::page(&AppsPage {
        page,
        address: profile::address(&profile),
        place,
        apps: apps.collect(),
        made,
    })
}

async fn list(State(site): State<Site>, _: Owner) -> PageResult {
    apps_page(&site, None)
}

/// Answers with the page itself and no redirect: the password is nowhere to be read again.
async fn create(State(site): State<Site>, _: Owner, Form(form): Form<NewApp>) -> PageResult {
    let label = form.label.trim();
    let label = if label.is_empty() { "A mail program" } else { label };
    let (app, password) = logins::create_app_password(&site.node, label).await?;
    apps_page(&site, Some((app.label, password)))
}

async fn revoke(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> PageResult {
    let id: AppPasswordId = id.parse().map_err(|_| Problem::NotFound)?;
    logins::revoke_app_password(&site.node, id).await?;
    Ok(response::see_other("/home/settings/apps"))
}
