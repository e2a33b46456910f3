//! A photo as a page shows it: its files, its alternative text, its share of a row.

use freehold_core::audience::Audience;
use freehold_core::feed::EntryId;
use freehold_core::photos::{Photo, Size};
use freehold_core::timeline::ItemPhoto;

/// The aspect ratios in tenths; the style sheet has a class `r<tenths>` for each.
pub(crate) const RATIOS: std::ops::RangeInclusive<u32> = 4..=30;

/// The sum of aspect ratios that fills one row of an album, in tenths: its width of 70 rem by its
/// height of 13.5 rem.
const FIRST_ROW_RATIO: u32 = 52;

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
    /// The `srcset` of its files; empty if there is only one.
    pub(crate) srcset: String,
    /// The aspect ratio: width in tenths of the height.
    pub(crate) ratio: u32,
    /// False while the file is still to be fetched from the friend.
    pub(crate) is_here: bool,
    /// True if the owner alone sees it in the list of photos.
    pub(crate) is_private: bool,
    /// True if it is visible when the page opens, so that it must not wait.
    pub(crate) is_first: bool,
}

fn ratio(width: u32, height: u32) -> u32 {
    let tenths =
        (width.saturating_mul(10).saturating_add(height / 2)).checked_div(height).unwrap_or(10);
    tenths.clamp(*RATIOS.start(), *RATIOS.end())
}

impl Picture {
    /// A photo of the owner.
    pub(crate) fn own(photo: &Photo) -> Self {
        let (id, large) = (photo.id, photo.rendition(Size::Large));
        let file = |size: Size| format!("/photos/{id}/{}", file_name(size));
        let sizes = [Size::Small, Size::Medium, Size::Large]
            .map(|size| (file(size), photo.rendition(size).width));
        Self {
            href: format!("/photos/{}", photo.slug),
            small: file(Size::Small),
            large: file(Size::Large),
            alt: photo.alt.clone(),
            caption: photo.caption.clone(),
            width: large.width,
            height: large.height,
            srcset: srcset(sizes),
            ratio: ratio(large.width, large.height),
            is_here: true,
            is_private: photo.audience == Audience::Owner,
            is_first: false,
        }
    }

    /// Photo `number` of a timeline post with the entry `entry`.
    pub(crate) fn of_item(entry: &EntryId, number: usize, photo: ItemPhoto) -> Self {
        let file = |size| format!("/home/timeline/{entry}/{number}/{}", file_name(size));
        let (small, large) = match (photo.has_small, photo.has_large) {
            (true, false) => (file(Size::Small), file(Size::Small)),
            (false, true) => (file(Size::Large), file(Size::Large)),
            _ => (file(Size::Small), file(Size::Large)),
        };
        let small_width = small_width(photo.width, photo.height);
        let is_whole = photo.has_small && photo.has_large;
        let sizes = is_whole.then(|| [(small.clone(), small_width), (large.clone(), photo.width)]);
        Self {
            href: String::new(),
            srcset: srcset(sizes.into_iter().flatten()),
            small,
            large,
            alt: photo.alt,
            caption: photo.caption,
            ratio: ratio(photo.width, photo.height),
            width: photo.width,
            height: photo.height,
            is_here: photo.has_small || photo.has_large,
            is_private: false,
            is_first: false,
        }
    }
}

/// The width of the small rendition, whose longer edge has at most 400 pixels.
fn small_width(width: u32, height: u32) -> u32 {
    let longer = width.max(height).max(1);
    if longer <= 400 { width.max(1) } else { (width.saturating_mul(400) / longer).max(1) }
}

/// The `srcset` of a picture's files, each with its width. No width is in it twice (HTML
/// 4.8.4.2), and one file alone needs none.
fn srcset(sizes: impl IntoIterator<Item = (String, u32)>) -> String {
    let mut sizes: Vec<_> = sizes.into_iter().collect();
    sizes.dedup_by_key(|(_, width)| *width);
    if sizes.len() < 2 {
        return String::new();
    }
    let candidates: Vec<_> =
        sizes.into_iter().map(|(file, width)| format!("{file} {width}w")).collect();
    candidates.join(", ")
}

/// Marks the pictures of an album's first row on a wide window.
pub(crate) fn mark_first_row(pictures: &mut [Picture]) {
    let mut row = 0;
    for picture in pictures {
        if row >= FIRST_ROW_RATIO {
            break;
        }
        row += picture.ratio;
        picture.is_first = true;
    }
}

/// The name of a photo's file.
fn file_name(size: Size) -> &'static str {
    match size {
        Size::Large => "1600.jpg",
        Size::Medium => "800.jpg",
        Size::Small => "400.jpg",
    }
}

/// The rendition that a file name means.
pub(crate) fn rendition_size(name: &str) -> Option<Size> {
    [Size::Large, Size::Medium, Size::Small].into_iter().find(|size| file_name(*size) == name)
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

    #[test]
    fn srcset_names_each_width_once() {
        let of = |widths: &[u32]| srcset(widths.iter().map(|width| (format!("/{width}"), *width)));
        assert_eq!(of(&[400, 800, 1600]), "/400 400w, /800 800w, /1600 1600w");
        assert_eq!(of(&[400, 700, 700]), "/400 400w, /700 700w");
        assert_eq!(of(&[300, 300, 300]), "");
        assert_eq!(of(&[]), "");
    }
}
