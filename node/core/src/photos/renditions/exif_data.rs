//! The EXIF data of a file, beside the orientation.

use std::io::{BufRead, Seek};

use exif::{Exif, In, Tag, Value};

/// Facts from EXIF data; damaged data counts as none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ExifData {
    /// When it was taken, by the camera's clock: `YYYY-MM-DD HH:MM:SS`.
    pub(super) taken: Option<String>,
    /// Whether the colours are Adobe RGB. Cameras write the index `R03` (DCF 2.0, 4.5) and often no
    /// profile.
    pub(super) is_adobe_rgb: bool,
    /// Whether it says where the picture was taken.
    pub(super) has_place: bool,
}

impl ExifData {
    pub(super) fn read(file: &mut (impl BufRead + Seek)) -> Self {
        let Ok(exif) = exif::Reader::new().read_from_container(file) else {
            return Self::default();
        };
        let index = ascii(&exif, Tag::InteroperabilityIndex);
        Self {
            taken: taken(&exif),
            is_adobe_rgb: index == Some(b"R03"),
            has_place: exif.get_field(Tag::GPSLatitude, In::PRIMARY).is_some(),
        }
    }
}

fn ascii(exif: &Exif, tag: Tag) -> Option<&[u8]> {
    match &exif.get_field(tag, In::PRIMARY)?.value {
        Value::Ascii(values) => values.first().map(Vec::as_slice),
        _ => None,
    }
}

fn taken(exif: &Exif) -> Option<String> {
    let date = exif::DateTime::from_ascii(ascii(exif, Tag::DateTimeOriginal)?).ok()?;
    // A camera whose clock was never set writes the year 0.
    (date.year >= 1826 && (1..=12).contains(&date.month) && (1..=31).contains(&date.day))
        .then(|| date.to_string())
}
