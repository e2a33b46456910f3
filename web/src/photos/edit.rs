//! The page of one photo at home, where the owner describes or deletes it.

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use freehold_core::audience::{Audience, Visitor};
use freehold_core::photos::renditions::Flaw;
use freehold_core::photos::{self, ChangeError, Photo};
use freehold_core::posts::PostId;
use serde::Deserialize;

use super::{PhotoForm, address, own, shown_by, too_long};
use crate::done::Done;
use crate::fault::Fault;
use crate::layout::Layout;
use crate::pictures::Picture;
use crate::posts::PostLink;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/home/photos/{photo}", Access::Owner, edit)
        .post("/home/photos/{photo}", Access::Owner, change)
        .post("/home/photos/{photo}/delete", Access::Owner, delete)
}

#[derive(Template)]
#[template(path = "photos/edit.html")]
struct EditPage {
    page: Layout,
    id: String,
    picture: Picture,
    form: PhotoForm,
    /// The published posts that show it although it is private.
    public_in: Vec<PostLink>,
    /// The posts and drafts that keep it from being deleted.
    used_in: Vec<PostLink>,
    flaw: Option<Flaw>,
    fault: Option<Fault>,
    /// The draft from which the photo was uploaded: its id, or empty.
    post: String,
}

impl EditPage {
    fn fault_of(&self, field: &str) -> Option<&str> {
        Fault::of(self.fault.as_ref(), field)
    }
}

/// Where the owner comes from.
#[derive(Default, Deserialize)]
struct FromPost {
    #[serde(default)]
    post: String,
}

impl FromPost {
    /// The draft's id; it is written into a link.
    fn id(&self) -> Option<PostId> {
        self.post.parse().ok()
    }
}

fn edit_page(
    site: &Site,
    photo: &Photo,
    from: &FromPost,
    form: PhotoForm,
) -> Result<EditPage, Problem> {
    let page = site.owner_layout("A photo", "Photos")?;
    Ok(EditPage {
        page,
        id: photo.id.to_string(),
        picture: Picture::own(photo),
        form,
        public_in: match photo.audience {
            Audience::Owner => shown_by(site, &Visitor::Stranger, photo)?,
            _ => Vec::new(),
        },
        used_in: Vec::new(),
        flaw: photo.flaw,
        fault: None,
        post: from.id().map(|id| id.to_string()).unwrap_or_default(),
    })
}

async fn edit(
    State(site): State<Site>,
    _: Owner,
    Path(id): Path<String>,
    Query(from): Query<FromPost>,
    done: Done,
) -> PageResult {
    let photo = own(&site, &id)?;
    let page = edit_page(&site, &photo, &from, PhotoForm::of(&photo))?;
    response::page(&EditPage { page: page.page.saying(done), ..page })
}

async fn change(
    State(site): State<Site>,
    _: Owner,
    Path(id): Path<String>,
    Form(form): Form<PhotoForm>,
) -> PageResult {
    let photo = own(&site, &id)?;
    let (audience, caption) = (form.audience(), form.caption.replace("\r\n", "\n"));
    match photos::change(&site.node, photo.id, form.alt.clone(), caption, audience).await {
        Ok(photo) => Ok(response::see_other(&Done::PhotoChanged.at(&address(&photo)))),
        Err(error) => not_changed(&site, &photo, form, error),
    }
}

async fn delete(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> PageResult {
    let photo = own(&site, &id)?;
    match photos::delete(&site.node, photo.id).await {
        Ok(()) => Ok(response::see_other(&Done::PhotoDeleted.at("/home/photos"))),
        Err(error) => not_changed(&site, &photo, PhotoForm::of(&photo), error),
    }
}

/// Sends the form back with all that was typed. The page names the posts that show the photo.
fn not_changed(site: &Site, photo: &Photo, form: PhotoForm, error: ChangeError) -> PageResult {
    let fault = match error {
        ChangeError::Store(error) => return Err(error.into()),
        ChangeError::NoSuchPhoto => return Err(Problem::NotFound),
        ChangeError::InUse => {
            Fault::new("use", "It was not taken down, since it is still shown. Take it out of")
        }
        ChangeError::TooLong { what, len, len_max } => too_long(what, len, len_max),
    };
    let page = edit_page(site, photo, &FromPost::default(), form)?;
    let used_in = shown_by(site, &Visitor::Owner, photo)?;
    let page = EditPage { fault: Some(fault), used_in, ..page };
    response::page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
