//! Timestamps as text for people, in the owner's time zone: a browser does not send its own without
//! scripts.
//!
//! The zone belongs to the request ([`in_zone`]) and is no parameter of each function, because one
//! forgotten parameter would be one wrong date among right ones. Addresses never depend on it.

use freehold_core::clock::Timestamp;
use jiff::Zoned;
use jiff::tz::TimeZone;

const MINUTE_MS: u64 = 60 * 1000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
/// Days in the past that are named by their weekday.
const WEEKDAY_DAYS_MAX: i32 = 6;

tokio::task_local! {
    static ZONE: TimeZone;
}

/// Runs a request's handler with the zone for all its dates. Without one they are in UTC.
pub(crate) async fn in_zone<T>(zone: TimeZone, handler: impl Future<Output = T>) -> T {
    ZONE.scope(zone, handler).await
}

fn zoned(at: Timestamp) -> Zoned {
    utc(at).with_time_zone(ZONE.try_with(TimeZone::clone).unwrap_or(TimeZone::UTC))
}

fn utc(at: Timestamp) -> Zoned {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_zoned(TimeZone::UTC)
}

/// `14 November 2026`.
pub(crate) fn long(at: Timestamp) -> String {
    zoned(at).strftime("%-d %B %Y").to_string()
}

/// The date that a sender wrote, as [`long`]; `None` before 1970.
pub(crate) fn written(date: freehold_mime::date::Date) -> Option<String> {
    let millis = u64::try_from(date.secs).ok()?.checked_mul(1000)?;
    Some(long(Timestamp(millis)))
}

/// `14 November`, with the year if it is not the current one.
pub(crate) fn day(at: Timestamp, now: Timestamp) -> String {
    let (at, now) = (zoned(at), zoned(now));
    let format = if at.year() == now.year() { "%-d %B" } else { "%-d %B %Y" };
    at.strftime(format).to_string()
}

/// When something will be: `in 8 seconds`, `in 5 minutes`, `at 18:04`, `on 14 November at 8:00`.
pub(crate) fn ahead(at: Timestamp, now: Timestamp) -> String {
    let ms = at.millis_since(now);
    let counted = |count: u64, unit: &str| match count {
        1 => format!("in a {unit}"),
        count => format!("in {count} {unit}s"),
    };
    if ms < MINUTE_MS {
        return counted(ms.div_ceil(1000), "second");
    }
    if ms < HOUR_MS {
        return counted(ms.div_ceil(MINUTE_MS), "minute");
    }
    let (then, today) = (zoned(at), zoned(now));
    let time = then.strftime("%-H:%M");
    match then.date() == today.date() {
        true => format!("at {time}"),
        false => format!("on {} at {time}", day(at, now)),
    }
}

/// The moment that a `datetime-local` field names (HTML, "local date and time"), in the owner's
/// time zone; `None` if it is not one.
pub(crate) fn typed(text: &str) -> Option<Timestamp> {
    let civil: jiff::civil::DateTime = text.trim().parse().ok()?;
    let zone = ZONE.try_with(TimeZone::clone).unwrap_or(TimeZone::UTC);
    let millis = civil.to_zoned(zone).ok()?.timestamp().as_millisecond();
    u64::try_from(millis).ok().map(Timestamp)
}

/// A moment as a `datetime-local` field has it, in the owner's time zone.
pub(crate) fn field(at: Timestamp) -> String {
    zoned(at).strftime("%Y-%m-%dT%H:%M").to_string()
}

/// Coarser with age: `12 minutes ago`, `8:15`, `yesterday, 18:04`, `Friday`, `14 November`.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> String {
    let age_ms = now.millis_since(at);
    if age_ms < MINUTE_MS {
        return "just now".to_owned();
    }
    if age_ms < HOUR_MS {
        let minutes = age_ms / MINUTE_MS;
        return if minutes == 1 {
            "a minute ago".to_owned()
        } else {
            format!("{minutes} minutes ago")
        };
    }
    let (date, today) = (zoned(at), zoned(now));
    let days = (today.date() - date.date()).get_days();
    match days {
        0 => date.strftime("%-H:%M").to_string(),
        1 => date.strftime("yesterday, %-H:%M").to_string(),
        2..=WEEKDAY_DAYS_MAX => date.strftime("%A").to_string(),
        _ => day(at, now),
    }
}

/// The same for a narrow column: `9:12`, `yesterday`, `Friday`, `14 Nov`.
pub(crate) fn brief(at: Timestamp, now: Timestamp) -> String {
    let (date, today) = (zoned(at), zoned(now));
    match (today.date() - date.date()).get_days() {
        0 => date.strftime("%-H:%M").to_string(),
        1 => "yesterday".to_owned(),
        2..=WEEKDAY_DAYS_MAX => date.strftime("%A").to_string(),
        _ if date.year() == today.year() => date.strftime("%-d %b").to_string(),
        _ => date.strftime("%-d %b %Y").to_string(),
    }
}

/// A camera's `2026-11-03 07:18:00`, which has no time zone, as `3 November 2026, 7:18`.
pub(crate) fn camera(taken: &str) -> Option<String> {
    let at: jiff::civil::DateTime = taken.replace(' ', "T").parse().ok()?;
    Some(at.strftime("%-d %B %Y, %-H:%M").to_string())
}

/// RFC 3339, for `<time datetime>` and Atom.
pub(crate) fn machine(at: Timestamp) -> String {
    let at = zoned(at);
    let format = if at.offset().is_zero() { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S%:z" };
    at.strftime(format).to_string()
}

/// The year in UTC, for a post's address: another zone must not change the address.
pub(crate) fn year(at: Timestamp) -> i16 {
    utc(at).year()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1 May 2026, 12:00 UTC, a Friday.
    const NOON: Timestamp = Timestamp(1_777_636_800_000);

    #[tokio::test]
    async fn dates_are_in_the_zone_of_the_request() {
        // 1 January 2027, 03:30 UTC.
        let at = Timestamp(1_798_774_200_000);
        let zone = TimeZone::get("America/New_York").unwrap();
        let shown = in_zone(zone, async {
            (long(at), ago(at, Timestamp(at.0 + 2 * HOUR_MS)), machine(at), year(at))
        });
        let (long, ago, machine, year) = shown.await;
        assert_eq!((long.as_str(), ago.as_str()), ("31 December 2026", "yesterday, 22:30"));
        assert_eq!((machine.as_str(), year), ("2026-12-31T22:30:00-05:00", 2027));
    }

    #[test]
    fn timestamps_get_coarser_with_age() {
        let before = |millis: u64| ago(Timestamp(NOON.0 - millis), NOON);
        assert_eq!(before(0), "just now");
        assert_eq!(before(MINUTE_MS), "a minute ago");
        assert_eq!(before(59 * MINUTE_MS), "59 minutes ago");
        assert_eq!(before(4 * HOUR_MS), "8:00");
        assert_eq!(before(13 * HOUR_MS), "yesterday, 23:00");
        assert_eq!(before(72 * HOUR_MS), "Tuesday");
        assert_eq!(before(24 * 10 * HOUR_MS), "21 April");
        assert_eq!(before(24 * 200 * HOUR_MS), "13 October 2025");
        assert_eq!(ago(Timestamp(NOON.0 + HOUR_MS), NOON), "just now");
        assert_eq!(brief(Timestamp(NOON.0 - 13 * HOUR_MS), NOON), "yesterday");
        assert_eq!(machine(NOON), "2026-05-01T12:00:00Z");
        assert_eq!(long(NOON), "1 May 2026");
        assert_eq!(year(NOON), 2026);
    }
}
