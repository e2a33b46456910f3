//! The way in for every request: is the name ours, is the page in memory, else the router; then the
//! strict headers.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, header};
use flate2::Compression;
use tower::ServiceExt;
use tower_http::csrf::CsrfLayer;

use crate::page_cache::CachedPage;
use crate::problem::{self, Problem};
use crate::response::{self, Cacheable};
use crate::site::Site;
use crate::{assets, forwarded, headers, hosts, viewer};

/// A public page is at most this long; a longer one is answered but not kept.
const KEPT_LEN_MAX: usize = 2 * 1024 * 1024;

/// Public pages that read their query. Of the others one is as good as the next, whatever was hung
/// on to its address on the way.
const READ_THEIR_QUERY: [&str; 2] = ["/photos", "/writing"];

/// Who is at the other end of a connection, and over what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    pub(crate) address: IpAddr,
    /// Whether what it sends and gets is under TLS all the way to here, or to a proxy of ours.
    pub(crate) secure: bool,
}

/// A node's site as a function from request to answer. Cheap to clone.
#[derive(Clone)]
pub struct Door {
    site: Site,
    router: Router,
    client: Client,
}

impl Door {
    pub(crate) fn new(site: Site, router: Router<Site>) -> Self {
        // Refuses what a form on somebody else's page posts here (Sec-Fetch-Site, Origin). Our own
        // address counts as ours even where a proxy has put another name into Host.
        let own = site.config.public_url.as_deref().and_then(hosts::origin);
        let csrf = own
            .and_then(|origin| CsrfLayer::new().add_trusted_origin(origin).ok())
            .unwrap_or_default();
        let router = router.layer(csrf).with_state(site.clone());
        Self {
            site,
            router,
            client: Client { address: IpAddr::V4(Ipv4Addr::LOCALHOST), secure: false },
        }
    }

    /// The same door for a client at `address`, under TLS or not.
    pub fn towards(&self, address: IpAddr, secure: bool) -> Self {
        Self { client: Client { address, secure }, ..self.clone() }
    }

    /// Answers one request.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body_util::BodyExt + hyper::body::Body<Data = axum::body::Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let client = forwarded::client(self.client, request.headers(), &self.site.config);
        let host = hosts::host_of(&request);
        let mut response = self.undressed(request, client, host.as_deref()).await;
        headers::add_security_headers(
            response.headers_mut(),
            hosts::wants_hsts(host.as_deref(), client.secure),
        );
        response
    }

    async fn undressed<B>(
        &self,
        request: Request<B>,
        client: Client,
        host: Option<&str>,
    ) -> Response<Body>
    where
        B: hyper::body::Body<Data = axum::body::Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        if !host.is_some_and(|host| self.is_ours(host)) {
            return problem::page(&self.site, &Problem::Misdirected);
        }
        // Whoever gets past the proxy must not be asked for a password in the clear.
        if self.site.config.is_https()
            && !client.secure
            && !host.is_some_and(hosts::is_this_machine)
        {
            return self.under_tls(&request);
        }
        let looking = matches!(*request.method(), Method::GET | Method::HEAD);
        let anonymous = !viewer::has_cookie(request.headers(), &self.site);
        let is_plain =
            request.uri().query().is_none() || !READ_THEIR_QUERY.contains(&request.uri().path());
        let keepable = looking && anonymous && is_plain;
        if keepable && let Some(page) = self.remembered(request.uri().path()) {
            return page.response(request.headers());
        }
        let keepable = keepable && request.method() == Method::GET;
        let generation = self.site.page_cache.generation();
        let path = request.uri().path().to_owned();
        let is_room = path.starts_with("/home/");
        let asked = if keepable || is_room { request.headers().clone() } else { HeaderMap::new() };
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(client);
        // A router's error type is `Infallible`.
        let Ok(response) = self.router.clone().oneshot(request).await;
        if keepable && response.extensions().get::<Cacheable>().is_some() {
            return self.keep(&path, generation, &asked, response).await;
        }
        if !problem::lacks_page(&response) {
            return response;
        }
        let is_room = is_room && viewer::is_owner(&asked, client, &self.site).await;
        problem::with_page(&self.site, &path, is_room, &response)
    }

    /// Sends whoever came without TLS to where there is some; what they brought with them is not
    /// taken.
    fn under_tls<B>(&self, request: &Request<B>) -> Response<Body> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return problem::page(&self.site, &Problem::HttpsRequired);
        }
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        response::moved_permanently(&format!("{}{path}", self.site.config.url(None, 0)))
    }

    fn is_ours(&self, host: &str) -> bool {
        // If the profile can't be read the site still answers on the names it has without it.
        let profile = self.site.profile().unwrap_or_default();
        hosts::is_ours(
            host,
            profile.as_deref(),
            &self.site.config.names,
            self.site.config.public_url.as_deref(),
        )
    }

    fn remembered(&self, path: &str) -> Option<Arc<CachedPage>> {
        match path.strip_prefix("/assets/") {
            Some(name) => assets::find(name),
            None => self.site.page_cache.get(path),
        }
    }

    async fn keep(
        &self,
        path: &str,
        generation: u64,
        asked: &HeaderMap,
        response: Response<Body>,
    ) -> Response<Body> {
        let (mut parts, body) = response.into_parts();
        let Ok(body) = axum::body::to_bytes(body, KEPT_LEN_MAX).await else {
            return problem::page(
                &self.site,
                &Problem::Internal("a public page is too long to keep".to_owned()),
            );
        };
        headers::add_security_headers(&mut parts.headers, false);
        parts.headers.append(header::VARY, header::HeaderValue::from_static("cookie"));
        let page = Arc::new(CachedPage::new(parts.headers, body, Compression::best()));
        if parts.status == StatusCode::OK {
            self.site.page_cache.insert(path, generation, page.clone());
        }
        page.response(asked)
    }
}
