//! Whether a JPEG came whole. Its decoder fills what is missing with one grey and says nothing; the
//! file itself tells.

use image::DynamicImage;

/// Whether a JPEG was cut off: its end is missing (ITU T.81 B.1.1.3: EOI), and the last row of what
/// it decodes to is of one colour, as rows are that never came. A file that only lacks its last two
/// bytes has a last row of its own.
pub(super) fn is_missing(bytes: &[u8], picture: &DynamicImage) -> bool {
    !has_end(bytes) && is_blank_at_the_foot(picture)
}

/// Follows the markers to EOI; pictures within segments (thumbnails) are passed over with them.
fn has_end(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(2..).unwrap_or_default();
    loop {
        let Some(at) = rest.iter().position(|byte| *byte == 0xff) else { return false };
        rest = rest.get(at + 1..).unwrap_or_default();
        match rest.first() {
            None => return false,
            Some(0xd9) => return true,
            // Stuffing, fill bytes, restart markers and the two others that stand alone.
            Some(0x00 | 0xff | 0x01 | 0xd0..=0xd8) => {}
            Some(_) => {
                let Some([high, low]) = rest.get(1..3) else { return false };
                let len = usize::from(u16::from_be_bytes([*high, *low]));
                rest = rest.get(1 + len.max(2)..).unwrap_or_default();
            }
        }
    }
}

fn is_blank_at_the_foot(picture: &DynamicImage) -> bool {
    let row =
        picture.crop_imm(0, picture.height().saturating_sub(1), picture.width(), 1).into_rgb8();
    let mut pixels = row.pixels();
    pixels.next().is_some_and(|first| pixels.all(|pixel| pixel == first))
}
