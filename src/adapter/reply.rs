//! `[reply]`: which replies mean what. A pack states it, an endpoint may change single rows.

use super::fault::{Faults, suggest};
use super::fhir::HttpRules;
use super::hl7::Path;
use super::manifest::Format;
use super::table::TomlFile;
use super::xml::XmlRules;
use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};

/// What a listed code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    Positive,
    Refused,
    Retry,
    /// Refused because the receiver has it already.
    Duplicate,
    /// Says nothing we can rely on.
    Unknown,
}

const ROWS: &[(&str, Row)] = &[
    ("positive", Row::Positive),
    ("refused", Row::Refused),
    ("retry", Row::Retry),
    ("duplicate", Row::Duplicate),
    ("unknown", Row::Unknown),
];

/// Longest word that a reply is read to give as a code.
const WORD_CHARS_MAX: usize = 20;

/// MSA-1 codes (HL7 table 0008). Each has a row always.
pub const ACK_CODES: &[&str] = &["AA", "AE", "AR", "CA", "CE", "CR"];

/// The rules for one endpoint, in its format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyRules {
    Hl7(Hl7Rules),
    Http(HttpRules),
    Xml(Box<XmlRules>),
}

impl Default for ReplyRules {
    fn default() -> Self {
        Self::of(Format::Hl7v2)
    }
}

impl ReplyRules {
    /// The usual rules of a format.
    pub fn of(format: Format) -> Self {
        match format {
            Format::Hl7v2 | Format::Document => Self::Hl7(Hl7Rules::default()),
            Format::Fhir => Self::Http(HttpRules::default()),
            Format::Xml => Self::Xml(Box::default()),
        }
    }

    /// `[reply]` of a manifest, over the usual rows.
    pub fn read(mut self, file: &TomlFile<'_>, table: &DeTable<'_>) -> Self {
        let rules = &mut self;
        for (key, item) in table {
            let line = file.line(key.span());
            let rows = match item.get_ref() {
                // issue.duplicate = "query", without quotes around the key
                DeValue::Table(inner) => {
                    let name = |k: &str| format!("{}.{k}", key.get_ref());
                    inner.iter().map(|(k, v)| (name(k.get_ref()), v.get_ref().as_str())).collect()
                }
                one => vec![(key.get_ref().to_string(), one.as_str())],
            };
            for (key, value) in rows {
                if let Err((what, hint)) = rules.set(&key, value) {
                    file.fault_at(line, what, hint);
                }
            }
        }
        self
    }

    fn set(&mut self, key: &str, value: Option<&str>) -> Result<(), (String, String)> {
        let value = value.ok_or_else(|| {
            (format!("reply row \"{key}\" must be a text"), "write for example \"204\" = \"refused\"".to_owned())
        })?;
        match self {
            Self::Hl7(rules) => rules.set(key, value),
            Self::Http(rules) => rules.set(key, value),
            Self::Xml(rules) => rules.set(key, value),
        }
    }

    /// These rules with an endpoint's own rows.
    pub fn with(&self, overrides: &toml::Table) -> Result<Self, Vec<super::fault::Fault>> {
        let mut faults = Faults::default();
        let mut rules = self.clone();
        let mut put = |key: &str, value: Option<&str>| {
            if let Err((what, hint)) = rules.set(key, value) {
                faults.add("reply", 0, what, hint);
            }
        };
        for (key, value) in overrides {
            match value {
                toml::Value::Table(inner) => {
                    inner.iter().for_each(|(k, v)| put(&format!("{key}.{k}"), v.as_str()));
                }
                one => put(key, one.as_str()),
            }
        }
        faults.into_result(rules)
    }
}

/// What HL7 v2 acknowledgements mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hl7Rules {
    /// By MSA-1.
    pub acks: BTreeMap<String, Row>,
    /// By error code (ERR or MSA-6).
    pub errors: BTreeMap<String, Row>,
    /// AE without any error code.
    pub ae_without_code: Row,
    /// Where a positive reply gives the EPR's own id of the document, if it does.
    pub record_id: Option<Path>,
    /// Where the receiver says what went wrong, beside MSA and ERR: a segment of its own.
    pub error_at: Option<Box<Path>>,
}

