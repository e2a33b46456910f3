//! `Content-Type` and similar fields: a value and its parameters (RFC 2045 5.1, RFC 2183, RFC
//! 2231).

use crate::{charset, word};

/// Most parameters read of one field.
const PARAMETERS_MAX: usize = 64;

/// A space within quotes, until the white space around a value is removed.
const QUOTED_SPACE: u8 = 1;

/// Names and raw values of parameters, in order.
pub type Parameters = Vec<(Vec<u8>, Vec<u8>)>;

/// A media type with its parameters, as they were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// Such as `text`, in the sender's case.
    pub kind: String,
    /// Such as `plain`.
    pub subtype: String,
    /// The parameters; quoted strings are unquoted, RFC 2231 pieces are apart.
    pub parameters: Parameters,
}

impl Default for Media {
    /// RFC 2045 5.2.
    fn default() -> Self {
        let charset = (b"charset".to_vec(), b"us-ascii".to_vec());
        Self { kind: "text".into(), subtype: "plain".into(), parameters: vec![charset] }
    }
}

impl Media {
    /// A type without parameters.
    pub fn new(kind: &str, subtype: &str) -> Self {
        Self { kind: kind.into(), subtype: subtype.into(), parameters: Vec::new() }
    }

    /// The type of a part that is not parsed.
    pub(crate) fn unparsed() -> Self {
        Self::new("application", "octet-stream")
    }

    /// Parses a `Content-Type` value; a malformed one is text/plain (RFC 2045 5.2).
    pub fn parse(value: &[u8]) -> Self {
        let (full, parameters) = parametrised(value);
        let token = |text: &[u8]| -> Option<String> {
            let text = text.trim_ascii();
            is_token(text).then(|| String::from_utf8_lossy(text).into_owned())
        };
        let names = full.iter().position(|byte| *byte == b'/').and_then(|slash| {
            Some((token(full.get(..slash)?)?, token(full.get(slash.saturating_add(1)..)?)?))
        });
        match names {
            Some((kind, subtype)) => Self { kind, subtype, parameters },
            None if parameters.is_empty() => Self::default(),
            None => Self { parameters, ..Self::new("text", "plain") },
        }
    }

    /// True if the type matches; without a subtype every subtype does.
    pub fn is(&self, kind: &str, subtype: Option<&str>) -> bool {
        self.kind.eq_ignore_ascii_case(kind)
            && subtype.is_none_or(|subtype| self.subtype.eq_ignore_ascii_case(subtype))
    }

    /// The decoded parameter of this name.
    pub fn parameter(&self, name: &str) -> Option<String> {
        parameter(&self.parameters, name, None)
    }

    /// The boundary of a multipart; it may come in pieces (RFC 2231 3).
    pub fn boundary(&self) -> Option<Vec<u8>> {
        let (bytes, _) = value(&self.parameters, "boundary")?;
        let boundary = bytes.trim_ascii_end().to_vec();
        (!boundary.is_empty()).then_some(boundary)
    }
}

/// Parses the value before the first `;` and the parameters after it. Comments are dropped and
/// quoted strings unquoted. The first `;` may be missing.
pub fn parametrised(value: &[u8]) -> (Vec<u8>, Parameters) {
    let mut segments = segments(value).into_iter();
    let mut main = segments.next().unwrap_or_default();
    let mut parameters = Vec::new();
    if let Some(equals) = main.iter().position(|byte| *byte == b'=') {
        let before = main.get(..equals).unwrap_or_default().trim_ascii_end();
        let start = before.iter().rposition(u8::is_ascii_whitespace).map_or(0, |at| at + 1);
        let first = main.split_off(start);
        parameters.extend(split_parameter(&first));
    }
    parameters.extend(segments.filter_map(|segment| split_parameter(&segment)));
    parameters.truncate(PARAMETERS_MAX);
    (with_spaces(main.trim_ascii()), parameters)
}

fn split_parameter(segment: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let equals = segment.iter().position(|byte| *byte == b'=')?;
    let name = segment.get(..equals)?.trim_ascii();
    let value = segment.get(equals.saturating_add(1)..)?.trim_ascii();
    (!name.is_empty()).then(|| (with_spaces(name), with_spaces(value)))
}

