//! Renditions of a picture file: its format is detected by content, it is turned upright and
//! encoded in two sizes without metadata, so that a rendition reveals no location (GPS, EXIF).
//!
//! One decode serves both sizes, and a picture is turned after it was scaled down, so that 24
//! megapixels need about 100 MiB.

mod truncation;

use std::io::Cursor;

use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

/// The most pixels that are decoded: more than cameras have, and few enough for the memory of a
/// small machine.
pub const PIXELS_MAX: u64 = 100_000_000;
/// The most memory a decoder may allocate, in bytes: four bytes for each pixel, and some more.
const DECODE_ALLOC_MAX: u64 = 512 * 1024 * 1024;
/// The longer edge of the large size, in pixels.
pub const LARGE_EDGE: u32 = 1600;
/// The longer edge of the small size, in pixels.
pub const SMALL_EDGE: u32 = 400;
/// The longest edge that thumbhash accepts, in pixels.
const HASH_EDGE: u32 = 100;
/// The JPEG quality of renditions, of 100.
const QUALITY: u8 = 82;

/// The format of a picture file, detected by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// image/jpeg
    Jpeg,
    /// image/png
    Png,
    /// image/webp
    WebP,
    /// image/gif
    Gif,
    /// image/heic and image/avif: stored, but no renditions are made.
    Heic,
}

impl MediaType {
    /// The format that the first bytes of a file announce.
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        let brand = bytes.get(4..12).and_then(|b| b.strip_prefix(b"ftyp"));
        if brand.is_some_and(|brand| {
            [&b"heic"[..], b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"avif"]
                .contains(&brand)
        }) {
            return Some(Self::Heic);
        }
        match image::guess_format(bytes).ok()? {
            ImageFormat::Jpeg => Some(Self::Jpeg),
            ImageFormat::Png => Some(Self::Png),
            ImageFormat::WebP => Some(Self::WebP),
            ImageFormat::Gif => Some(Self::Gif),
            _ => None,
        }
    }

    /// The media type's name (RFC 2046).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
            Self::Heic => "image/heic",
        }
    }

    fn format(self) -> Option<ImageFormat> {
        match self {
            Self::Jpeg => Some(ImageFormat::Jpeg),
            Self::Png => Some(ImageFormat::Png),
            Self::WebP => Some(ImageFormat::WebP),
            Self::Gif => Some(ImageFormat::Gif),
            Self::Heic => None,
        }
    }
}

/// Why no renditions of a file were made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenditionError {
    /// The content is of no known picture format; the file's name is not considered.
    #[error("this file is not a JPEG, PNG, WebP or GIF picture")]
    NotAPicture,
    /// A picture in an unsupported format.
    #[error("{0} pictures can't be shown here yet; save it as JPEG and add that")]
    Unsupported(&'static str),
    /// More than [`PIXELS_MAX`].
    #[error("the picture has {pixels} pixels, the limit is {pixels_max}")]
    TooManyPixels {
        /// The pixels that its header announces.
        pixels: u64,
        /// The limit.
        pixels_max: u64,
    },
    /// The file is damaged; the message of the decoder.
    #[error("the picture is damaged: {0}")]
    Damaged(String),
}

/// One size of a picture, a JPEG without metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendition {
    /// The file.
    pub jpeg: Vec<u8>,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// The renditions of a picture, and facts about the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renditions {
    /// The format of the file.
    pub media_type: MediaType,
    /// Width of the original, upright, in pixels.
    pub width: u32,
    /// Height of the original, upright, in pixels.
    pub height: u32,
    /// When it was taken, by the camera's clock, without a time zone: `YYYY-MM-DD HH:MM:SS`.
    pub taken: Option<String>,
    /// The longer edge is at most [`LARGE_EDGE`].
    pub large: Rendition,
    /// The longer edge is at most [`SMALL_EDGE`].
    pub small: Rendition,
    /// The thumbhash: a few bytes for a placeholder until the picture has loaded.
    pub thumbhash: Vec<u8>,
}

