//! The form that writes a post: drafts, preview, publishing, editing, deleting.

mod form;
mod photos;

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use freehold_core::audience::Visitor;
use freehold_core::clock::Timestamp;
use freehold_core::posts::{self, Post, PostError, PostId, State as PostState, TEXT_LEN_MAX};
use freehold_core::publish;
use serde::Deserialize;

use self::form::{DELETED_MEANWHILE, Fields, PostForm, fault_of};
use self::photos::{OFFERED_LEN, PhotoChange, PhotoChoice};
use super::{TITLE_CHARS, path_of, title_of, too_long, visible_pictures};
use crate::dates;
use crate::done::Done;
use crate::fault::Fault;
use crate::layout::Layout;
use crate::markdown;
use crate::photos::upload;
use crate::pictures::Picture;
use crate::problem::{Problem, parse_id};
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

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

/// A post in a list, with its edit page.
pub(crate) struct PostLink {
    pub(crate) href: String,
    pub(crate) title: String,
    pub(crate) when: String,
}

impl PostLink {
    /// A post with the time of its publication.
    pub(super) fn published(post: &Post, now: Timestamp) -> Self {
        let when = post.published.map(|at| dates::ago(at, now)).unwrap_or_default();
        Self::of(post, when)
    }

    /// A post with a remark.
    pub(crate) fn of(post: &Post, when: String) -> Self {
        Self { href: format!("/home/write/{}", post.id), title: title_of(post, TITLE_CHARS), when }
    }
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
    /// If a preview was requested.
    preview: Option<Preview>,
    photos: PhotoChoice,
    /// Whether the store has the form's content.
    is_saved: bool,
    /// The change of the photos by a button, in words; not saved yet.
    photos_status: String,
    lists: PostLists,
    /// The public page, if the post is published.
    public_page: Option<String>,
    fault: Option<Fault>,
}

impl WritePage {
    fn fault_of(&self, field: &str) -> Option<&str> {
        Fault::of(self.fault.as_ref(), field)
    }
}

/// The post as its page will show it.
struct Preview {
    html: String,
    pictures: Vec<Picture>,
}

fn write_page(
    site: &Site,
    post: Option<&Post>,
    form: PostForm,
    fault: Option<Fault>,
) -> Result<WritePage, Problem> {
    let now = site.node.clock.now();
    let public_page = post.filter(|post| post.state == PostState::Published).map(path_of);
    let title = if public_page.is_some() { "Edit a post" } else { "Write a post" };
    let preview = match form.intent == "preview" {
        true => Some(Preview {
            html: markdown::render_post(&form.title, &form.text).to_string(),
            pictures: visible_pictures(site, &Visitor::Owner, &form.photos)?,
        }),
        false => None,
    };
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
        preview,
        is_saved: false,
        photos_status: String::new(),
        photos: PhotoChoice::read(site, &form.photos, form.offered)?,
        lists: post_lists(site, post)?,
        public_page,
        form: PostForm { revision: form.revision.filter(|_| post.is_some()), ..form },
        fault,
    })
}

fn show(page: &WritePage) -> PageResult {
    response::with_editor(response::page(page))
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
        published: published.iter().map(|post| PostLink::published(post, now)).collect(),
    })
}

#[derive(Deserialize)]
struct NewQuery {
    /// The id of the new post.
    #[serde(default)]
    id: String,
}

/// The form of a new post. Its address has the id that the post will get: the browser's back button
/// then leads to the post that was made, and not to a form that would make a second one.
async fn new(
    State(site): State<Site>,
    _: Owner,
    Query(query): Query<NewQuery>,
    done: Done,
) -> PageResult {
    let Ok(id) = query.id.parse::<PostId>() else {
        let id = PostId(site.node.random.array());
        return Ok(response::see_other(&done.at(&format!("/home/write?id={id}"))));
    };
    if posts::by_id(&site.node, &Visitor::Owner, id)?.is_some() {
        return Ok(response::see_other(&format!("/home/write/{id}")));
    }
    let form = PostForm { id: Some(id), ..PostForm::default() };
    let page = write_page(&site, None, form, None)?;
    show(&WritePage { page: page.page.saying(done), is_saved: true, ..page })
}

