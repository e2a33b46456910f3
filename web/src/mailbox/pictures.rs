//! Pictures that came inside a message: found by their Content-ID (RFC 2392) or Content-Location
//! (RFC 2557), and served each under an address of its own.
//!
//! The HTML of a message may be shown where a browser sends no cookie with its requests. So the
//! address carries a key, which is valid for that picture alone and for a day or two.

use std::collections::HashMap;

use data_encoding::HEXLOWER;
use freehold_core::mailbox::Message;
use freehold_core::store::StoreError;
use freehold_mime::content::content_id;
use freehold_mime::encoding::{self, Encoding};
use freehold_mime::media::percent_decoded;
use freehold_mime::structure::PartId;
use freehold_mime::{Kind, Structure, content, header};

use super::parsed::ParsedMessage;
use crate::site::Site;

/// Encoded bytes of a part that are decoded to see if it is a picture.
const SNIFFED_LEN: usize = 64;
/// Encoded bytes of a picture that are decoded to find its size.
const MEASURED_LEN: usize = 64 * 1024;
const DAY_SECS: u64 = 86_400;

/// The pictures of a message by the addresses that one of its HTML texts may use for them.
#[derive(Debug, Default)]
pub(super) struct Pictures {
    by_name: HashMap<String, usize>,
    /// True if the owner asked for pictures from elsewhere.
    pub(super) shows_remote: bool,
}

impl Pictures {
    /// The pictures for an HTML text: those of its own multipart first, none from beyond the
    /// message that the text is in.
    pub(super) fn of(message: &ParsedMessage, html: PartId) -> Self {
        let structure = &message.structure;
        let named: Vec<(PartId, String)> = structure
            .ids()
            .filter(|id| enclosing(structure, *id) == enclosing(structure, html))
            .flat_map(|id| names(message, id).into_iter().map(move |name| (id, name)))
            .collect();
        let mut found = HashMap::new();
        let mut scope = html;
        loop {
            for (id, name) in named.iter().filter(|(id, _)| structure.contains(scope, *id)) {
                found.entry(name.clone()).or_insert(id.number());
            }
            match structure.part(scope).parent {
                Some(parent) if structure.part(parent).kind != Kind::Message => scope = parent,
                _ => return Self { by_name: found, shows_remote: false },
            }
        }
    }

    /// The number of the part that the source of an `img` means.
    pub(super) fn find(&self, source: &str) -> Option<usize> {
        let source: String = source.chars().filter(|c| !c.is_control()).collect();
        let source = source.trim();
        // RFC 2392 2: the URL is percent-encoded, the Content-ID is not. Some programs encode both.
        self.named(source).or_else(|| {
            let decoded = percent_decoded(source.as_bytes());
            self.named(&String::from_utf8_lossy(&decoded))
        })
    }

    fn named(&self, source: &str) -> Option<usize> {
        if let Some((scheme, id)) = source.split_once(':')
            && scheme.eq_ignore_ascii_case("cid")
        {
            let id = id.trim().trim_start_matches('<').trim_end_matches('>');
            return self.by_name.get(&format!("cid:{id}")).copied();
        }
        self.by_name.get(source.trim_start_matches("./")).copied()
    }
}

/// The innermost message that a part is in.
fn enclosing(structure: &Structure, id: PartId) -> PartId {
    let mut id = id;
    while let Some(parent) = structure.part(id).parent {
        id = parent;
        if structure.part(id).kind == Kind::Message {
            break;
        }
    }
    id
}

/// The addresses of a part, if it is a picture: by its Content-ID, its Content-Location, its file
/// name.
fn names(message: &ParsedMessage, id: PartId) -> Vec<String> {
    let fields = message.structure.header(&message.bytes, id);
    let cid = header::first(fields, "content-id").map(content_id);
    let location = header::first(fields, "content-location").map(header::unfold);
    let file = content::file_name(&message.bytes, &message.structure, id);
    if (cid.is_none() && location.is_none() && file.is_empty())
        || part_media_type(message, id).is_none()
    {
        return Vec::new();
    }
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let cid = cid.map(|cid| format!("cid:{}", text(cid)));
    let location = location.map(|place| text(place).trim_start_matches("./").to_owned());
    cid.into_iter().chain(location).chain((!file.is_empty()).then_some(file)).collect()
}

/// The media type of a part, if it is a picture that browsers show.
pub(super) fn part_media_type(message: &ParsedMessage, id: PartId) -> Option<&'static str> {
    if message.structure.part(id).kind != Kind::Leaf {
        return None;
    }
    let body = message.structure.body(&message.bytes, id);
    let start = body.get(..SNIFFED_LEN).unwrap_or(body);
    let encoding = message.structure.encoding(&message.bytes, id);
    media_type(&encoding::decode(start, encoding).bytes)
}

/// The media type by the first bytes, not by the message's word; raster formats only, since SVG can
/// hold scripts.
pub(super) fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

