//! App passwords for mail clients: created, shown once, revoked one by one.

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use freehold_core::logins::{self, APP_LABEL_LEN_MAX, AppPasswordId};
use freehold_core::profile;
use serde::Deserialize;

use crate::dates;
use crate::done::Done;
use crate::fault;
use crate::idempotency;
use crate::layout::Layout;
use crate::made_once::{Made, NewAppPassword};
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
    /// The one that was just created; it is shown for some minutes and never again.
    created: Option<NewAppPassword>,
    /// The key of the form.
    key: String,
    /// The typed label, sent back with a fault.
    label: String,
    fault: Option<String>,
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
    #[serde(default)]
    key: String,
}

#[derive(Deserialize)]
struct ListQuery {
    /// The key of the form that created a password.
    #[serde(default)]
    made: String,
}

fn list_page(
    site: &Site,
    created: Option<NewAppPassword>,
    done: Done,
) -> Result<AppPasswordsPage, Problem> {
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
    let page = site.owner_layout("Mail programs", "Settings")?.saying(done);
    let endpoints = site.mail.as_ref().map(|mail| Endpoints {
        host: mail.host(&profile),
        imaps: mail.imaps,
        smtps: mail.smtps,
        is_loopback_only: mail.is_loopback_only,
    });
    Ok(AppPasswordsPage {
        page,
        address: profile::address(&profile),
        endpoints,
        app_passwords: app_passwords.collect(),
        created,
        key: idempotency::new_key(site),
        label: String::new(),
        fault: None,
    })
}

async fn list(
    State(site): State<Site>,
    _: Owner,
    Query(query): Query<ListQuery>,
    done: Done,
) -> PageResult {
    let made = site.made_once.lock().await.get(&query.made, site.node.clock.now());
    let created = match made {
        Some(Made::AppPassword(created)) => Some(created),
        Some(Made::Invite(..)) | None => None,
    };
    response::page(&list_page(&site, created, done)?)
}

/// A second press of the button and a reload create no second password.
async fn create(State(site): State<Site>, _: Owner, Form(form): Form<CreateForm>) -> PageResult {
    let key = if form.key.is_empty() { idempotency::new_key(&site) } else { form.key };
    let now = site.node.clock.now();
    let len = form.label.trim().len();
    if len > APP_LABEL_LEN_MAX {
        let page = list_page(&site, None, Done::Nothing)?;
        let fault = Some(fault::too_long("name", len, APP_LABEL_LEN_MAX));
        let page = AppPasswordsPage { label: form.label, fault, ..page };
        return response::page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    let mut made = site.made_once.lock().await;
    if made.get(&key, now).is_none() {
        let label = form.label.trim();
        let label = if label.is_empty() { "A mail program" } else { label };
        let (app, password) = logins::create_app_password(&site.node, label).await?;
        let created = NewAppPassword { label: app.label, password };
        made.insert(key.clone(), now, Made::AppPassword(created));
    }
    let key = response::percent_encoded(key.as_bytes(), |byte| byte.is_ascii_alphanumeric());
    Ok(response::see_other(&format!("/home/settings/apps?made={key}")))
}

async fn revoke(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> PageResult {
    let id: AppPasswordId = id.parse().map_err(|_| Problem::NotFound)?;
    logins::revoke_app_password(&site.node, id).await?;
    Ok(response::see_other(&Done::AppPasswordRevoked.at("/home/settings/apps")))
}
