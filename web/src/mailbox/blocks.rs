//! The page of a message as blocks, in the order of the message: texts, frames with HTML, pictures,
//! messages inside the message; and its files.

mod source;

use std::collections::BTreeSet;

use freehold_mime::people;
use freehold_mime::structure::PartId;
use freehold_mime::{Content, Kind, Shown, Structure, content, date, header, html, word};
use source::{Item, Level, Source};

use super::file_names::{embedded_name, saved_name};
use super::links::{self, Run};
use super::named_people::joined;
use super::normalize::{HTML_READ_LEN_MAX, NormalizedHtml, normalize};
use super::parsed::ParsedMessage;
use super::part_path::{FilePath, PartPath};
use super::pictures::{self, Place};
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
        part: PartPath,
        /// Number of remote images that were left out.
        remote_images: usize,
        /// The height of the frame, in CSS pixels.
        height: usize,
    },
    /// The words of HTML that is over the limits of [`normalize`].
    TextOnly(Vec<Run>),
    /// A picture.
    Picture { part: PartPath, name: String, place: Place },
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
    pub(super) part: PartPath,
}

/// A file as the page lists it.
pub(super) struct Attachment {
    pub(super) path: FilePath,
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
        used: BTreeSet::new(),
        files: Vec::new(),
        related: Vec::new(),
        embedded: Vec::new(),
        text_left: TEXT_LEN_MAX,
        frames_left: FRAMES_MAX,
        out: Vec::new(),
    };
    page.walk(message);
    page.finish()
}

/// A part, and the message that it is in.
struct Found<'a> {
    source: Source<'a>,
    id: PartId,
}

impl Found<'_> {
    fn path(&self) -> PartPath {
        self.source.path(self.id)
    }
}

struct Page<'a> {
    /// Parts that are shown as pictures of HTML.
    used: BTreeSet<PartPath>,
    files: Vec<Found<'a>>,
    related: Vec<Found<'a>>,
    /// Files inside texts.
    embedded: Vec<Attachment>,
    text_left: usize,
    frames_left: usize,
    out: Vec<Block>,
}

impl<'a> Page<'a> {
    fn walk(&mut self, message: &'a ParsedMessage) {
        let content = Content::of(&message.bytes, &message.structure);
        let mut open = vec![self.begin(Source::Root(message), content)];
        while let Some(level) = open.last_mut() {
            let source = level.source.clone();
            let Some(next) = level.items.next() else {
                open.pop();
                if !open.is_empty() {
                    self.out.push(Block::End);
                }
                continue;
            };
            let found = Found { source, id: next.part() };
            if self.out.len() >= BLOCKS_MAX {
                self.files.push(found);
                continue;
            }
            match next {
                Item::Shown(Shown::Text(_)) => self.text(found),
                Item::Shown(Shown::Html(_)) => self.html(found),
                Item::Shown(Shown::Image(_)) => self.picture(found),
                Item::Shown(Shown::Message(_)) | Item::Encoded(_) if open.len() > DEPTH_MAX => {
                    self.files.push(found);
                }
                Item::Shown(Shown::Message(id)) => {
                    let message = found.source.message();
                    let inner = message.structure.children(id).next().unwrap_or(id);
                    let begin = inner_message(message, inner, found.path());
                    let content = Content::inside(&message.bytes, &message.structure, id);
                    self.out.push(Block::Begin(begin));
                    open.push(self.begin(found.source, content));
                }
                Item::Encoded(id) => match found.source.encoded(id) {
                    Some(source) => {
                        let message = source.message();
                        let begin = inner_message(message, Structure::ROOT, found.path());
                        let content = Content::of(&message.bytes, &message.structure);
                        self.out.push(Block::Begin(begin));
                        open.push(self.begin(source, content));
                    }
                    None => self.files.push(found),
                },
            }
        }
    }

