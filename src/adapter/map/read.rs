//! Reading `maps/*.toml`.

use super::super::fault::{Faults, suggest};
use super::super::form::message::TAKEN_IN;
use super::super::hl7::Path;
use super::super::hl7::path::{Choice, Names, PathFault};
use super::super::input::{self, Shape, ShapeKind};
use super::super::sources::Sources;
use super::super::table::{Reader, TomlFile};
use super::super::words::Words;
use super::once::Once;
use super::row::{As, FILTERS, From, Row, Source};
use super::valid::Valid;
use super::whole::Whole;
use super::{Accepts, Each, Field, Map, Over, Part, Picks, Wanted};
use std::cell::RefCell;
use toml::de::{DeTable, DeValue};

/// In `lines`: every OBX, text as it is and answers beside their questions; and every NTE among them.
const OBSERVATIONS: [&str; 3] = ["OBX", "OBX NTE", "NTE OBX"];

const EXAMPLE: &str = "write \"ours.field\" = \"PID-5.1\" or = { from = \"PID-7\", as = \"hl7_date\" }";

impl Map {
    /// Reads one map; every faulty row is a fault. `names`: the manifest's `[repetitions]`.
    pub fn read(sources: &Sources, path: &str, names: &Names, faults: &mut Faults) -> Option<Self> {
        let text = sources.text(path, faults)?;
        let cell = RefCell::new(std::mem::take(faults));
        let map = {
            let file = TomlFile::new(path, &text, &cell);
            file.root().map(|root| from_table(&file, names, &root))
        };
        *faults = cell.into_inner();
        map
    }
}

/// The message of ours that a map fills: one that the bridge can take in.
pub(in crate::adapter) fn makes(file: &TomlFile<'_>, head: &Reader<'_, '_>) -> String {
    let Some((name, line)) = head.required("makes", "CreateReferralRequest") else { return String::new() };
    if !TAKEN_IN.contains(&name.as_str()) {
        let known = TAKEN_IN.iter().copied();
        file.fault_at(line, format!("\"{name}\" is nothing that the bridge takes in"), suggest(&name, known));
    }
    name
}

/// The file a row stands in, and what its rows may name.
struct Of<'f, 'i> {
    file: &'f TomlFile<'i>,
    names: &'f Names,
    picks: &'f Picks<Whole>,
}

impl<'i> std::ops::Deref for Of<'_, 'i> {
    type Target = TomlFile<'i>;

    fn deref(&self) -> &TomlFile<'i> {
        self.file
    }
}

pub fn from_table(file: &TomlFile<'_>, names: &Names, root: &DeTable<'_>) -> Map {
    let head = Reader::new(file, root, 1, "the map");
    let makes = makes(file, &head);
    let picks = Picks::read(file, &head, "PID-5[7=L]", |text, line| whole(file, names, text, line));
    let file = &Of { file, names, picks: &picks };
    let mut map = Map {
        file: file.path.into(),
        makes: makes.clone(),
        accept: Vec::new(),
        once: head.texts("once").map(|(names, at)| once(file, &names, at)).unwrap_or_default(),
        valid: valid(file, &head),
        fields: Vec::new(),
        each: Vec::new(),
    };
    for (key, item) in root {
        let line = file.line(key.span());
        match (key.get_ref().as_ref(), item.get_ref()) {
            ("makes" | "once" | "pick" | "valid", _) => {}
            ("accept", DeValue::Table(rows)) => {
                for (key, values) in rows {
                    let line = file.line(key.span());
                    let wanted = Wanted::read(file, values.get_ref(), line, "\"RF1-1.1\" = [\"P\", \"A\"]");
                    // `"RF1-1.1 else RF1-1.2"`: the first that says something.
                    let paths = key.get_ref().split(" else ").map(|p| path(file, names, p.trim(), line));
                    let paths = paths.collect::<Option<Vec<_>>>();
                    let unless = wanted.unless().map(|place| path(file, names, place, line));
                    let (Some(paths), false) = (paths, matches!(unless, Some(None))) else { continue };
                    map.accept.push(Accepts { paths, unless: unless.flatten(), wanted });
                }
            }
            ("each", DeValue::Table(lists)) => {
                for (name, list) in lists {
                    let line = file.line(name.span());
                    match list.get_ref().as_table() {
                        Some(t) => map.each.extend(each(file, name.get_ref(), t, line, &makes, false)),
                        None => file.fault_at(line, "[each] needs tables", "write [each.\"details.external_ids\"]"),
                    }
                }
            }
            (ours, value) => map.fields.extend(field(file, ours, value, line, &makes, false)),
        }
    }
    map.fields.sort_by_key(|f| f.line);
    picks.finish(file);
    map
}

