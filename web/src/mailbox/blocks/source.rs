//! The message that a part is in: the stored one, or one that is encoded in a part.

use std::rc::Rc;

use freehold_mime::Shown;
use freehold_mime::structure::PartId;

use crate::mailbox::parsed::ParsedMessage;
use crate::mailbox::part_path::{self, PartPath};
use crate::mailbox::pictures::{Pictures, Place};

/// See the module's text. Cheap to clone.
#[derive(Clone)]
pub(super) enum Source<'a> {
    /// The stored message.
    Root(&'a ParsedMessage),
    /// The message in the encoded part of this path.
    Encoded(Rc<(PartPath, ParsedMessage)>),
}

impl Source<'_> {
    pub(super) fn message(&self) -> &ParsedMessage {
        match self {
            Self::Root(message) => message,
            Self::Encoded(inner) => &inner.1,
        }
    }

    /// The path of a part.
    pub(super) fn path(&self, id: PartId) -> PartPath {
        match self {
            Self::Root(_) => PartPath::of(id),
            Self::Encoded(inner) => inner.0.inside(id),
        }
    }

    /// True if a part is an encoded message that is read.
    pub(super) fn is_encoded_message(&self, id: PartId) -> bool {
        let message = self.message();
        self.path(id).may_be_entered() && message.structure.is_encoded_message(&message.bytes, id)
    }

    /// The message in an encoded part.
    pub(super) fn encoded<'b>(&self, id: PartId) -> Option<Source<'b>> {
        let path = Some(self.path(id)).filter(PartPath::may_be_entered)?;
        let message = part_path::encoded(self.message(), id)?;
        Some(Source::Encoded(Rc::new((path, message))))
    }

    /// The place of a picture; `None` in an encoded message, whose pictures have no bytes of their
    /// own in the stored one.
    pub(super) fn place(&self, id: PartId) -> Option<Place> {
        match self {
            Self::Root(message) => Place::of(message, id.number()),
            Self::Encoded(_) => None,
        }
    }

    /// The pictures for an HTML text.
    pub(super) fn pictures(&self, id: PartId) -> Pictures {
        match self {
            Self::Root(message) => Pictures::of(message, id),
            Self::Encoded(_) => Pictures::default(),
        }
    }
}

/// A part that is shown in its place.
pub(super) enum Item {
    /// One of the structure.
    Shown(Shown),
    /// An encoded message.
    Encoded(PartId),
}

impl Item {
    pub(super) fn part(&self) -> PartId {
        match self {
            Self::Shown(
                Shown::Text(id) | Shown::Html(id) | Shown::Image(id) | Shown::Message(id),
            )
            | Self::Encoded(id) => *id,
        }
    }
}

/// A message whose parts are being shown.
pub(super) struct Level<'a> {
    pub(super) source: Source<'a>,
    pub(super) items: std::vec::IntoIter<Item>,
}

/// The parts that are shown, with the encoded messages in the order of the message.
pub(super) fn items(shown: Vec<Shown>, encoded: Vec<PartId>) -> std::vec::IntoIter<Item> {
    let shown = shown.into_iter().map(Item::Shown);
    let mut items: Vec<Item> = shown.chain(encoded.into_iter().map(Item::Encoded)).collect();
    items.sort_by_key(Item::part);
    items.into_iter()
}
