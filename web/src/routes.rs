//! The table of routes that the router is built from, so that a test can walk every one of them.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::routing::{MethodRouter, get, post};

use crate::site::Site;
use crate::{
    assets, friends, health, identity, logins, mailbox, photos, posts, profile, setup, timeline,
};

/// The longest form a stranger may send: it is held in memory before anything is known of who sends
/// it.
const ANYONES_FORM_LEN_MAX: usize = 16 * 1024;
/// The longest form of the owner's: a post of [`freehold_core::posts::TEXT_LEN_MAX`] in a script
/// whose every byte is sent as three.
const OWNERS_FORM_LEN_MAX: usize = 256 * 1024;

/// Who a route is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone at all.
    Anyone,
    /// The owner, logged in; anyone else is shown the way to the door.
    Owner,
}

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// `GET` (which answers `HEAD` too) or `POST`.
    pub method: &'static str,
    /// The path, with `{names}` for what varies.
    pub path: &'static str,
    /// Who it is for.
    pub access: Access,
}

/// Routes being gathered, noun by noun.
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

    /// A `POST` whose body is as long as such a form gets.
    pub(crate) fn post<H: Handler<T, Site>, T: 'static>(
        self,
        path: &'static str,
        access: Access,
        handler: H,
    ) -> Self {
        let len_max = match access {
            Access::Anyone => ANYONES_FORM_LEN_MAX,
            Access::Owner => OWNERS_FORM_LEN_MAX,
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
        .merge(assets::routes())
        .merge(friends::routes())
        .merge(health::routes())
        .merge(identity::routes())
        .merge(logins::routes())
        .merge(mailbox::routes())
        .merge(photos::routes())
        .merge(posts::routes())
        .merge(profile::routes())
        .merge(setup::routes())
        .merge(timeline::routes())
}

/// Every route of the site.
pub fn routes() -> Vec<Route> {
    table().into_parts().1
}
