//! Detects pictures that move: renditions show their first frame.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

use super::MediaType;

/// The most chunks or blocks that are read before a decision.
const CHUNKS_MAX: usize = 100_000;

/// Whether a file shows more than one frame. Damaged files count as still.
pub(super) fn is_moving(
    file: &mut (impl BufRead + Seek),
    media_type: MediaType,
) -> io::Result<bool> {
    file.rewind()?;
    let found = match media_type {
        MediaType::Gif => gif(file),
        MediaType::Png => png(file),
        MediaType::WebP => webp(file),
        MediaType::Jpeg | MediaType::Heic | MediaType::Avif => Ok(false),
    };
    match found {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        found => found,
    }
}

fn read<const LEN: usize>(file: &mut impl Read) -> io::Result<[u8; LEN]> {
    let mut bytes = [0; LEN];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn skip(file: &mut impl Seek, len: u32) -> io::Result<()> {
    file.seek_relative(i64::from(len))
}

/// PNG 3, 11.3.2.1: `acTL`, with the number of frames, comes before the first `IDAT`.
fn png(file: &mut (impl BufRead + Seek)) -> io::Result<bool> {
    file.seek(SeekFrom::Start(8))?;
    for _ in 0..CHUNKS_MAX {
        let len = u32::from_be_bytes(read(file)?);
        match &read::<4>(file)? {
            b"acTL" => return Ok(u32::from_be_bytes(read(file)?) > 1),
            b"IDAT" | b"IEND" => return Ok(false),
            _ => skip(file, len.saturating_add(4))?,
        }
    }
    Ok(false)
}

/// RFC 9649, 2.7.1.1: `ANMF` is a frame; there may be one alone.
fn webp(file: &mut (impl BufRead + Seek)) -> io::Result<bool> {
    file.seek(SeekFrom::Start(12))?;
    let mut frames = 0;
    for _ in 0..CHUNKS_MAX {
        let kind = read::<4>(file)?;
        let len = u32::from_le_bytes(read(file)?);
        match &kind {
            b"ANMF" => frames += 1,
            b"VP8 " | b"VP8L" => return Ok(false),
            _ => {}
        }
        if frames > 1 {
            return Ok(true);
        }
        skip(file, len.saturating_add(len % 2))?;
    }
    Ok(false)
}

/// GIF 89a, 20: each image descriptor is a frame.
fn gif(file: &mut (impl BufRead + Seek)) -> io::Result<bool> {
    file.seek(SeekFrom::Start(10))?;
    let [flags, _background, _aspect] = read(file)?;
    skip_colours(file, flags)?;
    let mut frames = 0;
    for _ in 0..CHUNKS_MAX {
        match read(file)? {
            // An extension with its label.
            [0x21] => skip(file, 1)?,
            [0x2c] => {
                frames += 1;
                if frames > 1 {
                    return Ok(true);
                }
                let descriptor: [u8; 9] = read(file)?;
                skip_colours(file, descriptor[8])?;
                // The code size of the compressed data.
                skip(file, 1)?;
            }
            _ => return Ok(false),
        }
        loop {
            let [len] = read(file)?;
            if len == 0 {
                break;
            }
            skip(file, u32::from(len))?;
        }
    }
    Ok(false)
}

/// Skips a colour table, if the flags of its header announce one.
fn skip_colours(file: &mut impl Seek, flags: u8) -> io::Result<()> {
    if flags & 0x80 == 0 { Ok(()) } else { skip(file, 3 << ((flags & 7) + 1)) }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::codecs::gif::GifEncoder;
    use image::{Delay, Frame, RgbaImage};

    use super::*;

    fn moves(bytes: &[u8], media_type: MediaType) -> bool {
        is_moving(&mut Cursor::new(bytes), media_type).unwrap()
    }

    fn gif_of(frames: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = GifEncoder::new(&mut bytes);
        for shade in 0..frames {
            let picture = RgbaImage::from_pixel(40, 30, image::Rgba([shade as u8 * 40, 9, 9, 255]));
            let delay = Delay::from_numer_denom_ms(100, 1);
            encoder.encode_frame(Frame::from_parts(picture, 0, 0, delay)).unwrap();
        }
        drop(encoder);
        bytes
    }

    fn chunks(kinds: &[&[u8; 4]], len: fn(u32) -> [u8; 4]) -> Vec<u8> {
        let chunk = |kind: &&[u8; 4]| match len(1) {
            [1, ..] => [&kind[..], &len(4), &[0, 0, 0, 2]].concat(),
            _ => [&len(4)[..], &kind[..], &[0, 0, 0, 2], b"sum."].concat(),
        };
        kinds.iter().flat_map(chunk).collect()
    }

    #[test]
    fn pictures_with_several_frames_move() {
        assert!(moves(&gif_of(3), MediaType::Gif) && !moves(&gif_of(1), MediaType::Gif));
        let png = |kinds: &[&[u8; 4]]| {
            let bytes = [&[0; 8][..], &chunks(kinds, u32::to_be_bytes)].concat();
            moves(&bytes, MediaType::Png)
        };
        assert!(png(&[b"IHDR", b"acTL", b"IDAT"]));
        assert!(!png(&[b"IHDR", b"IDAT", b"acTL"]) && !png(&[b"IHDR", b"tEXt"]));
        let webp = |kinds: &[&[u8; 4]]| {
            let bytes = [&[0; 12][..], &chunks(kinds, u32::to_le_bytes)].concat();
            moves(&bytes, MediaType::WebP)
        };
        assert!(webp(&[b"VP8X", b"ANIM", b"ANMF", b"ANMF"]));
        assert!(!webp(&[b"VP8X", b"ANIM", b"ANMF"]) && !webp(&[b"VP8 "]));
    }

    #[test]
    fn damaged_and_endless_files_count_as_still() {
        let whole = gif_of(2);
        let second = (0..whole.len()).find(|len| moves(&whole[..*len], MediaType::Gif)).unwrap();
        assert!((20..whole.len()).contains(&second));
        for media_type in [MediaType::Gif, MediaType::Png, MediaType::WebP] {
            assert!(!moves(b"", media_type));
            assert!(!moves(&[0; 1000], media_type));
            assert!(!moves(&[0xff; 1000], media_type));
            assert!(!moves(&b"\x21\x01\0".repeat(200_000), media_type));
        }
    }
}
