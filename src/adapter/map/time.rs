//! Dates and times as HL7 writes them, and as senders write them in its place.

use super::Around;
use crate::domain::person::OLDEST_BIRTH_YEAR;
use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time},
    tz::Offset,
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

pub(super) fn date(text: &str) -> Result<Date, &'static str> {
    match written(text) {
        Ok(written) => Ok(written.day),
        Err(NO_TIME) => Err(NO_DATE),
        Err(other) => Err(other),
    }
}

pub(super) fn instant(text: &str, around: &Around<'_>) -> Result<Timestamp, &'static str> {
    resolved(written(text)?, around)
}

/// The last moment that it may mean.
pub(super) fn latest(text: &str, around: &Around<'_>) -> Result<Timestamp, &'static str> {
    let mut written = written(text)?;
    if text.len() == 8 || text.len() == 10 && text.contains('-') {
        written.time = Time::MAX;
    }
    resolved(written, around)
}

fn resolved(Written { day, time, offset }: Written, around: &Around<'_>) -> Result<Timestamp, &'static str> {
    // A year that lost a figure, as in 0226: taken, everything that comes later would be older news than it, or it older than everything.
    if day.year() < OLDEST_BIRTH_YEAR {
        return Err(TOO_OLD);
    }
    let at = DateTime::from_parts(day, time);
    match offset {
        None => around.zone.to_timestamp(at).map_err(|_| NO_SUCH_TIME),
        Some(offset) => offset.to_timestamp(at).map_err(|_| NO_SUCH_TIME),
    }
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
    use std::collections::BTreeMap;

    fn at(text: &str) -> Result<String, &'static str> {
        let zone = jiff::tz::TimeZone::get("Europe/London").expect("bundled");
        let around = Around { settings: &serde_json::Map::new(), tables: &BTreeMap::new(), zone: &zone, reached: None };
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
        let zone = jiff::tz::TimeZone::get("Europe/London").expect("bundled");
        let around = Around { settings: &serde_json::Map::new(), tables: &BTreeMap::new(), zone: &zone, reached: None };
        let of = |text: &str| latest(text, &around).map(|t| t.strftime("%dT%H:%M:%S").to_string());
        assert_eq!(of("20260701").as_deref(), Ok("01T22:59:59"));
        assert_eq!(of("2026-07-01").as_deref(), Ok("01T22:59:59"));
        assert_eq!(of("2026070109").as_deref(), Ok("01T08:00:00"));
        assert_eq!(of("20260701090000").as_deref(), Ok("01T08:00:00"));
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
            assert_eq!(date(text).map(|d| d.to_string()).as_deref(), Ok("1985-04-12"), "{text}");
        }
        for text in ["19850412X", "198504121", "19850412 approx", "1985041", "12/04/1985", "19850000"] {
            assert!(date(text).is_err(), "{text}");
        }
    }
}
