//! The fields of the form that writes a message, and its files, which are stored while they arrive.
//!
//! The form is read to its end also where a file is refused: a browser shows the answer only once
//! it has sent all, and nothing that was typed is lost whatever the order of the fields.

use axum::body::Body;
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{DefaultBodyLimit, Form, FromRequest};
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use freehold_core::blobs::Pinned;
use freehold_core::store::StoreError;
use freehold_mime::text;

use super::enclosures::{ENCLOSED_MAX, encoded_len};
use crate::blobs;
use crate::problem::Problem;
use crate::site::Site;

/// The longest form with files that is read to its end, in bytes.
const FORM_LEN_MAX: usize = 2 * 1024 * 1024 * 1024 - 1;
/// The longest text fields, in bytes together: as of a form without files.
const FIELDS_LEN_MAX: usize = 4 * 1024 * 1024;
/// How much of a file is buffered before it is written, in bytes.
const PIECE_LEN: usize = 256 * 1024;
/// The longest name of a file, in bytes.
const NAME_LEN_MAX: usize = 200;

/// The fields in their order; one name may occur many times.
pub(super) type Fields = Vec<(String, String)>;

/// The form's fields.
#[derive(Clone, Debug, Default)]
pub(super) struct MessageForm {
    pub(super) to: String,
    /// The recipients of copies.
    pub(super) cc: String,
    pub(super) subject: String,
    pub(super) text: String,
    /// The owner's address in From; empty for the first.
    pub(super) from: String,
    /// `folder.uid` of the message to which this replies.
    pub(super) reply: String,
    /// The Message-IDs of its conversation, the answered one last; see [`super::conversation`].
    pub(super) references: String,
    /// `folder.uid` of the draft that this goes on with.
    pub(super) draft: String,
    /// `folder.uid` of the message from which `take` is taken.
    pub(super) forward: String,
    /// `folder.uid` of the message that is forwarded, also once its files are in the draft.
    pub(super) forwarded: String,
    /// The parts of the forwarded message that are sent along: their numbers, or `whole`.
    pub(super) take: Vec<String>,
    /// When it is to be sent, as a `datetime-local` field has it; empty to send it at once.
    pub(super) later: String,
    /// Not empty if a message that was sent already is meant once more.
    pub(super) again: String,
    /// Not empty if a message without text is meant.
    pub(super) empty: String,
    /// The idempotency key.
    pub(super) key: String,
    /// The pressed button: `send`, `draft`, `attach`, `discard`, `remove-` and a number, or
    /// `name-` and a recipient.
    pub(super) intent: String,
    /// Of a reply: `all`, `list`, or empty for its author alone.
    pub(super) answer: &'static str,
    /// Of a forwarded message: true to send it as a file.
    pub(super) is_whole: bool,
}

impl MessageForm {
    pub(super) fn of(fields: Fields) -> Self {
        let mut form = Self::default();
        for (name, value) in fields {
            match name.as_str() {
                "to" => form.to = value,
                "cc" => form.cc = value,
                "subject" => form.subject = value,
                "text" => form.text = value,
                "from" => form.from = value,
                "reply" => form.reply = value,
                "references" => form.references = value,
                "draft" => form.draft = value,
                "forward" => form.forward = value,
                "forwarded" => form.forwarded = value,
                "take" if form.take.len() < ENCLOSED_MAX => form.take.push(value),
                "later" => form.later = value,
                "again" => form.again = value,
                "empty" => form.empty = value,
                "key" => form.key = value,
                "intent" => form.intent = value,
                "all" if !value.is_empty() => form.answer = "all",
                "list" if !value.is_empty() => form.answer = "list",
                "whole" => form.is_whole = !value.is_empty(),
                _ => {}
            }
        }
        form
    }
}

/// A file that came with the form.
#[derive(Clone, Debug)]
pub(super) struct NewFile {
    /// Safe to show; may be empty.
    pub(super) name: String,
    pub(super) file: Pinned,
}

/// The form as it was sent.
#[derive(Debug, Default)]
pub(super) struct Posted {
    pub(super) form: MessageForm,
    pub(super) files: Vec<NewFile>,
    /// The names of files that are too long for any message, or too many.
    pub(super) refused: Vec<String>,
}

