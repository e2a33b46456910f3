//! Photos: the public list, one photo, its files; and, for the owner, adding, describing and
//! deleting.

mod edit;
mod unsupported;
pub(crate) mod upload;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use freehold_core::audience::{Audience, Visitor};
use freehold_core::photos::{self, Photo, PhotoId};
use freehold_core::posts;
use freehold_core::profile::Profile;
use serde::Deserialize;

use self::unsupported::UnsupportedFile;
use crate::blob_response::{self, JPEG};
use crate::blobs;
use crate::dates;
use crate::done::Done;
use crate::fault::{self, Fault};
use crate::layout::Layout;
use crate::pictures::{self, Picture};
use crate::posts::PostLink;
use crate::problem::{Problem, parse_id};
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::{Owner, Viewer};

/// Number of photos in one page of a list.
const PAGE_LEN: usize = 40;
/// A rendition never changes; a deleted photo may stay in caches for a day.
const CACHE_CONTROL: &str = "public, max-age=86400";

pub(crate) fn routes() -> Routes {
    Routes::new()
        .get("/photos", Access::Anyone, list)
        .get("/photos/{photo}", Access::Anyone, show)
        .get("/photos/{photo}/{size}", Access::Anyone, file)
        .get("/home/photos", Access::Owner, manage)
        .get("/home/photos/{photo}/original", Access::Owner, original)
        .merge(edit::routes())
        .merge(unsupported::routes())
        .merge(upload::routes())
}

#[derive(Template)]
#[template(path = "photos/list.html")]
struct ListPage {
    page: Layout,
    pictures: Vec<Picture>,
    older: Option<String>,
}

#[derive(Template)]
#[template(path = "photos/show.html")]
struct PhotoPage {
    page: Layout,
    picture: Picture,
    taken: Option<String>,
    added: String,
    /// The edit page; `None` for strangers.
    edit: Option<String>,
    is_private: bool,
    /// True for the owner alone, if the photo is private and yet public: `shown_by` shows it.
    is_still_public: bool,
    /// For the owner: the published posts that show it.
    shown_by: Vec<PostLink>,
    /// True if the original may say where it was taken.
    has_place: bool,
    newer: Option<String>,
    older: Option<String>,
    /// The list of photos, where this one is in it.
    all: String,
    /// The description for search engines.
    description: String,
}

#[derive(Template)]
#[template(path = "photos/manage.html")]
struct ManagePage {
    page: Layout,
    pictures: Vec<Picture>,
    older: Option<String>,
    unsupported: Vec<UnsupportedFile>,
}

#[derive(Deserialize)]
struct Older {
    before: Option<String>,
}

/// One page of the photos that `visitor` may see, and the id for the next page.
fn page_of(
    site: &Site,
    visitor: &Visitor,
    before: Option<&str>,
) -> Result<(Vec<Photo>, Option<String>), Problem> {
    let before = before
        .map(|id| photos::by_id(&site.node, visitor, parse_id(id)?)?.ok_or(Problem::NotFound))
        .transpose()?;
    let page = photos::list(&site.node, visitor, before.as_ref(), PAGE_LEN)?;
    let older = page.last().filter(|_| page.len() == PAGE_LEN).map(|photo| photo.id.to_string());
    Ok((page, older))
}

async fn list(State(site): State<Site>, viewer: Viewer, Query(query): Query<Older>) -> PageResult {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    let (found, older) = page_of(&site, &Visitor::Stranger, query.before.as_deref())?;
    let page = Layout::public(Some(&profile), "Photos", "Photos").for_owner(viewer.is_owner());
    let mut pictures: Vec<Picture> = found.iter().map(Picture::own).collect();
    pictures::mark_first_row(&mut pictures);
    response::public_page(&ListPage { page, pictures, older })
}

/// The photo with a slug or an id; one that the visitor may not see is not found.
fn find(site: &Site, visitor: &Visitor, name: &str) -> Result<Photo, Problem> {
    let found = match name.parse::<PhotoId>() {
        Ok(id) => photos::by_id(&site.node, visitor, id)?,
        Err(_) => photos::by_slug(&site.node, visitor, name)?,
    };
    found.ok_or(Problem::NotFound)
}

async fn show(
    State(site): State<Site>,
    viewer: Viewer,
    Path(name): Path<String>,
    done: Done,
) -> PageResult {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    let photo = find(&site, &viewer.0, &name)?;
    if photo.slug != name {
        return Ok(response::moved_permanently(&address(&photo)));
    }
    let page = photo_page(&site, &viewer, &profile, &photo)?;
    let page = PhotoPage { page: page.page.saying(done), ..page };
    if page.is_private { response::page(&page) } else { response::public_page(&page) }
}

fn address(photo: &Photo) -> String {
    format!("/photos/{}", photo.slug)
}

