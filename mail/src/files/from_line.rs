//! The lines between the messages of an mbox: `From `, a sender, and a date in the form of asctime
//! or of RFC 5322, with or without a zone.

use freehold_core::clock::Timestamp;
use freehold_mime::date;

use super::FROM_SENDER;

/// Longer lines are text; bytes.
const LEN_MAX: usize = 1000;
/// 31 December 9999, 23:59:59, in seconds since 1970: the last date of RFC 5322.
const SECS_MAX: i64 = 253_402_300_799;
/// The longest name of a header field that is looked for, in bytes.
const FIELD_NAME_LEN_MAX: usize = 80;

/// True if the line can begin a message.
pub(super) fn is_candidate(line: &[u8]) -> bool {
    line.starts_with(b"From ")
}

/// True if the message after this line is one of an export of this program.
pub(super) fn is_own(line: &[u8]) -> bool {
    line.strip_prefix(b"From ")
        .and_then(|rest| rest.strip_prefix(FROM_SENDER.as_bytes()))
        .is_some_and(|rest| rest.starts_with(b" "))
}

/// True if `line` begins a message: it has a date, or is a bare `From ` or `From -` of Thunderbird;
/// and a header field follows, or after an empty line the end or another empty line. `next` is the
/// next line, empty at the end of the file.
pub(super) fn is_separator(line: &[u8], is_after_empty: bool, next: &[u8]) -> bool {
    let has_date = parse(line).is_some();
    let is_bare = matches!(line.trim_ascii(), b"From" | b"From -");
    if is_own(line) {
        return is_after_empty && has_date;
    }
    let is_followed = is_field(next) || (is_after_empty && next.trim_ascii().is_empty());
    match has_date {
        true => is_followed,
        false => is_bare && is_after_empty && is_field(next),
    }
}

/// True for `From ` with a sender alone, as some programs write it.
pub(super) fn is_undated(line: &[u8]) -> bool {
    let words: Vec<&[u8]> =
        line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).take(3).collect();
    matches!(words.as_slice(), [b"From", sender] if *sender != b"-")
}

/// True if a header field begins with the line. Some mail has a quoted From_ line in its header.
pub(super) fn is_field(line: &[u8]) -> bool {
    let name = line.iter().take(FIELD_NAME_LEN_MAX).position(|byte| *byte == b':');
    let is_name = |name: &[u8]| !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    line.starts_with(b">From ") || name.and_then(|len| line.get(..len)).is_some_and(is_name)
}

/// The date of a From_ line, in UTC unless it names a zone. `None` if the line has none; the inner
/// one is `None` if it is before 1970 or no day of the calendar.
pub(super) fn parse(line: &[u8]) -> Option<Option<Timestamp>> {
    if line.len() > LEN_MAX || !is_candidate(line) {
        return None;
    }
    let text = String::from_utf8_lossy(line);
    let words: Vec<&str> = text.split_ascii_whitespace().skip(1).collect();
    (0..words.len()).find_map(|at| parse_words(words.get(at..).unwrap_or_default()))
}

fn parse_words(words: &[&str]) -> Option<Option<Timestamp>> {
    let (weekday, rest) = words.split_first()?;
    if let Some(date) = parse_iso(weekday, rest) {
        return Some(date);
    }
    if !is_weekday(weekday.trim_end_matches(',')) {
        return None;
    }
    let is_digits = |word: &str, lens: std::ops::RangeInclusive<usize>| {
        lens.contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit())
    };
    let (day, month, time, year, zones) = match rest {
        [month, day, time, zone, year, more @ ..] if is_month(month) && !is_digits(zone, 4..=4) => {
            (day, month, time, year, [Some(zone), more.first()])
        }
        [month, day, time, year, more @ ..] if is_month(month) => {
            (day, month, time, year, [more.first(), None])
        }
        [day, month, year, time, more @ ..] if is_month(month) => {
            (day, month, time, year, [more.first(), None])
        }
        _ => return None,
    };
    let is_date = is_digits(day, 1..=2) && is_digits(year, 4..=4) && is_time(time);
    if !is_date {
        return None;
    }
    let zone = zones.into_iter().flatten().next().copied().unwrap_or("+0000");
    let secs = date::parse(format!("{day} {month} {year} {time} {zone}").as_bytes());
    let secs = secs.map(|date| date.secs).filter(|secs| *secs <= SECS_MAX);
    Some(secs.and_then(of_secs))
}

