//! The place of a message in its conversation: the Message-IDs that it names (RFC 5322 3.6.4). The
//! form carries them, so that the answer keeps its place wherever the answered message was moved.

use freehold_core::mailbox::Summary;

/// The most Message-IDs that a form carries.
const IDS_MAX: usize = 50;
/// The longest Message-ID, in bytes: one header line with its brackets and field name.
const ID_LEN_MAX: usize = 900;
/// The longest value of the field, in bytes.
const VALUE_LEN_MAX: usize = 16 * 1024;

/// The value of the form's field for an answer to a message; empty if it has no Message-ID.
pub(super) fn answer_to(summary: &Summary) -> String {
    let Some(id) = summary.message_id.as_ref().filter(|id| is_id(id)) else {
        return String::new();
    };
    joined(summary.references.iter().chain([id]))
}

/// The value of the form's field for a draft.
pub(super) fn of_draft(draft: &Summary) -> String {
    let Some(id) = draft.in_reply_to.as_ref().filter(|id| is_id(id)) else {
        return String::new();
    };
    joined(draft.references.iter().filter(|reference| *reference != id).chain([id]))
}

fn joined<'a>(ids: impl Iterator<Item = &'a String>) -> String {
    let ids: Vec<&str> = ids.map(String::as_str).filter(|id| is_id(id)).collect();
    ids.join(" ")
}

/// The Message-IDs of the form's field, without brackets, the answered one last; none if the value
/// is not made of Message-IDs.
pub(super) fn ids(value: &str) -> Vec<&str> {
    let ids: Vec<&str> = value.split(' ').filter(|id| !id.is_empty()).collect();
    let is_whole = value.len() <= VALUE_LEN_MAX && ids.len() <= IDS_MAX;
    if is_whole && ids.iter().all(|id| is_id(id)) { ids } else { Vec::new() }
}

/// Whether a text can stand between the brackets of a Message-ID.
fn is_id(id: &str) -> bool {
    let is_forbidden = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>');
    (1..=ID_LEN_MAX).contains(&id.len()) && !id.contains(is_forbidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_ids_of_the_form_are_validated() {
        assert_eq!(ids("a@x  b@y"), ["a@x", "b@y"]);
        let long = "x".repeat(ID_LEN_MAX + 1);
        let many = "a@x ".repeat(IDS_MAX + 1);
        for bad in ["", "a@x\r\nBcc:y", "a\tb", "<a@x>", "a@x b\0c", &long, &many] {
            assert!(ids(bad).is_empty(), "{bad:?}");
        }
        let summary = Summary {
            message_id: Some("c@z".into()),
            references: vec!["a@x".into(), "b\rc".into()],
            ..Summary::default()
        };
        assert_eq!(answer_to(&summary), "a@x c@z");
        let draft = Summary {
            in_reply_to: Some("c@z".into()),
            references: vec!["a@x".into(), "c@z".into()],
            ..Summary::default()
        };
        assert_eq!(of_draft(&draft), "a@x c@z");
    }
}