impl Default for Hl7Rules {
    /// HL7 tables 0008 and 0357; AR and 200-204 never get better by sending again, 206 and 207 may.
    fn default() -> Self {
        let acks =
            ACK_CODES.iter().map(|c| ((*c).to_owned(), if c.ends_with('A') { Row::Positive } else { Row::Refused }));
        let errors = [100, 101, 102, 103, 200, 201, 202, 203, 204].map(|n| (n.to_string(), Row::Refused));
        let others =
            [("205", Row::Duplicate), ("206", Row::Retry), ("207", Row::Retry)].map(|(c, r)| (c.to_owned(), r));
        Self {
            acks: acks.collect(),
            errors: errors.into_iter().chain(others).collect(),
            ae_without_code: Row::Retry,
            record_id: None,
            error_at: None,
        }
    }
}

/// The meanings a row may have.
pub fn meanings() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|(name, _)| *name)
}

impl Hl7Rules {
    /// Changes one row, or says what is wrong with it.
    fn set(&mut self, key: &str, value: &str) -> Result<(), (String, String)> {
        if key == "record_id" {
            // What names the reply, or the message it answers, is no document: a later version would be filed over nothing.
            let hint = "name the field in which the EPR gives its own id of the document, or leave record_id away";
            self.record_id = Some(place(key, value, "names a message and no document of the record", hint)?);
            return Ok(());
        }
        if key == "error_at" {
            let hint = "name the field of its own in which the receiver says what went wrong";
            self.error_at = Some(Box::new(place(key, value, "is read in any case", hint)?));
            return Ok(());
        }
        let row = ROWS.iter().find(|(name, _)| *name == value).map(|(_, row)| *row).ok_or_else(|| {
            (
                format!("reply row \"{key}\" has the unknown meaning \"{value}\""),
                suggest(value, ROWS.iter().map(|(name, _)| *name)),
            )
        })?;
        let negative = key == "ae_without_code" || !key.ends_with('A');
        if ACK_CODES.contains(&key) {
            if negative && row == Row::Positive {
                return Err((
                    format!("\"{key}\" can never be positive"),
                    "a negative acknowledgement is refused, retry or unknown".into(),
                ));
            }
            self.acks.insert(key.to_owned(), row);
        } else if key == "ae_without_code" {
            if !matches!(row, Row::Retry | Row::Refused | Row::Unknown) {
                return Err((
                    "ae_without_code must be retry, refused or unknown".into(),
                    "retries are bounded by the endpoint".into(),
                ));
            }
            self.ae_without_code = row;
        } else {
            let known = ACK_CODES.iter().copied().chain(["ae_without_code", "record_id", "error_at"]);
            let hint = suggest(key, known);
            // A word that nearly is one of ours is a typo, no code of theirs.
            if !is_error_code(key) && (!is_word_code(key) || hint.starts_with("did you mean")) {
                let codes = "error codes hold a digit (204) or are a word of 3 to 20 characters that begins with a capital (LOCKED)";
                return Err((format!("unknown key \"{key}\" in [reply]"), format!("{hint}; {codes}")));
            }
            // A code of letters alone says in a word what went wrong (NOPAT); HL7's own codes of table 0357 are figures.
            let digits = key.bytes().filter(u8::is_ascii_digit).count();
            if row == Row::Positive && (digits == key.len() || digits == 0) {
                return Err((
                    format!("\"{key}\" can never be positive"),
                    "an error code is refused, retry, duplicate or unknown".into(),
                ));
            }
            self.errors.insert(key.to_owned(), row);
        }
        Ok(())
    }
}

/// A path that may lead anywhere but to what every reply says of messages.
fn place(key: &str, value: &str, why_not: &str, hint: &str) -> Result<Path, (String, String)> {
    let path = Path::parse(value).map_err(|e| (format!("{key} is not a path: {}", e.what), e.hint.to_owned()))?;
    match (path.segment_id(), path.field()) {
        ("MSH", _) | ("MSA", 2) => Err((format!("{key} is {path}, which {why_not}"), hint.to_owned())),
        ("MSA" | "ERR", _) if key == "error_at" => Err((format!("{key} is {path}, which {why_not}"), hint.to_owned())),
        _ => Ok(path),
    }
}

/// A word that an engine uses for a code. A pack that lists it says that it is one; nobody else can tell it from a name.
fn is_word_code(code: &str) -> bool {
    (3..=WORD_CHARS_MAX).contains(&code.len())
        && code.starts_with(|c: char| c.is_ascii_uppercase())
        && code.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

/// Short, and with a digit: names of people have none, so such a code may be shown. Long digit runs could be a number of a person.
pub fn is_error_code(code: &str) -> bool {
    let digits = code.bytes().filter(u8::is_ascii_digit).count();
    (1..=10).contains(&code.len())
        && (1..=6).contains(&digits)
        && code.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}