/// `valid."PID-11" = { from = "12.1", until = ["12.2", "14"] }`
fn valid(file: &Of<'_, '_>, head: &Reader<'_, '_>) -> Vec<Valid> {
    const EXAMPLE: &str = "write valid.\"PID-11\" = { from = \"12.1\", until = [\"12.2\", \"14\"] }";
    let mut all = Vec::new();
    for (key, rule) in head.table("valid").map(|(table, _)| table).into_iter().flatten() {
        let line = file.line(key.span());
        let DeValue::Table(table) = rule.get_ref() else {
            file.fault_at(line, "`valid` needs tables", EXAMPLE);
            continue;
        };
        let r = Reader::new(file, table, line, "valid");
        let parts = |key: &'static str| -> Vec<Part> {
            let texts = r.texts(key).map(|(texts, _)| texts).unwrap_or_default();
            let read = |text: &String| {
                let part = Part::parse(text);
                if part.is_none() {
                    file.fault_at(line, format!("\"{text}\" is no component"), EXAMPLE);
                }
                part
            };
            texts.iter().filter_map(read).collect()
        };
        let (from, until) = (parts("from"), parts("until"));
        r.finish();
        let repetitions = path(file, file.names, key.get_ref(), line).filter(Path::is_of_repetitions);
        match repetitions {
            Some(repetitions) if !(from.is_empty() && until.is_empty()) => all.push(Valid { repetitions, from, until }),
            _ => file.fault_at(line, "`valid` needs repetitions, and where they say how long they hold", EXAMPLE),
        }
    }
    all
}

/// What a `[pick]` chooses of.
fn whole(file: &TomlFile<'_>, names: &Names, text: &str, line: u32) -> Option<Whole> {
    let whole = Whole::of(path(file, names, text, line)?);
    if whole.is_none() {
        let hint = "write PID-5[7=L]: what is taken of it stands in the rows";
        file.fault_at(line, format!("`pick` \"{text}\" is not a whole repetition"), hint);
    }
    whole
}

