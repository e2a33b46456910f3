//! Colour profiles (ICC.1): renditions carry no profile, so their pixels must be sRGB, which
//! browsers assume for pictures without a profile.
//!
//! moxcms is used, because the image crate brings it in, it is maintained, and it reads profiles
//! for grey and CMYK. A profile that it can't use is ignored, as browsers do.

use image::{DynamicImage, GrayImage, RgbImage, RgbaImage};
use moxcms::{
    ColorProfile, DataColorSpace, Layout, ParsingOptions, RenderingIntent, TransformOptions,
};

/// The longest profile that is read, in bytes: CMYK profiles have some MiB.
const PROFILE_LEN_MAX: usize = 8 * 1024 * 1024;

/// The profile of a picture.
pub(super) enum Profile {
    /// The file has none: sRGB.
    None,
    /// The bytes of an ICC profile.
    Icc(Vec<u8>),
    /// Adobe RGB (1998), which cameras announce in EXIF alone (DCF 2.0, 4.5).
    AdobeRgb,
}

/// The picture in sRGB. Eight bits for each channel.
pub(super) fn to_srgb(picture: DynamicImage, profile: &Profile) -> DynamicImage {
    let Some(profile) = profile.parsed() else { return picture };
    let converted = match (&picture, profile.color_space) {
        (DynamicImage::ImageRgb8(from), DataColorSpace::Rgb) => {
            rgb(from.as_raw(), Layout::Rgb, &profile, from.dimensions())
        }
        (DynamicImage::ImageLuma8(from), DataColorSpace::Gray) => {
            rgb(from.as_raw(), Layout::Gray, &profile, from.dimensions())
        }
        (DynamicImage::ImageRgba8(from), DataColorSpace::Rgb) => {
            rgba(from.as_raw(), Layout::Rgba, &profile, from.dimensions())
        }
        (DynamicImage::ImageLumaA8(from), DataColorSpace::Gray) => {
            rgba(from.as_raw(), Layout::GrayAlpha, &profile, from.dimensions())
        }
        _ => None,
    };
    converted.unwrap_or(picture)
}

/// A CMYK picture in sRGB. Without a profile it is mixed as if the inks were perfect, as browsers
/// do.
pub(super) fn cmyk_to_srgb(picture: &RgbaImage, profile: &Profile) -> DynamicImage {
    let parsed = profile.parsed().filter(|profile| profile.color_space == DataColorSpace::Cmyk);
    let converted = parsed
        .and_then(|profile| rgb(picture.as_raw(), Layout::Rgba, &profile, picture.dimensions()));
    converted.unwrap_or_else(|| {
        DynamicImage::from(RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
            let [cyan, magenta, yellow, black] = picture.get_pixel(x, y).0;
            let mix = |ink: u8| {
                let light = u32::from(255 - ink) * u32::from(255 - black) / 255;
                u8::try_from(light).unwrap_or(u8::MAX)
            };
            image::Rgb([mix(cyan), mix(magenta), mix(yellow)])
        }))
    })
}

/// The picture with eight bits for each channel.
pub(super) fn to_eight_bits(picture: DynamicImage) -> DynamicImage {
    match picture {
        DynamicImage::ImageRgb8(_)
        | DynamicImage::ImageRgba8(_)
        | DynamicImage::ImageLuma8(_)
        | DynamicImage::ImageLumaA8(_) => picture,
        DynamicImage::ImageLuma16(_) => DynamicImage::ImageLuma8(picture.into_luma8()),
        DynamicImage::ImageLumaA16(_) => DynamicImage::ImageLumaA8(picture.into_luma_alpha8()),
        other if other.color().has_alpha() => DynamicImage::ImageRgba8(other.into_rgba8()),
        other => DynamicImage::ImageRgb8(other.into_rgb8()),
    }
}

/// The picture without transparency, as JPEG requires; transparent pixels become white.
pub(super) fn over_white(picture: DynamicImage) -> DynamicImage {
    if !picture.color().has_alpha() {
        return picture;
    }
    let rgba = picture.into_rgba8();
    let mix = |channel: u8, alpha: u8| {
        let sum = u32::from(channel) * u32::from(alpha) + 255 * (255 - u32::from(alpha));
        u8::try_from(sum / 255).unwrap_or(u8::MAX)
    };
    DynamicImage::from(RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        let [red, green, blue, alpha] = rgba.get_pixel(x, y).0;
        image::Rgb([mix(red, alpha), mix(green, alpha), mix(blue, alpha)])
    }))
}

impl Profile {
    fn parsed(&self) -> Option<ColorProfile> {
        match self {
            Self::None => None,
            Self::AdobeRgb => Some(ColorProfile::new_adobe_rgb()),
            Self::Icc(bytes) => {
                let limits =
                    ParsingOptions { max_profile_size: PROFILE_LEN_MAX, ..Default::default() };
                ColorProfile::new_from_slice_with_options(bytes, limits).ok()
            }
        }
    }
}

fn rgb(
    from: &[u8],
    layout: Layout,
    profile: &ColorProfile,
    (width, height): (u32, u32),
) -> Option<DynamicImage> {
    let mut to = RgbImage::new(width, height);
    convert(from, layout, profile, &mut to, Layout::Rgb)?;
    // A neutral picture takes a third of the bytes.
    if layout == Layout::Gray {
        let grey = to.pixels().map(|pixel| pixel.0[1]).collect();
        return GrayImage::from_raw(width, height, grey).map(DynamicImage::from);
    }
    Some(to.into())
}

fn rgba(
    from: &[u8],
    layout: Layout,
    profile: &ColorProfile,
    (width, height): (u32, u32),
) -> Option<DynamicImage> {
    let mut to = RgbaImage::new(width, height);
    convert(from, layout, profile, &mut to, Layout::Rgba)?;
    Some(to.into())
}

/// Converts pixels to sRGB: relative colorimetric, as libvips and ImageMagick do, or perceptual for
/// a profile whose tables have nothing else.
fn convert(
    from: &[u8],
    layout: Layout,
    profile: &ColorProfile,
    to: &mut [u8],
    to_layout: Layout,
) -> Option<()> {
    let srgb = ColorProfile::new_srgb();
    let transform = [RenderingIntent::RelativeColorimetric, RenderingIntent::Perceptual]
        .into_iter()
        .find_map(|rendering_intent| {
            let options = TransformOptions { rendering_intent, ..Default::default() };
            profile.create_transform_8bit(layout, &srgb, to_layout, options).ok()
        })?;
    transform.transform(from, to).ok()
}
