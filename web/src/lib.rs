//! What people see of a node, over HTTP: public pages for anyone, rooms for the owner, all without
//! JavaScript.
//!
//! A request passes `site_service` (is the host name ours? is the page cached?), then the router
//! built from the table in `routes`, then a handler of about ten lines that calls core and renders a
//! template. The visitor's rights are a type in the handler's signature (`visitor`); the security
//! headers are added last, to every response. While the data folder is being opened, `startup`
//! answers.

mod answer;
mod aside;
mod assets;
mod config;
mod dates;
mod doors;
mod forwarded;
mod frame;
mod friends;
mod gauge;
mod headers;
mod health;
mod hosts;
mod identity;
mod listen;
mod logins;
mod mailbox;
mod markdown;
mod once;
mod pages;
mod photos;
mod pictures;
mod posts;
mod profile;
mod programs;
mod qr;
mod routes;
mod setup;
mod site;
mod site_service;
mod sizes;
mod slow_client;
mod startup;
mod theme;
mod timeline;
mod visitor;

pub use config::{WebConfig, WebConfigError};
pub use listen::{Endpoint, StartError, Web};
pub use posts::path_of;
pub use programs::MailPlace;
pub use routes::{Access, Route};
pub use site::{routes, service, service_with_mail};
pub use site_service::SiteService;
pub use startup::StartupProgress;
