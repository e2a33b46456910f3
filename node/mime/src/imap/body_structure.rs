//! Prints BODY and BODYSTRUCTURE (RFC 3501 7.4.2).

use super::envelope;
use super::print::Printer;
use crate::media::{Parameters, parametrised};
use crate::{Kind, PartId, Structure, header};

/// The messages inside a message that are printed with their envelope and body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelopes {
    /// message/rfc822 (RFC 3501 7.4.2).
    Rfc822,
    /// message/global too (RFC 9051 7.5.2).
    Global,
}

/// Prints the structure of a part of a message; `extended` is BODYSTRUCTURE, else BODY.
///
/// It recurses as deep as the structure is parsed: 50 levels.
pub fn print(out: &mut Printer, message: &[u8], structure: &Structure, id: PartId, extended: bool) {
    print_for(out, message, structure, id, extended, Envelopes::Rfc822);
}

/// As [`print()`], with the envelopes that the client takes.
pub fn print_for(
    out: &mut Printer,
    message: &[u8],
    structure: &Structure,
    id: PartId,
    extended: bool,
    envelopes: Envelopes,
) {
    let part = structure.part(id);
    let bytes = structure.header(message, id);
    if part.kind == Kind::Multipart {
        out.raw("(");
        for child in structure.children(id) {
            print_for(out, message, structure, child, extended, envelopes);
        }
        out.raw(" ").string(&part.media.subtype);
        if extended {
            out.raw(" ");
            parameters(out, &part.media.parameters);
            disposition_language_location(out, bytes);
        }
        out.raw(")");
        return;
    }
    let text = |name: &str| {
        header::first(bytes, name).map(header::unfold).filter(|value| !value.is_empty())
    };
    out.raw("(").string(&part.media.kind).raw(" ").string(&part.media.subtype).raw(" ");
    parameters(out, &part.media.parameters);
    out.raw(" ").nstring(text("content-id")).raw(" ").nstring(text("content-description")).raw(" ");
    let encoding = text("content-transfer-encoding")
        .map(|value| parametrised(&value).0)
        .filter(|value| !value.is_empty());
    out.string(encoding.as_deref().unwrap_or(b"7bit")).raw(" ").show(part.body.len());
    // IMAP4rev1 has envelope and body for MESSAGE/RFC822 alone, not for message/global (RFC 6532).
    let has_envelope = part.media.is("message", Some("rfc822"))
        || (envelopes == Envelopes::Global && part.media.is("message", Some("global")));
    let inner = structure.children(id).next().filter(|_| has_envelope);
    if let Some(inner) = inner {
        out.raw(" ");
        envelope::print(out, structure.header(message, inner));
        out.raw(" ");
        print_for(out, message, structure, inner, extended, envelopes);
    }
    if inner.is_some() || part.media.is("text", None) {
        out.raw(" ").show(part.lines);
    }
    if extended {
        out.raw(" ").nstring(text("content-md5"));
        disposition_language_location(out, bytes);
    }
    out.raw(")");
}

fn parameters(out: &mut Printer, parameters: &Parameters) {
    if parameters.is_empty() {
        out.raw("NIL");
        return;
    }
    out.list(parameters, |out, (name, value)| {
        out.string(name).raw(" ").string(value);
    });
}

/// The extension data at the end of both kinds of part.
fn disposition_language_location(out: &mut Printer, bytes: &[u8]) {
    out.raw(" ");
    match header::first(bytes, "content-disposition").map(parametrised) {
        Some((disposition, fields)) if !disposition.is_empty() => {
            out.raw("(").string(disposition).raw(" ");
            parameters(out, &fields);
            out.raw(")");
        }
        _ => {
            out.raw("NIL");
        }
    }
    out.raw(" ");
    let languages = header::first(bytes, "content-language").map(|value| parametrised(value).0);
    let languages: Vec<&[u8]> = languages
        .iter()
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|tag| !tag.is_empty())
        .collect();
    match languages.as_slice() {
        [] => out.raw("NIL"),
        [one] => out.string(one),
        many => out.list(many, |out, tag| {
            out.string(tag);
        }),
    };
    let location = header::first(bytes, "content-location")
        .map(header::unfold)
        .filter(|value| !value.is_empty());
    out.raw(" ").nstring(location);
}
