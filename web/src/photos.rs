//! Photos: the wall anyone may look at, one photo, its files; and, for the owner, hanging,
//! describing and taking down.

mod kept;
pub(crate) mod upload;

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use freehold_core::audience::{Audience, Visitor};
use freehold_core::photos::{self, ChangeError, Photo, PhotoId};
use serde::Deserialize;

use self::kept::KeptFile;
use crate::answer::{self, Answer, Problem};
use crate::blob_reads;
use crate::dates;
use crate::frame::Frame;
use crate::pictures::{self, Picture};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::visitor::{Asker, Owner};

const WALL_LEN: usize = 40;
/// The files of a photo never change; a photo taken down may be seen in caches for a day.
const KEPT: &str = "public, max-age=86400";

pub(crate) fn routes() -> Routes {
    Routes::new()
        .get("/photos", Access::Anyone, wall)
        .get("/photos/{photo}", Access::Anyone, show)
        .get("/photos/{photo}/{size}", Access::Anyone, file)
        .get("/home/photos", Access::Owner, room)
        .get("/home/photos/{photo}", Access::Owner, edit)
        .post("/home/photos/{photo}", Access::Owner, change)
        .get("/home/photos/{photo}/original", Access::Owner, original)
        .post("/home/photos/{photo}/delete", Access::Owner, delete)
        .merge(kept::routes())
        .merge(upload::routes())
}

#[derive(Template)]
#[template(path = "photos/wall.html")]
struct WallPage {
    page: Frame,
    pictures: Vec<Picture>,
    older: Option<String>,
}

#[derive(Template)]
#[template(path = "photos/show.html")]
struct PhotoPage {
    page: Frame,
    picture: Picture,
    taken: Option<String>,
    added: String,
    /// Where the owner describes it; nothing for others.
    edit: Option<String>,
    is_private: bool,
    newer: Option<String>,
    older: Option<String>,
}

#[derive(Template)]
#[template(path = "photos/room.html")]
struct RoomPage {
    page: Frame,
    pictures: Vec<Picture>,
    older: Option<String>,
    kept: Vec<KeptFile>,
}

#[derive(Template)]
#[template(path = "photos/edit.html")]
struct EditPage {
    page: Frame,
    id: String,
    picture: Picture,
    is_private: bool,
    /// Whether it is to be private and a published post shows it.
    is_in_a_post: bool,
    fault: Option<String>,
}

#[derive(Deserialize)]
struct Older {
    before: Option<String>,
}

/// One page of the wall, and what to ask the next one for.
fn hung(
    site: &Site,
    visitor: &Visitor,
    before: Option<&str>,
) -> Result<(Vec<Photo>, Option<String>), Problem> {
    let before = before
        .map(|id| photos::by_id(&site.node, visitor, pictures::id(id)?)?.ok_or(Problem::NotFound))
        .transpose()?;
    let found = photos::list(&site.node, visitor, before.as_ref(), WALL_LEN)?;
    let older = found.last().filter(|_| found.len() == WALL_LEN).map(|photo| photo.id.to_string());
    Ok((found, older))
}

async fn wall(State(site): State<Site>, asker: Asker, Query(query): Query<Older>) -> Answer {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    let (found, older) = hung(&site, &Visitor::Stranger, query.before.as_deref())?;
    let page = Frame::public(Some(&profile), "Photos", "Photos").for_owner(asker.is_owner());
    answer::public_page(&WallPage {
        page,
        pictures: found.iter().map(Picture::own).collect(),
        older,
    })
}

/// The photo an address names, by slug or by id; not there and not for whoever asks are the same.
fn named(site: &Site, visitor: &Visitor, name: &str) -> Result<Photo, Problem> {
    let found = match name.parse::<PhotoId>() {
        Ok(id) => photos::by_id(&site.node, visitor, id)?,
        Err(_) => photos::by_slug(&site.node, visitor, name)?,
    };
    found.ok_or(Problem::NotFound)
}

async fn show(State(site): State<Site>, asker: Asker, Path(name): Path<String>) -> Answer {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    let photo = named(&site, &asker.0, &name)?;
    if photo.slug != name {
        return Ok(answer::moved(&format!("/photos/{}", photo.slug)));
    }
    let page_of = |photo: &Photo| format!("/photos/{}", photo.slug);
    let older = photos::list(&site.node, &Visitor::Stranger, Some(&photo), 1)?;
    let newest = photos::list(&site.node, &Visitor::Stranger, None, WALL_LEN)?;
    let at = newest.iter().position(|other| other.id == photo.id);
    let newer = at.and_then(|at| at.checked_sub(1)).and_then(|at| newest.get(at));
    let title = if photo.alt.is_empty() { "A photo" } else { photo.alt.as_str() };
    let is_private = is_private(&site, &photo)?;
    let page = PhotoPage {
        page: Frame::public(Some(&profile), title, "Photos").for_owner(asker.is_owner()),
        picture: Picture::own(&photo),
        taken: photo.taken.as_deref().and_then(dates::camera),
        added: dates::long(photo.added),
        edit: asker.is_owner().then(|| format!("/home/photos/{}", photo.id)),
        is_private,
        newer: newer.map(page_of),
        older: older.first().map(page_of),
    };
    if page.is_private { answer::page(&page) } else { answer::public_page(&page) }
}

