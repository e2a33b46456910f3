//! The page of a message as blocks, in the order of the message: texts, frames with HTML, pictures,
//! messages inside the message; and its files.

use std::collections::BTreeSet;

use freehold_mime::media::Media;
use freehold_mime::people::{self, Person};
use freehold_mime::structure::PartId;
use freehold_mime::{Content, Kind, Shown, Structure, content, date, header, html, word};

use super::links::{self, Run};
use super::normalize::{HTML_READ_LEN_MAX, NormalizedHtml, normalize};
use super::parsed::ParsedMessage;
use super::pictures::{self, Pictures, Place};
use crate::dates;
use crate::sizes::size;

/// All texts of a message together, in bytes; what is longer is a file.
const TEXT_LEN_MAX: usize = 512 * 1024;
/// Most blocks of one page; the rest of the parts are files.
const BLOCKS_MAX: usize = 200;
/// Most frames of one page: each parses the message again.
const FRAMES_MAX: usize = 8;
/// Deepest nesting of messages that are shown in place.
const DEPTH_MAX: usize = 5;
/// Most people that are named; the rest are counted.
const NAMED_MAX: usize = 8;
/// Longest line of a header that is shown, in bytes.
const LINE_LEN_MAX: usize = 500;
/// The height of a line of HTML, in CSS pixels, and the characters in it.
const LINE_HEIGHT: usize = 28;
const CHARS_PER_LINE: usize = 62;
/// The width of the column, and the height of a picture whose height is not known.
const COLUMN_WIDTH: usize = 600;
const PICTURE_HEIGHT: usize = 320;
const FRAME_HEIGHT_MIN: usize = 120;
const FRAME_HEIGHT_MAX: usize = 12_000;

/// One block.
pub(super) enum Block {
    /// Plain text.
    Text(Vec<Run>),
    /// HTML, shown in a frame.
    Html {
        part: usize,
        /// Number of remote images that were left out.
        remote_images: usize,
        /// The height of the frame, in CSS pixels.
        height: usize,
    },
    /// The words of HTML that is over the limits of [`normalize`].
    TextOnly(Vec<Run>),
    /// A picture.
    Picture { part: usize, name: String, place: Place },
    /// The beginning of a message inside the message.
    Begin(InnerMessage),
    /// Its end.
    End,
}

/// The head of a message inside the message.
pub(super) struct InnerMessage {
    pub(super) subject: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) written: String,
    /// Its part, to save it.
    pub(super) part: usize,
}

/// A file as the page lists it.
pub(super) struct Attachment {
    /// The number of its part.
    pub(super) part: usize,
    pub(super) name: String,
    pub(super) size: String,
}

/// The content of a message for its page.
#[derive(Default)]
pub(super) struct Blocks {
    pub(super) blocks: Vec<Block>,
    pub(super) attachments: Vec<Attachment>,
}

/// The blocks of a message.
pub(super) fn blocks(message: &ParsedMessage) -> Blocks {
    let mut page = Page {
        message,
        used: BTreeSet::new(),
        files: Vec::new(),
        related: Vec::new(),
        text_left: TEXT_LEN_MAX,
        frames_left: FRAMES_MAX,
        out: Vec::new(),
    };
    page.walk();
    page.finish()
}

struct Page<'a> {
    message: &'a ParsedMessage,
    /// Parts that are shown as pictures of HTML.
    used: BTreeSet<usize>,
    files: Vec<PartId>,
    related: Vec<PartId>,
    text_left: usize,
    frames_left: usize,
    out: Vec<Block>,
}

