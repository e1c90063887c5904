//! Maps of messages that are trees: which place of theirs becomes which field of ours. In FHIR a place is a JSONPath (RFC 9535), and ` -> ` follows
//! a reference to a resource that is contained, or in the same Bundle; in XML it is a path (`adapter/xml/path.rs`). Rows only, no other logic.

mod asked;
mod ended;
mod left_out;
mod made;
mod place;
mod read;

use super::super::input::{self, Shape, ShapeKind};
use super::super::map::{Around, As, FieldFault, Mapped, Pick, RowNamed, Wanted, put};
use super::super::pack::{Pack, ParseError, Parsed};
use super::super::words::{TableUse, Words};
use super::{json, resource};
use jiff::Timestamp;
use left_out::LeftOut;
pub use made::{FILTERS, XML_FILTERS};
use made::{Made, time};
pub use place::Scope;
use place::{Path, Way};
use serde_json::{Map as JsonMap, Value};
use serde_json_path::JsonPath;
use std::sync::Arc;

/// Largest message, in bytes.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest control id kept as such, in characters.
const CONTROL_ID_CHARS_MAX: usize = 200;
/// Objects, lists and values of a message. Each path looks at many of them: what a message may cost is bounded here.
const MESSAGE_VALUES_MAX: usize = 20_000;

/// One `maps/*.toml`.
#[derive(Debug, Clone)]
pub struct Map {
    pub file: String,
    pub makes: String,
    /// What these places must say for the message to be one that this map is for.
    accept: Vec<(Path, Wanted)>,
    /// For FHIR: when the message was made. Elements that are old, or ended before it, are not looked at.
    current_at: Option<Path>,
    fields: Vec<Field>,
    each: Vec<Each>,
}

#[derive(Debug, Clone)]
struct Field {
    ours: String,
    rows: Vec<Row>,
    /// What it may hold, where that is words of ours.
    words: Option<Words>,
    optional: bool,
    line: u32,
}

/// A list of ours, an element for each node of its paths.
#[derive(Debug, Clone)]
struct Each {
    ours: String,
    over: Vec<Path>,
    /// Elements whose value here the code table does not list are left out.
    only: Option<(Path, String, u32)>,
    left_out: Option<LeftOut>,
    fields: Vec<Field>,
    /// Lists within an element.
    each: Vec<Each>,
}

#[derive(Debug, Clone)]
struct Row {
    from: From,
    made: Made,
    /// The element that its paths begin at.
    pick: Option<Arc<Pick<Path>>>,
    when: Option<(Path, bool)>,
    ambiguous_is_absent: bool,
    /// With `lines`: words of ours, where something stands there.
    also: Vec<(Path, String)>,
    line: u32,
}

#[derive(Debug, Clone)]
enum From {
    First(Vec<Path>),
    /// What all of these say together, which is one value.
    Agreed(Vec<Path>),
    Words(Vec<Path>),
    Lines(Vec<Path>),
    List(Vec<Path>),
    Value(Value),
    Setting(String),
}

impl Row {
    fn paths(&self) -> &[Path] {
        match &self.from {
            From::First(p) | From::Agreed(p) | From::Words(p) | From::Lines(p) | From::List(p) => p,
            From::Value(_) | From::Setting(_) => &[],
        }
    }

    fn named(&self) -> String {
        match &self.from {
            From::Value(_) => "a fixed value".into(),
            From::Setting(name) => format!("setting {name}"),
            _ => {
                let paths = self.paths().iter().map(|p| p.shown.as_str()).collect::<Vec<_>>().join(", ");
                match &self.pick {
                    Some(pick) => format!("{}, {paths}", pick.named()),
                    None => paths,
                }
            }
        }
    }

    /// Whether one of its places stands behind a reference to something that is not there.
    fn leads_nowhere(&self, scope: Scope<'_>) -> bool {
        let picked = self.pick.iter().flat_map(|pick| pick.paths());
        self.paths().iter().chain(picked).any(|path| path.leads_nowhere(scope))
    }

    fn take(&self, scope: Scope<'_>, around: &Around<'_>) -> Result<Option<Value>, String> {
        let taken = self.taken(scope, around)?;
        if let Some(reached) = around.reached
            && taken.is_some()
        {
            reached.note(self.line, self.named());
        }
        Ok(taken)
    }

