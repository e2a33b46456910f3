//! The website of a node: public pages for anyone, pages for the owner. All of them work without
//! JavaScript.
//!
//! A request passes `site_service` (is the host name ours? is the page cached?), then the router
//! built from the table in `routes`, then a handler of about ten lines that calls core and renders
//! a template. The visitor's rights are a type in the handler's signature (`viewer`); the security
//! headers are added last, to every response. While the data folder is being opened, `startup`
//! answers.

mod addresses;
mod aliases;
mod assets;
mod avatar;
mod blob_response;
mod blobs;
mod config;
mod dates;
mod delivery_progress;
mod done;
mod fault;
mod forwarded;
mod friends;
mod headers;
mod health;
mod hosts;
mod icon;
mod idempotency;
mod identity;
mod internet;
mod known_browser;
mod languages;
mod layout;
mod listen;
mod logins;
mod made_once;
mod mail_clients;
mod mailbox;
mod markdown;
mod mta_sts;
mod namesakes;
mod page_cache;
mod photos;
mod pictures;
mod plain_http;
mod posts;
mod preconditions;
mod problem;
mod profile;
mod qr;
mod response;
mod routes;
mod service_hosts;
mod setup;
mod site;
mod site_service;
mod sizes;
mod slow_client;
mod smarthost;
mod startup;
mod theme;
mod time_zones;
mod timeline;
mod unsaved;
mod viewer;
mod wkd;

pub use config::{WebConfig, WebConfigError};
pub use friends::{FindInviteError, find_invite, invite_links};
pub use internet::Internet;
pub use listen::{Endpoint, StartError, Web};
pub use made_once::InviteLinks;
pub use mail_clients::MailEndpoints;
pub use posts::path_of;
pub use routes::{Access, Route, routes};
pub use site::{service, service_with_internet, service_with_mail};
pub use site_service::SiteService;
pub use startup::StartupProgress;
