//! Who may see a thing, and who asks. What one may not see and what does not exist give the same
//! answer.

use minicbor::{Decode, Encode};

use freehold_proto::identity::PersonId;

/// Who may see a thing.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Audience {
    /// Anyone.
    #[n(0)]
    Public,
    /// The owner alone.
    #[n(1)]
    Owner,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visitor {
    /// The node's owner, logged in.
    Owner,
    /// A friend who has proved who they are.
    Friend(PersonId),
    /// Anyone else.
    Stranger,
}

/// Whether `visitor` may see what is meant for `audience`.
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
    fn the_owner_sees_everything_and_a_stranger_what_is_public() {
        assert!(may_see(&Audience::Owner, &Visitor::Owner));
        assert!(may_see(&Audience::Public, &Visitor::Owner));
        assert!(may_see(&Audience::Public, &Visitor::Stranger));
        let friend = Visitor::Friend(PersonId([7; 32]));
        assert!(may_see(&Audience::Public, &friend));
        assert!(!may_see(&Audience::Owner, &friend));
        assert!(!may_see(&Audience::Owner, &Visitor::Stranger));
    }
}
