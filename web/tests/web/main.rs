//! The site as a browser meets it: every test drives the whole door in this process.

mod browser;
mod door;
mod friends;
mod logins;
mod mailbox;
mod photos;
mod posts;
mod profile;
mod setup;
mod timeline;
mod walk;
