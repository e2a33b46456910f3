//! Friends: who is at the door, who is in, and the invites that let them in.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use freehold_core::clock::Timestamp;
use freehold_core::friends::{self, AskError, Friend, Invite, InviteError, State as Stage, WelcomeError};
use freehold_core::identity::{PersonId, homes};
use serde::Deserialize;

use crate::answer::{self, Answer, Problem};
use crate::dates;
use crate::doors::PersonDoor;
use crate::frame::Frame;
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::visitor::Owner;

/// Whoever was reached within this time counts as awake; core remembers it to the hour.
const AWAKE_MS: u64 = 2 * 60 * 60 * 1000;

pub(crate) fn routes() -> Routes {
    Routes::new()
        .get("/i", Access::Anyone, landing)
        .get("/home/friends", Access::Owner, show)
        .post("/home/friends/invite", Access::Owner, invite)
        .post("/home/friends/invite/{id}/revoke", Access::Owner, revoke)
        .post("/home/friends/accept", Access::Owner, accept)
        .post("/home/friends/{person}/let-in", Access::Owner, let_in)
        .post("/home/friends/{person}/not-now", Access::Owner, not_now)
        .post("/home/friends/{person}/remove", Access::Owner, remove)
}

struct Row {
    person: String,
    door: PersonDoor,
    name: String,
    /// What the second line says.
    about: String,
    /// Lamp and word at the right edge.
    is_awake: bool,
    state: String,
    /// Where their site is, as their node says.
    site: Option<String>,
}

struct Out {
    id: String,
    label: String,
    ends: String,
}

#[derive(Default)]
struct Said {
    /// The invite just made; it can't be shown again.
    link: Option<String>,
    accepted: Option<String>,
    fault: Option<String>,
    /// What was pasted, for sending it back.
    pasted: String,
}

#[derive(Template)]
#[template(path = "friends/list.html")]
struct FriendsPage {
    page: Frame,
    summary: String,
    asking: Vec<Row>,
    on_the_way: Vec<Row>,
    /// Those who have ended the friendship.
    gone: Vec<Row>,
    everyone: Vec<Row>,
    invites: Vec<Out>,
    said: Said,
}

#[derive(Template)]
#[template(path = "friends/invited.html")]
struct InvitedPage {
    page: Frame,
}

/// Where an invite's link leads a browser. The invite itself stands after the `#` and never comes here.
async fn landing(State(site): State<Site>) -> Answer {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    answer::public_page(&InvitedPage { page: Frame::public(Some(&profile), "You are invited", "") })
}

async fn show(State(site): State<Site>, _: Owner) -> Answer {
    answer::page(&friends_page(&site, Said::default())?)
}