fn with_spaces(text: &[u8]) -> Vec<u8> {
    text.iter().map(|byte| if *byte == QUOTED_SPACE { b' ' } else { *byte }).collect()
}

/// The decoded parameter of this name: its extended form or its pieces (RFC 2231), else its plain
/// form with encoded words (RFC 2047, which forbids them here; many programs write them) and raw
/// 8-bit text in `charset`.
pub fn parameter(parameters: &Parameters, name: &str, charset: Option<&str>) -> Option<String> {
    let (bytes, form) = value(parameters, name)?;
    Some(match form {
        Form::Extended(label) => charset::decode(&bytes, Some(&label)).into_owned(),
        Form::Plain => word::decode(&bytes, charset),
    })
}

enum Form {
    /// Percent-decoded, in this charset.
    Extended(String),
    Plain,
}

/// The joined bytes of a parameter. The extended form wins over the plain one (RFC 6266 4.3).
fn value(parameters: &Parameters, name: &str) -> Option<(Vec<u8>, Form)> {
    let mut plain = None;
    let mut whole = None;
    let mut pieces: Vec<(u32, bool, &[u8])> = Vec::new();
    for (found, value) in parameters {
        let Some(suffix) = found
            .split_at_checked(name.len())
            .filter(|(start, _)| start.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, suffix)| suffix)
        else {
            continue;
        };
        match suffix.trim_ascii_end() {
            b"" => plain = plain.or(Some(value)),
            b"*" => whole = whole.or(Some(value)),
            numbered => {
                let Some(number) = numbered.strip_prefix(b"*") else { continue };
                let (number, extended) =
                    number.strip_suffix(b"*").map_or((number, false), |number| (number, true));
                let number = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok());
                if let Some(number) = number {
                    pieces.push((number, extended, value));
                }
            }
        }
    }
    if let Some(value) = whole {
        let (charset, text) = charset_of(value);
        return Some((percent_decoded(text), Form::Extended(charset)));
    }
    pieces.sort_by_key(|(number, ..)| *number);
    pieces.dedup_by_key(|(number, ..)| *number);
    let mut joined = Vec::new();
    let mut charset = None;
    // Some programs count from one; a missing piece ends the value (RFC 2231 3).
    let begins = pieces.first().map_or(0, |(number, ..)| (*number).min(1));
    for (expected, (number, extended, value)) in (begins..).zip(pieces) {
        if number != expected {
            break;
        }
        let value = if extended && charset.is_none() {
            let (named, text) = charset_of(value);
            charset = Some(named);
            text
        } else {
            value
        };
        if extended {
            joined.extend(percent_decoded(value));
        } else {
            joined.extend_from_slice(value);
        }
    }
    if !joined.is_empty() {
        return Some((joined, charset.map_or(Form::Plain, Form::Extended)));
    }
    plain.map(|value| (value.clone(), Form::Plain))
}

/// Splits `charset'language'text`; text without the quotes is returned whole.
fn charset_of(value: &[u8]) -> (String, &[u8]) {
    let mut split = value.splitn(3, |byte| *byte == b'\'');
    match (split.next(), split.next(), split.next()) {
        (Some(charset), Some(_), Some(text)) => {
            (String::from_utf8_lossy(charset).into_owned(), text)
        }
        _ => (String::new(), value),
    }
}

/// Decodes `%XX`; other bytes, and a `%` without two digits, are as they are.
pub fn percent_decoded(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((byte, after)) = rest.split_first() {
        let digits = if *byte == b'%' { after.first_chunk::<2>() } else { None };
        match digits.and_then(|[high, low]| hex(*high, *low)) {
            Some(decoded) => {
                out.push(decoded);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    out
}

/// The byte of two hexadecimal digits in any case.
pub(crate) fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)?.checked_mul(16)?.checked_add(digit(low)?)?).ok()
}

