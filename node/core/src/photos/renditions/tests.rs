//! Generated pictures in every format and orientation, whole and damaged.

use std::io::Cursor;

use image::{ImageFormat, RgbImage};
use img_parts::ImageEXIF;

use super::*;

mod colours;
mod damage;
mod scale;

fn make(bytes: &[u8]) -> Result<Renditions, RenditionError> {
    super::make(&mut Cursor::new(bytes), Memory::UNLIMITED)
}

/// A picture with a red left half and a blue right half.
fn halves(width: u32, height: u32) -> DynamicImage {
    let picture = RgbImage::from_fn(width, height, |x, _| {
        if x < width / 2 { image::Rgb([220, 20, 20]) } else { image::Rgb([20, 20, 220]) }
    });
    DynamicImage::ImageRgb8(picture)
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// EXIF with an orientation, a date and a place, as a camera writes it (TIFF, big-endian).
fn exif_block(orientation: u16) -> Vec<u8> {
    let mut tiff = b"MM\0\x2a\0\0\0\x08".to_vec();
    let date = b"2026:11:22 08:15:00\0";
    // IFD0: orientation, Exif IFD, GPS IFD.
    tiff.extend_from_slice(&3u16.to_be_bytes());
    let entry = |tiff: &mut Vec<u8>, tag: u16, kind: u16, count: u32, value: [u8; 4]| {
        tiff.extend_from_slice(&tag.to_be_bytes());
        tiff.extend_from_slice(&kind.to_be_bytes());
        tiff.extend_from_slice(&count.to_be_bytes());
        tiff.extend_from_slice(&value);
    };
    let (exif_at, gps_at, date_at) = (50u32, 68u32, 98u32);
    entry(
        &mut tiff,
        0x0112,
        3,
        1,
        [orientation.to_be_bytes()[0], orientation.to_be_bytes()[1], 0, 0],
    );
    entry(&mut tiff, 0x8769, 4, 1, exif_at.to_be_bytes());
    entry(&mut tiff, 0x8825, 4, 1, gps_at.to_be_bytes());
    tiff.extend_from_slice(&0u32.to_be_bytes());
    tiff.extend_from_slice(&1u16.to_be_bytes());
    entry(&mut tiff, 0x9003, 2, 20, date_at.to_be_bytes());
    tiff.extend_from_slice(&0u32.to_be_bytes());
    tiff.extend_from_slice(&2u16.to_be_bytes());
    entry(&mut tiff, 0x0001, 2, 2, *b"N\0\0\0");
    entry(&mut tiff, 0x0003, 2, 2, *b"E\0\0\0");
    tiff.extend_from_slice(&0u32.to_be_bytes());
    tiff.extend_from_slice(date);
    tiff
}

fn with_exif(jpeg: &[u8], orientation: u16) -> Vec<u8> {
    let mut parts = img_parts::jpeg::Jpeg::from_bytes(jpeg.to_vec().into()).unwrap();
    parts.set_exif(Some(exif_block(orientation).into()));
    parts.encoder().bytes().to_vec()
}

fn redder(rendition: &Rendition, x: u32, y: u32) -> bool {
    let picture = image::load_from_memory(&rendition.jpeg).unwrap().into_rgb8();
    let [red, _, blue] = picture.get_pixel(x, y).0;
    red > blue
}

#[test]
fn every_format_is_detected_and_rendered_in_three_sizes() {
    for (format, media_type) in [
        (ImageFormat::Jpeg, MediaType::Jpeg),
        (ImageFormat::Png, MediaType::Png),
        (ImageFormat::WebP, MediaType::WebP),
        (ImageFormat::Gif, MediaType::Gif),
    ] {
        let renditions = make(&encoded(&halves(2000, 1000), format)).unwrap();
        assert_eq!(renditions.media_type, media_type);
        assert_eq!((renditions.width, renditions.height), (2000, 1000));
        assert_eq!((renditions.large.width, renditions.large.height), (1600, 800));
        let medium = renditions.medium.unwrap();
        assert_eq!((medium.width, medium.height), (800, 400));
        assert_eq!((renditions.small.width, renditions.small.height), (400, 200));
        assert!(redder(&renditions.small, 20, 100) && !redder(&renditions.small, 380, 100));
        assert!(!renditions.thumbhash.is_empty() && renditions.thumbhash.len() < 40);
    }
}

#[test]
fn small_picture_is_not_enlarged() {
    let renditions = make(&encoded(&halves(300, 200), ImageFormat::Png)).unwrap();
    assert_eq!((renditions.large.width, renditions.large.height), (300, 200));
    assert_eq!((renditions.small.width, renditions.small.height), (300, 200));
    assert_eq!(renditions.medium, None);
}

#[test]
fn exif_orientation_turns_the_renditions_upright() {
    let jpeg = encoded(&halves(600, 300), ImageFormat::Jpeg);
    // Orientation 6: the camera was turned to its right side; the left edge of the file is the top
    // of the picture.
    let renditions = make(&with_exif(&jpeg, 6)).unwrap();
    assert_eq!((renditions.width, renditions.height), (300, 600));
    assert!(redder(&renditions.large, 150, 50) && !redder(&renditions.large, 150, 550));
    // Orientation 3: upside down.
    let renditions = make(&with_exif(&jpeg, 3)).unwrap();
    assert_eq!((renditions.width, renditions.height), (600, 300));
    assert!(!redder(&renditions.large, 50, 150) && redder(&renditions.large, 550, 150));
}

#[test]
fn exif_date_is_read_and_renditions_have_no_metadata() {
    let renditions = make(&with_exif(&encoded(&halves(600, 300), ImageFormat::Jpeg), 1)).unwrap();
    assert_eq!(renditions.taken.as_deref(), Some("2026-11-22 08:15:00"));
    for rendition in [&renditions.large, &renditions.small] {
        let parts = img_parts::jpeg::Jpeg::from_bytes(rendition.jpeg.clone().into()).unwrap();
        assert!(parts.exif().is_none());
        assert!(!rendition.jpeg.windows(4).any(|w| w == b"Exif" || w == b"http"));
    }
}

#[test]
fn transparent_pixels_become_white() {
    let clear =
        DynamicImage::ImageRgba8(image::RgbaImage::from_pixel(50, 50, image::Rgba([0, 0, 0, 0])));
    let renditions = make(&encoded(&clear, ImageFormat::Png)).unwrap();
    let shown = image::load_from_memory(&renditions.large.jpeg).unwrap().into_rgb8();
    assert!(shown.get_pixel(25, 25).0.iter().all(|channel| *channel > 250));
}

#[test]
fn file_that_is_no_picture_is_refused() {
    assert_eq!(make(b""), Err(RenditionError::NotAPicture));
    assert_eq!(make(b"<svg onload=alert(1)>"), Err(RenditionError::NotAPicture));
    assert_eq!(
        make(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
        Err(RenditionError::Unsupported(MediaType::Heic))
    );
}

#[test]
fn picture_with_too_many_pixels_is_refused_before_decoding() {
    for (width, height) in [(50_000u32, 50_000u32), (1, 20_000_000), (65_536, 1)] {
        let mut png = encoded(&halves(2, 2), ImageFormat::Png);
        png[16..20].copy_from_slice(&width.to_be_bytes());
        png[20..24].copy_from_slice(&height.to_be_bytes());
        // The header's checksum is corrected, so that only the size is wrong.
        let checksum = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&checksum.to_be_bytes());
        assert_eq!(make(&png), Err(RenditionError::TooManyPixels { width, height }));
    }
    // The frame header of a JPEG comes right after the quantisation tables.
    let mut jpeg = encoded(&halves(2, 2), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xea, 0x60, 0xea, 0x60]);
    let (width, height) = (60_000, 60_000);
    assert_eq!(make(&jpeg), Err(RenditionError::TooManyPixels { width, height }));
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 }
        })
    })
}

