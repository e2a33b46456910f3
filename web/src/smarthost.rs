//! The smarthost: the server that takes the owner's mail for other domains, set and tried here. Or
//! the friend whose node does it.

use std::time::Duration;

use askama::Template;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use freehold_core::friends::{self, FriendState, OutgoingFriendError};
use freehold_core::identity::PersonId;
use freehold_core::mailbox::queue::{Outbound, outbound};
use freehold_core::smarthost::{self, Smarthost, SmarthostError};
use freehold_core::store::StoreError;
use serde::Deserialize;

use crate::dates;
use crate::done::Done;
use crate::fault::Fault;
use crate::friends::friend_name;
use crate::layout::Layout;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

const PAGE: &str = "/home/settings/smarthost";
/// How long the answer to the form waits for the first login.
const TRY_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) fn routes() -> Routes {
    Routes::new()
        .get("/home/settings/smarthost", Access::Owner, show)
        .post("/home/settings/smarthost", Access::Owner, set)
        .post("/home/settings/smarthost/friend", Access::Owner, set_friend)
        .post("/home/settings/smarthost/remove", Access::Owner, remove)
}

/// The smarthost that is set.
struct Current {
    server: String,
    user: String,
    /// When its login was tried; `None` while that goes on.
    tried: Option<String>,
    fault: Option<String>,
}

#[derive(Template)]
#[template(path = "smarthost/settings.html")]
struct SmarthostPage {
    page: Layout,
    domain: String,
    /// True if mail goes to the servers of its recipients' domains.
    is_direct: bool,
    current: Option<Current>,
    /// The name of the friend by whose node mail goes.
    by_friend: Option<String>,
    /// The friends whose nodes could send mail.
    friends: Vec<(PersonId, String)>,
    form: SmarthostForm,
    fault: Option<Fault>,
}

impl SmarthostPage {
    fn fault_of(&self, field: &str) -> Option<&str> {
        Fault::of(self.fault.as_ref(), field)
    }
}

#[derive(Default, Deserialize)]
struct SmarthostForm {
    #[serde(default)]
    server: String,
    #[serde(default)]
    user: String,
    #[serde(default)]
    password: String,
}

fn page(
    site: &Site,
    form: Option<SmarthostForm>,
    fault: Option<Fault>,
) -> Result<SmarthostPage, Problem> {
    let now = site.node.clock.now();
    let current = smarthost::get(&site.node)?.map(|set| Current {
        server: set.server(),
        user: set.user,
        tried: set.tried.as_ref().map(|tried| dates::ago(tried.at, now)),
        fault: set.tried.and_then(|tried| tried.fault),
    });
    let of_current = |current: &Current| SmarthostForm {
        server: current.server.clone(),
        user: current.user.clone(),
        password: String::new(),
    };
    let outbound = outbound(&site.node)?;
    let by_friend = match &outbound {
        Outbound::Friend(person) => Some(friend_name(&site.node, person)?),
        _ => None,
    };
    let friends = friends::list(&site.node)?.into_iter();
    let friends = friends.filter(|friend| friend.state == FriendState::Friend);
    let form = form.or_else(|| current.as_ref().map(of_current)).unwrap_or_default();
    Ok(SmarthostPage {
        page: site.owner_layout("Letters to the world", "Settings")?,
        domain: site.profile()?.map(|profile| profile.domain.clone()).unwrap_or_default(),
        is_direct: outbound == Outbound::Direct,
        by_friend,
        friends: friends.map(|friend| (friend.person, friend.name)).collect(),
        current,
        form,
        fault,
    })
}

async fn show(State(site): State<Site>, _: Owner, done: Done) -> PageResult {
    let shown = page(&site, None, None)?;
    response::page(&SmarthostPage { page: shown.page.saying(done), ..shown })
}

async fn set(State(site): State<Site>, _: Owner, Form(form): Form<SmarthostForm>) -> PageResult {
    let user = form.user.trim();
    let password = match form.password.as_str() {
        "" => password_of(&site, &form.server, user)?,
        typed => typed.to_owned(),
    };
    let fault = match Smarthost::new(&form.server, user, &password) {
        Ok(new) => {
            smarthost::set_and_try(&site.node, new, TRY_TIMEOUT).await?;
            return Ok(response::see_other(&Done::SettingsSaved.at(PAGE)));
        }
        Err(SmarthostError::Store(error)) => return Err(error.into()),
        Err(error @ SmarthostError::Server(_)) => Fault::new("server", sentence(&error)),
        Err(error @ SmarthostError::Login("password")) => Fault::new("password", sentence(&error)),
        Err(SmarthostError::NoLogin) if user.is_empty() => {
            Fault::new("user", "The user name is missing. Type the one that the carrier gave you.")
        }
        Err(SmarthostError::NoLogin) => {
            Fault::new("password", "The password is missing. Type the one of the carrier’s login.")
        }
        Err(error @ SmarthostError::Login(_)) => Fault::new("user", sentence(&error)),
    };
    let page = page(&site, Some(form), Some(fault))?;
    response::page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

fn sentence(error: &SmarthostError) -> String {
    let text = error.to_string();
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

/// The stored password, which an empty field keeps. Another host and another user do not get it.
fn password_of(site: &Site, server: &str, user: &str) -> Result<String, StoreError> {
    let Some(stored) = smarthost::get(&site.node)? else { return Ok(String::new()) };
    let new = Smarthost::new(server, user, &stored.password);
    let is_same = new.is_ok_and(|new| (&new.host, &new.user) == (&stored.host, &stored.user));
    Ok(if is_same { stored.password } else { String::new() })
}

#[derive(Deserialize)]
struct FriendForm {
    #[serde(default)]
    friend: String,
}

/// Sends by a friend's node from now on.
async fn set_friend(
    State(site): State<Site>,
    _: Owner,
    Form(form): Form<FriendForm>,
) -> PageResult {
    let person = form.friend.parse().map_err(|_| Problem::NotFound)?;
    match friends::send_by(&site.node, person).await {
        Ok(()) => Ok(response::see_other(&Done::SettingsSaved.at(PAGE))),
        Err(OutgoingFriendError::NotFriends) => Err(Problem::NotFound),
        Err(OutgoingFriendError::Store(error)) => Err(error.into()),
    }
}

async fn remove(State(site): State<Site>, _: Owner) -> PageResult {
    smarthost::remove(&site.node).await?;
    Ok(response::see_other(&Done::SettingsSaved.at(PAGE)))
}
