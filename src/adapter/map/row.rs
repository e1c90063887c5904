//! One map row: where a value is taken from and what is made of it.

use super::super::filters::FilterDoc;
use super::super::hl7::{Path, Reading, Repeat};
use super::{Around, Part, Where};
use crate::domain::nhs_number::NhsNumber;
use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::Offset,
};
use serde_json::Value;

/// What `as` may say.
pub const FILTERS: &[FilterDoc] = &[
    FilterDoc { name: "hl7_date", example: "as = \"hl7_date\"", does: "YYYYMMDD (and longer) to YYYY-MM-DD" },
    FilterDoc {
        name: "hl7_date_if_whole",
        example: "as = \"hl7_date_if_whole\"",
        does: "as hl7_date; a year or a month alone counts as absent",
    },
    FilterDoc {
        name: "hl7_time",
        example: "as = \"hl7_time\"",
        does: "an HL7 time to an instant; without an offset it is in the endpoint's time zone",
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
    FilterDoc { name: "upper", example: "as = \"upper\"", does: "capitals" },
    FilterDoc { name: "whole", example: "as = \"whole\"", does: "a whole number" },
];

/// What becomes of a reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::adapter) enum As {
    Text,
    Date,
    DateIfWhole,
    Time,
    NhsNumber,
    Code(String),
    Upper,
    Whole,
}

/// Where a reading comes from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Path(Path),
    /// A component of the repetition an `[each]` stands on.
    Part(Part),
}

/// What a row takes from its sources.
#[derive(Debug, Clone)]
pub(super) enum From {
    /// The first of these that is there.
    First(Vec<Source>),
    /// All that are there, parted by a space.
    Words(Vec<Source>),
    /// All that are there, parted by line breaks.
    Lines(Vec<Source>),
    /// All that are there, as a list.
    List(Vec<Source>),
    Value(Value),
    Setting(String),
}

#[derive(Debug, Clone)]
pub(super) struct Row {
    pub from: From,
    pub made: As,
    /// The row counts only where this path gives a value (or, negated, gives none).
    pub when: Option<(Path, bool)>,
    /// Several different values count as none, rather than as a fault.
    pub ambiguous_is_absent: bool,
    pub line: u32,
}

/// HL7's three states.
pub(super) enum Taken {
    Absent,
    Null,
    Value(Value),
}

impl Row {
    pub fn table(&self) -> Option<&str> {
        match &self.made {
            As::Code(table) => Some(table),
            _ => None,
        }
    }

    pub fn setting(&self) -> Option<&str> {
        match &self.from {
            From::Setting(name) => Some(name),
            _ => None,
        }
    }

    /// The row's sources in words, for faults.
    pub fn named(&self) -> String {
        let list = match &self.from {
            From::First(s) | From::Words(s) | From::Lines(s) | From::List(s) => s,
            From::Value(_) => return "a fixed value".into(),
            From::Setting(name) => return format!("setting {name}"),
        };
        let names: Vec<String> = list
            .iter()
            .map(|s| match s {
                Source::Path(path) => path.to_string(),
                Source::Part(Part(c, None)) => format!("component {c}"),
                Source::Part(Part(c, Some(s))) => format!("component {c}.{s}"),
            })
            .collect();
        names.join(", ")
    }

    pub fn take(&self, place: Where<'_>, repeat: Option<&Repeat<'_>>, around: &Around<'_>) -> Result<Taken, String> {
        if let Some((path, wanted)) = &self.when {
            let there = path.read_all(place.segments()).iter().any(|r| r.value().is_some());
            if there != *wanted {
                return Ok(Taken::Absent);
            }
        }
        let read = |s: &Source| self.read(s, place, repeat);
        match &self.from {
            From::Value(value) => Ok(Taken::Value(value.clone())),
            From::Setting(name) => Ok(match around.settings.get(name) {
                Some(Value::String(s)) if s.is_empty() => Taken::Absent,
                Some(value) => Taken::Value(value.clone()),
                None => Taken::Absent,
            }),
            From::First(sources) => {
                let mut null = false;
                for source in sources {
                    match read(source)? {
                        Reading::Absent => {}
                        Reading::Null => null = true,
                        Reading::Value(text) if text.trim().is_empty() => {}
                        Reading::Value(text) => {
                            let made = self.made.make(&text, around)?;
                            return Ok(if made.is_null() { Taken::Absent } else { Taken::Value(made) });
                        }
                    }
                }
                Ok(if null { Taken::Null } else { Taken::Absent })
            }
            From::Words(sources) | From::Lines(sources) | From::List(sources) => {
                let mut parts = Vec::new();
                let mut null = false;
                for source in sources {
                    let reading = read(source)?;
                    null |= matches!(reading, Reading::Null);
                    if let Some(text) = reading.into_value().filter(|t| !t.trim().is_empty()) {
                        parts.push(text.into_owned());
                    }
                }
                let joint = match &self.from {
                    _ if parts.is_empty() && null => return Ok(Taken::Null),
                    _ if parts.is_empty() => return Ok(Taken::Absent),
                    From::List(_) => {
                        return parts
                            .iter()
                            .map(|p| self.made.make(p.trim(), around))
                            .collect::<Result<_, _>>()
                            .map(|l| Taken::Value(Value::Array(l)));
                    }
                    From::Words(_) => " ",
                    _ => "\n",
                };
                let parts: Vec<&str> = parts.iter().map(|p| if joint == " " { p.trim() } else { p }).collect();
                self.made.make(&parts.join(joint), around).map(Taken::Value)
            }
        }
    }

