//! The text of a message as an answer or a forwarded message repeats it.

use freehold_mime::{Content, Shown, content, html};

use super::TEXT_LEN_MAX;
use crate::mailbox::parsed::ParsedMessage;

/// How much of the original message is quoted, in bytes.
const QUOTED_LEN_MAX: usize = 64 * 1024;

/// The texts of a message that are shown, one after the other.
pub(super) fn text(message: &ParsedMessage) -> String {
    let (bytes, structure) = (&message.bytes, &message.structure);
    let mut text = String::new();
    for shown in Content::of(bytes, structure).shown {
        let next = match shown {
            Shown::Text(id) => content::text_of(bytes, structure, id, 4 * QUOTED_LEN_MAX),
            Shown::Html(id) => {
                html::to_plain(&content::html_of(bytes, structure, id, TEXT_LEN_MAX))
            }
            Shown::Image(_) | Shown::Message(_) => continue,
        };
        text.push_str(next.trim_end());
        text.push('\n');
        if text.len() >= QUOTED_LEN_MAX {
            break;
        }
    }
    if text.len() > QUOTED_LEN_MAX {
        text.truncate(text.floor_char_boundary(QUOTED_LEN_MAX));
        text.truncate(text.rfind('\n').unwrap_or(text.len()));
        text.push_str("\n[…]");
    }
    text
}