impl Page<'_> {
    fn walk(&mut self) {
        let (bytes, structure) = (&self.message.bytes, &self.message.structure);
        let mut open = vec![self.begin(Content::of(bytes, structure))];
        while let Some(shown) = open.last_mut() {
            let Some(next) = shown.next() else {
                open.pop();
                if !open.is_empty() {
                    self.out.push(Block::End);
                }
                continue;
            };
            if self.out.len() >= BLOCKS_MAX {
                self.files.push(part_of(next));
                continue;
            }
            match next {
                Shown::Text(id) => self.text(id),
                Shown::Html(id) => self.html(id),
                Shown::Image(id) => self.picture(id),
                Shown::Message(id) if open.len() > DEPTH_MAX => self.files.push(id),
                Shown::Message(id) => {
                    let inner = self.inner(id);
                    self.out.push(Block::Begin(inner));
                    open.push(self.begin(Content::inside(bytes, structure, id)));
                }
            }
        }
    }

    fn begin(&mut self, content: Content) -> std::vec::IntoIter<Shown> {
        self.files.extend(content.files);
        self.related.extend(content.related);
        content.shown.into_iter()
    }

    fn text(&mut self, id: PartId) {
        let (bytes, structure) = (&self.message.bytes, &self.message.structure);
        // Encoded text is longer than decoded text.
        let read_len = self.text_left.saturating_mul(2);
        let text = content::text_of(bytes, structure, id, read_len);
        let is_read = structure.part(id).body.len() <= read_len;
        let (runs, is_whole) = self.runs(&text);
        if !is_read || !is_whole {
            self.files.push(id);
        }
        if !runs.is_empty() || is_whole {
            self.out.push(Block::Text(runs));
        }
    }

    /// The runs of a text, cut to the length that is left, and whether they are all of it.
    fn runs(&mut self, text: &str) -> (Vec<Run>, bool) {
        let text = text.trim_end().replace("\r\n", "\n");
        let cut = text.get(..text.floor_char_boundary(self.text_left)).unwrap_or_default();
        self.text_left = self.text_left.saturating_sub(cut.len());
        (links::runs(cut), cut.len() == text.len())
    }

    fn html(&mut self, id: PartId) {
        let (bytes, structure) = (&self.message.bytes, &self.message.structure);
        let source = content::html_of(bytes, structure, id, HTML_READ_LEN_MAX);
        let is_whole = structure.part(id).body.len() <= HTML_READ_LEN_MAX;
        let normalized = normalize(&source, &Pictures::of(self.message, id));
        match normalized.filter(|_| is_whole && self.frames_left > 0) {
            Some(html) => {
                self.frames_left = self.frames_left.saturating_sub(1);
                self.out.push(Block::Html {
                    part: id.number(),
                    remote_images: html.remote_images,
                    height: self.frame_height(&html),
                });
                self.used.extend(html.pictures);
            }
            None => {
                self.files.push(id);
                let plain = self.plain_alternative(id);
                let words = plain.unwrap_or_else(|| html::to_plain(&source));
                let (runs, _) = self.runs(&words);
                self.out.push(Block::TextOnly(runs));
            }
        }
    }

    /// The height of a frame. Without scripts a page can't measure the frame's content, so its
    /// lines are counted.
    fn frame_height(&self, html: &NormalizedHtml) -> usize {
        let (mut chars, mut lines) = (0usize, 0usize);
        for piece in html.as_str().split('<') {
            let (tag, text) = piece.split_once('>').unwrap_or(("", piece));
            chars = chars.saturating_add(text.trim().chars().count());
            let counted = match tag.split([' ', '/']).next().unwrap_or_default() {
                "p" | "blockquote" | "h1" | "h2" | "h3" | "ul" | "ol" | "table" => 2,
                "br" | "div" | "tr" | "li" => 1,
                _ => 0,
            };
            lines = lines.saturating_add(counted);
        }
        let picture = |part: &usize| {
            pictures::height_in(self.message, *part, COLUMN_WIDTH).unwrap_or(PICTURE_HEIGHT)
        };
        let pictures = html.pictures.iter().map(picture).fold(0, usize::saturating_add);
        lines
            .saturating_add(chars / CHARS_PER_LINE)
            .saturating_add(1)
            .saturating_mul(LINE_HEIGHT)
            .saturating_add(pictures)
            .clamp(FRAME_HEIGHT_MIN, FRAME_HEIGHT_MAX)
    }

    /// The plain text that says the same as an HTML text.
    fn plain_alternative(&self, id: PartId) -> Option<String> {
        let structure = &self.message.structure;
        let mut inner = structure.part(id);
        while let Some(parent) = inner.parent {
            inner = structure.part(parent);
            match inner.kind {
                Kind::Multipart if inner.media.is("multipart", Some("alternative")) => {
                    let is_plain =
                        |id: &PartId| structure.part(*id).media.is("text", Some("plain"));
                    let plain = structure.children(parent).find(is_plain)?;
                    let bytes = &self.message.bytes;
                    return Some(content::text_of(bytes, structure, plain, TEXT_LEN_MAX));
                }
                Kind::Multipart => {}
                Kind::Leaf | Kind::Message => return None,
            }
        }
        None
    }

    fn picture(&mut self, id: PartId) {
        if pictures::part_media_type(self.message, id).is_none() {
            return self.files.push(id);
        }
        let name = content::file_name(&self.message.bytes, &self.message.structure, id);
        let part = id.number();
        let place = Place::of(self.message, part);
        self.out.extend(place.map(|place| Block::Picture { part, name, place }));
    }

    fn inner(&self, id: PartId) -> InnerMessage {
        let structure = &self.message.structure;
        let inner = structure.children(id).next().unwrap_or(id);
        let fields = structure.header(&self.message.bytes, inner);
        let charset = content::main_charset(structure);
        let charset = charset.as_deref();
        let subject = header::first(fields, "subject").unwrap_or_default();
        let subject = freehold_mime::text::one_line(&word::decode(subject, charset), LINE_LEN_MAX);
        InnerMessage {
            subject: if subject.is_empty() { "No subject".to_owned() } else { subject },
            from: joined(&people::of(fields, "from", charset)),
            to: joined(&people::of(fields, "to", charset)),
            written: header::first(fields, "date")
                .and_then(date::parse)
                .and_then(dates::written)
                .unwrap_or_default(),
            part: id.number(),
        }
    }

    fn finish(mut self) -> Blocks {
        // A picture that HTML shows is not shown again.
        let used = &self.used;
        self.out
            .retain(|block| !matches!(block, Block::Picture { part, .. } if used.contains(part)));
        // A picture that no HTML shows is a file.
        let unused = self.related.iter().filter(|id| !self.used.contains(&id.number()));
        self.files.extend(unused);
        self.files.sort();
        self.files.dedup();
        let attachments = self.files.iter().map(|id| Attachment {
            part: id.number(),
            name: saved_name(self.message, *id),
            size: size(self.message.structure.decoded(&self.message.bytes, *id).bytes.len() as u64),
        });
        Blocks { attachments: attachments.collect(), blocks: self.out }
    }
}

