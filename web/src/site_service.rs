//! The site as a service: every request passes the check of its host name, the cache of public
//! pages, then the router; every response gets the security headers.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use axum::response::IntoResponse;
use flate2::Compression;
use freehold_core::blocking::blocking;
use freehold_core::store::StoreError;
use tokio::sync::Semaphore;
use tower::ServiceExt;
use tower_http::csrf::CsrfLayer;

use crate::hosts::InvalidHost;
use crate::page_cache::CachedPage;
use crate::problem::{self, Problem};
use crate::response::{self, Cacheable};
use crate::service_hosts::Service;
use crate::site::Site;
use crate::{assets, dates, forwarded, headers, health, hosts, time_zones, unsaved, viewer};

/// The longest public page that is cached, in bytes. A longer one is made for each request.
const CACHED_LEN_MAX: usize = 2 * 1024 * 1024;

/// Public pages that read their query. All others are cached by path alone, because links often get
/// tracking parameters on their way.
const READ_THEIR_QUERY: [&str; 2] = ["/photos", "/writing"];

/// The client of a connection or request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    pub(crate) address: IpAddr,
    /// Whether the client's connection uses TLS, to this node or to a trusted proxy.
    pub(crate) secure: bool,
}

/// A node's site as a function from request to response. Cheap to clone.
#[derive(Clone)]
pub struct SiteService {
    site: Site,
    router: Router,
    client: Client,
    /// A permit for each form of a logged-out sender that is held.
    unsaved: Arc<Semaphore>,
}

impl SiteService {
    pub(crate) fn new(site: Site, router: Router<Site>) -> Self {
        // Refuses forms posted from other sites (Sec-Fetch-Site, Origin). The site's own address is
        // trusted also where a proxy has put another name into Host.
        let own = site.config.public_url.as_deref().and_then(hosts::origin);
        let csrf = own
            .and_then(|origin| CsrfLayer::new().add_trusted_origin(origin).ok())
            .unwrap_or_default();
        let router = router.layer(csrf).with_state(site.clone());
        Self {
            site,
            router,
            client: Client { address: IpAddr::V4(Ipv4Addr::LOCALHOST), secure: false },
            unsaved: Arc::new(Semaphore::new(unsaved::UNITS_MAX)),
        }
    }

    /// The same site for a client at `address`, over TLS (`secure`) or not.
    pub fn for_client(&self, address: IpAddr, secure: bool) -> Self {
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
        let is_bound =
            host.as_ref().is_ok_and(|host| hosts::wants_hsts(host.as_deref(), client.secure));
        let is_head = *request.method() == Method::HEAD;
        let mut response = match host {
            Ok(host) => self.inner(request, client, &host.unwrap_or_default()).await,
            Err(InvalidHost) => problem::page(&self.site, &Problem::BadRequest),
        };
        headers::add_security_headers(response.headers_mut(), is_bound);
        if is_head { without_body(response) } else { response }
    }

