//! Adding a photo: the file is written to the disk while it arrives, and decoded once it is whole.

use askama::Template;
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use freehold_core::audience::Visitor;
use freehold_core::blobs::Pinned;
use freehold_core::photos::renditions::{EDGE_MAX, Flaw, PIXELS_MAX, RenditionError};
use freehold_core::photos::{self, AddError, Photo, Upload};
use freehold_core::posts::{self, Draft, PostError, PostId, Precondition, State as PostState};
use freehold_core::publish;
use freehold_core::store::StoreError;
use serde::Deserialize;

use super::{PhotoForm, too_long};
use crate::blobs;
use crate::done::Done;
use crate::fault::Fault;
use crate::layout::Layout;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

/// The upload form for a photo that starts a new draft.
pub(crate) const FOR_NEW_DRAFT: &str = "/home/photos/add?post=new";

/// The upload form for a photo that is added to a draft.
pub(crate) fn for_draft(id: &PostId) -> String {
    format!("/home/photos/add?post={id}")
}

/// The longest text fields, in bytes together. Far over the limits of the texts themselves, so that
/// a text that is too long comes back whole.
const FIELDS_LEN_MAX: usize = 8 * 1024 * 1024;
/// The longest form that is read to its end, in bytes. A browser shows the answer to a file that is
/// too large only once it has sent all of it.
const FORM_LEN_MAX: usize = 2 * 1024 * 1024 * 1024 - 1;
/// Pixels in a megapixel.
const MEGAPIXEL: u64 = 1_000_000;
/// How much of a file is buffered before it is written, in bytes.
const PIECE_LEN: usize = 256 * 1024;

pub(super) fn routes() -> Routes {
    Routes::new().get("/home/photos/add", Access::Owner, show).post_up_to(
        FORM_LEN_MAX,
        "/home/photos/add",
        Access::Owner,
        add,
    )
}

#[derive(Template)]
#[template(path = "photos/add.html")]
struct AddPage {
    page: Layout,
    form: PhotoForm,
    fault: Option<Fault>,
    /// The draft to which the photo is added: its id, `new` for a new one, or empty for none.
    post: String,
}

impl AddPage {
    fn fault_of(&self, field: &str) -> Option<&str> {
        Fault::of(self.fault.as_ref(), field)
    }

    /// True if the form came back for another reason than its file, which no page can fill in.
    fn lost_its_file(&self) -> bool {
        self.fault.is_some() && self.fault_of("file").is_none()
    }
}

#[derive(Deserialize)]
struct UploadQuery {
    #[serde(default)]
    post: String,
}

impl UploadQuery {
    /// Drops a value that is neither an id nor `new`: it is written into the form's address.
    fn checked(self) -> Self {
        let is_known = self.post == "new" || self.post.parse::<PostId>().is_ok();
        if is_known { self } else { Self { post: String::new() } }
    }
}

/// The form's fields and its file with the file name.
#[derive(Default)]
struct UploadForm {
    fields: PhotoForm,
    file: Option<(Pinned, String)>,
}

/// Why a form could not be read.
enum FormError {
    /// The file is over the configured limit.
    FileTooLarge,
    /// A text field is over [`FIELDS_LEN_MAX`].
    FieldTooLong,
    /// The multipart body is malformed (RFC 7578).
    Malformed,
    Store(StoreError),
}

impl From<MultipartError> for FormError {
    fn from(error: MultipartError) -> Self {
        if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Self::FileTooLarge
        } else {
            Self::Malformed
        }
    }
}

impl From<StoreError> for FormError {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::TooLarge { .. }) {
            Self::FileTooLarge
        } else {
            Self::Store(error)
        }
    }
}

async fn show(State(site): State<Site>, _: Owner, Query(query): Query<UploadQuery>) -> PageResult {
    let post = query.checked().post;
    let page = site.owner_layout("Add a photo", "Photos")?;
    response::page(&AddPage { page, form: PhotoForm::new(), fault: None, post })
}

