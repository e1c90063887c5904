//! What each site must fill in. The manifest declares it, config and examples give it, templates and maps read it.

use super::fault::{Fault, Faults, suggest};
use super::table::{Reader, TomlFile};
use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

/// Longest value of a text setting, in characters, unless the manifest says less.
const MAX_TEXT: usize = 500;

/// A setting the engine itself reads. A pack declares those its sites may choose; undeclared ones keep `fallback`.
pub struct EngineSetting {
    pub name: &'static str,
    pub fallback: &'static str,
    pub help: &'static str,
    /// What it may be; empty where it is free.
    pub choices: &'static [&'static str],
}

/// Documented in `adapters/README.md`.
pub const ENGINE_SETTINGS: &[EngineSetting] = &[
    EngineSetting {
        name: "charset",
        fallback: "UNICODE UTF-8",
        help: "character set of the bytes, as MSH-18 names it; what it cannot carry stops the message",
        choices: &["UNICODE UTF-8", "8859/1", "8859/15", "ASCII"],
    },
    EngineSetting {
        name: "text_type",
        fallback: "FT",
        help: "type of the OBX rows that carry text",
        choices: &["FT", "TX", "ST"],
    },
    EngineSetting {
        name: "text_newline",
        fallback: "br",
        help: "a line break in text: br = \\.br\\ inside the field (not with ST or TX), repeat = next repetition (~), obx = next OBX row",
        choices: &["br", "repeat", "obx"],
    },
    EngineSetting {
        name: "text_max_chars",
        fallback: "65536",
        help: "characters that fit into one OBX-5, escapes included: 16 to 65536",
        choices: &[],
    },
    EngineSetting {
        name: "text_join",
        fallback: "none",
        help: "end_to_end: the receiver puts the OBX rows of one text end to end, so that a long one may be cut anywhere (only with text_newline br)",
        choices: &["none", "end_to_end"],
    },
    EngineSetting {
        name: "time_offset",
        fallback: "with",
        help: "write times with or without their offset from UTC, e.g. +0100",
        choices: &["with", "without"],
    },
    EngineSetting {
        name: "time_zone",
        fallback: "",
        help: "IANA name of the zone the receiver's times are in; empty: the trust's",
        choices: &[],
    },
];

/// Longest OBX-5 of HL7 v2.4, in characters.
pub const TEXT_MAX_CHARS: usize = 65_536;

/// The value of a setting the engine reads: the site's, else its fallback.
pub fn engine(settings: &Map<String, Value>, name: &str) -> String {
    let fallback = ENGINE_SETTINGS.iter().find(|e| e.name == name).map_or("", |e| e.fallback);
    settings.get(name).map_or(fallback.to_owned(), |v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
}

/// What a setting may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Text { max_chars: usize },
    Choice(Vec<String>),
    Flag,
    Number { min: i64, max: i64 },
}

/// One `[settings]` entry.
#[derive(Debug, Clone)]
pub struct Setting {
    pub name: String,
    pub help: String,
    pub example: Value,
    /// Without one the site must give it.
    pub default: Option<Value>,
    pub kind: Kind,
    pub line: u32,
}

/// All `[settings]` of a manifest, in its order.
#[derive(Debug, Clone, Default)]
pub struct Settings(pub Vec<Setting>);

