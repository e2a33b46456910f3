//! What is inside a letter: its words, its files, its original text.

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use axum::response::{Html, IntoResponse};
use freehold_core::mailbox::{self, Message};
use freehold_core::node::Node;
use freehold_core::store::StoreError;
use mail_parser::{MessageParser, MimeHeaders, PartType};

use super::letter::{File, found};
use super::straighten::straighten;
use super::{inside, sanitise};
use crate::answer::{Answer, Problem};
use crate::aside::aside;
use crate::blob_reads;
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::sizes::size;
use crate::visitor::Owner;
use crate::{assets, headers, pictures};

/// A longer letter is not taken apart here; a mail program can.
const SHOWN_LEN_MAX: usize = 24 * 1024 * 1024;
/// A letter of so many lines fills the tallest frame.
const FRAME_LINES: usize = 18;
const LETTERS_A_LINE: usize = 60;
/// Longer text is cut.
const TEXT_LEN_MAX: usize = 512 * 1024;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/home/mail/{folder}/{uid}/letter", Access::Owner, frame)
        .get("/home/mail/{folder}/{uid}/original", Access::Owner, original)
        .get("/home/mail/{folder}/{uid}/files/{number}", Access::Owner, file)
}

/// The words of a letter.
pub(super) enum Words {
    /// Plain text, shown in place.
    Text(String),
    /// HTML, shown in a frame; how many pictures from elsewhere were left out, and how tall the
    /// frame is.
    Html(usize, &'static str),
    /// More HTML than is taken apart here; its words alone.
    Bare(String),
    /// Too long to be taken apart.
    TooLong,
}

/// Reads the whole message and looks into it, off the threads that serve and one letter at a time:
/// whoever sent it decides how much work that is. `None` if it is too long, or no message.
pub(super) async fn taken_apart<T: Send + 'static>(
    site: &Site,
    message: &Message,
    look: impl FnOnce(&mail_parser::Message<'_>) -> T + Send + 'static,
) -> Result<Option<T>, Problem> {
    let turn = site
        .letters
        .clone()
        .acquire_owned()
        .await
        .map_err(|error| Problem::Unwell(error.to_string()))?;
    let (node, message) = (site.node.clone(), message.clone());
    aside(move || {
        // Held until the work is done, even if the request is cancelled.
        let _turn = turn;
        Ok(parsed(&node, &message, look)?)
    })
    .await
}

#[allow(clippy::disallowed_methods, reason = "runs inside `aside`")]
fn parsed<T>(
    node: &Node,
    message: &Message,
    look: impl FnOnce(&mail_parser::Message<'_>) -> T,
) -> Result<Option<T>, StoreError> {
    match mailbox::body(node, message)?.read_all(SHOWN_LEN_MAX) {
        Ok(raw) => Ok(MessageParser::default().parse(&raw).map(|parsed| look(&parsed))),
        Err(StoreError::TooLarge { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn html_of<'a>(parsed: &'a mail_parser::Message<'_>) -> Option<&'a str> {
    parsed.html_bodies().find_map(|part| {
        if let PartType::Html(html) = &part.body { Some(html.as_ref()) } else { None }
    })
}

pub(super) fn words(parsed: &mail_parser::Message<'_>) -> Words {
    let html = html_of(parsed).map(straighten);
    if let Some(Some(straight)) = html {
        return Words::Html(straight.pictures, height(straight.as_str()));
    }
    let mut text = parsed.body_text(0).unwrap_or_default().trim_end().replace("\r\n", "\n");
    text.truncate(text.floor_char_boundary(TEXT_LEN_MAX));
    if html.is_some() { Words::Bare(text) } else { Words::Text(text) }
}

/// How tall the frame of a letter is, as the style sheet knows it: without scripts a page can't
/// ask, so the lines are counted.
fn height(html: &str) -> &'static str {
    let (mut letters, mut lines) = (0, 0);
    for piece in html.split('<') {
        let (tag, text) = piece.split_once('>').unwrap_or(("", piece));
        letters += text.trim().chars().count();
        lines += match tag.split([' ', '/']).next().unwrap_or_default() {
            "p" | "blockquote" | "h1" | "h2" | "h3" | "ul" | "ol" | "table" => 2,
            "br" | "div" | "tr" | "li" => 1,
            // A picture of the letter's own may be as tall as the frame.
            "img" => FRAME_LINES,
            _ => 0,
        };
    }
    match lines + letters / LETTERS_A_LINE {
        0..=8 => "brief",
        9..FRAME_LINES => "middling",
        _ => "long",
    }
}

pub(super) fn files(parsed: &mail_parser::Message<'_>) -> Vec<File> {
    let named = |(number, part): (usize, &mail_parser::MessagePart<'_>)| File {
        number,
        name: part.attachment_name().map_or_else(|| format!("file {}", number + 1), str::to_owned),
        size: size(part.len() as u64),
    };
    parsed.attachments().enumerate().map(named).collect()
}

#[derive(Template)]
#[template(path = "mailbox/frame.html")]
struct LetterFrame {
    styles: &'static str,
    html: String,
}

/// The inside of the frame: an origin of its own, with a policy that lets nothing run or load.
async fn frame(
    State(site): State<Site>,
    _: Owner,
    Path((folder, uid)): Path<(u32, u32)>,
) -> Answer {
    let (message, _) = found(&site, folder, uid)?;
    let cleaned = |parsed: &mail_parser::Message<'_>| {
        html_of(parsed)
            .and_then(straighten)
            .map(|straight| sanitise::clean(&straight, inside::pictures(parsed)))
    };
    let html = taken_apart(&site, &message, cleaned).await?.flatten().ok_or(Problem::NotFound)?;
    let page = Html(LetterFrame { styles: assets::address("letter.css"), html }.render()?);
    Ok((
        [
            (header::CONTENT_SECURITY_POLICY, headers::LETTER_POLICY),
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        ],
        page,
    )
        .into_response())
}

async fn original(
    State(site): State<Site>,
    _: Owner,
    Path((folder, uid)): Path<(u32, u32)>,
) -> Answer {
    let (message, _) = found(&site, folder, uid)?;
    let reader = blob_reads::message(&site, message).await?;
    pictures::file(reader, "text/plain; charset=utf-8", "no-store")
}

/// A file, only ever to be saved: what it claims to be is a stranger's word.
async fn file(
    State(site): State<Site>,
    _: Owner,
    Path((folder, uid, number)): Path<(u32, u32, usize)>,
) -> Answer {
    let (message, _) = found(&site, folder, uid)?;
    let copied = move |parsed: &mail_parser::Message<'_>| {
        let part = parsed.attachments().nth(number)?;
        Some(saved_as(part.attachment_name().unwrap_or("file"), part.contents().to_vec()))
    };
    taken_apart(&site, &message, copied).await?.flatten().ok_or(Problem::NotFound)
}

fn saved_as(name: &str, bytes: Vec<u8>) -> Response<Body> {
    let disposition: (HeaderName, HeaderValue) = (header::CONTENT_DISPOSITION, disposition(name));
    (
        StatusCode::OK,
        [(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")), disposition],
        bytes,
    )
        .into_response()
}

/// `attachment` with the name in the one spelling that needs no quoting (RFC 6266 4.3, RFC 8187).
pub(crate) fn disposition(name: &str) -> HeaderValue {
    let encoded: String = name.bytes().take(200).map(encode).collect();
    HeaderValue::from_str(&format!("attachment; filename*=UTF-8''{encoded}"))
        .unwrap_or(HeaderValue::from_static("attachment"))
}

fn encode(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_file_name_stays_in_its_header() {
        assert_eq!(
            disposition("a\"; x=\"\r\nSet-Cookie: é/..\u{202e}.pdf"),
            "attachment; filename*=UTF-8''a%22%3B%20x%3D%22%0D%0ASet-Cookie%3A%20%C3%A9%2F..%E2%80%AE.pdf"
        );
    }
}
