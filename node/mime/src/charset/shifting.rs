//! Charsets of 7-bit bytes in which sequences of bytes change the set: ISO-2022-KR (RFC 1557),
//! ISO-2022-CN (RFC 1922), HZ (RFC 1843), UTF-7 (RFC 2152). The Encoding Standard refuses them,
//! because a page in such a charset can hide markup from a filter. Here they are decoded before the
//! sanitiser reads the text, so nothing is hidden from it.

use encoding_rs::{EUC_KR, GBK};

/// Decodes a text by its label in lower case; `None` for other labels and for bytes that can't be
/// in such a charset.
pub(super) fn decode(bytes: &[u8], label: &str) -> Option<String> {
    match label {
        _ if !bytes.is_ascii() => None,
        "utf-7" | "unicode-1-1-utf-7" | "csunicode11utf7" | "utf7" => Some(utf7(bytes)),
        "iso-2022-kr" | "csiso2022kr" => {
            Some(EUC_KR.decode_without_bom_handling(&shifted(bytes)).0.into_owned())
        }
        // The sets of CNS 11643, which are for Taiwan and very rare, are not decoded.
        "iso-2022-cn" => Some(GBK.decode_without_bom_handling(&shifted(bytes)).0.into_owned()),
        "hz-gb-2312" | "hz" => Some(GBK.decode_without_bom_handling(&hz(bytes)).0.into_owned()),
        _ => None,
    }
}

/// The bytes with their eighth bit set between SHIFT OUT and SHIFT IN or the end of the line, and
/// without escape sequences.
fn shifted(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut is_shifted = false;
    let mut rest = bytes;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            0x0e => is_shifted = true,
            0x0f => is_shifted = false,
            0x1b if matches!(after, [b'$', b')' | b'*' | b'+', _, ..]) => {
                rest = after.get(3..).unwrap_or_default();
            }
            0x21..=0x7e if is_shifted => out.push(byte | 0x80),
            _ => {
                is_shifted &= *byte != b'\n';
                out.push(*byte);
            }
        }
    }
    out
}

/// The bytes with their eighth bit set between `~{` and `~}` or the end of the line.
fn hz(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut is_shifted = false;
    let mut rest = bytes;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after.first()) {
            (b'~', Some(b'{')) if !is_shifted => is_shifted = true,
            (b'~', Some(b'}')) if is_shifted => is_shifted = false,
            (b'~', Some(b'~')) if !is_shifted => out.push(b'~'),
            // A line that goes on.
            (b'~', Some(b'\n')) if !is_shifted => {}
            _ => {
                is_shifted &= *byte != b'\n';
                out.push(if is_shifted && byte.is_ascii_graphic() { byte | 0x80 } else { *byte });
                continue;
            }
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    out
}

/// UTF-7 (RFC 2152). Damaged runs are skipped.
fn utf7(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    let mut bytes = bytes.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'+' {
            out.push(char::from(byte));
            continue;
        }
        if bytes.next_if_eq(&b'-').is_some() {
            out.push('+');
            continue;
        }
        let (mut bits, mut count) = (0u32, 0u32);
        let mut units = Vec::new();
        while let Some(value) = bytes.peek().copied().and_then(crate::encoding::base64_value) {
            bytes.next();
            bits = (bits << 6) | u32::from(value);
            count = count.saturating_add(6);
            if count >= 16 {
                count = count.saturating_sub(16);
                units.push(u16::try_from((bits >> count) & 0xffff).unwrap_or_default());
                bits &= (1 << count) - 1;
            }
        }
        bytes.next_if_eq(&b'-');
        out.push_str(&String::from_utf16_lossy(&units));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_not_hidden_from_the_sanitiser() {
        assert_eq!(decode(b"+ADw-script+AD4-", "utf-7").as_deref(), Some("<script>"));
        assert_eq!(decode(b"~{<b>~}", "hz").map(|text| text.contains('<')), Some(false));
        // An unfinished run ends with the text and hides nothing behind it.
        assert_eq!(decode(b"a+AG<b>\x0e", "utf-7").as_deref(), Some("a<b>\x0e"));
        assert_eq!(decode(b"\x0eGQ\n<b>", "iso-2022-kr").as_deref(), Some("한\n<b>"));
    }

    #[test]
    fn hostile_sequences_are_bounded() {
        for unit in ["+", "+AG", "+-", "~{", "~", "\x0e", "\x1b$)C", "\x1b", "+2D"] {
            let text = unit.repeat(200_000);
            for label in ["utf-7", "iso-2022-kr", "iso-2022-cn", "hz"] {
                assert!(decode(text.as_bytes(), label).unwrap().len() <= text.len() * 3);
            }
        }
    }
}
