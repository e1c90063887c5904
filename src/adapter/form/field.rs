//! One field at a time: each method reads a field, notes a broken rule under its proto path, and gives a value or a stand-in to go on with.

use super::codes::Code;
use crate::domain::ambient::{from_micros, micros};
use crate::domain::organisation::OdsCode;
use crate::domain::rule::Violations;
use crate::domain::text::{self, BrokenText, Private};
use crate::wire;
use jiff::{Timestamp, civil::Date};
use std::fmt::Display;
use std::str::FromStr;

/// `at.name`, or `name` at the top.
pub fn path(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

/// The fields of one message, at its path in the request. Only for this module's drafts: what it gives may be a stand-in.
pub(super) struct Fields<'a> {
    at: &'a str,
    broken: &'a mut Violations,
}

/// Takes a broken text's place; never handed out.
pub(super) fn stand_in() -> Private<String> {
    Private("?".to_owned())
}

impl<'a> Fields<'a> {
    pub fn new(at: &'a str, broken: &'a mut Violations) -> Self {
        Self { at, broken }
    }

    pub fn path(&self, name: &str) -> String {
        path(self.at, name)
    }

    pub fn add(&mut self, name: &str, rule: &str) {
        self.broken.add(self.path(name), rule);
    }

    pub fn keep<T, E: Display>(&mut self, name: &str, result: Result<T, E>) -> Option<T> {
        self.broken.check(&path(self.at, name), result)
    }

    /// A part with fields of its own.
    pub fn part<M, T>(
        &mut self,
        name: &str,
        message: Option<&M>,
        read: impl FnOnce(&M, &str, &mut Violations) -> T,
    ) -> Option<T> {
        match message {
            Some(m) => Some(read(m, &self.path(name), self.broken)),
            None => {
                self.add(name, "is required");
                None
            }
        }
    }

    /// The same, where it may be missing.
    pub fn optional_part<M, T>(
        &mut self,
        name: &str,
        message: Option<&M>,
        read: impl FnOnce(&M, &str, &mut Violations) -> T,
    ) -> Option<T> {
        message.map(|m| read(m, &self.path(name), self.broken))
    }

    /// One line of 1 to `max` characters.
    pub fn line(&mut self, name: &str, value: &str, max: usize) -> Private<String> {
        self.keep(name, text::line(value, max)).unwrap_or_else(stand_in)
    }

    /// One line of at most `max` characters; blank is unset.
    pub fn optional_line(&mut self, name: &str, value: Option<&str>, max: usize) -> Option<Private<String>> {
        given(value).map(|v| self.line(name, v, max))
    }

    /// Lines of 1 to `max` characters in all, kept exactly but for CRLF and CR, which become LF.
    pub fn paragraphs(&mut self, name: &str, value: &str, max: usize) -> Private<String> {
        self.keep(name, text::paragraphs(value, max)).unwrap_or_else(stand_in)
    }

    pub fn optional_paragraphs(&mut self, name: &str, value: Option<&str>, max: usize) -> Option<Private<String>> {
        given(value).map(|v| self.paragraphs(name, v, max))
    }

    /// 1 to `max` printable ASCII characters without spaces.
    pub fn token(&mut self, name: &str, value: &str, max: usize) -> Private<String> {
        self.keep(name, text::token(value, max)).unwrap_or_else(stand_in)
    }

    /// 1 to `max` characters of those that `ok` allows.
    pub fn name(&mut self, name: &str, value: &str, max: usize, ok: fn(u8) -> bool, rule: &str) -> Option<String> {
        let broken = match value {
            "" => BrokenText::Empty.to_string(),
            v if v.len() > max => BrokenText::TooLong(max).to_string(),
            v if !v.bytes().all(ok) => rule.to_owned(),
            v => return Some(v.to_owned()),
        };
        self.broken.add(self.path(name), broken);
        None
    }

    /// A text with a type of its own, required: empty is "is required" rather than that type's rule.
    pub fn parsed<T, E: Display>(
        &mut self,
        name: &str,
        value: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        if value.is_empty() {
            self.add(name, "is required");
            return None;
        }
        self.keep(name, parse(value))
    }

