//! One map row: where a value is taken from and what is made of it.

use super::super::filters::FilterDoc;
use super::super::hl7::{Path, Reading, Repeat};
use super::time::{NO_DAY, NO_DAYS, date, instant, is_no_day, is_part_of_a_date, latest_then, says_no_date};
use super::whole::Whole;
use super::{Around, Part, Pick, Where, observations};
use crate::domain::nhs_number::NhsNumber;
use crate::domain::organisation::OdsCode;
use crate::domain::person::OLDEST_BIRTH_YEAR;
use jiff::tz::TimeZone;
use serde_json::Value;
use std::sync::Arc;

/// What `as` may say.
pub const FILTERS: &[FilterDoc] = &[
    FilterDoc {
        name: "hl7_date",
        example: "as = \"hl7_date\"",
        does: "YYYYMMDD (and longer, or YYYY-MM-DD) to YYYY-MM-DD",
    },
    FilterDoc {
        name: "hl7_date_if_whole",
        example: "as = \"hl7_date_if_whole\"",
        does: "as hl7_date; a year or a month alone (with zeros for the rest, too), zeros and words (UNKNOWN) count as absent",
    },
    FilterDoc {
        name: "told",
        example: "as = \"told\"",
        does: "true where anything stands there; zeros, words for nothing (NULL, NONE, NO) and the days from which databases count (1900-01-01) are absent",
    },
    FilterDoc {
        name: "hl7_time",
        example: "as = \"hl7_time\"",
        does: "an HL7 time, or one as YYYY-MM-DD HH:MM:SS, to an instant; without an offset it is in the endpoint's time zone",
    },
    FilterDoc {
        name: "hl7_time_latest",
        example: "as = \"hl7_time_latest\"",
        does: "as hl7_time; a day alone is its last moment: what is told of a day may be of its evening",
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
        name: "flag:<table>",
        example: "as = \"flag:death\"",
        does: "true or false by a table of codes/ whose ours are true, false and absent; a code the table lacks is a fault",
    },
    FilterDoc {
        name: "year",
        example: "as = \"year\"",
        does: "the year that a date, or a part of one, begins with; what is none counts as absent",
    },
    FilterDoc {
        name: "country_first",
        example: "as = \"country_first\"",
        does: "a phone number that begins with the code of a country, with + before it: 44 7700 900001 as +44 7700 900001; where 0 follows 44, what follows",
    },
    FilterDoc {
        name: "ods_code",
        example: "as = \"ods_code\"",
        does: "an ODS code, in capitals; what is none (a name, a number of the sender's own) counts as absent",
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
    Told,
    Time,
    TimeLatest,
    NhsNumber,
    Code(String),
    Flag(String),
    Upper,
    Whole,
    Year,
    CountryFirst,
    OdsCode,
}

/// Where a reading comes from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Path(Path),
    /// A component of the repetition that was picked, or that an `[each]` stands on.
    Part(Part),
    /// Every OBX, answers beside their questions; with the comments (NTE) among them, or without.
    Observations {
        comments: bool,
    },
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
    /// The repetition that it takes components from.
    pub pick: Option<Arc<Pick<Whole>>>,
    /// The row counts only where of each of these one gives a value (or, negated, none does).
    pub when: Vec<(Vec<Source>, bool)>,
    /// Several different values count as none, rather than as a fault.
    pub ambiguous_is_absent: bool,
    /// A code that the table lacks counts as none, rather than as a fault.
    pub unknown_is_absent: bool,
    /// Lines of the map's own words, each said where something stands at one of its paths.
    pub also: Vec<(Vec<Path>, String)>,
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
            As::Code(table) | As::Flag(table) => Some(table),
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
                Source::Observations { comments: false } => "OBX".into(),
                Source::Observations { comments: true } => "OBX NTE".into(),
            })
            .collect();
        match &self.pick {
            Some(pick) => format!("{}, {}", pick.named(), names.join(", ")),
            None => names.join(", "),
        }
    }

    pub fn take(&self, place: Where<'_>, repeat: Option<&Repeat<'_>>, around: &Around<'_>) -> Result<Taken, String> {
        let taken = self.taken(place, repeat, around)?;
        if let Some(reached) = around.reached
            && !matches!(taken, Taken::Absent)
        {
            reached.note(self.line, self.named());
        }
        Ok(taken)
    }

    fn taken(&self, place: Where<'_>, repeat: Option<&Repeat<'_>>, around: &Around<'_>) -> Result<Taken, String> {
        let picked = match &self.pick {
            Some(pick) => match pick.take(place)? {
                Some(picked) => Some(picked),
                None => return Ok(Taken::Absent),
            },
            None => None,
        };
        let repeat = picked.as_ref().or(repeat);
        for (sources, wanted) in &self.when {
            let there = |source: &Source| match source {
                Source::Path(path) => path.read_all(place.segments()).iter().any(says_something),
                Source::Part(part) => repeat.is_some_and(|repeat| part.is_there(repeat)),
                Source::Observations { .. } => false,
            };
            if sources.iter().any(there) != *wanted {
                return Ok(Taken::Absent);
            }
        }
        let read = |s: &Source| self.read(s, place, repeat, around);
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
                        Reading::Value(text) if self.is_unknown(&text, around) => return Ok(Taken::Absent),
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
                    // A list holds each of several, where the path says that there may be several.
                    if let (From::List(_), Source::Path(path)) = (&self.from, source)
                        && path.is_joined()
                    {
                        let all = path.read_all(place.segments()).into_iter().filter_map(Reading::into_value);
                        parts.extend(all.filter(|t| !t.trim().is_empty()).map(std::borrow::Cow::into_owned));
                        continue;
                    }
                    let reading = read(source)?;
                    null |= matches!(reading, Reading::Null);
                    if let Some(text) = reading.into_value().filter(|t| !t.trim().is_empty()) {
                        parts.push(text.into_owned());
                    }
                }
                let there = |path: &Path| path.read_all(place.segments()).iter().any(says_something);
                parts.extend(
                    self.also.iter().filter(|(paths, _)| paths.iter().any(there)).map(|(_, said)| said.clone()),
                );
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

    fn read<'m>(
        &self,
        source: &Source,
        place: Where<'m>,
        repeat: Option<&Repeat<'m>>,
        around: &Around<'_>,
    ) -> Result<Reading<'m>, String> {
        match (source, repeat) {
            (Source::Path(path), _) => match path.read_in(place.segments()) {
                Ok(reading) => Ok(reading),
                Err(e) => match self.one_of(path.read_all(place.segments()), around) {
                    Some(reading) => Ok(reading),
                    None if self.ambiguous_is_absent => Ok(Reading::Absent),
                    None => Err(e.to_string()),
                },
            },
            (Source::Part(part), Some(repeat)) => Ok(part.read(repeat)),
            (Source::Part(_), None) => Ok(Reading::Absent),
            (Source::Observations { comments }, _) => Ok(observations::text(place, *comments)),
        }
    }

    /// What is the same once the filter has made something of it is one value: `999 000 0018` and `9990000018`.
    fn one_of<'m>(&self, mut readings: Vec<Reading<'m>>, around: &Around<'_>) -> Option<Reading<'m>> {
        let mut made = readings.iter().map(|r| self.made.make(r.value()?, around).ok());
        let first = made.next()??;
        let same = made.all(|other| other.as_ref() == Some(&first));
        (same && !first.is_null()).then(|| readings.swap_remove(0))
    }

    fn is_unknown(&self, text: &str, around: &Around<'_>) -> bool {
        let As::Code(name) = &self.made else { return false };
        self.unknown_is_absent && around.tables.get(name).is_some_and(|table| !table.lists(text.trim()))
    }
}

