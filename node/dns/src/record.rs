//! DNS records, apart from the wire format.

use std::fmt::{self, Display, Formatter};
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::Serialize;

/// The longest string of a TXT record, in octets (RFC 1035 3.3.14).
pub(crate) const STRING_LEN_MAX: usize = 255;

/// A record of a zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// The name in full, in ASCII, without the final dot.
    pub name: String,
    /// How long others may remember it, in seconds.
    pub ttl: u32,
    /// Its type and its value.
    #[serde(flatten)]
    pub data: Data,
}

/// The type of a record with its value. Host names are in full, without the final dot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "UPPERCASE")]
pub enum Data {
    /// The IPv4 address of a host.
    A {
        /// The address.
        address: Ipv4Addr,
    },
    /// The IPv6 address of a host.
    Aaaa {
        /// The address.
        address: Ipv6Addr,
    },
    /// Another name of a host.
    Cname {
        /// The host.
        target: String,
    },
    /// A mail server of the domain (RFC 5321 5.1).
    Mx {
        /// The lowest is tried first.
        preference: u16,
        /// The server.
        exchange: String,
    },
    /// Text, of any length: it is cut into strings where it is written.
    Txt {
        /// The text.
        text: String,
    },
    /// Where a service is (RFC 2782).
    Srv {
        /// The lowest is tried first.
        priority: u16,
        /// The share among those of one priority.
        weight: u16,
        /// The port.
        port: u16,
        /// The host.
        target: String,
    },
    /// An authority that may issue certificates (RFC 8659).
    Caa {
        /// `issue`, `issuewild` or `iodef`.
        tag: String,
        /// An authority's domain.
        value: String,
    },
}

/// The type of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// [`Data::A`].
    A,
    /// [`Data::Aaaa`].
    Aaaa,
    /// [`Data::Cname`].
    Cname,
    /// [`Data::Mx`].
    Mx,
    /// [`Data::Txt`].
    Txt,
    /// [`Data::Srv`].
    Srv,
    /// [`Data::Caa`].
    Caa,
}

impl Kind {
    /// The name of the type, as zone files have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Txt => "TXT",
            Self::Srv => "SRV",
            Self::Caa => "CAA",
        }
    }
}

impl Data {
    /// Its type.
    pub fn kind(&self) -> Kind {
        match self {
            Self::A { .. } => Kind::A,
            Self::Aaaa { .. } => Kind::Aaaa,
            Self::Cname { .. } => Kind::Cname,
            Self::Mx { .. } => Kind::Mx,
            Self::Txt { .. } => Kind::Txt,
            Self::Srv { .. } => Kind::Srv,
            Self::Caa { .. } => Kind::Caa,
        }
    }
}

/// The value as zone files have it (RFC 1035 5.1).
impl Display for Data {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::A { address } => write!(f, "{address}"),
            Self::Aaaa { address } => write!(f, "{address}"),
            Self::Cname { target } => write!(f, "{target}."),
            Self::Mx { preference, exchange } => write!(f, "{preference} {exchange}."),
            Self::Txt { text } => f.write_str(&quoted_strings(text)),
            Self::Srv { priority, weight, port, target } => {
                write!(f, "{priority} {weight} {port} {target}.")
            }
            Self::Caa { tag, value } => write!(f, "0 {tag} {}", quoted(value.as_bytes())),
        }
    }
}

/// The text cut into strings of at most 255 octets, each in quotes.
fn quoted_strings(text: &str) -> String {
    if text.is_empty() {
        return "\"\"".to_owned();
    }
    let strings: Vec<String> = text.as_bytes().chunks(STRING_LEN_MAX).map(quoted).collect();
    strings.join(" ")
}

/// A string in quotes; octets that are no printable ASCII are written as `\DDD` (RFC 1035 5.1).
fn quoted(string: &[u8]) -> String {
    let mut out = String::from("\"");
    for octet in string {
        match octet {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(*octet));
            }
            b' '..=b'~' => out.push(char::from(*octet)),
            _ => out.push_str(&format!("\\{octet:03}")),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_into_strings() {
        let text = "a".repeat(300);
        let written = Data::Txt { text }.to_string();
        assert_eq!(written, format!("\"{}\" \"{}\"", "a".repeat(255), "a".repeat(45)));
    }

    #[test]
    fn quotes_and_foreign_octets_are_escaped() {
        let text = "a\"b\\c\u{e4}\n".to_owned();
        assert_eq!(Data::Txt { text }.to_string(), r#""a\"b\\c\195\164\010""#);
    }
}
