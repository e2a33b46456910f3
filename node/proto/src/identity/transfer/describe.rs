//! An op as a sentence for the person who signs it.

use super::SignatureRequest;
use crate::identity::op::{OpBody, RetireNode};

impl SignatureRequest {
    /// The op to be signed, as a sentence for the person who signs.
    pub fn describe(&self) -> String {
        describe(&self.body)
    }
}

/// The effect of an op as a sentence without a capital and a full stop.
pub fn describe(body: &OpBody) -> String {
    match body {
        OpBody::Genesis(_) => "begin the identity".to_owned(),
        OpBody::Rotate(roots) if roots.len() == 1 => "replace the 24 words by new ones".to_owned(),
        OpBody::Rotate(roots) => format!("replace the root keys by these {}", roots.len()),
        OpBody::AddNode(card) => format!("let the node {} speak for this person", card.sign),
        OpBody::RetireNode(retire) => retirement(retire),
        OpBody::SetDomain(Some(domain)) => {
            format!("let the domain {domain} vouch for this person's name")
        }
        OpBody::SetDomain(None) => "let no domain vouch for this person's name".to_owned(),
        OpBody::SetGuardians(recovery) => {
            format!(
                "let any {} of {} guardians recover this person",
                recovery.needed,
                recovery.guardians.len()
            )
        }
        OpBody::Recover(_) => "recover this person with new root keys".to_owned(),
        OpBody::Tombstone => "END this identity, for ever and for every node".to_owned(),
        OpBody::Unknown { kind, .. } => {
            format!("something this program does not know (kind {kind})")
        }
    }
}

fn retirement(retire: &RetireNode) -> String {
    let why = if retire.compromised { " as stolen" } else { "" };
    let effect = match retire.cutoffs.len() {
        0 => "everything it has ever said becomes void".to_owned(),
        branches => format!(
            "all that it has said up to this request stays ({branches} newest {} named), and \
             whatever else it says is void",
            if branches == 1 { "entry is" } else { "entries are" }
        ),
    };
    format!("retire the node {}{why}: {effect}", retire.node)
}
