//! Login, logout, sessions, and the app passwords for mail clients.

mod app_passwords;
mod sessions;

use askama::Template;
use axum::extract::{Form, Query, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use freehold_core::logins::{self, LoginError, Protocol};
use freehold_core::profile::Profile;
use serde::Deserialize;

use crate::known_browser::{self, KnownBrowser};
use crate::layout::Layout;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::site_service::Client;
use crate::viewer::{self, Owner, Viewer};

pub(crate) fn routes() -> Routes {
    Routes::new()
        .get("/login", Access::Anyone, show)
        .post("/login", Access::Anyone, log_in)
        .post("/logout", Access::Owner, log_out)
        .merge(app_passwords::routes())
        .merge(sessions::routes())
}

#[derive(Template)]
#[template(path = "logins/login.html")]
struct LoginPage {
    page: Layout,
    /// The name by which password managers file the password.
    login: String,
    next: String,
    fault: Option<String>,
}

#[derive(Deserialize)]
struct LoginQuery {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
struct LoginForm {
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: String,
}

/// The path to open after the login: only one of the owner's pages, since `next` may come from a
/// link on another site (open redirect).
fn safe_next(next: &str) -> &str {
    let is_owner_page = next == "/home" || next.starts_with("/home/");
    if is_owner_page && !next.contains(['\\', '\r', '\n']) { next } else { "/home" }
}

/// The fault of a wrong password.
pub(crate) const WRONG_PASSWORD: &str = "Wrong password. Type it again.";

/// The fault of too many wrong passwords.
pub(crate) fn too_many_attempts(retry_after_ms: u64) -> String {
    let wait = match retry_after_ms.div_ceil(1000) {
        0 | 1 => "a second".to_owned(),
        seconds @ 2..120 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds.div_ceil(60)),
    };
    format!("Too many wrong passwords from your network. Wait {wait} and try again.")
}

async fn show(
    State(site): State<Site>,
    viewer: Viewer,
    Query(query): Query<LoginQuery>,
) -> PageResult {
    let profile = site.profile()?;
    if viewer.is_owner() {
        return Ok(response::see_other("/home"));
    }
    // Without an owner there is no password; `/home` would redirect back to this page.
    if profile.is_none() {
        return Ok(response::see_other("/"));
    }
    let page = Layout::public(profile.as_deref(), "Come in", "");
    let login = login_of(profile.as_deref());
    response::page(&LoginPage { page, login, next: safe_next(&query.next).to_owned(), fault: None })
}

async fn log_in(
    State(site): State<Site>,
    client: Client,
    KnownBrowser(browser): KnownBrowser,
    Form(form): Form<LoginForm>,
) -> PageResult {
    let next = safe_next(&form.next).to_owned();
    let known = browser.known.clone();
    let error = match logins::login(&site.node, &form.password, browser).await {
        Ok(token) => {
            let cookies = known_browser::login_cookies(&site, client, known.as_ref(), &token)?;
            return Ok((cookies, response::see_other(&next)).into_response());
        }
        Err(error) => error,
    };
    logins::report_refused_login(&site.node, Protocol::Web, client.address, None, &error);
    let (status, fault) = match error {
        LoginError::Store(error) => return Err(error.into()),
        LoginError::Wrong => (StatusCode::FORBIDDEN, WRONG_PASSWORD.to_owned()),
        LoginError::TooOften { retry_after_ms } => {
            (StatusCode::TOO_MANY_REQUESTS, too_many_attempts(retry_after_ms))
        }
    };
    let profile = site.profile()?;
    let page = Layout::public(profile.as_deref(), "Come in", "");
    let login = login_of(profile.as_deref());
    response::page_with_status(status, &LoginPage { page, login, next, fault: Some(fault) })
}

fn login_of(profile: Option<&Profile>) -> String {
    profile.map(|profile| profile.login.clone()).unwrap_or_default()
}

async fn log_out(State(site): State<Site>, owner: Owner, client: Client) -> PageResult {
    logins::logout(&site.node, &owner.token).await?;
    Ok(([(header::SET_COOKIE, viewer::cookie_cleared(&site, client))], response::see_other("/"))
        .into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_redirects_only_to_owner_pages() {
        assert_eq!(safe_next("/home/mail"), "/home/mail");
        for elsewhere in [
            "",
            "//evil.example",
            "https://evil.example",
            "/homely",
            "/home/\\evil",
            "/home/\r\nx: y",
            "/login",
        ] {
            assert_eq!(safe_next(elsewhere), "/home", "{elsewhere}");
        }
    }
}