    /// Begins a message: what is shown of it, and its encoded messages in their places.
    fn begin(&mut self, source: Source<'a>, content: Content) -> Level<'a> {
        let found = |id: &PartId| Found { source: source.clone(), id: *id };
        self.related.extend(content.related.iter().map(found));
        let (encoded, files): (Vec<PartId>, Vec<PartId>) =
            content.files.into_iter().partition(|id| source.is_encoded_message(*id));
        self.files.extend(files.iter().map(found));
        Level { items: source::items(content.shown, encoded), source }
    }

    fn text(&mut self, found: Found<'a>) {
        let message = found.source.message();
        // Encoded text is longer than decoded text.
        let read_len = self.text_left.saturating_mul(2);
        let text = content::text_of(&message.bytes, &message.structure, found.id, read_len);
        let is_read = message.structure.part(found.id).body.len() <= read_len;
        let (runs, is_whole) = self.runs(&text);
        let embedded = content::embedded(&message.bytes, &message.structure, found.id);
        if !runs.is_empty() || is_whole && embedded.is_empty() {
            self.out.push(Block::Text(runs));
        }
        let embedded = embedded.iter().enumerate().map(|(number, file)| Attachment {
            path: FilePath { part: found.path(), embedded: Some(number) },
            name: embedded_name(file, number),
            size: size(file.bytes.len() as u64),
        });
        self.embedded.extend(embedded);
        if !is_read || !is_whole {
            self.files.push(found);
        }
    }

    /// The runs of a text, cut to the length that is left, and whether they are all of it.
    fn runs(&mut self, text: &str) -> (Vec<Run>, bool) {
        let text = text.trim_end().replace("\r\n", "\n");
        let cut = text.get(..text.floor_char_boundary(self.text_left)).unwrap_or_default();
        self.text_left = self.text_left.saturating_sub(cut.len());
        (links::runs(cut), cut.len() == text.len())
    }

    fn html(&mut self, found: Found<'a>) {
        let message = found.source.message();
        let html =
            content::html_of(&message.bytes, &message.structure, found.id, HTML_READ_LEN_MAX);
        let is_whole = message.structure.part(found.id).body.len() <= HTML_READ_LEN_MAX;
        let normalized = (is_whole && self.frames_left > 0)
            .then(|| normalize(&html, &found.source.pictures(found.id)))
            .flatten();
        match normalized {
            Some(html) => {
                self.frames_left = self.frames_left.saturating_sub(1);
                self.out.push(Block::Html {
                    part: found.path(),
                    remote_images: html.remote_images,
                    height: frame_height(message, &html),
                });
                let part = |number: &usize| message.structure.id(*number);
                let pictures = html.pictures.iter().filter_map(part);
                self.used.extend(pictures.map(|id| found.source.path(id)));
            }
            None => {
                let plain = plain_alternative(message, found.id);
                let words = plain.unwrap_or_else(|| html::to_plain(&html));
                let (runs, _) = self.runs(&words);
                self.out.push(Block::TextOnly(runs));
                self.files.push(found);
            }
        }
    }

    fn picture(&mut self, found: Found<'a>) {
        let message = found.source.message();
        let is_picture = pictures::part_media_type(message, found.id).is_some();
        match found.source.place(found.id).filter(|_| is_picture) {
            Some(place) => {
                let name = content::file_name(&message.bytes, &message.structure, found.id);
                self.out.push(Block::Picture { part: found.path(), name, place });
            }
            None => self.files.push(found),
        }
    }

    fn finish(mut self) -> Blocks {
        // A picture that HTML shows is not shown again.
        let used = &self.used;
        self.out
            .retain(|block| !matches!(block, Block::Picture { part, .. } if used.contains(part)));
        // A picture that no HTML shows is a file.
        let unused = self.related.into_iter().filter(|found| !used.contains(&found.path()));
        self.files.extend(unused);
        self.files.sort_by_key(Found::path);
        self.files.dedup_by_key(|found| found.path());
        let attachments = self.files.iter().map(|found| {
            let message = found.source.message();
            let decoded = message.structure.decoded(&message.bytes, found.id);
            Attachment {
                path: FilePath { part: found.path(), embedded: None },
                name: saved_name(message, found.id),
                size: size(decoded.bytes.len() as u64),
            }
        });
        let mut attachments: Vec<Attachment> = attachments.chain(self.embedded).collect();
        attachments.sort_by(|one, other| one.path.cmp(&other.path));
        Blocks { attachments, blocks: self.out }
    }
}

/// The height of a frame where scripts are switched off and the page can't measure its content:
/// lines are counted.
fn frame_height(message: &ParsedMessage, html: &NormalizedHtml) -> usize {
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
    let picture =
        |part: &usize| pictures::height_in(message, *part, COLUMN_WIDTH).unwrap_or(PICTURE_HEIGHT);
    let pictures = html.pictures.iter().map(picture).fold(0, usize::saturating_add);
    lines
        .saturating_add(chars / CHARS_PER_LINE)
        .saturating_add(1)
        .saturating_mul(LINE_HEIGHT)
        .saturating_add(pictures)
        .clamp(FRAME_HEIGHT_MIN, FRAME_HEIGHT_MAX)
}

/// The plain text that says the same as an HTML text.
fn plain_alternative(message: &ParsedMessage, id: PartId) -> Option<String> {
    let structure = &message.structure;
    let mut inner = structure.part(id);
    while let Some(parent) = inner.parent {
        inner = structure.part(parent);
        match inner.kind {
            Kind::Multipart if inner.media.is("multipart", Some("alternative")) => {
                let is_plain = |id: &PartId| structure.part(*id).media.is("text", Some("plain"));
                let plain = structure.children(parent).find(is_plain)?;
                let bytes = &message.bytes;
                return Some(content::text_of(bytes, structure, plain, TEXT_LEN_MAX));
            }
            Kind::Multipart => {}
            Kind::Leaf | Kind::Message => return None,
        }
    }
    None
}

/// The head of a message inside the message, of which `inner` is the root.
fn inner_message(message: &ParsedMessage, inner: PartId, part: PartPath) -> InnerMessage {
    let fields = message.structure.header(&message.bytes, inner);
    let charset = content::main_charset(&message.structure);
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
        part,
    }
}

