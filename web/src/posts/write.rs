//! The desk: what is being written, a look at how it will stand, and putting it out, changing it or
//! taking it back.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use freehold_core::audience::{Audience, Visitor};
use freehold_core::photos::{self, PhotoId};
use freehold_core::posts::{
    self, Draft, Over, Post, PostError, PostId, Revision, State as Stage, TITLE_CHARS_MAX,
};
use freehold_core::publish;

use super::{TITLE_CHARS, path_of, title_of, too_long};
use crate::answer::{self, Answer, Problem};
use crate::dates;
use crate::frame::Frame;
use crate::markdown;
use crate::photos::upload;
use crate::pictures::{self, Picture};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::visitor::Owner;

/// How many of the newest photos are offered for a post.
const OFFERED_MAX: usize = 24;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/home/write", Access::Owner, desk)
        .post("/home/write", Access::Owner, save_new)
        .get("/home/write/{id}", Access::Owner, open)
        .post("/home/write/{id}", Access::Owner, save)
        .post("/home/write/{id}/withdraw", Access::Owner, withdraw)
}

/// A photo that can be put into the post.
struct Offered {
    id: String,
    picture: Picture,
    is_chosen: bool,
}

/// A line of the lists under the desk.
struct Kept {
    href: String,
    title: String,
    when: String,
}

#[derive(Template)]
#[template(path = "posts/write.html")]
struct WritePage {
    page: Frame,
    /// Where the form goes.
    action: String,
    /// What a new post will be, so that a form sent twice makes one.
    id: PostId,
    /// What the post was when it was opened.
    revision: Option<Revision>,
    title: String,
    text: String,
    slug: String,
    is_published: bool,
    /// What stands in the margin: when it was saved, or when it came out.
    state: String,
    /// How it will stand; `None` until asked for.
    preview: Option<String>,
    offered: Vec<Offered>,
    /// Whether some of them are the owner's alone so far.
    offers_private: bool,
    drafts: Vec<Kept>,
    published: Vec<Kept>,
    live: Option<String>,
    fault: Option<String>,
}

/// The form's fields in the order they came; one name may come many times.
type Fields = Vec<(String, String)>;

/// What the form sent.
#[derive(Default)]
struct Sent {
    title: String,
    text: String,
    slug: String,
    photos: Vec<PhotoId>,
    id: Option<PostId>,
    revision: Option<Revision>,
    /// Which button.
    then: String,
}

impl Sent {
    /// Reads a form whose `photo` may come many times, which a struct can't say.
    fn of(form: Fields) -> Self {
        let mut sent = Self::default();
        for (name, value) in form {
            match name.as_str() {
                "title" => sent.title = value.trim().to_owned(),
                "text" => sent.text = value.replace("\r\n", "\n"),
                "slug" => sent.slug = value.trim().to_lowercase(),
                "id" => sent.id = value.parse().ok(),
                "revision" => sent.revision = value.parse().ok(),
                "then" => sent.then = value,
                "photo[]" => sent.photos.extend(value.parse::<PhotoId>().ok()),
                _ => {}
            }
        }
        sent
    }

    /// What is to be saved over the post `id`, or begins one.
    fn draft(&self, id: Option<PostId>) -> Draft {
        let slug = (!self.slug.is_empty()).then(|| self.slug.clone());
        let over = match id {
            Some(_) => self.revision.map_or(Over::Whatever, Over::Revision),
            None => Over::Nothing,
        };
        let id = id.or(self.id);
        Draft {
            id,
            over,
            title: self.title.clone(),
            text: self.text.clone(),
            photos: self.photos.clone(),
            slug,
        }
    }
}

fn write_page(
    site: &Site,
    post: Option<&Post>,
    sent: Sent,
    fault: Option<String>,
) -> Result<WritePage, Problem> {
    let now = site.node.clock.now();
    let is_published = post.is_some_and(|post| post.state == Stage::Published);
    let kept = |post: &Post, when: String| Kept {
        href: format!("/home/write/{}", post.id),
        title: title_of(post, TITLE_CHARS),
        when,
    };
    let newest = photos::list(&site.node, &Visitor::Owner, None, OFFERED_MAX)?;
    let offers_private = newest.iter().any(|photo| photo.audience == Audience::Owner);
    let offered = newest.iter().map(|photo| Offered {
        id: photo.id.to_string(),
        picture: Picture::own(photo),
        is_chosen: sent.photos.contains(&photo.id),
    });
    let drafts = posts::drafts(&site.node)?;
    let out = posts::published(&site.node, &Visitor::Owner, None, 10)?;
    Ok(WritePage {
        page: site.home_frame(if is_published { "Change a post" } else { "Write" }, "Write")?,
        action: post
            .map_or_else(|| "/home/write".to_owned(), |post| format!("/home/write/{}", post.id)),
        id: sent.id.unwrap_or_else(|| PostId(site.node.random.array())),
        revision: sent.revision.filter(|_| post.is_some()),
        is_published,
        state: match post.map(|post| (post.published, post.updated)) {
            Some((Some(published), _)) => format!("Out since {}", dates::ago(published, now)),
            Some((None, updated)) => format!("Saved {}", dates::ago(updated, now)),
            None => "Not saved yet".to_owned(),
        },
        preview: (sent.then == "preview").then(|| markdown::render(&sent.text).to_string()),
        offered: offered.collect(),
        offers_private,
        drafts: drafts
            .iter()
            .filter(|draft| post.is_none_or(|post| post.id != draft.id))
            .map(|draft| kept(draft, dates::ago(draft.updated, now)))
            .collect(),
        published: out
            .iter()
            .map(|post| {
                kept(post, post.published.map(|at| dates::ago(at, now)).unwrap_or_default())
            })
            .collect(),
        live: post.filter(|_| is_published).map(path_of),
        title: sent.title,
        text: sent.text,
        slug: sent.slug,
        fault,
    })
}

