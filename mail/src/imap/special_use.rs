//! The special-use attributes of folders (RFC 6154 2).

use freehold_core::mailbox::SpecialUse;

/// Every use of a folder that has an attribute: INBOX has none.
const ATTRIBUTES: [(SpecialUse, &str); 5] = [
    (SpecialUse::Drafts, "\\Drafts"),
    (SpecialUse::Sent, "\\Sent"),
    (SpecialUse::Archive, "\\Archive"),
    (SpecialUse::Junk, "\\Junk"),
    (SpecialUse::Trash, "\\Trash"),
];

/// The attribute of a use.
pub(crate) fn attribute(special: SpecialUse) -> Option<&'static str> {
    ATTRIBUTES.iter().find(|(known, _)| *known == special).map(|(_, attribute)| *attribute)
}

/// The use with this attribute, in any case.
pub(crate) fn named(attribute: &str) -> Option<SpecialUse> {
    ATTRIBUTES
        .iter()
        .find(|(_, known)| known.eq_ignore_ascii_case(attribute))
        .map(|(special, _)| *special)
}
