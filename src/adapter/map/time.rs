//! Dates and times as HL7 writes them, and as senders write them in its place.

use super::Around;
use crate::domain::person::OLDEST_BIRTH_YEAR;
use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time},
    tz::{Offset, TimeZone},
};

const NO_DATE: &str = "is not a date of at least YYYYMMDD";
const NO_TIME: &str = "is not an HL7 time of at least YYYYMMDD";
const NO_SUCH_TIME: &str = "is not a time that exists";
pub(in crate::adapter) const TOO_OLD: &str =
    "is a time in which nothing of a living person's record can have taken place";

/// A date, perhaps with a time of day, perhaps with an offset from UTC. All of the text is one, or none of it is.
struct Written {
    day: Date,
    time: Time,
    offset: Option<Offset>,
}

/// The day. Of a moment that says its offset, the day it is in `zone` then: an engine that puts all times into UTC makes the midnight with which a birthday
/// is kept an hour of the day before. Midnight itself is the day it is written with, whatever stands behind it.
pub(super) fn date(text: &str, zone: &TimeZone) -> Result<Date, &'static str> {
    let written = written(text).map_err(|why| if why == NO_TIME { NO_DATE } else { why })?;
    let Written { day, time, offset: Some(offset) } = written else { return Ok(written.day) };
    if time == Time::midnight() {
        return Ok(day);
    }
    let at = offset.to_timestamp(DateTime::from_parts(day, time)).map_err(|_| NO_SUCH_TIME)?;
    Ok(at.to_zoned(zone.clone()).date())
}

