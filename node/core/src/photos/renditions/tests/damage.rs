//! Truncated and damaged files, and files that move.

use super::*;

/// A picture of many colours, so that each of its rows takes bytes in a file.
fn speckled(width: u32, height: u32) -> DynamicImage {
    let speck =
        |x: u32, y: u32| blake3::hash(&[x.to_le_bytes(), y.to_le_bytes()].concat()).as_bytes()[0];
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([speck(x / 4, y / 4), speck(y / 4, x / 4), 90])
    }))
}

#[test]
fn truncated_jpeg_is_damaged_unless_only_eoi_is_missing() {
    let whole = encoded(&speckled(320, 240), ImageFormat::Jpeg);
    make(&whole).unwrap();
    make(&whole[..whole.len() - 2]).unwrap();
    for tenths in [3, 5, 8] {
        let cut = &whole[..whole.len() * tenths / 10];
        assert_eq!(make(cut), Err(RenditionError::Truncated), "{tenths}");
    }
    // The EOI of a thumbnail is not that of the picture.
    let mut with_end_inside = vec![0xff, 0xd8, 0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9];
    with_end_inside.extend_from_slice(&whole[2..whole.len() / 2]);
    assert!(make(&with_end_inside).is_err());
}

#[test]
fn damaged_jpeg_never_panics_the_decoder() {
    let whole = encoded(&halves(64, 48), ImageFormat::Jpeg);
    for cut in (0..whole.len()).step_by(7) {
        let _ = make(&whole[..cut]);
    }
    for at in (0..whole.len()).step_by(5) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x55;
        let _ = make(&flipped);
    }
    assert!(make(&whole[..whole.len() / 4]).is_err());
}

#[test]
fn jpeg_damaged_inside_is_rendered_and_said_to_be() {
    let whole = encoded(&speckled(640, 480), ImageFormat::Jpeg);
    assert_eq!(make(&whole).unwrap().flaw, None);
    // A piece is cut out of the scan: the rest of the picture has too little data.
    let mut cut = whole.clone();
    cut.drain(whole.len() / 3..whole.len() / 2);
    assert_eq!(make(&cut).unwrap().flaw, Some(Flaw::Damaged));
    // The end of a scan that is whole may be padded with any number of ones.
    let scan_end = whole.len() - 2;
    let padded = [&whole[..scan_end], &[0xff, 0], &[0xff, 0], &whole[scan_end..]].concat();
    assert_eq!(make(&padded).unwrap().flaw, None);
}

#[test]
fn progressive_jpeg_without_its_end_is_told_as_damaged() {
    let whole: &[u8] = include_bytes!("progressive.jpg");
    assert_eq!(make(whole).unwrap().flaw, None);
    let is_scan = |at: &usize| whole[*at..].starts_with(&[0xff, 0xda]);
    let last_scan = (0..whole.len()).rev().find(is_scan).unwrap();
    for len in [last_scan, whole.len() - 100, whole.len() - 2] {
        assert_eq!(make(&whole[..len]).unwrap().flaw, Some(Flaw::Damaged), "{len}");
    }
    for len in (0..whole.len()).step_by(7) {
        let is_told = make(&whole[..len]).map_or(true, |made| made.flaw.is_some());
        assert!(is_told, "{len}");
    }
}

#[test]
fn jpeg_of_endless_scans_is_refused() {
    let whole: &[u8] = include_bytes!("progressive.jpg");
    let is_scan = |at: &usize| whole[*at..].starts_with(&[0xff, 0xda]);
    let (last_scan, end) = ((0..whole.len()).rev().find(is_scan).unwrap(), whole.len() - 2);
    let many = [&whole[..end], &whole[last_scan..end].repeat(300), &whole[end..]].concat();
    assert_eq!(make(&many), Err(RenditionError::Damaged));
}

#[test]
fn moving_picture_is_said_to_move() {
    let mut gif = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut gif);
    let frame = || image::Frame::new(halves(60, 40).into_rgba8());
    encoder.encode_frames([frame(), frame()]).unwrap();
    drop(encoder);
    let renditions = make(&gif).unwrap();
    assert_eq!((renditions.flaw, renditions.width), (Some(Flaw::Moving), 60));
    assert_eq!(make(&encoded(&halves(60, 40), ImageFormat::Gif)).unwrap().flaw, None);
}
