//! The form of a forwarded message: its text under a block of its header, and its files, each of
//! which can be left out; or the whole message as a file (RFC 2046 5.2.1).

use freehold_core::blobs::Pinned;
use freehold_core::blocking::try_blocking;
use freehold_core::mailbox::Message;
use freehold_core::node::Node;
use freehold_core::store::StoreError;
use freehold_mime::people;
use freehold_mime::structure::PartId;
use freehold_mime::{Content, Kind, Shown, content, date, header, text};

use super::draft::pinned;
use super::enclosures::{ENCLOSED_MAX, Enclosure, encoded_len};
use super::form::MessageForm;
use super::{gather, quote, reply_target};
use crate::mailbox::came_for::{self, Addresses};
use crate::mailbox::file_names::saved_name;
use crate::mailbox::message;
use crate::mailbox::named_people;
use crate::mailbox::parsed::{ParsedMessage, header_of, parsed};
use crate::problem::Problem;
use crate::site::Site;
use crate::sizes::size;

/// The value of `take` for the whole message.
const WHOLE: &str = "whole";
/// The longest name of the file of a message, in bytes.
const NAME_LEN_MAX: usize = 100;

/// The header of a part with its delimiter, in bytes: more than any has.
const PART_HEADER_LEN: u64 = 4096;

/// A file that can be sent along.
pub(super) struct Offered {
    /// The value of its field.
    pub(super) number: String,
    pub(super) name: String,
    pub(super) size: String,
    pub(super) is_taken: bool,
}

/// The form; [`offered`] gives the files that it offers.
pub(super) async fn form(
    site: &Site,
    folder: u32,
    uid: u32,
    is_whole: bool,
) -> Result<MessageForm, Problem> {
    let (message, summary) = message::find(site, folder, uid)?;
    let read = |message: &ParsedMessage| {
        let charset = content::main_charset(&message.structure);
        let fields = message.header();
        (header_block(fields, charset.as_deref()), quote::text(message), Addresses::of(fields))
    };
    let (block, text, addresses) = match parsed(site, &message, read).await? {
        Some(read) => read,
        None => {
            let fields = header_of(site, &message).await?;
            (header_block(&fields, None), String::new(), Addresses::of(&fields))
        }
    };
    let is_forward = ["fwd:", "fw:"].iter().any(|mark| {
        summary.subject.get(..mark.len()).is_some_and(|start| start.eq_ignore_ascii_case(mark))
    });
    let place = format!("{folder}.{uid}");
    Ok(MessageForm {
        subject: match is_forward {
            true => summary.subject,
            false => format!("Fwd: {}", summary.subject),
        },
        text: match is_whole {
            true => String::new(),
            false => format!("\n\n---------- Forwarded message ----------\n{block}\n{text}"),
        },
        from: came_for::address(site, &message, &addresses)?,
        forward: place,
        is_whole,
        ..MessageForm::default()
    })
}

/// The fields that tell where a message came from, a line each.
fn header_block(fields: &[u8], charset: Option<&str>) -> String {
    let people = |name: &str| {
        let people = people::of(fields, name, charset);
        people.iter().map(named_people::full).collect::<Vec<_>>().join(", ")
    };
    let subject = header::first(fields, "subject").unwrap_or_default();
    let subject = freehold_mime::word::decode(subject, charset);
    let written = header::first(fields, "date").and_then(date::parse);
    let lines = [
        ("From", people("from")),
        ("Date", written.and_then(crate::dates::written).unwrap_or_default()),
        ("Subject", text::one_line(&subject, 1000)),
        ("To", people("to")),
        ("Cc", people("cc")),
    ];
    let lines = lines.iter().filter(|(_, value)| !value.is_empty());
    lines.map(|(name, value)| format!("{name}: {value}\n")).collect()
}

/// The files that a message can send along: pictures of its HTML too, which are not taken unless
/// the owner says so.
fn files(message: &ParsedMessage) -> Vec<(PartId, bool)> {
    let content = Content::of(&message.bytes, &message.structure);
    let shown = content.shown.iter().filter_map(|shown| match shown {
        Shown::Image(id) | Shown::Message(id) => Some((*id, true)),
        Shown::Text(_) | Shown::Html(_) => None,
    });
    let files = content.files.iter().map(|id| (*id, true));
    let related = content.related.iter().map(|id| (*id, false));
    let mut all: Vec<(PartId, bool)> = shown.chain(files).chain(related).collect();
    all.retain(|(id, _)| message.structure.part(*id).kind != Kind::Multipart);
    all.sort_by_key(|(id, _)| *id);
    all.truncate(ENCLOSED_MAX);
    all
}

