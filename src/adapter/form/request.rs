//! What many requests have beside their content: request ids, ids, days, times, codes, versions seen, reasons, take-back.
//! `None` is a broken rule, noted; where a field may be left out, `Some(None)` says that it was.

use super::codes::Code;
use super::field::{Fields, given};
use crate::domain::nhs_number::NhsNumber;
use crate::domain::organisation::OdsCode;
use crate::domain::record_id;
use crate::domain::rule::Violations;
use crate::domain::text::{self, Private};
use crate::wire;
use jiff::{Timestamp, civil::Date};
use std::str::FromStr;
use std::time::Duration;
use uuid::Uuid;

/// A UUID made by the caller, in any of its usual spellings.
pub fn request_id(value: &str, broken: &mut Violations) -> Option<Uuid> {
    let parse = |v: &str| Uuid::parse_str(v).map_err(|_| "must be a UUID");
    let id = Fields::new("", broken).parsed("request_id", value, parse)?;
    if id.is_nil() {
        broken.add("request_id", "must not be the nil UUID: every request needs one of its own");
        return None;
    }
    Some(id)
}

/// A required id: 26 characters.
pub fn id<T: FromStr<Err: std::fmt::Display>>(value: &str, at: &str, broken: &mut Violations) -> Option<T> {
    Fields::new("", broken).id(at, value)
}

/// A required ODS code.
pub fn ods(value: &str, at: &str, broken: &mut Violations) -> Option<OdsCode> {
    Fields::new("", broken).parsed(at, value, OdsCode::parse)
}

/// A required day, YYYY-MM-DD.
pub fn day(value: &str, at: &str, broken: &mut Violations) -> Option<Date> {
    Fields::new("", broken).day(at, value)
}

/// A required code: UNSPECIFIED is refused.
pub fn code<C: Code>(number: i32, at: &str, broken: &mut Violations) -> Option<C> {
    Fields::new("", broken).code(at, number)
}

/// A code that may be left out, for instance in a filter.
pub fn optional_code<C: Code>(number: i32, at: &str, broken: &mut Violations) -> Option<Option<C>> {
    broken.check(at, C::from_wire(number))
}

/// Codes to list by, at most 20 of them; each must be a code, for none at all means every one.
pub fn codes<C: Code>(numbers: &[i32], at: &str, broken: &mut Violations) -> Option<Vec<C>> {
    if numbers.len() > 20 {
        broken.add(at, "at most 20");
        return None;
    }
    let mut one = |(i, number): (usize, &i32)| {
        let at = format!("{at}[{i}]");
        let code = broken.check(&at, C::from_wire(*number))?;
        if code.is_none() {
            broken.add(at, "must not be 0 (UNSPECIFIED): name a value, or leave the list empty for all");
        }
        code
    };
    let read: Vec<Option<C>> = numbers.iter().enumerate().map(&mut one).collect();
    read.into_iter().collect()
}

/// A required time.
pub fn time(value: Option<&wire::Timestamp>, at: &str, broken: &mut Violations) -> Option<Timestamp> {
    Fields::new("", broken).time(at, value)
}

/// A time that may be left out.
pub fn optional_time(value: Option<&wire::Timestamp>, at: &str, broken: &mut Violations) -> Option<Option<Timestamp>> {
    value.map_or(Some(None), |v| broken.check(at, super::field::time(v)).map(Some))
}

/// The version the caller saw: from 1.
pub fn version_seen(value: i64, broken: &mut Violations) -> Option<i64> {
    if value < 1 {
        broken.add("version_seen", "is required: the version you saw, 1 or more");
    }
    (value >= 1).then_some(value)
}

/// Why: one line of 1 to 200 characters.
pub fn reason(value: &str, at: &str, broken: &mut Violations) -> Option<Private<String>> {
    broken.check(at, text::line(value, 200))
}

/// Why an operator does something: the same, read by people who may not know whom it is about. So no NHS number may stand in it; the audit
/// says by itself which patient it was.
pub fn because(value: &str, at: &str, broken: &mut Violations) -> Option<Private<String>> {
    let rule = "must not hold an NHS number: say what was done and why; whom it is about stands in the audit by itself";
    without_number(reason(value, at, broken)?, at, rule, broken)
}

/// Where something comes from, for the audit and for people who may not know whom it is about: the same rule.
pub fn origin(value: &str, at: &str, broken: &mut Violations) -> Option<Private<String>> {
    without_number(reason(value, at, broken)?, at, "must not hold an NHS number: say where it comes from", broken)
}

fn without_number(text: Private<String>, at: &str, rule: &str, broken: &mut Violations) -> Option<Private<String>> {
    if NhsNumber::stands_in(&text.0) {
        broken.add(at, rule);
        return None;
    }
    Some(text)
}

/// The record's own id of a document, as somebody tells it. `None`: broken.
pub fn record_id(value: &str, at: &str, broken: &mut Violations) -> Option<String> {
    let id = broken.check(at, text::line(value, record_id::CHARS_MAX))?;
    broken.check(at, record_id::check(&id.0).map_err(|what| format!("is {what}")))?;
    Some(id.0)
}

