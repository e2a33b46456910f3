//! What a request does: the same core functions that the pages call.

use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use freehold_core::audience::{Audience, Visitor};
use freehold_core::blocking::blocking;
use freehold_core::clock::Timestamp;
use freehold_core::node::Node;
use freehold_core::photos::PhotoId;
use freehold_core::posts::{self, Draft, Over, PostId};
use freehold_core::profile::{self, Profile};
use freehold_core::{friends, identity, logins, mailbox, photos, timeline};
use freehold_web::WebConfig;
use rustix::fs::OFlags;
use serde_json::json;

use super::{Request, Response, Tell, check};
use crate::listen::ListenConfig;
use crate::welcome::mail_lines;
use crate::{certificate, exit};

/// How much of a photo is in memory at once while it is taken in, in bytes.
const UPLOAD_CHUNK_LEN: usize = 64 * 1024;

/// The most posts, photos or letters that are listed in one answer.
const LISTED_MAX: usize = 1000;

/// The node a request acts on.
#[derive(Clone)]
pub(crate) struct Acting {
    /// The node.
    pub(crate) node: Node,
    /// Its data folder.
    pub(crate) data: PathBuf,
    /// Where it listens.
    pub(crate) ports: ListenConfig,
    /// How the site is reached.
    pub(crate) web: WebConfig,
    /// Whose turn it is to check everything.
    pub(crate) checking: check::Turn,
}

impl Acting {
    fn owner(&self) -> Result<Profile> {
        let nobody = || {
            exit::with(
                exit::UNAVAILABLE,
                format!("nobody lives in {} yet; open the set-up page first", self.data.display()),
            )
        };
        profile::get(&self.node)?.ok_or_else(nobody)
    }

    /// The site's address without a slash at its end.
    fn url(&self, owner: Option<&Profile>) -> String {
        self.web.url(owner, self.ports.web.port())
    }
}

/// What is wrong with what was handed in, as an error that says so; a store that can't keep it is
/// not its fault.
pub(super) fn refused(error: impl Into<anyhow::Error>) -> anyhow::Error {
    let error = error.into();
    exit::with(exit::of_store(&error).unwrap_or(exit::DATA), error.to_string())
}

/// Does what is asked; what takes long tells how far it is.
pub(crate) async fn act(acting: &Acting, request: Request, tell: Tell) -> Result<Response> {
    let node = &acting.node;
    match request {
        Request::Status => status(acting),
        Request::MaySetUp(given) => super::set_up::may(acting, given),
        Request::SetUp(given) => super::set_up::set_up(acting, given).await,
        Request::Invite => {
            let owner = acting.owner()?;
            let invite = friends::create_invite(node, "", &acting.ports.multiaddrs())
                .await
                .map_err(refused)?;
            let url = invite.to_url(&acting.url(Some(&owner)));
            let text = format!(
                "{url}\n\nGive this to one friend: they paste it into their own node. It works once."
            );
            Ok(Response::text(text).with(json!({ "invite": url })))
        }
        Request::FriendAdd { invite } => {
            let wrong = |error| {
                let said = format!(
                    "{error}: it looks like http://alice.localhost:7080/i#…, and `freehold invite` on a friend's node makes one"
                );
                exit::with(exit::DATA, said)
            };
            let invite = invite.trim().parse::<friends::Invite>().map_err(wrong)?;
            let friend = friends::accept_invite(node, &invite).await.map_err(refused)?;
            Ok(Response::text(format!(
                "Asked {}'s node; you are friends as soon as it answers.",
                friend.name
            )))
        }
        Request::FriendList => friend_list(node),
        Request::Timeline => whole_timeline(node),
        Request::Profile { strapline, about } => {
            let profile = Profile { strapline, about, ..acting.owner()? };
            profile::set(node, profile).await.map_err(refused)?;
            Ok(Response::text("Changed."))
        }
        Request::Post { title, text, photos, draft, hours_ago } => {
            let ago = hours_ago.saturating_mul(60 * 60 * 1000);
            let date = (ago > 0).then(|| Timestamp(node.clock.now().0.saturating_sub(ago)));
            post(acting, Draft { title, text, ..Draft::default() }, &photos, draft, date).await
        }
        Request::Edit { id, title, text } => {
            let id: PostId = id.parse().map_err(refused)?;
            let before =
                posts::by_id(node, &Visitor::Owner, id)?.context("there is no such post")?;
            let draft = Draft {
                id: Some(id),
                over: Over::Revision(before.revision),
                title,
                text,
                photos: before.photos,
                slug: None,
            };
            posts::edit(node, id, draft).await.map_err(refused)?;
            Ok(Response::text("Changed; friends' nodes are told."))
        }
        Request::Withdraw { id } => {
            posts::delete(node, id.parse().map_err(refused)?).await.map_err(refused)?;
            Ok(Response::text("Withdrawn; friends' nodes are told."))
        }
        Request::PostList => {
            let list = posts::published(node, &Visitor::Owner, None, LISTED_MAX)?;
            let value = list.iter().map(
                |post| json!({ "id": post.id.to_string(), "slug": post.slug, "text": post.text }),
            );
            Ok(Response::text(format!("{} posts", list.len()))
                .with(value.collect::<Vec<_>>().into()))
        }
        Request::PhotoList => {
            let list = photos::list(node, &Visitor::Owner, None, LISTED_MAX)?;
            let value = list.iter().map(|photo| json!({ "id": photo.id.to_string(), "file": photo.file_name, "alt": photo.alt }));
            Ok(Response::text(format!("{} photos", list.len()))
                .with(value.collect::<Vec<_>>().into()))
        }
        Request::Photo { file, alt, caption } => photo(acting, file, alt, caption).await,
        Request::AppPassword { label } => app_password(acting, &label).await,
        Request::Check => check::run(node, &acting.checking, tell).await,
        Request::IdentityCard => Ok(Response::text(node.identity.card().to_string())
            .with(json!({ "card": node.identity.card().to_string() }))),
        Request::IdentityClaim { claim } => {
            let claim = claim.parse().map_err(refused)?;
            let person = identity::claim(node, &claim).await.map_err(refused)?;
            Ok(Response::text(format!("This node is {person}'s now.")))
        }
        Request::IdentityShow => super::identity::show(node),
        Request::IdentityLog => super::identity::log(node),
        Request::IdentityWants { wanted } => super::identity::request(node, wanted),
        Request::IdentityUpload { signed } => super::identity::upload(node, &signed).await,
    }
}