impl Settings {
    pub fn read(file: &TomlFile<'_>, table: &DeTable<'_>) -> Self {
        let mut list = Vec::new();
        for (key, item) in table {
            let (name, line) = (key.get_ref().to_string(), file.line(key.span()));
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
                file.fault_at(line, format!("setting \"{name}\" has an odd name"), "use a-z, 0-9 and _");
            }
            match item.get_ref().as_table() {
                Some(t) => list.extend(Setting::read(file, name, t, line)),
                None => file.fault_at(
                    line,
                    format!("setting \"{name}\" must be a table"),
                    "write name = { help = \"...\", example = \"...\" }",
                ),
            }
        }
        list.sort_by_key(|s| s.line);
        Self(list)
    }

    pub fn get(&self, name: &str) -> Option<&Setting> {
        self.0.iter().find(|s| s.name == name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|s| s.name.as_str())
    }

    /// Every setting with a value: what was given, else the default. `origin` names where they were given, for the faults.
    pub fn resolve(&self, given: &Map<String, Value>, origin: &str) -> Result<Map<String, Value>, Vec<Fault>> {
        let mut faults = Faults::default();
        for key in given.keys().filter(|k| self.get(k).is_none()) {
            faults.add(origin, 0, format!("the pack has no setting \"{key}\""), suggest(key, self.names()));
        }
        let mut resolved = Map::new();
        for setting in &self.0 {
            let value = match given.get(&setting.name) {
                // As good as left out: what uses it would find nothing.
                Some(Value::String(text)) if text.is_empty() && setting.default.is_none() => {
                    let hint = format!("{}, for example {} = {}", setting.help, setting.name, setting.example);
                    faults.add(origin, 0, format!("setting \"{}\" is empty", setting.name), hint);
                    continue;
                }
                Some(value) => setting.check(value).map_err(|rule| {
                    faults.add(
                        origin,
                        0,
                        format!("setting \"{}\" {rule}", setting.name),
                        format!("{}, for example {}", setting.help, setting.example),
                    );
                }),
                None => setting.default.clone().ok_or_else(|| {
                    let hint = format!("{}, for example {} = {}", setting.help, setting.name, setting.example);
                    faults.add(origin, 0, format!("setting \"{}\" is missing", setting.name), hint);
                }),
            };
            resolved.extend(value.ok().map(|v| (setting.name.clone(), v)));
        }
        if faults.0.is_empty() {
            check_engine(&resolved, origin, &mut faults);
        }
        faults.into_result(resolved)
    }

    /// Every setting with its default, else its example: what examples start from.
    pub fn examples(&self) -> Map<String, Value> {
        self.0.iter().map(|s| (s.name.clone(), s.default.clone().unwrap_or_else(|| s.example.clone()))).collect()
    }
}

impl Setting {
    fn read(file: &TomlFile<'_>, name: String, table: &DeTable<'_>, line: u32) -> Option<Self> {
        let r = Reader::new(file, table, line, format!("setting \"{name}\""));
        let help = r.required("help", "what it is and who gives it").map(|(t, _)| t);
        let choices = r.texts("choices").map(|(c, _)| c);
        let kind = match (choices, r.text("type").map(|(t, _)| t).as_deref()) {
            (Some(list), None | Some("text")) if !list.is_empty() => Kind::Choice(list),
            (Some(_), _) => {
                r.fault(
                    format!("setting \"{name}\" has choices and a type"),
                    "leave the type away, and name at least one choice",
                );
                Kind::Text { max_chars: MAX_TEXT }
            }
            (None, None | Some("text")) => {
                let max = r
                    .integer("max_chars")
                    .map_or(MAX_TEXT, |(n, _)| usize::try_from(n).unwrap_or(0).clamp(1, MAX_TEXT));
                Kind::Text { max_chars: max }
            }
            (None, Some("flag")) => Kind::Flag,
            (None, Some("number")) => Kind::Number {
                min: r.integer("min").map_or(0, |(n, _)| n),
                max: r.integer("max").map_or(i64::from(i32::MAX), |(n, _)| n),
            },
            (None, Some(other)) => {
                r.fault(
                    format!("setting \"{name}\" has the unknown type \"{other}\""),
                    "types are text, flag and number; a list goes into choices",
                );
                Kind::Text { max_chars: MAX_TEXT }
            }
        };
        let example = r.item("example").and_then(|(i, _)| plain(i.get_ref()));
        let default = r.item("default").map(|(i, _)| plain(i.get_ref()).unwrap_or(Value::Null));
        if example.is_none() {
            r.fault(
                format!("setting \"{name}\" has no example"),
                "add example = \"...\": a text, a number, true or false",
            );
        }
        r.finish();
        let setting = Self { name, help: help?, example: example?, default, kind, line };
        for (key, value) in [("example", Some(&setting.example)), ("default", setting.default.as_ref())] {
            if let Some(Err(rule)) = value.map(|v| setting.check(v)) {
                file.fault_at(
                    line,
                    format!("the {key} of setting \"{}\" {rule}", setting.name),
                    "make it a value that a site could use",
                );
            }
        }
        setting.check_engine_choices(file);
        Some(setting)
    }

    fn check_engine_choices(&self, file: &TomlFile<'_>) {
        let Some(engine) = ENGINE_SETTINGS.iter().find(|e| e.name == self.name) else { return };
        let offered: &[String] = match &self.kind {
            Kind::Choice(list) => list,
            _ => &[],
        };
        for choice in offered.iter().filter(|c| !engine.choices.is_empty() && !engine.choices.contains(&c.as_str())) {
            let hint = suggest(choice, engine.choices.iter().copied());
            file.fault_at(self.line, format!("the engine's setting \"{}\" cannot be \"{choice}\"", self.name), hint);
        }
    }