    fn taken(&self, scope: Scope<'_>, around: &Around<'_>) -> Result<Option<Value>, String> {
        let scope = match &self.pick {
            Some(pick) => match pick.take(scope)? {
                Some(picked) => picked,
                None => return Ok(None),
            },
            None => scope,
        };
        if let Some((path, wanted)) = &self.when
            && path.is_there(scope)? != *wanted
        {
            return Ok(None);
        }
        let made = |text: &str| self.made.make(text, around);
        match &self.from {
            From::Value(value) => Ok(Some(value.clone())),
            From::Setting(name) => {
                let value = around.settings.get(name);
                Ok(value.filter(|v| v.as_str() != Some("")).cloned())
            }
            From::First(paths) => {
                for path in paths {
                    let texts = path.texts(scope)?;
                    match texts.as_slice() {
                        [] => {}
                        [one] => return made(one).map(|value| Some(value).filter(|v| !v.is_null())),
                        // What is the same once the filter has made something of it is one value.
                        [one, others @ ..]
                            if others.iter().all(|o| o == one || made(o).is_ok_and(|o| made(one) == Ok(o))) =>
                        {
                            return made(one).map(|value| Some(value).filter(|v| !v.is_null()));
                        }
                        _ if self.ambiguous_is_absent => {}
                        _ => {
                            let how =
                                if matches!(path.way, Way::Xml(_)) { "[@use='usual']" } else { "[?@.use=='official']" };
                            return Err(format!(
                                "has several different values; choose one by what it says, e.g. {how}"
                            ));
                        }
                    }
                }
                Ok(None)
            }
            From::Agreed(paths) => {
                let mut all = Vec::new();
                for path in paths {
                    all.extend(path.texts(scope)?.iter().map(|text| made(text)).collect::<Result<Vec<_>, _>>()?);
                }
                match all.as_slice() {
                    [] => Ok(None),
                    [one, others @ ..] if others.iter().all(|other| other == one) => Ok(Some(one.clone())),
                    _ => Err("do not say the same: nobody can tell which of them is meant".into()),
                }
            }
            From::Words(paths) | From::Lines(paths) | From::List(paths) => {
                let mut texts = Vec::new();
                for path in paths {
                    texts.extend(path.texts(scope)?);
                }
                for (path, said) in &self.also {
                    if path.is_there(scope)? {
                        texts.push(said.clone());
                    }
                }
                match &self.from {
                    _ if texts.is_empty() => Ok(None),
                    From::List(_) => {
                        texts.iter().map(|t| made(t)).collect::<Result<_, _>>().map(|l| Some(Value::Array(l)))
                    }
                    From::Words(_) => made(&texts.iter().map(|t| t.trim()).collect::<Vec<_>>().join(" ")).map(Some),
                    _ => made(&texts.join("\n")).map(Some),
                }
            }
        }
    }
}

impl Map {
    /// When the message was made, where that decides what still holds: `Some(None)`, where it does not say.
    fn made_at(&self, scope: Scope<'_>, around: &Around<'_>) -> Option<Option<Timestamp>> {
        let texts = self.current_at.as_ref()?.texts(scope).unwrap_or_default();
        Some(texts.first().filter(|_| texts.len() == 1).and_then(|text| time(text.trim(), around).ok()))
    }

    /// Fills our fields, and says which could not be: all of them.
    pub fn apply(&self, scope: Scope<'_>, around: &Around<'_>) -> (Mapped, Vec<FieldFault>) {
        let mut faults = Vec::new();
        let fault = |field: &str, from: &str, what: &str| FieldFault {
            field: field.into(),
            from: from.into(),
            what: what.into(),
        };
        for (path, wanted) in &self.accept {
            match path.texts(scope) {
                Ok(texts) if wanted.allows(&texts, around.tables, |a, b| a == b) => {}
                Ok(_) => faults.push(fault("accept", &path.shown, &wanted.refusal())),
                // A reference that cannot be followed is its own reason; something that is no text stands there, and must not.
                Err(what) => match path.is_there(scope) {
                    Err(why) => faults.push(fault("accept", &path.shown, &why)),
                    Ok(_) => faults.push(fault("accept", &path.shown, wanted.why().unwrap_or(&what))),
                },
            }
        }
        let mut mapped = Mapped { value: Value::Object(JsonMap::new()), nulls: Vec::new(), in_words: Vec::new() };
        for field in &self.fields {
            if let Some((value, row)) = field.take(scope, around, &mut faults) {
                put(&mut mapped.value, &field.ours, value);
                if row.made == Made::InWords {
                    mapped.in_words.push(field.ours.clone());
                }
            }
        }
        for each in &self.each {
            each.apply(scope, around, &mut mapped.value, &mut faults);
        }
        place::once_for_each_reference(&mut faults);
        (mapped, faults)
    }