/// Makes the renditions of a file. Takes about a second of processor time for 24 megapixels, so it
/// must not run on an async worker.
///
/// # Errors
/// When the content is no picture, damaged, too large, or of an unsupported format.
pub fn make(bytes: &[u8]) -> Result<Renditions, RenditionError> {
    let media_type = MediaType::sniff(bytes).ok_or(RenditionError::NotAPicture)?;
    let format = media_type.format().ok_or(RenditionError::Unsupported("HEIC"))?;
    let (picture, orientation) = decode(bytes, format)?;
    if media_type == MediaType::Jpeg && truncation::is_truncated(bytes, &picture) {
        return Err(RenditionError::Damaged("its lower part is missing".to_owned()));
    }
    let (width, height) = (picture.width(), picture.height());
    let mut large = shrink(&picture, LARGE_EDGE)?;
    drop(picture);
    large.apply_orientation(orientation);
    let small = shrink(&large, SMALL_EDGE)?;
    let hash = shrink(&small, HASH_EDGE)?.to_rgba8();
    let thumbhash =
        thumbhash::rgba_to_thumb_hash(hash.width() as usize, hash.height() as usize, hash.as_raw());
    let (width, height) = if swaps_sides(orientation) { (height, width) } else { (width, height) };
    Ok(Renditions {
        media_type,
        width,
        height,
        taken: taken(bytes),
        large: encode(&large)?,
        small: encode(&small)?,
        thumbhash,
    })
}

fn decode(
    bytes: &[u8],
    format: ImageFormat,
) -> Result<(DynamicImage, Orientation), RenditionError> {
    let damaged = |error: image::ImageError| RenditionError::Damaged(error.to_string());
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODE_ALLOC_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > PIXELS_MAX {
        return Err(RenditionError::TooManyPixels { pixels, pixels_max: PIXELS_MAX });
    }
    if pixels == 0 {
        return Err(RenditionError::Damaged("it has no pixels".to_owned()));
    }
    // A picture with a damaged orientation is shown as it is.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let picture = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    Ok((flatten(picture), orientation))
}

/// The picture with eight bits per channel and without transparency, as JPEG requires; transparent
/// pixels become white.
fn flatten(picture: DynamicImage) -> DynamicImage {
    match picture {
        DynamicImage::ImageRgb8(_) | DynamicImage::ImageLuma8(_) => picture,
        other if other.color().has_alpha() => {
            let rgba = other.into_rgba8();
            let over_white = |channel: u8, alpha: u8| {
                let sum = u32::from(channel) * u32::from(alpha) + 255 * (255 - u32::from(alpha));
                u8::try_from(sum / 255).unwrap_or(255)
            };
            let flat = RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
                let [r, g, b, a] = rgba.get_pixel(x, y).0;
                image::Rgb([over_white(r, a), over_white(g, a), over_white(b, a)])
            });
            DynamicImage::ImageRgb8(flat)
        }
        other => DynamicImage::ImageRgb8(other.into_rgb8()),
    }
}

/// The picture scaled down to `edge` pixels on its longer edge; a smaller one is not enlarged.
fn shrink(picture: &DynamicImage, edge: u32) -> Result<DynamicImage, RenditionError> {
    let (width, height) = (picture.width(), picture.height());
    let longer = width.max(height);
    if longer <= edge {
        return Ok(picture.clone());
    }
    let scaled = |side: u32| {
        u32::try_from(u64::from(side) * u64::from(edge) / u64::from(longer)).unwrap_or(1).max(1)
    };
    let mut smaller = DynamicImage::new(scaled(width), scaled(height), picture.color());
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
    Resizer::new()
        .resize(picture, &mut smaller, &options)
        .map_err(|error| RenditionError::Damaged(error.to_string()))?;
    Ok(smaller)
}

fn encode(picture: &DynamicImage) -> Result<Rendition, RenditionError> {
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
        .encode_image(picture)
        .map_err(|error| RenditionError::Damaged(error.to_string()))?;
    Ok(Rendition { jpeg, width: picture.width(), height: picture.height() })
}

/// Whether an orientation (EXIF 2.32, 4.6.5) swaps width and height.
fn swaps_sides(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// The date in the file's EXIF data, if there is a valid one.
fn taken(bytes: &[u8]) -> Option<String> {
    let exif = exif::Reader::new().read_from_container(&mut Cursor::new(bytes)).ok()?;
    let field = exif.get_field(exif::Tag::DateTimeOriginal, exif::In::PRIMARY)?;
    let exif::Value::Ascii(values) = &field.value else { return None };
    let date = exif::DateTime::from_ascii(values.first()?).ok()?;
    // A camera whose clock was never set writes the year 0.
    (date.year >= 1826 && (1..=12).contains(&date.month) && (1..=31).contains(&date.day))
        .then(|| date.to_string())
}

#[cfg(test)]
mod tests;
