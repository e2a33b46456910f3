//! The first visit: whoever holds the one-time link says who they are; then the 24 words make the
//! house theirs.

mod words;

use askama::Template;
use axum::extract::{Form, Query, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use freehold_core::logins::{self, PasswordError, SetUpError, SetupToken};
use freehold_core::profile::{self, Profile, ProfileError};
use serde::Deserialize;

use crate::answer::{self, Answer, Problem};
use crate::frame::Frame;
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::site_service::Client;
use crate::visitor;

pub(crate) fn routes() -> Routes {
    Routes::new()
        .get("/setup", Access::Anyone, show)
        .post("/setup", Access::Anyone, settle)
        .merge(words::routes())
}

/// The form as it was sent, for sending it back.
#[derive(Default, Deserialize)]
struct Settling {
    #[serde(default)]
    token: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    again: String,
}

#[derive(Template)]
#[template(path = "setup/questions.html")]
struct QuestionsPage {
    page: Frame,
    form: Settling,
    fault: Option<(&'static str, String)>,
}

impl QuestionsPage {
    fn fault_of(&self, field: &str) -> Option<&str> {
        self.fault.as_ref().filter(|(wrong, _)| *wrong == field).map(|(_, text)| text.as_str())
    }
}

#[derive(Template)]
#[template(path = "setup/closed.html")]
struct ClosedPage {
    page: Frame,
    is_settled: bool,
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    token: String,
}

fn closed(site: &Site) -> Answer {
    let profile = site.profile()?;
    let page = Frame::public(None, "This link opens nothing", "");
    answer::page_with(StatusCode::FORBIDDEN, &ClosedPage { page, is_settled: profile.is_some() })
}

fn open_token(site: &Site, token: &str) -> Result<Option<SetupToken>, Problem> {
    let Ok(token) = token.parse::<SetupToken>() else { return Ok(None) };
    Ok(logins::setup_is_open(&site.node, &token)?.then_some(token))
}

async fn show(State(site): State<Site>, Query(link): Query<Link>) -> Answer {
    if open_token(&site, &link.token)?.is_none() {
        return closed(&site);
    }
    let form = Settling { token: link.token, ..Settling::default() };
    answer::page(&QuestionsPage {
        page: Frame::public(None, "The key is in the door", ""),
        form,
        fault: None,
    })
}

async fn settle(State(site): State<Site>, client: Client, Form(form): Form<Settling>) -> Answer {
    let Some(token) = open_token(&site, &form.token)? else { return closed(&site) };
    let profile = match profile_of(&form) {
        Ok(profile) => profile,
        Err(fault) => return again(form, fault),
    };
    let fault = match logins::set_up(&site.node, &token, profile, &form.password).await {
        Ok(session) => {
            let cookie = visitor::cookie_set(&site, client, &session);
            return Ok(
                ([(header::SET_COOKIE, cookie)], answer::see("/setup/words")).into_response()
            );
        }
        Err(SetUpError::BadToken) => return closed(&site),
        Err(
            SetUpError::Store(error)
            | SetUpError::Profile(ProfileError::Store(error))
            | SetUpError::Password(PasswordError::Store(error)),
        ) => {
            return Err(error.into());
        }
        Err(SetUpError::Profile(error)) => fault_of(&error),
        Err(SetUpError::Password(PasswordError::TooShort)) => (
            "password",
            format!(
                "That is short. At least {} characters; a sentence is good.",
                logins::PASSWORD_LEN_MIN
            ),
        ),
        Err(SetUpError::Password(error)) => ("password", format!("That was not taken: {error}.")),
    };
    again(form, fault)
}

fn again(form: Settling, fault: (&'static str, String)) -> Answer {
    let form = Settling { password: String::new(), again: String::new(), ..form };
    let page = QuestionsPage {
        page: Frame::public(None, "The key is in the door", ""),
        form,
        fault: Some(fault),
    };
    answer::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

fn profile_of(form: &Settling) -> Result<Profile, (&'static str, String)> {
    let address = form.address.trim();
    let Some((login, domain)) = address.split_once('@') else {
        let text = if address.contains(',') {
            "A comma where a full stop should be?"
        } else {
            "There is no @ in it."
        };
        return Err(("address", format!("{text} An address looks like ruth@aldous.example.")));
    };
    if form.password != form.again {
        return Err(("password", "The two are not the same. Type it twice once more.".to_owned()));
    }
    let (name, login, domain) = (form.name.clone(), login.to_owned(), domain.to_owned());
    let avatar_colour = profile::default_avatar_colour(&login, &domain);
    Ok(Profile {
        name,
        login,
        domain,
        strapline: String::new(),
        about: String::new(),
        avatar_colour,
    })
}

fn fault_of(error: &ProfileError) -> (&'static str, String) {
    match error {
        ProfileError::NoName => ("name", "Your name is missing.".to_owned()),
        ProfileError::BadLogin => {
            ("address", "Before the @ go letters a to z, digits and dashes.".to_owned())
        }
        ProfileError::BadDomain => (
            "address",
            "What follows the @ is no domain. One looks like aldous.example.".to_owned(),
        ),
        ProfileError::LongName(_) => {
            ("name", "That is a long name. Shorten it a little.".to_owned())
        }
        other => ("address", format!("That was not taken: {other}.")),
    }
}
