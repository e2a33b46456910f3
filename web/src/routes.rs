//! The table of routes. The router is built from it, and tests walk every entry.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::routing::{MethodRouter, get, post};

use crate::site::Site;
use crate::{
    aliases, assets, friends, health, icon, identity, logins, mail_clients, mailbox, mta_sts,
    photos, posts, profile, setup, smarthost, timeline, wkd,
};

/// The longest form of a stranger, in bytes: a form is held in memory before its sender is known.
const PUBLIC_FORM_LEN_MAX: usize = 16 * 1024;
/// The longest form of the owner, in bytes. Far over the limits of all texts, also with every byte
/// percent-encoded as three: a text that is too long comes back with a reason, and whole.
const OWNER_FORM_LEN_MAX: usize = 4 * 1024 * 1024;

/// The visitors that may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everyone.
    Anyone,
    /// The owner, logged in; everyone else is redirected to the login.
    Owner,
}

/// One entry of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// `GET` (also serves `HEAD`) or `POST`.
    pub method: &'static str,
    /// The path, with `{names}` for its variable parts.
    pub path: &'static str,
    /// The visitors that may use it.
    pub access: Access,
}

/// A part of the table, with its router.
pub(crate) struct Routes {
    router: Router<Site>,
    table: Vec<Route>,
}

impl Routes {
    pub(crate) fn new() -> Self {
        Self { router: Router::new(), table: Vec::new() }
    }

    pub(crate) fn get<H: Handler<T, Site>, T: 'static>(
        self,
        path: &'static str,
        access: Access,
        handler: H,
    ) -> Self {
        self.add("GET", path, access, get(handler))
    }

    /// A `POST` with the limit for a form of its access.
    pub(crate) fn post<H: Handler<T, Site>, T: 'static>(
        self,
        path: &'static str,
        access: Access,
        handler: H,
    ) -> Self {
        let len_max = match access {
            Access::Anyone => PUBLIC_FORM_LEN_MAX,
            Access::Owner => OWNER_FORM_LEN_MAX,
        };
        self.post_up_to(len_max, path, access, handler)
    }

    /// A `POST` with another limit on its body, in bytes.
    pub(crate) fn post_up_to<H: Handler<T, Site>, T: 'static>(
        self,
        len_max: usize,
        path: &'static str,
        access: Access,
        handler: H,
    ) -> Self {
        self.add("POST", path, access, post(handler).layer(DefaultBodyLimit::max(len_max)))
    }

    fn add(
        mut self,
        method: &'static str,
        path: &'static str,
        access: Access,
        method_router: MethodRouter<Site>,
    ) -> Self {
        self.router = self.router.route(path, method_router);
        self.table.push(Route { method, path, access });
        self
    }

    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.table.extend(other.table);
        self
    }

    pub(crate) fn into_parts(self) -> (Router<Site>, Vec<Route>) {
        (self.router, self.table)
    }
}

/// The routes of all nouns.
pub(crate) fn table() -> Routes {
    Routes::new()
        .merge(aliases::routes())
        .merge(assets::routes())
        .merge(friends::routes())
        .merge(health::routes())
        .merge(identity::routes())
        .merge(logins::routes())
        .merge(mail_clients::routes())
        .merge(mailbox::routes())
        .merge(mta_sts::routes())
        .merge(photos::routes())
        .merge(posts::routes())
        .merge(icon::routes())
        .merge(profile::routes())
        .merge(smarthost::routes())
        .merge(setup::routes())
        .merge(timeline::routes())
        .merge(wkd::routes())
}

/// Every route of the site.
pub fn routes() -> Vec<Route> {
    table().into_parts().1
}