fn each(file: &Of<'_, '_>, ours: &str, table: &DeTable<'_>, line: u32, makes: &str, within: bool) -> Option<Each> {
    let element = match find(makes, ours) {
        Ok(Some(Shape { kind: ShapeKind::Message(name), repeated: true, .. })) => name.clone(),
        Ok(_) => {
            file.fault_at(line, format!("\"{ours}\" is not a list of ours"), "[each] fills repeated fields");
            return None;
        }
        Err(e) => {
            file.fault_at(line, e.0, e.1);
            return None;
        }
    };
    let mut over = None;
    let mut each = Each {
        ours: ours.into(),
        over: Over::Group(String::new()),
        unless: None,
        only: None,
        once: Vec::new(),
        fields: Vec::new(),
        each: Vec::new(),
    };
    // A group's rows are paths, a repetition's are components.
    let in_field = !table.contains_key("group");
    let rows = Reader::new(file, table, line, "an [each]");
    if let Some((names, at)) = rows.texts("once") {
        if in_field {
            file.fault_at(
                at,
                "`once` stands in an [each] without a group",
                "an [each] over a field looks at one segment: write it at the map's top",
            );
        }
        each.once = once(file, &names, at);
    }
    for (key, item) in table {
        let at = file.line(key.span());
        match (key.get_ref().as_ref(), item.get_ref()) {
            ("once", _) => {}
            ("field", DeValue::String(place)) => {
                match place.split_once('-').map(|(s, f)| (s.to_owned(), f.parse::<usize>())) {
                    Some((segment, Ok(number))) if Path::parse(place).is_ok() => {
                        over = Some(Over::Field { segment, field: number });
                    }
                    _ => file.fault_at(at, "`field` is not a segment and a field", "write field = \"PID-3\""),
                }
            }
            ("group", DeValue::String(id)) if !within && Path::parse(&format!("{id}-1")).is_ok() => {
                over = Some(Over::Group(id.to_string()));
            }
            ("group", _) => {
                file.fault_at(at, "`group` is not a segment, or stands inside another [each]", "write group = \"PID\"");
            }
            ("each", DeValue::Table(lists)) if !within => {
                for (name, list) in lists {
                    let line = file.line(name.span());
                    match list.get_ref().as_table() {
                        Some(t) => each.each.extend(self::each(file, name.get_ref(), t, line, &element, true)),
                        None => file.fault_at(
                            line,
                            "[each] needs tables",
                            "write [each.\"merges\".each.\"losing_identifiers\"]",
                        ),
                    }
                }
            }
            (word @ ("unless" | "only"), DeValue::Table(_) | DeValue::String(_)) => {
                let choice = choice(file, word, item.get_ref(), at);
                if word == "only" { each.only = choice } else { each.unless = choice }
            }
            (name, value) => each.fields.extend(field(file, name, value, at, &element, in_field)),
        }
    }
    let Some(over) = over else {
        file.fault_at(
            line,
            format!("[each.\"{ours}\"] does not say which field it repeats over"),
            "add field = \"PID-3\", or group = \"PID\" for an element of each PID and what follows it",
        );
        return None;
    };
    Some(Each { over, ..each })
}

/// `unless = "nhs_number"`, `"4=NHS or 5=NH"` or `{ "4" = ["NHS"], "5" = ["NH"] }`
fn choice(file: &Of<'_, '_>, word: &str, value: &DeValue<'_>, line: u32) -> Option<Choice> {
    let hint = format!("write {word} = {{ \"5\" = [\"NH\"] }}, or {word} = \"5=NH\"");
    let DeValue::Table(rules) = value else {
        return Choice::parse(value.as_str()?, file.names)
            .map_err(|e| file.fault_at(line, format!("`{word}`: {} at character {}", e.what, e.column), e.hint))
            .ok();
    };
    let mut all = Vec::new();
    for (part, values) in rules {
        let list: Vec<String> = match values.get_ref() {
            DeValue::String(one) => vec![one.to_string()],
            DeValue::Array(many) => many.iter().filter_map(|v| v.get_ref().as_str().map(str::to_owned)).collect(),
            _ => Vec::new(),
        };
        match Part::parse(part.get_ref()) {
            Some(Part(component, sub)) if !list.is_empty() => {
                all.push((std::iter::once(component).chain(sub).collect(), list))
            }
            _ => file.fault_at(line, format!("`{word}` needs components and values"), hint.clone()),
        }
    }
    Some(Choice::of(all, word == "only"))
}

/// `once = ["PID", "RF1?"]`
fn once(file: &TomlFile<'_>, names: &[String], line: u32) -> Vec<Once> {
    let read = |name: &String| {
        let once = Once::parse(name);
        if once.is_none() {
            // What is meant, where that can be told: pid, PID-3, PID.3, PID*.
            let id: String = name.chars().take(3).collect::<String>().to_uppercase();
            let mark = if name.ends_with('?') { "?" } else { "" };
            let hint = match Once::parse(&id) {
                Some(_) if !name.chars().nth(3).is_some_and(char::is_alphanumeric) => {
                    format!("write the segment alone, in capitals: once = [\"{id}{mark}\"]")
                }
                _ => "write segments, such as once = [\"PID\"]; with ? behind it one may be absent".into(),
            };
            file.fault_at(line, format!("`once` names \"{name}\", which is no segment"), hint);
        }
        once
    };
    names.iter().filter_map(read).collect()
}

