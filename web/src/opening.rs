//! The time before a node's rows can be read: after a power cut they are made anew first, which may
//! take a minute.
//!
//! Whoever comes meanwhile is told to come back in a moment, under every name: which names are ours
//! is not known yet. Nothing is read, taken in or remembered; styles and fonts are there, for they
//! are part of the program.

use std::sync::{Arc, Mutex, PoisonError};

use askama::Template;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use axum::response::{Html, IntoResponse};

use crate::config::WebConfig;
use crate::door::Client;
use crate::layout::Layout;
use crate::{assets, forwarded, headers, hosts};

/// When to ask again, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("10");

/// How far the opening of a node is. Cheap to clone; clones tell of the same one.
#[derive(Clone, Debug, Default)]
pub struct Opening(Arc<Mutex<Option<Far>>>);

#[derive(Clone, Copy, Debug)]
struct Far {
    step: &'static str,
    percent: u64,
}

impl Opening {
    /// Says how far it is: the step, how many are done, and of how many.
    pub fn tell(&self, step: &'static str, done: u64, total: u64) {
        let percent = done.min(total).saturating_mul(100).checked_div(total).unwrap_or_default();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Far { step, percent });
    }

    fn far(&self) -> Option<Far> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers one request, with the strict headers.
    pub(crate) fn answer<B>(
        &self,
        request: &Request<B>,
        peer: Client,
        config: &WebConfig,
    ) -> Response<Body> {
        let client = forwarded::client(peer, request.headers(), config);
        let host = hosts::host_of(request);
        let mut response = self.undressed(request);
        headers::add_security_headers(
            response.headers_mut(),
            hosts::wants_hsts(host.as_deref(), client.secure),
        );
        response
    }

    fn undressed<B>(&self, request: &Request<B>) -> Response<Body> {
        let is_form = !matches!(*request.method(), Method::GET | Method::HEAD);
        let path = request.uri().path();
        let asset = path.strip_prefix("/assets/").filter(|_| !is_form).and_then(assets::find);
        match (asset, path) {
            (Some(asset), _) => asset.response(request.headers()),
            (None, "/livez") => "alive\n".into_response(),
            (None, "/readyz") => later(match self.far() {
                Some(Far { step, percent }) => {
                    format!("not ready: {}, {percent} %\n", step.to_lowercase())
                }
                None => "not ready\n".to_owned(),
            }),
            (None, _) => {
                let percent = self.far().map(|far| far.percent);
                let page = OpeningPage {
                    page: Layout::public(None, "Back in a moment", ""),
                    is_form,
                    percent,
                };
                match page.render() {
                    Ok(html) => later(Html(html)),
                    Err(_) => later("Back in a moment\n"),
                }
            }
        }
    }
}

#[derive(Template)]
#[template(path = "opening/page.html")]
struct OpeningPage {
    page: Layout,
    /// Whether something was sent, which is lost unless it is sent again.
    is_form: bool,
    percent: Option<u64>,
}

fn later(body: impl IntoResponse) -> Response<Body> {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, RETRY_AFTER)], body).into_response()
}