    async fn inner<B>(&self, request: Request<B>, client: Client, host: &str) -> Response<Body>
    where
        B: hyper::body::Body<Data = axum::body::Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let mut service = None;
        if !health::is_check(&request) {
            match self.place(host, request.uri().path()) {
                Ok(Some(place)) => service = place,
                Ok(None) => return problem::page(&self.site, &Problem::Misdirected),
                Err(error) => return problem::page(&self.site, &error.into()),
            }
            // A client that reaches the node without the proxy is never asked for a password over
            // plain HTTP.
            if self.site.config.is_https() && !client.secure && !hosts::is_this_machine(host) {
                return self.redirect_to_https(&request);
            }
        }
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        if !is_read && self.has_foreign_scheme(request.headers(), client) {
            let refused = StatusCode::FORBIDDEN.into_response();
            return problem::with_page(&self.site, request.uri().path(), false, &refused);
        }
        let anonymous = !viewer::has_cookie(request.headers(), &self.site);
        let is_plain =
            request.uri().query().is_none() || !READ_THEIR_QUERY.contains(&request.uri().path());
        let cacheable = is_read && anonymous && is_plain;
        let key = if cacheable { cache_key(request.uri().path()) } else { Cow::Borrowed("") };
        if cacheable && let Some(page) = self.cached(&key) {
            return page.response(request.headers());
        }
        let generation = self.site.page_cache.generation();
        let key = key.into_owned();
        let path = request.uri().path().to_owned();
        let is_home = path.starts_with("/home/");
        let without_slash = without_slash(request.uri()).filter(|_| is_read);
        let request_headers = if cacheable || is_home || without_slash.is_some() {
            request.headers().clone()
        } else {
            HeaderMap::new()
        };
        let mut request = request.map(Body::new);
        if cacheable {
            // HEAD has the headers of GET, such as the ETag (RFC 9110 9.3.2).
            *request.method_mut() = Method::GET;
        }
        let form = unsaved::read(&mut request, client, &self.site, &self.unsaved).await;
        request.extensions_mut().insert(client);
        request.extensions_mut().insert(service);
        let response = self.routed(request).await;
        if cacheable && response.extensions().get::<Cacheable>().is_some() {
            return self.cache(&key, generation, &request_headers, response).await;
        }
        if response.status() == StatusCode::NOT_FOUND
            && let Some(target) = without_slash
            && self.exists(&target, client, &request_headers).await
        {
            return response::moved(&target);
        }
        if let Some(form) = form.filter(|_| unsaved::asks_for_login(&response)) {
            return unsaved::page(&self.site, form).unwrap_or(response);
        }
        if !problem::lacks_page(&response) {
            return response;
        }
        let is_home = is_home && viewer::is_owner(&request_headers, client, &self.site).await;
        problem::with_page(&self.site, &path, is_home, &response)
    }

    /// Whether a form comes from a page of the same host over another scheme, which is another
    /// origin (RFC 6454 4). Browsers that send `Sec-Fetch-Site` have compared the origins; the CSRF
    /// layer compares hosts for the others.
    fn has_foreign_scheme(&self, headers: &HeaderMap, client: Client) -> bool {
        let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
        let Some(origin) = origin.filter(|_| !headers.contains_key("sec-fetch-site")) else {
            return false;
        };
        let own = self.site.config.public_url.as_deref().and_then(hosts::origin);
        let scheme = if client.secure { "https" } else { "http" };
        own.as_deref() != Some(origin) && hosts::strip_scheme(origin, scheme).is_none()
    }

    /// Whether the client of a request with these headers gets a page or a redirect at `target`.
    async fn exists(&self, target: &str, client: Client, headers: &HeaderMap) -> bool {
        let Ok(mut request) = Request::builder().uri(target).body(Body::empty()) else {
            return false;
        };
        *request.headers_mut() = headers.clone();
        request.extensions_mut().insert(client);
        let status = self.routed(request).await.status();
        status.is_success() || status.is_redirection()
    }

    /// The handler's response, with dates in the owner's time zone.
    async fn routed(&self, request: Request<Body>) -> Response<Body> {
        let profile = self.site.profile().ok().flatten();
        let zone = time_zones::zone(profile.as_deref());
        // A router's error type is `Infallible`.
        let Ok(response) = dates::in_zone(zone, self.router.clone().oneshot(request)).await;
        response
    }

    /// Redirects a request without TLS to the HTTPS address. A form is refused instead: its content
    /// has crossed the network unencrypted already.
    fn redirect_to_https<B>(&self, request: &Request<B>) -> Response<Body> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return problem::page(&self.site, &Problem::HttpsRequired);
        }
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        response::moved_to_site(&self.site.config.url(None, 0), path)
    }

    /// The service of a host that has but one, and `Some(None)` for a host of the site; `None` if
    /// the node does not serve the path there.
    ///
    /// # Errors
    /// If that depends on the profile and it can't be read.
    fn place(&self, host: &str, path: &str) -> Result<Option<Option<Service>>, StoreError> {
        let (profile, failure) = match self.site.profile() {
            Ok(profile) => (profile, None),
            // The site still answers to the configured names.
            Err(error) => (None, Some(error)),
        };
        let is_ours = hosts::is_ours(
            host,
            profile.as_deref(),
            &self.site.config.names,
            self.site.config.public_url.as_deref(),
        );
        match (is_ours, Service::of(host, profile.as_deref())) {
            (true, _) => Ok(Some(None)),
            (false, Some(service)) => Ok(service.has(path).then_some(Some(service))),
            (false, None) => failure.map_or(Ok(None), Err),
        }
    }

    fn cached(&self, key: &str) -> Option<Arc<CachedPage>> {
        match key.strip_prefix("/assets/") {
            Some(name) => assets::find(name),
            None => self.site.page_cache.get(key),
        }
    }

    async fn cache(
        &self,
        key: &str,
        generation: u64,
        request_headers: &HeaderMap,
        response: Response<Body>,
    ) -> Response<Body> {
        let (mut parts, body) = response.into_parts();
        parts.headers.append(header::VARY, HeaderValue::from_static("cookie"));
        if body.size_hint().upper().is_none_or(|len| len > CACHED_LEN_MAX as u64) {
            return Response::from_parts(parts, body);
        }
        let body = match axum::body::to_bytes(body, CACHED_LEN_MAX).await {
            Ok(body) => body,
            Err(error) => return problem::page(&self.site, &Problem::Internal(error.to_string())),
        };
        headers::add_security_headers(&mut parts.headers, false);
        // Compression of a long page takes milliseconds: not on a worker that serves others.
        let headers = parts.headers;
        let made = blocking(move || CachedPage::new(headers, body, Compression::default())).await;
        let Ok(page) = made.map(Arc::new) else {
            return problem::page(&self.site, &Problem::Internal("compression".to_owned()));
        };
        if parts.status == StatusCode::OK {
            self.site.page_cache.insert(key, generation, page.clone());
        }
        page.response(request_headers)
    }
}

