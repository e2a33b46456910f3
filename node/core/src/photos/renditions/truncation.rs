//! Detects truncated JPEG files. The decoder fills the missing part with one grey without an error.

use image::DynamicImage;

/// True if the EOI marker (ITU T.81 B.1.1.3) is missing and the last row of the decoded picture has
/// one colour, as missing rows have. A file that lacks only its last two bytes has a complete last
/// row.
pub(super) fn is_truncated(bytes: &[u8], picture: &DynamicImage) -> bool {
    !has_eoi(bytes) && has_plain_last_row(picture)
}

/// Follows the markers to EOI. Segments are skipped, and with them the thumbnails in them, which have
/// an EOI of their own.
fn has_eoi(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(2..).unwrap_or_default();
    loop {
        let Some(at) = rest.iter().position(|byte| *byte == 0xff) else { return false };
        rest = rest.get(at + 1..).unwrap_or_default();
        match rest.first() {
            None => return false,
            Some(0xd9) => return true,
            // Stuffed and fill bytes, and markers without a length: TEM, RSTn, SOI.
            Some(0x00 | 0xff | 0x01 | 0xd0..=0xd8) => {}
            Some(_) => {
                let Some([high, low]) = rest.get(1..3) else { return false };
                let len = usize::from(u16::from_be_bytes([*high, *low]));
                rest = rest.get(1 + len.max(2)..).unwrap_or_default();
            }
        }
    }
}

fn has_plain_last_row(picture: &DynamicImage) -> bool {
    let row =
        picture.crop_imm(0, picture.height().saturating_sub(1), picture.width(), 1).into_rgb8();
    let mut pixels = row.pixels();
    pixels.next().is_some_and(|first| pixels.all(|pixel| pixel == first))
}
