//! What every handler works with, and the router made of all nouns.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use freehold_core::mailbox::{self, SpecialUse};
use freehold_core::node::Node;
use freehold_core::profile::{self, Profile};
use freehold_core::store::StoreError;
use tokio::sync::Semaphore;

use crate::config::WebConfig;
use crate::frame::Frame;
use crate::pages::Pages;
use crate::programs::MailPlace;
use crate::routes::{Route, Routes};
use crate::site_service::SiteService;
use crate::{assets, friends, health, identity, logins, photos, posts, setup, timeline};

/// One node's site. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) node: Node,
    pub(crate) config: Arc<WebConfig>,
    pub(crate) pages: Arc<Pages>,
    /// The port people reach us on, for the address a laptop has.
    pub(crate) port: u16,
    /// Where mail programs find the node, if it is known.
    pub(crate) mail: Option<MailPlace>,
    /// The session cookie's name; of this node alone.
    pub(crate) cookie: Arc<str>,
    /// Whose turn it is to take a letter apart: one at a time.
    pub(crate) letters: Arc<Semaphore>,
}

impl Site {
    /// The address of the site without a slash at its end, as it stands in feeds and invites.
    pub(crate) fn base(&self, profile: Option<&Profile>) -> String {
        self.config.url(profile, self.port)
    }

    /// The owner's profile, from memory where it can be.
    pub(crate) fn profile(&self) -> Result<Option<Arc<Profile>>, StoreError> {
        self.pages.profile(|| profile::get(&self.node))
    }

    /// The frame of one of the owner's rooms.
    pub(crate) fn home_frame(&self, title: &str, room: &str) -> Result<Frame, StoreError> {
        let unread = mailbox::special_folder(&self.node, SpecialUse::Inbox)?
            .map_or(0, |inbox| inbox.unseen.into());
        Ok(Frame::home(self.profile()?.as_deref(), title, room, unread))
    }
}

fn table() -> Routes {
    Routes::new()
        .merge(assets::routes())
        .merge(friends::routes())
        .merge(health::routes())
        .merge(identity::routes())
        .merge(logins::routes())
        .merge(crate::mailbox::routes())
        .merge(photos::routes())
        .merge(posts::routes())
        .merge(crate::profile::routes())
        .merge(setup::routes())
        .merge(timeline::routes())
}

/// Every route of the site.
pub fn routes() -> Vec<Route> {
    table().into_parts().1
}

/// The site of `node` as a function from request to response, for a listener or a test. `port` is
/// the port that the site's own address names when no public URL is configured.
///
/// # Errors
/// When the store can't be read.
pub fn service(node: Node, config: WebConfig, port: u16) -> Result<SiteService, StoreError> {
    service_with_mail(node, config, port, None)
}

/// The same, with the ports of the node's mail for the settings page.
///
/// # Errors
/// As [`service`].
pub fn service_with_mail(
    node: Node,
    config: WebConfig,
    port: u16,
    mail: Option<MailPlace>,
) -> Result<SiteService, StoreError> {
    let pages = Arc::new(Pages::new(node.events.subscribe(), node.clock.clone()));
    let mark = node.keyed("web.cookie", b"")?;
    let cookie =
        format!("fh_{}", HEXLOWER.encode(mark.first_chunk::<4>().unwrap_or(&[0; 4]))).into();
    let site = Site {
        node,
        config: Arc::new(config),
        pages,
        port,
        cookie,
        letters: Arc::new(Semaphore::new(1)),
        mail,
    };
    let (router, _) = table().into_parts();
    Ok(SiteService::new(site, router))
}
