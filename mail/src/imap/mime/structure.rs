//! Prints BODY and BODYSTRUCTURE (RFC 3501 7.4.2).

use super::super::print::Printer;
use super::media::parametrised;
use super::{Kind, Part, envelope, header};

/// Prints the structure of `part` of `message`; `extended` is BODYSTRUCTURE, else BODY.
pub(crate) fn print(out: &mut Printer, message: &[u8], part: &Part, extended: bool) {
    let bytes = message.get(part.header.clone()).unwrap_or_default();
    match &part.kind {
        Kind::Multipart(children) => {
            out.raw("(");
            for child in children {
                print(out, message, child, extended);
            }
            if children.is_empty() {
                // The grammar requires at least one part.
                out.raw("(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 0 0)");
            }
            out.raw(" ").string(&part.media.subtype);
            if extended {
                out.raw(" ");
                parameters(out, &part.media.parameters);
                disposition_language_location(out, bytes);
            }
            out.raw(")");
        }
        kind => {
            let text = |name: &str| {
                header::first(bytes, name).map(header::unfold).filter(|value| !value.is_empty())
            };
            out.raw("(").string(&part.media.kind).raw(" ").string(&part.media.subtype).raw(" ");
            parameters(out, &part.media.parameters);
            out.raw(" ")
                .nstring(text("content-id"))
                .raw(" ")
                .nstring(text("content-description"))
                .raw(" ");
            let encoding = text("content-transfer-encoding")
                .map(|value| parametrised(&value).0)
                .filter(|value| !value.is_empty());
            out.string(encoding.as_deref().unwrap_or("7bit")).raw(" ").show(part.body.len());
            match kind {
                Kind::Message(inner) => {
                    out.raw(" ");
                    envelope::print(out, message.get(inner.header.clone()).unwrap_or_default());
                    out.raw(" ");
                    print(out, message, inner, extended);
                    out.raw(" ").show(part.lines);
                }
                _ if part.media.is("text", None) => {
                    out.raw(" ").show(part.lines);
                }
                _ => {}
            }
            if extended {
                out.raw(" ").nstring(text("content-md5"));
                disposition_language_location(out, bytes);
            }
            out.raw(")");
        }
    }
}

fn parameters(out: &mut Printer, parameters: &[(String, String)]) {
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
    let languages: Vec<String> = header::first(bytes, "content-language")
        .map(|value| {
            parametrised(value)
                .0
                .split(',')
                .map(|tag| tag.trim().to_owned())
                .filter(|tag| !tag.is_empty())
                .collect()
        })
        .unwrap_or_default();
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
