//! The place of a blob in a pack, and the sums of a pack, as rows hold them.
//!
//! Place: format (1), pack (4), offset (4), length (4). Sums: format (1), end (4), live (4).
//! Integers big-endian.

const FORMAT: u8 = 1;

/// Where a blob is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    /// The number of the pack.
    pub(crate) pack: u32,
    /// The offset of its entry, in bytes.
    pub(crate) offset: u32,
    /// The length of its entry, in bytes.
    pub(crate) len: u32,
}

/// The sums of one pack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PackRow {
    /// The end of its last placed entry, in bytes.
    pub(crate) end: u32,
    /// The sum of the lengths of the entries that places refer to, in bytes.
    pub(crate) live: u32,
}

impl Place {
    /// The bytes of a row's value.
    pub(crate) fn encode(&self) -> Vec<u8> {
        [
            &[FORMAT][..],
            &self.pack.to_be_bytes(),
            &self.offset.to_be_bytes(),
            &self.len.to_be_bytes(),
        ]
        .concat()
    }

    /// Decodes a row's value; `None` if it holds no place.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (format, rest) = bytes.split_first()?;
        let (pack, rest) = rest.split_first_chunk::<4>()?;
        let (offset, rest) = rest.split_first_chunk::<4>()?;
        let place = Self {
            pack: u32::from_be_bytes(*pack),
            offset: u32::from_be_bytes(*offset),
            len: u32::from_be_bytes(rest.try_into().ok()?),
        };
        (*format == FORMAT).then_some(place)
    }

    /// The end of the entry in the pack, in bytes.
    pub(crate) fn end(&self) -> u32 {
        self.offset.saturating_add(self.len)
    }
}

impl PackRow {
    /// The bytes of a row's value.
    pub(crate) fn encode(&self) -> Vec<u8> {
        [&[FORMAT][..], &self.end.to_be_bytes(), &self.live.to_be_bytes()].concat()
    }

    /// Decodes a row's value.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (format, rest) = bytes.split_first()?;
        let (end, rest) = rest.split_first_chunk::<4>()?;
        let row =
            Self { end: u32::from_be_bytes(*end), live: u32::from_be_bytes(rest.try_into().ok()?) };
        (*format == FORMAT).then_some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_and_sums_of_a_pack_round_trip() {
        let place = Place { pack: 7, offset: 1 << 24, len: 131_149 };
        assert_eq!(Place::decode(&place.encode()), Some(place));
        let row = PackRow { end: 900, live: 70 };
        assert_eq!(PackRow::decode(&row.encode()), Some(row));
        for len in 0..13 {
            assert_eq!(Place::decode(&place.encode()[..len]), None);
            assert_eq!(PackRow::decode(&row.encode()[..len.min(8)]), None);
        }
        assert_eq!(Place::decode(&[&[2][..], &place.encode()[1..]].concat()), None);
    }
}
