//! Transfer texts: claims, requests, signed ops and logs as text files that survive mail, paste and
//! print. A title line, base64url lines, a checksum line.

use std::fmt;

use super::op::hash;
use crate::domains;

/// First line of a claim.
pub(crate) const CLAIM: &str = "freehold claim 1";
/// First line of a signature request.
pub(crate) const REQUEST: &str = "freehold request 1";
/// First line of a signed request.
pub(crate) const SIGNED: &str = "freehold signed 1";
/// First line of a whole identity log.
pub(crate) const LOG: &str = "freehold log 1";
/// The titles, and for each the sentence about the file's use.
const KINDS: [(&str, &str); 4] = [
    (CLAIM, "a claim, for `freehold identity claim` on the node it names"),
    (REQUEST, "a request, for `freehold identity sign` on your own computer"),
    (SIGNED, "a signed file, for `freehold identity upload` on your node"),
    (LOG, "an identity log"),
];

/// Characters per line.
const LINE_LEN: usize = 64;
/// Length of the checksum in bytes.
const CHECK_LEN: usize = 6;
/// The longest text that is read, in bytes: a full identity log of 256 ops of 3 KiB, in base64.
const TEXT_LEN_MAX: usize = 1_200_000;

/// Why a transfer text was refused.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ArmourError {
    /// Not a transfer text.
    #[error("this is not the right file: its first line should be {0:?}")]
    NotThis(&'static str),
    /// A transfer text of another kind.
    #[error("this is {0}")]
    Another(&'static str),
    /// Lines are missing or changed.
    #[error("the file is damaged: a line is missing or was changed")]
    Damaged,
}

/// Writes a file whose first line is `title`.
pub(crate) fn write(
    f: &mut fmt::Formatter<'_>,
    title: &'static str,
    payload: &[u8],
) -> fmt::Result {
    writeln!(f, "{title}")?;
    let body = data_encoding::BASE64URL_NOPAD.encode(payload);
    for line in body.as_bytes().chunks(LINE_LEN) {
        writeln!(f, "{}", String::from_utf8_lossy(line))?;
    }
    writeln!(f, "={}", data_encoding::BASE64URL_NOPAD.encode(&checksum_of(title, payload)))
}

/// Reads a file whose first line must be `title`; blank lines, spaces and all lines before the
/// title are ignored.
pub(crate) fn read(title: &'static str, text: &str) -> Result<Vec<u8>, ArmourError> {
    if text.len() > TEXT_LEN_MAX {
        return Err(ArmourError::Damaged);
    }
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let another = || lines().find_map(|line| KINDS.iter().find(|(kind, _)| *kind == line));
    let mut lines = lines().skip_while(|line| *line != title);
    lines.next().ok_or_else(|| {
        another().map_or(ArmourError::NotThis(title), |(_, use_)| ArmourError::Another(use_))
    })?;
    let mut body = String::new();
    for line in lines {
        if let Some(checksum) = line.strip_prefix('=') {
            let payload = data_encoding::BASE64URL_NOPAD
                .decode(body.as_bytes())
                .map_err(|_| ArmourError::Damaged)?;
            let is_same =
                data_encoding::BASE64URL_NOPAD.encode(&checksum_of(title, &payload)) == checksum;
            return if is_same { Ok(payload) } else { Err(ArmourError::Damaged) };
        }
        body.push_str(line);
    }
    Err(ArmourError::Damaged)
}

fn checksum_of(title: &str, payload: &[u8]) -> Vec<u8> {
    let whole = hash(domains::ARMOUR, &[title.as_bytes(), b"\n", payload].concat());
    whole.get(..CHECK_LEN).unwrap_or_default().to_vec()
}