fn friends_page(site: &Site, said: Said) -> Result<FriendsPage, Problem> {
    let now = site.node.clock.now();
    let (mut everyone, mut on_the_way, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for friend in friends::list(&site.node)? {
        match friend.state {
            Stage::Friend => {
                let site = site_of(site, &friend.person)?;
                everyone.push(Row { site, ..row(friend, now) });
            }
            Stage::Left => gone.push(row(friend, now)),
            Stage::Asked | Stage::Refused => on_the_way.push(row(friend, now)),
            Stage::Blocked => {}
        }
    }
    let asking = friends::requests(&site.node)?.into_iter().map(|request| Row {
        person: request.from.person.to_string(),
        door: PersonDoor::of(&request.from.name, &request.from.person.0),
        name: request.from.name,
        about: if request.note.is_empty() { "Would like to be friends.".to_owned() } else { format!("“{}”", request.note) },
        is_awake: false,
        state: dates::ago(request.received, now),
        site: None,
    });
    let invites = friends::open_invites(&site.node)?.into_iter().map(|open| Out {
        id: data_encoding::HEXLOWER.encode(&open.id),
        label: if open.label.is_empty() { "For somebody".to_owned() } else { format!("For {}", open.label) },
        ends: format!("ends {}", dates::day(open.expires, now)),
    });
    let summary = match everyone.len() {
        0 => "Nobody yet. One friend is enough to begin with.".to_owned(),
        1 => "One person. Nobody sees who else is here.".to_owned(),
        count => format!("{count} people. Nobody sees who else is here."),
    };
    let page = site.home_frame("Friends", "Friends")?;
    Ok(FriendsPage { page, summary, asking: asking.collect(), on_the_way, gone, everyone, invites: invites.collect(), said })
}

/// Where a friend says that their site is; only an address of the web becomes a link.
pub(crate) fn site_of(site: &Site, person: &PersonId) -> Result<Option<String>, Problem> {
    let web = homes::of(&site.node, person)?.and_then(|homes| homes.web.into_iter().next());
    Ok(web.filter(|web| web.starts_with("https://") || web.starts_with("http://")).map(|web| web.trim_end_matches('/').to_owned()))
}

fn row(friend: Friend, now: Timestamp) -> Row {
    let is_awake = friend.last_seen.is_some_and(|seen| now.millis_since(seen) < AWAKE_MS);
    let (about, state) = match (friend.state, friend.last_seen) {
        (Stage::Left, _) => ("No longer follows you. What they said before is still here.", dates::ago(friend.since, now)),
        (Stage::Refused, _) => ("Said no: the invite was used or had ended. Ask for a new one.", String::new()),
        (Stage::Asked, _) => ("You took the invite. Waiting for an answer.", dates::ago(friend.since, now)),
        (_, Some(_)) if is_awake => ("", "awake".to_owned()),
        (_, Some(seen)) => ("", format!("asleep since {}", dates::ago(seen, now))),
        (_, None) => ("", "not met yet".to_owned()),
    };
    let about = if about.is_empty() { format!("Friends since {}", dates::day(friend.since, now)) } else { about.to_owned() };
    let door = PersonDoor::of(&friend.name, &friend.person.0);
    Row { person: friend.person.to_string(), door, name: friend.name, about, is_awake, state, site: None }
}

#[derive(Deserialize)]
struct Label {
    #[serde(default)]
    label: String,
}

async fn invite(State(site): State<Site>, _: Owner, Form(form): Form<Label>) -> Answer {
    let person = site.node.identity.person().ok_or(Problem::NotFound)?;
    let addresses = homes::of(&site.node, &person)?.map(|homes| homes.libp2p).unwrap_or_default();
    let said = match friends::create_invite(&site.node, &form.label, &addresses).await {
        Ok(invite) => Said { link: Some(invite.to_url(&site.base(site.profile()?.as_deref()))), ..Said::default() },
        Err(InviteError::Store(error)) => return Err(error.into()),
        Err(error) => Said { fault: Some(format!("No invite was made: {error}.")), ..Said::default() },
    };
    answer::page(&friends_page(&site, said)?)
}

async fn revoke(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> Answer {
    let id = data_encoding::HEXLOWER.decode(id.as_bytes()).ok().and_then(|id| id.try_into().ok()).ok_or(Problem::NotFound)?;
    friends::revoke_invite(&site.node, id).await?;
    Ok(answer::see("/home/friends"))
}

#[derive(Deserialize)]
struct Pasted {
    #[serde(default)]
    invite: String,
}

async fn accept(State(site): State<Site>, _: Owner, Form(form): Form<Pasted>) -> Answer {
    let fault = match form.invite.parse::<Invite>() {
        Ok(invite) => match friends::accept_invite(&site.node, &invite).await {
            Ok(friend) => {
                let said = Said { accepted: Some(friend.name), ..Said::default() };
                return answer::page(&friends_page(&site, said)?);
            }
            Err(AskError::Store(error)) => return Err(error.into()),
            Err(error) => format!("It was not taken: {error}."),
        },
        Err(_) => "That is not a whole invite. Copy all of it, from https to the last letter.".to_owned(),
    };
    let said = Said { fault: Some(fault), pasted: form.invite, ..Said::default() };
    answer::page_with(StatusCode::UNPROCESSABLE_ENTITY, &friends_page(&site, said)?)
}

fn person(text: &str) -> Result<PersonId, Problem> {
    text.parse().map_err(|_| Problem::NotFound)
}

async fn let_in(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> Answer {
    match friends::accept_request(&site.node, person(&id)?).await {
        Ok(_) => Ok(answer::see("/home/friends")),
        Err(WelcomeError::Store(error)) => Err(error.into()),
        Err(_) => Err(Problem::NotFound),
    }
}

async fn not_now(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> Answer {
    friends::reject_request(&site.node, person(&id)?).await?;
    Ok(answer::see("/home/friends"))
}

async fn remove(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> Answer {
    friends::remove(&site.node, person(&id)?).await?;
    Ok(answer::see("/home/friends"))
}