/// The people in one line; empty for nobody.
pub(super) fn joined(people: &[Person]) -> String {
    let named: Vec<String> = people.iter().take(NAMED_MAX).map(person).collect();
    match people.len().saturating_sub(NAMED_MAX) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// A person by the name; with the address, if the name could be taken for another person's address
/// or for several names.
fn person(person: &Person) -> String {
    if person.name.contains(['@', ',', ';', '<']) {
        full(person)
    } else {
        person.shown().to_owned()
    }
}

/// A person by name and address.
pub(super) fn full(person: &Person) -> String {
    match (person.name.is_empty(), person.address.is_empty()) {
        (false, false) => format!("“{}” {}", person.name, person.address),
        _ => person.shown().to_owned(),
    }
}

fn part_of(shown: Shown) -> PartId {
    match shown {
        Shown::Text(id) | Shown::Html(id) | Shown::Image(id) | Shown::Message(id) => id,
    }
}

/// The name under which a part is saved.
pub(super) fn saved_name(message: &ParsedMessage, id: PartId) -> String {
    shown_name(message, id).unwrap_or_else(|| unnamed(message, id))
}

/// The name that the sender gave to a file; of a message its subject.
fn shown_name(message: &ParsedMessage, id: PartId) -> Option<String> {
    let structure = &message.structure;
    let name = content::file_name(&message.bytes, structure, id);
    if !name.is_empty() {
        return Some(name);
    }
    let inner =
        structure.children(id).next().filter(|_| structure.part(id).kind == Kind::Message)?;
    let subject = header::first(structure.header(&message.bytes, inner), "subject")?;
    let subject = freehold_mime::text::file_name(&word::decode(subject, None), 100);
    (!subject.is_empty()).then(|| format!("{subject}.eml"))
}

/// A name for a file without one: its number in the message and what the sender says it is.
fn unnamed(message: &ParsedMessage, id: PartId) -> String {
    let fields = message.structure.header(&message.bytes, id);
    let media = header::first(fields, "content-type").map(Media::parse);
    let media = media.unwrap_or_else(|| message.structure.part(id).media.clone());
    let known = [
        ("text", "plain", ".txt"),
        ("text", "html", ".html"),
        ("text", "calendar", ".ics"),
        ("text", "csv", ".csv"),
        ("image", "png", ".png"),
        ("image", "jpeg", ".jpg"),
        ("image", "gif", ".gif"),
        ("image", "webp", ".webp"),
        ("application", "pdf", ".pdf"),
        ("application", "zip", ".zip"),
        ("application", "json", ".json"),
        ("text", "xml", ".xml"),
        ("text", "vcard", ".vcf"),
        ("image", "svg+xml", ".svg"),
        ("image", "bmp", ".bmp"),
        ("image", "tiff", ".tif"),
        ("message", "rfc822", ".eml"),
    ];
    let known = known.iter().find(|(kind, subtype, _)| media.is(kind, Some(subtype)));
    format!("file {}{}", id.number(), known.map_or("", |(.., extension)| extension))
}

/// True if the structure has the part and it is HTML.
pub(super) fn is_html(structure: &Structure, id: PartId) -> bool {
    structure.part(id).kind == Kind::Leaf && structure.part(id).media.is("text", Some("html"))
}
