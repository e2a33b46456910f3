//! Access rules: the audience of an item, and the visitor who requests it. A forbidden item and a
//! missing one give the same answer.

use minicbor::{Decode, Encode};

use freehold_proto::identity::PersonId;

/// The people who may see an item.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Audience {
    /// Anyone.
    #[n(0)]
    Public,
    /// The owner alone.
    #[n(1)]
    Owner,
}

/// The person who requests an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visitor {
    /// The node's owner, logged in.
    Owner,
    /// A friend who has proved their identity.
    Friend(PersonId),
    /// Anyone else.
    Stranger,
}

/// True if `visitor` may see an item for `audience`.
pub fn may_see(audience: &Audience, visitor: &Visitor) -> bool {
    match (audience, visitor) {
        (_, Visitor::Owner) | (Audience::Public, _) => true,
        (Audience::Owner, Visitor::Friend(_) | Visitor::Stranger) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_sees_everything_and_strangers_public_items() {
        assert!(may_see(&Audience::Owner, &Visitor::Owner));
        assert!(may_see(&Audience::Public, &Visitor::Owner));
        assert!(may_see(&Audience::Public, &Visitor::Stranger));
        let friend = Visitor::Friend(PersonId([7; 32]));
        assert!(may_see(&Audience::Public, &friend));
        assert!(!may_see(&Audience::Owner, &friend));
        assert!(!may_see(&Audience::Owner, &Visitor::Stranger));
    }
}