fn status(acting: &Acting) -> Result<Response> {
    let node = &acting.node;
    let owner = profile::get(node)?;
    let ports = &acting.ports;
    let url = acting.url(owner.as_ref());
    let posts = posts::count(node)?;
    let friends =
        friends::list(node)?.iter().filter(|friend| friend.state == friends::State::Friend).count();
    let inbox = mailbox::folders(node)?
        .into_iter()
        .find(|folder| folder.name == "INBOX")
        .map_or(0, |folder| folder.total);
    // Until the end of time: what is tried again tomorrow waits too.
    let queued = mailbox::queue::due(node, Timestamp(u64::MAX), LISTED_MAX)?.len();
    let text = format!(
        "{} at {url}\n{posts} posts, {friends} friends, {inbox} letters in the inbox, {queued} on their way\nprocess {}, data in {}",
        owner.as_ref().map_or("Nobody yet", |owner| owner.name.as_str()),
        std::process::id(),
        acting.data.display(),
    );
    Ok(Response::text(text).with(json!({
        "name": owner.as_ref().map(|owner| &owner.name),
        "web": format!("{url}/"),
        "login": owner.as_ref().map(|owner| &owner.login),
        "address": owner.as_ref().map(profile::address),
        "person": node.identity.person().map(|person| person.to_string()),
        "posts": posts,
        "friends": friends,
        "queued": queued,
        "ports": {
            "web": ports.web.port(),
            "smtp": ports.smtp.port(),
            "submission": ports.submission.port(),
            "smtps": ports.smtps.port(),
            "imap": ports.imap.port(),
            "imaps": ports.imaps.port(),
        },
        "certificate": certificate::path(&acting.data),
        "libp2p": ports.multiaddrs(),
        "data": acting.data,
        "pid": std::process::id(),
        "ends_with": crate::cli::ends_with(),
    })))
}

/// All of the timeline, however long it is: who looks for a post must find it below any number of
/// newer ones.
fn whole_timeline(node: &Node) -> Result<Response> {
    let (mut list, mut before) = (Vec::new(), None);
    loop {
        let items = timeline::page(node, before, LISTED_MAX)?;
        let Some(last) = items.last() else { break };
        before = Some(last.cursor());
        list.extend(
            items
                .iter()
                .map(|item| json!({ "author": item.author.to_string(), "slug": item.slug })),
        );
    }
    Ok(Response::text(format!("{} posts", list.len())).with(list.into()))
}

fn friend_list(node: &Node) -> Result<Response> {
    let word = |state| match state {
        friends::State::Asked => "asked",
        friends::State::Friend => "friend",
        friends::State::Blocked => "blocked",
        friends::State::Refused => "refused",
        friends::State::Left => "left",
    };
    let list = friends::list(node)?;
    let text: Vec<String> =
        list.iter().map(|friend| format!("{:8} {}", word(friend.state), friend.name)).collect();
    let text = if text.is_empty() {
        "No friends yet; `freehold invite` makes an invitation.".to_owned()
    } else {
        text.join("\n")
    };
    let list: Vec<_> = list
        .iter()
        .map(|friend| json!({ "name": friend.name, "person": friend.person.to_string(), "state": word(friend.state) }))
        .collect();
    Ok(Response::text(text).with(list.into()))
}