/// Each of the eight orientations (EXIF 2.32, 4.6.5), with the side on which the file's left half
/// is shown.
#[test]
fn every_exif_orientation_is_rendered_upright() {
    let jpeg = encoded(&halves(600, 300), ImageFormat::Jpeg);
    let (left, right, top, bottom) = ((50, 150), (550, 150), (150, 50), (150, 550));
    for (orientation, red, blue) in [
        (0, left, right),
        (1, left, right),
        (2, right, left),
        (3, right, left),
        (4, left, right),
        (5, top, bottom),
        (6, top, bottom),
        (7, bottom, top),
        (8, bottom, top),
        (9, left, right),
    ] {
        let renditions = make(&with_exif(&jpeg, orientation)).unwrap();
        let shown = &renditions.large;
        assert!(
            redder(shown, red.0, red.1) && !redder(shown, blue.0, blue.1),
            "orientation {orientation}"
        );
        assert_eq!(
            renditions.width > renditions.height,
            red == left || red == right,
            "orientation {orientation}"
        );
    }
}

#[test]
fn picture_with_damaged_exif_is_rendered_without_it() {
    let whole = with_exif(&encoded(&halves(60, 30), ImageFormat::Jpeg), 6);
    let exif = whole.windows(4).position(|w| w == b"Exif").unwrap();
    let len = exif_block(6).len();
    for at in exif..exif + len {
        let mut flipped = whole.clone();
        flipped[at] ^= 0xff;
        let renditions = make(&flipped).unwrap_or_else(|error| panic!("byte {at}: {error}"));
        assert_eq!(renditions.width.max(renditions.height), 60);
        assert!(!renditions.large.jpeg.windows(4).any(|w| w == b"Exif"));
    }
}
