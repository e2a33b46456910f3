//! The byte range of a section such as `BODY[1.2.MIME]` (RFC 3501 6.4.5).

use std::ops::Range;

use freehold_mime::{Kind, Structure};

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
    pub(crate) fn range(&self, structure: &Structure) -> Option<Range<usize>> {
        if self.path.is_empty() {
            let root = structure.part(Structure::ROOT);
            return Some(match self.text {
                Text::Whole => root.header.start..root.body.end,
                Text::Body => root.body.clone(),
                Text::Header | Text::Fields { .. } | Text::Mime => root.header.clone(),
            });
        }
        let id = structure.find(&self.path)?;
        let part = structure.part(id);
        match self.text {
            Text::Whole => return Some(part.body.clone()),
            Text::Mime => return Some(part.header.clone()),
            Text::Header | Text::Fields { .. } | Text::Body => {}
        }
        let inner = structure.children(id).next().filter(|_| part.kind == Kind::Message)?;
        let inner = structure.part(inner);
        Some(match self.text {
            Text::Body => inner.body.clone(),
            _ => inner.header.clone(),
        })
    }
}
