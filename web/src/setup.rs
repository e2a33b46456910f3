//! The set-up: the holder of the one-time link enters name, address and password; then the mnemonic
//! of 24 words creates the identity.

mod mnemonic;

use askama::Template;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use freehold_core::logins::{self, PasswordError, SetUpError, SetupToken};
use freehold_core::names::NAME_CHARS_MAX;
use freehold_core::profile::{self, Profile, ProfileError};
use serde::Deserialize;

use crate::fault::{self, Fault};
use crate::known_browser::{self, KnownBrowser};
use crate::languages;
use crate::layout::Layout;
use crate::problem::Problem;
use crate::profile::password_fault;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::site_service::Client;
use crate::time_zones::{self, LocaleChoice};

pub(crate) fn routes() -> Routes {
    Routes::new()
        .get("/setup", Access::Anyone, show)
        .post("/setup", Access::Anyone, set_up)
        .merge(mnemonic::routes())
}

/// The form's fields.
#[derive(Default, Deserialize)]
struct SetupForm {
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
    #[serde(default)]
    time_zone: String,
    #[serde(default)]
    language: String,
}

#[derive(Template)]
#[template(path = "setup/form.html")]
struct FormPage {
    page: Layout,
    form: SetupForm,
    locale: LocaleChoice,
    fault: Option<Fault>,
}

impl FormPage {
    fn fault_of(&self, field: &str) -> Option<&str> {
        Fault::of(self.fault.as_ref(), field)
    }
}

#[derive(Template)]
#[template(path = "setup/closed.html")]
struct ClosedPage {
    page: Layout,
    /// True if the set-up is done: the link was used.
    is_set_up: bool,
}

#[derive(Deserialize)]
struct SetupQuery {
    #[serde(default)]
    token: String,
}

fn refused_link(site: &Site) -> PageResult {
    let profile = site.profile()?;
    let page = Layout::public(None, "This link opens nothing", "");
    response::page_with_status(
        StatusCode::FORBIDDEN,
        &ClosedPage { page, is_set_up: profile.is_some() },
    )
}

/// The token, if it is the valid one.
fn valid_token(site: &Site, token: &str) -> Result<Option<SetupToken>, Problem> {
    let Ok(token) = token.parse::<SetupToken>() else { return Ok(None) };
    Ok(logins::setup_is_open(&site.node, &token)?.then_some(token))
}

async fn show(
    State(site): State<Site>,
    Query(query): Query<SetupQuery>,
    headers: HeaderMap,
) -> PageResult {
    if valid_token(&site, &query.token)?.is_none() {
        return refused_link(&site);
    }
    let form = SetupForm {
        token: query.token,
        time_zone: time_zones::of_this_machine(),
        language: languages::preferred(&headers),
        ..SetupForm::default()
    };
    response::page(&form_page(form, None))
}

async fn set_up(
    State(site): State<Site>,
    client: Client,
    KnownBrowser(browser): KnownBrowser,
    Form(form): Form<SetupForm>,
) -> PageResult {
    let Some(token) = valid_token(&site, &form.token)? else { return refused_link(&site) };
    let profile = match profile_of(&form) {
        Ok(profile) => profile,
        Err(fault) => return send_back(form, fault),
    };
    match logins::set_up(&site.node, &token, profile, &form.password, Some(&browser)).await {
        Ok(session) => {
            let known = browser.known.as_ref();
            let cookies = known_browser::login_cookies(&site, client, known, &session)?;
            Ok((cookies, response::see_other("/setup/words")).into_response())
        }
        Err(error) => not_set_up(&site, form, error),
    }
}

fn not_set_up(site: &Site, form: SetupForm, error: SetUpError) -> PageResult {
    match error {
        SetUpError::BadToken => refused_link(site),
        SetUpError::Store(error)
        | SetUpError::Profile(ProfileError::Store(error))
        | SetUpError::Password(PasswordError::Store(error)) => Err(error.into()),
        SetUpError::Profile(error) => send_back(form, profile_fault(&error)),
        SetUpError::Password(error) => {
            send_back(form, Fault::new("password", password_fault(&error)))
        }
    }
}

fn form_page(form: SetupForm, fault: Option<Fault>) -> FormPage {
    let locale = LocaleChoice::of(&form.time_zone, &form.language);
    let page = Layout::public(None, "The key is in the door", "");
    FormPage { page, form, locale, fault }
}

/// Sends the form back with everything that was typed, but a refused password.
fn send_back(form: SetupForm, fault: Fault) -> PageResult {
    let is_refused = Fault::of(Some(&fault), "password").is_some();
    let form = if is_refused {
        SetupForm { password: String::new(), again: String::new(), ..form }
    } else {
        form
    };
    response::page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &form_page(form, Some(fault)))
}

fn profile_of(form: &SetupForm) -> Result<Profile, Fault> {
    let address = form.address.trim();
    let Some((login, domain)) = address.split_once('@') else {
        return Err(Fault::new(
            "address",
            "The address has no @. One looks like ruth@aldous.example.",
        ));
    };
    if form.password != form.again {
        let text = "The two passwords differ. Type the password twice again.";
        return Err(Fault::new("password", text));
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
        time_zone: time_zones::known(&form.time_zone)?,
        language: form.language.clone(),
    })
}

fn profile_fault(error: &ProfileError) -> Fault {
    match error {
        ProfileError::NoName => Fault::new("name", "The name is missing. Type one."),
        ProfileError::LongName(count) => Fault::new(
            "name",
            format!("The name has {count} characters; {NAME_CHARS_MAX} is the most. Shorten it."),
        ),
        ProfileError::BadLogin => Fault::new(
            "address",
            "The part before the @ may have only letters a to z, digits and dashes. Change it.",
        ),
        ProfileError::BadDomain => Fault::new(
            "address",
            "The part after the @ is not a domain. One looks like aldous.example, with full stops \
             and without commas.",
        ),
        ProfileError::TooLong { what, len, len_max } => {
            Fault::new("address", fault::too_long(what, *len, *len_max))
        }
        ProfileError::BadLanguage(_) => languages::fault(),
        other => Fault::new("address", format!("The address was refused: {other}.")),
    }
}
