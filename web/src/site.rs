//! The state that every handler gets.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use freehold_core::mailbox::{self, SpecialUse};
use freehold_core::node::Node;
use freehold_core::notices;
use freehold_core::profile::{self, Profile};
use freehold_core::store::{Health, StoreError};
use tokio::sync::Semaphore;

use crate::config::WebConfig;
use crate::internet::Internet;
use crate::layout::Layout;
use crate::made_once::MadeOnce;
use crate::mail_clients::MailEndpoints;
use crate::mailbox::remote_pictures::RemotePictures;
use crate::page_cache::PageCache;
use crate::routes;
use crate::site_service::SiteService;

/// One node's site. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) node: Node,
    pub(crate) config: Arc<WebConfig>,
    pub(crate) page_cache: Arc<PageCache>,
    /// The port for the address of a site without `public_url`.
    pub(crate) port: u16,
    /// The ports for mail clients, if the node has any.
    pub(crate) mail: Option<MailEndpoints>,
    /// The session cookie's name, different for each node.
    pub(crate) cookie: Arc<str>,
    /// Secrets that forms made a moment ago.
    pub(crate) made_once: MadeOnce,
    /// The way to servers that messages name.
    pub(crate) internet: Internet,
    /// The messages whose pictures from elsewhere are shown.
    pub(crate) remote_pictures: RemotePictures,
    /// One permit: messages are parsed one at a time.
    pub(crate) message_parsing: Arc<Semaphore>,
}

impl Site {
    /// The address of the site without a final slash, for feeds and invites.
    pub(crate) fn base(&self, profile: Option<&Profile>) -> String {
        self.config.url(profile, self.port)
    }

    /// The owner's profile, from the page cache if possible.
    pub(crate) fn profile(&self) -> Result<Option<Arc<Profile>>, StoreError> {
        self.page_cache.profile(|| profile::get(&self.node))
    }

    /// The layout of one of the owner's pages; `current` names its navigation link.
    pub(crate) fn owner_layout(&self, title: &str, current: &str) -> Result<Layout, StoreError> {
        let unread = mailbox::special_folder(&self.node, SpecialUse::Inbox)?
            .map_or(0, |inbox| inbox.unseen.into());
        let layout = Layout::owner(self.profile()?.as_deref(), title, current, unread);
        Ok(Layout { alert: self.alert(), notices: notices::of_node(&self.node)?, ..layout })
    }

    /// Why nothing, or little, can be saved now; `None` if the store is sound.
    pub(crate) fn alert(&self) -> Option<String> {
        match self.node.store.health() {
            Health::Sound => None,
            health @ (Health::Low | Health::Full) => {
                Some(format!("Attention: {health}. Reading and deleting go on.",))
            }
            health => Some(format!("Nothing can be saved now: {health}.")),
        }
    }
}

/// The site of `node` as a function from request to response, for a listener or a test. `port` is
/// used in the site's address if the configuration has no `public_url`.
///
/// # Errors
/// If the store can't be read.
pub fn service(node: Node, config: WebConfig, port: u16) -> Result<SiteService, StoreError> {
    service_with_mail(node, config, port, None)
}

/// The same, with the ports for mail clients.
///
/// # Errors
/// As [`service`].
pub fn service_with_mail(
    node: Node,
    config: WebConfig,
    port: u16,
    mail: Option<MailEndpoints>,
) -> Result<SiteService, StoreError> {
    let roots = mail.as_ref().map_or("", |mail| mail.trusted_roots.as_str());
    let internet = Internet::trusting(roots);
    service_with_internet(node, config, port, mail, internet)
}

/// The same, with another way to the servers that messages name.
///
/// # Errors
/// As [`service`].
pub fn service_with_internet(
    node: Node,
    config: WebConfig,
    port: u16,
    mail: Option<MailEndpoints>,
    internet: Internet,
) -> Result<SiteService, StoreError> {
    let page_cache = Arc::new(PageCache::new(node.events.subscribe(), node.clock.clone()));
    let mac = node.keyed("web.cookie", b"")?;
    let cookie =
        format!("fh_{}", HEXLOWER.encode(mac.first_chunk::<4>().unwrap_or(&[0; 4]))).into();
    let site = Site {
        node,
        config: Arc::new(config),
        page_cache,
        port,
        cookie,
        made_once: MadeOnce::default(),
        internet,
        remote_pictures: RemotePictures::default(),
        message_parsing: Arc::new(Semaphore::new(1)),
        mail,
    };
    let (router, _) = routes::table().into_parts();
    Ok(SiteService::new(site, router))
}
