//! App passwords for mail clients: created, shown once, revoked one by one.

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

struct AppPassword {
    id: String,
    label: String,
    last_used: String,
}

#[derive(Template)]
#[template(path = "logins/app_passwords.html")]
struct AppPasswordsPage {
    page: Layout,
    address: String,
    endpoints: Option<Endpoints>,
    app_passwords: Vec<AppPassword>,
    /// Label and password, in the response to the form that created it and never again.
    created: Option<(String, String)>,
}

/// The settings for a mail client.
struct Endpoints {
    host: String,
    imaps: u16,
    smtps: u16,
    /// True if only this machine reaches the ports.
    is_loopback_only: bool,
}

#[derive(Deserialize)]
struct CreateForm {
    label: String,
}

fn list_page(site: &Site, created: Option<(String, String)>) -> PageResult {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    let now = site.node.clock.now();
    let app_passwords = logins::app_passwords(&site.node)?.into_iter().map(|app| AppPassword {
        id: app.id.to_string(),
        last_used: app.last_used.map_or_else(
            || "not used yet".to_owned(),
            |at| format!("used {}", dates::ago(at, now)),
        ),
        label: app.label,
    });
    let page = site.owner_layout("Mail programs", "Settings")?;
    let endpoints = site.mail.as_ref().map(|mail| Endpoints {
        host: mail.host(&profile),
        imaps: mail.imaps,
        smtps: mail.smtps,
        is_loopback_only: mail.is_loopback_only,
    });
    response::page(&AppPasswordsPage {
        page,
        address: profile::address(&profile),
        endpoints,
        app_passwords: app_passwords.collect(),
        created,
    })
}

async fn list(State(site): State<Site>, _: Owner) -> PageResult {
    list_page(&site, None)
}

/// Responds with the page and not with a redirect: the password can't be read again.
async fn create(State(site): State<Site>, _: Owner, Form(form): Form<CreateForm>) -> PageResult {
    let label = form.label.trim();
    let label = if label.is_empty() { "A mail program" } else { label };
    let (app, password) = logins::create_app_password(&site.node, label).await?;
    list_page(&site, Some((app.label, password)))
}

async fn revoke(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> PageResult {
    let id: AppPasswordId = id.parse().map_err(|_| Problem::NotFound)?;
    logins::revoke_app_password(&site.node, id).await?;
    Ok(response::see_other("/home/settings/apps"))
}
