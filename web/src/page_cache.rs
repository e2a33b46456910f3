//! The cache of public pages: each is rendered once, then sent from memory with an ETag and a
//! compressed body.
//!
//! An event about a public change empties the cache, and no page stays longer than an hour. Events
//! are read before each lookup, so a cached page is never older than the last commit that this
//! process announced.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use flate2::Compression;
use flate2::write::GzEncoder;
use freehold_core::clock::{Clock, Timestamp};
use freehold_core::events::Event;
use freehold_core::profile::Profile;
use freehold_core::store::StoreError;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

use crate::preconditions::{self, Outcome};

/// The most pages.
const PAGES_MAX: usize = 1024;
/// The most bytes of all bodies, compressed and plain.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// The oldest page, in milliseconds.
const AGE_MAX_MS: u64 = 60 * 60 * 1000;
/// Shorter bodies are not compressed: they fit one packet anyway. In bytes.
const GZIP_LEN_MIN: usize = 512;

/// A response in memory: headers, body, and the compressed body where that is shorter.
pub(crate) struct CachedPage {
    headers: HeaderMap,
    plain: Coded,
    gzip: Option<Coded>,
}

/// The body in one content coding. Each has an ETag of its own (RFC 9110 8.8.3.3).
struct Coded {
    etag: HeaderValue,
    body: Bytes,
}

impl CachedPage {
    /// Adds the ETag and, for text, the compressed body.
    pub(crate) fn new(mut headers: HeaderMap, body: Bytes, level: Compression) -> Self {
        let hash = blake3::hash(&body);
        let gzip = if is_text(&headers) && body.len() >= GZIP_LEN_MIN {
            compress(&body, level)
        } else {
            None
        };
        if gzip.is_some() {
            headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        headers.remove(header::CONTENT_LENGTH);
        let gzip = gzip.map(|body| Coded { etag: quoted(hash, "-gzip"), body });
        Self { headers, plain: Coded { etag: etag(hash), body }, gzip }
    }

    /// The response to a request with these headers; 304 if they name this version in any content
    /// coding, 412 if they ask for another one (RFC 9110 13.1).
    pub(crate) fn response(&self, request_headers: &HeaderMap) -> Response<Body> {
        let mut headers = self.headers.clone();
        let gzip = self.gzip.as_ref();
        let (sent, other) = match gzip.filter(|_| accepts_gzip(request_headers)) {
            Some(gzip) => (gzip, Some(&self.plain)),
            None => (&self.plain, gzip),
        };
        let etags: Vec<&HeaderValue> =
            [Some(sent), other].into_iter().flatten().map(|coded| &coded.etag).collect();
        let (status, etag, body) = match preconditions::evaluate(request_headers, &etags) {
            Outcome::Content => (StatusCode::OK, &sent.etag, Body::from(sent.body.clone())),
            Outcome::NotModified(etag) => (StatusCode::NOT_MODIFIED, etag, Body::empty()),
            Outcome::Failed => (StatusCode::PRECONDITION_FAILED, &sent.etag, Body::empty()),
        };
        headers.insert(header::ETAG, etag.clone());
        if status != StatusCode::OK {
            headers.remove(header::CONTENT_TYPE);
        } else if gzip.is_some_and(|gzip| std::ptr::eq(gzip, sent)) {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    fn len(&self) -> usize {
        self.plain.body.len() + self.gzip.as_ref().map_or(0, |gzip| gzip.body.len())
    }
}

fn is_text(headers: &HeaderMap) -> bool {
    let media_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    media_type.starts_with("text/") || media_type.contains("xml")
}

fn compress(body: &[u8], level: Compression) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 2), level);
    encoder.write_all(body).ok()?;
    encoder.finish().ok().filter(|small| small.len() < body.len()).map(Bytes::from)
}

/// The ETag of a version: a quoted prefix of the hash of its content.
pub(crate) fn etag(content: blake3::Hash) -> HeaderValue {
    quoted(content, "")
}

fn quoted(content: blake3::Hash, coding: &str) -> HeaderValue {
    let quoted = format!("\"{}{coding}\"", content.to_hex().get(..24).unwrap_or_default());
    HeaderValue::from_str(&quoted).unwrap_or(HeaderValue::from_static("\"\""))
}

