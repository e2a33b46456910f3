//! The parts of a message that a person sees: texts, pictures and messages in their order, and
//! files (RFC 2046 5.1, RFC 2387, RFC 8621 4.1.4).

use std::borrow::Cow;

use crate::encoding::{self, Encoding};
use crate::enriched::{self, Form};
use crate::media::{self, Parameters};
use crate::structure::{Kind, Part, PartId, Structure};
use crate::{charset, flowed, header, html, text, uuencoded};

/// Text types that are data for programs, and so are files.
const DATA: [&str; 6] = ["calendar", "vcard", "x-vcard", "directory", "csv", "xml"];
/// Alternatives that only their own sender's programs show.
const PRIVATE: [&str; 2] = ["x-amp-html", "watch-html"];
/// Types of `message/` that are lines of text.
const REPORTS: [&str; 5] = [
    "delivery-status",
    "global-delivery-status",
    "disposition-notification",
    "global-disposition-notification",
    "feedback-report",
];
/// How much of an alternative is searched for words, in encoded bytes. A longer one counts as full.
const SEARCHED_LEN_MAX: usize = 256 * 1024;
/// Longest file name, in bytes.
const FILE_NAME_LEN_MAX: usize = 200;

/// A part that is shown in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Plain text.
    Text(PartId),
    /// HTML.
    Html(PartId),
    /// A picture.
    Image(PartId),
    /// A message inside the message: the part of kind [`Kind::Message`].
    Message(PartId),
}

/// The parts of a message that a person sees. Each part is in at most one of the lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// The parts that are shown, in order.
    pub shown: Vec<Shown>,
    /// The parts that are files.
    pub files: Vec<PartId>,
    /// Parts that HTML refers to (RFC 2387), such as its pictures. One that no HTML refers to is a
    /// file.
    pub related: Vec<PartId>,
}

impl Content {
    /// The content of a whole message.
    pub fn of(message: &[u8], structure: &Structure) -> Self {
        Self::below(message, structure, Structure::ROOT)
    }

    /// The content of the message inside a part of kind [`Kind::Message`]; empty for other parts.
    pub fn inside(message: &[u8], structure: &Structure, part: PartId) -> Self {
        match structure.part(part).kind {
            Kind::Message => structure.children(part).next(),
            Kind::Leaf | Kind::Multipart => None,
        }
        .map(|inner| Self::below(message, structure, inner))
        .unwrap_or_default()
    }

    fn below(message: &[u8], structure: &Structure, root: PartId) -> Self {
        let mut reader = Reader { message, structure, content: Self::default() };
        reader.walk(root);
        reader.content
    }
}

/// The decoded text of a part as it is shown: flowed lines joined, without the commands of enriched
/// text and without the code of the [`embedded`] files. At most `len_max` encoded bytes are read.
pub fn text_of(message: &[u8], structure: &Structure, id: PartId, len_max: usize) -> String {
    let mut decoded = decoded(message, structure, id, len_max);
    if is_plain(structure.part(id)) {
        let is_cut = structure.body(message, id).len() > len_max;
        decoded.0 = uuencoded::without(decoded.0, is_cut);
    }
    text_from(structure.part(id), decoded)
}

/// The same with the code of embedded files.
pub(crate) fn whole_text_of(
    message: &[u8],
    structure: &Structure,
    id: PartId,
    len_max: usize,
) -> String {
    text_from(structure.part(id), decoded(message, structure, id, len_max))
}

fn text_from(part: &Part, decoded: (Cow<'_, [u8]>, &[u8])) -> String {
    let label = part.media.parameter("charset");
    let mut text = charset::decode(&decoded.0, label.as_deref()).into_owned();
    let is = |name: &str, value: &str| {
        part.media.parameter(name).is_some_and(|found| found.trim().eq_ignore_ascii_case(value))
    };
    if part.media.is("text", Some("plain")) && is("format", "flowed") {
        text = flowed::join(&text, is("delsp", "yes"));
    } else if part.media.is("text", Some("enriched")) {
        text = enriched::to_text(&text, Form::Enriched);
    } else if part.media.is("text", Some("richtext")) {
        text = enriched::to_text(&text, Form::Richtext);
    }
    if !decoded.1.is_empty() {
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&charset::decode(decoded.1, None));
    }
    text
}

fn is_plain(part: &Part) -> bool {
    part.kind == Kind::Leaf && part.media.is("text", Some("plain"))
}

