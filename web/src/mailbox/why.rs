//! The reasons for which a message was put into Junk or left in the inbox.

use freehold_core::mailbox::{self, Judgement, JunkReason, Message, ReasonKind};
use freehold_core::store::StoreError;

use super::host_names::honest_address;
use crate::site::Site;

/// The judgement on a message as the template shows it.
#[derive(Default)]
pub(super) struct Why {
    /// True if it was put into Junk.
    pub(super) is_junk: bool,
    pub(super) reasons: Vec<Reason>,
    /// The friend whose node brought it, without SMTP.
    pub(super) friends_node: Option<String>,
}

/// One reason.
pub(super) struct Reason {
    /// True if it speaks for junk.
    pub(super) is_against: bool,
    pub(super) text: String,
}

impl Why {
    /// The judgement on a message; empty for one that was not judged.
    pub(super) fn of(site: &Site, message: &Message) -> Result<Self, StoreError> {
        let judgement = mailbox::judgement(&site.node, message)?;
        Ok(judgement.as_ref().map(Self::from).unwrap_or_default())
    }

    fn from(judgement: &Judgement) -> Self {
        let reason =
            |reason: &JunkReason| Reason { is_against: reason.points > 0, text: text(reason) };
        Self {
            is_junk: judgement.is_junk,
            reasons: judgement.reasons.iter().map(reason).collect(),
            friends_node: judgement.friends_node().map(str::to_owned),
        }
    }
}

fn text(reason: &JunkReason) -> String {
    let detail = honest_address(&reason.detail);
    match (reason.kind, reason.points > 0) {
        (ReasonKind::Blocked, _) => format!("You keep {detail} out."),
        (ReasonKind::Allowed, _) => format!("You always let {detail} in."),
        (ReasonKind::Known, _) => "You have written to the sender.".to_owned(),
        (ReasonKind::Friend, _) => format!("{detail} is the house of a friend."),
        (ReasonKind::Disowned, _) => format!("{detail} says that it is not from there."),
        (ReasonKind::PassedOn, _) => {
            format!("{detail} passed it on, and you always let that house in.")
        }
        (ReasonKind::Words, true) if detail.is_empty() => {
            "It is made like what you call junk.".to_owned()
        }
        (ReasonKind::Words, true) => format!("It reads like what you call junk: {detail}."),
        (ReasonKind::Words, false) => "It reads like letters that you keep.".to_owned(),
        (ReasonKind::Author | ReasonKind::Domain, true) => {
            format!("You called letters from {detail} junk.")
        }
        (ReasonKind::Author | ReasonKind::Domain, false) => {
            format!("You keep letters from {detail}.")
        }
        (ReasonKind::Network, true) => "Junk came from the same network before.".to_owned(),
        (ReasonKind::Network, false) => {
            "Letters that you keep came from the same network.".to_owned()
        }
        (ReasonKind::Unproven, _) => "Nothing proves who sent it.".to_owned(),
        (ReasonKind::NoReverseName, _) => "The server that brought it has no name.".to_owned(),
        (ReasonKind::FriendsNode, _) => format!("It came straight from the house of {detail}."),
        (ReasonKind::BlockList, _) => format!("{detail} lists the server that brought it."),
        (ReasonKind::AddedField, _) => {
            format!("It has a second line “{detail}”, which its sender did not sign.")
        }
    }
}