fn find(site: &Site, id: &str) -> Result<Post, Problem> {
    posts::by_id(&site.node, &Visitor::Owner, parse_id(id)?)?.ok_or(Problem::NotFound)
}

async fn edit(
    State(site): State<Site>,
    _: Owner,
    Path(id): Path<String>,
    done: Done,
) -> PageResult {
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
        offered: 0,
    };
    let page = write_page(&site, Some(&post), form, None)?;
    show(&WritePage { page: page.page.saying(done), is_saved: true, ..page })
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
        return send_back(&site, None, form, Fault::new("form", DELETED_MEANWHILE));
    }
    apply(&site, Some(post.ok_or(Problem::NotFound)?), form).await
}

/// Does the action of the pressed button: move a photo, preview, save or publish.
async fn apply(site: &Site, post: Option<Post>, mut form: PostForm) -> PageResult {
    if let Some(change) = PhotoChange::of(&form.intent) {
        let text = change.apply(&mut form.photos);
        let page = write_page(site, post.as_ref(), form, None)?;
        return show(&WritePage { photos_status: text, ..page });
    }
    if form.intent == "more-photos" {
        form.offered = form.offered.max(OFFERED_LEN).saturating_add(OFFERED_LEN);
        return show(&write_page(site, post.as_ref(), form, None)?);
    }
    if form.intent == "preview" {
        let len = form.text.len();
        if len > TEXT_LEN_MAX {
            let fault = Fault::new("text", too_long(&form.text, len, TEXT_LEN_MAX));
            let form = PostForm { intent: String::new(), ..form };
            return send_back(site, post.as_ref(), form, fault);
        }
        return show(&write_page(site, post.as_ref(), form, None)?);
    }
    let id = post.as_ref().map(|post| post.id);
    let is_published = post.as_ref().is_some_and(|post| post.state == PostState::Published);
    let wants_photos = form.intent == "photos";
    let done = match (id, is_published, form.intent.as_str()) {
        (Some(id), true, _) => publish::edit(&site.node, id, form.draft(Some(id))).await,
        (id, _, "publish") => publish::post(&site.node, form.draft(id)).await,
        (id, _, _) => posts::save_draft(&site.node, form.draft(id)).await,
    };
    let unchanged = post.as_ref().map(|post| post.revision);
    match done {
        Ok(post) if wants_photos => Ok(response::see_other(&upload::for_draft(&post.id))),
        Ok(post) if post.state == PostState::Published => {
            let done = match (is_published, unchanged == Some(post.revision)) {
                (false, _) => Done::Published,
                (true, false) => Done::Changed,
                (true, true) => Done::Unchanged,
            };
            Ok(response::see_other(&done.at(&path_of(&post))))
        }
        Ok(post) => Ok(response::see_other(&Done::Saved.at(&format!("/home/write/{}", post.id)))),
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
        return Ok(response::see_other(&Done::Published.at(&path_of(stored))));
    }
    let may_replace = id.is_none()
        || is_same
        || matches!(error, PostError::ChangedMeanwhile | PostError::AlreadyPublished);
    if let Some(stored) = stored.as_ref().filter(|_| may_replace) {
        // The fault tells the writer of the other version: sent again, the form replaces it.
        form.revision = Some(stored.revision);
    }
    let fault = fault_of(&form, error);
    send_back(site, stored.as_ref(), form, fault)
}

fn send_back(site: &Site, post: Option<&Post>, form: PostForm, fault: Fault) -> PageResult {
    let page = write_page(site, post, form, Some(fault))?;
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    response::with_editor(response::page_with_status(status, &page))
}

async fn withdraw(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> PageResult {
    let post = find(&site, &id)?;
    let is_published = post.state == PostState::Published;
    let done = if is_published { Done::Withdrawn } else { Done::ThrownAway };
    match publish::delete(&site.node, post.id).await {
        Ok(()) => Ok(response::see_other(&done.at("/home/write"))),
        Err(PostError::Store(error)) => Err(error.into()),
        Err(_) => Err(Problem::NotFound),
    }
}
