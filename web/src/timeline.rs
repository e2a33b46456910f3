//! Home: the posts of the owner and their friends, newest first, with a marker above those already
//! seen; and the form for a note.

mod post;

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use freehold_core::feed::EntryId;
use freehold_core::friends;
use freehold_core::posts::{self, Draft, PostError, PostId, Precondition};
use freehold_core::publish;
use freehold_core::store::StoreError;
use freehold_core::timeline::{self, Cursor};
use serde::Deserialize;

use self::post::{Renderer, TimelinePost};
use crate::avatar::Avatar;
use crate::blob_response::{self, JPEG};
use crate::blobs;
use crate::dates;
use crate::done::Done;
use crate::friends::is_online;
use crate::idempotency;
use crate::layout::Layout;
use crate::photos::upload;
use crate::pictures;
use crate::posts::{title_of, too_long};
use crate::problem::{Problem, parse_id};
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

/// Number of posts in one page.
const PAGE_LEN: usize = 20;
/// How much of an untitled draft is shown as its title, in characters.
const DRAFT_TITLE_CHARS: usize = 40;
/// Number of entries in each list of the side column.
const SIDE_LIST_LEN: usize = 6;

pub(crate) fn routes() -> Routes {
    Routes::new()
        .get("/home", Access::Owner, home)
        .post("/home", Access::Owner, create_note)
        .get("/home/timeline/{entry}", Access::Owner, show)
        .get("/home/timeline/{entry}/{number}/{size}", Access::Owner, picture)
}

/// A person in the side column.
struct Person {
    avatar: Avatar,
    name: String,
}

/// A draft in the side column.
struct DraftLink {
    href: String,
    title: String,
}

/// The column beside the timeline.
struct SideColumn {
    /// People with a friend request.
    requests: Vec<Person>,
    online: Vec<Person>,
    drafts: Vec<DraftLink>,
}

/// The form for a note.
struct NoteFields {
    /// The typed text, sent back with a fault.
    typed: String,
    /// The idempotency key.
    key: String,
    fault: Option<String>,
}

#[derive(Template)]
#[template(path = "timeline/home.html")]
struct HomePage {
    page: Layout,
    posts: Vec<TimelinePost>,
    older: Option<String>,
    /// The text of the marker above the posts already seen.
    seen_marker: String,
    is_first: bool,
    side: SideColumn,
    note: NoteFields,
}

/// Shown while there is nothing at all.
#[derive(Template)]
#[template(path = "timeline/empty.html")]
struct EmptyPage {
    page: Layout,
}

#[derive(Template)]
#[template(path = "timeline/show.html")]
struct PostPage {
    page: Layout,
    post: TimelinePost,
}

#[derive(Deserialize)]
struct HomeQuery {
    before: Option<String>,
    /// Set by a link of the empty page: show the form although there are no posts.
    #[serde(default)]
    write: Option<String>,
}

async fn home(
    State(site): State<Site>,
    _: Owner,
    Query(query): Query<HomeQuery>,
    done: Done,
) -> PageResult {
    if site.node.identity.person().is_none() {
        return Ok(response::see_other("/setup/words"));
    }
    let before: Option<Cursor> = query.before.as_deref().map(parse_id).transpose()?;
    // Read before the page is rendered: a post that arrives meanwhile has not been seen.
    let newest = timeline::newest(&site.node)?;
    let page = home_page(&site, before, String::new(), None)?;
    timeline::mark_seen(&site.node, newest).await.or_else(ignore_refusal)?;
    let is_empty = page.posts.is_empty() && page.is_first && page.side.requests.is_empty();
    if is_empty && query.write.is_none() {
        return response::page(&EmptyPage { page: site.owner_layout("Home", "Home")? });
    }
    response::page(&HomePage { page: page.page.saying(done), ..page })
}

/// A disk that can't be written must not prevent reading.
fn ignore_refusal(error: StoreError) -> Result<(), Problem> {
    if error.is_refusal() { Ok(()) } else { Err(error.into()) }
}

