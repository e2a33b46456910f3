//! What people see of a node, over HTTP: public pages for anyone, rooms for the owner, all without
//! JavaScript.
//!
//! A request passes `door` (is this name ours? is the page in memory?), then the router built from
//! the table in
//! `routes`, then a handler of about ten lines that asks core and renders a template. Who asks is a type in the handler's
//! signature (`visitor`); the strict headers go on last, whatever answered. While the node's rows
//! can't be read yet, `opening` answers.

mod answer;
mod aside;
mod assets;
mod blob_reads;
mod config;
mod dates;
mod door;
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
mod once;
mod opening;
mod pace;
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
mod sizes;
mod theme;
mod timeline;
mod visitor;

pub use config::{WebConfig, WebConfigError};
pub use door::Door;
pub use listen::{Entrance, StartError, Web};
pub use opening::Opening;
pub use posts::path_of;
pub use programs::MailPlace;
pub use routes::{Access, Route};
pub use site::{door, door_with_mail, routes};
