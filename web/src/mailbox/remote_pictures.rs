//! Pictures from elsewhere in the HTML of a message, shown when the owner asks for them.
//!
//! The button gives a grant for that message: a secret in the addresses of the pictures, held in
//! memory for an hour. Each picture is fetched by this node when the browser asks for it, so that
//! the sender's server sees neither the browser nor its cookies, and is served under an address of
//! this site. Without the button nothing is ever fetched. A grant bounds the pictures by their
//! count and their bytes together. The owner can choose that the pictures of a sender are always
//! shown (`picture_senders`); then the page of a message gives the grant.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Form, Path, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::IntoResponse;
use data_encoding::HEXLOWER;
use freehold_core::clock::Timestamp;
use freehold_core::mailbox::{self, PictureSenderError};
use freehold_core::photos::renditions::{EDGE_MAX, PIXELS_MAX};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::message::find;
use super::picture_senders::AlwaysPictures;
use super::pictures;
use crate::done::Done;
use crate::internet::URL_LEN_MAX;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

/// The most grants that are held.
const GRANTS_MAX: usize = 16;
/// How long a grant holds, in milliseconds.
const GRANT_MS: u64 = 60 * 60 * 1000;
/// The most different pictures of a message.
pub(super) const PICTURES_MAX: usize = 100;
/// The longest picture, in bytes.
const PICTURE_LEN_MAX: usize = 5 * 1024 * 1024;
/// The most bytes of pictures for a grant: some times those of a long newsletter.
const GRANT_LEN_MAX: usize = 32 * 1024 * 1024;
/// The most pictures that are fetched at one time.
const FETCHES_MAX: usize = 4;

pub(super) fn routes() -> Routes {
    Routes::new()
        .post("/home/mail/{folder}/{uid}/pictures", Access::Owner, allow)
        // The grant in the address decides, not the cookie: the frame may send none.
        .get("/home/mail/{folder}/{uid}/remote/{place}", Access::Anyone, picture)
}

struct Grant {
    secret: String,
    message: (u32, u32),
    ends: Timestamp,
    /// The addresses of pictures that the HTML of the message has shown.
    urls: Vec<String>,
    bytes_left: usize,
}

/// The grants of a site. Cheap to clone.
#[derive(Clone)]
pub(crate) struct RemotePictures {
    grants: Arc<Mutex<VecDeque<Grant>>>,
    fetches: Arc<Semaphore>,
}

impl Default for RemotePictures {
    fn default() -> Self {
        Self { grants: Arc::default(), fetches: Arc::new(Semaphore::new(FETCHES_MAX)) }
    }
}

impl RemotePictures {
    fn grants(&self) -> MutexGuard<'_, VecDeque<Grant>> {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A grant for a message; the oldest makes room.
    pub(super) fn grant(&self, site: &Site, message: (u32, u32)) -> String {
        let secret = HEXLOWER.encode(&site.node.random.array::<16>());
        let mut grants = self.grants();
        if grants.len() >= GRANTS_MAX {
            grants.pop_front();
        }
        grants.push_back(Grant {
            secret: secret.clone(),
            message,
            ends: site.node.clock.now().plus_millis(GRANT_MS),
            urls: Vec::new(),
            bytes_left: GRANT_LEN_MAX,
        });
        secret
    }

    /// Runs `work` on the valid grant of a message with this secret.
    fn with<T>(
        &self,
        now: Timestamp,
        message: (u32, u32),
        secret: &str,
        work: impl FnOnce(&mut Grant) -> T,
    ) -> Option<T> {
        let mut grants = self.grants();
        grants.retain(|grant| now < grant.ends);
        // Hashes are compared, so that the time says nothing about the secret.
        let given = blake3::hash(secret.as_bytes());
        let is_it = |grant: &&mut Grant| {
            grant.message == message && blake3::hash(grant.secret.as_bytes()) == given
        };
        grants.iter_mut().find(is_it).map(work)
    }
}

/// True if the pictures of a message are shown by a grant with this secret.
pub(super) fn is_granted(site: &Site, message: (u32, u32), secret: &str) -> bool {
    let now = site.node.clock.now();
    !secret.is_empty() && site.remote_pictures.with(now, message, secret, |_| ()).is_some()
}

/// The addresses under which this site serves the pictures at `urls`, in their order; none without
/// a grant. A picture over the limits has an empty one.
pub(super) fn addresses(
    site: &Site,
    message: (u32, u32),
    secret: &str,
    urls: &[String],
) -> Option<Vec<String>> {
    let (folder, uid) = message;
    let address = |grant: &mut Grant, url: &String| {
        let known = grant.urls.iter().position(|known| known == url);
        let number = match known {
            Some(number) => number,
            None if grant.urls.len() >= PICTURES_MAX || url.len() > URL_LEN_MAX => {
                return String::new();
            }
            None => {
                grant.urls.push(url.clone());
                grant.urls.len().saturating_sub(1)
            }
        };
        format!("/home/mail/{folder}/{uid}/remote/{number}-{}", grant.secret)
    };
    let now = site.node.clock.now();
    site.remote_pictures
        .with(now, message, secret, |grant| urls.iter().map(|url| address(grant, url)).collect())
}