/// A date as ISO 8601 has it: `2021-05-04T12:00:00Z`, also with a space for the T. Without a zone
/// it is in UTC.
fn parse_iso(date: &str, rest: &[&str]) -> Option<Option<Timestamp>> {
    let text = match (date.split_once('T'), rest) {
        (Some((day, time)), _) => format!("{day}T{time}"),
        (None, [time, zone @ ..]) => format!("{date}T{time}{}", zone.first().unwrap_or(&"")),
        (None, []) => return None,
    };
    let is_iso = text.len() >= 16 && text.as_bytes().get(..4)?.iter().all(u8::is_ascii_digit);
    let secs = date::parse(text.as_bytes()).filter(|_| is_iso)?.secs;
    Some(Some(secs).filter(|secs| *secs <= SECS_MAX).and_then(of_secs))
}

/// The moment of a number of seconds since 1970; `None` before.
pub(super) fn of_secs(secs: i64) -> Option<Timestamp> {
    u64::try_from(secs).ok().map(|secs| Timestamp(secs.saturating_mul(1000)))
}

fn is_weekday(word: &str) -> bool {
    ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].contains(&word)
}

fn is_month(word: &str) -> bool {
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        .contains(&word)
}

fn is_time(word: &str) -> bool {
    let mut parts = 0;
    let are_digits = word.split(':').all(|part| {
        parts += 1;
        (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    });
    are_digits && (2..=3).contains(&parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_line_dates_of_many_programs_are_read() {
        let date = Some(Some(Timestamp(1_620_129_600_000)));
        for line in [
            "From a@b Tue May  4 12:00:00 2021\n",
            "From - Tue May 04 12:00:00 2021\r\n",
            "From \"a b\"@c Tue May  4 12:00 2021",
            "From 1698@xxx Tue May 04 12:00:00 +0000 2021",
            "From a@b Tue May  4 14:00:00 2021 +0200",
            "From a@b Tue May  4 08:00:00 EDT 2021",
            "From a@b Tue, 4 May 2021 12:00:00 +0000",
            "From ???@??? Tue May 04 12:00:00 2021",
            "From a@b 2021-05-04T12:00:00Z",
            "From a@b 2021-05-04 14:00:00 +0200",
            "From a@b 2021-05-04 12:00:00",
        ] {
            assert_eq!(parse(line.as_bytes()), date, "{line}");
        }
        for line in [
            "From Monday on",
            "From 2021-05-04 on",
            "From the 2021-05-04T99:00:00Z",
            "From a@b Tue May 4 2021",
            "From Tue May x 12:00:00 2021",
            ">From a@b Tue May  4 12:00:00 2021",
            "From a@b Tue May  4 12:00:00 21",
        ] {
            assert_eq!(parse(line.as_bytes()), None, "{line}");
        }
        for year in ["0000", "1900"] {
            let line = format!("From a@b Tue May  4 12:00:00 {year}");
            assert_eq!(parse(line.as_bytes()), Some(None), "{line}");
        }
        let last = parse(b"From a@b Fri Dec 31 23:59:59 9999");
        assert_eq!(last, Some(Some(Timestamp(253_402_300_799_000))));
    }

    #[test]
    fn separator_needs_a_date_and_a_header() {
        let line = b"From a@b Tue May  4 12:00:00 2021\n";
        assert!(is_separator(line, true, b"Subject: x\n") && is_separator(line, false, b"X-Y: z"));
        assert!(is_separator(line, true, b"") && !is_separator(line, false, b""));
        assert!(!is_separator(line, true, b"some text: here\n"));
        assert!(!is_separator(b"From me to you\n", true, b"Subject: x\n"));
        assert!(is_separator(b"From - \r\n", true, b"X-Mozilla-Status: 0001\r\n"));
    }
}