/// A file in uuencoded form inside a text.
#[derive(Debug, PartialEq, Eq)]
pub struct Embedded {
    /// Its name, safe to show and to save; may be empty.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The files inside a plain text, in order. The structure does not know them.
pub fn embedded(message: &[u8], structure: &Structure, id: PartId) -> Vec<Embedded> {
    let part = structure.part(id);
    if !is_plain(part) {
        return Vec::new();
    }
    let text = structure.decoded(message, id).bytes;
    let label = part.media.parameter("charset");
    let file = |code: uuencoded::Code<'_>| {
        let name = charset::decode(code.name, label.as_deref());
        let lines = text.get(code.range).unwrap_or_default();
        Embedded {
            name: text::file_name(&name, FILE_NAME_LEN_MAX),
            bytes: encoding::decode(lines, Encoding::Uuencode).bytes.into_owned(),
        }
    };
    uuencoded::codes(&text, false).into_iter().map(file).collect()
}

/// The decoded HTML of a part. At most `len_max` encoded bytes are read.
pub fn html_of(message: &[u8], structure: &Structure, id: PartId, len_max: usize) -> String {
    let decoded = decoded(message, structure, id, len_max).0;
    let label = structure.part(id).media.parameter("charset");
    charset::decode_html(&decoded, label.as_deref()).into_owned()
}

fn decoded<'a>(
    message: &'a [u8],
    structure: &Structure,
    id: PartId,
    len_max: usize,
) -> (Cow<'a, [u8]>, &'a [u8]) {
    let body = structure.body(message, id);
    let body = body.get(..len_max).unwrap_or(body);
    let decoded = encoding::decode(body, structure.encoding(message, id));
    (decoded.bytes, decoded.footer)
}

/// The name of a part as a file, safe to show and to save; empty if it has none. The disposition
/// wins over the type (RFC 2183 2.3).
pub fn file_name(message: &[u8], structure: &Structure, id: PartId) -> String {
    let charset = main_charset(structure);
    let charset = charset.as_deref();
    let disposition = disposition(message, structure, id).1;
    let name = media::parameter(&disposition, "filename", charset)
        .or_else(|| media::parameter(&structure.part(id).media.parameters, "name", charset))
        .or_else(|| media::parameter(&disposition, "name", charset));
    text::file_name(&name.unwrap_or_default(), FILE_NAME_LEN_MAX)
}

/// The `Content-Disposition` of a part in lower case, with its parameters.
fn disposition(message: &[u8], structure: &Structure, id: PartId) -> (Vec<u8>, Parameters) {
    let field = header::first(structure.header(message, id), "content-disposition");
    let (value, parameters) = field.map(media::parametrised).unwrap_or_default();
    (value.to_ascii_lowercase(), parameters)
}

/// The charset of the first text of a message: raw 8-bit header fields are in the same.
pub fn main_charset(structure: &Structure) -> Option<String> {
    let parts = structure.ids().map(|id| structure.part(id));
    let mut texts = parts.filter(|part| part.kind == Kind::Leaf && part.media.is("text", None));
    texts.next()?.media.parameter("charset")
}

struct Reader<'a> {
    message: &'a [u8],
    structure: &'a Structure,
    content: Content,
}

