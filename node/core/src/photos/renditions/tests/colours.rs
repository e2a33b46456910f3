//! Colour profiles are applied: the same colour in any profile is the same in sRGB.

use image::ImageEncoder;
use image::codecs::png::PngEncoder;
use img_parts::ImageICC;
use moxcms::ColorProfile;

use super::*;

/// sRGB (180, 60, 40) in Display P3, Adobe RGB (1998) and ProPhoto RGB.
const P3: [u8; 3] = [166, 69, 49];
const ADOBE: [u8; 3] = [156, 62, 45];
const PROPHOTO: [u8; 3] = [121, 65, 37];

/// A profile of linear grey, with the white of D50 (ICC.1, 7 and 10.6).
fn linear_grey() -> Vec<u8> {
    let white = [0xf6d6u32, 0x10000, 0xd32d].map(u32::to_be_bytes).concat();
    let tags: [(&[u8; 4], Vec<u8>); 2] =
        [(b"wtpt", [b"XYZ \0\0\0\0", &white[..]].concat()), (b"kTRC", b"curv".to_vec())];
    let mut profile = vec![0; 128];
    for (at, bytes) in
        [(8, &[4][..]), (12, b"mntrGRAYXYZ "), (36, b"acsp"), (68, &white), (131, &[2])]
    {
        profile.resize(profile.len().max(at + bytes.len()), 0);
        profile[at..at + bytes.len()].copy_from_slice(bytes);
    }
    let mut offset = 128 + 4 + 2 * 12;
    for (name, data) in &tags {
        let len = data.len().max(12);
        profile.extend_from_slice(*name);
        profile.extend([offset, len].map(|number| (number as u32).to_be_bytes()).concat());
        offset += len;
    }
    for (_, data) in tags {
        profile.extend_from_slice(&data);
        profile.resize(profile.len() + 12usize.saturating_sub(data.len()), 0);
    }
    let len = profile.len() as u32;
    profile[..4].copy_from_slice(&len.to_be_bytes());
    profile
}

/// The picture as a JPEG with that profile.
fn with_profile(picture: &DynamicImage, profile: &ColorProfile) -> Vec<u8> {
    with_icc(picture, profile.encode().unwrap())
}

fn with_icc(picture: &DynamicImage, profile: Vec<u8>) -> Vec<u8> {
    let mut jpeg = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 100);
    picture.write_with_encoder(encoder).unwrap();
    let mut parts = img_parts::jpeg::Jpeg::from_bytes(jpeg.into()).unwrap();
    parts.set_icc_profile(Some(profile.into()));
    parts.encoder().bytes().to_vec()
}

fn plain(colour: [u8; 3]) -> DynamicImage {
    DynamicImage::ImageRgb8(RgbImage::from_pixel(64, 48, image::Rgb(colour)))
}

/// The colour in the middle of the small size.
fn shown(file: &[u8]) -> [u8; 3] {
    let small = make(file).unwrap().small;
    image::load_from_memory(&small.jpeg).unwrap().into_rgb8().get_pixel(32, 24).0
}

fn near(one: [u8; 3], other: [u8; 3]) -> bool {
    one.iter().zip(other).all(|(a, b)| a.abs_diff(b) <= 3)
}

#[test]
fn colours_of_other_profiles_become_srgb() {
    let wanted = [180, 60, 40];
    for (profile, colour) in [
        (ColorProfile::new_srgb(), wanted),
        (ColorProfile::new_display_p3(), P3),
        (ColorProfile::new_adobe_rgb(), ADOBE),
        (ColorProfile::new_pro_photo_rgb(), PROPHOTO),
    ] {
        let shown = shown(&with_profile(&plain(colour), &profile));
        assert!(near(shown, wanted), "{colour:?}: {shown:?}");
    }
    // A profile of a PNG, too.
    let mut png =
        img_parts::png::Png::from_bytes(encoded(&plain(P3), ImageFormat::Png).into()).unwrap();
    png.set_icc_profile(Some(ColorProfile::new_display_p3().encode().unwrap().into()));
    assert!(near(shown(&png.encoder().bytes()), wanted));
}

#[test]
fn grey_profile_is_applied_and_the_picture_stays_grey() {
    let grey = DynamicImage::ImageLuma8(image::GrayImage::from_pixel(64, 48, image::Luma([128])));
    let shown = shown(&with_icc(&grey, linear_grey()));
    assert!(near(shown, [188; 3]), "{shown:?}");
    assert!(shown.iter().all(|channel| *channel == shown[0]));
}

#[test]
fn profile_that_can_not_be_used_is_ignored() {
    let colour = [180, 60, 40];
    let mut parts = img_parts::jpeg::Jpeg::from_bytes(
        with_profile(&plain(colour), &ColorProfile::new_srgb()).into(),
    )
    .unwrap();
    let whole = ColorProfile::new_display_p3().encode().unwrap();
    for profile in
        [b"no profile".to_vec(), linear_grey(), whole[..whole.len() / 2].to_vec(), vec![0xff; 1000]]
    {
        parts.set_icc_profile(Some(profile.into()));
        assert!(near(shown(&parts.clone().encoder().bytes()), colour));
    }
}

#[test]
fn profile_that_expands_without_end_is_left_out() {
    let mut bomb = Vec::new();
    let mut encoder = PngEncoder::new(&mut bomb);
    encoder.set_icc_profile(vec![0; 64 * 1024 * 1024]).unwrap();
    plain([9, 9, 9]).write_with_encoder(encoder).unwrap();
    assert!(bomb.len() < 1024 * 1024);
    let decoded = decode::decode(&mut Cursor::new(&bomb), MediaType::Png, Memory::UNLIMITED);
    assert_eq!(decoded.unwrap().profile, None);
    assert_eq!(make(&bomb).unwrap().flaw, None);
}

#[test]
fn damaged_profile_never_panics() {
    let whole = ColorProfile::new_display_p3().encode().unwrap();
    let mut parts = img_parts::jpeg::Jpeg::from_bytes(
        with_profile(&plain([9, 99, 200]), &ColorProfile::new_srgb()).into(),
    )
    .unwrap();
    for at in 0..whole.len() {
        for flip in [0xff, 0x01, 0x80] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            parts.set_icc_profile(Some(damaged.into()));
            make(&parts.clone().encoder().bytes()).unwrap();
        }
    }
}

#[test]
fn adobe_rgb_is_read_from_exif_alone() {
    // Exif IFD with a pointer to the interoperability IFD, whose index is R03.
    let mut tiff = b"MM\0\x2a\0\0\0\x08".to_vec();
    let entry = |tag: u16, kind: u16, count: u32, value: [u8; 4]| {
        [&tag.to_be_bytes()[..], &kind.to_be_bytes(), &count.to_be_bytes(), &value].concat()
    };
    for ifd in [
        entry(0x8769, 4, 1, 26u32.to_be_bytes()),
        entry(0xa005, 4, 1, 44u32.to_be_bytes()),
        entry(0x0001, 2, 4, *b"R03\0"),
    ] {
        tiff.extend([0, 1].iter().chain(&ifd).chain(&[0; 4]));
    }
    let jpeg = with_profile(&plain(ADOBE), &ColorProfile::new_srgb());
    let mut parts = img_parts::jpeg::Jpeg::from_bytes(jpeg.into()).unwrap();
    parts.set_icc_profile(None);
    parts.set_exif(Some(tiff.into()));
    assert!(near(shown(&parts.encoder().bytes()), [180, 60, 40]));
}
