//! App passwords for mail clients: created, with a scope and an end if the owner wishes, shown
//! once, revoked one by one.

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use freehold_core::clock::Timestamp;
use freehold_core::logins::{
    self, APP_LABEL_LEN_MAX, AppLimits, AppPasswordId, AppScope, NotAScope, Protocol,
};
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

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The choices of how long a password is valid.
const LIVES: [Life; 5] = [
    Life { days: None, text: "until you take it back" },
    Life { days: Some(7), text: "for a week" },
    Life { days: Some(30), text: "for 30 days" },
    Life { days: Some(90), text: "for 90 days" },
    Life { days: Some(365), text: "for a year" },
];

/// How long a password is valid.
struct Life {
    /// `None` for one that does not expire.
    days: Option<u64>,
    text: &'static str,
}

struct AppPassword {
    id: String,
    label: String,
    purpose: &'static str,
    last_used: String,
    /// The time of its end, if it has one.
    end: Option<String>,
    is_expired: bool,
}

impl AppPassword {
    fn new(app: logins::AppPassword, now: Timestamp) -> Self {
        let used = app.last_used.map(|at| dates::ago(at, now));
        let last_used = match (used, &app.last_client) {
            (None, _) => "not used yet".to_owned(),
            (Some(at), None) => format!("used {at}"),
            (Some(at), Some(client)) => {
                let verb = if client.protocol == Protocol::Smtp { "to send" } else { "to read" };
                format!("used {verb} {at} from {}", client.address)
            }
        };
        Self {
            id: app.id.to_string(),
            purpose: match app.limits.scope {
                AppScope::Both => "reads and sends",
                AppScope::Read => "reads only",
                AppScope::Send => "sends only",
            },
            last_used,
            end: app.limits.expires.map(|at| dates::day(at, now)),
            is_expired: app.is_expired(now),
            label: app.label,
        }
    }
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
    /// The typed and chosen values, sent back with a fault.
    form: CreateForm,
    lives: &'static [Life],
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

#[derive(Default, Deserialize)]
struct CreateForm {
    label: String,
    #[serde(default)]
    key: String,
    /// The name of an [`AppScope`]; empty for both.
    #[serde(default)]
    scope: String,
    /// The days of a [`Life`]; empty for one without an end.
    #[serde(default)]
    days: String,
}

impl CreateForm {
    /// The chosen limits. The form has no other choices, so anything else is no browser's.
    fn limits(&self, now: Timestamp) -> Result<AppLimits, Problem> {
        let scope = match self.scope.as_str() {
            "" => AppScope::default(),
            scope => scope.parse().map_err(|_: NotAScope| Problem::BadRequest)?,
        };
        let life = LIVES.iter().find(|life| self.has_chosen(life)).ok_or(Problem::BadRequest)?;
        Ok(AppLimits { scope, expires: life.days.map(|days| now.plus_millis(days * DAY_MS)) })
    }

    fn has_chosen(&self, life: &Life) -> bool {
        life.days.map_or(String::new(), |days| days.to_string()) == self.days
    }
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
    let app_passwords = logins::app_passwords(&site.node)?;
    let app_passwords = app_passwords.into_iter().map(|app| AppPassword::new(app, now));
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
        form: CreateForm::default(),
        lives: &LIVES,
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
    let now = site.node.clock.now();
    let limits = form.limits(now)?;
    let len = form.label.trim().len();
    if len > APP_LABEL_LEN_MAX {
        let page = list_page(&site, None, Done::Nothing)?;
        let fault = Some(fault::too_long("name", len, APP_LABEL_LEN_MAX));
        let page = AppPasswordsPage { form, fault, ..page };
        return response::page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    let key = if form.key.is_empty() { idempotency::new_key(&site) } else { form.key };
    let mut made = site.made_once.lock().await;
    if made.get(&key, now).is_none() {
        let label = form.label.trim();
        let label = if label.is_empty() { "A mail program" } else { label };
        let created = logins::create_limited_app_password(&site.node, label, limits).await;
        let (app, password) = created?;
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
