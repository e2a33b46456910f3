//! Renditions of a picture file: its format is detected by content, it is turned upright, its
//! colours become sRGB, and it is encoded in three sizes without metadata, so that a rendition
//! reveals no location (GPS, EXIF).
//!
//! One decode serves all sizes. A JPEG is decoded at the scale that is needed, and a picture is
//! turned after it was scaled down, so that 24 megapixels need about 50 MiB. A picture that does
//! not fit into the free memory is refused before it is decoded.

mod colour;
mod decode;
mod exif_data;
mod jpeg;
mod media_type;
mod memory;
mod moving;

use std::io::{BufRead, Read, Seek};

use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::DynamicImage;
use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use minicbor::{Decode, Encode};

use self::colour::Profile;
use self::decode::{Decoded, unreadable};
use self::exif_data::ExifData;
pub use self::media_type::MediaType;
pub use self::memory::Memory;

/// The most pixels that are decoded: more than cameras have, and few enough for the memory of a
/// small machine.
pub const PIXELS_MAX: u64 = 100_000_000;
/// The longest edge of a picture, in pixels. Scaling takes 32 bytes for each pixel of an edge.
pub const EDGE_MAX: u32 = 65_535;
/// The longer edge of the large size, in pixels.
pub const LARGE_EDGE: u32 = 1600;
/// The longer edge of the medium size, in pixels.
pub const MEDIUM_EDGE: u32 = 800;
/// The longer edge of the small size, in pixels.
pub const SMALL_EDGE: u32 = 400;
/// The longest edge that thumbhash accepts, in pixels.
const HASH_EDGE: u32 = 100;
/// The JPEG quality of renditions, of 100.
const QUALITY: u8 = 82;

/// Why no renditions of a file were made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenditionError {
    /// The content is of no known picture format; the file's name is not considered.
    #[error("this file is not a JPEG, PNG, WebP or GIF picture")]
    NotAPicture,
    /// A picture in an unsupported format, or a JPEG of a rare kind.
    #[error("this kind of {} can't be shown here yet; save it as an ordinary JPEG", .0.name())]
    Unsupported(MediaType),
    /// More than [`PIXELS_MAX`], or an edge above [`EDGE_MAX`].
    #[error(
        "the picture has {width} x {height} pixels; {PIXELS_MAX}, and {EDGE_MAX} on an edge, are the most"
    )]
    TooManyPixels {
        /// The width that its header announces.
        width: u32,
        /// The height that its header announces.
        height: u32,
    },
    /// The decoded picture does not fit into the free memory, now.
    #[error("the picture takes {needed} bytes of memory, and {free} are free")]
    OutOfMemory {
        /// The memory that decoding takes, in bytes.
        needed: u64,
        /// The memory that is free for it, in bytes.
        free: u64,
    },
    /// The file is damaged; the decoder's reason is logged.
    #[error("the picture is damaged")]
    Damaged,
    /// The file ends before the picture does.
    #[error("the picture is damaged: its lower part is missing")]
    Truncated,
}

/// A trait of the file that its renditions do not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Flaw {
    /// The file is damaged inside: parts of the picture are wrong.
    #[n(0)]
    Damaged,
    /// The picture moves; renditions show its first frame.
    #[n(1)]
    Moving,
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
    /// The longer edge is at most [`MEDIUM_EDGE`]; `None` if the large one is not longer.
    pub medium: Option<Rendition>,
    /// The longer edge is at most [`SMALL_EDGE`].
    pub small: Rendition,
    /// The thumbhash: a few bytes for a placeholder until the picture has loaded.
    pub thumbhash: Vec<u8>,
    /// A trait that the renditions do not show.
    pub flaw: Option<Flaw>,
    /// Whether the file says where it was taken; renditions do not.
    pub has_place: bool,
}

