//! Executes a request, by the same core functions that the website calls.

use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use freehold_core::audience::{Audience, Visitor};
use freehold_core::blocking::blocking;
use freehold_core::clock::Timestamp;
use freehold_core::node::Node;
use freehold_core::photos::PhotoId;
use freehold_core::photos::renditions::Flaw;
use freehold_core::posts::{self, Draft, PostId, Precondition};
use freehold_core::profile::{self, Profile};
use freehold_core::publish;
use freehold_core::{feed, friends, identity, photos, timeline};
use freehold_mail::MailConfig;
use freehold_web::{FindInviteError, WebConfig};
use rustix::fs::OFlags;
use serde_json::json;

use super::{OnProgress, Request, Response, check};
use crate::config::Config;
use crate::exit;
use crate::listen::ListenConfig;

/// The size of the chunks in which a photo is read, in bytes.
const UPLOAD_CHUNK_LEN: usize = 64 * 1024;

/// The most posts, photos or messages in one response.
const LISTED_MAX: usize = 1000;

/// The node that executes requests.
#[derive(Clone)]
pub(crate) struct ControlContext {
    /// The node.
    pub(crate) node: Node,
    /// Its data folder.
    pub(crate) data: PathBuf,
    /// The addresses it listens on.
    pub(crate) ports: ListenConfig,
    /// The site's settings, which decide its address.
    pub(crate) web: WebConfig,
    /// The settings of mail.
    pub(crate) mail: MailConfig,
    /// The machine's public addresses, as configured.
    pub(crate) public_addresses: Vec<IpAddr>,
    /// The authority that may issue certificates, as configured; empty for none.
    pub(crate) certificate_authority: String,
    /// This node's addresses for friends.
    pub(crate) addresses: Addresses,
    /// True if the node runs, and so tries what it is told.
    pub(crate) is_running: bool,
    /// Held during a check: one check at a time.
    pub(crate) check_lock: check::CheckLock,
}

/// The source of this node's addresses for friends: the running federation. Of a node that does not
/// run, the addresses that it has published, or else the configured ones.
pub(crate) type Addresses = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// The addresses of a node that does not run.
pub(crate) fn stored_addresses(node: &Node, config: &Config) -> Vec<String> {
    let person = node.identity.person();
    let homes = person.and_then(|person| feed::homes_of(node, &person).ok().flatten());
    let published = homes.map(|homes| homes.libp2p).unwrap_or_default();
    if !published.is_empty() {
        return published;
    }
    let external = &config.federation.external;
    if external.is_empty() { config.listen.multiaddrs() } else { external.clone() }
}

impl ControlContext {
    pub(super) fn owner(&self) -> Result<Profile> {
        profile::get(&self.node)?.ok_or_else(|| {
            let message = format!(
                "the node in {} is not set up; open the set-up link or run `freehold init`",
                self.data.display()
            );
            exit::with(exit::UNAVAILABLE, message)
        })
    }

    /// The site's address, without a trailing slash.
    pub(super) fn url(&self, owner: Option<&Profile>) -> String {
        self.web.url(owner, self.ports.web.port())
    }
}

/// The error for an invalid value: exit code 65, unless the cause is a store that is full or not
/// available.
pub(super) fn invalid(error: impl Into<anyhow::Error>) -> anyhow::Error {
    let error = error.into();
    exit::with(exit::store_code(&error).unwrap_or(exit::DATA), error.to_string())
}