impl FromRequest<Site> for Posted {
    type Rejection = Response;

    async fn from_request(mut request: Request<Body>, site: &Site) -> Result<Self, Response> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let has_files = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/"));
        if !has_files {
            let form = Form::<Fields>::from_request(request, site).await;
            let Form(fields) = form.map_err(IntoResponse::into_response)?;
            return Ok(Self { form: MessageForm::of(fields), ..Self::default() });
        }
        DefaultBodyLimit::max(FORM_LEN_MAX).apply(&mut request);
        let form = Multipart::from_request(request, site).await;
        let mut form = form.map_err(IntoResponse::into_response)?;
        read(site, &mut form).await.map_err(FormError::into_response)
    }
}

/// Why a form could not be read.
enum FormError {
    /// The texts or the whole form are over their limits.
    TooLong,
    /// The multipart body is malformed (RFC 7578).
    Malformed,
    Store(StoreError),
}

impl FormError {
    fn into_response(self) -> Response {
        match self {
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
            Self::Malformed => Problem::BadRequest.into_response(),
            Self::Store(error) => Problem::from(error).into_response(),
        }
    }
}

impl From<MultipartError> for FormError {
    fn from(error: MultipartError) -> Self {
        match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLong,
            _ => Self::Malformed,
        }
    }
}

async fn read(site: &Site, form: &mut Multipart) -> Result<Posted, FormError> {
    let (mut posted, mut fields, mut room) = (Posted::default(), Fields::new(), FIELDS_LEN_MAX);
    // No message has more; what fits beside the text is known when the form is whole.
    let mut left = super::message_len_max(site);
    while let Some(field) = form.next_field().await? {
        let name = field.name().unwrap_or_default().to_owned();
        if name != "files" {
            fields.push((name, read_text(field, &mut room).await?));
            continue;
        }
        let file_name = file_name(field.file_name().unwrap_or_default());
        let may_be_kept = posted.files.len() < ENCLOSED_MAX;
        match read_file(site, field, if may_be_kept { left } else { 0 }).await {
            // No file was chosen.
            Ok(file) if file.len == 0 && file_name.is_empty() => {}
            Ok(file) if may_be_kept => {
                left = left.saturating_sub(encoded_len(file.len));
                posted.files.push(NewFile { name: file_name, file });
            }
            Ok(_) | Err(FormError::Store(StoreError::TooLarge { .. })) => {
                posted.refused.push(file_name);
            }
            Err(error) => return Err(error),
        }
    }
    posted.form = MessageForm::of(fields);
    Ok(posted)
}

/// The name of a file, safe to show. Browsers write quotes and line ends percent-encoded, and no
/// other character (HTML Standard 4.10.21.8).
fn file_name(sent: &str) -> String {
    let name = sent.replace("%22", "\"").replace("%0D", " ").replace("%0A", " ");
    text::file_name(&name, NAME_LEN_MAX)
}

async fn read_text(mut field: Field<'_>, room: &mut usize) -> Result<String, FormError> {
    let mut bytes = Vec::new();
    while let Some(piece) = field.chunk().await? {
        *room = room.checked_sub(piece.len()).ok_or(FormError::TooLong)?;
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).map_err(|_| FormError::Malformed)
}

/// Writes a file while it arrives. One that takes more than `len_max` bytes of a message is read to
/// its end and dropped.
async fn read_file(site: &Site, mut field: Field<'_>, len_max: u64) -> Result<Pinned, FormError> {
    let (mut writer, mut buffer) = (blobs::writer(site).await?, Vec::new());
    let mut len = 0u64;
    while let Some(piece) = field.chunk().await? {
        len = len.saturating_add(piece.len() as u64);
        if encoded_len(len) > len_max {
            drop((writer, buffer));
            while field.chunk().await?.is_some() {}
            let too_large = StoreError::TooLarge { what: "file", len: 0, len_max: 0 };
            return Err(FormError::Store(too_large));
        }
        buffer.extend_from_slice(&piece);
        if buffer.len() >= PIECE_LEN {
            writer = blobs::append(writer, std::mem::take(&mut buffer)).await?;
        }
    }
    let writer = blobs::append(writer, buffer).await?;
    Ok(blobs::finish(writer).await?)
}

impl From<StoreError> for FormError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
