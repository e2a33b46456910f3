//! The byte range of a section such as `BODY[1.2.MIME]` (RFC 3501 6.4.5).

use std::ops::Range;

use super::{Kind, Part};

/// The text specifier after the part numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    /// Nothing: the part's body, or the whole message.
    Whole,
    /// `HEADER`.
    Header,
    /// `HEADER.FIELDS` and `HEADER.FIELDS.NOT`.
    Fields {
        /// True for `.NOT`.
        not: bool,
        /// Names as sent.
        names: Vec<String>,
    },
    /// `TEXT`.
    Body,
    /// `MIME`.
    Mime,
}

/// The section between the brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    /// Part numbers, from one.
    pub(crate) path: Vec<u32>,
    /// The text of that part.
    pub(crate) text: Text,
}

impl Section {
    /// True if the structure must be parsed to find the range; otherwise the end of the header is
    /// enough.
    pub(crate) fn needs_structure(&self) -> bool {
        !self.path.is_empty()
    }

    /// The range; `None` if the message has no such part. For fields it is the range of their
    /// header.
    pub(crate) fn range(&self, root: &Part) -> Option<Range<usize>> {
        if self.path.is_empty() {
            return Some(match self.text {
                Text::Whole => root.header.start..root.body.end,
                Text::Body => root.body.clone(),
                Text::Header | Text::Fields { .. } | Text::Mime => root.header.clone(),
            });
        }
        let part = find(root, &self.path)?;
        match (&self.text, &part.kind) {
            (Text::Whole, _) => Some(part.body.clone()),
            (Text::Mime, _) => Some(part.header.clone()),
            (Text::Header | Text::Fields { .. }, Kind::Message(inner)) => {
                Some(inner.header.clone())
            }
            (Text::Body, Kind::Message(inner)) => Some(inner.body.clone()),
            _ => None,
        }
    }
}

/// Finds a part by its numbers. A message that is not a multipart has one part, 1: its body.
fn find<'a>(root: &'a Part, path: &[u32]) -> Option<&'a Part> {
    let mut part = root;
    let mut is_message = true;
    for number in path {
        let at = usize::try_from(*number).ok()?.checked_sub(1)?;
        if !is_message && let Kind::Message(inner) = &part.kind {
            part = inner;
            is_message = true;
        }
        part = match &part.kind {
            Kind::Multipart(children) => children.get(at)?,
            _ if is_message && at == 0 => part,
            _ => return None,
        };
        is_message = false;
    }
    Some(part)
}
