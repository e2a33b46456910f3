//! The owner's way in and out, and the passwords for mail programs.

mod apps;

use askama::Template;
use axum::extract::{Form, Query, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use freehold_core::logins::{self, LoginError};
use serde::Deserialize;

use crate::answer::{self, Answer};
use crate::frame::Frame;
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::site_service::Client;
use crate::visitor::{self, Asker, Owner};

pub(crate) fn routes() -> Routes {
    Routes::new()
        .get("/login", Access::Anyone, show)
        .post("/login", Access::Anyone, enter)
        .post("/logout", Access::Owner, leave)
        .merge(apps::routes())
}

#[derive(Template)]
#[template(path = "logins/login.html")]
struct LoginPage {
    page: Frame,
    next: String,
    fault: Option<String>,
}

#[derive(Deserialize)]
struct Next {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
struct Login {
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: String,
}

/// Only rooms of our own: an address from outside could lead anywhere.
fn room(next: &str) -> &str {
    let is_room = next == "/home" || next.starts_with("/home/");
    if is_room && !next.contains(['\\', '\r', '\n']) { next } else { "/home" }
}

async fn show(State(site): State<Site>, asker: Asker, Query(query): Query<Next>) -> Answer {
    let profile = site.profile()?;
    if asker.is_owner() || profile.is_none() {
        return Ok(answer::see("/home"));
    }
    let page = Frame::public(profile.as_deref(), "Come in", "");
    answer::page(&LoginPage { page, next: room(&query.next).to_owned(), fault: None })
}

async fn enter(State(site): State<Site>, client: Client, Form(form): Form<Login>) -> Answer {
    let next = room(&form.next).to_owned();
    let (status, fault) = match logins::login(&site.node, &form.password, client.address.into())
        .await
    {
        Ok(token) => {
            let cookie = visitor::cookie_set(&site, client, &token);
            return Ok(([(header::SET_COOKIE, cookie)], answer::see(&next)).into_response());
        }
        Err(LoginError::Wrong) => {
            (StatusCode::FORBIDDEN, "That is not the password. Capital letters count.".to_owned())
        }
        Err(LoginError::TooOften { retry_after_ms }) => {
            let wait = match retry_after_ms.div_ceil(1000) {
                0 | 1 => "a second".to_owned(),
                seconds @ 2..120 => format!("{seconds} seconds"),
                seconds => format!("{} minutes", seconds.div_ceil(60)),
            };
            (
                StatusCode::TOO_MANY_REQUESTS,
                format!("Too many tries from where you are. Wait {wait} and try again."),
            )
        }
        Err(LoginError::Store(error)) => return Err(error.into()),
    };
    let page = Frame::public(site.profile()?.as_deref(), "Come in", "");
    answer::page_with(status, &LoginPage { page, next, fault: Some(fault) })
}

async fn leave(State(site): State<Site>, owner: Owner, client: Client) -> Answer {
    logins::logout(&site.node, &owner.token).await?;
    Ok(([(header::SET_COOKIE, visitor::cookie_cleared(&site, client))], answer::see("/"))
        .into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_login_one_is_led_only_into_rooms_of_this_house() {
        assert_eq!(room("/home/mail"), "/home/mail");
        for elsewhere in [
            "",
            "//evil.example",
            "https://evil.example",
            "/homely",
            "/home/\\evil",
            "/home/\r\nx: y",
            "/login",
        ] {
            assert_eq!(room(elsewhere), "/home", "{elsewhere}");
        }
    }
}
