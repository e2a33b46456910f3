//! Friends: who is at the door, who is in, who is kept out, and the invites that let them in.

mod invites;

use askama::Template;
use axum::extract::{Path, State};
use freehold_core::clock::Timestamp;
use freehold_core::feed;
use freehold_core::friends::{self, BefriendError, Friend, FriendState as Stage};
use freehold_core::identity::PersonId;
use freehold_core::identity_log;

use self::invites::Made;
use crate::answer::{self, Answer, Problem};
use crate::dates;
use crate::doors::PersonDoor;
use crate::frame::Frame;
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::visitor::Owner;

/// Whoever was heard within this time counts as awake: a connection that is made anew is no sleep.
const AWAKE_MS: u64 = 3 * 60 * 1000;

/// Whether a friend's house is connected, or was a moment ago.
pub(crate) fn is_awake(friend: &Friend, now: Timestamp) -> bool {
    let is_fresh = friend.last_seen.is_some_and(|seen| now.millis_since(seen) < AWAKE_MS);
    friend.state == Stage::Friend && (friend.is_online || is_fresh)
}

pub(crate) fn routes() -> Routes {
    Routes::new()
        .get("/home/friends", Access::Owner, show)
        .post("/home/friends/{person}/let-in", Access::Owner, let_in)
        .post("/home/friends/{person}/not-now", Access::Owner, not_now)
        .post("/home/friends/{person}/remove", Access::Owner, remove)
        .post("/home/friends/{person}/block", Access::Owner, block)
        .post("/home/friends/{person}/unblock", Access::Owner, unblock)
        .merge(invites::routes())
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
    /// Whether two versions of their identity go round and nothing decides between them.
    is_disputed: bool,
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
    made: Option<Made>,
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
    blocked: Vec<Row>,
    invites: Vec<Out>,
    said: Said,
}

async fn show(State(site): State<Site>, _: Owner) -> Answer {
    answer::page(&friends_page(&site, Said::default())?)
}

fn friends_page(site: &Site, said: Said) -> Result<FriendsPage, Problem> {
    let now = site.node.clock.now();
    let (mut everyone, mut on_the_way, mut gone, mut blocked) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for friend in friends::list(&site.node)? {
        let list = match friend.state {
            Stage::Friend => &mut everyone,
            Stage::Requested | Stage::Refused => &mut on_the_way,
            Stage::Left => &mut gone,
            Stage::Blocked => &mut blocked,
        };
        list.push(row(site, friend, now)?);
    }
    let asking = friends::requests(&site.node)?.into_iter().map(|request| Row {
        person: request.from.person.to_string(),
        door: PersonDoor::of(&request.from.name, &request.from.person.0),
        name: request.from.name,
        about: if request.note.is_empty() {
            "Would like to be friends.".to_owned()
        } else {
            format!("“{}”", request.note)
        },
        is_awake: false,
        state: dates::ago(request.received, now),
        is_disputed: false,
        site: None,
    });
    let invites = friends::open_invites(&site.node)?.into_iter().map(|open| Out {
        id: data_encoding::HEXLOWER.encode(&open.id),
        label: if open.label.is_empty() {
            "For somebody".to_owned()
        } else {
            format!("For {}", open.label)
        },
        ends: format!("ends {}", dates::day(open.expires, now)),
    });
    let summary = match everyone.len() {
        0 => "Nobody yet. One friend is enough to begin with.".to_owned(),
        1 => "One person. Nobody sees who else is here.".to_owned(),
        count => format!("{count} people. Nobody sees who else is here."),
    };
    let page = site.home_frame("Friends", "Friends")?;
    Ok(FriendsPage {
        page,
        summary,
        asking: asking.collect(),
        on_the_way,
        gone,
        everyone,
        blocked,
        invites: invites.collect(),
        said,
    })
}

/// Where a friend says that their site is; only an address of the web becomes a link.
pub(crate) fn site_of(site: &Site, person: &PersonId) -> Result<Option<String>, Problem> {
    let web = feed::homes_of(&site.node, person)?.and_then(|homes| homes.web.into_iter().next());
    Ok(web
        .filter(|web| web.starts_with("https://") || web.starts_with("http://"))
        .map(|web| web.trim_end_matches('/').to_owned()))
}

fn row(site: &Site, friend: Friend, now: Timestamp) -> Result<Row, Problem> {
    let is_awake = is_awake(&friend, now);
    let (about, state) = match (friend.state, friend.last_seen) {
        (Stage::Blocked, _) => (
            "Turned away at the door. Letters still arrive.",
            format!("since {}", dates::day(friend.since, now)),
        ),
        (Stage::Left, _) => (
            "No longer follows you. What they said before is still here.",
            dates::ago(friend.since, now),
        ),
        (Stage::Refused, _) => {
            ("Said no: the invite was used or had ended. Ask for a new one.", String::new())
        }
        (Stage::Requested, _) => {
            ("You took the invite. Waiting for an answer.", dates::ago(friend.since, now))
        }
        (_, Some(_)) if is_awake => ("", "awake".to_owned()),
        (_, Some(seen)) => ("", format!("last heard {}", dates::ago(seen, now))),
        (_, None) => ("", "not met yet".to_owned()),
    };
    let about = if about.is_empty() {
        format!("Friends since {}", dates::day(friend.since, now))
    } else {
        about.to_owned()
    };
    Ok(Row {
        person: friend.person.to_string(),
        door: PersonDoor::of_friend(&friend),
        about,
        is_awake,
        state,
        is_disputed: identity_log::dispute(&site.node, &friend.person)?.is_some(),
        site: if friend.state == Stage::Friend { site_of(site, &friend.person)? } else { None },
        name: friend.name,
    })
}

fn person(text: &str) -> Result<PersonId, Problem> {
    text.parse().map_err(|_| Problem::NotFound)
}

async fn let_in(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> Answer {
    match friends::accept_request(&site.node, person(&id)?).await {
        Ok(_) => Ok(answer::see("/home/friends")),
        Err(BefriendError::Store(error)) => Err(error.into()),
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

async fn block(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> Answer {
    if friends::block(&site.node, person(&id)?).await? {
        Ok(answer::see("/home/friends#blocked"))
    } else {
        Err(Problem::NotFound)
    }
}

async fn unblock(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> Answer {
    friends::unblock(&site.node, person(&id)?).await?;
    Ok(answer::see("/home/friends"))
}
