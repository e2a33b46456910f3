//! Dates of the `Date` field: RFC 5322 3.3 with its obsolete forms (4.3), and the ISO 8601, RFC 850
//! and asctime forms that some programs write.

use jiff::civil;

const MONTHS: [&[u8]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];
/// Zone names with their offset from UTC in hours (RFC 5322 4.3, and Central Europe's).
const ZONES: [(&[u8], i64); 13] = [
    (b"est", -5),
    (b"edt", -4),
    (b"cst", -6),
    (b"cdt", -5),
    (b"mst", -7),
    (b"mdt", -6),
    (b"pst", -8),
    (b"pdt", -7),
    (b"bst", 1),
    (b"cet", 1),
    (b"cest", 2),
    (b"met", 1),
    (b"mest", 2),
];
const DAY_SECS: i64 = 86_400;
/// Longest value that is read, in bytes.
const VALUE_LEN_MAX: usize = 200;

/// A moment that a sender wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// Seconds since 1970 in UTC; negative before.
    pub secs: i64,
    /// Days since 1970 of the date in the sender's zone.
    pub day: i64,
    /// False if the time was missing.
    pub has_time: bool,
}

impl Date {
    /// Seconds since 1970 as SORT and THREAD compare them: a missing time is midnight in UTC (RFC
    /// 5256 2.2).
    pub fn sort_secs(&self) -> i64 {
        if self.has_time { self.secs } else { self.day.saturating_mul(DAY_SECS) }
    }
}

/// Parses a date; `None` if the value is none. A missing time is noon in UTC, which is the same day
/// in nearly all zones; an unknown zone is UTC (RFC 5322 4.3).
pub fn parse(value: &[u8]) -> Option<Date> {
    let value = crate::header::unfold(value.get(..VALUE_LEN_MAX).unwrap_or(value));
    let value = without_comments(&value);
    let mut fields = Fields::default();
    for word in value.split(|byte| matches!(byte, b' ' | b'\t' | b',')) {
        if !word.is_empty() {
            fields.word(word)?;
        }
    }
    fields.date()
}

#[derive(Default)]
struct Fields {
    year: Option<i64>,
    month: Option<i64>,
    /// The month that a word before the day names, unless the word is a weekday: French `mar.`.
    early_month: Option<i64>,
    day: Option<i64>,
    /// Seconds since midnight.
    time: Option<i64>,
    /// Seconds east of UTC.
    zone: Option<i64>,
    is_afternoon: Option<bool>,
}

impl Fields {
    fn word(&mut self, word: &[u8]) -> Option<()> {
        let word = word.strip_suffix(b".").unwrap_or(word).to_ascii_lowercase();
        let word = word.as_slice();
        match word.first()? {
            b'+' | b'-' => self.zone = Some(offset(word).unwrap_or(0)),
            b'0'..=b'9' => self.digits(word)?,
            _ => self.name(word),
        }
        Some(())
    }

    /// A word that begins with a digit.
    fn digits(&mut self, word: &[u8]) -> Option<()> {
        if let Some(separator) = word.iter().position(|byte| matches!(byte, b'-' | b'/'))
            && !word.get(..separator)?.iter().any(|byte| matches!(byte, b':' | b'.'))
        {
            let mut parts = word.splitn(3, |byte| matches!(byte, b'-' | b'/'));
            let (first, second, third) = (parts.next()?, parts.next()?, parts.next()?);
            if let Some(month) = month(second) {
                // RFC 850: 06-Nov-94.
                (self.day, self.month) = (number(first), Some(month));
                self.year = Some(year(third)?);
                return Some(());
            }
            // ISO 8601; other orders of numbers are ambiguous.
            if first.len() != 4 {
                return None;
            }
            let end = third.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(third.len());
            let (day, time) = third.split_at_checked(end)?;
            (self.year, self.month, self.day) = (number(first), number(second), number(day));
            return match time.strip_prefix(b"t") {
                Some(time) => self.time(time),
                None if time.is_empty() => Some(()),
                None => None,
            };
        }
        // Before the day, numbers with dots may be a date.
        let is_dotted = word.contains(&b'.') && self.day.is_some() && self.time.is_none();
        if word.contains(&b':') || is_dotted {
            return self.time(word);
        }
        if self.day.is_none() && word.len() <= 2 {
            self.day = number(word);
        } else if self.year.is_none() {
            self.year = Some(year(word)?);
        }
        Some(())
    }