/// Splits at each `;` outside quoted strings and comments.
fn segments(value: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let mut segment = Vec::new();
    let mut quoted = false;
    let mut comments = 0usize;
    let mut bytes = value.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' | b'\n' | QUOTED_SPACE => {}
            b' ' if quoted && comments == 0 => segment.push(QUOTED_SPACE),
            b'\\' if quoted || comments > 0 => {
                // A path such as C:\letter.doc, whose backslashes are not doubled.
                if quoted && bytes.peek().is_some_and(u8::is_ascii_alphanumeric) {
                    segment.push(byte);
                }
                let escaped = bytes.next();
                if comments == 0 {
                    segment.extend(escaped);
                }
            }
            b'"' if comments == 0 => quoted = !quoted,
            b'(' if !quoted => comments = comments.saturating_add(1),
            b')' if !quoted && comments > 0 => comments = comments.saturating_sub(1),
            _ if comments > 0 => {}
            b';' if !quoted => out.push(std::mem::take(&mut segment)),
            _ => segment.push(byte),
        }
        if out.len() > PARAMETERS_MAX {
            return out;
        }
    }
    out.push(segment);
    out
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|byte| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_type_and_parameters_are_parsed() {
        let media = Media::parse(
            b" Multipart/Mixed;\r\n\tboundary=\"a;b \\\"c\" ; (x;y) charset = utf-8\r\n",
        );
        assert!(media.is("multipart", Some("mixed")));
        assert_eq!(media.parameter("BOUNDARY").as_deref(), Some("a;b \"c"));
        assert_eq!(media.parameter("charset").as_deref(), Some("utf-8"));
        assert_eq!(media.boundary().as_deref(), Some(&b"a;b \"c"[..]));
        assert_eq!(Media::parse(b"multipart/mixed").boundary(), None);
        assert_eq!(Media::parse(b"nonsense"), Media::default());
        assert_eq!(Media::parse(b"text/html;;a").subtype, "html");
        let short = Media::parse(b"text; charset=koi8-r");
        assert!(short.is("text", Some("plain")));
        assert_eq!(short.parameter("charset").as_deref(), Some("koi8-r"));
    }

    #[test]
    fn boundary_may_come_in_pieces() {
        let boundary = |value: &str| Media::parse(value.as_bytes()).boundary();
        let pieces = "multipart/mixed; boundary*1=\"and two\"; boundary*0=one; boundary*3=four";
        assert_eq!(boundary(pieces).as_deref(), Some(&b"oneand two"[..]));
        let extended = "multipart/mixed; boundary*=us-ascii'en'X%59Z";
        assert_eq!(boundary(extended).as_deref(), Some(&b"XYZ"[..]));
    }

    #[test]
    fn file_name_is_decoded_in_every_form() {
        let name = |value: &[u8]| parameter(&parametrised(value).1, "filename", None).unwrap();
        for (value, decoded) in [
            (&b"a; filename=\"Gru_e.pdf\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe.pdf"[..], "Grüße.pdf"),
            (b"a; filename*=iso-8859-1'de'Gr%FC%DFe.pdf", "Grüße.pdf"),
            (b"a; filename*0*=utf-8''Gr%C3;\r\n filename*1*=%BC.pdf", "Grü.pdf"),
            (b"a; filename*0*=utf-8''a%20; filename*1=b%20.pdf", "a b%20.pdf"),
            (b"a; filename*1=a; filename*2=.pdf", "a.pdf"),
            (b"a; filename*=Gr%C3%BCn", "Grün"),
            (b"a; filename=\"=?UTF-8?Q?Gr=C3?=\r\n =?UTF-8?Q?=BC=C3=9Fe.pdf?=\"", "Grüße.pdf"),
            (b"a; filename==?iso-8859-1?q?Gr=FCn?=", "Grün"),
            (b"a; filename=\"Fr\xf6sche.txt\"", "Frösche.txt"),
            (b"a; filename=my letter.pdf; size=3", "my letter.pdf"),
            (b"a; filename=\"C:\\new\\letter.doc\"", "C:\\new\\letter.doc"),
            (b"a; filename*0=\"a b\"; filename*1=\" c.pdf\"", "a b c.pdf"),
            (b"filename=only.pdf", "only.pdf"),
            (b"attachment filename=\"my x.pdf\"", "my x.pdf"),
            (b"a; FileName = \"x (1).pdf\"", "x (1).pdf"),
        ] {
            assert_eq!(name(value), decoded, "{}", String::from_utf8_lossy(value));
        }
    }
}
