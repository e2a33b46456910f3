//! `Content-Type` and similar fields: a value and its parameters (RFC 2045 5.1, RFC 2183),
//! unchanged.

/// Most parameters read of one field.
const PARAMETERS_MAX: usize = 64;

/// A media type with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Media {
    /// Such as `text`, in the sender's case.
    pub(crate) kind: String,
    /// Such as `plain`.
    pub(crate) subtype: String,
    /// Names and values in order.
    pub(crate) parameters: Vec<(String, String)>,
}

impl Default for Media {
    /// RFC 2045 5.2.
    fn default() -> Self {
        Self {
            kind: "text".into(),
            subtype: "plain".into(),
            parameters: vec![("charset".into(), "us-ascii".into())],
        }
    }
}

impl Media {
    /// A type without parameters.
    pub(crate) fn new(kind: &str, subtype: &str) -> Self {
        Self { kind: kind.into(), subtype: subtype.into(), parameters: Vec::new() }
    }

    /// Parses a `Content-Type` value; a malformed one is text/plain (RFC 2045 5.2).
    pub(crate) fn parse(value: &[u8]) -> Self {
        let (full, parameters) = parametrised(value);
        match full.split_once('/') {
            Some((kind, subtype)) if is_token(kind.trim()) && is_token(subtype.trim()) => {
                Self { kind: kind.trim().into(), subtype: subtype.trim().into(), parameters }
            }
            _ => Self::default(),
        }
    }

    /// True if the type matches; without a subtype every subtype does.
    pub(crate) fn is(&self, kind: &str, subtype: Option<&str>) -> bool {
        self.kind.eq_ignore_ascii_case(kind)
            && subtype.is_none_or(|subtype| self.subtype.eq_ignore_ascii_case(subtype))
    }

    /// The first parameter of this name.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The boundary of a multipart; it may come in numbered pieces (RFC 2231 3).
    pub(crate) fn boundary(&self) -> Option<String> {
        if let Some(whole) = self.parameter("boundary") {
            return Some(whole.trim_end().to_owned());
        }
        let pieces =
            (0..PARAMETERS_MAX).map_while(|number| self.parameter(&format!("boundary*{number}")));
        let joined = pieces.collect::<String>();
        (!joined.is_empty()).then(|| joined.trim_end().to_owned())
    }
}

/// Parses the value before the first `;` and the parameters after it. Comments are dropped and
/// quoted strings unquoted.
pub(crate) fn parametrised(value: &[u8]) -> (String, Vec<(String, String)>) {
    let mut segments = segments(value).into_iter();
    let main = segments.next().unwrap_or_default();
    let parameters = segments
        .filter_map(|segment| {
            let (name, value) = segment.split_once('=')?;
            let name = name.trim();
            (!name.is_empty()).then(|| (name.to_owned(), value.trim().to_owned()))
        })
        .take(PARAMETERS_MAX)
        .collect();
    (main.trim().to_owned(), parameters)
}

/// Splits at each `;` outside quoted strings and comments.
fn segments(value: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    let mut segment = Vec::new();
    let mut quoted = false;
    let mut comments = 0usize;
    let mut bytes = value.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' | b'\n' => {}
            b'\\' if quoted || comments > 0 => {
                let escaped = bytes.next();
                if comments == 0 {
                    segment.extend(escaped);
                }
            }
            b'"' if comments == 0 => quoted = !quoted,
            b'(' if !quoted => comments = comments.saturating_add(1),
            b')' if !quoted && comments > 0 => comments = comments.saturating_sub(1),
            _ if comments > 0 => {}
            b';' if !quoted => {
                out.push(String::from_utf8_lossy(&std::mem::take(&mut segment)).into_owned())
            }
            _ => segment.push(byte),
        }
        if out.len() > PARAMETERS_MAX {
            return out;
        }
    }
    out.push(String::from_utf8_lossy(&segment).into_owned());
    out
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&byte))
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
        assert_eq!(media.parameter("BOUNDARY"), Some("a;b \"c"));
        assert_eq!(media.parameter("charset"), Some("utf-8"));
        assert_eq!(media.boundary().as_deref(), Some("a;b \"c"));
        let pieces = Media::parse(
            b"multipart/mixed; boundary*1=\"and two\"; boundary*0=one; boundary*3=four",
        );
        assert_eq!(pieces.boundary().as_deref(), Some("oneand two"));
        assert_eq!(Media::parse(b"multipart/mixed").boundary(), None);
        assert_eq!(Media::parse(b"nonsense"), Media::default());
        assert_eq!(Media::parse(b"text/html;;a").subtype, "html");
    }
}