/// True if the structure has the part and it is HTML.
pub(super) fn is_html(structure: &Structure, id: PartId) -> bool {
    structure.part(id).kind == Kind::Leaf && structure.part(id).media.is("text", Some("html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuencoded_files_of_a_text_are_listed() {
        let code = "begin 664 test.txt\r\n#0V%T\r\n`\r\nend\r\n";
        let other = code.replace("test.txt", "../b\u{202e}.sh");
        let long =
            format!("begin 644 c\n{}`\nend\n", format!("M{}\n", "!".repeat(60)).repeat(40_000));
        let message = format!(
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n\
             --b\r\n\r\none\r\n{code}two\r\n{other}\r\n\
             --b\r\nContent-Type: image/tiff; name=a.tiff\r\n\r\nx\r\n\
             --b\r\n\r\n{long}\r\n--b--\r\n"
        );
        let page = blocks(&ParsedMessage::of(message.into_bytes()));
        let files: Vec<String> = page
            .attachments
            .iter()
            .map(|file| format!("{} {} {}", file.path, file.name, file.size))
            .collect();
        assert_eq!(
            files,
            [
                "1u0 test.txt 3 bytes",
                "1u1 b.sh 3 bytes",
                "2 a.tiff 1 byte",
                "3 file 3.txt 2.4 MB",
                "3u0 c 1.8 MB"
            ]
        );
        let Some(Block::Text(runs)) = page.blocks.first() else { panic!("no text") };
        let text: String = runs.iter().map(|run| run.text.as_str()).collect();
        assert_eq!(text, "one\ntwo");
    }
}