/// The height of a picture in a column of `width`, in CSS pixels; `None` if its size is not known.
/// Pictures are never shown larger than they are.
pub(super) fn height_in(message: &ParsedMessage, part: usize, width: usize) -> Option<usize> {
    let id = message.structure.id(part)?;
    let body = message.structure.body(&message.bytes, id);
    let start = body.get(..MEASURED_LEN).unwrap_or(body);
    let encoding = message.structure.encoding(&message.bytes, id);
    let (own_width, own_height) = dimensions(&encoding::decode(start, encoding).bytes)?;
    if own_width <= width {
        return Some(own_height);
    }
    own_height.checked_mul(width)?.checked_div(own_width)
}

/// Width and height of a PNG, GIF, JPEG or WebP picture, in pixels.
pub(super) fn dimensions(bytes: &[u8]) -> Option<(usize, usize)> {
    let big = |at: usize| Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?).into());
    let little = |at: usize| Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    match media_type(bytes)? {
        // PNG 11.2.2.
        "image/png" => {
            let edge = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
            Some((usize::try_from(edge(16)?).ok()?, usize::try_from(edge(20)?).ok()?))
        }
        "image/gif" => Some((little(6)?.into(), little(8)?.into())),
        // RFC 9649 2.5 to 2.7: the edges less one, but for VP8.
        "image/webp" => match bytes.get(12..16)? {
            b"VP8 " => Some(((little(26)? & 0x3fff).into(), (little(28)? & 0x3fff).into())),
            b"VP8L" => {
                let bits = u32::from_le_bytes(*bytes.get(21..)?.first_chunk()?);
                let edge = |bits: u32| usize::try_from(bits & 0x3fff).ok()?.checked_add(1);
                Some((edge(bits)?, edge(bits >> 14)?))
            }
            b"VP8X" => {
                let edge = |at: usize| {
                    let [low, middle, high] = *bytes.get(at..)?.first_chunk()?;
                    let less = u32::from_le_bytes([low, middle, high, 0]);
                    usize::try_from(less).ok()?.checked_add(1)
                };
                Some((edge(24)?, edge(27)?))
            }
            _ => None,
        },
        "image/jpeg" => {
            // JPEG B.1.1.4: segments, of which a start of frame (SOF) has the size.
            let mut at = 2usize;
            loop {
                let [0xff, marker] = *bytes.get(at..)?.first_chunk()? else { return None };
                if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
                    return Some((big(at.checked_add(7)?)?, big(at.checked_add(5)?)?));
                }
                at = at.checked_add(2)?.checked_add(big(at.checked_add(2)?)?)?;
            }
        }
        _ => None,
    }
}

/// The place of a picture's encoded bytes in its message, so that the message need not be parsed
/// for each of its pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) start: usize,
    pub(super) len: usize,
    pub(super) encoding: Encoding,
}

impl Place {
    /// The place of a part.
    pub(super) fn of(message: &ParsedMessage, part: usize) -> Option<Self> {
        let id = message.structure.id(part)?;
        let body = message.structure.part(id).body.clone();
        let encoding = message.structure.encoding(&message.bytes, id);
        Some(Self { start: body.start, len: body.len(), encoding })
    }

    /// Parses the form of [`Display`](std::fmt::Display).
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-');
        let (start, len) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let encoding = match parts.next()? {
            "b" => Encoding::Base64,
            "q" => Encoding::QuotedPrintable,
            "u" => Encoding::Uuencode,
            "i" => Encoding::Identity,
            _ => return None,
        };
        Some(Self { start, len, encoding })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let encoding = match self.encoding {
            Encoding::Base64 => 'b',
            Encoding::QuotedPrintable => 'q',
            Encoding::Uuencode => 'u',
            Encoding::Identity => 'i',
        };
        write!(f, "{}-{}-{encoding}", self.start, self.len)
    }
}

/// The address of a picture.
///
/// # Errors
/// The store's.
pub(super) fn address(site: &Site, message: &Message, place: Place) -> Result<String, StoreError> {
    let key = key(site, message, place, today(site))?;
    Ok(format!("/home/mail/{}/{}/pictures/{place}?key={key}", message.folder.0, message.uid))
}

/// True if `given` is the key of a picture, made today or yesterday.
///
/// # Errors
/// The store's.
pub(super) fn is_key(
    site: &Site,
    message: &Message,
    place: Place,
    given: &str,
) -> Result<bool, StoreError> {
    let today = today(site);
    for day in [today, today.saturating_sub(1)] {
        // The keys are compared by their hashes, so that the time says nothing about the key.
        let right = key(site, message, place, day)?;
        let right = site.node.keyed("web.picture-key", right.as_bytes())?;
        if site.node.keyed("web.picture-key", given.as_bytes())? == right {
            return Ok(true);
        }
    }
    Ok(false)
}

fn today(site: &Site) -> u64 {
    site.node.clock.now().as_secs() / DAY_SECS
}

