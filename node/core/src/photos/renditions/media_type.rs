//! The format of a picture file, detected by its content; the file's name is not considered.

use image::ImageFormat;

/// The format of a picture file.
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
    /// image/heic: stored, but no renditions are made.
    Heic,
    /// image/avif: stored, but no renditions are made.
    Avif,
}

/// How many bytes of a file [`MediaType::sniff`] reads.
pub(super) const SNIFF_LEN: usize = 64;

impl MediaType {
    /// The format that the first bytes of a file announce.
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        if let Some(brands) = brands(bytes) {
            return of_brands(&brands);
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
            Self::Avif => "image/avif",
        }
    }

    /// The name that people know.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::Heic => "HEIC",
            Self::Avif => "AVIF",
        }
    }
}

/// The brands of a file in the ISO base media format (ISO 14496-12, 4.3): the major brand, then
/// the compatible ones, without the minor version between them.
fn brands(bytes: &[u8]) -> Option<Vec<[u8; 4]>> {
    let len = usize::try_from(u32::from_be_bytes(*bytes.first_chunk()?)).ok()?;
    let rest = bytes.get(4..len.min(bytes.len()))?.strip_prefix(b"ftyp")?;
    let brands = rest.chunks_exact(4).filter_map(|brand| brand.try_into().ok()).enumerate();
    Some(brands.filter(|(at, _)| *at != 1).map(|(_, brand)| brand).collect())
}

/// HEIF says with its brands how the picture is coded (ISO 23008-12, annex B; AVIF 1.1, section 6).
/// `mif1` and `msf1` leave that open; then AVIF says so among its compatible brands.
fn of_brands(brands: &[[u8; 4]]) -> Option<MediaType> {
    const AVIF: [&[u8; 4]; 2] = [b"avif", b"avis"];
    const HEIC: [&[u8; 4]; 10] =
        [b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"];
    if brands.iter().any(|brand| AVIF.contains(&brand)) {
        return Some(MediaType::Avif);
    }
    HEIC.contains(&brands.first()?).then_some(MediaType::Heic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ftyp(brands: &[&[u8; 4]]) -> Vec<u8> {
        let len = u32::try_from(12 + brands.len() * 4).unwrap();
        let (major, compatible) = brands.split_first().unwrap();
        let compatible: Vec<u8> = compatible.iter().flat_map(|brand| **brand).collect();
        [&len.to_be_bytes()[..], b"ftyp", &major[..], b"\0\0\0\0", &compatible, b"meta"].concat()
    }

    #[test]
    fn avif_and_heic_are_distinguished_by_brand() {
        for (brands, media_type) in [
            (&[b"heic", b"mif1", b"heic"][..], Some(MediaType::Heic)),
            (&[b"mif1", b"heic"], Some(MediaType::Heic)),
            (&[b"hevc"], Some(MediaType::Heic)),
            (&[b"avif", b"mif1", b"miaf"], Some(MediaType::Avif)),
            (&[b"avis", b"msf1"], Some(MediaType::Avif)),
            (&[b"mif1", b"avif"], Some(MediaType::Avif)),
            (&[b"isom", b"mp41"], None),
        ] {
            assert_eq!(MediaType::sniff(&ftyp(brands)), media_type, "{brands:?}");
        }
        // Brands after the end of the box do not count, and the minor version is no brand.
        assert_eq!(MediaType::sniff(b"\0\0\0\x10ftypmif1\0\0\0\0avif"), Some(MediaType::Heic));
        assert_eq!(MediaType::sniff(b"\0\0\0\x10ftypmif1avif"), Some(MediaType::Heic));
        for len in 0..20 {
            MediaType::sniff(&ftyp(&[b"heic", b"avif"])[..len]);
        }
    }
}
