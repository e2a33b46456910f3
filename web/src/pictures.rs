//! A photo as a page shows it: its files, its alternative text, its share of a row.

use freehold_core::feed::EntryId;
use freehold_core::photos::{Photo, Size};
use freehold_core::timeline::ItemPhoto;

/// The aspect ratios in tenths; the style sheet has a class `r<tenths>` for each.
pub(crate) const RATIOS: std::ops::RangeInclusive<u32> = 4..=30;

/// A photo as a template shows it.
pub(crate) struct Picture {
    /// The page it links to; empty if there is none.
    pub(crate) href: String,
    /// The address of the small rendition.
    pub(crate) small: String,
    /// The address of the large rendition.
    pub(crate) large: String,
    pub(crate) alt: String,
    pub(crate) caption: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) small_width: u32,
    /// The aspect ratio: width in tenths of the height.
    pub(crate) ratio: u32,
    /// False while the file is still to be fetched from the friend.
    pub(crate) is_here: bool,
}

fn ratio(width: u32, height: u32) -> u32 {
    let tenths =
        (width.saturating_mul(10).saturating_add(height / 2)).checked_div(height).unwrap_or(10);
    tenths.clamp(*RATIOS.start(), *RATIOS.end())
}

impl Picture {
    /// A photo of the owner.
    pub(crate) fn own(photo: &Photo) -> Self {
        let (id, large, small) =
            (photo.id, photo.rendition(Size::Large), photo.rendition(Size::Small));
        Self {
            href: format!("/photos/{}", photo.slug),
            small: format!("/photos/{id}/400.jpg"),
            large: format!("/photos/{id}/1600.jpg"),
            alt: photo.alt.clone(),
            caption: photo.caption.clone(),
            width: large.width,
            height: large.height,
            small_width: small.width,
            ratio: ratio(large.width, large.height),
            is_here: true,
        }
    }

    /// Photo `number` of a timeline post with the entry `entry`.
    pub(crate) fn of_item(entry: &EntryId, number: usize, photo: ItemPhoto) -> Self {
        let file = |size: &str| format!("/home/timeline/{entry}/{number}/{size}.jpg");
        let (small, large) = match (photo.has_small, photo.has_large) {
            (true, false) => (file("400"), file("400")),
            (false, true) => (file("1600"), file("1600")),
            _ => (file("400"), file("1600")),
        };
        Self {
            href: String::new(),
            small,
            large,
            alt: photo.alt,
            caption: photo.caption,
            ratio: ratio(photo.width, photo.height),
            small_width: small_width(photo.width, photo.height),
            width: photo.width,
            height: photo.height,
            is_here: photo.has_small || photo.has_large,
        }
    }
}

/// The width of the small rendition, whose longer edge has at most 400 pixels.
fn small_width(width: u32, height: u32) -> u32 {
    let longer = width.max(height).max(1);
    if longer <= 400 { width.max(1) } else { (width.saturating_mul(400) / longer).max(1) }
}

/// The rendition that a file name means.
pub(crate) fn rendition_size(name: &str) -> Option<Size> {
    match name {
        "1600.jpg" => Some(Size::Large),
        "400.jpg" => Some(Size::Small),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aspect_ratio_is_clamped_to_its_classes() {
        assert_eq!(
            (
                ratio(1600, 1200),
                ratio(1200, 1600),
                ratio(1600, 900),
                ratio(100, 10_000),
                ratio(10_000, 1),
                ratio(5, 0)
            ),
            (13, 8, 18, 4, 30, 10)
        );
        assert_eq!(
            (small_width(1600, 1200), small_width(1200, 1600), small_width(300, 200)),
            (400, 300, 300)
        );
    }
}
