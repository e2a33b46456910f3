//! The form that writes a post: drafts, preview, publishing, editing, deleting.

mod form;

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use freehold_core::audience::{Audience, Visitor};
use freehold_core::photos;
use freehold_core::posts::{self, Post, PostError, PostId, State as PostState};
use freehold_core::publish;

use self::form::{DELETED_MEANWHILE, Fields, PostForm, fault_text};
use super::{TITLE_CHARS, path_of, title_of};
use crate::dates;
use crate::layout::Layout;
use crate::markdown;
use crate::photos::upload;
use crate::pictures::Picture;
use crate::problem::{Problem, parse_id};
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

/// Number of photos that are offered for a post, newest first.
const OFFERED_MAX: usize = 24;
/// Number of published posts that are listed under the form.
const PUBLISHED_LISTED: usize = 10;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/home/write", Access::Owner, new)
        .post("/home/write", Access::Owner, save_new)
        .get("/home/write/{id}", Access::Owner, edit)
        .post("/home/write/{id}", Access::Owner, save)
        .post("/home/write/{id}/withdraw", Access::Owner, withdraw)
}

/// A photo that can be added to the post.
struct OfferedPhoto {
    id: String,
    picture: Picture,
    is_chosen: bool,
}

/// A post in the lists under the form.
struct PostLink {
    href: String,
    title: String,
    when: String,
}

impl PostLink {
    fn of(post: &Post, when: String) -> Self {
        Self { href: format!("/home/write/{}", post.id), title: title_of(post, TITLE_CHARS), when }
    }
}

/// The photos to choose from.
struct PhotoChoice {
    photos: Vec<OfferedPhoto>,
    /// True if some are private: publishing the post shows them.
    has_private: bool,
}

/// The lists under the form.
struct PostLists {
    drafts: Vec<PostLink>,
    published: Vec<PostLink>,
}

#[derive(Template)]
#[template(path = "posts/write.html")]
struct WritePage {
    page: Layout,
    /// The address the form is sent to.
    action: String,
    /// The id a new post will get, so that a form sent twice makes one post.
    id: PostId,
    form: PostForm,
    state: String,
    /// Rendered HTML, if a preview was requested.
    preview: Option<String>,
    offered: PhotoChoice,
    lists: PostLists,
    /// The public page, if the post is published.
    public_page: Option<String>,
    fault: Option<String>,
}

fn write_page(
    site: &Site,
    post: Option<&Post>,
    form: PostForm,
    fault: Option<String>,
) -> Result<WritePage, Problem> {
    let now = site.node.clock.now();
    let public_page = post.filter(|post| post.state == PostState::Published).map(path_of);
    let title = if public_page.is_some() { "Change a post" } else { "Write" };
    let preview = form.intent == "preview";
    Ok(WritePage {
        page: site.owner_layout(title, "Write")?,
        action: post
            .map_or_else(|| "/home/write".to_owned(), |post| format!("/home/write/{}", post.id)),
        id: form.id.unwrap_or_else(|| PostId(site.node.random.array())),
        state: match post.map(|post| (post.published, post.updated)) {
            Some((Some(published), _)) => format!("Out since {}", dates::ago(published, now)),
            Some((None, updated)) => format!("Saved {}", dates::ago(updated, now)),
            None => "Not saved yet".to_owned(),
        },
        preview: preview.then(|| markdown::render(&form.text).to_string()),
        offered: offered_photos(site, &form)?,
        lists: post_lists(site, post)?,
        public_page,
        form: PostForm { revision: form.revision.filter(|_| post.is_some()), ..form },
        fault,
    })
}

fn offered_photos(site: &Site, form: &PostForm) -> Result<PhotoChoice, Problem> {
    let newest = photos::list(&site.node, &Visitor::Owner, None, OFFERED_MAX)?;
    let has_private = newest.iter().any(|photo| photo.audience == Audience::Owner);
    let photos = newest.iter().map(|photo| OfferedPhoto {
        id: photo.id.to_string(),
        picture: Picture::own(photo),
        is_chosen: form.photos.contains(&photo.id),
    });
    Ok(PhotoChoice { photos: photos.collect(), has_private })
}

/// The drafts without `current`, and the newest published posts.
fn post_lists(site: &Site, current: Option<&Post>) -> Result<PostLists, Problem> {
    let now = site.node.clock.now();
    let drafts = posts::drafts(&site.node)?;
    let published = posts::published(&site.node, &Visitor::Owner, None, PUBLISHED_LISTED)?;
    Ok(PostLists {
        drafts: drafts
            .iter()
            .filter(|draft| current.is_none_or(|current| current.id != draft.id))
            .map(|draft| PostLink::of(draft, dates::ago(draft.updated, now)))
            .collect(),
        published: published
            .iter()
            .map(|post| {
                let when = post.published.map(|at| dates::ago(at, now)).unwrap_or_default();
                PostLink::of(post, when)
            })
            .collect(),
    })
}