async fn post(
    acting: &Acting,
    written: Draft,
    photos: &[String],
    draft: bool,
    date: Option<Timestamp>,
) -> Result<Response> {
    let node = &acting.node;
    let owner = acting.owner()?;
    let photos: Vec<PhotoId> =
        photos.iter().map(|id| id.parse().map_err(refused)).collect::<Result<_>>()?;
    let written = Draft { photos, ..written };
    if draft {
        let kept = posts::save_draft(node, written).await.map_err(refused)?;
        let text = format!("Kept as a draft: {}/home/write/{}", acting.url(Some(&owner)), kept.id);
        return Ok(Response::text(text).with(json!({ "id": kept.id.to_string() })));
    }
    let post = match date {
        Some(_) => {
            posts::publish_dated(
                node,
                posts::save_draft(node, written).await.map_err(refused)?.id,
                date,
            )
            .await
        }
        None => posts::publish_new(node, written).await,
    };
    let post = post.map_err(refused)?;
    let path = freehold_web::path_of(&post);
    let url = format!("{}{path}", acting.url(Some(&owner)));
    Ok(Response::text(url).with(json!({ "id": post.id.to_string(), "path": path })))
}

async fn photo(acting: &Acting, file: PathBuf, alt: String, caption: String) -> Result<Response> {
    acting.owner()?;
    let file_name =
        file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut writer = photos::upload_writer(&acting.node)?;
    let stored = blocking(move || -> Result<_> {
        let unreadable = |error: std::io::Error| {
            exit::with(exit::NO_INPUT, format!("can't read {}: {error}", file.display()))
        };
        // Not waiting for a writer at the other end of a pipe: that may never come.
        let waitless = OFlags::NONBLOCK.bits().cast_signed();
        let mut opened = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(waitless)
            .open(&file)
            .map_err(unreadable)?;
        if !opened.metadata().map_err(unreadable)?.is_file() {
            return Err(exit::with(
                exit::NO_INPUT,
                format!("can't read {}: it is no file", file.display()),
            ));
        }
        let mut chunk = vec![0; UPLOAD_CHUNK_LEN];
        loop {
            match std::io::Read::read(&mut opened, &mut chunk)? {
                0 => return Ok(writer.finish()?),
                len => writer.write(chunk.get(..len).unwrap_or_default())?,
            }
        }
    });
    let stored = stored.await.context("reading the photo ended early")??;
    let upload =
        photos::Upload { file: stored, file_name, alt, caption, audience: Audience::Public };
    let photo = photos::add(&acting.node, upload).await.map_err(refused)?;
    let text = format!("Added: {} × {} pixels.", photo.width, photo.height);
    Ok(Response::text(text).with(json!({ "id": photo.id.to_string() })))
}

async fn app_password(acting: &Acting, label: &str) -> Result<Response> {
    let owner = acting.owner()?;
    let (node, label) = (&acting.node, label.trim());
    if label.is_empty() {
        return Err(exit::with(
            exit::DATA,
            "an app password has a name, by which it can be revoked: \"phone\", \"mutt on the desk\"",
        ));
    }
    // One password per label: making a new one for the same program is how a lost one is replaced.
    for old in logins::app_passwords(node)?.into_iter().filter(|old| old.label == label) {
        logins::revoke_app_password(node, old.id).await?;
    }
    let (_, password) = logins::create_app_password(node, label).await.map_err(refused)?;
    let address = profile::address(&owner);
    let mut text =
        format!("{password}\n\nFor {label}, with the name {address}. It is shown this once.");
    // A port that the system will choose at the next start is not known yet.
    if acting.ports.smtps.port() != 0 && acting.ports.imaps.port() != 0 {
        text.push_str(" While the node runs, this sends a mail and reads it:\n");
        let user = format!("{address}:{password}");
        for line in mail_lines(&address, &user, &acting.ports, &certificate::path(&acting.data)) {
            text.push_str(&format!("\n  {line}"));
        }
    }
    Ok(Response::text(text).with(json!({ "app_password": password })))
}

#[cfg(test)]
mod tests {
    use freehold_core::store::StoreError;

    use super::*;

    #[test]
    fn a_store_that_can_not_keep_it_is_told_from_what_should_not_be_kept() {
        let full = [
            refused(posts::PostError::Store(StoreError::Full)),
            refused(logins::SetUpError::Profile(profile::ProfileError::Store(StoreError::Full))),
            StoreError::Full.into(),
        ];
        assert_eq!(full.map(|error| exit::code(&error)), [exit::CANT_CREATE; 3]);
        let gone =
            refused(photos::AddError::Store(StoreError::Unavailable("the disk failed".to_owned())));
        assert_eq!(
            (exit::code(&gone), exit::sentence(&gone).as_str()),
            (exit::UNAVAILABLE, "the store is not available: the disk failed")
        );
        assert_eq!(exit::code(&refused(posts::PostError::Empty)), exit::DATA);
    }
}
