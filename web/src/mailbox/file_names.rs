//! Names of the files of a message.

use freehold_mime::content::Embedded;
use freehold_mime::media::Media;
use freehold_mime::structure::PartId;
use freehold_mime::{Kind, content, header, word};

use super::parsed::ParsedMessage;

/// The name under which a part is saved.
pub(super) fn saved_name(message: &ParsedMessage, id: PartId) -> String {
    shown_name(message, id).unwrap_or_else(|| unnamed(message, id))
}

/// The name under which a file inside a text is saved, of which `number` is the place.
pub(super) fn embedded_name(file: &Embedded, number: usize) -> String {
    if file.name.is_empty() { format!("enclosed {number}") } else { file.name.clone() }
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
