//! The owner's profile: the public page about it, and the settings that change it.

use crate::done::Done;
use crate::markdown;
use askama::Template;
use axum::extract::{Form, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use freehold_core::identity_log;
use freehold_core::logins::{self, Browser, LoginError, PasswordError, Protocol};
use freehold_core::mailbox;
use freehold_core::names::NAME_CHARS_MAX;
use freehold_core::profile::{self, Profile, ProfileError};
use freehold_core::publish;
use serde::Deserialize;

use crate::avatar::AVATAR_COLOURS;
use crate::fault::{self, Fault};
use crate::known_browser::{self, KnownBrowser};
use crate::languages;
use crate::layout::Layout;
use crate::logins::{WRONG_PASSWORD, too_many_attempts};
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::site_service::Client;
use crate::time_zones::{self, LocaleChoice};
use crate::viewer::{Owner, Viewer};

pub(crate) fn routes() -> Routes {
    Routes::new()
        .get("/about", Access::Anyone, about)
        .get("/robots.txt", Access::Anyone, robots)
        .get("/home/settings", Access::Owner, settings)
        .post("/home/settings", Access::Owner, save)
        .post("/home/settings/password", Access::Owner, change_password)
}

#[derive(Template)]
#[template(path = "profile/about.html")]
struct AboutPage {
    page: Layout,
    text: String,
    strapline: String,
    address: String,
}

async fn about(State(site): State<Site>, viewer: Viewer) -> PageResult {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    let page = AboutPage {
        page: Layout::public(Some(&profile), "About", "About").for_owner(viewer.is_owner()),
        text: markdown::render_post("", &profile.about).to_string(),
        strapline: profile.strapline.clone(),
        address: profile::address(&profile),
    };
    response::public_page(&page)
}

/// A rule matches every path that begins with it unless it ends with `$` (RFC 9309 2.2.2), so `/i`
/// alone would exclude `/icon.svg`.
const ROBOTS: &str = "User-agent: *
Disallow: /home$
Disallow: /home?
Disallow: /home/
Disallow: /login$
Disallow: /login?
Disallow: /setup$
Disallow: /setup?
Disallow: /setup/
Disallow: /i$
Disallow: /i?
Disallow: /i/
";

async fn robots() -> PageResult {
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    Ok(response::cacheable(([(header::CONTENT_TYPE, plain)], ROBOTS).into_response()))
}

/// A colour to choose for the avatar.
struct ColourChoice {
    /// Index into [`AVATAR_COLOURS`].
    number: u8,
    name: &'static str,
    is_chosen: bool,
}

/// After how many days the bin is emptied.
struct BinChoice {
    days: Option<u16>,
    is_chosen: bool,
}

/// The choices, and the owner's if it is another.
fn bin_choices(chosen: Option<u16>) -> Vec<BinChoice> {
    let mut all = vec![None, Some(7), Some(30), Some(90), Some(365)];
    if !all.contains(&chosen) {
        all.push(chosen);
    }
    all.into_iter().map(|days| BinChoice { days, is_chosen: days == chosen }).collect()
}

/// The owner's identity as the page shows it.
struct Identity {
    /// The person id; empty before the set-up ends.
    person: String,
    /// True if two versions of the identity log exist and no rule prefers one.
    is_disputed: bool,
}

#[derive(Template)]
#[template(path = "profile/settings.html")]
struct SettingsPage {
    page: Layout,
    profile: Profile,
    address: String,
    colours: Vec<ColourChoice>,
    locale: LocaleChoice,
    /// The typed form for a new password, without the refused part.
    passwords: PasswordForm,
    identity: Identity,
    /// The choices for emptying the bin, in days; `None` is never.
    bin_choices: Vec<BinChoice>,
    /// When this browser logged in.
    since: String,
    fault: Option<Fault>,
}

impl SettingsPage {
    fn fault_of(&self, field: &str) -> Option<&str> {
        Fault::of(self.fault.as_ref(), field)
    }
}

fn settings_page(
    site: &Site,
    owner: &Owner,
    profile: Profile,
    fault: Option<Fault>,
) -> Result<SettingsPage, Problem> {
    let person = site.node.identity.person();
    let is_disputed = person
        .map(|person| identity_log::dispute(&site.node, &person))
        .transpose()?
        .flatten()
        .is_some();
    let colours = AVATAR_COLOURS.iter().zip(0..).map(|((name, _), number)| ColourChoice {
        number,
        name,
        is_chosen: number == profile.avatar_colour,
    });
    Ok(SettingsPage {
        page: site.owner_layout("Settings", "Settings")?,
        address: profile::address(&profile),
        colours: colours.collect(),
        locale: LocaleChoice::of(&profile.time_zone, profile.language()),
        identity: Identity {
            person: person.map(|person| person.to_string()).unwrap_or_default(),
            is_disputed,
        },
        bin_choices: bin_choices(mailbox::bin_days(&site.node)?),
        since: crate::dates::ago(owner.session.created, site.node.clock.now()),
        profile,
        passwords: PasswordForm::default(),
        fault,
    })
}

async fn settings(State(site): State<Site>, owner: Owner, done: Done) -> PageResult {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    let page = settings_page(&site, &owner, Profile::clone(&profile), None)?;
    response::page(&SettingsPage { page: page.page.saying(done), ..page })
}

#[derive(Deserialize)]
struct ProfileForm {
    #[serde(default)]
    name: String,
    #[serde(default)]
    strapline: String,
    #[serde(default)]
    about: String,
    #[serde(default)]
    paint: u8,
    #[serde(default)]
    time_zone: Option<String>,
    #[serde(default)]
    language: Option<String>,
}

async fn save(State(site): State<Site>, owner: Owner, Form(form): Form<ProfileForm>) -> PageResult {
    let before = site.profile()?.ok_or(Problem::NotFound)?;
    let about = form.about.replace("\r\n", "\n");
    let changed = Profile {
        name: form.name,
        strapline: form.strapline,
        about,
        avatar_colour: form.paint,
        time_zone: form.time_zone.unwrap_or_else(|| before.time_zone.clone()),
        language: form.language.unwrap_or_else(|| before.language.clone()),
        ..Profile::clone(&before)
    };
    let saved = match time_zones::known(&changed.time_zone) {
        Ok(_) => publish::profile(&site.node, changed.clone()).await.map_err(profile_fault),
        Err(fault) => Err(Ok(fault)),
    };
    let fault = match saved {
        Ok(()) => return Ok(response::see_other(&Done::SettingsSaved.at("/home/settings"))),
        Err(fault) => fault?,
    };
    let page = settings_page(&site, &owner, changed, Some(fault))?;
    response::page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

fn profile_fault(error: ProfileError) -> Result<Fault, Problem> {
    Ok(match error {
        ProfileError::Store(error) => return Err(error.into()),
        ProfileError::BadLanguage(_) => languages::fault(),
        ProfileError::NoName => Fault::new("name", "The name is missing. Type one."),
        ProfileError::LongName(count) => Fault::new(
            "name",
            format!("The name has {count} characters; {NAME_CHARS_MAX} is the most. Shorten it."),
        ),
        ProfileError::TooLong { what, len, len_max } => {
            Fault::new(what, fault::too_long("text", len, len_max))
        }
        ProfileError::NoSuchAvatarColour(_) => {
            Fault::new("paint", "There is no such colour. Choose one of these.")
        }
        other => Fault::new("name", format!("The profile was not saved: {other}.")),
    })
}

#[derive(Default, Deserialize)]
struct PasswordForm {
    #[serde(default)]
    current: String,
    #[serde(default)]
    new: String,
    #[serde(default)]
    again: String,
}

impl PasswordForm {
    /// The form as it is sent back. The page is stored nowhere (`no-store`) and goes to the browser
    /// that sent the passwords.
    fn without_refused(self, fault: &Fault) -> Self {
        match Fault::of(Some(fault), "current") {
            Some(_) => Self { current: String::new(), ..self },
            None => Self { new: String::new(), again: String::new(), ..self },
        }
    }
}

async fn change_password(
    State(site): State<Site>,
    owner: Owner,
    client: Client,
    KnownBrowser(browser): KnownBrowser,
    Form(form): Form<PasswordForm>,
) -> PageResult {
    match set_password(&site, client, &browser, &form).await? {
        // Setting the password ended every session; this browser gets a new one.
        Ok(token) => {
            let known = browser.known.as_ref();
            let cookies = known_browser::login_cookies(&site, client, known, &token)?;
            let next = response::see_other(&Done::PasswordChanged.at("/home/settings"));
            Ok((cookies, next).into_response())
        }
        Err(fault) => {
            let profile = site.profile()?.ok_or(Problem::NotFound)?;
            let passwords = form.without_refused(&fault);
            let page = settings_page(&site, &owner, Profile::clone(&profile), Some(fault))?;
            let page = SettingsPage { passwords, ..page };
            response::page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}

/// Checks the current password, sets the new one and logs in with it.
async fn set_password(
    site: &Site,
    client: Client,
    browser: &Browser,
    form: &PasswordForm,
) -> Result<Result<logins::SessionToken, Fault>, Problem> {
    if form.new != form.again {
        let text = "The two new passwords differ. Type the new one twice again.";
        return Ok(Err(Fault::new("new", text)));
    }
    let checked = logins::login(&site.node, &form.current, browser.clone()).await;
    if let Err(error) = &checked {
        logins::report_refused_login(&site.node, Protocol::Web, client.address, None, error);
    }
    match checked {
        Ok(_) => {}
        Err(LoginError::Store(error)) => return Err(error.into()),
        Err(LoginError::TooOften { retry_after_ms }) => {
            return Ok(Err(Fault::new("current", too_many_attempts(retry_after_ms))));
        }
        Err(LoginError::Wrong) => return Ok(Err(Fault::new("current", WRONG_PASSWORD))),
    }
    match logins::set_password(&site.node, &form.new).await {
        Ok(()) => {}
        Err(PasswordError::Store(error)) => return Err(error.into()),
        Err(error) => return Ok(Err(Fault::new("new", password_fault(&error)))),
    }
    match logins::login(&site.node, &form.new, browser.clone()).await {
        Ok(token) => Ok(Ok(token)),
        Err(LoginError::Store(error)) => Err(error.into()),
        Err(error) => Err(Problem::Internal(error.to_string())),
    }
}

/// The fault of a refused new password.
pub(crate) fn password_fault(error: &PasswordError) -> String {
    match error {
        PasswordError::TooShort => format!(
            "The password is too short: at least {} characters. A sentence is good.",
            logins::PASSWORD_LEN_MIN
        ),
        PasswordError::TooLong => format!(
            "The password is too long: at most {} bytes. Choose a shorter one.",
            logins::PASSWORD_LEN_MAX
        ),
        PasswordError::Hash => {
            "The node has too little memory to hash the password. Try again in a minute.".to_owned()
        }
        PasswordError::Store(_) => "The disk can’t be written, so nothing was changed.".to_owned(),
    }
}