/// The response to a HEAD request, with the length that the body has for GET.
fn without_body(mut response: Response<Body>) -> Response<Body> {
    let len = response.body().size_hint().exact().filter(|len| *len > 0);
    if let Some(len) = len {
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(len));
    }
    *response.body_mut() = Body::empty();
    response
}

/// The key of a public page: its path with percent-encoding removed, so that all spellings of one
/// path share one page, as they share one handler. A path with an encoded slash or with bytes that
/// are no UTF-8 is its own key: the router tells it from the decoded one.
fn cache_key(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let (mut decoded, mut rest) = (Vec::with_capacity(path.len()), path.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.first_chunk::<2>().filter(|_| *byte == b'%');
        let value = digits.and_then(|digits| {
            let text = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(text, 16).ok().filter(|_| !text.starts_with('+'))
        });
        match value {
            Some(b'/' | b'%') => return Cow::Borrowed(path),
            Some(value) => {
                decoded.push(value);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                decoded.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8(decoded).map_or(Cow::Borrowed(path), Cow::Owned)
}

/// The target of a request whose path ends with a slash, without the slash. `None` if the rest
/// would name another host (`//evil.example/`).
fn without_slash(uri: &Uri) -> Option<String> {
    let path = uri.path().strip_suffix('/')?;
    let is_path = path.starts_with('/') && !path.starts_with("//") && !path.ends_with('/');
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    is_path.then(|| format!("{path}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_path_share_one_key() {
        for (path, key) in [
            ("/2026/hello", "/2026/hello"),
            ("/2026/%68el%6Co", "/2026/hello"),
            ("/%32026/%e6%97%a5", "/2026/日"),
            ("/2026%2Fhello", "/2026%2Fhello"),
            ("/2026/%ff", "/2026/%ff"),
            ("/2026/%2568ello", "/2026/%2568ello"),
            ("/100%/%4/%+1/%zz", "/100%/%4/%+1/%zz"),
        ] {
            assert_eq!(cache_key(path), key, "{path}");
        }
    }
}
