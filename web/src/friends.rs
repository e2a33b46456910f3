//! Friends: requests, friends, blocked people, and the invites.

mod fetch;
mod invites;

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use freehold_core::clock::Timestamp;
use freehold_core::feed;
use freehold_core::friends::{self, BefriendError, Friend, FriendState};
use freehold_core::identity::PersonId;
use freehold_core::identity_log;
use freehold_core::mailbox::relay::{
    RELAYED_MESSAGES_PER_DAY, RELAYED_MIB_PER_DAY, RELAYED_RECIPIENTS_PER_DAY,
};
use freehold_core::names;
use freehold_core::node::Node;
use freehold_core::notices::{self, FriendNotice};
use freehold_core::shares::{self, Share};
use freehold_core::store::StoreError;
use serde::Deserialize;

pub use self::fetch::{FindInviteError, find_invite};
use self::invites::CreatedInvite;
pub use self::invites::invite_links;
use crate::avatar::Avatar;
use crate::dates;
use crate::done::Done;
use crate::idempotency;
use crate::layout::Layout;
use crate::made_once::Made;
use crate::namesakes::Namesakes;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

/// The page of friends.
const PAGE: &str = "/home/friends";
/// A friend's node counts as online for this long after it was last seen, so that a reconnect does
/// not show as offline. In milliseconds.
const ONLINE_MS: u64 = 3 * 60 * 1000;

/// True if a friend's node is connected, or was a moment ago and has not said that it stops.
pub(crate) fn is_online(friend: &Friend, now: Timestamp) -> bool {
    let is_recent = friend.last_seen.is_some_and(|seen| now.millis_since(seen) < ONLINE_MS);
    friend.state == FriendState::Friend && (friend.is_online || (is_recent && !friend.has_left))
}

pub(crate) fn routes() -> Routes {
    Routes::new()
        .get("/home/friends", Access::Owner, show)
        .post("/home/friends/{person}/let-in", Access::Owner, accept_request)
        .post("/home/friends/{person}/not-now", Access::Owner, reject_request)
        .post("/home/friends/{person}/remove", Access::Owner, remove)
        .post("/home/friends/{person}/block", Access::Owner, block)
        .post("/home/friends/{person}/unblock", Access::Owner, unblock)
        .post("/home/friends/{person}/relay", Access::Owner, relay)
        .merge(invites::routes())
}

/// A person in one of the lists.
struct Row {
    person: String,
    avatar: Avatar,
    name: String,
    /// The beginning of the person's id, if another person's name looks the same.
    mark: Option<String>,
    /// The second line.
    about: String,
    /// Shown as a filled ring beside `state`.
    is_online: bool,
    state: String,
    /// True if two versions of their identity log exist and no rule prefers one.
    is_disputed: bool,
    /// Notices about their node.
    notices: Vec<FriendNotice>,
    /// The address of their site, from their node.
    site: Option<String>,
    /// True if they have used their share of the disk for today.
    is_over_share: bool,
    /// Their mail address; empty if it is not known.
    address: String,
    /// True if this node sends their mail to the world.
    is_relayed: bool,
    /// True if it has sent as much as it does in a day.
    is_relay_used_up: bool,
}

impl Row {
    /// The address within a link.
    fn write_to(&self) -> String {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@.-_".contains(&byte);
        response::percent_encoded(self.address.as_bytes(), is_plain)
    }
}

/// An invite that nobody has used yet.
struct OpenInvite {
    id: String,
    label: String,
    expires: String,
}

/// The result of a form about invites, shown above it.
#[derive(Default)]
struct InviteResult {
    created: Option<CreatedInvite>,
    /// The reason why none was created.
    not_created: Option<String>,
    /// The typed label, sent back with that.
    label: String,
    /// The name of the person whose invite was accepted.
    accepted: Option<String>,
    /// The reason why none was accepted.
    fault: Option<String>,
    /// The pasted text, sent back with a fault.
    pasted: String,
}

/// The people, by the state of the friendship.
#[derive(Default)]
struct Lists {
    /// They sent a request; the owner has not decided.
    requests: Vec<Row>,
    /// The owner sent a request; they have not answered, or refused.
    pending: Vec<Row>,
    /// They ended the friendship.
    ended: Vec<Row>,
    friends: Vec<Row>,
    blocked: Vec<Row>,
}

#[derive(Template)]
#[template(path = "friends/list.html")]
struct FriendsPage {
    page: Layout,
    summary: String,
    lists: Lists,
    open_invites: Vec<OpenInvite>,
    result: InviteResult,
    /// The key of the form for an invite.
    key: String,
    /// The limits of a friend's mail that this node sends.
    relay_limits: RelayLimits,
}

/// The limits of a friend's mail per day.
struct RelayLimits {
    messages: u64,
    recipients: u64,
    mib: u32,
}

#[derive(Deserialize)]
struct ShowQuery {
    /// The key of the form that created an invite.
    #[serde(default)]
    made: String,
}