    /// Code tables that the rows name.
    pub fn tables(&self) -> Vec<TableUse> {
        let used = |table: &str, words: Option<Words>, line: u32| TableUse {
            table: table.to_owned(),
            words,
            reads: true,
            file: self.file.clone(),
            line,
        };
        let of_rows = self.rows().filter_map(|(f, r)| match &r.made {
            Made::Shared(As::Code(table)) => Some(used(table, f.words, r.line)),
            _ => None,
        });
        let of_lists = self.lists().filter_map(|e| e.only.as_ref()).map(|(_, table, line)| used(table, None, *line));
        let of_accept = self.accept.iter().filter_map(|(_, wanted)| wanted.table_use(&self.file));
        of_rows.chain(of_lists).chain(of_accept).collect()
    }

    /// Settings that the rows name, and where.
    pub fn settings(&self) -> Vec<(&str, u32)> {
        let named = self.rows().filter_map(|(_, r)| match &r.from {
            From::Setting(name) => Some((name.as_str(), r.line)),
            _ => None,
        });
        named.collect()
    }

    /// What it must say, for the message to be one that this map is for.
    pub(in crate::adapter) fn wanted(&self) -> impl Iterator<Item = &Wanted> {
        self.accept.iter().map(|(_, wanted)| wanted)
    }

    /// What is told of a message that a row of `accept` refuses, and the row's line.
    pub fn refusals(&self) -> Vec<(String, u32)> {
        let accept = self.accept.iter().map(|(path, wanted)| (path.shown.clone(), wanted.line()));
        accept.chain(self.lists().filter_map(Each::refusal)).collect()
    }

    /// Every row, for `adapter check`.
    pub(in crate::adapter) fn named_rows(&self) -> impl Iterator<Item = RowNamed<'_>> {
        self.rows().map(|(f, r)| RowNamed { ours: &f.ours, from: r.named(), line: r.line })
    }

    /// Those within others too.
    fn lists(&self) -> impl Iterator<Item = &Each> {
        self.each.iter().chain(self.each.iter().flat_map(|e| &e.each))
    }

    fn rows(&self) -> impl Iterator<Item = (&Field, &Row)> {
        let fields = self.fields.iter().chain(self.lists().flat_map(|e| &e.fields));
        fields.flat_map(|f| f.rows.iter().map(move |r| (f, r)))
    }
}

impl Field {
    /// The first value, and the row that gave it.
    fn take(&self, scope: Scope<'_>, around: &Around<'_>, faults: &mut Vec<FieldFault>) -> Option<(Value, &Row)> {
        let mut from = "nothing".to_owned();
        for row in &self.rows {
            from = row.named();
            match row.take(scope, around) {
                Ok(None) => {}
                Ok(Some(value)) => return Some((value, row)),
                Err(what) => {
                    faults.push(FieldFault { field: self.ours.clone(), from, what });
                    return None;
                }
            }
        }
        if !self.optional {
            let what = match self.rows.iter().any(|row| row.leads_nowhere(scope)) {
                true => "is required, and was not sent: the reference to it leads to nothing in the message",
                false => "is required, and was not sent",
            };
            faults.push(FieldFault { field: self.ours.clone(), from, what: what.into() });
        }
        None
    }
}

impl Each {
    fn apply(&self, scope: Scope<'_>, around: &Around<'_>, into: &mut Value, faults: &mut Vec<FieldFault>) {
        let mut list = Vec::new();
        for over in &self.over {
            match over.elements(scope) {
                Ok(elements) => self.add(&elements, around, (into, &mut list), faults),
                Err(what) => faults.push(FieldFault { field: self.ours.clone(), from: over.shown.clone(), what }),
            }
        }
        if !list.is_empty() {
            put(into, &self.ours, Value::Array(list));
        }
    }

