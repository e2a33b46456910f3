//! What a next hop says it can do (RFC 5321 4.1.1.1).

/// The extensions that matter for sending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Offers {
    /// SIZE (RFC 1870): the largest message in bytes, 0 if there is no limit; `None` if not
    /// offered.
    pub(super) size: Option<u64>,
    /// 8BITMIME (RFC 6152).
    pub(super) eight_bit: bool,
    /// SMTPUTF8 (RFC 6531).
    pub(super) international: bool,
    /// DSN (RFC 3461).
    pub(super) dsn: bool,
}

impl Offers {
    /// Reads the lines of the reply to EHLO; the first is the server's name.
    pub(super) fn read<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let mut offers = Self::default();
        for line in lines.skip(1) {
            let mut words = line.split_ascii_whitespace();
            match words.next().unwrap_or_default().to_ascii_uppercase().as_str() {
                "SIZE" => {
                    offers.size = Some(words.next().and_then(|len| len.parse().ok()).unwrap_or(0))
                }
                "8BITMIME" => offers.eight_bit = true,
                "SMTPUTF8" => offers.international = true,
                "DSN" => offers.dsn = true,
                _ => {}
            }
        }
        offers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_read_whatever_their_case_and_order() {
        let offers = Offers::read(
            ["SIZE is my name", "size 1000", "8bitmime", "DSN", "X-NEW thing"].into_iter(),
        );
        assert_eq!(
            offers,
            Offers { size: Some(1000), eight_bit: true, international: false, dsn: true }
        );
        assert_eq!(Offers::read(["host", "SIZE"].into_iter()).size, Some(0));
        assert_eq!(Offers::read(["DSN"].into_iter()), Offers::default());
    }
}
