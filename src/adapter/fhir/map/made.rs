//! What a text becomes: the filters that `as` may name, what they do in words, and dates as FHIR and XML Schema write them.

use super::super::super::filters::FilterDoc;
use super::super::super::map::{Around, As, NO_DAY, TOO_OLD, is_no_day, on_the_wall};
use crate::domain::person::OLDEST_BIRTH_YEAR;
use jiff::{Timestamp, civil::Date, civil::DateTime};
use serde_json::Value;

/// What `as` may say.
pub const FILTERS: &[FilterDoc] = &[
    FilterDoc {
        name: "fhir_date",
        example: "as = \"fhir_date\"",
        does: "a date, or the day of an instant in the endpoint's time zone, as YYYY-MM-DD",
    },
    FilterDoc {
        name: "fhir_date_if_whole",
        example: "as = \"fhir_date_if_whole\"",
        does: "as fhir_date; a year or a month alone counts as absent",
    },
    FilterDoc {
        name: "fhir_time",
        example: "as = \"fhir_time\"",
        does: "an instant or dateTime as an instant; a date alone is its first moment in the endpoint's time zone",
    },
    FilterDoc {
        name: "nhs_number",
        example: "as = \"nhs_number\"",
        does: "ten digits, spaces removed, the check digit checked",
    },
    FilterDoc {
        name: "code:<table>",
        example: "as = \"code:gender\"",
        does: "theirs to ours by a table of codes/; a code the table lacks is a fault unless the manifest names a replacement",
    },
    FilterDoc {
        name: "year",
        example: "as = \"year\"",
        does: "the year that a date, or a part of one, begins with; what is none counts as absent",
    },
    FilterDoc { name: "upper", example: "as = \"upper\"", does: "capitals" },
    FilterDoc { name: "whole", example: "as = \"whole\"", does: "a whole number" },
    FilterDoc { name: "flag", example: "as = \"flag\"", does: "true or false" },
    FilterDoc {
        name: "in_words",
        example: "as = \"in_words\"",
        does: "a team's name rather than its id: where it is none of the trust's teams, the referral is refused, and does not go to `default_team`",
    },
];

/// What `as` may say in an xml pack.
pub const XML_FILTERS: &[FilterDoc] = &[
    FilterDoc {
        name: "xml_date",
        example: "as = \"xml_date\"",
        does: "a date of XML Schema as YYYY-MM-DD, whatever zone it names; of an instant its day in the endpoint's time zone",
    },
    FilterDoc {
        name: "xml_time",
        example: "as = \"xml_time\"",
        does: "a dateTime of XML Schema as an instant; without an offset it is in the endpoint's time zone; a date alone is its first moment there",
    },
    FilterDoc { name: "xml_flag", example: "as = \"xml_flag\"", does: "true or 1, false or 0" },
    FilterDoc {
        name: "nhs_number",
        example: "as = \"nhs_number\"",
        does: "ten digits, spaces removed, the check digit checked",
    },
    FilterDoc {
        name: "code:<table>",
        example: "as = \"code:gender\"",
        does: "theirs to ours by a table of codes/; a code the table lacks is a fault unless the manifest names a replacement",
    },
    FilterDoc {
        name: "year",
        example: "as = \"year\"",
        does: "the year that a date, or a part of one, begins with; what is none counts as absent",
    },
    FilterDoc { name: "upper", example: "as = \"upper\"", does: "capitals" },
    FilterDoc { name: "whole", example: "as = \"whole\"", does: "a whole number" },
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Made {
    Date,
    DateIfWhole,
    Time,
    Flag,
    /// A name: it stays a text.
    InWords,
    XmlDate,
    XmlFlag,
    Shared(As),
}

impl Made {
    pub(super) fn make(&self, text: &str, around: &Around<'_>) -> Result<Value, String> {
        match self {
            Self::Date | Self::XmlDate if is_no_day(text.trim()) => Err(NO_DAY.into()),
            Self::Date => Ok(Value::String(date(text.trim(), around)?)),
            Self::DateIfWhole if is_part_of_a_date(text.trim()) || is_no_day(text.trim()) => Ok(Value::Null),
            Self::DateIfWhole => Ok(Value::String(date(text.trim(), around)?)),
            Self::Time => Ok(Value::String(time(text.trim(), around)?.to_string())),
            Self::Flag => Ok(Value::Bool(text.trim().parse().map_err(|_| "is not true or false")?)),
            Self::XmlDate => Ok(Value::String(date(without_zone(text.trim()), around)?)),
            Self::XmlFlag => match text.trim() {
                "true" | "1" => Ok(Value::Bool(true)),
                "false" | "0" => Ok(Value::Bool(false)),
                _ => Err("is not true or false".into()),
            },
            Self::InWords => As::Text.make(text, around),
            Self::Shared(filter) => filter.make(text, around),
        }
    }
}

/// FHIR R4, datatypes date and dateTime: YYYY and YYYY-MM are allowed there and say too little here.
fn date(text: &str, around: &Around<'_>) -> Result<String, &'static str> {
    if text.contains('T') {
        return Ok(time(text, around)?.to_zoned(around.zone.clone()).date().to_string());
    }
    plain_date(text).map(|d| d.to_string())
}

/// YYYY or YYYY-MM: a sender that knows no more.
fn is_part_of_a_date(text: &str) -> bool {
    matches!(text.len(), 4 | 7)
        && text.bytes().enumerate().all(|(i, b)| if i == 4 { b == b'-' } else { b.is_ascii_digit() })
}

/// A date of XML Schema may say in which zone it is that day; it is that day all the same.
pub(super) fn without_zone(text: &str) -> &str {
    match text.split_at_checked(10) {
        Some((day, "Z")) => day,
        Some((day, zone)) if zone.len() == 6 && zone.starts_with(['+', '-']) && zone.as_bytes()[3] == b':' => day,
        _ => text,
    }
}

fn plain_date(text: &str) -> Result<Date, &'static str> {
    let shaped = text.len() == 10
        && text.bytes().enumerate().all(|(i, b)| if matches!(i, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
    text.parse().ok().filter(|_| shaped).ok_or("is not a whole date, YYYY-MM-DD")
}

/// A year that lost a figure is refused, as in HL7 v2.
pub(super) fn time(text: &str, around: &Around<'_>) -> Result<Timestamp, &'static str> {
    let at = any_time(text, around)?;
    if at.to_zoned(around.zone.clone()).year() < OLDEST_BIRTH_YEAR { Err(TOO_OLD) } else { Ok(at) }
}

fn any_time(text: &str, around: &Around<'_>) -> Result<Timestamp, &'static str> {
    if !text.contains('T') {
        let midnight = plain_date(text)?.to_datetime(jiff::civil::Time::midnight());
        return on_the_wall(midnight, around.zone).map_err(|_| "is not a time that exists");
    }
    let clock = text.split_once('T').map_or("", |(_, clock)| clock);
    let zoned = clock.contains(['Z', '+', '-']);
    if zoned {
        return text.parse().map_err(|_| "is not an instant");
    }
    // FHIR demands an offset; senders forget it, and then mean their own clock.
    let local: DateTime = text.parse().map_err(|_| "is not an instant")?;
    on_the_wall(local, around.zone).map_err(|_| "is not a time that exists")
}
