//! The fields of the form that writes a post, and the faults it is sent back with.

use freehold_core::photos::PhotoId;
use freehold_core::posts::{Draft, PostError, PostId, Precondition, Revision, TITLE_CHARS_MAX};

use crate::fault::Fault;
use crate::posts::too_long;

/// The form's fields in their order; one name may occur many times.
pub(super) type Fields = Vec<(String, String)>;

/// The form's fields.
#[derive(Default)]
pub(super) struct PostForm {
    pub(super) title: String,
    pub(super) text: String,
    pub(super) slug: String,
    pub(super) photos: Vec<PhotoId>,
    pub(super) id: Option<PostId>,
    /// The revision of the post when the form was opened.
    pub(super) revision: Option<Revision>,
    /// The pressed button: `draft`, `publish`, `edit`, `preview`, `photos`, `more-photos`, or a
    /// change of the photos.
    pub(super) intent: String,
    /// How many photos are offered; 0 for the first page of them.
    pub(super) offered: usize,
}

impl PostForm {
    /// Reads a form whose field `photo[]` may occur many times, which serde can't put into a
    /// struct.
    pub(super) fn of(fields: Fields) -> Self {
        let mut form = Self::default();
        for (name, value) in fields {
            match name.as_str() {
                "title" => form.title = value.trim().to_owned(),
                "text" => form.text = value.replace("\r\n", "\n"),
                "slug" => form.slug = value.trim().to_lowercase(),
                "id" => form.id = value.parse().ok(),
                "revision" => form.revision = value.parse().ok(),
                "intent" => form.intent = value,
                "offered" => form.offered = value.parse().unwrap_or_default(),
                "photo[]" => {
                    let photo = value.parse::<PhotoId>().ok();
                    form.photos.extend(photo.filter(|photo| !form.photos.contains(photo)));
                }
                _ => {}
            }
        }
        form
    }

    /// The draft to save: over the post `id`, or as a new one.
    pub(super) fn draft(&self, id: Option<PostId>) -> Draft {
        let slug = (!self.slug.is_empty()).then(|| self.slug.clone());
        let precondition = match id {
            Some(_) => self.revision.map_or(Precondition::Any, Precondition::Revision),
            None => Precondition::Absent,
        };
        Draft {
            id: id.or(self.id),
            precondition,
            title: self.title.clone(),
            text: self.text.clone(),
            photos: self.photos.clone(),
            slug,
        }
    }
}

/// Shown if the post was deleted while the form was open.
pub(super) const DELETED_MEANWHILE: &str = "The post was taken back in another window meanwhile. \
     The form has what you wrote; save it, and it becomes a new post.";

/// The fault of a refused post, at the field that is to be changed.
pub(super) fn fault_of(form: &PostForm, error: &PostError) -> Fault {
    let field = match error {
        PostError::LongTitle(_) => "title",
        PostError::Empty | PostError::TooLong { .. } => "text",
        PostError::SlugTaken | PostError::InvalidSlug | PostError::TooManyAddresses => "slug",
        PostError::TooManyPhotos(_) | PostError::NoSuchPhoto => "photos",
        _ => "form",
    };
    Fault::new(field, fault_text(form, error))
}

/// The fault's text: the cause, then what to do.
fn fault_text(form: &PostForm, error: &PostError) -> String {
    match error {
        PostError::Empty => "The post is empty. Write a line, or choose a photo.".to_owned(),
        PostError::LongTitle(count) => format!(
            "The title has {count} characters; {TITLE_CHARS_MAX} is the most. Move some of it into \
             the text."
        ),
        PostError::TooLong { what: "text", len, len_max } => too_long(&form.text, *len, *len_max),
        PostError::SlugTaken => {
            "Another post has this address, or had it. Choose another.".to_owned()
        }
        PostError::InvalidSlug => "This address is not valid. Small letters from a to z, digits \
             and single dashes between them are allowed."
            .to_owned(),
        PostError::ChangedMeanwhile | PostError::AlreadyPublished => {
            "The post was changed in another window meanwhile. The form has what you wrote; open \
             the post in a second window to see the other version. If you save again, yours \
             replaces it."
                .to_owned()
        }
        PostError::TooManyPhotos(count) => {
            format!("The post has {count} photos, which are too many. Choose fewer.")
        }
        PostError::NoSuchPhoto => {
            "One of its photos was deleted meanwhile. Choose the photos again.".to_owned()
        }
        other => format!("The post was not saved: {other}."),
    }
}
