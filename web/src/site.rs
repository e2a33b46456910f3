//! What every handler works with, and the router made of all nouns.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use freehold_core::mailbox::{self, SpecialUse};
use freehold_core::node::Node;
use freehold_core::profile::{self, Profile};
use freehold_core::store::StoreError;
use tokio::sync::Semaphore;

use crate::config::WebConfig;
use crate::door::Door;
use crate::layout::Layout;
use crate::mail_clients::MailEndpoints;
use crate::page_cache::PageCache;
use crate::routes;

/// One node's site. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) node: Node,
    pub(crate) config: Arc<WebConfig>,
    pub(crate) page_cache: Arc<PageCache>,
    /// The port people reach us on, for the address a laptop has.
    pub(crate) port: u16,
    /// Where mail programs find the node, if it is known.
    pub(crate) mail: Option<MailEndpoints>,
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
        self.page_cache.profile(|| profile::get(&self.node))
    }

    /// The frame of one of the owner's rooms.
    pub(crate) fn owner_layout(&self, title: &str, room: &str) -> Result<Layout, StoreError> {
        let unread = mailbox::special_folder(&self.node, SpecialUse::Inbox)?
            .map_or(0, |inbox| inbox.unseen.into());
        Ok(Layout::owner(self.profile()?.as_deref(), title, room, unread))
    }
}

/// The site of `node` as a function from request to answer, for a listener or a test. `port` is the
/// one people reach it on.
///
/// # Errors
/// When the store can't be read.
pub fn door(node: Node, config: WebConfig, port: u16) -> Result<Door, StoreError> {
    door_with_mail(node, config, port, None)
}

/// The same, knowing where mail programs find the node.
///
/// # Errors
/// As [`door`].
pub fn door_with_mail(
    node: Node,
    config: WebConfig,
    port: u16,
    mail: Option<MailEndpoints>,
) -> Result<Door, StoreError> {
    let page_cache = Arc::new(PageCache::new(node.events.subscribe(), node.clock.clone()));
    let mark = node.keyed("web.cookie", b"")?;
    let cookie =
        format!("fh_{}", HEXLOWER.encode(mark.first_chunk::<4>().unwrap_or(&[0; 4]))).into();
    let site = Site {
        node,
        config: Arc::new(config),
        page_cache,
        port,
        cookie,
        letters: Arc::new(Semaphore::new(1)),
        mail,
    };
    let (router, _) = routes::table().into_parts();
    Ok(Door::new(site, router))
}
