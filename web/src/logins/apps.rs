//! Passwords for mail programs: made here, shown once, taken back one by one.

use askama::Template;
use axum::extract::{Form, Path, State};
use freehold_core::logins::{self, AppPasswordId};
use freehold_core::profile;
use serde::Deserialize;

use crate::answer::{self, Answer, Problem};
use crate::dates;
use crate::frame::Frame;
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::visitor::Owner;

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
    page: Frame,
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

fn apps_page(site: &Site, made: Option<(String, String)>) -> Answer {
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
    let page = site.home_frame("Mail programs", "Settings")?;
    let place = site
        .mail
        .as_ref()
        .map(|mail| (mail.host(&profile), mail.imaps, mail.smtps, mail.is_here_only));
    answer::page(&AppsPage {
        page,
        address: profile::address(&profile),
        place,
        apps: apps.collect(),
        made,
    })
}

async fn list(State(site): State<Site>, _: Owner) -> Answer {
    apps_page(&site, None)
}

/// Answers with the page itself and no redirect: the password is nowhere to be read again.
async fn create(State(site): State<Site>, _: Owner, Form(form): Form<NewApp>) -> Answer {
    let label = form.label.trim();
    let label = if label.is_empty() { "A mail program" } else { label };
    let (app, password) = logins::create_app_password(&site.node, label).await?;
    apps_page(&site, Some((app.label, password)))
}

async fn revoke(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> Answer {
    let id: AppPasswordId = id.parse().map_err(|_| Problem::NotFound)?;
    logins::revoke_app_password(&site.node, id).await?;
    Ok(answer::see("/home/settings/apps"))
}
