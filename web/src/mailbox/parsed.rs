//! Parsing a stored message, with bounded work: its text or HTML, and its attachments.

use freehold_core::blocking::try_blocking;
use freehold_core::mailbox::{self, Message};
use freehold_core::node::Node;
use freehold_core::store::StoreError;
use mail_parser::{MessageParser, MimeHeaders, PartType};

use super::normalize::normalize;
use crate::problem::Problem;
use crate::site::Site;
use crate::sizes::size;

/// A longer message is not parsed for a page, in bytes; a mail client can show it.
const PARSED_LEN_MAX: usize = 24 * 1024 * 1024;
/// A message of at least this many lines gets the tallest frame.
const FRAME_LINES: usize = 18;
const CHARS_PER_LINE: usize = 60;
/// Longer plain text is cut, in bytes.
const TEXT_LEN_MAX: usize = 512 * 1024;

/// The part of a message that is shown as its text.
pub(super) enum Body {
    /// Plain text, shown in the page.
    Text(String),
    /// HTML, shown in a frame.
    Html {
        /// Number of remote images that were left out.
        remote_images: usize,
        /// The style sheet's class for the height of the frame.
        height: &'static str,
    },
    /// The plain text of a message whose HTML is over the limits of [`normalize`].
    TextOnly(String),
    /// The message is longer than [`PARSED_LEN_MAX`], or not a message.
    TooLong,
}

/// An attachment as the page lists it.
pub(super) struct Attachment {
    /// Its index among the message's attachments.
    pub(super) number: usize,
    pub(super) name: String,
    pub(super) size: String,
}

/// Reads and parses the whole message and runs `read` on it, on a thread that may block and one
/// message at a time: the sender decides how much work that is. `None` if the message is too long
/// or can't be parsed.
pub(super) async fn parsed<T: Send + 'static>(
    site: &Site,
    message: &Message,
    read: impl FnOnce(&mail_parser::Message<'_>) -> T + Send + 'static,
) -> Result<Option<T>, Problem> {
    let permit = site
        .message_parsing
        .clone()
        .acquire_owned()
        .await
        .map_err(|error| Problem::Internal(error.to_string()))?;
    let (node, message) = (site.node.clone(), message.clone());
    let work = move || {
        // Held until the work is done, also if the client has disconnected.
        let _permit = permit;
        parse(&node, &message, read)
    };
    Ok(try_blocking(work).await?)
}

#[allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]
fn parse<T>(
    node: &Node,
    message: &Message,
    read: impl FnOnce(&mail_parser::Message<'_>) -> T,
) -> Result<Option<T>, StoreError> {
    match mailbox::body(node, message)?.read_all(PARSED_LEN_MAX) {
        Ok(raw) => Ok(MessageParser::default().parse(&raw).map(|parsed| read(&parsed))),
        Err(StoreError::TooLarge { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The first HTML body.
pub(super) fn html_of<'a>(parsed: &'a mail_parser::Message<'_>) -> Option<&'a str> {
    parsed.html_bodies().find_map(|part| {
        if let PartType::Html(html) = &part.body { Some(html.as_ref()) } else { None }
    })
}

pub(super) fn body(parsed: &mail_parser::Message<'_>) -> Body {
    let normalized = html_of(parsed).map(normalize);
    if let Some(Some(html)) = normalized {
        return Body::Html {
            remote_images: html.remote_images,
            height: frame_height(html.as_str()),
        };
    }
    let mut text = parsed.body_text(0).unwrap_or_default().trim_end().replace("\r\n", "\n");
    text.truncate(text.floor_char_boundary(TEXT_LEN_MAX));
    if normalized.is_some() { Body::TextOnly(text) } else { Body::Text(text) }
}

/// The height of a message's frame, as a class of the style sheet. Without scripts a page can't
/// measure the frame's content, so its lines are counted.
fn frame_height(html: &str) -> &'static str {
    let (mut chars, mut lines) = (0, 0);
    for piece in html.split('<') {
        let (tag, text) = piece.split_once('>').unwrap_or(("", piece));
        chars += text.trim().chars().count();
        lines += match tag.split([' ', '/']).next().unwrap_or_default() {
            "p" | "blockquote" | "h1" | "h2" | "h3" | "ul" | "ol" | "table" => 2,
            "br" | "div" | "tr" | "li" => 1,
            // An inline image may be as tall as the frame.
            "img" => FRAME_LINES,
            _ => 0,
        };
    }
    match lines + chars / CHARS_PER_LINE {
        0..=8 => "brief",
        9..FRAME_LINES => "middling",
        _ => "long",
    }
}

pub(super) fn attachments(parsed: &mail_parser::Message<'_>) -> Vec<Attachment> {
    let listed = |(number, part): (usize, &mail_parser::MessagePart<'_>)| Attachment {
        number,
        name: part.attachment_name().map_or_else(|| format!("file {}", number + 1), str::to_owned),
        size: size(part.len() as u64),
    };
    parsed.attachments().enumerate().map(listed).collect()
}
