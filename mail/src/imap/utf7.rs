//! Folder names on the wire, and in the file names of Maildirs: modified UTF-7 (RFC 3501 5.1.3).

use data_encoding::{Encoding, Specification};
use std::borrow::Cow;
use std::sync::LazyLock;

use freehold_mime::imap::Printer;

use super::cursor::is_atom_char;

/// BASE64 with `,` for `/` and without padding.
static BASE64: LazyLock<Option<Encoding>> = LazyLock::new(|| {
    let mut spec = Specification::new();
    spec.symbols.push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,");
    spec.encoding().ok()
});

/// A folder's name as the client takes it: in UTF-8 if it has enabled that (RFC 6855 3, RFC 9051
/// 5.1), else encoded.
pub(crate) fn wire<'a>(out: &Printer, name: &'a str) -> Cow<'a, str> {
    if out.takes_utf8() { Cow::Borrowed(name) } else { Cow::Owned(encode(name)) }
}

/// Prints a folder's name as `mailbox` (RFC 3501 section 9).
pub(crate) fn print<'a>(out: &'a mut Printer, name: &str) -> &'a mut Printer {
    let wire = wire(out, name);
    let is_atom =
        !wire.is_empty() && wire.bytes().all(is_atom_char) && !wire.eq_ignore_ascii_case("NIL");
    if is_atom { out.raw(&*wire) } else { out.string(&*wire) }
}

/// Encodes a folder's name.
pub(crate) fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut wide: Vec<u8> = Vec::new();
    for c in name.chars() {
        if c == ' ' || c.is_ascii_graphic() {
            flush(&mut out, &mut wide);
            out.push(c);
            if c == '&' {
                out.push('-');
            }
        } else {
            let mut units = [0u16; 2];
            for unit in c.encode_utf16(&mut units) {
                wide.extend_from_slice(&unit.to_be_bytes());
            }
        }
    }
    flush(&mut out, &mut wide);
    out
}

fn flush(out: &mut String, wide: &mut Vec<u8>) {
    if !wide.is_empty()
        && let Some(base64) = &*BASE64
    {
        out.push('&');
        out.push_str(&base64.encode(wide));
        out.push('-');
    }
    wide.clear();
}

/// Decodes a folder's name. A name that is valid UTF-8 but not modified UTF-7 is accepted
/// unchanged, because some programs ignore the encoding.
pub(crate) fn decode(wire: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(wire).ok()?;
    if !text.is_ascii() {
        return Some(text.to_owned());
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, shifted)) = rest.split_once('&') {
        out.push_str(before);
        let (coded, after) = shifted.split_once('-')?;
        if coded.is_empty() {
            out.push('&');
        } else {
            let bytes = BASE64.as_ref()?.decode(coded.as_bytes()).ok()?;
            if bytes.len() % 2 != 0 {
                return None;
            }
            let units = bytes
                .chunks(2)
                .map(|pair| pair.iter().fold(0u16, |unit, byte| unit << 8 | u16::from(*byte)));
            for c in char::decode_utf16(units) {
                out.push(c.ok()?);
            }
        }
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

/// Decodes a folder's name. One that [`encode`] would write otherwise is none: a shift may neither
/// cover characters of US-ASCII nor be followed by another (RFC 3501 5.1.3).
pub(crate) fn decode_canonical(wire: &[u8]) -> Option<String> {
    let name = decode(wire)?;
    (!wire.is_ascii() || encode(&name).as_bytes() == wire).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn folder_name_is_printed_as_atom_or_string() {
        for (name, wire) in
            [("INBOX", "INBOX"), ("Entwürfe 2", "\"Entw&APw-rfe 2\""), ("nil", "\"nil\"")]
        {
            let mut out = Printer::default();
            print(&mut out, name);
            assert_eq!(out.take(), wire.as_bytes());
        }
    }

    #[test]
    fn superfluous_shift_is_no_folder_name() {
        for wire in ["&AGE-z", "&AOk-&AOk-q", "&-&AGE-"] {
            assert_eq!(decode_canonical(wire.as_bytes()), None, "{wire}");
        }
        for wire in ["&-", "a &- b", "&AOkA6Q-q", "Entwürfe"] {
            assert!(decode_canonical(wire.as_bytes()).is_some(), "{wire}");
        }
    }

    #[test]
    fn modified_utf7_examples_of_rfc_3501() {
        assert_eq!(encode("~peter/mail/台北/日本語"), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
        assert_eq!(
            decode(b"~peter/mail/&U,BTFw-/&ZeVnLIqe-").as_deref(),
            Some("~peter/mail/台北/日本語")
        );
        assert_eq!(encode("Tom & Jerry"), "Tom &- Jerry");
        assert_eq!(decode(b"Entw&APw-rfe").as_deref(), Some("Entwürfe"));
        assert_eq!(decode(b"&AP"), None);
        assert_eq!(decode("Entwürfe".as_bytes()).as_deref(), Some("Entwürfe"));
    }

    proptest! {
        #[test]
        fn every_folder_name_round_trips(name in "\\PC{0,30}") {
            let wire = encode(&name);
            prop_assert_eq!(decode(wire.as_bytes()), Some(name.clone()));
            prop_assert_eq!(decode_canonical(wire.as_bytes()), Some(name));
        }

        #[test]
        fn utf7_decoder_survives_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            decode(&bytes);
        }
    }
}
