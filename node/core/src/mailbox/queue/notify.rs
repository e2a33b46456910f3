//! The wishes of a sender about reports (RFC 3461): NOTIFY and ORCPT for each recipient, RET and
//! ENVID for the message.

use minicbor::{Decode, Encode};

/// The reports that the sender wants about a recipient (NOTIFY, RFC 3461 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Notify {
    /// After delivery.
    #[n(0)]
    pub success: bool,
    /// After a permanent failure.
    #[n(1)]
    pub failure: bool,
    /// After a long delay.
    #[n(2)]
    pub delay: bool,
}

impl Notify {
    /// NOTIFY=NEVER.
    pub const NEVER: Self = Self { success: false, failure: false, delay: false };
}

/// Without NOTIFY, failures and delays are reported (RFC 3461 4.1).
impl Default for Notify {
    fn default() -> Self {
        Self { success: false, failure: true, delay: true }
    }
}

/// A recipient of a submission.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewRecipient {
    /// The address.
    pub address: String,
    /// The reports that the sender wants, if the sender said so.
    pub notify: Option<Notify>,
    /// ORCPT as given, `type;address` still encoded (RFC 3461 4.2).
    pub original: Option<String>,
}

impl From<String> for NewRecipient {
    fn from(address: String) -> Self {
        Self { address, ..Self::default() }
    }
}

/// The wishes of a sender about the reports on a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportRequest {
    /// RET=FULL: a failure report has the whole message (RFC 3461 4.3).
    pub return_full: bool,
    /// ENVID, decoded: the sender's identifier of this envelope (RFC 3461 4.4).
    pub envelope_id: Option<String>,
}

/// Decodes xtext (RFC 3461 4): printable ASCII, with `+XX` for the rest.
pub fn xtext_decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => {
                let digits = [rest.next()?, rest.next()?];
                let hex = std::str::from_utf8(&digits)
                    .ok()
                    .filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
                bytes.push(u8::from_str_radix(hex, 16).ok()?);
            }
            b'!'..=b'~' if byte != b'=' => bytes.push(byte),
            // utf-8-addr-unitext (RFC 6533 3).
            0x80.. => bytes.push(byte),
            _ => return None,
        }
    }
    String::from_utf8(bytes).ok()
}

/// Encodes text as xtext.
pub fn xtext_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'!'..=b'~' if !matches!(byte, b'+' | b'=') => out.push(char::from(byte)),
            _ => out.push_str(&format!("+{byte:02X}")),
        }
    }
    out
}

/// An address of the type `utf-8` with its `\x{…}` decoded (utf-8-addr-xtext, RFC 6533 3).
pub(super) fn utf8_decoded(address: &str) -> String {
    let mut out = String::with_capacity(address.len());
    let mut rest = address;
    while let Some((before, after)) = rest.split_once("\\x{") {
        let decoded = after.split_once('}').and_then(|(hex, after)| {
            let code = u32::from_str_radix(hex, 16).ok().filter(|_| hex.len() <= 6)?;
            Some((char::from_u32(code)?, after))
        });
        out.push_str(before);
        match decoded {
            Some((c, after)) => {
                out.push(c);
                rest = after;
            }
            None => {
                out.push_str("\\x{");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xtext_and_utf8_addresses_are_decoded() {
        assert_eq!(xtext_decoded("a+2Bb+40c").as_deref(), Some("a+b@c"));
        assert_eq!(xtext_encoded("a+b=c d"), "a+2Bb+3Dc+20d");
        for bad in ["a b", "a=b", "+4", "+zz", "a\tb"] {
            assert_eq!(xtext_decoded(bad), None, "{bad}");
        }
        assert_eq!(utf8_decoded("\\x{434}\\x{44F}@a"), "дя@a");
        for odd in ["\\x{", "\\x{zz}a", "\\x{D800}", "\\x{1234567}"] {
            assert_eq!(utf8_decoded(odd), odd);
        }
    }
}