async fn add(
    State(site): State<Site>,
    _: Owner,
    Query(query): Query<UploadQuery>,
    mut form: Multipart,
) -> PageResult {
    let post = query.checked().post;
    let mut read = UploadForm::default();
    let outcome = read_form(&site, &mut form, &mut read).await;
    let fields = read.fields;
    if let Err(error) = outcome {
        return not_read(&site, error, fields, post);
    }
    let Some((file, file_name)) = read.file else {
        let fault = Fault::new("file", "There is no file. Choose one first.");
        return send_back(&site, StatusCode::UNPROCESSABLE_ENTITY, fields, fault, post);
    };
    let upload = Upload {
        file,
        file_name,
        alt: fields.alt.clone(),
        caption: fields.caption.replace("\r\n", "\n"),
        audience: fields.audience(),
    };
    match photos::add(&site.node, upload).await {
        Ok(photo) if post.is_empty() => {
            Ok(response::see_other(&Done::PhotoAdded.at(&format!("/home/photos/{}", photo.id))))
        }
        Ok(photo) => add_to_draft(&site, &post, &photo).await,
        Err(AddError::Store(error)) => Err(error.into()),
        Err(AddError::TooLong { what, len, len_max }) => {
            let fault = too_long(what, len, len_max);
            send_back(&site, StatusCode::UNPROCESSABLE_ENTITY, fields, fault, post)
        }
        Err(error) => {
            let fault = Fault::new("file", fault_text(&error));
            send_back(&site, status(&error), fields, fault, post)
        }
    }
}

fn not_read(site: &Site, error: FormError, fields: PhotoForm, post: String) -> PageResult {
    let fault = match error {
        FormError::FileTooLarge => {
            let mebibytes = site.config.upload_len_max / (1024 * 1024);
            let text = format!(
                "The file is too large: at most {mebibytes} MB. Nothing was saved. Choose a \
                 smaller one."
            );
            Fault::new("file", text)
        }
        FormError::FieldTooLong => {
            Fault::new("alt", "These texts are far too long. Nothing was saved. Shorten them.")
        }
        FormError::Malformed => return Err(Problem::BadRequest),
        FormError::Store(error) => return Err(error.into()),
    };
    send_back(site, StatusCode::PAYLOAD_TOO_LARGE, fields, fault, post)
}