/// `ours` within a message of ours, or what is wrong with it.
pub(in crate::adapter) fn find(makes: &str, ours: &str) -> Result<Option<&'static Shape>, (String, String)> {
    if input::fields(makes).is_none() {
        return Ok(None);
    }
    let not = |part: &str, near: Vec<&'static str>| {
        (format!("\"{part}\" in {ours} is not a field of {makes}"), suggest(part, near))
    };
    match input::find(makes, ours.split('.')) {
        Ok(Some(Shape { kind: ShapeKind::Which(members), name, .. })) => {
            Err(not(name, members.iter().map(String::as_str).collect()))
        }
        found => found.map_err(|(part, near)| not(&part, near)),
    }
}

fn field(file: &Of<'_, '_>, ours: &str, value: &DeValue<'_>, line: u32, makes: &str, in_each: bool) -> Option<Field> {
    let words = match find(makes, ours) {
        Ok(shape) => shape.and_then(Words::of),
        Err((what, hint)) => {
            file.fault_at(line, what, hint);
            None
        }
    };
    let mut optional = false;
    let rows: Vec<Row> = match value {
        DeValue::Array(list) => {
            list.iter().filter_map(|i| row(file, i.get_ref(), file.line(i.span()), in_each, &mut optional)).collect()
        }
        one => row(file, one, line, in_each, &mut optional).into_iter().collect(),
    };
    if rows.is_empty() {
        return None;
    }
    let constants = rows.iter().filter_map(|r| match &r.from {
        From::Value(value) => Some((value, r.line)),
        _ => None,
    });
    check_constants(file, words, constants);
    Some(Field { ours: ours.into(), rows, words, optional, line })
}

/// A constant for a field of words is one of them.
pub(in crate::adapter) fn check_constants<'v>(
    file: &TomlFile<'_>,
    words: Option<Words>,
    constants: impl Iterator<Item = (&'v serde_json::Value, u32)>,
) {
    let Some(words) = words else { return };
    for (value, line) in constants {
        let word = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if let Some((what, hint)) = words.misspelt(&word) {
            file.fault_at(line, what, hint);
        }
    }
}

fn row(file: &Of<'_, '_>, value: &DeValue<'_>, line: u32, in_each: bool, optional: &mut bool) -> Option<Row> {
    let DeValue::Table(table) = value else {
        let Some(text) = value.as_str() else {
            file.fault_at(line, "is not a row", EXAMPLE);
            return None;
        };
        let from = From::First(vec![source(file, text, line, in_each, optional)?]);
        let (pick, when) = (None, Vec::new());
        return Some(Row {
            from,
            made: As::Text,
            pick,
            when,
            ambiguous_is_absent: false,
            unknown_is_absent: false,
            also: Vec::new(),
            line,
        });
    };
    let r = Reader::new(file, table, line, "a row");
    let pick = file.picks.of_row(&r);
    // Of a repetition that was picked, as of one that an [each] stands on, rows take components.
    let of_repetition = in_each || pick.is_some();
    let mut froms = Vec::new();
    for (key, make) in [
        ("from", From::First as fn(Vec<Source>) -> From),
        ("words", From::Words),
        ("lines", From::Lines),
        ("list", From::List),
    ] {
        if let Some((texts, _)) = r.texts(key) {
            let read = |t: &String| match pick {
                None if key == "lines" && OBSERVATIONS.contains(&t.trim()) => {
                    Some(Source::Observations { comments: t.contains("NTE") })
                }
                Some(_) => component(file, t, line, optional),
                None => source(file, t, line, of_repetition, optional),
            };
            let sources: Option<Vec<Source>> = texts.iter().map(read).collect();
            froms.push(make(sources?));
        }
    }
    froms.extend(r.item("value").and_then(|(i, _)| constant(i.get_ref())).map(From::Value));
    froms.extend(r.text("setting").map(|(name, _)| From::Setting(name)));
    let made = r.text("as").map_or(Some(As::Text), |(name, at)| filter(file, &name, at));
    let (when, at) = r.texts("when").unwrap_or_default();
    let when: Option<Vec<_>> = when.iter().map(|text| condition(file, text, at, of_repetition)).collect();
    let ambiguous_is_absent = ambiguous(&r);
    let unknown = r.text("unknown");
    if let Some((_, at)) = unknown.as_ref().filter(|(word, _)| word != "absent") {
        let hint = "leave it away, and a code that the table lacks is a fault";
        file.fault_at(*at, "`unknown` can only be \"absent\"", hint);
    }
    *optional |= r.flag("optional").unwrap_or(false);
    let also = also(file, &r);
    r.finish();
    if froms.len() != 1 {
        let hint = "give it one of from, words, lines, list, value, setting";
        file.fault_at(line, "a row takes its value from one place", hint);
        return None;
    }
    Some(Row {
        from: froms.remove(0),
        made: made?,
        pick: pick.map_or(Some(None), |found| found.map(Some))?,
        when: when?,
        ambiguous_is_absent,
        unknown_is_absent: unknown.is_some(),
        also,
        line,
    })
}

