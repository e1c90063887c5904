//! Reading `maps/*.toml` of a FHIR or XML pack.

use super::super::super::fault::{Faults, suggest};
use super::super::super::map::{Picks, Wanted, also_said, ambiguous, check_constants, constant, filter, find, makes};
use super::super::super::sources::Sources;
use super::super::super::table::{Reader, TomlFile};
use super::super::super::words::Words;
use super::super::super::xml::{self, Namespaces};
use super::super::json_path;
use super::{Each, FILTERS, Field, From, LeftOut, Made, Map, Path, Row, Way, XML_FILTERS, element_of};
use std::cell::RefCell;
use toml::de::{DeTable, DeValue};

/// References one path may follow.
const HOPS_MAX: usize = 4;
const XML_EXAMPLE: &str = "write \"ours.field\" = \"/Envelope/Body/Referral/Sent\" or = { from = \"/Envelope/Body/Referral/Born\", as = \"xml_date\" }";
const EXAMPLE: &str =
    "write \"ours.field\" = \"$.authoredOn\" or = { from = \"$.subject -> $.birthDate\", as = \"fhir_date\" }";

impl Map {
    /// Reads one map; every faulty row is a fault.
    /// `xml`: the prefixes of an XML pack, whose paths are not JSONPaths.
    pub fn read(sources: &Sources, path: &str, xml: Option<&Namespaces>, faults: &mut Faults) -> Option<Self> {
        let text = sources.text(path, faults)?;
        let cell = RefCell::new(std::mem::take(faults));
        let map = {
            let file = TomlFile::new(path, &text, &cell);
            file.root().map(|root| from_table(&file, xml, &root))
        };
        *faults = cell.into_inner();
        map
    }
}

/// The file a row stands in, and which kind of path it has.
struct Of<'f, 'i> {
    file: &'f TomlFile<'i>,
    xml: Option<&'f Namespaces>,
    picks: &'f Picks<Path>,
}

impl<'i> std::ops::Deref for Of<'_, 'i> {
    type Target = TomlFile<'i>;

    fn deref(&self) -> &TomlFile<'i> {
        self.file
    }
}

impl Of<'_, '_> {
    fn example(&self) -> &'static str {
        if self.xml.is_some() { XML_EXAMPLE } else { EXAMPLE }
    }

    fn element(&self) -> &'static str {
        if self.xml.is_some() {
            "/Referral/Id[@type], and in the rows ./Value"
        } else {
            "$.identifier[*], and in the rows @.value"
        }
    }
}

