//! The table of routes that the router is built from, so that a test can walk every one of them.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodRouter, get, post};

use crate::site::Site;

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

    pub(crate) fn get<H: Handler<T, Site>, T: 'static>(self, path: &'static str, access: Access, handler: H) -> Self {
        self.add("GET", path, access, get(handler))
    }

    pub(crate) fn post<H: Handler<T, Site>, T: 'static>(self, path: &'static str, access: Access, handler: H) -> Self {
        self.add("POST", path, access, post(handler))
    }

    /// A `POST` with layers of its own, such as another limit on its body.
    pub(crate) fn post_with(self, path: &'static str, access: Access, method_router: MethodRouter<Site>) -> Self {
        self.add("POST", path, access, method_router)
    }

    fn add(mut self, method: &'static str, path: &'static str, access: Access, method_router: MethodRouter<Site>) -> Self {
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
