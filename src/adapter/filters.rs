//! What templates can do to a value. The table is the documentation: `adapters/README.md` holds it, and a test compares.

use super::codes::CodeTable;
use super::fhir::as_form;
use super::hl7::{
    Delimiters,
    escape::{LineFeeds, escape},
};
use super::manifest::Format;
use super::stop::Stop;
use super::text::TextRules;
use crate::domain::nhs_number::NhsNumber;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use minijinja::{
    Environment, Error, State,
    value::{Object, Serde, Value, ValueKind},
};
use std::{collections::BTreeMap, sync::Arc};

/// One filter, for the documentation.
pub struct FilterDoc {
    pub name: &'static str,
    pub example: &'static str,
    pub does: &'static str,
}

/// Every filter there is.
pub const FILTERS: &[FilterDoc] = &[
    FilterDoc {
        name: "blank",
        example: "{{ patient.phone | blank }}",
        does: "allows the field to be empty; without it an empty value stops the message",
    },
    FilterDoc {
        name: "default",
        example: "{{ settings.authority | default(\"RZZ\") }}",
        does: "another value when this one is empty",
    },
    FilterDoc {
        name: "code",
        example: "{{ patient.gender | code(\"gender\") }}",
        does: "ours to theirs by a table of codes/; a code the table lacks stops the message unless the manifest names a replacement",
    },
    FilterDoc {
        name: "hl7_time",
        example: "{{ message.time | hl7_time }}",
        does: "an instant as YYYYMMDDHHMMSS in the endpoint's time zone, with or without +0100 (settings time_zone, time_offset)",
    },
    FilterDoc {
        name: "hl7_date",
        example: "{{ patient.date_of_birth | hl7_date }}",
        does: "a date as YYYYMMDD; an instant as its day in the endpoint's time zone",
    },
    FilterDoc {
        name: "nhs_number",
        example: "{{ patient.nhs_number | nhs_number }}",
        does: "ten digits, checked; with (\"spaced\") as 999 000 0018",
    },
    FilterDoc {
        name: "staff_id",
        example: "{{ author.epr_id | staff_id }}",
        does: "the EPR's own id of the author; none holds the entry until the staff table has one",
    },
    FilterDoc {
        name: "obx_text",
        example: "{% for row in entry.text | obx_text %}OBX|{{ loop.index }}|{{ settings.text_type }}|…||{{ row }}{% endfor %}",
        does: "a text (or a list of lines) as the OBX-5 of one or more rows, by the endpoint's text settings; what does not fit whole stops the message",
    },
    FilterDoc {
        name: "lines",
        example: "{% for line in entry.text | lines %}",
        does: "the lines of a text, as a list",
    },
    FilterDoc {
        name: "chunks",
        example: "{% for piece in entry.text | chunks(200) %}",
        does: "a text in pieces of at most so many characters, as a list",
    },
    FilterDoc {
        name: "words",
        example: "{{ (patient.name.given | words)[0] }}",
        does: "the words of a text, as a list",
    },
    FilterDoc {
        name: "join",
        example: "{{ (patient.name.given | words)[1:] | join(\" \") | blank }}",
        does: "a list as one text",
    },
    FilterDoc {
        name: "append",
        example: "{{ [entry.title] | append(entry.headings) | obx_text }}",
        does: "a list with a text, or another list, at its end",
    },
    FilterDoc {
        name: "components",
        example: "{{ message.document_id | components }}",
        does: "a value that is parted by ^ already: each part is escaped, ^ stays",
    },
    FilterDoc {
        name: "uk_time",
        example: "{{ entry.occurred_at | uk_time }}",
        does: "an instant for people, as 02/03/2026 09:30 in the endpoint's time zone; with its name behind it (09:30 UTC) where that is not the trust's",
    },
    FilterDoc {
        name: "uk_date",
        example: "{{ patient.date_of_birth | uk_date }}",
        does: "a date for people, as 12-Apr-1985",
    },
    FilterDoc { name: "upper", example: "{{ patient.name.family | upper }}", does: "capitals" },
    FilterDoc {
        name: "at_most",
        example: "{{ entry.withdraw_label | at_most(30) }}",
        does: "stops the message when the value is longer; nothing is ever cut",
    },
    FilterDoc { name: "plus", example: "{{ loop.index | plus(1) }}", does: "adds to a whole number" },
    FilterDoc {
        name: "fhir_time",
        example: "{{ entry.occurred_at | fhir_time }}",
        does: "an instant as FHIR writes it, to the second, with the offset of the endpoint's time zone: 2026-07-01T10:00:00+01:00 (fhir packs)",
    },
    FilterDoc {
        name: "xml_time",
        example: "{{ entry.occurred_at | xml_time }}",
        does: "an instant as XML Schema writes it, to the second, with the offset of the endpoint's time zone: 2026-07-01T10:00:00+01:00, or without it (setting time_offset) (xml and document packs)",
    },
    FilterDoc {
        name: "base64",
        example: "{{ entry.text | base64 }}",
        does: "the UTF-8 bytes of a text in base64, as an attachment's data (fhir and xml packs; in fhir, for a document of several parts use $text)",
    },
    FilterDoc {
        name: "sha1",
        example: "{{ entry.text | sha1 }}",
        does: "the SHA-1 of a text's UTF-8 bytes in base64, as an attachment's hash (fhir and xml packs)",
    },
    FilterDoc {
        name: "byte_count",
        example: "{{ entry.text | byte_count }}",
        does: "how many UTF-8 bytes a text has, as an attachment's size (fhir and xml packs)",
    },
];