    fn read<'m>(&self, source: &Source, place: Where<'m>, repeat: Option<&Repeat<'m>>) -> Result<Reading<'m>, String> {
        match (source, repeat) {
            (Source::Path(path), _) => match path.read_in(place.segments()) {
                Ok(reading) => Ok(reading),
                Err(_) if self.ambiguous_is_absent => Ok(Reading::Absent),
                Err(e) => Err(e.to_string()),
            },
            (Source::Part(part), Some(repeat)) => Ok(part.read(repeat)),
            (Source::Part(_), None) => Ok(Reading::Absent),
        }
    }
}

impl As {
    pub(in crate::adapter) fn make(&self, text: &str, around: &Around<'_>) -> Result<Value, String> {
        let trimmed = text.trim();
        Ok(match self {
            Self::Text => Value::String(trimmed.to_owned()),
            Self::Upper => Value::String(trimmed.to_uppercase()),
            Self::Whole => Value::from(trimmed.parse::<i64>().map_err(|_| "is not a whole number")?),
            Self::Date => Value::String(date(trimmed)?.to_string()),
            Self::DateIfWhole if is_part_of_a_date(trimmed) => Value::Null,
            Self::DateIfWhole => Value::String(date(trimmed)?.to_string()),
            Self::Time => Value::String(time(trimmed, around)?.to_string()),
            Self::NhsNumber => Value::String(NhsNumber::parse(trimmed).map_err(|e| e.to_string())?.as_str().to_owned()),
            Self::Code(name) => {
                let table = around.tables.get(name).ok_or("names a code table that is missing")?;
                let ours = table
                    .ours(trimmed)
                    .ok_or_else(|| format!("holds a code that table \"{name}\" lacks; add a row to {}", table.file))?;
                Value::String(ours.to_owned())
            }
        })
    }
}

/// YYYY or YYYYMM: a sender that knows no more.
fn is_part_of_a_date(text: &str) -> bool {
    matches!(text.len(), 4 | 6) && text.bytes().all(|b| b.is_ascii_digit())
}

fn date(text: &str) -> Result<Date, &'static str> {
    let digits =
        text.get(..8).filter(|d| d.bytes().all(|b| b.is_ascii_digit())).ok_or("is not a date of at least YYYYMMDD")?;
    Date::strptime("%Y%m%d", digits).map_err(|_| "is not a date that exists")
}

/// YYYYMMDD[HHMM[SS[.S…]]][+ZZZZ] (HL7 v2.4 data type TS).
fn time(text: &str, around: &Around<'_>) -> Result<Timestamp, &'static str> {
    const NOT: &str = "is not an HL7 time of at least YYYYMMDD";
    let (local, offset) = match text.find(['+', '-']) {
        Some(at) => (&text[..at], Some(&text[at..])),
        None => (text, None),
    };
    let (whole, fraction) = local.split_once('.').unwrap_or((local, ""));
    if !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) || fraction.len() > 9 {
        return Err(NOT);
    }
    let two = |from: usize| whole.get(from..from + 2).and_then(|d| d.parse::<i8>().ok()).unwrap_or(0);
    if !matches!(whole.len(), 8 | 10 | 12 | 14) || (!fraction.is_empty() && whole.len() != 14) {
        return Err(NOT);
    }
    let day = date(whole)?;
    let nanos = format!("{fraction:0<9}").parse().map_err(|_| NOT)?;
    let time = jiff::civil::Time::new(two(8), two(10), two(12), nanos).map_err(|_| "is not a time that exists")?;
    let at = DateTime::from_parts(day, time);
    match offset {
        None => around.zone.to_timestamp(at).map_err(|_| "is not a time that exists"),
        Some(offset) => {
            let (sign, digits) = offset.split_at(1);
            let minutes = digits.parse::<i32>().ok().filter(|_| digits.len() == 4).ok_or(NOT)?;
            let seconds = (minutes / 100 * 3600 + minutes % 100 * 60) * if sign == "-" { -1 } else { 1 };
            let offset = Offset::from_seconds(seconds).map_err(|_| NOT)?;
            offset.to_timestamp(at).map_err(|_| "is not a time that exists")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn at(text: &str) -> Result<String, &'static str> {
        let zone = jiff::tz::TimeZone::get("Europe/London").expect("bundled");
        let around = Around { settings: &serde_json::Map::new(), tables: &BTreeMap::new(), zone: &zone };
        time(text, &around).map(|t| t.to_string())
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
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026",
            "202607",
            "20261301",
            "20260230",
            "20260701250000",
            "2026070109000",
            "20260701090000+1",
            "2026-07-01",
            "20260701.5",
            "日本日本日本",
        ] {
            assert!(at(text).is_err(), "{text}");
        }
    }
}
