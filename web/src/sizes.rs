//! File sizes as text for people, in SI units.

const KB: u64 = 1000;
const MB: u64 = 1_000_000;

/// `1 byte`, `340 KB`, `31.4 MB`.
pub(crate) fn size(len: u64) -> String {
    match len {
        1 => "1 byte".to_owned(),
        0..KB => format!("{len} bytes"),
        KB..MB => format!("{} KB", len / KB),
        _ => format!("{}.{} MB", len / MB, len / 100_000 % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_sizes_use_si_units() {
        let shown = [0, 1, 2, 999, 1000, 999_999, 1_000_000, 31_400_000].map(size);
        assert_eq!(
            shown,
            ["0 bytes", "1 byte", "2 bytes", "999 bytes", "1 KB", "999 KB", "1.0 MB", "31.4 MB"]
        );
    }
}