fn key(site: &Site, message: &Message, place: Place, day: u64) -> Result<String, StoreError> {
    let (folder, uid) = (message.folder.0, message.uid);
    let named = format!("{folder} {uid} {place} {day} ");
    let mac = site.node.keyed("web.picture", named.as_bytes())?;
    Ok(HEXLOWER.encode(mac.first_chunk::<16>().unwrap_or(&[0; 16])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picture_has_its_dimensions() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\x90\0\0\0\xa0";
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xc2\0\x11\x08\0\xa0\x01\x90";
        let vp8 = b"RIFF____WEBPVP8 ____\0\0\0\x9d\x01\x2a\x90\x01\xa0\0";
        let vp8l = b"RIFF____WEBPVP8L____\x2f\x8f\xc1\x27\0";
        let vp8x = b"RIFF____WEBPVP8X____\0\0\0\0\x8f\x01\0\x9f\0\0";
        for bytes in [&png[..], jpeg, b"GIF89a\x90\x01\xa0\0", vp8, vp8l, vp8x] {
            assert_eq!(dimensions(bytes), Some((400, 160)));
            for cut in 0..bytes.len() {
                assert_eq!(dimensions(&bytes[..cut]), None);
            }
        }
        assert_eq!(dimensions(b"\xff\xd8\xff\xe0\0\0\xff\xd8\xff\xe0"), None);
        let huge = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\x01\0\x01\0\x01\0\x01";
        assert_eq!(dimensions(huge), Some((65_537, 65_537)));
    }

    #[test]
    fn picture_is_found_by_content_id_and_location() {
        const PNG: &str = "Content-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n";
        let message = format!(
            "Content-Type: multipart/related; boundary=b\r\n\r\n\
             --b\r\nContent-Type: text/html\r\n\r\nx\r\n\
             --b\r\nContent-Type: application/octet-stream; name=a.png\r\n\
             Content-ID: <pic@2>\r\n{PNG}\
             --b\r\nContent-Type: image/png\r\nContent-Location: image1.png\r\n{PNG}\
             --b\r\nContent-Type: image/svg+xml\r\nContent-ID: <svg>\r\n\r\n<svg/>\r\n--b--\r\n"
        );
        let message = ParsedMessage::of(message.into_bytes());
        let html = message.structure.id(1).unwrap();
        let pictures = Pictures::of(&message, html);
        for (source, part) in [
            ("cid:pic@2", Some(2)),
            (" CID:pic%402", Some(2)),
            ("cid:<pic@\r\n2>", Some(2)),
            ("a.png", Some(2)),
            ("cid:pic%4", None),
            ("image1.png", Some(3)),
            ("./image1.png", Some(3)),
            ("cid:image1.png", None),
            ("cid:svg", None),
            ("https://x.example/image1.png", None),
        ] {
            assert_eq!(pictures.find(source), part, "{source}");
        }
    }

    #[test]
    fn encoded_content_id_is_found_as_written() {
        let gif = "\r\nContent-Type: image/gif\r\n\r\nGIF89a\r\n";
        let message = format!(
            "Content-Type: multipart/related; boundary=b\r\n\r\n\
             --b\r\nContent-Type: text/html\r\n\r\nx\r\n\
             --b\r\nContent-ID: <image%20001@x>{gif}\
             --b\r\nContent-ID: <image 001@x>{gif}\
             --b\r\nContent-ID: <a b@x>{gif}\
             --b\r\nContent-Location: my picture.gif{gif}--b--\r\n"
        );
        let message = ParsedMessage::of(message.into_bytes());
        let pictures = Pictures::of(&message, message.structure.id(1).unwrap());
        for (source, part) in [
            ("cid:image%20001@x", Some(2)),
            ("cid:image%2520001@x", Some(2)),
            ("cid:<image%20001@x>", Some(2)),
            ("cid:image 001@x", Some(3)),
            ("cid:image%20001%40x", Some(3)),
            ("cid:a%20b@x", Some(4)),
            ("my picture.gif", Some(5)),
            ("./my%20picture.gif", Some(5)),
            ("cid:my%20picture.gif", None),
        ] {
            assert_eq!(pictures.find(source), part, "{source}");
        }
    }

    #[test]
    fn picture_of_another_message_is_not_found() {
        let related = |picture: &str| {
            format!(
                "Content-Type: multipart/related; boundary=r\r\n\r\n\
                 --r\r\nContent-Type: text/html\r\n\r\nx\r\n{picture}--r--\r\n"
            )
        };
        let gif = "--r\r\nContent-Type: image/gif\r\nContent-ID: <1>\r\n\r\nGIF89a\r\n";
        let message = format!(
            "Content-Type: multipart/mixed; boundary=m\r\n\r\n\
             --m\r\nContent-Type: message/rfc822\r\n\r\n{}--m\r\n{}--m--\r\n",
            related(gif),
            related("")
        );
        let message = ParsedMessage::of(message.into_bytes());
        let find =
            |html: usize| Pictures::of(&message, message.structure.id(html).unwrap()).find("cid:1");
        assert_eq!((find(3), find(6)), (Some(4), None));
        let place = Place::of(&message, 4).unwrap();
        assert_eq!(Place::parse(&place.to_string()), Some(place));
        for text in ["", "1-2", "1-2-x", "-1-2-i", "1-2-i-3"] {
            assert_eq!(Place::parse(text), None, "{text}");
        }
    }
}
