//! Pictures that came with a letter and stand in its text: written into the page itself, so that
//! the frame still loads nothing.

use std::collections::HashMap;

use data_encoding::BASE64;
use mail_parser::{Message, MimeHeaders};

/// All of them together, in bytes; what is beyond stays a file below the letter.
const LEN_MAX: usize = 4 * 1024 * 1024;

/// The pictures of a letter by their Content-ID (RFC 2392), each as a `data:` address.
pub(super) fn pictures(parsed: &Message<'_>) -> HashMap<String, String> {
    let (mut all, mut len) = (HashMap::new(), 0);
    for part in &parsed.parts {
        let (Some(id), bytes) = (part.content_id(), part.contents()) else { continue };
        let Some(media_type) = media_type(bytes) else { continue };
        len += bytes.len();
        if len > LEN_MAX {
            break;
        }
        let id = id.trim_matches(['<', '>']).to_owned();
        all.insert(id, format!("data:{media_type};base64,{}", BASE64.encode(bytes)));
    }
    all
}

/// What the bytes are, whatever the letter says: only kinds that are nothing but pixels.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

/// The Content-ID that an address in a letter names.
pub(super) fn id_of(address: &str) -> Option<&str> {
    let (scheme, id) = address.trim().split_once(':')?;
    scheme.eq_ignore_ascii_case("cid").then_some(id)
}
