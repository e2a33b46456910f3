//! Hanging a photo: the file goes straight to the disk as it comes, and is looked at when all of it
//! is there.

use askama::Template;
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use freehold_core::audience::Visitor;
use freehold_core::blobs::{BlobWriter, Pinned};
use freehold_core::blocking::blocking;
use freehold_core::photos::renditions::RenditionError;
use freehold_core::photos::{self, AddError, FILE_LEN_MAX, PhotoId, Upload};
use freehold_core::posts::{self, Draft, Over, PostError, PostId, State as Stage};
use freehold_core::store::StoreError;
use serde::Deserialize;

use super::Described;
use crate::answer::{self, Answer, Problem};
use crate::frame::Frame;
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::visitor::Owner;

/// Where a photo is added that begins a note.
pub(crate) const FOR_A_NOTE: &str = "/home/photos/add?post=new";

/// Where a photo is added that joins a post in the making.
pub(crate) fn for_post(id: &PostId) -> String {
    format!("/home/photos/add?post={id}")
}

/// What a form may hold beside its file.
const REST_LEN_MAX: usize = 64 * 1024;
/// How much of a file is gathered before it is written.
const PIECE_LEN: usize = 256 * 1024;

pub(super) fn routes() -> Routes {
    let limit = usize::try_from(FILE_LEN_MAX).unwrap_or(usize::MAX).saturating_add(REST_LEN_MAX);
    Routes::new().get("/home/photos/add", Access::Owner, show).post_up_to(
        limit,
        "/home/photos/add",
        Access::Owner,
        add,
    )
}

#[derive(Template)]
#[template(path = "photos/add.html")]
struct AddPage {
    page: Frame,
    form: Described,
    fault: Option<String>,
    /// The post it is to stand in: its id, `new` for one that it begins, or nothing.
    post: String,
}

#[derive(Deserialize)]
struct For {
    #[serde(default)]
    post: String,
}

impl For {
    /// What stands in an address goes back into one: an id, `new`, or nothing.
    fn checked(self) -> Self {
        let is_known = self.post == "new" || self.post.parse::<PostId>().is_ok();
        if is_known { self } else { Self { post: String::new() } }
    }
}

/// What came with the form.
#[derive(Default)]
struct Sent {
    described: Described,
    file: Option<(Pinned, String)>,
}

/// Why a form could not be read to its end.
enum Broken {
    TooLarge,
    TooManyWords,
    Form,
    Store(StoreError),
}

impl From<MultipartError> for Broken {
    fn from(error: MultipartError) -> Self {
        if error.status() == StatusCode::PAYLOAD_TOO_LARGE { Self::TooLarge } else { Self::Form }
    }
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::TooLarge { .. }) {
            Self::TooLarge
        } else {
            Self::Store(error)
        }
    }
}

async fn show(State(site): State<Site>, _: Owner, Query(to): Query<For>) -> Answer {
    answer::page(&AddPage {
        page: site.home_frame("Add a photo", "Photos")?,
        form: Described::default(),
        fault: None,
        post: to.checked().post,
    })
}

async fn add(
    State(site): State<Site>,
    _: Owner,
    Query(to): Query<For>,
    mut form: Multipart,
) -> Answer {
    let to = to.checked();
    let sent = match read(&site, &mut form).await {
        Ok(sent) => sent,
        Err(Broken::TooLarge) => {
            let mebibytes = site.config.upload_len_max / (1024 * 1024);
            let fault =
                format!("That file is too large: at most {mebibytes} MB. Nothing was kept.");
            return again(&site, StatusCode::PAYLOAD_TOO_LARGE, Described::default(), fault, to);
        }
        Err(Broken::TooManyWords) => {
            let fault = "What is said about the photo is too long. Nothing was kept.".to_owned();
            return again(&site, StatusCode::PAYLOAD_TOO_LARGE, Described::default(), fault, to);
        }
        Err(Broken::Form) => return Err(Problem::BadRequest),
        Err(Broken::Store(error)) => return Err(error.into()),
    };
    let Some((file, file_name)) = sent.file else {
        return again(
            &site,
            StatusCode::UNPROCESSABLE_ENTITY,
            sent.described,
            "Choose a file first.".to_owned(),
            to,
        );
    };
    let Described { alt, caption, .. } = &sent.described;
    let upload = Upload {
        file,
        file_name,
        alt: alt.clone(),
        caption: caption.replace("\r\n", "\n"),
        audience: sent.described.audience(),
    };
    let fault = match photos::add(&site.node, upload).await {
        Ok(photo) if to.post.is_empty() => return Ok(answer::see(&format!("/home/photos/{}", photo.id))),
        Ok(photo) => return joined(&site, &to.post, photo.id).await,
        Err(AddError::Store(error)) => return Err(error.into()),
        Err(AddError::TooLong { what, len_max, .. }) => format!("The {what} is too long: at most {len_max} letters."),
        Err(AddError::KeptButNotShown { .. }) => {
            "That kind of picture can’t be shown here yet. The file is kept, and your photos list it. Save it as JPEG and add that."
                .to_owned()
        }
        Err(AddError::Develop(RenditionError::Damaged(what))) => {
            format!("This picture is damaged ({what}), so it was not hung. Take it from the camera once more, if you can.")
        }
        Err(AddError::Develop(error)) => format!("It was not taken: {error}."),
    };
    again(&site, StatusCode::UNPROCESSABLE_ENTITY, sent.described, fault, to)
}