    /// `ours`: what the list is put into, so far.
    fn add(
        &self,
        elements: &[Scope<'_>],
        around: &Around<'_>,
        (ours, list): (&Value, &mut Vec<Value>),
        faults: &mut Vec<FieldFault>,
    ) {
        let doubt = self.left_out.as_ref().filter(|left_out| left_out.counts(ours, faults));
        for scope in elements {
            if !self.takes(*scope, around) {
                faults.extend(
                    doubt.and_then(|doubt| doubt.refuses(self, *scope, around)).filter(|f| !faults.contains(f)),
                );
                continue;
            }
            let mut element = Value::Object(JsonMap::new());
            let before = faults.len();
            for field in &self.fields {
                if let Some((value, _)) = field.take(*scope, around, faults) {
                    put(&mut element, &field.ours, value);
                }
            }
            for each in &self.each {
                each.apply(*scope, around, &mut element, faults);
            }
            for fault in faults[before..].iter_mut().filter(|fault| fault.field != "accept") {
                fault.field = format!("{}[{}].{}", self.ours, list.len(), fault.field);
            }
            if !list.contains(&element) {
                list.push(element);
            }
        }
    }
}

/// A message in our words, with what could not be read of it: a resource the pack parses, alone or in a Bundle.
pub fn read(pack: &Pack, bytes: &[u8], around: &Around<'_>) -> Result<(Parsed, Vec<FieldFault>), ParseError> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(ParseError::Unreadable(format!("it is longer than {MESSAGE_BYTES_MAX} bytes")));
    }
    let mut root = json::read(bytes).map_err(ParseError::Unreadable)?;
    if !has_at_most(&root, &mut MESSAGE_VALUES_MAX.clone()) {
        return Err(ParseError::Unreadable(format!(
            "it holds more than {MESSAGE_VALUES_MAX} values; send it in parts"
        )));
    }
    let made_at = {
        let (focus, bundle) = focus_of(pack, &root)?;
        map_of(pack, focus)?.1.made_at(Scope::of_resource(focus, bundle), around)
    };
    if let Some(at) = made_at {
        ended::drop_ended(&mut root, at, around);
    }
    let (focus, bundle) = focus_of(pack, &root)?;
    let (message_type, map) = map_of(pack, focus)?;
    let (mapped, faults) = map.apply(Scope::of_resource(focus, bundle), around);
    let control_id = control_id(&root);
    let Mapped { value, nulls, in_words } = mapped;
    let elsewhere = map.numbers_elsewhere(&root, &faults);
    Ok((Parsed { message_type, control_id, makes: map.makes.clone(), value, nulls, in_words, elsewhere }, faults))
}

/// What a message is about, and the Bundle it stands in.
fn focus_of<'v>(pack: &Pack, root: &'v Value) -> Result<(&'v Value, Option<&'v Value>), ParseError> {
    match resource::type_of(root) {
        None => Err(ParseError::Unreadable("it has no resourceType".into())),
        Some("Bundle") => Ok((focus(pack, root)?, Some(root))),
        Some(_) => Ok((root, None)),
    }
}

fn map_of<'p>(pack: &'p Pack, focus: &Value) -> Result<(String, &'p Map), ParseError> {
    let message_type = resource::type_of(focus).unwrap_or_default().to_owned();
    let is_for = |when: &JsonPath| !when.query(focus).is_empty();
    let mut of_type = pack.manifest.parse.iter().filter(|p| p.message == message_type);
    let entry = of_type.find(|p| p.when.as_ref().is_none_or(is_for));
    match entry.and_then(|e| pack.tree_maps.get(&e.map)) {
        Some(map) => Ok((message_type, map)),
        None => Err(ParseError::NoMap(message_type)),
    }
}

/// Counts down by every value there is, and stops where nothing is left.
fn has_at_most(value: &Value, left: &mut usize) -> bool {
    let Some(rest) = left.checked_sub(1) else { return false };
    *left = rest;
    match value {
        Value::Array(list) => list.iter().all(|v| has_at_most(v, left)),
        Value::Object(members) => members.values().all(|v| has_at_most(v, left)),
        _ => true,
    }
}

