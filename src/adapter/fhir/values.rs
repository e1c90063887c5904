//! What FHIR R4 lets a primitive value be. Nothing said here holds the value.

use super::super::fault::suggest;
use super::resource;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::civil::Date;
use serde_json::Value;

/// Why it cannot be a value of this type, and what to do; `None` where it can.
pub fn refusal(kind: &str, value: &Value, codes: &[&str]) -> Option<(String, String)> {
    let said = |what: &str, hint: &str| Some((what.to_owned(), hint.to_owned()));
    match kind {
        "boolean" if !value.is_boolean() => return said("is not true or false", "write true or false without quotes"),
        "decimal" if !value.is_number() => return said("is not a number", "write a number without quotes"),
        "integer" | "positiveInt" | "unsignedInt" => {
            let least = match kind {
                "positiveInt" => 1,
                "unsignedInt" => 0,
                _ => i64::from(i32::MIN),
            };
            let fits = value.as_i64().is_some_and(|n| (least..=i64::from(i32::MAX)).contains(&n));
            let hint = format!("write it without quotes, {least} or more");
            return (!fits).then(|| ("is not a whole number that FHIR takes here".into(), hint));
        }
        "boolean" | "decimal" => return None,
        _ => {}
    }
    let Some(text) = value.as_str() else { return said("is not a text", "put it into quotes") };
    if !codes.is_empty() && !codes.contains(&text) {
        let near = suggest(text, codes.iter().copied());
        let hint = if near.starts_with("did you mean") { near } else { format!("write one of {}", codes.join(", ")) };
        return Some(("is not one of the codes that FHIR R4 allows here".into(), hint));
    }
    match kind {
        _ if text.trim().is_empty() => said("is empty", "leave the key away where there is nothing to say"),
        "code" if text.trim() != text || text.contains("  ") || text.contains(['\t', '\n']) => {
            said("is no code: it has spaces at an end, or two together", "write it as the code system does")
        }
        "id" if !resource::is_id(text) => said("is no id of FHIR", "1 to 64 of A-Z, a-z, 0-9, - and ."),
        "uri" | "url" | "canonical" if text.contains(char::is_whitespace) => {
            said("is no address: it has a space", "write it as one word")
        }
        "date" if !is_date(text) => said("is no date of FHIR", "YYYY, YYYY-MM or YYYY-MM-DD"),
        "dateTime" if !is_date(text) && !is_instant(text) => {
            said("is no dateTime of FHIR", "a date, or an instant with its offset: {{ … | fhir_time }}")
        }
        "instant" if !is_instant(text) => said("is no instant of FHIR", "date, time and offset: {{ … | fhir_time }}"),
        "time" if text.parse::<jiff::civil::Time>().is_err() => said("is no time of FHIR", "hh:mm:ss"),
        "base64Binary" if BASE64_STANDARD.decode(text).is_err() => {
            said("is not base64", "{\"$text\": \"parts/x.txt\", \"$as\": \"base64\"}")
        }
        _ => None,
    }
}

/// FHIR R4, datatype date: a year, a month or a day.
fn is_date(text: &str) -> bool {
    let whole = match text.len() {
        4 => format!("{text}-01-01"),
        7 => format!("{text}-01"),
        10 => text.to_owned(),
        _ => return false,
    };
    let shaped =
        whole.bytes().enumerate().all(|(i, b)| if matches!(i, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
    shaped && whole.parse::<Date>().is_ok()
}

/// FHIR R4, datatype instant: to the second, and with an offset.
fn is_instant(text: &str) -> bool {
    let has_seconds = text.get(10..11) == Some("T") && text.get(16..17) == Some(":");
    let has_offset = text.ends_with('Z') || text.get(19..).is_some_and(|rest| rest.contains(['+', '-']));
    has_seconds && has_offset && text.parse::<jiff::Timestamp>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_is_what_its_type_allows() {
        for (kind, good, bad) in [
            ("boolean", json!(true), json!("true")),
            ("decimal", json!(1.5), json!("1.5")),
            ("positiveInt", json!(1), json!(0)),
            ("unsignedInt", json!(0), json!(-1)),
            ("string", json!("x"), json!(1)),
            ("code", json!("in progress"), json!(" x")),
            ("id", json!("a-1.b"), json!("a b")),
            ("uri", json!("urn:x"), json!("not one")),
            ("date", json!("2026-07"), json!("2026-02-30")),
            ("dateTime", json!("2026-07-01T10:00:00+01:00"), json!("2026-07-01T10:00:00")),
            ("instant", json!("2026-07-01T10:00:00.5Z"), json!("2026-07-01")),
            ("time", json!("10:00:00"), json!("25:00:00")),
            ("base64Binary", json!("Zm9v"), json!("Zm9")),
            ("string", json!("x"), json!(" ")),
        ] {
            assert_eq!(refusal(kind, &good, &[]), None, "{kind}");
            assert!(refusal(kind, &bad, &[]).is_some(), "{kind}");
        }
    }

    #[test]
    fn a_code_that_is_not_allowed_is_refused_without_being_shown() {
        let codes = ["current", "superseded"];
        assert_eq!(refusal("code", &json!("current"), &codes), None);
        let (what, hint) = refusal("code", &json!("currnt"), &codes).expect("refused");
        assert!(!what.contains("currnt") && hint == "did you mean \"current\"?", "{what}; {hint}");
    }
}