async fn show(
    State(site): State<Site>,
    _: Owner,
    Query(query): Query<ShowQuery>,
    done: Done,
) -> PageResult {
    let made = site.made_once.lock().await.get(&query.made, site.node.clock.now());
    let created = match made {
        Some(Made::Invite(links, label)) => Some(CreatedInvite::of(links, label)),
        Some(Made::AppPassword(_)) | None => None,
    };
    let page = friends_page(&site, InviteResult { created, ..InviteResult::default() })?;
    response::page(&FriendsPage { page: page.page.saying(done), ..page })
}

fn friends_page(site: &Site, result: InviteResult) -> Result<FriendsPage, Problem> {
    let now = site.node.clock.now();
    let lists = lists(site, now)?;
    let summary = match lists.friends.len() {
        0 => "Nobody yet. One friend is enough to begin with.".to_owned(),
        1 => "One person. Nobody sees who else is here.".to_owned(),
        count => format!("{count} people. Nobody sees who else is here."),
    };
    let open_invites =
        friends::open_invites(&site.node)?.into_iter().map(|invite| open_invite(&invite, now));
    Ok(FriendsPage {
        page: site.owner_layout("Friends", "Friends")?,
        summary,
        lists,
        open_invites: open_invites.collect(),
        result,
        key: idempotency::new_key(site),
        relay_limits: RelayLimits {
            messages: RELAYED_MESSAGES_PER_DAY,
            recipients: RELAYED_RECIPIENTS_PER_DAY,
            mib: RELAYED_MIB_PER_DAY,
        },
    })
}

fn lists(site: &Site, now: Timestamp) -> Result<Lists, Problem> {
    let mut lists = Lists::default();
    let namesakes = Namesakes::read(site)?;
    for friend in friends::list(&site.node)? {
        let list = match friend.state {
            FriendState::Friend => &mut lists.friends,
            FriendState::Requested | FriendState::Refused => &mut lists.pending,
            FriendState::Left => &mut lists.ended,
            FriendState::Blocked => &mut lists.blocked,
        };
        list.push(friend_row(site, friend, &namesakes, now)?);
    }
    let requests = friends::requests(&site.node)?.into_iter();
    lists.requests = requests.map(|request| request_row(request, &namesakes, now)).collect();
    Ok(lists)
}

fn request_row(request: friends::FriendRequest, namesakes: &Namesakes, now: Timestamp) -> Row {
    Row {
        person: request.from.person.to_string(),
        avatar: Avatar::of(&request.from.name, &request.from.person.0),
        mark: namesakes.mark_of(&request.from.name, &request.from.person),
        name: request.from.name,
        about: if request.note.is_empty() {
            "Would like to be friends.".to_owned()
        } else {
            format!("“{}”", request.note)
        },
        is_online: false,
        state: dates::ago(request.received, now),
        is_disputed: false,
        notices: Vec::new(),
        site: None,
        is_over_share: false,
        address: String::new(),
        is_relayed: false,
        is_relay_used_up: false,
    }
}

fn open_invite(invite: &friends::OpenInvite, now: Timestamp) -> OpenInvite {
    OpenInvite {
        id: data_encoding::HEXLOWER.encode(&invite.id),
        label: if invite.label.is_empty() {
            "For somebody".to_owned()
        } else {
            format!("For {}", invite.label)
        },
        expires: format!("ends {}", dates::day(invite.expires, now)),
    }
}

/// The address of a friend's site, from their node; only `http` and `https` may become a link.
pub(crate) fn site_of(site: &Site, person: &PersonId) -> Result<Option<String>, Problem> {
    let web = feed::homes_of(&site.node, person)?.and_then(|homes| homes.web.into_iter().next());
    Ok(web
        .filter(|web| web.starts_with("https://") || web.starts_with("http://"))
        .map(|web| web.trim_end_matches('/').to_owned()))
}