fn says_something(reading: &Reading<'_>) -> bool {
    reading.value().is_some_and(|text| !text.trim().is_empty())
}

/// What senders put where they have nothing to say: zeros, a word for nothing, a no, or the day from which their database counts. UNKNOWN may be said of
/// the day alone.
pub(super) fn tells_nothing(text: &str) -> bool {
    const WORDS: &[&str] = &["NULL", "(NULL)", "NIL", "NONE", "NO", "N", "N/A", "ALIVE", "FALSE", "F"];
    // DD/MM/YYYY as well.
    const IN_OTHER_ORDER: &[&str] =
        &["01010001", "01011753", "01011800", "30121899", "31121899", "01011900", "01011901", "31129999"];
    let digits: String = text.chars().filter(char::is_ascii_digit).take(8).collect();
    let is_of_words = text.chars().any(char::is_alphabetic) && digits.is_empty();
    let is_slashed = text.get(2..3).is_some_and(|c| c == "/" || c == "-");
    let days = if is_slashed { IN_OTHER_ORDER } else { NO_DAYS };
    match is_of_words {
        true => WORDS.iter().any(|word| text.eq_ignore_ascii_case(word)),
        false => digits.chars().all(|c| c == '0') || days.contains(&digits.as_str()),
    }
}

impl As {
    pub(in crate::adapter) fn make(&self, text: &str, around: &Around<'_>) -> Result<Value, String> {
        let trimmed = text.trim();
        Ok(match self {
            Self::Text => Value::String(trimmed.to_owned()),
            Self::CountryFirst => {
                let number = trimmed.strip_prefix("00").unwrap_or(trimmed).trim_start_matches('+');
                let (country, rest) = number.split_once(' ').unwrap_or((number, ""));
                // 0113 is dialled within the country only, and then without its code.
                let national = country == "44" && rest.starts_with('0');
                Value::String(if national { rest.to_owned() } else { format!("+{number}") })
            }
            Self::OdsCode => OdsCode::parse(&trimmed.to_uppercase())
                .map_or(Value::Null, |code| Value::String(code.as_str().to_owned())),
            Self::Upper => Value::String(trimmed.to_uppercase()),
            Self::Year => year_of(trimmed).map_or(Value::Null, |year| Value::String(year.to_owned())),
            Self::Whole => Value::from(trimmed.parse::<i64>().map_err(|_| "is not a whole number")?),
            Self::Date if is_no_day(trimmed) => return Err(NO_DAY.into()),
            Self::Date => Value::String(date(trimmed, around.zone)?.to_string()),
            Self::DateIfWhole if says_no_date(trimmed) || is_no_day(trimmed) || is_part_of_a_date(trimmed) => {
                Value::Null
            }
            Self::Told if tells_nothing(trimmed) => Value::Null,
            Self::Told => Value::Bool(true),
            Self::DateIfWhole => Value::String(date(trimmed, around.zone)?.to_string()),
            Self::TimeLatest => Value::String(latest_then(trimmed, around)?.to_string()),
            Self::Time => Value::String(instant(trimmed, around)?.to_string()),
            Self::NhsNumber => Value::String(NhsNumber::parse(trimmed).map_err(|e| e.to_string())?.as_str().to_owned()),
            Self::Code(name) => Value::String(of_table(name, trimmed, around)?.to_owned()),
            Self::Flag(name) => match of_table(name, trimmed, around)? {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                _ => Value::Null,
            },
        })
    }
}

fn of_table<'a>(name: &str, theirs: &str, around: &'a Around<'_>) -> Result<&'a str, String> {
    let table = around.tables.get(name).ok_or("names a code table that is missing")?;
    table.ours(theirs).ok_or_else(|| format!("holds a code that table \"{name}\" lacks; add a row to {}", table.file))
}

/// YYYY at the beginning of digits or of an ISO date, of a year in which anybody in care was born.
fn year_of(text: &str) -> Option<&str> {
    let year = text.get(..4).filter(|y| y.bytes().all(|b| b.is_ascii_digit()) && !is_no_day(text))?;
    let is_date = text.bytes().all(|b| b.is_ascii_digit() || b == b'-') && matches!(text.len(), 4 | 6 | 7 | 8 | 10);
    let is_date = is_date || date(text, &TimeZone::UTC).is_ok();
    (is_date && year.parse::<i16>().is_ok_and(|y| (OLDEST_BIRTH_YEAR..=2200).contains(&y))).then_some(year)
}
