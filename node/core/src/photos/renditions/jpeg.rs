//! Decoding JPEG at the scale that is needed: a half, a quarter or an eighth of the size takes a
//! fraction of the memory, because the inverse transform makes fewer pixels.
//!
//! A file that this decoder refuses gets a second, lenient decoding in full size. If that shows a
//! picture, the file is damaged, or of a rare kind.

mod frame;
mod stream;

use std::io::{self, BufRead, BufReader, Cursor, Seek};

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage, RgbaImage};
use jpeg_decoder::{Decoder, PixelFormat};

use self::frame::Frame;
use self::stream::JpegStream;
use super::decode::{self, Decoded, check_pixels};
use super::memory::Memory;
use super::{Flaw, LARGE_EDGE, MediaType, RenditionError};

/// How much of the file is read at once, in bytes.
const READ_LEN: usize = 16 * 1024;
/// The most memory for the picture in full size, in bytes for each pixel.
const LENIENT_PIXEL_LEN: u64 = 12;

pub(super) fn decode<R: BufRead + Seek>(
    file: &mut R,
    memory: Memory,
) -> Result<Decoded, RenditionError> {
    let frame = Frame::read(file).map_err(decode::unreadable)?;
    let frame = frame.ok_or(RenditionError::Damaged)?;
    check_pixels(u32::from(frame.width), u32::from(frame.height))?;
    memory.check(frame.decoding_memory(eighths(&frame)))?;
    file.rewind().map_err(decode::unreadable)?;
    let mut stream = JpegStream::new(&mut *file);
    match scaled(&mut stream, &frame) {
        // Whether scans are missing after those that are there, nobody knows.
        Ok(decoded) if frame.is_progressive && !stream.has_eoi().unwrap_or(false) => {
            Ok(Decoded { flaw: Some(Flaw::Damaged), ..decoded })
        }
        Ok(decoded) => Ok(decoded),
        Err(_) if stream.is_refused() => Err(RenditionError::Damaged),
        Err(jpeg_decoder::Error::Unsupported(_)) => {
            lenient(file, &frame, memory).map_err(|error| match error {
                // Arithmetic coding, twelve bits for each sample: whole, and of a rare kind.
                RenditionError::Damaged => RenditionError::Unsupported(MediaType::Jpeg),
                other => other,
            })
        }
        Err(_) => {
            let has_eoi = stream.has_eoi().unwrap_or(false);
            if stream.is_refused() {
                return Err(RenditionError::Damaged);
            }
            match lenient(file, &frame, memory) {
                Ok(decoded) if has_eoi || frame.is_progressive => {
                    Ok(Decoded { flaw: Some(Flaw::Damaged), ..decoded })
                }
                // A file that lacks only its last bytes has a complete last row.
                Ok(decoded) if !has_plain_last_row(&decoded.picture) => Ok(decoded),
                _ if has_eoi => Err(RenditionError::Damaged),
                _ => Err(RenditionError::Truncated),
            }
        }
    }
}

/// The eighths of the size in which a picture is decoded: the smallest from which the large
/// rendition can be made.
fn eighths(frame: &Frame) -> u64 {
    let longer = u32::from(frame.width.max(frame.height));
    let large = |eighths: &u32| (longer * eighths).div_ceil(8) >= LARGE_EDGE;
    [1, 2, 4].into_iter().find(large).unwrap_or(8).into()
}

fn scaled<R: BufRead>(
    stream: &mut JpegStream<R>,
    frame: &Frame,
) -> Result<Decoded, jpeg_decoder::Error> {
    let mut decoder = Decoder::new(BufReader::with_capacity(READ_LEN, stream));
    let edge = u16::try_from(LARGE_EDGE).unwrap_or(u16::MAX);
    let (width, height) = decoder.scale(edge, edge)?;
    let pixels = decoder.decode()?;
    let unknown = || jpeg_decoder::Error::Format("unknown pixels".to_owned());
    let format = decoder.info().ok_or_else(unknown)?.pixel_format;
    let (width, height) = (u32::from(width), u32::from(height));
    let picture = match format {
        PixelFormat::L8 => GrayImage::from_raw(width, height, pixels).map(DynamicImage::from),
        PixelFormat::RGB24 => RgbImage::from_raw(width, height, pixels).map(DynamicImage::from),
        PixelFormat::CMYK32 => RgbaImage::from_raw(width, height, pixels).map(DynamicImage::from),
        // Lossless, which only medical devices write.
        PixelFormat::L16 => None,
    };
    Ok(Decoded {
        picture: picture.ok_or_else(unknown)?,
        is_cmyk: format == PixelFormat::CMYK32,
        width: u32::from(frame.width),
        height: u32::from(frame.height),
        orientation: decoder
            .exif_data()
            .and_then(Orientation::from_exif_chunk)
            .unwrap_or(Orientation::NoTransforms),
        profile: decoder.icc_profile(),
        flaw: None,
    })
}

/// Decodes as much as there is; missing parts become grey.
fn lenient<R: BufRead + Seek>(
    file: &mut R,
    frame: &Frame,
    memory: Memory,
) -> Result<Decoded, RenditionError> {
    let pixels = u64::from(frame.width) * u64::from(frame.height);
    let len = file.seek(io::SeekFrom::End(0)).map_err(decode::unreadable)?;
    memory.check(pixels * LENIENT_PIXEL_LEN + 2 * len)?;
    file.rewind().map_err(decode::unreadable)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(decode::unreadable)?;
    decode::with_image(Cursor::new(bytes), ImageFormat::Jpeg, memory)
}

/// True if the last row has one colour, as missing rows have.
fn has_plain_last_row(picture: &DynamicImage) -> bool {
    let row =
        picture.crop_imm(0, picture.height().saturating_sub(1), picture.width(), 1).into_rgb8();
    let mut pixels = row.pixels();
    pixels.next().is_some_and(|first| pixels.all(|pixel| pixel == first))
}