fn home_page(
    site: &Site,
    before: Option<Cursor>,
    typed: String,
    fault: Option<String>,
) -> Result<HomePage, Problem> {
    let items = timeline::page(&site.node, before, PAGE_LEN)?;
    let older = (items.len() == PAGE_LEN)
        .then(|| items.last().map(|item| item.cursor().to_string()))
        .flatten();
    let first_seen = items.iter().position(|item| item.seen).filter(|at| *at > 0);
    let mut renderer = Renderer::new(site)?;
    let mut posts = Vec::new();
    for (at, item) in items.into_iter().enumerate() {
        let is_first_seen = first_seen == Some(at);
        posts.push(TimelinePost { is_first_seen, ..renderer.post(item)? });
    }
    let now = site.node.clock.now();
    Ok(HomePage {
        page: site.owner_layout("Home", "Home")?,
        posts,
        older,
        seen_marker: timeline::seen_at(&site.node)?.map_or("Seen already".to_owned(), |at| {
            format!("Seen already, {}", dates::ago(at, now))
        }),
        is_first: before.is_none(),
        side: side_column(site)?,
        note: NoteFields { typed, key: idempotency::new_key(site), fault },
    })
}

fn side_column(site: &Site) -> Result<SideColumn, Problem> {
    let now = site.node.clock.now();
    let requests = friends::requests(&site.node)?.into_iter().map(|request| Person {
        avatar: Avatar::of(&request.from.name, &request.from.person.0),
        name: request.from.name,
    });
    let online = friends::list(&site.node)?
        .into_iter()
        .filter(|friend| is_online(friend, now))
        .map(|friend| Person { avatar: Avatar::of_friend(&friend), name: friend.name });
    let drafts = posts::drafts(&site.node)?.into_iter().map(|draft| DraftLink {
        href: format!("/home/write/{}", draft.id),
        title: title_of(&draft, DRAFT_TITLE_CHARS),
    });
    Ok(SideColumn {
        requests: requests.take(SIDE_LIST_LEN).collect(),
        online: online.take(SIDE_LIST_LEN).collect(),
        drafts: drafts.take(SIDE_LIST_LEN).collect(),
    })
}

/// One post alone, with its whole text, in the version that this node has.
async fn show(State(site): State<Site>, _: Owner, Path(entry): Path<String>) -> PageResult {
    let entry: EntryId = parse_id(&entry)?;
    let item = timeline::get(&site.node, &entry)?.ok_or(Problem::NotFound)?;
    let text = timeline::text(&site.node, &entry)?.ok_or(Problem::NotFound)?;
    let post = Renderer::of_one(&site)?.whole_post(item, &text)?;
    let title = if post.title.is_empty() { &post.name } else { &post.title };
    response::page(&PostPage { page: site.owner_layout(title, "Home")?, post })
}

async fn picture(
    State(site): State<Site>,
    _: Owner,
    Path((entry, number, size)): Path<(String, u16, String)>,
) -> PageResult {
    let entry = parse_id(&entry)?;
    let size = pictures::rendition_size(&size).ok_or(Problem::NotFound)?;
    let reader = blobs::timeline_photo(&site, entry, number, size).await?;
    blob_response::stream(reader, JPEG, "no-store")
}

#[derive(Deserialize)]
struct NoteForm {
    #[serde(default)]
    text: String,
    /// The idempotency key.
    #[serde(default)]
    key: String,
    /// The pressed button: `photos`, or empty to publish.
    #[serde(default)]
    intent: String,
}

/// Publishes a note, which is a post without a title.
async fn create_note(State(site): State<Site>, _: Owner, Form(form): Form<NoteForm>) -> PageResult {
    let text = form.text.replace("\r\n", "\n");
    let id = PostId(idempotency::id_for(&site, &form.key, &[&text]));
    let draft = Draft {
        id: Some(id),
        precondition: Precondition::Absent,
        text: text.clone(),
        ..Draft::default()
    };
    let wants_photos = form.intent == "photos";
    let done = if wants_photos {
        // The text is saved as a draft, and the first photo is added to that.
        posts::save_draft(&site.node, draft).await.map(|saved| upload::for_draft(&saved.id))
    } else {
        publish::post(&site.node, draft).await.map(|_| Done::NoteSaid.at("/home"))
    };
    let fault = match done {
        Ok(path) => return Ok(response::see_other(&path)),
        // The same form was sent twice.
        Err(PostError::AlreadyPublished) => {
            return Ok(response::see_other(&Done::NoteSaid.at("/home")));
        }
        Err(PostError::Empty) if wants_photos => {
            return Ok(response::see_other(upload::FOR_NEW_DRAFT));
        }
        Err(PostError::Store(error)) => return Err(error.into()),
        Err(PostError::Empty) => "There is no text yet. Write a line or two.".to_owned(),
        Err(PostError::TooLong { len, len_max, .. }) => too_long(&text, len, len_max),
        Err(error) => format!("The note was not published: {error}."),
    };
    let page = home_page(&site, None, text, Some(fault))?;
    response::page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