/// Makes the renditions of a file. Takes about half a second of processor time for 24 megapixels,
/// so it must not run on an async worker.
///
/// # Errors
/// When the content is no picture, damaged, too large, or of an unsupported format; and when it
/// does not fit into `memory`.
pub fn make(
    file: &mut (impl BufRead + Seek),
    memory: Memory,
) -> Result<Renditions, RenditionError> {
    let mut head = Vec::new();
    let sniffed = media_type::SNIFF_LEN as u64;
    file.by_ref().take(sniffed).read_to_end(&mut head).map_err(unreadable)?;
    let media_type = MediaType::sniff(&head).ok_or(RenditionError::NotAPicture)?;
    file.rewind().map_err(unreadable)?;
    let decoded = decode::decode(file, media_type, memory)?;
    file.rewind().map_err(unreadable)?;
    let exif = ExifData::read(file);
    let Decoded { width, height, orientation, flaw, .. } = decoded;
    let large = large(decoded, exif.is_adobe_rgb)?;
    let medium = (large.width().max(large.height()) > MEDIUM_EDGE)
        .then(|| shrink(&large, MEDIUM_EDGE, Alpha::None))
        .transpose()?;
    let small = shrink(&large, SMALL_EDGE, Alpha::None)?;
    let hash = shrink(&small, HASH_EDGE, Alpha::None)?.to_rgba8();
    let thumbhash =
        thumbhash::rgba_to_thumb_hash(hash.width() as usize, hash.height() as usize, hash.as_raw());
    let (width, height) = if swaps_sides(orientation) { (height, width) } else { (width, height) };
    Ok(Renditions {
        media_type,
        width,
        height,
        taken: exif.taken,
        large: encode(&large)?,
        medium: medium.map(|medium| encode(&medium)).transpose()?,
        small: encode(&small)?,
        thumbhash,
        flaw,
        has_place: exif.has_place,
    })
}

/// Makes the medium size from the large one, for a photo of an earlier version that has none.
///
/// # Errors
/// [`RenditionError::Damaged`].
pub fn medium_of(large: &[u8]) -> Result<Rendition, RenditionError> {
    let picture = image::load_from_memory_with_format(large, image::ImageFormat::Jpeg)
        .map_err(|_| RenditionError::Damaged)?;
    encode(&shrink(&picture, MEDIUM_EDGE, Alpha::None)?)
}

/// The large size, upright and in sRGB.
fn large(decoded: Decoded, is_adobe_rgb: bool) -> Result<DynamicImage, RenditionError> {
    let Decoded { picture, is_cmyk, orientation, profile, .. } = decoded;
    let profile = match profile {
        Some(icc) => Profile::Icc(icc),
        None if is_adobe_rgb => Profile::AdobeRgb,
        None => Profile::None,
    };
    let alpha = if is_cmyk { Alpha::None } else { Alpha::Kept };
    let longer = picture.width().max(picture.height());
    let picture = if longer > LARGE_EDGE {
        let smaller = shrink(&picture, LARGE_EDGE, alpha)?;
        // The memory of the whole picture is needed no longer.
        drop(picture);
        smaller
    } else {
        picture
    };
    let mut large = match picture {
        DynamicImage::ImageRgba8(inks) if is_cmyk => colour::cmyk_to_srgb(&inks, &profile),
        other => colour::over_white(colour::to_srgb(colour::to_eight_bits(other), &profile)),
    };
    large.apply_orientation(orientation);
    Ok(large)
}

/// Whether the fourth channel is transparency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alpha {
    Kept,
    None,
}

/// The picture scaled down to `edge` pixels on its longer edge; a smaller one is not enlarged.
fn shrink(picture: &DynamicImage, edge: u32, alpha: Alpha) -> Result<DynamicImage, RenditionError> {
    let (width, height) = (picture.width(), picture.height());
    let longer = width.max(height);
    if longer <= edge {
        return Ok(picture.clone());
    }
    let scaled = |side: u32| {
        u32::try_from(u64::from(side) * u64::from(edge) / u64::from(longer)).unwrap_or(1).max(1)
    };
    let mut smaller = DynamicImage::new(scaled(width), scaled(height), picture.color());
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom))
        .use_alpha(alpha == Alpha::Kept);
    Resizer::new().resize(picture, &mut smaller, &options).map_err(|_| RenditionError::Damaged)?;
    Ok(smaller)
}

fn encode(picture: &DynamicImage) -> Result<Rendition, RenditionError> {
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
        .encode_image(picture)
        .map_err(|_| RenditionError::Damaged)?;
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

#[cfg(test)]
mod tests;
