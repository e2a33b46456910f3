//! Lengths of files as people say them.

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
    fn lengths_are_said_as_people_say_them() {
        let said = [0, 1, 2, 999, 1000, 999_999, 1_000_000, 31_400_000].map(size);
        assert_eq!(
            said,
            ["0 bytes", "1 byte", "2 bytes", "999 bytes", "1 KB", "999 KB", "1.0 MB", "31.4 MB"]
        );
    }
}