#[derive(Deserialize)]
struct AllowForm {
    /// Not empty if the pictures of this sender are always to be shown.
    #[serde(default)]
    always: String,
}

async fn allow(
    State(site): State<Site>,
    _: Owner,
    Path((folder, uid)): Path<(u32, u32)>,
    Form(form): Form<AllowForm>,
) -> PageResult {
    let (message, _) = find(&site, folder, uid)?;
    let done = match form.always.is_empty() {
        true => Done::Nothing,
        false => remember(&site, AlwaysPictures::read(&site, &message).await?).await?,
    };
    let secret = site.remote_pictures.grant(&site, (folder, uid));
    let page = format!("/home/mail/{folder}/{uid}?pictures={secret}");
    Ok(response::see_other(&done.at(&page)))
}

/// Remembers the sender of a message, if that is offered.
async fn remember(site: &Site, choice: AlwaysPictures) -> Result<Done, Problem> {
    let (AlwaysPictures::Offered(address) | AlwaysPictures::Chosen(address)) = choice else {
        return Err(Problem::BadRequest);
    };
    match mailbox::add_picture_sender(&site.node, &address).await {
        Ok(()) => Ok(Done::PicturesAlways),
        Err(PictureSenderError::Store(error)) => Err(error.into()),
        Err(PictureSenderError::TooMany) => Ok(Done::TooManyPictureSenders),
        Err(PictureSenderError::Malformed(_)) => Err(Problem::BadRequest),
    }
}

/// A picture from elsewhere. Its type is that of its first bytes, and its size is bounded like that
/// of a photo.
async fn picture(
    State(site): State<Site>,
    Path((folder, uid, place)): Path<(u32, u32, String)>,
) -> PageResult {
    let (number, secret) = place.split_once('-').ok_or(Problem::NotFound)?;
    let number: usize = number.parse().map_err(|_| Problem::NotFound)?;
    let (message, now) = ((folder, uid), site.node.clock.now());
    let pictures = &site.remote_pictures;
    let Ok(_permit) = pictures.fetches.acquire().await else { return Err(Problem::NotFound) };
    // The bytes are charged before they come, so that many requests can't pass the limit together.
    let charge = |grant: &mut Grant| {
        let url = grant.urls.get(number)?.clone();
        let len_max = PICTURE_LEN_MAX.min(grant.bytes_left);
        grant.bytes_left = grant.bytes_left.saturating_sub(len_max);
        (len_max > 0).then_some((url, len_max))
    };
    let charged = pictures.with(now, message, secret, charge).flatten();
    let (url, len_max) = charged.ok_or(Problem::NotFound)?;
    let fetched = site.internet.get(&url, len_max).await;
    let used = fetched.as_ref().map_or(len_max / 64, |bytes| bytes.len());
    let unused = len_max.saturating_sub(used);
    pictures.with(now, message, secret, |grant| {
        grant.bytes_left = grant.bytes_left.saturating_add(unused);
    });
    let bytes = fetched.map_err(|cause| {
        tracing::debug!(%cause, "a picture from elsewhere was not fetched");
        Problem::NotFound
    })?;
    let media_type = pictures::media_type(&bytes).filter(|_| has_size(&bytes));
    let media_type = media_type.ok_or(Problem::NotFound)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=3600")),
        // Opened alone, the HTML that shows it may have an opaque origin.
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("cross-origin"),
        ),
    ];
    Ok((headers, bytes).into_response())
}

/// True for a picture whose size is known and within the limits of photos.
fn has_size(bytes: &[u8]) -> bool {
    let Some((width, height)) = pictures::dimensions(bytes) else { return false };
    let is_edge = |edge: usize| (1..=EDGE_MAX as usize).contains(&edge);
    let pixels = (width as u64).saturating_mul(height as u64);
    is_edge(width) && is_edge(height) && pixels <= PIXELS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picture_without_a_bounded_size_is_refused() {
        let gif = |width: u16, height: u16| {
            [b"GIF89a".as_slice(), &width.to_le_bytes(), &height.to_le_bytes()].concat()
        };
        assert!(has_size(&gif(400, 300)));
        for bad in [&gif(0, 1)[..], &gif(65_535, 65_535), b"GIF89a", b"<svg/>", b""] {
            assert!(!has_size(bad), "{bad:?}");
        }
    }
}