    /// `11:07`, `11:07:05`, `11:07:05.250Z`, `11:07:05+0100`; also with dots, `11.07.05`.
    fn time(&mut self, word: &[u8]) -> Option<()> {
        let is_clock = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b':' | b'.');
        let end = word.iter().position(|byte| !is_clock(byte)).unwrap_or(word.len());
        let (clock, rest) = word.split_at_checked(end)?;
        let mut parts = clock.split(|byte| matches!(byte, b':' | b'.'));
        let (hours, minutes) = (number(parts.next()?)?, number(parts.next()?)?);
        let seconds = match parts.next() {
            Some(seconds) => number(seconds)?,
            None => 0,
        };
        if hours > 23 || minutes > 59 || seconds > 60 {
            return None;
        }
        self.time = Some(hours * 3_600 + minutes * 60 + seconds.min(59));
        match rest.first() {
            None => {}
            Some(b'+' | b'-') => self.zone = offset(rest),
            Some(_) => self.name(rest),
        }
        Some(())
    }

    /// A month, a weekday, a zone; other names are skipped.
    fn name(&mut self, word: &[u8]) {
        match word {
            b"am" => self.is_afternoon = Some(false),
            b"pm" => self.is_afternoon = Some(true),
            _ => {}
        }
        match month(word) {
            Some(month) if self.day.is_none() => self.early_month = Some(month),
            Some(month) => self.month = self.month.or(Some(month)),
            // An unknown month behind the day: the word before it is a weekday.
            None if self.day.is_some() && self.time.is_none() && self.year.is_none() => {
                self.early_month = None;
            }
            None => {}
        }
        if let Some((_, hours)) = ZONES.iter().find(|(name, _)| *name == word) {
            self.zone = Some(hours * 3_600);
        }
        // GMT+0100
        if let Some(sign) = word.iter().position(|byte| matches!(byte, b'+' | b'-'))
            && matches!(word.get(..sign), Some(b"gmt" | b"utc" | b"ut"))
        {
            self.zone = word.get(sign..).and_then(offset);
        }
    }

    fn date(self) -> Option<Date> {
        let date = civil::Date::new(
            i16::try_from(self.year?).ok()?,
            i8::try_from(self.month.or(self.early_month)?).ok()?,
            i8::try_from(self.day?).ok()?,
        )
        .ok()?;
        let day = i64::from(date.since(civil::Date::constant(1970, 1, 1)).ok()?.get_days());
        let midnight = day.checked_mul(DAY_SECS)?;
        let Some(mut time) = self.time else {
            let secs = midnight.checked_add(DAY_SECS / 2)?;
            return Some(Date { secs, day, has_time: false });
        };
        let hour = time / 3_600;
        match self.is_afternoon {
            Some(true) if hour < 12 => time += DAY_SECS / 2,
            Some(false) if hour == 12 => time -= DAY_SECS / 2,
            _ => {}
        }
        let secs = midnight.checked_add(time)?;
        let secs = secs.checked_sub(self.zone.unwrap_or(0))?;
        Some(Date { secs, day, has_time: true })
    }
}

/// `+0100`, `-08:00` or `+01` in seconds; `None` if the value is no offset.
fn offset(word: &[u8]) -> Option<i64> {
    let (sign, rest) = word.split_first()?;
    let digits: Vec<u8> = rest.iter().copied().filter(|byte| *byte != b':').collect();
    let (hours, minutes) = match digits.len() {
        1 | 2 => (number(&digits)?, 0),
        3 | 4 => {
            let (hours, minutes) = digits.split_at_checked(digits.len().checked_sub(2)?)?;
            (number(hours)?, number(minutes)?)
        }
        _ => return None,
    };
    if hours > 23 || minutes > 59 {
        return None;
    }
    let secs = hours * 3_600 + minutes * 60;
    Some(if *sign == b'-' { -secs } else { secs })
}

fn month(word: &[u8]) -> Option<i64> {
    let start = word.get(..3)?.to_ascii_lowercase();
    let is_name = word.iter().all(u8::is_ascii_alphabetic);
    let at = MONTHS.iter().position(|name| *name == start).filter(|_| is_name)?;
    i64::try_from(at).ok()?.checked_add(1)
}

