//! Whether the pictures from elsewhere of a message's sender are always shown.
//!
//! The owner's choice is for one address, and holds for a message only if the message is proven to
//! be of it: else anyone who knows the choice could learn when the owner reads.

use freehold_core::mailbox::{self, Message, SpecialUse};
use freehold_core::store::StoreError;
use freehold_mime::content;
use freehold_mime::people::{self, Person};

use super::parsed::{ParsedMessage, parsed};
use super::proof::Proof;
use super::why::Why;
use crate::problem::Problem;
use crate::site::Site;

/// The owner's choice about the pictures of a message's sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AlwaysPictures {
    /// They are always shown.
    Chosen(String),
    /// The owner can choose that.
    Offered(String),
    NotOffered(NotOffered),
}

/// Why the owner can't choose that the pictures are always shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotOffered {
    /// The message is the owner's own, or names no sender.
    NoSender,
    /// It names several authors.
    Authors,
    /// It is in Junk or Trash.
    Junk,
    /// Nothing proves who sent it.
    Unproven,
}

impl AlwaysPictures {
    /// The choice for a message with these authors in a folder of this use.
    pub(super) fn of(
        site: &Site,
        authors: &[Person],
        proof: &Proof,
        why: &Why,
        special: Option<SpecialUse>,
    ) -> Result<Self, StoreError> {
        let address = match authors {
            [author] if author.address.contains('@') => &author.address,
            [_, _, ..] => return Ok(Self::NotOffered(NotOffered::Authors)),
            _ => return Ok(Self::NotOffered(NotOffered::NoSender)),
        };
        let is_proven = matches!(proof, Proof::Proven(_)) || why.friends_node.is_some();
        Ok(match special {
            Some(SpecialUse::Sent | SpecialUse::Drafts) => Self::NotOffered(NotOffered::NoSender),
            Some(SpecialUse::Junk | SpecialUse::Trash) => Self::NotOffered(NotOffered::Junk),
            _ if !is_proven => Self::NotOffered(NotOffered::Unproven),
            _ if mailbox::is_picture_sender(&site.node, address)? => Self::Chosen(address.clone()),
            _ => Self::Offered(address.clone()),
        })
    }

    /// The choice for a message that is not open.
    pub(super) async fn read(site: &Site, message: &Message) -> Result<Self, Problem> {
        let read = parsed(site, message, |message: &ParsedMessage| {
            let charset = content::main_charset(&message.structure);
            let authors = people::first(message.header(), "from", charset.as_deref());
            let proof = Proof::of(message.header(), domain(&authors));
            (authors, proof)
        });
        let (authors, proof) = read.await?.unwrap_or_default();
        let folder = mailbox::folder(&site.node, message.folder)?;
        let special = folder.and_then(|folder| folder.special);
        Ok(Self::of(site, &authors, &proof, &Why::of(site, message)?, special)?)
    }

    pub(super) fn is_chosen(&self) -> bool {
        matches!(self, Self::Chosen(_))
    }
}

/// The domain of the first author's address; empty without one.
pub(super) fn domain(authors: &[Person]) -> &str {
    let address = authors.first().map(|author| author.address.as_str()).unwrap_or_default();
    address.rsplit_once('@').map(|(_, domain)| domain).unwrap_or_default()
}
