//! The address of a part: its number in the message, or the numbers on the way to it through parts
//! that are encoded messages, such as `3.2`. A file inside a text has one number more: `3.2u0`.

use std::fmt;
use std::str::FromStr;

use freehold_mime::structure::PartId;

use super::parsed::ParsedMessage;

/// Most encoded messages inside each other that are read.
const ENCODED_DEPTH_MAX: usize = 2;
/// Longest body of an encoded message that is decoded, in bytes.
const ENCODED_LEN_MAX: usize = 8 * 1024 * 1024;

/// See the module's text. The numbers are never empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PartPath(Vec<usize>);

impl PartPath {
    /// The path of a part of the message itself.
    pub(super) fn of(id: PartId) -> Self {
        Self(vec![id.number()])
    }

    /// The path of a part of the message that is encoded in the part of this path.
    pub(super) fn inside(&self, id: PartId) -> Self {
        let mut numbers = self.0.clone();
        numbers.push(id.number());
        Self(numbers)
    }

    /// True if an encoded message in a part of this path is read.
    pub(super) fn may_be_entered(&self) -> bool {
        self.0.len() <= ENCODED_DEPTH_MAX
    }
}

impl fmt::Display for PartPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(usize::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

/// No part has this path.
#[derive(Debug)]
pub(super) struct NoPath;

impl FromStr for PartPath {
    type Err = NoPath;

    fn from_str(text: &str) -> Result<Self, NoPath> {
        let numbers = text.splitn(ENCODED_DEPTH_MAX + 2, '.').map(str::parse);
        let numbers: Vec<usize> = numbers.collect::<Result<_, _>>().map_err(|_| NoPath)?;
        if numbers.len() > ENCODED_DEPTH_MAX + 1 { Err(NoPath) } else { Ok(Self(numbers)) }
    }
}

/// The address of a file: a part, or a file inside a plain text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FilePath {
    pub(super) part: PartPath,
    /// The number among the [`freehold_mime::content::embedded`] files of the part.
    pub(super) embedded: Option<usize>,
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.part.fmt(f)?;
        self.embedded.map_or(Ok(()), |number| write!(f, "u{number}"))
    }
}

impl FromStr for FilePath {
    type Err = NoPath;

    fn from_str(text: &str) -> Result<Self, NoPath> {
        let (part, embedded) = match text.split_once('u') {
            Some((part, number)) => (part, Some(number.parse().map_err(|_| NoPath)?)),
            None => (text, None),
        };
        Ok(Self { part: part.parse()?, embedded })
    }
}

/// The message that is encoded in a part; `None` if there is none or it is too long.
pub(super) fn encoded(message: &ParsedMessage, id: PartId) -> Option<ParsedMessage> {
    let (bytes, structure) = (&message.bytes, &message.structure);
    let is_short = structure.body(bytes, id).len() <= ENCODED_LEN_MAX;
    (is_short && structure.is_encoded_message(bytes, id))
        .then(|| ParsedMessage::of(structure.decoded(bytes, id).bytes.into_owned()))
}

/// Runs `read` on the part of a path and the message that it is in; `None` if there is no such
/// part.
pub(super) fn at<T>(
    message: &ParsedMessage,
    path: &PartPath,
    read: impl FnOnce(&ParsedMessage, PartId) -> Option<T>,
) -> Option<T> {
    let (last, outer) = path.0.split_last()?;
    let mut inner: Option<ParsedMessage> = None;
    for number in outer {
        let current = inner.as_ref().unwrap_or(message);
        inner = Some(encoded(current, current.structure.id(*number)?)?);
    }
    let current = inner.as_ref().unwrap_or(message);
    read(current, current.structure.id(*last)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_is_found_by_its_path() {
        let inner = "Content-Type: message/rfc822\r\n\
                     Content-Transfer-Encoding: quoted-printable\r\n\r\n\
                     Subject: in=\r\nner\r\n\r\nx=3Dy";
        let message = format!("Content-Type: message/rfc822\r\n\r\n{inner}");
        let message = ParsedMessage::of(message.into_bytes());
        let body = |path: &str| {
            at(&message, &path.parse().ok()?, |message, id| {
                Some(message.structure.body(&message.bytes, id).to_vec())
            })
        };
        assert_eq!(body("1.0").as_deref(), Some(&b"x=y"[..]));
        assert!(body("1").is_some());
        for path in ["", "0.0", "1.1", "2", "1.0.0", "1.0.0.0", "-1", "1.", "a"] {
            assert_eq!(body(path), None, "{path}");
        }
        assert_eq!("3.2".parse::<PartPath>().map(|path| path.to_string()).ok(), Some("3.2".into()));
    }
}
