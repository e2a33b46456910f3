//! SETMETADATA (RFC 5464 4.3).

use freehold_core::mailbox::{self, METADATA_VALUE_LEN_MAX, MetadataError};

use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::metadata::{self, Subject};

/// The folder, or the empty name for the server, and the new values.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SetMetadata {
    pub(crate) name: String,
    /// `None` removes the annotation.
    pub(crate) changes: Vec<(String, Option<Vec<u8>>)>,
}

impl SetMetadata {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        cursor.space()?;
        let name = cursor.mailbox()?;
        cursor.space()?;
        let changes = cursor.list(|cursor| {
            let entry = metadata::entry(cursor)?;
            if metadata::is_scope(&entry) {
                return Err(SyntaxError("the name of an annotation is incomplete"));
            }
            cursor.space()?;
            Ok((entry, cursor.nstring8()?))
        })?;
        if changes.is_empty() {
            return Err(SyntaxError("no annotations are named"));
        }
        Ok(Self { name, changes })
    }

    /// True if `text` is the beginning of the command: its values may be literal8.
    pub(crate) fn is_begun(text: &[u8]) -> bool {
        let mut cursor = Cursor::new(text);
        cursor.tag().is_ok() && cursor.eat(" SETMETADATA ")
    }
}

/// Sets or removes the annotations, all or none.
pub(crate) async fn run(cx: &mut Context, set: SetMetadata) -> Result<Completion, Completion> {
    let subject = Subject::named(cx, &set.name)?;
    let sets = |name: &str| set.changes.iter().any(|(entry, _)| entry == name);
    match &subject {
        Subject::Server if sets(metadata::ADMIN) => {
            return Err(Completion::no("this annotation can't be changed").code("NOPERM"));
        }
        Subject::Folder(_) if sets(metadata::SPECIAL_USE) => {
            return Err(Completion::no("the special use can't be changed").code("USEATTR"));
        }
        _ => {}
    }
    mailbox::set_metadata(&cx.node, subject.id(), set.changes).await?;
    Ok(Completion::ok("annotations set"))
}

impl From<MetadataError> for Completion {
    fn from(error: MetadataError) -> Self {
        match error {
            MetadataError::NoSuchFolder => Self::no_folder(),
            MetadataError::NameTooLong => {
                Self::no("the name of an annotation is too long").code("LIMIT")
            }
            MetadataError::TooLong => Self::no("an annotation is too long")
                .code(format!("METADATA MAXSIZE {METADATA_VALUE_LEN_MAX}")),
            MetadataError::TooMany => Self::no("too many annotations").code("METADATA TOOMANY"),
            MetadataError::Store(error) => error.into(),
        }
    }
}