/// Parts of one list that is put together.
const APPENDED_MAX: usize = 2000;

/// Filters that only one format has a use for.
const HL7_ONLY: &[&str] = &["hl7_time", "hl7_date", "obx_text", "components"];
const HTTP_ONLY: &[&str] = &["base64", "sha1", "byte_count"];
const FHIR_ONLY: &[&str] = &["fhir_time"];
const XML_ONLY: &[&str] = &["xml_time"];

/// What templates of a format may use.
pub fn offered(format: Format) -> impl Iterator<Item = &'static str> {
    let others: [&[&str]; 3] = match format {
        Format::Hl7v2 => [HTTP_ONLY, FHIR_ONLY, XML_ONLY],
        Format::Document => [HTTP_ONLY, FHIR_ONLY, &[]],
        Format::Fhir => [HL7_ONLY, XML_ONLY, &[]],
        Format::Xml => [HL7_ONLY, FHIR_ONLY, &[]],
    };
    FILTERS.iter().map(|f| f.name).filter(move |name| !others.iter().any(|list| list.contains(name)))
}

/// `is` tests there are.
pub const TESTS: &[&str] = &["none"];

/// What filters need to know about the endpoint. Stands in the context under [`Facts::KEY`], which no template can name.
#[derive(Debug)]
pub struct Facts {
    pub zone: TimeZone,
    /// The headings are in the trust's.
    pub is_trusts_zone: bool,
    pub with_offset: bool,
    pub text: TextRules,
}

impl Facts {
    pub const KEY: &'static str = "\u{1}facts";

    fn of<R>(state: &State<'_, '_>, then: impl FnOnce(&Self) -> Result<R, Stop>) -> Result<R, Error> {
        let value = state.lookup(Self::KEY);
        let facts = value.as_ref().and_then(Value::downcast_object_ref::<Self>);
        let facts = facts.ok_or_else(|| Stop::fault("this filter needs an endpoint", "use it in a template only"))?;
        Ok(then(facts)?)
    }
}

impl Object for Facts {}