/// The files of the message that the form forwards.
#[derive(Default)]
pub(super) struct Offers {
    pub(super) files: Vec<Offered>,
    /// Those that no message has room for, each with its size.
    pub(super) too_large: Vec<String>,
    /// True if the message is so long that its parts are not read.
    pub(super) is_too_long: bool,
}

/// The files of the message that the form forwards; none without one. A file that does not fit
/// into a message is not offered, and of the others those are chosen that fit together.
pub(super) async fn offered(site: &Site, form: &MessageForm) -> Result<Offers, Problem> {
    let Some((folder, uid)) = reply_target(&form.forward) else { return Ok(Offers::default()) };
    let Ok((message, _)) = message::find(site, folder, uid) else { return Ok(Offers::default()) };
    let (is_new, is_whole) = (form.take.is_empty() && form.key.is_empty(), form.is_whole);
    let taken = form.take.clone();
    let room = gather::room(site, form);
    let read = move |message: &ParsedMessage| {
        let (mut offers, mut left) = (Offers::default(), room);
        for (id, is_usual) in files(message) {
            let number = id.number().to_string();
            let bytes = message.structure.decoded(&message.bytes, id).bytes.len() as u64;
            let len = encoded_len(bytes).saturating_add(PART_HEADER_LEN);
            let (name, size) = (saved_name(message, id), size(bytes));
            if len > room {
                offers.too_large.push(format!("{name} ({size})"));
                continue;
            }
            let fits = left.checked_sub(len).filter(|_| is_usual && !is_whole);
            left = fits.unwrap_or(left);
            let is_taken = if is_new { fits.is_some() } else { taken.contains(&number) };
            offers.files.push(Offered { is_taken, name, size, number });
        }
        offers
    };
    let mut offers = match parsed(site, &message, read).await? {
        Some(offers) => offers,
        None => Offers { is_too_long: true, ..Offers::default() },
    };
    if message.size.saturating_add(PART_HEADER_LEN) > room {
        offers.too_large.push(format!("the whole letter ({})", size(message.size)));
    } else {
        offers.files.push(Offered {
            number: WHOLE.to_owned(),
            name: String::new(),
            size: size(message.size),
            is_taken: if is_new { is_whole } else { form.take.iter().any(|part| part == WHOLE) },
        });
    }
    Ok(offers)
}

/// The files that the form takes from the message that it forwards.
///
/// # Errors
/// [`Problem::NotFound`] if the message or one of the parts is gone: the form would be sent without
/// it.
pub(super) async fn taken(site: &Site, form: &MessageForm) -> Result<Vec<Enclosure>, Problem> {
    if form.take.is_empty() {
        return Ok(Vec::new());
    }
    let (folder, uid) = reply_target(&form.forward).ok_or(Problem::BadRequest)?;
    let (message, summary) = message::find(site, folder, uid)?;
    let source = pinned(site, &message).await?;
    let mut taken = Vec::new();
    if form.take.iter().any(|part| part == WHOLE) {
        taken.push(whole(site, &message, &summary.subject, source.clone()).await?);
    }
    let numbers: Vec<usize> = form.take.iter().filter_map(|part| part.parse().ok()).collect();
    if !numbers.is_empty() {
        let node = site.node.clone();
        let read = move |message: &ParsedMessage| copies(&node, message, &source, &numbers);
        let parts = parsed(site, &message, read).await?.ok_or(Problem::NotFound)?;
        taken.extend(parts?.ok_or(Problem::NotFound)?);
    }
    Ok(taken)
}

/// The whole message as a file.
async fn whole(
    site: &Site,
    message: &Message,
    subject: &str,
    source: Pinned,
) -> Result<Enclosure, StoreError> {
    let name = match text::file_name(subject, NAME_LEN_MAX) {
        name if name.is_empty() => "message.eml".to_owned(),
        name => format!("{name}.eml"),
    };
    let (node, range) = (site.node.clone(), 0..message.size);
    try_blocking(move || Enclosure::message(&node, &name, source, range)).await
}

/// The parts of these numbers; `None` if one is missing.
#[allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]
fn copies(
    node: &Node,
    message: &ParsedMessage,
    source: &Pinned,
    numbers: &[usize],
) -> Result<Option<Vec<Enclosure>>, StoreError> {
    let offered = files(message);
    let mut copies = Vec::new();
    for number in numbers {
        let Some((id, _)) = offered.iter().find(|(id, _)| id.number() == *number) else {
            return Ok(None);
        };
        let name = saved_name(message, *id);
        let part = message.structure.part(*id);
        copies.push(if part.kind == Kind::Message {
            let range = part.body.start as u64..part.body.end as u64;
            Enclosure::message(node, &name, source.clone(), range)?
        } else {
            let decoded = message.structure.decoded(&message.bytes, *id);
            Enclosure::file(node, &name, node.blobs.put(&decoded.bytes)?)?
        });
    }
    Ok(Some(copies))
}