/// `{ "DG1-3 else DG1-4" = "It also carried …" }`
fn also(file: &Of<'_, '_>, r: &Reader<'_, '_>) -> Vec<(Vec<Path>, String)> {
    let said = also_said(file, r, "{ \"DG1-3\" = \"[…]\" }");
    let each = said.into_iter().filter_map(|(key, line, words)| {
        let paths: Option<Vec<_>> = key.split(" else ").map(|p| path(file, file.names, p.trim(), line)).collect();
        Some((paths?, words?))
    });
    each.collect()
}

/// `also` of a row, of whatever format: the paths as they are written, their line and the words.
pub(in crate::adapter) fn also_said(
    file: &TomlFile<'_>,
    r: &Reader<'_, '_>,
    example: &str,
) -> Vec<(String, u32, Option<String>)> {
    let Some((table, at)) = r.table("also") else { return Vec::new() };
    if r.item("lines").is_none() {
        file.fault_at(at, "`also` stands without `lines`", "it adds lines of our own words to those of lines = [ … ]");
    }
    let said = table.iter().map(|(key, words)| {
        let line = file.line(key.span());
        let words = words.get_ref().as_str().filter(|words| !words.trim().is_empty());
        if words.is_none() {
            file.fault_at(line, "`also` needs words", format!("write also = {example}"));
        }
        (key.get_ref().to_string(), line, words.map(str::to_owned))
    });
    said.collect()
}

/// `ambiguous = "absent"`
pub(in crate::adapter) fn ambiguous(r: &Reader<'_, '_>) -> bool {
    let said = r.text("ambiguous");
    if let Some((_, at)) = said.as_ref().filter(|(word, _)| word != "absent") {
        let hint = "leave it away, and several different values are a fault";
        r.file.fault_at(*at, "`ambiguous` can only be \"absent\"", hint);
    }
    said.is_some_and(|(word, _)| word == "absent")
}

/// What a row takes of what was picked.
fn component(file: &Of<'_, '_>, text: &str, line: u32, optional: &mut bool) -> Option<Source> {
    let (bare, marked) = text.strip_suffix('?').map_or((text, false), |t| (t, true));
    *optional |= marked;
    let part = Part::parse(bare).map(Source::Part);
    if part.is_none() {
        let what = format!("\"{text}\" is no component, and a row with `pick` takes components of what was picked");
        file.fault_at(line, what, "write from = \"1.1\" for component 1, subcomponent 1; what does not belong to it stands in a row without pick");
    }
    part
}

