//! What many requests have beside their content: request ids, ids, versions seen, reasons, take-back.

use super::field::Fields;
use crate::domain::organisation::OdsCode;
use crate::domain::rule::Violations;
use crate::domain::text::{Private, paragraphs};
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

/// The version the caller saw: from 1.
pub fn version_seen(value: i64, broken: &mut Violations) -> Option<i64> {
    if value < 1 {
        broken.add("version_seen", "is required: the version you saw, 1 or more");
    }
    (value >= 1).then_some(value)
}

/// Why: one line of 1 to 200 characters.
pub fn reason(value: &str, at: &str, broken: &mut Violations) -> Option<Private<String>> {
    broken.check(at, crate::domain::text::line(value, 200))
}

/// The same, where it may be left out. `None`: broken.
pub fn optional_reason(value: Option<&str>, at: &str, broken: &mut Violations) -> Option<Option<Private<String>>> {
    match value.filter(|v| !v.trim().is_empty()) {
        None => Some(None),
        Some(v) => reason(v, at, broken).map(Some),
    }
}

/// What stays in the bridge with a withdrawal: at most 500 characters. `None`: broken.
pub fn explanation(value: Option<&str>, at: &str, broken: &mut Violations) -> Option<Option<Private<String>>> {
    match value.filter(|v| !v.trim().is_empty()) {
        None => Some(None),
        Some(v) => broken.check(at, paragraphs(v, 500)).map(Some),
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
    fn reasons_are_one_line_and_versions_begin_with_one() {
        assert_eq!(fields(|b| reason("a\nb", "reason", b)), ["reason"]);
        assert_eq!(fields(|b| reason(&"x".repeat(201), "reason", b)), ["reason"]);
        assert_eq!(fields(|b| explanation(Some(&"x".repeat(501)), "explanation", b)), ["explanation"]);
        assert_eq!(fields(|b| version_seen(0, b)), ["version_seen"]);
        assert_eq!(optional_reason(Some("  "), "reason_text", &mut Violations::default()), Some(None));
    }
}