fn photo_page(
    site: &Site,
    viewer: &Viewer,
    profile: &Profile,
    photo: &Photo,
) -> Result<PhotoPage, Problem> {
    let older = photos::list(&site.node, &Visitor::Stranger, Some(photo), 1)?;
    let newer = photos::newer(&site.node, &Visitor::Stranger, photo)?;
    let title = if photo.alt.is_empty() { "A photo" } else { photo.alt.as_str() };
    let is_owner = viewer.is_owner();
    let is_private = is_private(site, photo)?;
    Ok(PhotoPage {
        page: Layout::public(Some(profile), title, "Photos").for_owner(is_owner),
        picture: Picture::own(photo),
        taken: photo.taken.as_deref().and_then(dates::camera),
        added: dates::long(photo.added),
        edit: is_owner.then(|| format!("/home/photos/{}", photo.id)),
        is_private,
        is_still_public: is_owner && photo.audience == Audience::Owner && !is_private,
        shown_by: if is_owner { shown_by(site, &Visitor::Stranger, photo)? } else { Vec::new() },
        has_place: photo.has_place != Some(false),
        all: list_with(site, photo, newer.as_ref())?,
        newer: newer.as_ref().map(address),
        older: older.first().map(address),
        description: description(photo, &profile.name),
    })
}

/// The page of the list that has `photo` in it: the first one, or one that begins with it.
fn list_with(site: &Site, photo: &Photo, newer: Option<&Photo>) -> Result<String, Problem> {
    let newest = photos::list(&site.node, &Visitor::Stranger, None, PAGE_LEN)?;
    let is_first = newest.len() < PAGE_LEN || newest.iter().any(|other| other.id == photo.id);
    let before = newer.filter(|_| !is_first);
    Ok(before.map_or("/photos".to_owned(), |newer| format!("/photos?before={}", newer.id)))
}

/// The content of a photo, and the person who took it.
fn description(photo: &Photo, name: &str) -> String {
    let text = if photo.caption.is_empty() { &photo.alt } else { &photo.caption };
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        format!("A photo by {name}")
    } else {
        format!("{line} A photo by {name}.")
    }
}

/// True if strangers can see a photo neither in the list nor with a post.
fn is_private(site: &Site, photo: &Photo) -> Result<bool, Problem> {
    Ok(photos::by_id(&site.node, &Visitor::Stranger, photo.id)?.is_none())
}

/// The posts that show a photo, as far as `visitor` may see them.
fn shown_by(site: &Site, visitor: &Visitor, photo: &Photo) -> Result<Vec<PostLink>, Problem> {
    let posts = posts::showing(&site.node, visitor, photo.id)?;
    Ok(posts.iter().map(|post| PostLink::of(post, String::new())).collect())
}

async fn file(
    State(site): State<Site>,
    viewer: Viewer,
    Path((name, size)): Path<(String, String)>,
    headers: HeaderMap,
) -> PageResult {
    let size = pictures::rendition_size(&size).ok_or(Problem::NotFound)?;
    let photo = find(&site, &viewer.0, &name)?;
    let (rendition, reader) = blobs::rendition(&site, viewer.0, photo.id, size).await?;
    if is_private(&site, &photo)? {
        return blob_response::stream(reader, JPEG, "no-store");
    }
    blob_response::cacheable_stream(&headers, &rendition.blob, reader, JPEG, CACHE_CONTROL)
}

async fn manage(
    State(site): State<Site>,
    _: Owner,
    Query(query): Query<Older>,
    done: Done,
) -> PageResult {
    let (found, older) = page_of(&site, &Visitor::Owner, query.before.as_deref())?;
    let mut pictures: Vec<Picture> = found
        .iter()
        .map(|photo| Picture { href: format!("/home/photos/{}", photo.id), ..Picture::own(photo) })
        .collect();
    pictures::mark_first_row(&mut pictures);
    response::page(&ManagePage {
        page: site.owner_layout("Photos", "Photos")?.saying(done),
        pictures,
        older,
        unsupported: unsupported::list(&site)?,
    })
}

fn own(site: &Site, id: &str) -> Result<Photo, Problem> {
    photos::by_id(&site.node, &Visitor::Owner, parse_id(id)?)?.ok_or(Problem::NotFound)
}

/// The form's fields about a photo.
#[derive(Default, Deserialize)]
struct PhotoForm {
    #[serde(default)]
    alt: String,
    #[serde(default)]
    caption: String,
    #[serde(default)]
    audience: String,
}

impl PhotoForm {
    /// The form of a new photo.
    fn new() -> Self {
        Self { audience: "public".to_owned(), ..Self::default() }
    }

    fn of(photo: &Photo) -> Self {
        let audience = if photo.audience == Audience::Owner { "owner" } else { "public" };
        Self {
            alt: photo.alt.clone(),
            caption: photo.caption.clone(),
            audience: audience.to_owned(),
        }
    }

    /// The chosen audience. A form without one publishes nothing.
    fn audience(&self) -> Audience {
        if self.audience == "public" { Audience::Public } else { Audience::Owner }
    }
}

/// The fault of a text of a photo, at its field.
fn too_long(what: &str, len: usize, len_max: usize) -> Fault {
    let (field, name) = if what == "caption" { ("caption", what) } else { ("alt", "description") };
    Fault::new(field, fault::too_long(name, len, len_max))
}

/// The original file, as a download for the owner.
async fn original(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> PageResult {
    let photo = own(&site, &id)?;
    let reader = blobs::original(&site, photo.id).await?;
    let file = blob_response::stream(reader, &photo.media_type, "no-store")?;
    Ok(([(header::CONTENT_DISPOSITION, response::attachment_named(&photo.file_name))], file)
        .into_response())
}