impl Reader<'_> {
    fn walk(&mut self, root: PartId) {
        // Whether a part comes first in its multipart decides if a text with a name is shown.
        let mut todo = vec![(root, true)];
        let has_words = self.words(root);
        while let Some((id, is_first)) = todo.pop() {
            let part = self.structure.part(id);
            match part.kind {
                Kind::Leaf => self.leaf(id, is_first),
                Kind::Message => self.content.shown.push(Shown::Message(id)),
                Kind::Multipart if part.media.is("multipart", Some("alternative")) => {
                    let chosen = self.choose(id, &has_words);
                    for other in self.structure.children(id).filter(|other| Some(*other) != chosen)
                    {
                        self.files_of(other);
                    }
                    todo.extend(chosen.map(|chosen| (chosen, true)));
                }
                Kind::Multipart if part.media.is("multipart", Some("related")) => {
                    let start = self.start(id);
                    let others = self.structure.children(id).filter(|other| Some(*other) != start);
                    let others: Vec<PartId> = others.collect();
                    for other in others {
                        let leaves = self.leaves(other);
                        self.content.related.extend(leaves);
                    }
                    todo.extend(start.map(|start| (start, true)));
                }
                Kind::Multipart => {
                    let children: Vec<PartId> = self.structure.children(id).collect();
                    let numbered = children.into_iter().enumerate().rev();
                    todo.extend(numbered.map(|(at, child)| (child, at == 0)));
                }
            }
        }
    }

    fn leaf(&mut self, id: PartId, is_first: bool) {
        let part = self.structure.part(id);
        let (disposition, parameters) = disposition(self.message, self.structure, id);
        let is_attachment = disposition == b"attachment";
        let has_name = media::parameter(&parameters, "filename", None)
            .or_else(|| part.media.parameter("name"))
            .is_some_and(|name| !name.is_empty());
        let is_any = |kind: &str, subtypes: &[&str]| {
            subtypes.iter().any(|subtype| part.media.is(kind, Some(subtype)))
        };
        let shown = if is_attachment {
            None
        } else if part.media.is("text", Some("html")) && (is_first || !has_name) {
            Some(Shown::Html(id))
        } else if part.media.is("text", None) && !is_any("text", &DATA) && (is_first || !has_name)
            || is_any("message", &REPORTS)
        {
            Some(Shown::Text(id))
        } else if part.media.is("image", None) {
            Some(Shown::Image(id))
        } else {
            None
        };
        match shown {
            Some(shown) => self.content.shown.push(shown),
            None => self.content.files.push(id),
        }
    }

    /// The files among the parts of an alternative that is not shown.
    fn files_of(&mut self, id: PartId) {
        for leaf in self.leaves(id) {
            let part = self.structure.part(leaf);
            let is_words = part.media.is("text", None)
                && !DATA.iter().any(|subtype| part.media.is("text", Some(subtype)));
            let is_private = PRIVATE.iter().any(|subtype| part.media.is("text", Some(subtype)));
            if !is_private && (!is_words || self.is_attachment(leaf)) {
                self.content.files.push(leaf);
            }
        }
    }

    fn is_attachment(&self, id: PartId) -> bool {
        disposition(self.message, self.structure, id).0 == b"attachment"
    }

    /// The leaves and messages of a part, without those inside its messages.
    fn leaves(&self, id: PartId) -> Vec<PartId> {
        let mut leaves = Vec::new();
        let mut todo = vec![id];
        while let Some(id) = todo.pop() {
            match self.structure.part(id).kind {
                Kind::Leaf | Kind::Message => leaves.push(id),
                Kind::Multipart => {
                    let children: Vec<PartId> = self.structure.children(id).collect();
                    todo.extend(children.into_iter().rev());
                }
            }
        }
        leaves
    }

    /// The last alternative with words (RFC 2046 5.1.4).
    fn choose(&self, id: PartId, has_words: &[PartId]) -> Option<PartId> {
        let children: Vec<PartId> = self.structure.children(id).collect();
        let has_words = |child: &PartId| {
            let from = has_words.partition_point(|with_words| with_words < child);
            has_words.get(from).is_some_and(|found| self.structure.contains(*child, *found))
        };
        let is_text = |child: &PartId| {
            self.structure.part(*child).media.is("text", None) && !self.is_attachment(*child)
        };
        let chosen = children.iter().rev().find(|child| has_words(child));
        chosen
            .or_else(|| children.iter().rev().find(|child| is_text(child)))
            .or(children.last())
            .copied()
    }

    /// The root of a `multipart/related` (RFC 2387 3.2): the part that `start` names, else the
    /// first text, else the first part.
    fn start(&self, id: PartId) -> Option<PartId> {
        let children: Vec<PartId> = self.structure.children(id).collect();
        let start = self.structure.part(id).media.parameter("start");
        let start = start.map(|start| content_id(start.as_bytes()));
        let named = start.and_then(|start| {
            children.iter().find(|child| self.content_id(**child).as_ref() == Some(&start))
        });
        let is_text = |part: &Part| part.media.is("text", None) || part.media.is("multipart", None);
        let first_text = || children.iter().find(|child| is_text(self.structure.part(**child)));
        named.or_else(first_text).or(children.first()).copied()
    }

    fn content_id(&self, id: PartId) -> Option<Vec<u8>> {
        header::first(self.structure.header(self.message, id), "content-id").map(content_id)
    }

    /// The texts with words among the parts of `root`, in order.
    fn words(&self, root: PartId) -> Vec<PartId> {
        let has_words = |id: &PartId| {
            let part = self.structure.part(*id);
            if part.kind != Kind::Leaf
                || !part.media.is("text", None)
                || !self.structure.contains(root, *id)
            {
                return false;
            }
            let is_data = DATA.iter().chain(&PRIVATE).any(|s| part.media.is("text", Some(s)));
            if is_data || self.is_attachment(*id) {
                return false;
            }
            if part.body.len() > SEARCHED_LEN_MAX {
                return true;
            }
            if part.media.is("text", Some("html")) {
                return !html::is_blank(&html_of(
                    self.message,
                    self.structure,
                    *id,
                    SEARCHED_LEN_MAX,
                ));
            }
            let text = text_of(self.message, self.structure, *id, SEARCHED_LEN_MAX);
            text.contains(|c: char| !c.is_whitespace())
        };
        let is_chosen = self
            .structure
            .ids()
            .any(|id| self.structure.part(id).media.is("multipart", Some("alternative")));
        if is_chosen { self.structure.ids().filter(has_words).collect() } else { Vec::new() }
    }
}

/// A `Content-ID` (RFC 2392) without its brackets.
pub fn content_id(value: &[u8]) -> Vec<u8> {
    let value = header::unfold(value);
    let inside = value.strip_prefix(b"<").unwrap_or(&value);
    inside.strip_suffix(b">").unwrap_or(inside).trim_ascii().to_vec()
}

#[cfg(test)]
mod tests;