    pub fn accepts(&self, value: &Value) -> bool {
        self.check(value).is_ok()
    }

    /// The value in its proper form, or the rule it breaks. Numbers may come as floats (protobuf's Struct has no others).
    fn check(&self, value: &Value) -> Result<Value, String> {
        match (&self.kind, value) {
            (Kind::Text { max_chars }, Value::String(s)) => {
                if s.chars().any(char::is_control) {
                    Err("holds a control character".into())
                } else if s.chars().count() > *max_chars {
                    Err(format!("is longer than {max_chars} characters"))
                } else {
                    Ok(value.clone())
                }
            }
            (Kind::Choice(list), Value::String(s)) if list.contains(s) => Ok(value.clone()),
            (Kind::Choice(list), _) => Err(format!("must be one of {}", list.join(", "))),
            (Kind::Flag, Value::Bool(_)) => Ok(value.clone()),
            (Kind::Number { min, max }, Value::Number(n)) => match n.as_i64().or_else(|| whole(n.as_f64()?)) {
                Some(n) if (*min..=*max).contains(&n) => Ok(Value::from(n)),
                _ => Err(format!("must be a whole number from {min} to {max}")),
            },
            (Kind::Text { .. }, _) => Err("must be a text".into()),
            (Kind::Flag, _) => Err("must be true or false".into()),
            (Kind::Number { .. }, _) => Err("must be a whole number".into()),
        }
    }
}

fn whole(n: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
    (n.fract() == 0.0 && n.abs() < 1e15).then_some(n as i64)
}

fn plain(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(s) => Value::String(s.to_string()),
        DeValue::Boolean(b) => Value::Bool(*b),
        DeValue::Integer(n) => Value::from(i64::from_str_radix(n.as_str(), n.radix()).ok()?),
        _ => return None,
    })
}

/// Relations between settings the engine reads.
fn check_engine(settings: &Map<String, Value>, origin: &str, faults: &mut Faults) {
    let of = |name: &str| engine(settings, name);
    for rule in ENGINE_SETTINGS.iter().filter(|e| !e.choices.is_empty()) {
        if !rule.choices.contains(&of(rule.name).as_str()) {
            faults.add(
                origin,
                0,
                format!("setting \"{}\" must be one of {}", rule.name, rule.choices.join(", ")),
                rule.help,
            );
        }
    }
    // HL7 v2.4, 2.9 Use of escape sequences: formatting commands belong to FT.
    if matches!(&*of("text_type"), "ST" | "TX") && of("text_newline") == "br" {
        let hint = "set text_newline to \"obx\" or \"repeat\", or text_type to \"FT\"";
        let what = format!("text_type {} cannot hold \\.br\\: a receiver would show it to clinicians", of("text_type"));
        faults.add(origin, 0, what, hint);
    }
    if of("text_join") == "end_to_end" && of("text_newline") != "br" {
        faults.add(
            origin,
            0,
            "text_join end_to_end needs text_newline br",
            "rows of other kinds end at line breaks; leave text_join at \"none\"",
        );
    }
    if !of("text_max_chars").parse::<usize>().is_ok_and(|n| (16..=TEXT_MAX_CHARS).contains(&n)) {
        faults.add(
            origin,
            0,
            "text_max_chars must be 16 to 65536",
            "give the number of characters the receiver takes in one OBX-5",
        );
    }
    let zone = of("time_zone");
    if !zone.is_empty() && jiff::tz::TimeZone::get(&zone).is_err() {
        faults.add(origin, 0, "time_zone is not a known zone", "use an IANA name, for example Europe/London");
    }
}

#[cfg(test)]
mod tests {
    use crate::adapter::pack::Pack;
    use serde_json::json;

    #[test]
    fn a_line_break_as_an_escape_is_for_formatted_text_alone() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/hl7v2-uk");
        let settings = Pack::load(&folder).expect("loads").manifest.settings;
        for (kind, newline, fits) in [
            ("FT", "br", true),
            ("TX", "br", false),
            ("ST", "br", false),
            ("TX", "repeat", true),
            ("TX", "obx", true),
            ("ST", "obx", true),
        ] {
            let mut given = settings.examples();
            given.insert("text_type".into(), json!(kind));
            given.insert("text_newline".into(), json!(newline));
            let faults = settings.resolve(&given, "config").err().unwrap_or_default();
            let told = faults.iter().any(|f| f.what.contains("cannot hold"));
            assert_eq!(told, !fits, "{kind} {newline}: {faults:?}");
        }
    }
}