fn again(site: &Site, status: StatusCode, form: Described, fault: String, to: For) -> Answer {
    answer::page_with(
        status,
        &AddPage {
            page: site.home_frame("Add a photo", "Photos")?,
            form,
            fault: Some(fault),
            post: to.post,
        },
    )
}

/// Puts a photo that has just been hung into the draft it was added for, and goes on there. A draft
/// that is gone or out meanwhile keeps nobody from a new one.
async fn joined(site: &Site, post: &str, photo: PhotoId) -> Answer {
    let begun = post
        .parse::<PostId>()
        .ok()
        .map(|id| posts::by_id(&site.node, &Visitor::Owner, id))
        .transpose()?
        .flatten();
    let draft = match begun.filter(|post| post.state == Stage::Draft) {
        Some(post) => Draft {
            id: Some(post.id),
            title: post.title,
            text: post.text,
            photos: post.photos.into_iter().chain([photo]).collect(),
            slug: post.has_own_slug.then_some(post.slug),
            over: Over::Revision(post.revision),
        },
        None => Draft { photos: vec![photo], ..Draft::default() },
    };
    match posts::save_draft(&site.node, draft).await {
        Ok(post) => Ok(answer::see(&format!("/home/write/{}", post.id))),
        Err(PostError::Store(error)) => Err(error.into()),
        // It hangs on the wall all the same.
        Err(_) => Ok(answer::see(&format!("/home/photos/{photo}"))),
    }
}

async fn read(site: &Site, form: &mut Multipart) -> Result<Sent, Broken> {
    let mut sent = Sent::default();
    while let Some(field) = form.next_field().await? {
        match field.name().unwrap_or_default() {
            "alt" => sent.described.alt = words(field).await?,
            "caption" => sent.described.caption = words(field).await?,
            "audience" => sent.described.audience = words(field).await?,
            "file" => sent.file = stored(site, field).await?,
            _ => {}
        }
    }
    Ok(sent)
}

/// What is said about the file: short, though the form is as long as files are.
async fn words(mut field: Field<'_>) -> Result<String, Broken> {
    let mut gathered = Vec::new();
    while let Some(piece) = field.chunk().await? {
        gathered.extend_from_slice(&piece);
        if gathered.len() > REST_LEN_MAX {
            return Err(Broken::TooManyWords);
        }
    }
    String::from_utf8(gathered).map_err(|_| Broken::Form)
}

/// Writes the file as it comes, off the threads that serve; an empty one means that none was
/// chosen.
async fn stored(site: &Site, mut field: Field<'_>) -> Result<Option<(Pinned, String)>, Broken> {
    let name = field.file_name().unwrap_or("photo").to_owned();
    let (mut writer, mut gathered, mut len) = (photos::upload_writer(&site.node)?, Vec::new(), 0);
    while let Some(piece) = field.chunk().await? {
        len += piece.len() as u64;
        if len > site.config.upload_len_max {
            return Err(Broken::TooLarge);
        }
        gathered.extend_from_slice(&piece);
        if gathered.len() >= PIECE_LEN {
            writer = written(writer, std::mem::take(&mut gathered)).await?;
        }
    }
    if len == 0 {
        return Ok(None);
    }
    let writer = written(writer, gathered).await?;
    #[allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]
    let pinned = blocking(move || writer.finish()).await.map_err(StoreError::from)??;
    Ok(Some((pinned, name)))
}

#[allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]
async fn written(mut writer: BlobWriter, piece: Vec<u8>) -> Result<BlobWriter, Broken> {
    let done = blocking(move || writer.write(&piece).map(|()| writer));
    Ok(done.await.map_err(StoreError::from)??)
}
