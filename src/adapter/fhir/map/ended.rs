//! What is not looked at at all, because it does not hold any more.

use super::super::super::map::{Around, is_never};
use jiff::Timestamp;
use serde_json::Value;

/// What has a use and a period in FHIR.
const WITH_PERIOD: [&str; 4] = ["name", "address", "telecom", "identifier"];

/// Takes out, everywhere, the names, addresses, telecoms and identifiers that are old or ended before `at`. Where nobody knows when the message
/// was made, what has an end at all counts as ended.
pub(super) fn drop_ended(value: &mut Value, at: Option<Timestamp>, around: &Around<'_>) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|v| drop_ended(v, at, around)),
        Value::Object(members) => {
            for (key, member) in members {
                if let Value::Array(list) = member
                    && WITH_PERIOD.contains(&key.as_str())
                {
                    list.retain(|element| !is_over(element, at, around));
                }
                drop_ended(member, at, around);
            }
        }
        _ => {}
    }
}

fn is_over(element: &Value, at: Option<Timestamp>, around: &Around<'_>) -> bool {
    if element.get("use").and_then(Value::as_str) == Some("old") {
        return true;
    }
    if element.pointer("/period/start").is_some_and(|start| begins_later(start, at, around)) {
        return true;
    }
    let Some(end) = element.pointer("/period/end") else { return false };
    let Some(end) = end.as_str().map(str::trim) else { return true };
    if is_never(end) {
        return false;
    }
    let Some(at) = at else { return true };
    if end.contains('T') {
        return super::time(end, around).map_or(true, |end| end < at);
    }
    // YYYY, YYYY-MM or YYYY-MM-DD: all of that year, month or day still belongs to it.
    let day = at.to_zoned(around.zone.clone()).date().to_string();
    let same_length = day.get(..end.len()).filter(|_| matches!(end.len(), 4 | 7 | 10));
    same_length.is_none_or(|day| end < day)
}

/// Whether it holds only from a time after `at` on: where somebody will live is not where they live.
fn begins_later(start: &Value, at: Option<Timestamp>, around: &Around<'_>) -> bool {
    let (Some(start), Some(at)) = (start.as_str().map(str::trim), at) else { return false };
    if start.contains('T') {
        return super::time(start, around).is_ok_and(|start| start > at);
    }
    let day = at.to_zoned(around.zone.clone()).date().to_string();
    let same_length = day.get(..start.len()).filter(|_| matches!(start.len(), 4 | 7 | 10));
    same_length.is_some_and(|day| start > day)
}
