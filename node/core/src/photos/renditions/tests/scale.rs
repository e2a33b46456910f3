//! JPEG at the scale that is needed, and the memory for it.

use super::*;

/// A picture whose colours change slowly, so that its sizes are alike.
fn slopes(width: u32, height: u32) -> DynamicImage {
    let part = |at: u32, whole: u32| u8::try_from(at * 255 / whole).unwrap();
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([part(x, width), part(y, height), part(x + y, width + height)])
    }))
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
    let reference = make(&encoded(&slopes(1600, 1200), ImageFormat::Png)).unwrap();
    for (width, height) in [(1600, 1200), (2000, 1500), (3200, 2400), (3300, 2475), (6400, 4800)] {
        let made = make(&encoded(&slopes(width, height), ImageFormat::Jpeg)).unwrap();
        assert_eq!((made.width, made.height), (width, height));
        assert_eq!((made.large.width, made.large.height), (1600, 1200));
        let difference = difference(&pixels(&made.large), &pixels(&reference.large));
        assert!(difference < 1.5, "{width}: {difference}");
    }
}

#[test]
fn picture_that_does_not_fit_into_memory_is_refused() {
    const MIB: u64 = 1024 * 1024;
    let with = |bytes: &[u8], mebibytes: u64| {
        super::super::make(&mut Cursor::new(bytes), Memory::of(Some(mebibytes * MIB)))
    };
    // 24 megapixels, decoded in half the size, in 64 MiB with what is kept free.
    let jpeg = encoded(&slopes(6000, 4000), ImageFormat::Jpeg);
    with(&jpeg, 72).unwrap();
    let refused = with(&jpeg, 32).unwrap_err();
    assert!(matches!(refused, RenditionError::OutOfMemory { .. }), "{refused:?}");
    // A PNG has no smaller scale.
    let png = encoded(&slopes(3000, 2000), ImageFormat::Png);
    with(&png, 80).unwrap();
    let refused = with(&png, 64).unwrap_err();
    assert!(matches!(refused, RenditionError::OutOfMemory { .. }), "{refused:?}");
}

#[test]
fn medium_size_is_made_from_the_large_one() {
    let made = make(&encoded(&slopes(1600, 1200), ImageFormat::Png)).unwrap();
    let later = medium_of(&made.large.jpeg).unwrap();
    assert_eq!((later.width, later.height), (800, 600));
    assert!(difference(&pixels(&later), &pixels(&made.medium.unwrap())) < 1.0);
    assert!(medium_of(b"no picture").is_err());
}