pub(super) fn instant(text: &str, around: &Around<'_>) -> Result<Timestamp, &'static str> {
    resolved(written(text)?, around)
}

/// The last moment that it may mean.
pub(super) fn latest(text: &str, around: &Around<'_>) -> Result<Timestamp, &'static str> {
    let mut written = written(text)?;
    if is_day_alone(text) {
        written.time = Time::MAX;
    }
    resolved(written, around)
}

/// The same, but of a day alone no later than when its sender wrote it down that day: what was written down after it may be of that day as well, and is newer.
pub(super) fn latest_then(text: &str, around: &Around<'_>) -> Result<Timestamp, &'static str> {
    let end = latest(text, around)?;
    if !is_day_alone(text) {
        return Ok(end);
    }
    let start = instant(text, around)?;
    Ok(around.written_at.iter().copied().find(|at| (start..end).contains(at)).unwrap_or(end))
}

pub(super) fn is_day_alone(text: &str) -> bool {
    text.len() == 8 || text.len() == 10 && text.contains('-')
}

/// A day of the year 9999, in which order ever: as systems write that something has no end. No clock shows it.
pub(in crate::adapter) fn is_never(text: &str) -> bool {
    let last = text.split(['/', '-', '.']).nth(2).and_then(|year| year.get(..4));
    text.starts_with("9999") || last == Some("9999")
}

fn resolved(Written { day, time, offset }: Written, around: &Around<'_>) -> Result<Timestamp, &'static str> {
    // A year that lost a figure, as in 0226: taken, everything that comes later would be older news than it, or it older than everything.
    if day.year() < OLDEST_BIRTH_YEAR {
        return Err(TOO_OLD);
    }
    let at = DateTime::from_parts(day, time);
    match offset {
        None => on_the_wall(at, around.zone).map_err(|_| NO_SUCH_TIME),
        Some(offset) => offset.to_timestamp(at).map_err(|_| NO_SUCH_TIME),
    }
}

/// What a clock on the wall shows. In the hour that comes twice, the second time: the first would make what is told then older than what was told before it, and
/// pass it over. Nothing counts as later than it came, so the first hour's own messages are none the later for it.
pub(in crate::adapter) fn on_the_wall(at: DateTime, zone: &TimeZone) -> Result<Timestamp, jiff::Error> {
    zone.to_ambiguous_timestamp(at).later()
}

/// The days from which databases count, and the last of all, as YYYYMMDD: by them systems write that they have no date. Nobody alive was born so long ago.
pub(super) const NO_DAYS: &[&str] =
    &["00010101", "17530101", "18000101", "18991230", "18991231", "19000101", "19010101", "99991231"];
pub(in crate::adapter) const NO_DAY: &str = "is a day by which systems write that they have no date";

/// Whether a date in the form of HL7 or of ISO 8601 is one of those.
pub(in crate::adapter) fn is_no_day(text: &str) -> bool {
    let digits: String = text.chars().filter(char::is_ascii_digit).take(8).collect();
    text.starts_with(|c: char| c.is_ascii_digit()) && NO_DAYS.contains(&digits.as_str())
}

/// Without a figure that counts it is no day in any form: zeros, or a word (UNKNOWN) in its place.
pub(super) fn says_no_date(text: &str) -> bool {
    !text.chars().any(|c| c.is_numeric() && c != '0')
}

/// YYYY or YYYYMM, with or without zeros for the rest: a sender that knows no more. Six digits that are no year and month are a date in a form of the sender's own, and refused.
pub(super) fn is_part_of_a_date(text: &str) -> bool {
    let text = text.strip_suffix("00").filter(|_| text.len() == 8).unwrap_or(text);
    let text = text.strip_suffix("00").filter(|_| text.len() == 6).unwrap_or(text);
    let is_month = |m: &str| m.is_empty() || m.parse().is_ok_and(|m: u8| (1..=12).contains(&m));
    let is_year = |y: &str| y.parse().is_ok_and(|y: i16| (OLDEST_BIRTH_YEAR..=2200).contains(&y));
    let parts = text.split_at_checked(4).filter(|_| matches!(text.len(), 4 | 6) && is_number(text));
    parts.is_some_and(|(year, month)| is_year(year) && is_month(month))
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// YYYYMMDD[HHMM[SS[.S…]]][+ZZZZ] (HL7 v2.4 data type TS), or YYYY-MM-DD[ HH:MM[:SS[.S…]]][Z|+ZZ:ZZ] (ISO 8601, with a blank or a T).
fn written(text: &str) -> Result<Written, &'static str> {
    let is_iso = text.get(4..5) == Some("-") && text.get(7..8) == Some("-");
    let (day, rest) = text.split_at_checked(if is_iso { 10 } else { 8 }).ok_or(NO_TIME)?;
    let rest = match rest {
        "" => "",
        rest if is_iso => rest.strip_prefix(['T', ' ']).filter(|clock| !clock.is_empty()).ok_or(NO_TIME)?,
        rest => rest,
    };
    let day = if is_iso { day.replace('-', "") } else { day.to_owned() };
    if day.len() != 8 || !is_number(&day) {
        return Err(NO_TIME);
    }
    let day = Date::strptime("%Y%m%d", &day).map_err(|_| "is not a date that exists")?;
    let (clock, offset) = match rest.find(['+', '-', 'Z']) {
        Some(at) => (&rest[..at], Some(self::offset(&rest[at..])?)),
        None => (rest, None),
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let clock = if is_iso { without_colons(clock.trim_end())? } else { clock.to_owned() };
    if !is_number(&clock) || !is_number(fraction) || fraction.len() > 9 {
        return Err(NO_TIME);
    }
    if !matches!(clock.len(), 0 | 2 | 4 | 6) || (!fraction.is_empty() && clock.len() != 6) {
        return Err(NO_TIME);
    }
    let two = |from: usize| clock.get(from..from + 2).and_then(|d| d.parse::<i8>().ok()).unwrap_or(0);
    let nanos = format!("{fraction:0<9}").parse().map_err(|_| NO_TIME)?;
    let time = Time::new(two(0), two(2), two(4), nanos).map_err(|_| NO_SUCH_TIME)?;
    Ok(Written { day, time, offset })
}

/// `23:05:00` as `230500`.
fn without_colons(clock: &str) -> Result<String, &'static str> {
    let parts: Vec<&str> = clock.split(':').collect();
    match parts.as_slice() {
        [""] => Ok(String::new()),
        [_, _] | [_, _, _] if parts.iter().all(|p| p.len() == 2) => Ok(parts.concat()),
        _ => Err(NO_TIME),
    }
}

/// `Z`, `+0100` or `+01:00`.
fn offset(text: &str) -> Result<Offset, &'static str> {
    if text == "Z" {
        return Ok(Offset::UTC);
    }
    let (sign, digits) = text.split_at(1);
    let digits = digits.replacen(':', "", usize::from(digits.len() == 5 && digits.get(2..3) == Some(":")));
    if digits.len() != 4 || !is_number(&digits) {
        return Err(NO_TIME);
    }
    let minutes = digits.parse::<i32>().map_err(|_| NO_TIME)?;
    let seconds = (minutes / 100 * 3600 + minutes % 100 * 60) * if sign == "-" { -1 } else { 1 };
    Offset::from_seconds(seconds).map_err(|_| NO_TIME)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::codes::CodeTable;
    use std::collections::BTreeMap;

    static NO_TABLES: BTreeMap<String, CodeTable> = BTreeMap::new();

    fn london() -> TimeZone {
        TimeZone::get("Europe/London").expect("bundled")
    }

    fn around<'a>(settings: &'a serde_json::Map<String, serde_json::Value>, zone: &'a TimeZone) -> Around<'a> {
        Around { settings, tables: &NO_TABLES, zone, reached: None, written_at: Vec::new() }
    }

    fn at(text: &str) -> Result<String, &'static str> {
        let (zone, settings) = (jiff::tz::TimeZone::get("Europe/London").expect("bundled"), serde_json::Map::new());
        let around = around(&settings, &zone);
        instant(text, &around).map(|t| t.to_string())
    }

    #[test]
    fn a_time_without_an_offset_is_in_the_endpoints_zone() {
        assert_eq!(at("20260701090000").as_deref(), Ok("2026-07-01T08:00:00Z"));
        assert_eq!(at("202601010900").as_deref(), Ok("2026-01-01T09:00:00Z"));
        assert_eq!(at("20260701").as_deref(), Ok("2026-06-30T23:00:00Z"));
        assert_eq!(at("20260701090000.1234+0000").as_deref(), Ok("2026-07-01T09:00:00.1234Z"));
        assert_eq!(at("20260701090000-0530").as_deref(), Ok("2026-07-01T14:30:00Z"));
    }

    #[test]
    fn the_latest_of_a_day_is_its_last_moment_and_of_a_time_itself() {
        let (zone, settings) = (jiff::tz::TimeZone::get("Europe/London").expect("bundled"), serde_json::Map::new());
        let around = around(&settings, &zone);
        let of = |text: &str| latest(text, &around).map(|t| t.strftime("%dT%H:%M:%S").to_string());
        assert_eq!(of("20260701").as_deref(), Ok("01T22:59:59"));
        assert_eq!(of("2026-07-01").as_deref(), Ok("01T22:59:59"));
        assert_eq!(of("2026070109").as_deref(), Ok("01T08:00:00"));
        assert_eq!(of("20260701090000").as_deref(), Ok("01T08:00:00"));
    }

    #[test]
    fn a_time_in_the_hour_that_comes_twice_is_of_the_second_time() {
        assert_eq!(at("20261025011000").as_deref(), Ok("2026-10-25T01:10:00Z"));
        assert_eq!(at("20261025011000+0100").as_deref(), Ok("2026-10-25T00:10:00Z"));
        assert_eq!(at("20261025005900").as_deref(), Ok("2026-10-24T23:59:00Z"));
        assert_eq!(at("20260329013000").as_deref(), Ok("2026-03-29T01:30:00Z"), "the hour that is missing");
    }

    #[test]
    fn a_day_alone_is_over_when_it_was_written_down_and_at_its_end_if_that_was_on_another_day() {
        let (zone, settings) = (TimeZone::get("Europe/London").expect("bundled"), serde_json::Map::new());
        let of = |text: &str, written: &[&str]| {
            let plain = around(&settings, &zone);
            let written_at = written.iter().map(|t| instant(t, &plain).expect("a time")).collect();
            let at = latest_then(text, &Around { written_at, ..plain });
            at.map(|t| t.strftime("%dT%H:%M:%S").to_string())
        };
        assert_eq!(of("20261120", &["20261120093000"]).as_deref(), Ok("20T09:30:00"));
        assert_eq!(of("20261120", &["20261121093000", "20261120093000"]).as_deref(), Ok("20T09:30:00"));
        assert_eq!(of("20261120", &["20261121093000"]).as_deref(), Ok("20T23:59:59"));
        assert_eq!(of("20261120", &[]).as_deref(), Ok("20T23:59:59"));
        assert_eq!(of("20261120110000", &["20261120093000"]).as_deref(), Ok("20T11:00:00"));
    }

    #[test]
    fn the_last_day_of_all_is_never_and_first_days_are_no_days() {
        for (text, never) in [
            ("99991231", true),
            ("9999-12-31T23:59:59Z", true),
            ("31/12/9999", true),
            ("31-12-9999 00:00", true),
            ("20991231", false),
            ("19999931", false),
            ("", false),
        ] {
            assert_eq!(is_never(text), never, "{text}");
        }
        for (text, no_day) in [
            ("19000101", true),
            ("1900-01-01", true),
            ("175301010000", true),
            ("99991231", true),
            ("19000102", false),
            ("X19000101", false),
            ("", false),
        ] {
            assert_eq!(is_no_day(text), no_day, "{text}");
        }
    }

    #[test]
    fn six_digits_that_are_no_year_and_month_are_no_part_of_a_date() {
        for (text, is) in [
            ("1985", true),
            ("198504", true),
            ("19850400", true),
            ("19850000", true),
            ("198500", true),
            ("600101", false),
            ("850412", false),
            ("198513", false),
            ("19851300", false),
            ("19850010", false),
            ("00000000", false),
        ] {
            assert_eq!(is_part_of_a_date(text), is, "{text}");
        }
    }

    #[test]
    fn what_has_no_figure_that_counts_says_no_date() {
        for (text, none) in [("00000000", true), ("0", true), ("UNKNOWN", true), ("N/K", true), ("12/04/85", false)] {
            assert_eq!(says_no_date(text), none, "{text}");
        }
    }

    #[test]
    fn a_time_in_the_form_of_iso_8601_is_read() {
        for (text, is) in [
            ("2025-05-05 23:23:32", "2025-05-05T22:23:32Z"),
            ("2025-05-05T23:23", "2025-05-05T22:23:00Z"),
            ("2025-05-05T23:23:32.5Z", "2025-05-05T23:23:32.5Z"),
            ("2025-05-05T23:23:32+01:00", "2025-05-05T22:23:32Z"),
            ("2025-05-05 23:23:32 +0100", "2025-05-05T22:23:32Z"),
            ("2026-07-01", "2026-06-30T23:00:00Z"),
            ("20250505232332Z", "2025-05-05T23:23:32Z"),
        ] {
            assert_eq!(at(text).as_deref(), Ok(is), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026",
            "202607",
            "20261301",
            "02260401090000",
            "18790101",
            "20260230",
            "20260701250000",
            "2026070109000",
            "20260701090000+1",
            "20260701090000+01:0",
            "20260701.5",
            "20260701 0900",
            "20260701T09",
            "2026-07-01T",
            "2026-07-01T9:00",
            "2026-07-01T090000",
            "2026-07-0109:00",
            "2026-7-01",
            "日本日本日本",
            "2026-日-01 09",
        ] {
            assert!(at(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_date_with_anything_behind_it_that_is_no_time_is_refused() {
        for text in ["19850412", "198504120000", "1985-04-12", "19850412093000+0100", "1985-04-12T00:00:00"] {
            assert_eq!(date(text, &london()).map(|d| d.to_string()).as_deref(), Ok("1985-04-12"), "{text}");
        }
        for text in ["19850412X", "198504121", "19850412 approx", "1985041", "12/04/1985", "19850000"] {
            assert!(date(text, &london()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_birthday_that_was_put_into_utc_is_the_day_it_is_here() {
        for text in [
            "19850411230000Z",
            "198504112300+0000",
            "1985-04-11T23:00:00Z",
            "19850412000000Z",
            "19850412000000+0100",
            "19850412000000-0500",
            "198504120000Z",
            "19850412143000Z",
        ] {
            assert_eq!(date(text, &london()).map(|d| d.to_string()).as_deref(), Ok("1985-04-12"), "{text}");
        }
        // In winter there is no hour between them.
        assert_eq!(date("19850111230000Z", &london()).map(|d| d.to_string()).as_deref(), Ok("1985-01-11"));
    }
}