/// Executes a request. `on_progress` is called during long ones.
pub(crate) async fn execute(
    context: &ControlContext,
    request: Request,
    on_progress: OnProgress,
) -> Result<Response> {
    let node = &context.node;
    match request {
        Request::Status => super::status::status(context),
        Request::MaySetUp(values) => super::set_up::check(context, values),
        Request::SetUp(values) => super::set_up::set_up(context, values).await,
        Request::SetUpLink => super::set_up::link(context).await,
        Request::Invite => {
            let owner = context.owner()?;
            let invite =
                friends::create_invite(node, "", &(context.addresses)()).await.map_err(invalid)?;
            let (base, is_public) = (context.url(Some(&owner)), context.web.public_url.is_some());
            let freehold_web::InviteLinks { link, long } =
                freehold_web::invite_links(&invite, &base, is_public);
            let mut text = format!(
                "{link}\n\nGive this address to one friend, who pastes it into their own node. It \
                 works once."
            );
            if let Some(long) = &long {
                text.push_str(&format!(
                    "\nFor a friend whose node can't reach {base}, the same invite in full:\n{long}"
                ));
            }
            let whole = long.as_ref().unwrap_or(&link);
            Ok(Response::text(text).with(json!({ "invite": link, "invite_long": whole })))
        }
        Request::FriendAdd { invite } => {
            let invite = match freehold_web::find_invite(node, &invite).await {
                Ok(invite) => invite,
                Err(error @ FindInviteError::NotAnInvite) => {
                    let message = format!(
                        "{error}: an invitation looks like http://alice.localhost:7080/i#…; a \
                         friend's node makes one with `freehold invite`"
                    );
                    return Err(exit::with(exit::DATA, message));
                }
                Err(error @ FindInviteError::Unreachable { .. }) => {
                    return Err(exit::with(exit::UNAVAILABLE, error.to_string()));
                }
                Err(error) => return Err(invalid(error)),
            };
            let friend = friends::accept_invite(node, &invite).await.map_err(invalid)?;
            Ok(Response::text(format!(
                "Request sent to {}'s node; you are friends as soon as it answers.",
                friend.name
            )))
        }
        Request::FriendList => super::friends::list(node),
        Request::FriendRelay { name, is_on } => super::friends::relay(node, &name, is_on).await,
        Request::Timeline => timeline_list(node),
        Request::Profile { strapline, about, avatar_colour } => {
            let before = context.owner()?;
            let avatar_colour = avatar_colour.unwrap_or(before.avatar_colour);
            let profile = Profile { strapline, about, avatar_colour, ..before };
            publish::profile(node, profile).await.map_err(invalid)?;
            Ok(Response::text("Changed."))
        }
        Request::Post { title, text, photos, draft, hours_ago } => {
            let ago = hours_ago.saturating_mul(60 * 60 * 1000);
            let date = (ago > 0).then(|| Timestamp(node.clock.now().0.saturating_sub(ago)));
            post(context, Draft { title, text, ..Draft::default() }, &photos, draft, date).await
        }
        Request::Edit { id, title, text } => {
            let id: PostId = id.parse().map_err(invalid)?;
            let before =
                posts::by_id(node, &Visitor::Owner, id)?.context("there is no such post")?;
            let draft = Draft {
                id: Some(id),
                precondition: Precondition::Revision(before.revision),
                title,
                text,
                photos: before.photos,
                slug: None,
            };
            publish::edit(node, id, draft).await.map_err(invalid)?;
            Ok(Response::text("Changed; friends' nodes get the new version."))
        }
        Request::Withdraw { id } => {
            publish::delete(node, id.parse().map_err(invalid)?).await.map_err(invalid)?;
            Ok(Response::text("Withdrawn; friends' nodes delete it too."))
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
            let value = list.iter().map(|photo| {
                let id = photo.id.to_string();
                json!({ "id": id, "file": photo.file_name, "alt": photo.alt })
            });
            Ok(Response::text(format!("{} photos", list.len()))
                .with(value.collect::<Vec<_>>().into()))
        }
        Request::Photo { file, alt, caption } => photo(context, file, alt, caption).await,
        Request::Address(command) => super::address::run(node, command).await,
        Request::QueueList => super::queue::list(node),
        Request::QueueShow { id } => super::queue::show(node, &id),
        Request::QueueRetry { id } => super::queue::retry(node, id.as_deref()).await,
        Request::QueueDrop { id } => super::queue::drop_one(node, &id).await,
        Request::Dkim => super::dkim::show(context).await,
        Request::DkimRotate => super::dkim::rotate(context).await,
        Request::Dns(request) => super::dns::run(context, request).await,
        Request::Wkd => super::wkd::show(context),
        Request::WkdSet { key } => super::wkd::set(context, &key).await,
        Request::WkdRemove => super::wkd::remove(node).await,
        Request::Smarthost => super::smarthost::show(node),
        Request::SmarthostSet { server, user, password } => {
            super::smarthost::set(context, &server, &user, &password).await
        }
        Request::SmarthostFriend { name } => super::smarthost::set_friend(node, &name).await,
        Request::SmarthostRemove => super::smarthost::remove(node).await,
        Request::AppPassword(wanted) => super::app_password::create(context, wanted).await,
        Request::ExportMail { format, folder } => {
            super::mail_files::export(node, format, folder, on_progress).await
        }
        Request::ImportMail(options) => super::mail_files::import(node, options, on_progress).await,
        Request::ImportImap(wanted) => {
            super::imap_import::import(context, wanted, on_progress).await
        }
        Request::Check => check::run(node, &context.check_lock, on_progress).await,
        Request::IdentityCard => Ok(Response::text(node.identity.card().to_string())
            .with(json!({ "card": node.identity.card().to_string() }))),
        Request::IdentityClaim { claim } => {
            let claim = claim.parse().map_err(invalid)?;
            let person = identity::claim(node, &claim).await.map_err(invalid)?;
            let next = match profile::get(node)? {
                Some(_) => "",
                None => {
                    "\nNext, give it a name, an address and a password: open the set-up link that \
                     the node prints at its start, or run `freehold init`. Until then nobody can \
                     log in."
                }
            };
            Ok(Response::text(format!("This node now belongs to person {person}.{next}")))
        }
        Request::IdentityShow => super::identity::show(node),
        Request::IdentityLog => super::identity::log(node),
        Request::IdentityWants { wanted } => super::identity::request(node, wanted),
        Request::IdentityUpload { signed } => super::identity::upload(node, &signed).await,
    }
}

