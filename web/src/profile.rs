//! Who lives here: the public page that says so, and the settings where the owner changes it.

use askama::Template;
use axum::extract::{Form, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use freehold_core::identity_log;
use freehold_core::logins::{self, LoginError, PasswordError};
use freehold_core::profile::{self, Profile, ProfileError};
use freehold_core::publish;
use serde::Deserialize;

use crate::answer::{self, Answer, Problem};
use crate::doors::PAINTS;
use crate::frame::Frame;
use crate::markdown;
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::site_service::Client;
use crate::visitor::{self, Owner};

pub(crate) fn routes() -> Routes {
    Routes::new()
        .get("/about", Access::Anyone, about)
        .get("/icon.svg", Access::Anyone, icon)
        .get("/robots.txt", Access::Anyone, robots)
        .get("/home/settings", Access::Owner, settings)
        .post("/home/settings", Access::Owner, save)
        .post("/home/settings/password", Access::Owner, change_password)
}

#[derive(Template)]
#[template(path = "profile/about.html")]
struct AboutPage {
    page: Frame,
    text: String,
    strapline: String,
    address: String,
}

async fn about(State(site): State<Site>) -> Answer {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    let page = AboutPage {
        page: Frame::public(Some(&profile), "About", "About"),
        text: markdown::render(&profile.about).to_string(),
        strapline: profile.strapline.clone(),
        address: profile::address(&profile),
    };
    answer::public_page(&page)
}

/// A door in the owner's paint.
async fn icon(State(site): State<Site>) -> Answer {
    let paint = site.profile()?.map_or(0, |profile| usize::from(profile.avatar_colour));
    let (_, colour) = PAINTS.get(paint).unwrap_or(&PAINTS[0]);
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 40 48\"><path fill=\"{colour}\" d=\"M0 46V20a20 20 0 0 1 40 0v26a2 2 0 0 1-2 2H2a2 2 0 0 1-2-2z\"/><path fill=\"#fff\" d=\"M30 24h2v6h-2z\"/></svg>"
    );
    Ok(answer::public(
        ([(header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml"))], svg).into_response(),
    ))
}

async fn robots() -> Answer {
    let text = "User-agent: *\nDisallow: /home\nDisallow: /login\nDisallow: /setup\nDisallow: /i\n";
    Ok(answer::public(
        ([(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))], text)
            .into_response(),
    ))
}

struct Paint {
    number: u8,
    name: &'static str,
    is_chosen: bool,
}

/// What the settings page says after something was sent.
#[derive(Default)]
struct Said {
    saved: Option<&'static str>,
    fault: Option<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "profile/settings.html")]
struct SettingsPage {
    page: Frame,
    profile: Profile,
    address: String,
    paints: Vec<Paint>,
    person: String,
    is_disputed: bool,
    since: String,
    said: Said,
}

impl SettingsPage {
    fn fault_of(&self, field: &str) -> Option<&str> {
        self.said.fault.as_ref().filter(|(wrong, _)| *wrong == field).map(|(_, text)| text.as_str())
    }
}

fn settings_page(
    site: &Site,
    owner: &Owner,
    profile: Profile,
    said: Said,
) -> Result<SettingsPage, Problem> {
    let person = site.node.identity.person();
    let is_disputed = person
        .map(|person| identity_log::dispute(&site.node, &person))
        .transpose()?
        .flatten()
        .is_some();
    let paints = PAINTS.iter().zip(0..).map(|((name, _), number)| Paint {
        number,
        name,
        is_chosen: number == profile.avatar_colour,
    });
    Ok(SettingsPage {
        page: site.home_frame("Settings", "Settings")?,
        address: profile::address(&profile),
        paints: paints.collect(),
        person: person.map(|person| person.to_string()).unwrap_or_default(),
        is_disputed,
        since: crate::dates::ago(owner.session.created, site.node.clock.now()),
        profile,
        said,
    })
}

async fn settings(State(site): State<Site>, owner: Owner) -> Answer {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    answer::page(&settings_page(&site, &owner, Profile::clone(&profile), Said::default())?)
}

#[derive(Deserialize)]
struct Changed {
    #[serde(default)]
    name: String,
    #[serde(default)]
    strapline: String,
    #[serde(default)]
    about: String,
    #[serde(default)]
    paint: u8,
}

async fn save(State(site): State<Site>, owner: Owner, Form(form): Form<Changed>) -> Answer {
    let before = site.profile()?.ok_or(Problem::NotFound)?;
    let about = form.about.replace("\r\n", "\n");
    let changed = Profile {
        name: form.name,
        strapline: form.strapline,
        about,
        avatar_colour: form.paint,
        ..Profile::clone(&before)
    };
    let fault = match publish::profile(&site.node, changed.clone()).await {
        Ok(()) => {
            let said = Said { saved: Some("Saved."), fault: None };
            return answer::page(&settings_page(&site, &owner, changed, said)?);
        }
        Err(ProfileError::Store(error)) => return Err(error.into()),
        Err(ProfileError::NoName) => ("name", "Your name is missing.".to_owned()),
        Err(ProfileError::LongName(count)) => {
            ("name", format!("That name has {count} letters; 80 is the most."))
        }
        Err(ProfileError::TooLong { what, len_max, .. }) => {
            (what, format!("That is too long: at most {len_max} letters."))
        }
        Err(error) => ("name", format!("That was not taken: {error}.")),
    };
    let page = settings_page(&site, &owner, changed, Said { saved: None, fault: Some(fault) })?;
    answer::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

#[derive(Deserialize)]
struct NewPassword {
    #[serde(default)]
    current: String,
    #[serde(default)]
    new: String,
    #[serde(default)]
    again: String,
}

async fn change_password(
    State(site): State<Site>,
    owner: Owner,
    client: Client,
    Form(form): Form<NewPassword>,
) -> Answer {
    match changed_password(&site, client, &form).await? {
        // Every session ended with the old password; this browser gets a new one.
        Ok(token) => {
            let cookie = visitor::cookie_set(&site, client, &token);
            Ok(([(header::SET_COOKIE, cookie)], answer::see("/home/settings")).into_response())
        }
        Err(fault) => {
            let profile = site.profile()?.ok_or(Problem::NotFound)?;
            let said = Said { saved: None, fault: Some(fault) };
            let page = settings_page(&site, &owner, Profile::clone(&profile), said)?;
            answer::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}

type Fault = (&'static str, String);

async fn changed_password(
    site: &Site,
    client: Client,
    form: &NewPassword,
) -> Result<Result<logins::SessionToken, Fault>, Problem> {
    if form.new != form.again {
        return Ok(Err((
            "new",
            "The two are not the same. Type the new one twice once more.".to_owned(),
        )));
    }
    match logins::login(&site.node, &form.current, client.address.into()).await {
        Ok(_) => {}
        Err(LoginError::Store(error)) => return Err(error.into()),
        Err(LoginError::TooOften { .. }) => {
            return Ok(Err(("current", "Too many tries. Wait a little.".to_owned())));
        }
        Err(LoginError::Wrong) => {
            return Ok(Err(("current", "That is not the password you have now.".to_owned())));
        }
    }
    match logins::set_password(&site.node, &form.new).await {
        Ok(()) => {}
        Err(PasswordError::Store(error)) => return Err(error.into()),
        Err(PasswordError::TooShort) => {
            return Ok(Err((
                "new",
                format!("At least {} characters. A sentence is good.", logins::PASSWORD_LEN_MIN),
            )));
        }
        Err(error) => return Ok(Err(("new", format!("That was not taken: {error}.")))),
    }
    match logins::login(&site.node, &form.new, client.address.into()).await {
        Ok(token) => Ok(Ok(token)),
        Err(LoginError::Store(error)) => Err(error.into()),
        Err(error) => Err(Problem::Unwell(error.to_string())),
    }
}
