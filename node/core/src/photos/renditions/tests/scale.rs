//! JPEG at the scale that is needed, and the memory for it.

use super::*;

/// A low picture whose colours change slowly from left to right, so that its sizes are alike.
fn slope(width: u32, height: u32) -> DynamicImage {
    let part = |x: u32| u8::try_from(x * 255 / width).unwrap();
    let colour = |x, _| image::Rgb([part(x), 255 - part(x), 90]);
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, colour))
}

fn pixels(rendition: &Rendition) -> RgbImage {
    image::load_from_memory(&rendition.jpeg).unwrap().into_rgb8()
}

/// The mean difference of two pictures, of 255.
fn difference(one: &RgbImage, other: &RgbImage) -> f64 {
    assert_eq!(one.dimensions(), other.dimensions());
    let sum: u64 = one.iter().zip(other.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / one.len() as f64
}

#[test]
fn jpeg_of_any_scale_gives_the_same_large_size() {
    let reference = make(&encoded(&slope(1600, 40), ImageFormat::Png)).unwrap();
    // In full size, a half, a quarter and an eighth of it.
    for (width, height) in [(1600, 40), (2000, 50), (3300, 83), (6500, 163), (13_000, 325)] {
        let made = make(&encoded(&slope(width, height), ImageFormat::Jpeg)).unwrap();
        assert_eq!((made.width, made.height), (width, height));
        assert_eq!((made.large.width, made.large.height), (1600, 40));
        let difference = difference(&pixels(&made.large), &pixels(&reference.large));
        assert!(difference < 1.5, "{width}: {difference}");
    }
}

/// The size in the frame header of a JPEG replaced.
fn with_size(mut jpeg: Vec<u8>, width: u16, height: u16) -> Vec<u8> {
    let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    jpeg[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    jpeg
}

#[test]
fn picture_that_does_not_fit_into_memory_is_refused() {
    const MIB: u64 = 1024 * 1024;
    let with = |bytes: &[u8], mebibytes: u64| {
        super::super::make(&mut Cursor::new(bytes), Memory::of(Some(mebibytes * MIB)))
    };
    let is_refused = |bytes: &[u8], mebibytes: u64| {
        matches!(with(bytes, mebibytes), Err(RenditionError::OutOfMemory { .. }))
    };
    // 24 megapixels, decoded in half the size: 64 MiB, and the memory that stays free. The rest of
    // the file is missing, which is found out after that.
    let small = encoded(&slope(64, 48), ImageFormat::Jpeg);
    let jpeg = with_size(small.clone(), 6000, 4000);
    assert!(is_refused(&jpeg, 56));
    assert_eq!(with(&jpeg, 72), Err(RenditionError::Damaged));
    // A PNG has no smaller scale.
    let png = encoded(&slope(3000, 100), ImageFormat::Png);
    assert!(is_refused(&png, 32) && !is_refused(&png, 36));
    assert!(!is_refused(&small, 33));
}

#[test]
fn medium_size_is_made_from_the_large_one() {
    let made = make(&encoded(&slope(1600, 1200), ImageFormat::Png)).unwrap();
    let later = medium_of(&made.large.jpeg).unwrap();
    assert_eq!((later.width, later.height), (800, 600));
    assert!(difference(&pixels(&later), &pixels(&made.medium.unwrap())) < 1.0);
    assert!(medium_of(b"no picture").is_err());
}