/// The whole timeline without a limit: a client that searches for a post must find it below any
/// number of newer ones.
fn timeline_list(node: &Node) -> Result<Response> {
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

async fn post(
    context: &ControlContext,
    content: Draft,
    photos: &[String],
    draft: bool,
    date: Option<Timestamp>,
) -> Result<Response> {
    let node = &context.node;
    let owner = context.owner()?;
    let photos: Vec<PhotoId> =
        photos.iter().map(|id| id.parse().map_err(invalid)).collect::<Result<_>>()?;
    let content = Draft { photos, ..content };
    if draft {
        let saved = posts::save_draft(node, content).await.map_err(invalid)?;
        let text =
            format!("Saved as a draft: {}/home/write/{}", context.url(Some(&owner)), saved.id);
        return Ok(Response::text(text).with(json!({ "id": saved.id.to_string() })));
    }
    let post = match date {
        Some(_) => {
            publish::post_dated(
                node,
                posts::save_draft(node, content).await.map_err(invalid)?.id,
                date,
            )
            .await
        }
        None => publish::post(node, content).await,
    };
    let post = post.map_err(invalid)?;
    let path = freehold_web::path_of(&post);
    let url = format!("{}{path}", context.url(Some(&owner)));
    Ok(Response::text(url).with(json!({ "id": post.id.to_string(), "path": path })))
}

async fn photo(
    context: &ControlContext,
    file: PathBuf,
    alt: String,
    caption: String,
) -> Result<Response> {
    context.owner()?;
    let file_name =
        file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut writer = photos::upload_writer(&context.node)?;
    let stored = blocking(move || -> Result<_> {
        let unreadable = |error: std::io::Error| {
            exit::with(exit::NO_INPUT, format!("can't read {}: {error}", file.display()))
        };
        // Without it, opening a named pipe would wait for a writer.
        let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
        let mut opened = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(nonblocking)
            .open(&file)
            .map_err(unreadable)?;
        if !opened.metadata().map_err(unreadable)?.is_file() {
            return Err(exit::with(
                exit::NO_INPUT,
                format!("can't read {}: it is not a file", file.display()),
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
    let photo = photos::add(&context.node, upload).await.map_err(invalid)?;
    let flaw = match photo.flaw {
        Some(Flaw::Damaged) => " The file is damaged; only you see it until you change that.",
        Some(Flaw::Moving) => " It moves; the site shows its first frame.",
        None => "",
    };
    let text = format!("Added: {} × {} pixels.{flaw}", photo.width, photo.height);
    Ok(Response::text(text).with(json!({ "id": photo.id.to_string() })))
}

#[cfg(test)]
mod tests {
    use freehold_core::logins;
    use freehold_core::store::StoreError;

    use super::*;

    #[test]
    fn store_errors_and_invalid_values_have_different_exit_codes() {
        let full = [
            invalid(posts::PostError::Store(StoreError::Full)),
            invalid(logins::SetUpError::Profile(profile::ProfileError::Store(StoreError::Full))),
            StoreError::Full.into(),
        ];
        assert_eq!(full.map(|error| exit::code(&error)), [exit::CANT_CREATE; 3]);
        let gone =
            invalid(photos::AddError::Store(StoreError::Unavailable("the disk failed".to_owned())));
        assert_eq!(
            (exit::code(&gone), exit::message(&gone).as_str()),
            (exit::UNAVAILABLE, "the store is not available: the disk failed")
        );
        assert_eq!(exit::code(&invalid(posts::PostError::Empty)), exit::DATA);
    }
}