/// RFC 5322 4.3: two digits below 50 are of this century, three digits count from 1900.
fn year(word: &[u8]) -> Option<i64> {
    let year = number(word)?;
    match word.len() {
        2 if year < 50 => Some(year + 2_000),
        2 | 3 => Some(year + 1_900),
        4 => Some(year),
        _ => None,
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(digits).ok()?;
    (digits.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())?
}

fn without_comments(value: &[u8]) -> Vec<u8> {
    let mut depth = 0usize;
    let mut out = Vec::with_capacity(value.len());
    for byte in value {
        match byte {
            b'(' => {
                depth = depth.saturating_add(1);
                out.push(b' ');
            }
            b')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => out.push(*byte),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_is_read_in_every_form() {
        let moment = 1_521_198_425; // 2018-03-16 11:07:05 UTC
        for value in [
            "Fri, 16 Mar 2018 11:07:05 +0000",
            "Fri, 16 Mar 2018 12:07:05 +0100 (CET)",
            "16 Mar 2018 11:07:05",
            "Fri,16 Mar 2018 03:07:05 PST",
            "Fri, 16 Mar 18 11:07:05 GMT",
            "Fri, 16 Mar 118 11:07:05 UT",
            "Fri , 16 (x) March 2018 11:07:05 Z",
            "2018-03-16T11:07:05Z",
            "2018-03-16T12:07:05.123+01:00",
            "2018-03-16 11:07:05",
            "Friday, 16-Mar-18 11:07:05 GMT",
            "Fri Mar 16 11:07:05 2018",
            "Fri Mar 16 06:07:05 EST 2018",
            "Fri, 16 Mar 2018 12:07:05 GMT+0100",
            "Fri, 16 Mar 2018 11:07:05 XYZ",
            "Mar 16, 2018 11:07:05 AM",
        ] {
            assert_eq!(parse(value.as_bytes()).map(|date| date.secs), Some(moment), "{value}");
        }
        assert_eq!(parse(b"16 Mar 2018 00:00 +0000").map(|date| date.secs), Some(1_521_158_400));
        assert_eq!(parse(b"16 Mar 2018").map(|date| date.secs), Some(1_521_201_600));
        assert_eq!(parse(b"1 Jan 2017 00:59:60 +0100").map(|date| date.secs), Some(1_483_228_799));
    }

    #[test]
    fn dotted_time_is_read() {
        let moment = parse(b"Sun, 19 May 2024 15:59:09 +0200");
        assert!(moment.is_some());
        for value in [
            "Sun, 19 May 2024 15.59.09 +0200",
            "Sun, 19 May 2024 15.59:09 +0200",
            "Sun, 19 May 2024 15.59.09.250 +0200",
            "Sun, 19 May 2024 3.59.09 PM +0200",
            "Sun May 19 15.59.09 2024 +0200",
            "2024-05-19T15.59.09+02:00",
            "2024-05-19 15.59.09 +0200",
        ] {
            assert_eq!(parse(value.as_bytes()), moment, "{value}");
        }
        assert_eq!(parse(b"19 May 2024 15.59 GMT"), parse(b"19 May 2024 15:59 GMT"));
        for value in ["19.05.2024 15:59", "19.05.24 15:59", "19 May 2024 25.59.09"] {
            assert_eq!(parse(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn zone_without_time_keeps_the_day() {
        for value in [
            "Sun, 19 May 2024 +0200",
            "Sun, 19 May 2024 15h59 +0200",
            "Sun, 19 May 2024 -1100",
            "Sun, 19 May 2024 EST",
            "Sun, 19 May 2024 PM -0800",
        ] {
            let date = parse(value.as_bytes()).unwrap();
            assert_eq!(date.day, 19_862, "{value}");
            for zone in [-11, 0, 11] {
                assert_eq!((date.secs + zone * 3_600).div_euclid(DAY_SECS), date.day, "{value}");
            }
        }
    }

    #[test]
    fn weekday_is_not_read_as_a_month() {
        let november = parse(b"24 Nov 2026 10:00 +0100");
        assert!(november.is_some());
        for value in [
            "mar., 24 nov. 2026 10:00 +0100",
            "mar. 24 nov. 2026 10:00 +0100",
            "Mar, 24 November 2026 10:00 +0100",
            "Mar Nov 24 10:00 2026 +0100",
            "Mar, 24-Nov-26 10:00 +0100",
        ] {
            assert_eq!(parse(value.as_bytes()), november, "{value}");
        }
        // An unknown month is none, and the weekday before it is no month either.
        assert_eq!(parse("mar., 24 août 2026 10:00 +0200".as_bytes()), None);
        let march = parse(b"24 Mar 2026 10:00 +0100");
        assert_eq!(parse(b"mar., 24 mars 2026 10:00 +0100"), march);
        assert_eq!(parse(b"Tue Mar 24 09:00 XYZ 2026"), march);
        assert_eq!(parse(b"Mar 24, 2026 09:00"), march);
    }

    #[test]
    fn day_is_that_of_the_senders_zone() {
        let date = parse(b" Sun, 22 Nov 2026 23:30:00 -0800\r\n").unwrap();
        assert_eq!(date.day, 20_779);
        assert_eq!(date.secs, 20_780 * DAY_SECS + 7 * 3_600 + 30 * 60);
    }

    #[test]
    fn value_that_is_no_date_has_none() {
        for value in [
            "",
            "yesterday",
            "31 Feb 2018 11:07:05 +0000",
            "16 Mar 2018 25:07:05 +0000",
            "03/04/2018 11:07",
            "16 Mar 20180 11:07:05",
            "Fri, Mar 2018",
            "12345678901234567890",
            "1:2:3:4",
            "--",
        ] {
            assert_eq!(parse(value.as_bytes()), None, "{value}");
        }
    }

    proptest::proptest! {
        #[test]
        fn date_parser_survives_any_text(text in "[0-9A-Za-z+:,./() -]{0,60}") {
            parse(text.as_bytes());
        }
    }
}