async fn desk(State(site): State<Site>, _: Owner) -> Answer {
    answer::page(&write_page(&site, None, Sent::default(), None)?)
}

fn own(site: &Site, id: &str) -> Result<Post, Problem> {
    posts::by_id(&site.node, &Visitor::Owner, pictures::id(id)?)?.ok_or(Problem::NotFound)
}

async fn open(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> Answer {
    let post = own(&site, &id)?;
    let sent = Sent {
        title: post.title.clone(),
        text: post.text.clone(),
        // One made of the words goes on following them until the post is out.
        slug: if post.has_own_slug || post.state == Stage::Published {
            post.slug.clone()
        } else {
            String::new()
        },
        photos: post.photos.clone(),
        id: Some(post.id),
        revision: Some(post.revision),
        then: String::new(),
    };
    answer::page(&write_page(&site, Some(&post), sent, None)?)
}

async fn save_new(State(site): State<Site>, _: Owner, Form(form): Form<Fields>) -> Answer {
    saved(&site, None, Sent::of(form)).await
}

async fn save(
    State(site): State<Site>,
    _: Owner,
    Path(id): Path<String>,
    Form(form): Form<Fields>,
) -> Answer {
    let (found, sent) =
        (posts::by_id(&site.node, &Visitor::Owner, pictures::id(&id)?)?, Sent::of(form));
    if found.is_none() && !sent.text.is_empty() {
        let sent = Sent { id: None, ..sent };
        return again(
            &site,
            None,
            sent,
            "It was taken back in another window meanwhile. What you see here is yours; saved, it is a new post.",
        );
    }
    saved(&site, Some(found.ok_or(Problem::NotFound)?), sent).await
}

/// Does what the button says: looks, keeps, or puts out.
async fn saved(site: &Site, post: Option<Post>, sent: Sent) -> Answer {
    if sent.then == "preview" {
        return answer::page(&write_page(site, post.as_ref(), sent, None)?);
    }
    let id = post.as_ref().map(|post| post.id);
    let is_published = post.as_ref().is_some_and(|post| post.state == Stage::Published);
    let done = match (id, is_published, sent.then.as_str()) {
        (Some(id), true, _) => publish::edit(&site.node, id, sent.draft(Some(id))).await,
        (id, _, "publish") => publish::post(&site.node, sent.draft(id)).await,
        (id, _, _) => posts::save_draft(&site.node, sent.draft(id)).await,
    };
    match done {
        Ok(post) if post.state == Stage::Published => Ok(answer::see(&path_of(&post))),
        Ok(post) if sent.then == "photos" => Ok(answer::see(&upload::for_post(&post.id))),
        Ok(post) => Ok(answer::see(&format!("/home/write/{}", post.id))),
        // Not a word yet: the first photo begins it.
        Err(PostError::Empty) if sent.then == "photos" => Ok(answer::see(upload::FOR_A_NOTE)),
        Err(PostError::Store(error)) => Err(error.into()),
        Err(PostError::NoSuchPost) => Err(Problem::NotFound),
        Err(error) => not_saved(site, sent, id, &error),
    }
}

/// The form again with all that was typed, and why it was not saved. The form of a new post may
/// have begun it by now.
fn not_saved(site: &Site, mut sent: Sent, id: Option<PostId>, error: &PostError) -> Answer {
    let now = id
        .or(sent.id)
        .map(|id| posts::by_id(&site.node, &Visitor::Owner, id))
        .transpose()?
        .flatten();
    let is_same = now.as_ref().is_some_and(|now| {
        now.title == sent.title && now.text == sent.text.trim_end() && now.photos == sent.photos
    });
    if let (PostError::AlreadyPublished, true, Some(now)) = (error, is_same, &now) {
        return Ok(answer::see(&path_of(now)));
    }
    let is_known = id.is_none()
        || is_same
        || matches!(error, PostError::ChangedMeanwhile | PostError::AlreadyPublished);
    if let Some(now) = now.as_ref().filter(|_| is_known) {
        // Its writer is told of it: sent once more, the form takes its place.
        sent.revision = Some(now.revision);
    }
    again(site, now.as_ref(), sent, &words_for(error))
}

fn again(site: &Site, post: Option<&Post>, sent: Sent, fault: &str) -> Answer {
    let page = write_page(site, post, sent, Some(fault.to_owned()))?;
    answer::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

fn words_for(error: &PostError) -> String {
    match error {
        PostError::Empty => "There is nothing in it yet. Write a line, or choose a photo.".to_owned(),
        PostError::LongTitle(count) => {
            format!("That title has {count} letters; {TITLE_CHARS_MAX} is the most. Move some of it into the text.")
        }
        PostError::TooLong { what: "text", len, len_max } => too_long(*len, *len_max),
        PostError::BadSlug => "Another post has that address, or it is not one. Letters, digits and dashes make one.".to_owned(),
        PostError::ChangedMeanwhile | PostError::AlreadyPublished => {
            "It was changed in another window meanwhile. What you see here is yours; open the post in a second window to see the other. Saved \
             again, yours takes its place."
                .to_owned()
        }
        other => format!("It was not kept: {other}."),
    }
}

async fn withdraw(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> Answer {
    match publish::delete(&site.node, own(&site, &id)?.id).await {
        Ok(()) => Ok(answer::see("/home/write")),
        Err(PostError::Store(error)) => Err(error.into()),
        Err(_) => Err(Problem::NotFound),
    }
}