fn source(file: &Of<'_, '_>, text: &str, line: u32, of_repetition: bool, optional: &mut bool) -> Option<Source> {
    let (bare, marked) = text.strip_suffix('?').map_or((text, false), |t| (t, true));
    if let Some(part) = Part::parse(bare) {
        if of_repetition {
            *optional |= marked;
            return Some(Source::Part(part));
        }
        file.fault_at(line, format!("\"{text}\" is a component without a field"), "write for example PID-5.1");
        return None;
    }
    if OBSERVATIONS.contains(&text.trim()) {
        let hint = "write it into lines = [\"RF1-10.2*\", \"OBX NTE\"]: it gives every OBX and NTE in the order sent";
        file.fault_at(line, format!("\"{}\" alone is several lines", text.trim()), hint);
        return None;
    }
    let path = path(file, file.names, text, line)?;
    *optional |= path.is_optional();
    Some(Source::Path(path))
}

fn path(file: &TomlFile<'_>, names: &Names, text: &str, line: u32) -> Option<Path> {
    let wrong = |e: PathFault| {
        file.fault_at(line, format!("path \"{text}\": {} at character {}", e.what, e.column), e.hint);
    };
    Path::parse_with(text, names).map_err(wrong).ok()
}

/// `PID-8`, `!PID-8`, `RF1-10 else NTE-3`: where something stands in one of them; with a `!`, in none.
fn condition(file: &Of<'_, '_>, text: &str, line: u32, of_repetition: bool) -> Option<(Vec<Source>, bool)> {
    let (places, wanted) = text.strip_prefix('!').map_or((text, true), |t| (t, false));
    let sources: Option<Vec<_>> =
        places.split(" else ").map(|p| place(file, text, p.trim(), line, of_repetition)).collect();
    Some((sources?, wanted))
}

fn place(file: &Of<'_, '_>, text: &str, place: &str, line: u32, of_repetition: bool) -> Option<Source> {
    if let Some(part) = Part::parse(place).filter(|_| of_repetition) {
        return Some(Source::Part(part));
    }
    match Path::parse_with(place, file.names) {
        Ok(path) => Some(Source::Path(path)),
        Err(e) => {
            file.fault_at(
                line,
                format!("`when` \"{text}\": {} at character {}", e.what, e.column),
                "write when = \"PID-8\" for a value that is there, when = \"!PID-8\" for one that is not",
            );
            None
        }
    }
}

pub(in crate::adapter) fn filter(file: &TomlFile<'_>, name: &str, line: u32) -> Option<As> {
    Some(match name.split_once(':') {
        Some(("code", table)) if !table.is_empty() => As::Code(table.to_owned()),
        Some(("flag", table)) if !table.is_empty() => As::Flag(table.to_owned()),
        None => match name {
            "hl7_date" => As::Date,
            "hl7_date_if_whole" => As::DateIfWhole,
            "ods_code" => As::OdsCode,
            "told" => As::Told,
            "year" => As::Year,
            "country_first" => As::CountryFirst,
            "hl7_time" => As::Time,
            "hl7_time_latest" => As::TimeLatest,
            "nhs_number" => As::NhsNumber,
            "upper" => As::Upper,
            "whole" => As::Whole,
            _ => {
                file.fault_at(
                    line,
                    format!("there is no filter \"{name}\""),
                    suggest(name, FILTERS.iter().map(|f| f.name)),
                );
                return None;
            }
        },
        Some(_) => {
            file.fault_at(
                line,
                format!("there is no filter \"{name}\""),
                suggest(name, FILTERS.iter().map(|f| f.name)),
            );
            return None;
        }
    })
}

pub(in crate::adapter) fn constant(value: &DeValue<'_>) -> Option<serde_json::Value> {
    Some(match value {
        DeValue::String(s) => serde_json::Value::String(s.to_string()),
        DeValue::Boolean(b) => serde_json::Value::Bool(*b),
        DeValue::Integer(n) => serde_json::Value::from(i64::from_str_radix(n.as_str(), n.radix()).ok()?),
        _ => return None,
    })
}