/// Puts every filter and test into an environment.
pub fn install(env: &mut Environment<'static>, tables: Arc<BTreeMap<String, CodeTable>>) {
    env.add_filter("blank", |v: Value| match v.as_str() {
        _ if v.is_undefined() => Err(not_there()),
        _ if v.is_none() => Ok(Value::from_safe_string(String::new())),
        Some("") => Ok(Value::from_safe_string(String::new())),
        _ => Ok(v),
    });
    env.add_filter("default", |v: Value, other: Value| match v.as_str() {
        _ if v.is_undefined() => Err(not_there()),
        _ if v.is_none() => Ok(other),
        Some("") => Ok(other),
        _ => Ok(v),
    });
    env.add_filter("code", move |v: Value, name: String| -> Result<Value, Error> {
        let table = tables
            .get(&name)
            .ok_or_else(|| Stop::fault("there is no such code table", "declare it under [codes] in adapter.toml"))?;
        let ours = text(&v)?;
        let theirs = table.theirs(&ours).ok_or_else(|| {
            let hint = format!("add a row to {}, or name a replacement in adapter.toml", table.file);
            Stop::fault(format!("code table \"{name}\" has no row for this code{}", named(&ours)), hint)
        })?;
        Ok(Value::from(theirs))
    });
    env.add_filter("hl7_time", |state: &State, v: Value| {
        let at = instant(&text(&v)?)?;
        Facts::of(state, |f| {
            let local = at.to_zoned(f.zone.clone());
            Ok(local.strftime(if f.with_offset { "%Y%m%d%H%M%S%z" } else { "%Y%m%d%H%M%S" }).to_string())
        })
    });
    env.add_filter("hl7_date", |state: &State, v: Value| -> Result<String, Error> {
        let text = text(&v)?;
        if text.len() == 10 {
            let date: Date =
                text.parse().map_err(|_| Stop::fault("is not a date", "give hl7_date a date or an instant"))?;
            return Ok(date.strftime("%Y%m%d").to_string());
        }
        let at = instant(&text)?;
        Facts::of(state, |f| Ok(at.to_zoned(f.zone.clone()).strftime("%Y%m%d").to_string()))
    });
    env.add_filter("nhs_number", |v: Value, form: Option<String>| -> Result<String, Error> {
        let number = NhsNumber::parse(&text(&v)?)
            .map_err(|e| Stop::fault(e.to_string(), "correct the number where it was entered"))?;
        match form.as_deref() {
            None => Ok(number.as_str().to_owned()),
            Some("spaced") => Ok(number.display()),
            Some(_) => Err(Stop::fault(
                "nhs_number takes \"spaced\" or nothing",
                "write | nhs_number or | nhs_number(\"spaced\")",
            )
            .into()),
        }
    });
    env.add_filter("staff_id", |v: Value| match v.as_str() {
        _ if v.is_undefined() => Err(not_there()),
        Some(id) if !id.is_empty() => Ok(v.clone()),
        _ => Err(Stop::NoStaffId.into()),
    });
    env.add_filter("obx_text", |state: &State, v: Value| -> Result<Vec<Value>, Error> {
        let text = match v.kind() {
            ValueKind::Seq | ValueKind::Iterable => list(&v)?.join("\n"),
            _ => text(&v)?,
        };
        let rows = Facts::of(state, |f| f.text.rows(&text))?;
        Ok(rows.into_iter().map(Value::from_safe_string).collect())
    });
    env.add_filter("lines", |v: Value| -> Result<Vec<String>, Error> {
        Ok(text(&v)?.split('\n').map(str::to_owned).collect())
    });
    env.add_filter("chunks", |v: Value, size: u32| -> Result<Vec<String>, Error> {
        let characters: Vec<char> = text(&v)?.chars().collect();
        Ok(characters.chunks(size.max(1) as usize).map(|c| c.iter().collect()).collect())
    });
    env.add_filter("words", |v: Value| -> Result<Vec<String>, Error> {
        Ok(text(&v)?.split_whitespace().map(str::to_owned).collect())
    });
    env.add_filter("join", |v: Value, by: String| -> Result<String, Error> { Ok(list(&v)?.join(&by)) });
    env.add_filter("append", |v: Value, more: Value| -> Result<Vec<String>, Error> {
        let mut all = list(&v)?;
        match more.kind() {
            ValueKind::Seq | ValueKind::Iterable => all.extend(list(&more)?),
            _ => all.push(text(&more)?),
        }
        if all.len() > APPENDED_MAX {
            let what = format!("makes a list of more than {APPENDED_MAX}");
            return Err(Stop::fault(what, "append what is in the input, once").into());
        }
        Ok(all)
    });
    env.add_filter("components", |v: Value| -> Result<Value, Error> {
        let text = text(&v)?;
        let parts = text.split('^').map(|part| escape(part, &Delimiters::STANDARD, LineFeeds::Refuse));
        let parts: Vec<_> = parts.collect::<Result<_, _>>().map_err(|e| Stop::NotCarriable(e.to_string()))?;
        Ok(Value::from_safe_string(parts.join("^")))
    });
    env.add_filter("uk_time", |state: &State, v: Value| {
        let at = instant(&text(&v)?)?;
        Facts::of(state, |f| {
            let form = if f.is_trusts_zone { "%d/%m/%Y %H:%M" } else { "%d/%m/%Y %H:%M %Z" };
            Ok(at.to_zoned(f.zone.clone()).strftime(form).to_string())
        })
    });
    env.add_filter("uk_date", |v: Value| -> Result<String, Error> {
        let date: Date =
            text(&v)?.parse().map_err(|_| Stop::fault("is not a date", "give uk_date a date such as date_of_birth"))?;
        Ok(date.strftime("%d-%b-%Y").to_string())
    });
    env.add_filter("upper", |v: Value| -> Result<String, Error> { Ok(text(&v)?.to_uppercase()) });
    env.add_filter("at_most", |v: Value, most: u32| -> Result<Value, Error> {
        let most = most as usize;
        if text(&v)?.chars().count() > most {
            Err(Stop::NotCarriable(format!("a value is longer than the {most} characters its field has")).into())
        } else {
            Ok(v)
        }
    });
    env.add_filter("plus", |v: Value, more: i64| -> Result<i64, Error> {
        let sum = v.as_i64().filter(|_| v.is_integer()).and_then(|n| n.checked_add(more));
        Ok(sum.ok_or_else(|| Stop::fault("plus needs a whole number", "use it on loop.index or another count"))?)
    });
    env.add_filter("fhir_time", |state: &State, v: Value| {
        let at = instant(&text(&v)?)?;
        Facts::of(state, |f| Ok(at.to_zoned(f.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()))
    });
    env.add_filter("xml_time", |state: &State, v: Value| {
        let at = instant(&text(&v)?)?;
        Facts::of(state, |f| {
            let form = if f.with_offset { "%Y-%m-%dT%H:%M:%S%:z" } else { "%Y-%m-%dT%H:%M:%S" };
            Ok(at.to_zoned(f.zone.clone()).strftime(form).to_string())
        })
    });
    for form in ["base64", "sha1", "byte_count"] {
        env.add_filter(form, move |v: Value| -> Result<Value, Error> {
            Ok(Value::from(Serde(as_form(&text(&v)?, form))))
        });
    }
    env.add_test("none", |v: Value| v.is_none());
}

fn not_there() -> Error {
    Stop::fault("is not in the input", "check the path; inside an empty message ask with {% if … %} first").into()
}

/// A value as text. Null, empty and composite values stop the message: no filter turns nothing into something.
fn text(v: &Value) -> Result<String, Error> {
    if v.is_undefined() {
        return Err(not_there());
    }
    match (v.as_str(), v.kind()) {
        (Some(""), _) | (None, ValueKind::None) => {
            Err(empty("ask with {% if … %} first, or give it a | default(…)").into())
        }
        (Some(text), _) => Ok(text.to_owned()),
        (None, ValueKind::Number) if v.is_integer() => Ok(v.to_string()),
        (None, ValueKind::Bool) => Ok(v.to_string()),
        _ => Err(Stop::fault("is not a text", "this filter takes one text; pick a member of it").into()),
    }
}

fn list(v: &Value) -> Result<Vec<String>, Error> {
    if v.is_undefined() {
        return Err(not_there());
    }
    if !matches!(v.kind(), ValueKind::Seq | ValueKind::Iterable) {
        return Err(Stop::fault("is not a list", "this filter takes a list").into());
    }
    v.try_iter()?.map(|item| text(&item)).collect()
}

pub fn empty(hint: &str) -> Stop {
    Stop::fault("is empty", hint)
}

fn instant(text: &str) -> Result<Timestamp, Stop> {
    text.parse().map_err(|_| Stop::fault("is not an instant", "give it a time such as message.time"))
}

/// Words of our own are safe to name; whatever else was in the field is not.
fn named(ours: &str) -> String {
    if super::input::is_enum_word(ours) { format!(" ({ours})") } else { String::new() }
}
