//! Images that came inside a message and are shown in its HTML: written into the page as `data:`
//! URLs, so that the frame still loads nothing.

use std::collections::HashMap;

use data_encoding::BASE64;
use mail_parser::{Message, MimeHeaders};

/// The limit for all images of a message together, in bytes; the rest stay attachments.
const LEN_MAX: usize = 4 * 1024 * 1024;

/// The images of a message by their Content-ID (RFC 2392), each as a `data:` URL.
pub(super) fn inline_images(parsed: &Message<'_>) -> HashMap<String, String> {
    let (mut images, mut len) = (HashMap::new(), 0);
    for part in &parsed.parts {
        let (Some(id), bytes) = (part.content_id(), part.contents()) else { continue };
        let Some(media_type) = media_type(bytes) else { continue };
        len += bytes.len();
        if len > LEN_MAX {
            break;
        }
        let id = id.trim_matches(['<', '>']).to_owned();
        images.insert(id, format!("data:{media_type};base64,{}", BASE64.encode(bytes)));
    }
    images
}

/// The media type by the first bytes, not by the message's word; raster formats only, since SVG can
/// hold scripts.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

/// The Content-ID that a `cid:` URL names.
pub(super) fn content_id(url: &str) -> Option<&str> {
    let (scheme, id) = url.trim().split_once(':')?;
    scheme.eq_ignore_ascii_case("cid").then_some(id)
}