/// Whether nobody but the owner may see a photo, on the wall or with a post.
fn is_private(site: &Site, photo: &Photo) -> Result<bool, Problem> {
    Ok(photos::by_id(&site.node, &Visitor::Stranger, photo.id)?.is_none())
}

async fn file(
    State(site): State<Site>,
    asker: Asker,
    Path((name, size)): Path<(String, String)>,
    asked: HeaderMap,
) -> Answer {
    let size = pictures::size_of(&size).ok_or(Problem::NotFound)?;
    let photo = named(&site, &asker.0, &name)?;
    let (print, reader) = blob_reads::rendition(&site, asker.0, photo.id, size).await?;
    if is_private(&site, &photo)? {
        return pictures::file(reader, pictures::JPEG, "no-store");
    }
    pictures::lasting_file(&asked, &print.blob, reader, pictures::JPEG, KEPT)
}

async fn room(State(site): State<Site>, _: Owner, Query(query): Query<Older>) -> Answer {
    let (found, older) = hung(&site, &Visitor::Owner, query.before.as_deref())?;
    let pictures = found
        .iter()
        .map(|photo| Picture { href: format!("/home/photos/{}", photo.id), ..Picture::own(photo) })
        .collect();
    answer::page(&RoomPage {
        page: site.home_frame("Photos", "Photos")?,
        pictures,
        older,
        kept: kept::listed(&site)?,
    })
}

fn own(site: &Site, id: &str) -> Result<Photo, Problem> {
    photos::by_id(&site.node, &Visitor::Owner, pictures::id(id)?)?.ok_or(Problem::NotFound)
}

fn edit_page(site: &Site, photo: &Photo, fault: Option<String>) -> Result<EditPage, Problem> {
    let page = site.home_frame("A photo", "Photos")?;
    let is_kept = photo.audience == Audience::Owner;
    let is_in_a_post = is_kept && !is_private(site, photo)?;
    Ok(EditPage {
        page,
        id: photo.id.to_string(),
        picture: Picture::own(photo),
        is_private: is_kept,
        is_in_a_post,
        fault,
    })
}

async fn edit(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> Answer {
    answer::page(&edit_page(&site, &own(&site, &id)?, None)?)
}

/// What is said about a photo, and to whom it is shown.
#[derive(Default, Deserialize)]
struct Described {
    #[serde(default)]
    alt: String,
    #[serde(default)]
    caption: String,
    #[serde(default)]
    audience: String,
}

impl Described {
    fn audience(&self) -> Audience {
        if self.audience == "owner" { Audience::Owner } else { Audience::Public }
    }
}

async fn change(
    State(site): State<Site>,
    _: Owner,
    Path(id): Path<String>,
    Form(form): Form<Described>,
) -> Answer {
    let photo = own(&site, &id)?;
    let audience = form.audience();
    match photos::change(
        &site.node,
        photo.id,
        form.alt,
        form.caption.replace("\r\n", "\n"),
        audience,
    )
    .await
    {
        Ok(photo) => Ok(answer::see(&format!("/photos/{}", photo.slug))),
        Err(error) => not_changed(&site, &photo, error),
    }
}

async fn delete(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> Answer {
    let photo = own(&site, &id)?;
    match photos::delete(&site.node, photo.id).await {
        Ok(()) => Ok(answer::see("/home/photos")),
        Err(error) => not_changed(&site, &photo, error),
    }
}

fn not_changed(site: &Site, photo: &Photo, error: ChangeError) -> Answer {
    let fault = match error {
        ChangeError::Store(error) => return Err(error.into()),
        ChangeError::NoSuchPhoto => return Err(Problem::NotFound),
        ChangeError::InUse => "A post shows this photo. Take it out of the post first.".to_owned(),
        ChangeError::TooLong { what, len_max, .. } => {
            format!("The {what} is too long: at most {len_max} letters.")
        }
    };
    answer::page_with(StatusCode::UNPROCESSABLE_ENTITY, &edit_page(site, photo, Some(fault))?)
}

/// The original of a photo, for the owner to save.
async fn original(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> Answer {
    let photo = own(&site, &id)?;
    let reader = blob_reads::original(&site, photo.id).await?;
    let file = pictures::file(reader, &photo.media_type, "no-store")?;
    Ok(([(header::CONTENT_DISPOSITION, crate::mailbox::disposition(&photo.file_name))], file)
        .into_response())
}