/// What a Bundle is about: what its MessageHeader points at, else the one resource that the pack parses.
fn focus<'v>(pack: &Pack, bundle: &'v Value) -> Result<&'v Value, ParseError> {
    let header = resource::entries(bundle).find(|r| resource::type_of(r) == Some("MessageHeader"));
    // BaRS says in the event what FHIR says in `response`.
    let event = header.and_then(|h| h.pointer("/eventCoding/code")).and_then(Value::as_str);
    if header.is_some_and(|h| h.get("response").is_some()) || event.is_some_and(|e| e.ends_with("-response")) {
        return Err(ParseError::NoMap("a message that answers another".into()));
    }
    bundle_tells(bundle)?;
    let reasons = header.and_then(|h| h.pointer("/reason/coding")).and_then(Value::as_array).into_iter().flatten();
    if reasons.filter_map(|r| r.get("code")?.as_str()).any(|code| code.trim().eq_ignore_ascii_case("delete")) {
        return Err(ParseError::Unreadable(
            "a message that is to delete what it is about: a person has to look at it".into(),
        ));
    }
    let known = |r: &Value| resource::type_of(r).is_some_and(|t| pack.manifest.parse.iter().any(|p| p.message == t));
    let focuses = header.and_then(|h| h.get("focus")).and_then(Value::as_array).into_iter().flatten();
    let pointed: Vec<&Value> = header
        .into_iter()
        .flat_map(|h| focuses.clone().filter_map(move |f| Scope::of_resource(h, Some(bundle)).follow(f)))
        .collect();
    match pointed.as_slice() {
        [] => {}
        [one] => return Ok(one),
        several => {
            return match several.iter().filter(|r| known(r)).collect::<Vec<_>>().as_slice() {
                [one] => Ok(one),
                _ => Err(ParseError::Unreadable("a message with several focuses; it needs one".into())),
            };
        }
    }
    let found: Vec<&Value> = resource::entries(bundle).filter(|r| known(r)).collect();
    // A referral's own patient, or the record that another one went into, is sent along.
    let named: Vec<&Value> = found.iter().flat_map(|r| named_by(r, bundle)).collect();
    let alone: Vec<&Value> = found.iter().filter(|r| !named.iter().any(|n| std::ptr::eq(*n, **r))).copied().collect();
    match (alone.as_slice(), found.as_slice()) {
        ([one], _) => Ok(one),
        (_, []) => Err(ParseError::NoMap("a Bundle with nothing in it that this pack reads".into())),
        _ => Err(ParseError::Unreadable(
            "a Bundle with several resources of which each could be meant; it needs a MessageHeader with focus".into(),
        )),
    }
}

/// The resources of the Bundle that this one refers to, itself apart.
fn named_by<'v>(resource: &'v Value, bundle: &'v Value) -> Vec<&'v Value> {
    fn references<'v>(value: &'v Value, found: &mut Vec<&'v Value>) {
        match value {
            Value::Array(list) => list.iter().for_each(|v| references(v, found)),
            Value::Object(members) => {
                if members.get("reference").is_some_and(Value::is_string) {
                    found.push(value);
                }
                members.values().for_each(|v| references(v, found));
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    references(resource, &mut all);
    let scope = Scope::of_resource(resource, Some(bundle));
    all.into_iter().filter_map(|r| scope.follow(r)).filter(|n| !std::ptr::eq(*n, resource)).collect()
}

/// A Bundle that tells how things are: not how they were, and not that something is to be taken away.
fn bundle_tells(bundle: &Value) -> Result<(), ParseError> {
    let kind = bundle.get("type").and_then(Value::as_str).unwrap_or_default();
    if matches!(kind, "history" | "transaction-response" | "batch-response") {
        return Err(ParseError::NoMap("a Bundle of answers or of former versions".into()));
    }
    let entries = bundle.get("entry").and_then(Value::as_array).into_iter().flatten();
    let mut methods = entries.filter_map(|e| e.pointer("/request/method")?.as_str());
    if methods.any(|m| !matches!(m, "POST" | "PUT")) {
        return Err(ParseError::Unreadable(
            "a Bundle that does more than tell: an entry is to be deleted, patched or read".into(),
        ));
    }
    Ok(())
}

/// What tells a repeat: the Bundle's or resource's own identifier, else its id.
fn control_id(root: &Value) -> String {
    let own = resource::identifiers(root).into_iter().next().map(|i| i.value);
    let id = own.or_else(|| resource::id_of(root).map(str::to_owned)).unwrap_or_default();
    id.chars().filter(|c| !c.is_control()).take(CONTROL_ID_CHARS_MAX).collect()
}

/// `ours` within a message of ours: a list of messages' element type.
fn element_of(makes: &str, ours: &str) -> Option<String> {
    match input::find(makes, ours.split('.')) {
        Ok(Some(Shape { kind: ShapeKind::Message(name), repeated: true, .. })) => Some(name.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
