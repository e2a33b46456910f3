//! The website of a node: public pages for anyone, pages for the owner, all without JavaScript.
//!
//! A request passes `door` (is this host name ours? is the page in memory?), then the router built
//! from the table in `routes`, then a handler of about ten lines that asks core and renders a
//! template. The handler's signature says who may call it (`viewer`). The security headers are
//! added last, to every response. While the node's rows can't be read yet, `opening` answers.

mod assets;
mod avatar;
mod blob_response;
mod blocking;
mod config;
mod dates;
mod delivery_progress;
mod door;
mod fault;
mod forwarded;
mod friends;
mod headers;
mod health;
mod hosts;
mod idempotency;
mod identity;
mod layout;
mod listen;
mod logins;
mod mail_clients;
mod mailbox;
mod opening;
mod pace;
mod page_cache;
mod photos;
mod pictures;
mod posts;
mod problem;
mod profile;
mod qr;
mod response;
mod routes;
mod setup;
mod site;
mod sizes;
mod theme;
mod timeline;
mod viewer;

pub use config::{WebConfig, WebConfigError};
pub use door::Door;
pub use listen::{Entrance, StartError, Web};
pub use mail_clients::MailEndpoints;
pub use opening::Opening;
pub use posts::path_of;
pub use routes::{Access, Route, routes};
pub use site::{door, door_with_mail};
