//! Decoding a picture file of any format.

use std::io::{BufRead, Seek};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::memory::Memory;
use super::{EDGE_MAX, Flaw, MediaType, PIXELS_MAX, RenditionError, jpeg, moving};

/// The most memory a decoder may allocate, in bytes: four bytes for each pixel, and some more.
const DECODE_ALLOC_MAX: u64 = 512 * 1024 * 1024;
/// The same for PNG, whose decoder counts rows, texts and the unpacked profile, but no pixels.
const PNG_ALLOC_MAX: u64 = 16 * 1024 * 1024;
/// The longest ICC profile that is applied, in bytes.
const PROFILE_LEN_MAX: usize = 4 * 1024 * 1024;
/// The memory of a decoder beside the pixels that it returns, in bytes for each pixel.
const DECODER_PIXEL_LEN: u64 = 4;

/// A decoded picture.
pub(super) struct Decoded {
    /// The pixels, possibly at a smaller scale, not upright.
    pub(super) picture: DynamicImage,
    /// Whether the four channels are cyan, magenta, yellow and black.
    pub(super) is_cmyk: bool,
    /// The width of the file's picture, in pixels.
    pub(super) width: u32,
    /// Its height.
    pub(super) height: u32,
    pub(super) orientation: Orientation,
    /// The ICC profile.
    pub(super) profile: Option<Vec<u8>>,
    pub(super) flaw: Option<Flaw>,
}

/// Decodes a file of that format.
pub(super) fn decode<R: BufRead + Seek>(
    file: &mut R,
    media_type: MediaType,
    memory: Memory,
) -> Result<Decoded, RenditionError> {
    let format = match media_type {
        MediaType::Jpeg => return jpeg::decode(file, memory),
        MediaType::Png => ImageFormat::Png,
        MediaType::WebP => ImageFormat::WebP,
        MediaType::Gif => ImageFormat::Gif,
        MediaType::Heic | MediaType::Avif => return Err(RenditionError::Unsupported(media_type)),
    };
    let is_moving = moving::is_moving(file, media_type).map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    let decoded = with_image(file, format, memory)?;
    Ok(Decoded { flaw: is_moving.then_some(Flaw::Moving), ..decoded })
}

/// Decodes a file with the decoders of the image crate.
pub(super) fn with_image<R: BufRead + Seek>(
    file: R,
    format: ImageFormat,
    memory: Memory,
) -> Result<Decoded, RenditionError> {
    let mut reader = ImageReader::with_format(file, format);
    let mut limits = Limits::default();
    let is_png = format == ImageFormat::Png;
    limits.max_alloc = Some(if is_png { PNG_ALLOC_MAX } else { DECODE_ALLOC_MAX });
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    check_pixels(width, height)?;
    let pixels = u64::from(width) * u64::from(height);
    memory.check(decoder.total_bytes() + pixels * DECODER_PIXEL_LEN)?;
    // A picture with a damaged orientation or profile is shown without it.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let profile = decoder.icc_profile().ok().flatten();
    let profile = profile.filter(|profile| profile.len() <= PROFILE_LEN_MAX);
    let picture = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    Ok(Decoded { picture, is_cmyk: false, width, height, orientation, profile, flaw: None })
}

/// Refuses a picture with too many pixels, in all or on an edge, or with none.
pub(super) fn check_pixels(width: u32, height: u32) -> Result<(), RenditionError> {
    let pixels = u64::from(width) * u64::from(height);
    match pixels {
        0 => Err(RenditionError::Damaged),
        1..=PIXELS_MAX if width.max(height) <= EDGE_MAX => Ok(()),
        _ => Err(RenditionError::TooManyPixels { width, height }),
    }
}

pub(super) fn unreadable(error: std::io::Error) -> RenditionError {
    tracing::debug!(%error, "a picture file could not be read");
    RenditionError::Damaged
}

fn damaged(error: image::ImageError) -> RenditionError {
    tracing::debug!(%error, "a picture could not be decoded");
    RenditionError::Damaged
}