    pub fn id<T: FromStr<Err: Display>>(&mut self, name: &str, value: &str) -> Option<T> {
        self.parsed(name, value, T::from_str)
    }

    pub fn optional_ods(&mut self, name: &str, value: Option<&str>) -> Option<OdsCode> {
        given(value).and_then(|v| self.keep(name, OdsCode::parse(v)))
    }

    /// YYYY-MM-DD and nothing else.
    pub fn day(&mut self, name: &str, value: &str) -> Option<Date> {
        self.parsed(name, value, day)
    }

    pub fn optional_day(&mut self, name: &str, value: Option<&str>) -> Option<Date> {
        given(value).and_then(|v| self.day(name, v))
    }

    /// Kept to the microsecond: what the store can hold.
    pub fn time(&mut self, name: &str, value: Option<&wire::Timestamp>) -> Option<Timestamp> {
        match value {
            None => {
                self.add(name, "is required");
                None
            }
            Some(v) => self.keep(name, time(v)),
        }
    }

    pub fn code<C: Code>(&mut self, name: &str, number: i32) -> Option<C> {
        let code = self.keep(name, C::from_wire(number))?;
        if code.is_none() {
            self.add(name, "is required");
        }
        code
    }
}

/// A blank optional text is no text.
pub(super) fn given(value: Option<&str>) -> Option<&str> {
    value.filter(|v| !v.trim().is_empty())
}

/// Why a text is not a calendar date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a calendar date, YYYY-MM-DD")]
pub struct NotADay;

/// Ten characters, digits and two hyphens: none of the other forms that ISO 8601 allows.
pub fn day(text: &str) -> Result<Date, NotADay> {
    let shape = |(i, c): (usize, u8)| if matches!(i, 4 | 7) { c == b'-' } else { c.is_ascii_digit() };
    if text.len() != 10 || !text.bytes().enumerate().all(shape) {
        return Err(NotADay);
    }
    text.parse().map_err(|_| NotADay)
}

/// Why a Timestamp is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a time: seconds or nanos are out of range")]
pub struct NotATime;

/// google.protobuf.Timestamp: years 1 to 9999, nanos 0 to 999,999,999. Parts of a microsecond are dropped.
pub fn time(value: &wire::Timestamp) -> Result<Timestamp, NotATime> {
    const YEAR_1: i64 = -62_135_596_800;
    if value.seconds < YEAR_1 || !(0..1_000_000_000).contains(&value.nanos) {
        return Err(NotATime);
    }
    let exact = Timestamp::try_from(value).map_err(|_| NotATime)?;
    Ok(from_micros(micros(exact)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_year_month_day_is_a_date() {
        assert_eq!(day("2026-03-02"), Ok(jiff::civil::date(2026, 3, 2)));
        assert_eq!(day("2024-02-29"), Ok(jiff::civil::date(2024, 2, 29)));
        for bad in ["2026-3-2", "20260302", "02/03/2026", "2026-02-30", "2025-02-29", "2026-W10-1", "+2026-03-02"] {
            assert_eq!(day(bad), Err(NotADay));
        }
        for bad in ["2026-03-02T00:00", " 2026-03-02", "2026-03-0２", "2026-13-01", "-026-03-02", "2026-03-02 "] {
            assert_eq!(day(bad), Err(NotADay));
        }
    }

    #[test]
    fn a_time_is_kept_to_the_microsecond_and_out_of_range_is_refused() {
        let t = time(&wire::Timestamp { seconds: 5, nanos: 123_456_789 }).expect("fine");
        assert_eq!(t.subsec_nanosecond(), 123_456_000);
        for (seconds, nanos) in [(0, -1), (0, 1_000_000_000), (i64::MAX, 0), (i64::MIN, 0)] {
            assert_eq!(time(&wire::Timestamp { seconds, nanos }), Err(NotATime));
        }
    }

    #[test]
    fn a_time_before_1970_keeps_its_microsecond() {
        let exact = wire::Timestamp { seconds: -2, nanos: 500_001_000 };
        assert_eq!(wire::Timestamp::from(time(&exact).expect("fine")), exact);
    }
}