fn from_table(file: &TomlFile<'_>, xml: Option<&Namespaces>, root: &DeTable<'_>) -> Map {
    let head = Reader::new(file, root, 1, "the map");
    let makes = makes(file, &head);
    let example = if xml.is_some() { "/Patient/Name[@use='usual']" } else { "$.name[?@.use == 'official']" };
    let picks = Picks::read(file, &head, example, |text, line| path(file, xml, text, line, false));
    let file = &Of { file, xml, picks: &picks };
    let current_at = head.text("current_at").and_then(|(text, at)| {
        if file.xml.is_some() {
            file.fault_at(at, "`current_at` is for fhir packs", "remove it: XML has no use and no period of its own");
            return None;
        }
        path(file, file.xml, &text, at, false)
    });
    let mut map = Map {
        file: file.path.into(),
        makes: makes.clone(),
        accept: Vec::new(),
        current_at,
        fields: Vec::new(),
        each: Vec::new(),
    };
    for (key, item) in root {
        let line = file.line(key.span());
        match (key.get_ref().as_ref(), item.get_ref()) {
            ("makes" | "pick" | "current_at", _) => {}
            ("accept", DeValue::Table(rows)) => {
                for (key, values) in rows {
                    let line = file.line(key.span());
                    let wanted = Wanted::read(file, values.get_ref(), line, "\"$.status\" = [\"active\"]");
                    if wanted.unless().is_some() {
                        let hint = "ask for it in the path, by a condition in [ ]";
                        file.fault_at(line, "`unless` of [accept] is for hl7v2 packs", hint);
                    }
                    map.accept.extend(path(file, file.xml, key.get_ref(), line, false).map(|p| (p, wanted)));
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

fn each(file: &Of<'_, '_>, ours: &str, table: &DeTable<'_>, line: u32, makes: &str, in_each: bool) -> Option<Each> {
    let Some(element) = element_of(makes, ours) else {
        let (what, hint) = match find(makes, ours) {
            Err(e) => e,
            Ok(_) => (format!("\"{ours}\" is not a list of ours"), "[each] fills repeated fields".to_owned()),
        };
        file.fault_at(line, what, hint);
        return None;
    };
    let (mut over, mut only, mut passed, mut fields, mut within) = (Vec::new(), None, None, Vec::new(), Vec::new());
    let mut said = false;
    for (key, item) in table {
        let at = file.line(key.span());
        match (key.get_ref().as_ref(), item.get_ref()) {
            ("from", DeValue::String(text)) => {
                said = true;
                over.extend(path(file, file.xml, text, at, in_each));
            }
            ("from", DeValue::Array(texts)) => {
                said = !texts.is_empty();
                let texts = texts.iter().map(|t| t.get_ref().as_str().unwrap_or_default());
                over.extend(texts.filter_map(|text| path(file, file.xml, text, at, in_each)));
            }
            ("each", DeValue::Table(lists)) if !in_each => {
                for (name, list) in lists {
                    let at = file.line(name.span());
                    match list.get_ref().as_table() {
                        Some(t) => within.extend(each(file, name.get_ref(), t, at, &element, true)),
                        None => file.fault_at(
                            at,
                            "[each] needs tables",
                            "write [each.\"merges\".each.\"losing_identifiers\"]",
                        ),
                    }
                }
            }
            ("only", DeValue::Table(table)) => only = listed(file, table, at).map(|(path, table)| (path, table, at)),
            ("left_out", DeValue::Table(table)) => passed = left_out(file, table, at, makes),
            (name, value) => fields.extend(field(file, name, value, at, &element, true)),
        }
    }
    if only.is_none() && passed.is_some() {
        file.fault_at(line, "`left_out` without `only`", "add only: without it no element is left out");
    }
    if !said {
        let hint = format!("add from: for example {}", file.element());
        file.fault_at(line, format!("[each.\"{ours}\"] does not say what it repeats over"), hint);
    }
    (!over.is_empty()).then(|| Each { ours: ours.into(), over, only, left_out: passed, fields, each: within })
}

/// `{ "@.system" = "code:assigning_authority" }`
fn listed(file: &Of<'_, '_>, table: &DeTable<'_>, line: u32) -> Option<(Path, String)> {
    let mut rows = table.iter();
    let row = rows.next().filter(|_| table.len() == 1);
    let named = row.and_then(|(key, value)| Some((key, value.get_ref().as_str()?.strip_prefix("code:")?)));
    let Some((key, name)) = named else {
        let hint = "write only = { \"@.system\" = \"code:assigning_authority\" }";
        file.fault_at(line, "`only` needs one path and one code table", hint);
        return None;
    };
    path(file, file.xml, key.get_ref(), line, true).map(|path| (path, name.to_owned()))
}

/// `{ from = "@.value", as = "nhs_number", unless = "nhs_number", why = "…" }`; `makes`: what the list is put into.
fn left_out(file: &Of<'_, '_>, table: &DeTable<'_>, line: u32, makes: &str) -> Option<LeftOut> {
    let r = Reader::new(file, table, line, "left_out");
    let from = r.text("from").and_then(|(text, at)| path(file, file.xml, &text, at, true));
    let made = r.text("as").and_then(|(name, at)| made(file, &name, at));
    let unless = r.text("unless").filter(|(ours, at)| match find(makes, ours) {
        Ok(_) => true,
        Err((what, hint)) => {
            file.fault_at(*at, what, hint);
            false
        }
    });
    let why = r.text("why");
    r.finish();
    let (Some(from), Some(made), Some((unless, _)), Some((why, _))) = (from, made, unless, why) else {
        let hint = "write left_out = { from = \"@.value\", as = \"nhs_number\", unless = \"nhs_number\", why = \"…\" }";
        file.fault_at(line, "`left_out` needs from, as, unless and why", hint);
        return None;
    };
    Some(LeftOut { from, made, unless, why, line })
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

fn row(file: &Of<'_, '_>, value: &DeValue<'_>, line: u32, in_each: bool, optional: &mut bool) -> Option<Row> {
    let DeValue::Table(table) = value else {
        let Some(text) = value.as_str() else {
            file.fault_at(line, "is not a row", file.example());
            return None;
        };
        // `?` behind a path: it may be absent.
        let bare = text.strip_suffix('?').map_or(text, str::trim_end);
        *optional |= bare.len() < text.len();
        let from = From::First(vec![path(file, file.xml, bare, line, in_each)?]);
        let (pick, when) = (None, None);
        return Some(Row {
            from,
            made: Made::Shared(super::As::Text),
            pick,
            when,
            ambiguous_is_absent: false,
            also: Vec::new(),
            line,
        });
    };
    let r = Reader::new(file, table, line, "a row");
    let pick = match file.picks.of_row(&r) {
        Some(pick) => Some(pick?),
        None => None,
    };
    let in_each = in_each || pick.is_some();
    let mut froms = Vec::new();
    for (key, make) in [
        ("from", From::First as fn(Vec<Path>) -> From),
        ("agreed", From::Agreed),
        ("words", From::Words),
        ("lines", From::Lines),
        ("list", From::List),
    ] {
        if let Some((texts, at)) = r.texts(key) {
            let read =
                |t: &String| path(file, file.xml, t, at, in_each).filter(|p| pick.is_none() || of_picked(file, p, at));
            let paths: Option<Vec<Path>> = texts.iter().map(read).collect();
            froms.push(make(paths?));
        }
    }
    froms.extend(r.item("value").and_then(|(i, _)| constant(i.get_ref())).map(From::Value));
    froms.extend(r.text("setting").map(|(name, _)| From::Setting(name)));
    let made = r.text("as").map_or(Some(Made::Shared(super::As::Text)), |(name, at)| made(file, &name, at));
    let when = r.text("when").map(|(text, at)| {
        let (text, wanted) = text.strip_prefix('!').map_or((text.as_str(), true), |t| (t, false));
        path(file, file.xml, text.trim(), at, in_each).map(|p| (p, wanted))
    });
    let ambiguous_is_absent = ambiguous(&r);
    let also = also(file, &r, in_each);
    *optional |= r.flag("optional").unwrap_or(false);
    r.finish();
    if froms.len() != 1 {
        let hint = "give it one of from, agreed, words, lines, list, value, setting";
        file.fault_at(line, "a row takes its value from one place", hint);
        return None;
    }
    let when = match when {
        Some(None) => return None,
        Some(when) => when,
        None => None,
    };
    Some(Row { from: froms.remove(0), made: made?, pick, when, ambiguous_is_absent, also, line })
}

/// `{ "$.supportingInfo" = "It also carried …" }`
fn also(file: &Of<'_, '_>, r: &Reader<'_, '_>, in_each: bool) -> Vec<(Path, String)> {
    let said = also_said(file, r, "{ \"$.supportingInfo\" = \"[…]\" }");
    let said =
        said.into_iter().filter_map(|(key, line, words)| Some((path(file, file.xml, &key, line, in_each)?, words?)));
    said.collect()
}

/// Whether a path begins at what was picked, as in a row with `pick` it has to: what it takes from elsewhere was not chosen.
fn of_picked(file: &Of<'_, '_>, path: &Path, line: u32) -> bool {
    let begins = path.begins_at_element();
    if !begins {
        let how = if file.xml.is_some() { "./Family" } else { "@.family" };
        let what = format!("path \"{path}\" does not begin at what was picked");
        file.fault_at(
            line,
            what,
            format!("write for example \"{how}\"; what does not belong to it stands in a row without pick"),
        );
    }
    begins
}

fn made(file: &Of<'_, '_>, name: &str, line: u32) -> Option<Made> {
    let offered = if file.xml.is_some() { XML_FILTERS } else { FILTERS };
    match name {
        "fhir_date" if file.xml.is_none() => Some(Made::Date),
        "fhir_date_if_whole" if file.xml.is_none() => Some(Made::DateIfWhole),
        "fhir_time" if file.xml.is_none() => Some(Made::Time),
        "flag" if file.xml.is_none() => Some(Made::Flag),
        "in_words" if file.xml.is_none() => Some(Made::InWords),
        "xml_date" if file.xml.is_some() => Some(Made::XmlDate),
        "xml_time" if file.xml.is_some() => Some(Made::Time),
        "xml_flag" if file.xml.is_some() => Some(Made::XmlFlag),
        shared if shared.starts_with("code:") || offered.iter().any(|f| f.name == shared) => {
            filter(file, shared, line).map(Made::Shared)
        }
        other => {
            file.fault_at(
                line,
                format!("there is no filter \"{other}\""),
                suggest(other, offered.iter().map(|f| f.name)),
            );
            None
        }
    }
}

/// `$.subject -> $.name[0].family`; in an [each], `@.value` begins at the element.
fn path(file: &TomlFile<'_>, xml: Option<&Namespaces>, text: &str, line: u32, in_each: bool) -> Option<Path> {
    if let Some(namespaces) = xml {
        let path = xml::path_in(file, text, line, namespaces)?;
        if path.is_from_element() && !in_each {
            file.fault_at(line, format!("path \"{text}\" begins with . outside an [each]"), "begin it with /");
            return None;
        }
        return Some(Path { shown: text.to_owned(), way: Way::Xml(path) });
    }
    let from_element = text.trim_start().starts_with('@');
    if from_element && !in_each {
        file.fault_at(line, format!("path \"{text}\" begins with @ outside an [each]"), "begin it with $");
        return None;
    }
    let mut hops = Vec::new();
    for (i, part) in text.split(" -> ").map(str::trim).enumerate() {
        let whole = if i == 0 && from_element { part.replacen('@', "$", 1) } else { part.to_owned() };
        match json_path(&whole) {
            Ok(hop) => hops.push(hop),
            Err(why) => {
                file.fault_at(
                    line,
                    format!("path \"{text}\": {why}"),
                    "write it as in RFC 9535, e.g. $.name[?@.use=='official'].family; -> follows a reference",
                );
                return None;
            }
        }
    }
    if hops.len() > HOPS_MAX + 1 {
        file.fault_at(line, format!("path \"{text}\" follows more than {HOPS_MAX} references"), "shorten it");
        return None;
    }
    Some(Path { shown: text.to_owned(), way: Way::Json { from_element, hops } })
}