/// True if `Accept-Encoding` names gzip with a weight above 0 (RFC 9110 12.5.3).
fn accepts_gzip(request_headers: &HeaderMap) -> bool {
    let Some(accepted) =
        request_headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    accepted.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim() == "gzip" && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

/// The cached pages, and the owner's profile, which each of them shows.
pub(crate) struct PageCache {
    inner: Mutex<Inner>,
    clock: Clock,
}

struct Inner {
    events: Receiver<Event>,
    /// Incremented each time the cache is emptied, so that a page rendered from older rows is not
    /// inserted.
    generation: u64,
    pages: HashMap<String, (Timestamp, Arc<CachedPage>)>,
    bytes: usize,
    profile: Option<Arc<Profile>>,
}

impl Inner {
    /// Reads the waiting events; empties the cache if one is about a public change, or if some
    /// were lost.
    fn apply_events(&mut self) {
        loop {
            match self.events.try_recv() {
                Ok(Event::Public | Event::Identity) | Err(TryRecvError::Lagged(_)) => self.clear(),
                Ok(_) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn clear(&mut self) {
        self.generation += 1;
        self.pages.clear();
        self.bytes = 0;
        self.profile = None;
    }
}

impl PageCache {
    pub(crate) fn new(events: Receiver<Event>, clock: Clock) -> Self {
        let inner = Inner { events, generation: 0, pages: HashMap::new(), bytes: 0, profile: None };
        Self { inner: Mutex::new(inner), clock }
    }

    /// Applies the waiting events, then runs `work`.
    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.apply_events();
        work(&mut inner)
    }

    /// The cached page at `path`, if it is fresh.
    pub(crate) fn get(&self, path: &str) -> Option<Arc<CachedPage>> {
        let now = self.clock.now();
        self.with(|inner| {
            let (rendered, page) = inner.pages.get(path)?;
            (now.millis_since(*rendered) < AGE_MAX_MS).then(|| page.clone())
        })
    }

    /// The generation for [`PageCache::insert`]; read it before a page is rendered.
    pub(crate) fn generation(&self) -> u64 {
        self.with(|inner| inner.generation)
    }

    /// Inserts `page` at `path`, unless something public changed since `generation` was read.
    pub(crate) fn insert(&self, path: &str, generation: u64, page: Arc<CachedPage>) {
        let now = self.clock.now();
        self.with(|inner| {
            if inner.generation != generation || page.len() > BYTES_MAX {
                return;
            }
            if inner.pages.len() >= PAGES_MAX || inner.bytes + page.len() > BYTES_MAX {
                inner.pages.clear();
                inner.bytes = 0;
            }
            inner.bytes += page.len();
            if let Some((_, old)) = inner.pages.insert(path.to_owned(), (now, page)) {
                inner.bytes = inner.bytes.saturating_sub(old.len());
            }
        });
    }

    /// The profile; `read` loads it if it is not in memory.
    pub(crate) fn profile(
        &self,
        read: impl FnOnce() -> Result<Option<Profile>, StoreError>,
    ) -> Result<Option<Arc<Profile>>, StoreError> {
        let (generation, cached) = self.with(|inner| (inner.generation, inner.profile.clone()));
        if cached.is_some() {
            return Ok(cached);
        }
        let profile = read()?.map(Arc::new);
        self.with(|inner| {
            if inner.generation == generation {
                inner.profile.clone_from(&profile);
            }
        });
        Ok(profile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use freehold_core::events::Events;

    fn page(text: &str) -> Arc<CachedPage> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        Arc::new(CachedPage::new(headers, Bytes::from(text.to_owned()), Compression::fast()))
    }

    fn request_headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn only_a_public_event_empties_the_page_cache() {
        let events = Events::default();
        let pages = PageCache::new(events.subscribe(), Clock::manual(Timestamp(0)));
        pages.insert("/", pages.generation(), page("front"));
        events.send(Event::Mailbox(1));
        assert!(pages.get("/").is_some());
        events.send(Event::Public);
        assert!(pages.get("/").is_none());
    }

    #[test]
    fn page_rendered_before_a_change_is_not_cached() {
        let events = Events::default();
        let pages = PageCache::new(events.subscribe(), Clock::manual(Timestamp(0)));
        let generation = pages.generation();
        events.send(Event::Public);
        pages.insert("/", generation, page("old"));
        assert!(pages.get("/").is_none());
    }

    #[test]
    fn cached_page_expires_after_an_hour() {
        let clock = Clock::manual(Timestamp(0));
        let pages = PageCache::new(Events::default().subscribe(), clock.clone());
        pages.insert("/", pages.generation(), page("front"));
        clock.advance(AGE_MAX_MS - 1);
        assert!(pages.get("/").is_some());
        clock.advance(1);
        assert!(pages.get("/").is_none());
    }

    #[test]
    fn cached_page_honours_etag_and_accept_encoding() {
        let page = page(&"a page of some length. ".repeat(100));
        let plain = page.response(&HeaderMap::new());
        assert_eq!(plain.status(), StatusCode::OK);
        assert!(plain.headers().get(header::CONTENT_ENCODING).is_none());
        let etag = plain.headers().get(header::ETAG).unwrap().to_str().unwrap().to_owned();
        for tags in [etag.clone(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".to_owned()] {
            assert_eq!(
                page.response(&request_headers(header::IF_NONE_MATCH, &tags)).status(),
                StatusCode::NOT_MODIFIED,
                "{tags}"
            );
        }
        assert_eq!(
            page.response(&request_headers(header::IF_NONE_MATCH, "\"other\"")).status(),
            StatusCode::OK
        );
        let small = page.response(&request_headers(header::ACCEPT_ENCODING, "br, gzip;q=0.8"));
        assert_eq!(small.headers().get(header::CONTENT_ENCODING).unwrap(), "gzip");
        assert!(
            page.response(&request_headers(header::ACCEPT_ENCODING, "gzip;q=0, br"))
                .headers()
                .get(header::CONTENT_ENCODING)
                .is_none()
        );
    }
}
