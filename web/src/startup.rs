//! The site while the node's data folder is being opened, which may take a minute after a power
//! cut.
//!
//! Every request is answered with 503 and `Retry-After`, under every host name: the node's own
//! names are not known yet. No request body is read or stored. Styles and fonts are served, because
//! they are part of the program.

use std::sync::{Arc, Mutex, PoisonError};

use askama::Template;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use axum::response::{Html, IntoResponse};

use crate::config::WebConfig;
use crate::hosts::InvalidHost;
use crate::layout::Layout;
use crate::site_service::Client;
use crate::{assets, forwarded, headers, hosts};

/// When the client is to ask again, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("10");

/// The progress of opening a node. Cheap to clone; clones share it.
#[derive(Clone, Debug, Default)]
pub struct StartupProgress(Arc<Mutex<Option<Progress>>>);

#[derive(Clone, Copy, Debug)]
struct Progress {
    step: &'static str,
    percent: u64,
}

impl StartupProgress {
    /// Reports the step, how many of its items are done, and of how many.
    pub fn report(&self, step: &'static str, done: u64, total: u64) {
        let percent = done.min(total).saturating_mul(100).checked_div(total).unwrap_or_default();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Progress { step, percent });
    }

    fn current(&self) -> Option<Progress> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers one request, with the security headers.
    pub(crate) fn answer<B>(
        &self,
        request: &Request<B>,
        peer: Client,
        config: &WebConfig,
    ) -> Response<Body> {
        let client = forwarded::client(peer, request.headers(), config);
        let host = hosts::host_of(request);
        let is_bound =
            host.as_ref().is_ok_and(|host| hosts::wants_hsts(host.as_deref(), client.secure));
        let mut response = match host {
            Ok(_) => self.inner(request),
            Err(InvalidHost) => (StatusCode::BAD_REQUEST, "Bad request\n").into_response(),
        };
        headers::add_security_headers(response.headers_mut(), is_bound);
        response
    }

    fn inner<B>(&self, request: &Request<B>) -> Response<Body> {
        let is_form = !matches!(*request.method(), Method::GET | Method::HEAD);
        let path = request.uri().path();
        let asset = path.strip_prefix("/assets/").filter(|_| !is_form).and_then(assets::find);
        match (asset, path) {
            (Some(asset), _) => asset.response(request.headers()),
            (None, "/livez") => "alive\n".into_response(),
            (None, "/readyz") => unavailable(match self.current() {
                Some(Progress { step, percent }) => {
                    format!("not ready: {}, {percent} %\n", step.to_lowercase())
                }
                None => "not ready\n".to_owned(),
            }),
            (None, _) => {
                let percent = self.current().map(|progress| progress.percent);
                let page = StartupPage {
                    page: Layout::public(None, "Back in a moment", ""),
                    is_form,
                    percent,
                };
                match page.render() {
                    Ok(html) => unavailable(Html(html)),
                    Err(_) => unavailable("Back in a moment\n"),
                }
            }
        }
    }
}

#[derive(Template)]
#[template(path = "startup/page.html")]
struct StartupPage {
    page: Layout,
    /// Whether the request was a form, which the client must send again.
    is_form: bool,
    percent: Option<u64>,
}

fn unavailable(body: impl IntoResponse) -> Response<Body> {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, RETRY_AFTER)], body).into_response()
}