fn friend_row(
    site: &Site,
    friend: Friend,
    namesakes: &Namesakes,
    now: Timestamp,
) -> Result<Row, Problem> {
    let is_online = is_online(&friend, now);
    let (about, state) = match (friend.state, friend.last_seen) {
        (FriendState::Blocked, _) => (
            "Turned away at the door. Letters still arrive.",
            format!("since {}", dates::day(friend.since, now)),
        ),
        (FriendState::Left, _) => (
            "No longer follows you. What they said before is still here.",
            dates::ago(friend.since, now),
        ),
        (FriendState::Refused, _) => {
            ("Said no: the invite was used or had ended. Ask for a new one.", String::new())
        }
        (FriendState::Requested, _) => {
            ("You took the invite. Waiting for an answer.", dates::ago(friend.since, now))
        }
        (_, Some(_)) if is_online => ("", "awake".to_owned()),
        (_, Some(seen)) => ("", format!("last heard {}", dates::ago(seen, now))),
        (_, None) => ("", "not met yet".to_owned()),
    };
    let mut notices = match friend.state {
        FriendState::Friend => notices::of_friend(&site.node, &friend)?,
        _ => Vec::new(),
    };
    notices.retain(|notice| *notice != FriendNotice::Disputed);
    let about = if about.is_empty() {
        format!("Friends since {}", dates::day(friend.since, now))
    } else {
        about.to_owned()
    };
    let address = match friend.state {
        FriendState::Friend => feed::profile_of(&site.node, &friend.person)?,
        _ => None,
    };
    Ok(Row {
        address: address.map(|profile| names::plain(&profile.address)).unwrap_or_default(),
        person: friend.person.to_string(),
        mark: namesakes.mark_of(&friend.name, &friend.person),
        avatar: Avatar::of_friend(&friend),
        about,
        is_online,
        state,
        is_disputed: identity_log::dispute(&site.node, &friend.person)?.is_some(),
        notices,
        site: if friend.state == FriendState::Friend {
            site_of(site, &friend.person)?
        } else {
            None
        },
        is_over_share: friend.state == FriendState::Friend
            && is_over_share(site, friend.person, now)?,
        is_relayed: friend.is_relayed,
        is_relay_used_up: friend.is_relayed && is_relay_used_up(site, friend.person, now)?,
        name: friend.name,
    })
}

/// The name of a friend, or of a person who was one.
pub(crate) fn friend_name(node: &Node, person: &PersonId) -> Result<String, StoreError> {
    let friend = friends::get(node, person)?;
    Ok(friend.map_or_else(|| person.short(), |friend| friend.name))
}

/// True if the friend has used up the share of today: new posts or photos arrive tomorrow.
fn is_over_share(site: &Site, person: PersonId, now: Timestamp) -> Result<bool, Problem> {
    let rows = &site.node.store;
    Ok(shares::is_used_up(rows, now, Share::Entries(person))?
        || shares::is_used_up(rows, now, Share::Photos(person))?)
}

/// True if this node has sent as much of the friend's mail today as it does.
fn is_relay_used_up(site: &Site, person: PersonId, now: Timestamp) -> Result<bool, Problem> {
    let rows = &site.node.store;
    Ok(shares::is_used_up(rows, now, Share::RelayedMail(person))?
        || shares::is_used_up(rows, now, Share::RelayedRecipients(person))?)
}

/// The owner's choice about a person's posts when a friendship ends.
#[derive(Deserialize)]
struct EndForm {
    /// Present if it is to be erased.
    forget: Option<String>,
}

fn person(text: &str) -> Result<PersonId, Problem> {
    text.parse().map_err(|_| Problem::NotFound)
}

async fn accept_request(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> PageResult {
    match friends::accept_request(&site.node, person(&id)?).await {
        Ok(_) => Ok(response::see_other(&Done::FriendAdded.at(PAGE))),
        Err(BefriendError::Store(error)) => Err(error.into()),
        Err(_) => Err(Problem::NotFound),
    }
}

async fn reject_request(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> PageResult {
    friends::reject_request(&site.node, person(&id)?).await?;
    Ok(response::see_other(&Done::RequestRejected.at(PAGE)))
}

async fn remove(
    State(site): State<Site>,
    _: Owner,
    Path(id): Path<String>,
    Form(form): Form<EndForm>,
) -> PageResult {
    let person = person(&id)?;
    match form.forget {
        Some(_) => friends::remove_and_forget(&site.node, person).await?,
        None => friends::remove(&site.node, person).await?,
    }
    Ok(response::see_other(&Done::FriendRemoved.at(PAGE)))
}

async fn block(
    State(site): State<Site>,
    _: Owner,
    Path(id): Path<String>,
    Form(form): Form<EndForm>,
) -> PageResult {
    let person = person(&id)?;
    let is_blocked = match form.forget {
        Some(_) => friends::block_and_forget(&site.node, person).await?,
        None => friends::block(&site.node, person).await?,
    };
    if is_blocked {
        Ok(response::see_other(&Done::FriendBlocked.at(PAGE)))
    } else {
        Err(Problem::NotFound)
    }
}

async fn unblock(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> PageResult {
    friends::unblock(&site.node, person(&id)?).await?;
    Ok(response::see_other(&Done::FriendUnblocked.at(PAGE)))
}

#[derive(Deserialize)]
struct RelayForm {
    /// Present if this node is to send the friend's mail.
    on: Option<String>,
}

/// Sends a friend's mail to the world by this node, or no more.
async fn relay(
    State(site): State<Site>,
    _: Owner,
    Path(id): Path<String>,
    Form(form): Form<RelayForm>,
) -> PageResult {
    match friends::set_relayed(&site.node, person(&id)?, form.on.is_some()).await? {
        true => Ok(response::see_other(&Done::SettingsSaved.at(PAGE))),
        false => Err(Problem::NotFound),
    }
}