async fn new(State(site): State<Site>, _: Owner) -> PageResult {
    response::page(&write_page(&site, None, PostForm::default(), None)?)
}

fn find(site: &Site, id: &str) -> Result<Post, Problem> {
    posts::by_id(&site.node, &Visitor::Owner, parse_id(id)?)?.ok_or(Problem::NotFound)
}

async fn edit(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> PageResult {
    let post = find(&site, &id)?;
    // A slug made from the title follows the title until the post is published.
    let is_fixed = post.has_own_slug || post.state == PostState::Published;
    let form = PostForm {
        title: post.title.clone(),
        text: post.text.clone(),
        slug: if is_fixed { post.slug.clone() } else { String::new() },
        photos: post.photos.clone(),
        id: Some(post.id),
        revision: Some(post.revision),
        intent: String::new(),
    };
    response::page(&write_page(&site, Some(&post), form, None)?)
}

async fn save_new(State(site): State<Site>, _: Owner, Form(fields): Form<Fields>) -> PageResult {
    apply(&site, None, PostForm::of(fields)).await
}

async fn save(
    State(site): State<Site>,
    _: Owner,
    Path(id): Path<String>,
    Form(fields): Form<Fields>,
) -> PageResult {
    let form = PostForm::of(fields);
    let post = posts::by_id(&site.node, &Visitor::Owner, parse_id(&id)?)?;
    if post.is_none() && !form.text.is_empty() {
        let form = PostForm { id: None, ..form };
        return send_back(&site, None, form, DELETED_MEANWHILE);
    }
    apply(&site, Some(post.ok_or(Problem::NotFound)?), form).await
}

/// Does the action of the pressed button: preview, save or publish.
async fn apply(site: &Site, post: Option<Post>, form: PostForm) -> PageResult {
    if form.intent == "preview" {
        return response::page(&write_page(site, post.as_ref(), form, None)?);
    }
    let id = post.as_ref().map(|post| post.id);
    let is_published = post.as_ref().is_some_and(|post| post.state == PostState::Published);
    let wants_photos = form.intent == "photos";
    let done = match (id, is_published, form.intent.as_str()) {
        (Some(id), true, _) => publish::edit(&site.node, id, form.draft(Some(id))).await,
        (id, _, "publish") => publish::post(&site.node, form.draft(id)).await,
        (id, _, _) => posts::save_draft(&site.node, form.draft(id)).await,
    };
    match done {
        Ok(post) if post.state == PostState::Published => Ok(response::see_other(&path_of(&post))),
        Ok(post) if wants_photos => Ok(response::see_other(&upload::for_draft(&post.id))),
        Ok(post) => Ok(response::see_other(&format!("/home/write/{}", post.id))),
        // An empty draft is not saved; the first photo starts it.
        Err(PostError::Empty) if wants_photos => Ok(response::see_other(upload::FOR_NEW_DRAFT)),
        Err(PostError::Store(error)) => Err(error.into()),
        Err(PostError::NoSuchPost) => Err(Problem::NotFound),
        Err(error) => not_saved(site, form, id, &error),
    }
}

/// Sends the form back with everything that was typed, and the fault. An earlier copy of the form
/// of a new post may have created the post already.
fn not_saved(site: &Site, mut form: PostForm, id: Option<PostId>, error: &PostError) -> PageResult {
    let stored = id
        .or(form.id)
        .map(|id| posts::by_id(&site.node, &Visitor::Owner, id))
        .transpose()?
        .flatten();
    let is_same = stored.as_ref().is_some_and(|stored| {
        stored.title == form.title
            && stored.text == form.text.trim_end()
            && stored.photos == form.photos
    });
    if let (PostError::AlreadyPublished, true, Some(stored)) = (error, is_same, &stored) {
        return Ok(response::see_other(&path_of(stored)));
    }
    let may_replace = id.is_none()
        || is_same
        || matches!(error, PostError::ChangedMeanwhile | PostError::AlreadyPublished);
    if let Some(stored) = stored.as_ref().filter(|_| may_replace) {
        // The fault tells the writer of the other version: sent again, the form replaces it.
        form.revision = Some(stored.revision);
    }
    send_back(site, stored.as_ref(), form, &fault_text(error))
}

fn send_back(site: &Site, post: Option<&Post>, form: PostForm, fault: &str) -> PageResult {
    let page = write_page(site, post, form, Some(fault.to_owned()))?;
    response::page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

async fn withdraw(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> PageResult {
    match publish::delete(&site.node, find(&site, &id)?.id).await {
        Ok(()) => Ok(response::see_other("/home/write")),
        Err(PostError::Store(error)) => Err(error.into()),
        Err(_) => Err(Problem::NotFound),
    }
}
