//! Dates: `date-time` and `date` of RFC 3501 section 9, and the day of a `Date` header for SEARCH.

use std::ops::RangeInclusive;

use freehold_core::clock::Timestamp;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY_MILLIS: i64 = 86_400_000;

/// A calendar day, counted from 1 January 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(pub(crate) i64);

impl Day {
    /// The day of a timestamp in UTC, the zone in which INTERNALDATE is printed.
    pub(crate) fn of(moment: Timestamp) -> Self {
        Self(i64::try_from(moment.0).unwrap_or(i64::MAX).div_euclid(DAY_MILLIS))
    }

    /// The day of a `Date` header in the sender's zone (RFC 3501 6.4.4: time and zone are
    /// disregarded).
    pub(crate) fn of_header(value: &[u8]) -> Option<Self> {
        freehold_mime::date::parse(value).map(|date| Self(date.day))
    }
}

/// `25-Nov-2026` or `5-Nov-2026` (`date`, without its quotes).
pub(crate) fn day(text: &str) -> Option<Day> {
    let mut parts = text.splitn(3, '-');
    let day = number(parts.next()?, 1..=2)?;
    let month = month(parts.next()?)?;
    let year = number(parts.next()?, 4..=4)?;
    days(i64::from(year), month, day).map(Day)
}

/// `17-Jul-1996 02:44:25 -0700` (`date-time`, without its quotes). Times before 1970 become 1970.
pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    let mut fields = text.trim_start_matches(' ').split(' ');
    let Day(day) = day(fields.next()?)?;
    let mut clock = fields.next()?.splitn(3, ':');
    let mut two = || number(clock.next()?, 2..=2);
    let (hours, minutes, seconds) = (two()?, two()?, two()?);
    let zone = fields.next()?;
    if fields.next().is_some() || hours > 23 || minutes > 59 || seconds > 60 || zone.len() != 5 {
        return None;
    }
    let sign = match zone.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (zone_hours, zone_minutes) =
        (number(zone.get(1..3)?, 2..=2)?, number(zone.get(3..5)?, 2..=2)?);
    let local =
        day * 86_400 + i64::from(hours) * 3_600 + i64::from(minutes) * 60 + i64::from(seconds);
    let utc = local - sign * (i64::from(zone_hours) * 3_600 + i64::from(zone_minutes) * 60);
    Some(Timestamp(u64::try_from(utc.checked_mul(1_000)?).unwrap_or(0)))
}

/// Formats a timestamp as `date-time` without quotes, in UTC.
pub(crate) fn write(moment: Timestamp) -> String {
    let seconds = moment.as_secs();
    let (year, month, day) = civil(i64::try_from(seconds / 86_400).unwrap_or(0));
    let name = usize::try_from(month)
        .ok()
        .and_then(|month| MONTHS.get(month.wrapping_sub(1)))
        .unwrap_or(&"Jan");
    let (hours, minutes, rest) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{day:2}-{name}-{year:04} {hours:02}:{minutes:02}:{rest:02} +0000")
}

fn number(digits: &str, len: RangeInclusive<usize>) -> Option<u32> {
    (len.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().ok())?
}

fn month(name: &str) -> Option<u32> {
    let at = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?;
    u32::try_from(at).ok().map(|at| at.saturating_add(1))
}

/// Days since 1970 of a Gregorian date; `None` if the date does not exist.
fn days(year: i64, month: u32, day: u32) -> Option<i64> {
    let date = jiff::civil::Date::new(
        i16::try_from(year).ok()?,
        i8::try_from(month).ok()?,
        i8::try_from(day).ok()?,
    )
    .ok()?;
    let epoch = jiff::civil::Date::new(1970, 1, 1).ok()?;
    Some(i64::from(date.since(epoch).ok()?.get_days()))
}

fn civil(days: i64) -> (i16, i8, i8) {
    let date = jiff::civil::Date::new(1970, 1, 1)
        .and_then(|epoch| epoch.checked_add(jiff::Span::new().try_days(days)?));
    date.map_or((1970, 1, 1), |date| (date.year(), date.month(), date.day()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_time_round_trips() {
        for text in [
            "17-Jul-1996 02:44:25 +0000",
            " 1-Jan-1970 00:00:00 +0000",
            "29-Feb-2024 23:59:59 +0000",
        ] {
            assert_eq!(write(moment(text).unwrap()), text);
        }
        assert_eq!(
            write(moment("17-Jul-1996 02:44:25 -0700").unwrap()),
            "17-Jul-1996 09:44:25 +0000"
        );
        assert_eq!(moment("31-Feb-2024 00:00:00 +0000"), None);
        assert_eq!(moment("1-Feb-2024 00:00:00"), None);
        assert_eq!(moment("1-Feb-2024 0:00:00 +0000"), None);
        assert_eq!(day("001-Feb-2024"), None);
    }

    #[test]
    fn days_are_ordered() {
        assert!(day("1-Feb-2026") < day("01-mar-2026"));
        assert_eq!(
            Day::of(moment(" 5-Nov-2026 23:00:00 +0000").unwrap()),
            day("5-Nov-2026").unwrap()
        );
        assert_eq!(Day::of_header(b" Sun, 22 Nov 2026 23:30:00 -0800\r\n"), day("22-Nov-2026"));
    }
}
