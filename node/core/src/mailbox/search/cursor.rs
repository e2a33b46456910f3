//! Where a search goes on.

use std::fmt;
use std::str::FromStr;

use super::FolderId;

/// Where a search goes on: for each folder the UID below which it was not examined yet. Written as
/// `folder.uid`, joined by `-`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchCursor(pub(super) Vec<(FolderId, u32)>);

impl fmt::Display for SearchCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (folder, before)) in self.0.iter().enumerate() {
            let dash = if at == 0 { "" } else { "-" };
            write!(f, "{dash}{}.{before}", folder.0)?;
        }
        Ok(())
    }
}

/// A text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not where a search goes on")]
pub struct NotACursor;

impl FromStr for SearchCursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let place = |text: &str| {
            let (folder, before) = text.split_once('.')?;
            Some((FolderId(folder.parse().ok()?), before.parse().ok()?))
        };
        text.split('-').map(place).collect::<Option<_>>().map(Self).ok_or(NotACursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_round_trips_and_refuses_other_text() {
        let cursor = SearchCursor(vec![(FolderId(1), 7), (FolderId(12), u32::MAX)]);
        assert_eq!(cursor.to_string(), "1.7-12.4294967295");
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "-", "1", "1.", "1.2-", "1.99999999999", "a.b", "1.-2"] {
            assert_eq!(text.parse::<SearchCursor>(), Err(NotACursor), "{text}");
        }
    }
}
