//! Public pages, rendered once and answered from memory with an ETag and a compressed body.
//!
//! What is kept is thrown away as soon as a hint says that something public changed, and after an
//! hour at the latest. The hints are read at each look, so a page is never older than the last
//! commit this process announced.

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

const PAGES_MAX: usize = 1024;
const BYTES_MAX: usize = 16 * 1024 * 1024;
const AGE_MAX_MILLIS: u64 = 60 * 60 * 1000;
/// Shorter bodies fit one packet anyway.
const GZIP_LEN_MIN: usize = 512;

/// An answer kept whole: headers, body, and the body compressed where that helps.
pub(crate) struct CachedPage {
    headers: HeaderMap,
    etag: HeaderValue,
    body: Bytes,
    gzip: Option<Bytes>,
}

impl CachedPage {
    /// Makes a page of `headers` and `body`; adds ETag and, for text, the compressed body.
    pub(crate) fn new(mut headers: HeaderMap, body: Bytes, level: Compression) -> Self {
        let etag = etag(blake3::hash(&body));
        headers.insert(header::ETAG, etag.clone());
        let gzip = if is_text(&headers) && body.len() >= GZIP_LEN_MIN {
            compress(&body, level)
        } else {
            None
        };
        if gzip.is_some() {
            headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        headers.remove(header::CONTENT_LENGTH);
        Self { headers, etag, body, gzip }
    }

    /// The answer to a request with these headers; 304 when they name this version (RFC 9110
    /// 13.1.2).
    pub(crate) fn answer(&self, asked: &HeaderMap) -> Response<Body> {
        let mut headers = self.headers.clone();
        let same = asked.get(header::IF_NONE_MATCH).is_some_and(|tags| names(tags, &self.etag));
        let (status, body) = if same {
            headers.remove(header::CONTENT_TYPE);
            (StatusCode::NOT_MODIFIED, Body::empty())
        } else if let Some(gzip) = self.gzip.as_ref().filter(|_| takes_gzip(asked)) {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            (StatusCode::OK, Body::from(gzip.clone()))
        } else {
            (StatusCode::OK, Body::from(self.body.clone()))
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    fn len(&self) -> usize {
        self.body.len() + self.gzip.as_ref().map_or(0, Bytes::len)
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

/// The name of a version by the hash of its content.
pub(crate) fn etag(content: blake3::Hash) -> HeaderValue {
    let quoted = format!("\"{}\"", content.to_hex().get(..24).unwrap_or_default());
    HeaderValue::from_str(&quoted).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Whether `If-None-Match` names this version (RFC 9110 13.1.2).
pub(crate) fn names(tags: &HeaderValue, etag: &HeaderValue) -> bool {
    let (Ok(tags), Ok(etag)) = (tags.to_str(), etag.to_str()) else { return false };
    tags.trim() == "*" || tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag)
}

/// Whether gzip is welcome: named, and not with a weight of nothing (RFC 9110 12.5.3).
fn takes_gzip(asked: &HeaderMap) -> bool {
    let Some(accepted) = asked.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    accepted.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim() == "gzip" && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

/// The pages in memory, and the owner's profile, which every one of them shows.
pub(crate) struct PageCache {
    kept: Mutex<Kept>,
    clock: Clock,
}

struct Kept {
    hints: Receiver<Event>,
    /// Raised whenever everything is thrown away, so that a page rendered from older rows is not
    /// kept.
    generation: u64,
    pages: HashMap<String, (Timestamp, Arc<CachedPage>)>,
    bytes: usize,
    profile: Option<Arc<Profile>>,
}

impl Kept {
    /// Reads the hints; forgets everything if one of them says so.
    fn look(&mut self) {
        loop {
            match self.hints.try_recv() {
                Ok(Event::Public | Event::Identity) | Err(TryRecvError::Lagged(_)) => self.forget(),
                Ok(_) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn forget(&mut self) {
        self.generation += 1;
        self.pages.clear();
        self.bytes = 0;
        self.profile = None;
    }
}

impl PageCache {
    pub(crate) fn new(hints: Receiver<Event>, clock: Clock) -> Self {
        let kept = Kept { hints, generation: 0, pages: HashMap::new(), bytes: 0, profile: None };
        Self { kept: Mutex::new(kept), clock }
    }

    /// Runs `work` on what is kept after the hints were read.
    fn with<T>(&self, work: impl FnOnce(&mut Kept) -> T) -> T {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.look();
        work(&mut kept)
    }

    /// The page at `path`, if it is in memory and fresh.
    pub(crate) fn get(&self, path: &str) -> Option<Arc<CachedPage>> {
        let now = self.clock.now();
        self.with(|kept| {
            let (made, page) = kept.pages.get(path)?;
            (now.millis_since(*made) < AGE_MAX_MILLIS).then(|| page.clone())
        })
    }

    /// What to hand to [`PageCache::keep`]; taken before a page is rendered.
    pub(crate) fn generation(&self) -> u64 {
        self.with(|kept| kept.generation)
    }

    /// Keeps `page` under `path`, unless something public changed since `generation` was taken.
    pub(crate) fn insert(&self, path: &str, generation: u64, page: Arc<CachedPage>) {
        let now = self.clock.now();
        self.with(|kept| {
            if kept.generation != generation || page.len() > BYTES_MAX {
                return;
            }
            if kept.pages.len() >= PAGES_MAX || kept.bytes + page.len() > BYTES_MAX {
                kept.pages.clear();
                kept.bytes = 0;
            }
            kept.bytes += page.len();
            if let Some((_, old)) = kept.pages.insert(path.to_owned(), (now, page)) {
                kept.bytes = kept.bytes.saturating_sub(old.len());
            }
        });
    }

    /// The profile, read by `read` if it is not in memory.
    pub(crate) fn profile(
        &self,
        read: impl FnOnce() -> Result<Option<Profile>, StoreError>,
    ) -> Result<Option<Arc<Profile>>, StoreError> {
        let (generation, known) = self.with(|kept| (kept.generation, kept.profile.clone()));
        if known.is_some() {
            return Ok(known);
        }
        let found = read()?.map(Arc::new);
        self.with(|kept| {
            if kept.generation == generation {
                kept.profile.clone_from(&found);
            }
        });
        Ok(found)
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

    fn asking(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn a_hint_about_something_public_empties_the_memory_and_others_do_not() {
        let events = Events::default();
        let pages = PageCache::new(events.subscribe(), Clock::manual(Timestamp(0)));
        pages.insert("/", pages.generation(), page("front"));
        events.send(Event::Mailbox(1));
        assert!(pages.get("/").is_some());
        events.send(Event::Public);
        assert!(pages.get("/").is_none());
    }

    #[test]
    fn a_page_rendered_before_a_change_is_not_kept_after_it() {
        let events = Events::default();
        let pages = PageCache::new(events.subscribe(), Clock::manual(Timestamp(0)));
        let generation = pages.generation();
        events.send(Event::Public);
        pages.insert("/", generation, page("old"));
        assert!(pages.get("/").is_none());
    }

    #[test]
    fn a_page_is_kept_for_an_hour() {
        let clock = Clock::manual(Timestamp(0));
        let pages = PageCache::new(Events::default().subscribe(), clock.clone());
        pages.insert("/", pages.generation(), page("front"));
        clock.advance(AGE_MAX_MILLIS - 1);
        assert!(pages.get("/").is_some());
        clock.advance(1);
        assert!(pages.get("/").is_none());
    }

    #[test]
    fn the_same_version_is_answered_with_304_and_gzip_only_where_it_is_welcome() {
        let page = page(&"a page of some length. ".repeat(100));
        let plain = page.answer(&HeaderMap::new());
        assert_eq!(plain.status(), StatusCode::OK);
        assert!(plain.headers().get(header::CONTENT_ENCODING).is_none());
        let etag = plain.headers().get(header::ETAG).unwrap().to_str().unwrap().to_owned();
        for tags in [etag.clone(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".to_owned()] {
            assert_eq!(
                page.answer(&asking(header::IF_NONE_MATCH, &tags)).status(),
                StatusCode::NOT_MODIFIED,
                "{tags}"
            );
        }
        assert_eq!(
            page.answer(&asking(header::IF_NONE_MATCH, "\"other\"")).status(),
            StatusCode::OK
        );
        let small = page.answer(&asking(header::ACCEPT_ENCODING, "br, gzip;q=0.8"));
        assert_eq!(small.headers().get(header::CONTENT_ENCODING).unwrap(), "gzip");
        assert!(
            page.answer(&asking(header::ACCEPT_ENCODING, "gzip;q=0, br"))
                .headers()
                .get(header::CONTENT_ENCODING)
                .is_none()
        );
    }
}
