//! File names of messages: `time.unique.host,S=len,W=len:2,flags`.

use freehold_core::clock::Timestamp;

use crate::files::maildir_name::FLAGS;

/// A time in a name is believed from 1980 on, in seconds since 1970.
const SECS_MIN: u64 = 315_532_800;
/// The last second of the year 9999.
const SECS_MAX: u64 = 253_402_300_799;

/// The parts of a name.
pub(super) struct FileName<'a> {
    /// The part before sizes and flags.
    pub(super) unique: &'a str,
    /// The time at the beginning, in seconds since 1970; zero if there is none.
    pub(super) secs: u64,
    sizes: &'a str,
    letters: &'a str,
}

impl<'a> FileName<'a> {
    /// The parts of any name.
    pub(super) fn parse(name: &'a str) -> Self {
        // File systems without colons have one of the others.
        let info = [":2,", ";2,", "!2,"].into_iter().find_map(|mark| name.rsplit_once(mark));
        let (base, letters) = info.unwrap_or((name, ""));
        let (unique, sizes) = base.split_once(',').unwrap_or((base, ""));
        let secs = unique.split_once('.').and_then(|(secs, _)| secs.parse().ok()).unwrap_or(0);
        Self { unique, secs, sizes, letters }
    }

    fn size(&self, key: &str) -> Option<u64> {
        let mut sizes = self.sizes.split(',').filter_map(|size| size.split_once('='));
        sizes.find(|(name, _)| *name == key).and_then(|(_, len)| len.parse().ok())
    }

    /// True if a file of this length is the message as it is, also where its lines end with LF:
    /// the message is as long as the file.
    pub(super) fn is_exact(&self, len: u64) -> bool {
        self.size("S") == Some(len) && self.size("W") == Some(len)
    }

    /// The system flags.
    pub(super) fn bits(&self) -> u8 {
        let set = FLAGS.iter().filter(|(letter, _)| self.letters.contains(*letter));
        set.fold(0, |bits, (_, bit)| bits | bit)
    }

    /// True for the flag "passed": resent, forwarded or bounced.
    pub(super) fn is_forwarded(&self) -> bool {
        self.letters.contains('P')
    }

    /// The numbers of the keywords.
    pub(super) fn letters(&self) -> impl Iterator<Item = usize> {
        let lower = self.letters.bytes().filter(u8::is_ascii_lowercase);
        lower.map(|letter| usize::from(letter.saturating_sub(b'a')))
    }

    /// The date of the message, given its file's time in milliseconds since 1970.
    pub(super) fn date(&self, modified: Option<u64>) -> Option<Timestamp> {
        let modified = modified.filter(|millis| *millis / 1000 <= SECS_MAX).map(Timestamp);
        if let Some(micros) = self.own_micros().filter(|_| self.secs <= SECS_MAX) {
            let millis = self.secs.saturating_mul(1000).saturating_add(micros / 1000);
            return Some(Timestamp(millis));
        }
        let in_name = Some(Timestamp(self.secs.saturating_mul(1000)))
            .filter(|_| (SECS_MIN..=SECS_MAX).contains(&self.secs));
        match (modified, in_name) {
            (Some(modified), Some(in_name)) if modified.as_secs() == in_name.as_secs() => {
                Some(modified)
            }
            (Some(modified), Some(in_name)) => Some(modified.min(in_name)),
            (modified, in_name) => modified.or(in_name),
        }
    }

    /// The microseconds in a name that an export of this program wrote.
    fn own_micros(&self) -> Option<u64> {
        let unique = self.unique.strip_suffix(".freehold")?;
        let (_, rest) = unique.split_once(".M")?;
        rest.split_once('V')?.0.parse().ok().filter(|micros| *micros < 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use freehold_core::mailbox::Flags;

    use super::*;

    #[test]
    fn maildir_name_has_date_flags_and_sizes() {
        let name = FileName::parse("1600000000.M5P7.host,S=10,W=12:2,FSac");
        assert_eq!((name.unique, name.secs), ("1600000000.M5P7.host", 1_600_000_000));
        assert_eq!(name.bits(), Flags::FLAGGED | Flags::SEEN);
        assert_eq!(name.letters().collect::<Vec<_>>(), [0, 2]);
        assert!(!name.is_exact(10) && FileName::parse("1.a,S=3,W=3:2,").is_exact(3));
        assert_eq!(FileName::parse("1600000000.x!2,RP").bits(), Flags::ANSWERED);
    }

    #[test]
    fn earlier_of_two_dates_is_the_messages() {
        let date = |name: &str, modified| FileName::parse(name).date(modified).map(|date| date.0);
        assert_eq!(date("1600000000.x", Some(1_600_000_000_123)), Some(1_600_000_000_123));
        assert_eq!(date("1600000000.x", Some(1_700_000_000_123)), Some(1_600_000_000_000));
        assert_eq!(date("1700000000.x", Some(1_600_000_000_123)), Some(1_600_000_000_123));
        assert_eq!(date("1.judge", Some(1_600_000_000_123)), Some(1_600_000_000_123));
        assert_eq!(date("99999999999999999999.x", None), None);
        assert_eq!(date("999999999999999.x", Some(u64::MAX)), None);
        let own = "253402300799.M500000V1U2.freehold,S=1";
        assert_eq!(date(own, Some(1_600_000_000_123)), Some(253_402_300_799_500));
        assert_eq!(date("0.M7000V1U2.freehold", None), Some(7));
    }
}