/// A picture that does not fit into the memory may fit later.
fn status(error: &AddError) -> StatusCode {
    match error {
        AddError::Rendition(RenditionError::OutOfMemory { .. }) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

fn fault_text(error: &AddError) -> String {
    match error {
        AddError::StoredUnsupported { .. } => {
            "That kind of picture can’t be shown here yet. The file is kept, and your photos list \
             it. Save it as an ordinary JPEG and add that."
                .to_owned()
        }
        AddError::Rendition(RenditionError::Damaged) => {
            "This picture is damaged and was not added. Copy it from the camera again.".to_owned()
        }
        AddError::Rendition(RenditionError::Truncated) => {
            "This picture is damaged: its lower part is missing. It was not added. Copy it from \
             the camera again."
                .to_owned()
        }
        AddError::Rendition(RenditionError::OutOfMemory { .. }) => {
            "This picture is too large for the memory that this computer has free now. It was not \
             added. Try again later, or save it smaller and add that."
                .to_owned()
        }
        AddError::Rendition(RenditionError::NotAPicture) => {
            "This file is not a JPEG, PNG, WebP or GIF picture. Save it as one of these and add \
             that."
                .to_owned()
        }
        AddError::Rendition(RenditionError::Unsupported(media_type)) => format!(
            "This kind of {} can’t be shown here yet. Save it as an ordinary JPEG and add that.",
            media_type.name()
        ),
        AddError::Rendition(RenditionError::TooManyPixels { width, height }) => format!(
            "The picture is {width} × {height} pixels: {} megapixels. {} megapixels, and {EDGE_MAX} \
             pixels on a side, are the most. Save it smaller and add that.",
            (u64::from(*width) * u64::from(*height)).div_ceil(MEGAPIXEL),
            PIXELS_MAX / MEGAPIXEL,
        ),
        other => format!("The picture was not added: {other}."),
    }
}

fn send_back(
    site: &Site,
    status: StatusCode,
    form: PhotoForm,
    fault: Fault,
    post: String,
) -> PageResult {
    let page = site.owner_layout("Add a photo", "Photos")?;
    response::page_with_status(status, &AddPage { page, form, fault: Some(fault), post })
}

/// Adds a stored photo to the post `post` and opens that. If the post was deleted meanwhile, the
/// photo starts a new draft.
///
/// The owner looks at a damaged picture first. For a picture that moves, the photo's page says that
/// it will not.
async fn add_to_draft(site: &Site, post: &str, photo: &Photo) -> PageResult {
    if photo.flaw == Some(Flaw::Damaged) {
        let page = format!("/home/photos/{}?post={post}", photo.id);
        return Ok(response::see_other(&Done::PhotoAdded.at(&page)));
    }
    let found = post
        .parse::<PostId>()
        .ok()
        .map(|id| posts::by_id(&site.node, &Visitor::Owner, id))
        .transpose()?
        .flatten();
    let published =
        found.as_ref().filter(|post| post.state == PostState::Published).map(|post| post.id);
    let draft = match found {
        Some(post) => Draft {
            id: Some(post.id),
            title: post.title,
            text: post.text,
            photos: post.photos.into_iter().chain([photo.id]).collect(),
            slug: (post.has_own_slug && published.is_none()).then_some(post.slug),
            precondition: Precondition::Revision(post.revision),
        },
        None => Draft { photos: vec![photo.id], ..Draft::default() },
    };
    let saved = match published {
        Some(id) => publish::edit(&site.node, id, draft).await,
        None => posts::save_draft(&site.node, draft).await,
    };
    let (page, done) = match saved {
        Ok(post) if photo.flaw.is_some() => {
            (format!("/home/photos/{}?post={}", photo.id, post.id), Done::PhotoPut)
        }
        Ok(post) => (format!("/home/write/{}", post.id), Done::PhotoPut),
        Err(PostError::Store(error)) => return Err(error.into()),
        // The photo itself is stored.
        Err(_) => (format!("/home/photos/{}", photo.id), Done::PhotoAdded),
    };
    Ok(response::see_other(&done.at(&page)))
}

/// Reads the form into `read`, to its end also where the file is refused: the fields that were
/// typed are kept whatever their place.
async fn read_form(
    site: &Site,
    form: &mut Multipart,
    read: &mut UploadForm,
) -> Result<(), FormError> {
    let (mut room, mut outcome) = (FIELDS_LEN_MAX, Ok(()));
    while let Some(field) = form.next_field().await? {
        match field.name().unwrap_or_default() {
            "alt" => read.fields.alt = read_text(field, &mut room).await?,
            "caption" => read.fields.caption = read_text(field, &mut room).await?,
            "audience" => read.fields.audience = read_text(field, &mut room).await?,
            "file" => match read_file(site, field).await {
                Ok(file) => read.file = file,
                Err(error) => outcome = Err(error),
            },
            _ => {}
        }
    }
    outcome
}

/// Reads a text field. The limit of the texts is their own: that of the whole form is for files.
async fn read_text(mut field: Field<'_>, room: &mut usize) -> Result<String, FormError> {
    let mut bytes = Vec::new();
    while let Some(piece) = field.chunk().await? {
        *room = room.checked_sub(piece.len()).ok_or(FormError::FieldTooLong)?;
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).map_err(|_| FormError::Malformed)
}

/// Writes the file while it arrives, on threads that may block. An empty file means that none
/// was chosen. One that is too large is read to its end and dropped.
async fn read_file(
    site: &Site,
    mut field: Field<'_>,
) -> Result<Option<(Pinned, String)>, FormError> {
    let name = field.file_name().unwrap_or("photo").to_owned();
    let (mut writer, mut buffer, mut len) = (blobs::upload_writer(site).await?, Vec::new(), 0);
    while let Some(piece) = field.chunk().await? {
        len += piece.len() as u64;
        if len > site.config.upload_len_max {
            drop((writer, buffer));
            while field.chunk().await?.is_some() {}
            return Err(FormError::FileTooLarge);
        }
        buffer.extend_from_slice(&piece);
        if buffer.len() >= PIECE_LEN {
            writer = blobs::append(writer, std::mem::take(&mut buffer)).await?;
        }
    }
    if len == 0 {
        return Ok(None);
    }
    let writer = blobs::append(writer, buffer).await?;
    let pinned = blobs::finish(writer).await?;
    Ok(Some((pinned, name)))
}
