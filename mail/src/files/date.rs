//! Dates of From_ lines: asctime in UTC (RFC 4155), `Thu Jan  1 00:00:00 1970`.

use freehold_core::clock::Timestamp;

const DAY_SECS: u64 = 86_400;
/// 1 January 1970 was a Thursday.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Prints a date in UTC.
pub(super) fn asctime(date: Timestamp) -> String {
    let (days, secs) = (date.as_secs() / DAY_SECS, date.as_secs() % DAY_SECS);
    let weekday = usize::try_from(days % 7).ok().and_then(|at| WEEKDAYS.get(at)).unwrap_or(&"Thu");
    let (year, month, day) = civil(days);
    let month = MONTHS.get(month).unwrap_or(&"Jan");
    let (hour, minute, second) = (secs / 3600, secs / 60 % 60, secs % 60);
    format!("{weekday} {month} {day:2} {hour:02}:{minute:02}:{second:02} {year:04}")
}

/// Year, month from 0, and day from 1 of a day since 1970 (Howard Hinnant, "chrono-compatible
/// low-level date algorithms", `civil_from_days`).
fn civil(days: u64) -> (u64, usize, u64) {
    // The years of this calculation begin in March, its eras of 400 years in the year 0.
    let days = days.saturating_add(719_468);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month < 2);
    (year, usize::try_from(month).unwrap_or(0), day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asctime_prints_the_civil_date() {
        for (secs, printed) in [
            (0, "Thu Jan  1 00:00:00 1970"),
            (951_782_399, "Mon Feb 28 23:59:59 2000"),
            (951_782_400, "Tue Feb 29 00:00:00 2000"),
            (1_767_225_599, "Wed Dec 31 23:59:59 2025"),
            (4_107_542_400, "Mon Mar  1 00:00:00 2100"),
            (253_402_300_799, "Fri Dec 31 23:59:59 9999"),
        ] {
            assert_eq!(asctime(Timestamp(secs * 1000)), printed);
        }
    }
}