/// The same as [`reason`], where it may be left out. `None`: broken.
pub fn optional_reason(value: Option<&str>, at: &str, broken: &mut Violations) -> Option<Option<Private<String>>> {
    match given(value) {
        None => Some(None),
        Some(v) => reason(v, at, broken).map(Some),
    }
}

/// What stays in the bridge with a withdrawal: at most 500 characters. `None`: broken.
pub fn explanation(value: Option<&str>, at: &str, broken: &mut Violations) -> Option<Option<Private<String>>> {
    match given(value) {
        None => Some(None),
        Some(v) => broken.check(at, text::paragraphs(v, 500)).map(Some),
    }
}

/// The longest take-back.
const RELEASE_AFTER_MAX: Duration = Duration::from_secs(60 * 60);

/// How long to hold a note before it is sent. `Some(None)`: the trust's default. `None`: broken.
pub fn release_after(value: Option<&pbjson_types::Duration>, broken: &mut Violations) -> Option<Option<Duration>> {
    let Some(value) = value else { return Some(None) };
    let exact = u64::try_from(value.seconds).ok().zip(u32::try_from(value.nanos).ok());
    match exact {
        Some((seconds, nanos))
            if nanos < 1_000_000_000 && Duration::new(seconds.min(86_400), nanos) <= RELEASE_AFTER_MAX =>
        {
            Some(Some(Duration::new(seconds, nanos)))
        }
        _ => {
            broken.add("release_after", "must be 0 to 60 minutes");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields<T>(read: impl FnOnce(&mut Violations) -> Option<T>) -> Vec<String> {
        let mut broken = Violations::default();
        assert_eq!(read(&mut broken).is_some(), broken.is_empty());
        broken.0.into_iter().map(|v| v.field).collect()
    }

    #[test]
    fn a_request_id_is_a_uuid_of_its_own() {
        assert!(fields(|b| request_id("0198c0de-0000-7000-8000-000000000001", b)).is_empty());
        for bad in ["", "42", "00000000-0000-0000-0000-000000000000"] {
            assert_eq!(fields(|b| request_id(bad, b)), ["request_id"]);
        }
    }

    #[test]
    fn a_note_is_held_an_hour_at_most() {
        let held = |seconds, nanos| {
            let mut broken = Violations::default();
            release_after(Some(&pbjson_types::Duration { seconds, nanos }), &mut broken)
        };
        assert_eq!(held(3600, 0), Some(Some(Duration::from_secs(3600))));
        assert_eq!(held(0, 0), Some(Some(Duration::ZERO)));
        for (s, n) in [(3600, 1), (-1, 0), (i64::MAX, 0), (0, -1), (0, 1_000_000_000)] {
            assert_eq!(held(s, n), None);
        }
        assert_eq!(release_after(None, &mut Violations::default()), Some(None));
    }

    #[test]
    fn a_filter_names_each_code_that_is_none() {
        use crate::domain::referral::ReferralState;
        assert_eq!(fields(|b| codes::<ReferralState>(&[1, 0, 4, 9], "states", b)), ["states[1]", "states[3]"]);
        assert_eq!(fields(|b| codes::<ReferralState>(&[1; 21], "states", b)), ["states"]);
        let mut unspecified = Violations::default();
        assert_eq!(codes::<ReferralState>(&[0], "states", &mut unspecified), None);
        assert!(unspecified.0[0].rule.starts_with("must not be 0 (UNSPECIFIED)"), "nothing is required in a filter");
        let mut fine = Violations::default();
        assert_eq!(codes(&[2], "states", &mut fine), Some(vec![ReferralState::Accepted]));
        assert_eq!(optional_code::<ReferralState>(0, "state", &mut fine), Some(None));
        assert_eq!(optional_time(None, "from", &mut fine), Some(None));
        assert!(fine.is_empty());
        let never = wire::Timestamp { seconds: 0, nanos: -1 };
        assert_eq!(fields(|b| optional_time(Some(&never), "from", b)), ["from"]);
    }

    #[test]
    fn reasons_are_one_line_and_versions_begin_with_one() {
        assert_eq!(fields(|b| reason("a\nb", "reason", b)), ["reason"]);
        assert_eq!(fields(|b| reason(&"x".repeat(201), "reason", b)), ["reason"]);
        assert_eq!(fields(|b| explanation(Some(&"x".repeat(501)), "explanation", b)), ["explanation"]);
        assert_eq!(fields(|b| version_seen(0, b)), ["version_seen"]);
        assert_eq!(optional_reason(Some("  "), "reason_text", &mut Violations::default()), Some(None));
    }

    #[test]
    fn no_nhs_number_stands_in_what_is_read_by_people_who_may_not_know_whom_it_is_about() {
        for held in ["for 9990000018", "999.000.0018", "A9990000018", "held-999-000-0018.csv"] {
            assert_eq!(fields(|b| because(held, "reason", b)), ["reason"], "{held}");
            assert_eq!(fields(|b| origin(held, "source", b)), ["source"], "{held}");
        }
        assert!(fields(|b| origin("held-2026-03-02.csv", "source", b)).is_empty());
    }
}
