//! Maps: what of their message becomes which field of ours. Rows only, each a path and a filter; no other logic.

mod asked;
mod merged;
mod observations;
mod once;
mod pick;
mod reached;
mod read;
mod row;
#[cfg(test)]
mod tests;
mod time;
mod valid;
mod wanted;
mod whole;

pub use merged::is_a_merge;
pub(super) use merged::{Outside, outside};
pub(super) use pick::{Choosing, Pick, Picks};
pub(super) use reached::{Reached, RowNamed};
pub use read::from_table;
pub(super) use read::{also_said, ambiguous, check_constants, constant, filter, find, makes};
pub(super) use row::As;
pub use row::FILTERS;
pub(super) use time::{NO_DAY, TOO_OLD, is_never, is_no_day, on_the_wall};
pub(super) use wanted::Wanted;

use super::codes::CodeTable;
use super::hl7::{Message, Path, Reading, Repeat, Segment, path::Choice};
use super::words::{TableUse, Words};
use crate::domain::nhs_number::NhsNumber;
use jiff::{Timestamp, tz::TimeZone};
use once::Once;
use row::{Row, Taken};
use serde_json::{Map as JsonMap, Value};
use std::collections::BTreeMap;
use valid::Valid;

/// A row of `accept`.
#[derive(Debug, Clone)]
struct Accepts {
    /// The first of them that says something.
    paths: Vec<Path>,
    unless: Option<Path>,
    wanted: Wanted,
}

/// One `maps/*.toml`.
#[derive(Debug, Clone)]
pub struct Map {
    pub file: String,
    /// Our message it fills, e.g. `CreateReferralRequest`: field names are checked against it.
    pub makes: String,
    /// What these places must say for the message to be one that this map is for.
    accept: Vec<Accepts>,
    /// Segments that say whom or what the message is about: a second one would be of somebody else.
    once: Vec<Once>,
    valid: Vec<Valid>,
    fields: Vec<Field>,
    each: Vec<Each>,
}

/// One of our fields and the rows that may fill it: the first that gives a value does.
#[derive(Debug, Clone)]
struct Field {
    ours: String,
    rows: Vec<Row>,
    /// What it may hold, where that is words of ours.
    words: Option<Words>,
    /// None of the rows giving a value is no fault.
    optional: bool,
    line: u32,
}

/// A list of ours, an element for each repetition of one of their fields, or for each group of their segments.
#[derive(Debug, Clone)]
struct Each {
    ours: String,
    over: Over,
    /// Repetitions that are left out.
    unless: Option<Choice>,
    /// The only repetitions that count.
    only: Option<Choice>,
    /// Segments that belong to a group, each to one.
    once: Vec<Once>,
    fields: Vec<Field>,
    /// Lists within an element.
    each: Vec<Each>,
}

/// What an [`Each`] makes elements of.
#[derive(Debug, Clone)]
enum Over {
    Field {
        segment: String,
        field: usize,
    },
    /// From each segment of this id to the next one.
    Group(String),
}

/// The part of a message that rows look at: all of it, or its head (what stands before the first group) and one group.
#[derive(Clone, Copy)]
struct Where<'m> {
    message: &'m Message,
    head: usize,
    from: usize,
    to: usize,
}

impl<'m> Where<'m> {
    fn whole(message: &'m Message) -> Self {
        Self { message, head: 0, from: 0, to: message.segments().len() }
    }

    fn segments(self) -> impl Iterator<Item = Segment<'m>> + Clone {
        self.message.segments().filter(move |s| s.index() < self.head || (self.from..self.to).contains(&s.index()))
    }

    fn groups(self, id: &str) -> Vec<Self> {
        let starts: Vec<usize> = self.segments().filter(|s| s.id() == id).map(|s| s.index()).collect();
        let ends = starts.iter().skip(1).copied().chain([self.to]);
        let head = starts.first().copied().unwrap_or(self.to);
        starts.iter().zip(ends).map(|(from, to)| Self { head, from: *from, to, ..self }).collect()
    }
}

/// A component, or subcomponent, of a repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part(usize, Option<usize>);

impl Part {
    fn parse(text: &str) -> Option<Self> {
        let number = |t: &str| t.parse().ok().filter(|n| (1..=99).contains(n));
        Some(match text.split_once('.') {
            Some((a, b)) => Self(number(a)?, Some(number(b)?)),
            None => Self(number(text)?, None),
        })
    }

    /// Whether anything stands in it: of a component, in any of its subcomponents.
    fn is_there(self, repeat: &Repeat<'_>) -> bool {
        let component = repeat.component(self.0);
        let says = |sub: usize| component.subcomponent(sub).value().is_some_and(|text| !text.trim().is_empty());
        match self.1 {
            Some(sub) => says(sub),
            None => (1..=component.raw().len()).any(says),
        }
    }

    fn read<'m>(self, repeat: &Repeat<'m>) -> Reading<'m> {
        match self.1 {
            Some(sub) => repeat.component(self.0).subcomponent(sub),
            None => repeat.component(self.0).reading(),
        }
    }
}

/// What a map may use beside the message.
pub struct Around<'a> {
    pub settings: &'a JsonMap<String, Value>,
    pub tables: &'a BTreeMap<String, CodeTable>,
    pub zone: &'a TimeZone,
    /// Where it is noted which rows gave something.
    pub(in crate::adapter) reached: Option<&'a Reached>,
    /// When its sender wrote the message down, by its own words.
    pub(in crate::adapter) written_at: Vec<Timestamp>,
}

/// EVN-2, when the event was recorded, and MSH-7, when the message was made.
pub fn written_at(message: &Message, around: &Around<'_>) -> Vec<Timestamp> {
    let evn = message.segments_named("EVN").next().map(|evn| evn.field(2));
    let said = evn.into_iter().chain([message.msh().field(7)]).filter_map(|field| {
        let first = field.repeats().next()?;
        Part(1, None).read(&first).into_value().map(std::borrow::Cow::into_owned)
    });
    // Of a day alone nobody knows what was before it and what after.
    let said = said.filter(|text| !time::is_day_alone(text.trim()));
    said.filter_map(|text| time::instant(text.trim(), around).ok()).collect()
}

/// A field that could not be filled. Names fields and paths, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} (from {from}): {what}")]
pub struct FieldFault {
    pub field: String,
    pub from: String,
    pub what: String,
}

/// Why a message is not whole: it goes on in another one (DSC), or a segment of it goes on in another segment (ADD). MSH-14 alone proves nothing, for senders of whole messages fill it with what they
/// like; the later pieces lack what a message must have.
pub fn is_a_piece(message: &Message) -> Option<FieldFault> {
    let fault =
        |from: &str, what: &str| Some(FieldFault { field: "message".into(), from: from.into(), what: what.into() });
    if message.notes().continues {
        let what =
            "says that it is continued in another message: they cannot be put together here; ask the sender for one";
        return fault("DSC", what);
    }
    if message.segments_named("ADD").next().is_some() {
        let what = "goes on with the segment before it, and cannot be put together with it here; ask the sender for whole segments";
        return fault("ADD", what);
    }
    None
}

/// Fields of PID with letters in them that cannot be read: `\XE9\` is no letter in a message of UTF-8. Of a text the reader would see that; a name would be
/// taken with it.
pub fn undecoded(message: &Message) -> Option<FieldFault> {
    let mut fields =
        message.segments_named("PID").flat_map(|pid| (1..=pid.field_count()).map(move |n| (n, pid.field(n))));
    let escape = char::from(message.delimiters().escape);
    let (number, _) = fields.find(|(_, field)| {
        let kept = message.unescape(field.raw());
        kept.kept_literally && kept.text.contains(&format!("{escape}X"))
    })?;
    let what = "holds an escape that is no letter in the message's character set";
    Some(FieldFault { field: "letters".into(), from: format!("PID-{number}"), what: what.into() })
}

/// NHS numbers in the fields of PID that are kept for old versions: any ten digits there with the right check digit.
pub fn numbers_elsewhere(message: &Message) -> Vec<NhsNumber> {
    let fields = message.segments_named("PID").flat_map(|pid| [2, 4, 19].map(|n| pid.field(n)));
    let firsts =
        fields.flat_map(|field| field.repeats().map(|r| message.unescape(r.component(1).raw()).text.into_owned()));
    firsts.filter_map(|text| NhsNumber::parse(text.trim()).ok()).collect()
}

fn shown(paths: &[Path]) -> String {
    paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(" else ")
}

/// What a message says in our words.
#[derive(Clone, PartialEq)]
pub struct Mapped {
    /// Absent fields are not there.
    pub value: Value,
    /// Fields sent as null (`""`): delete what you have.
    pub nulls: Vec<String>,
    /// Fields whose value is a name in the message's words, and no id.
    pub in_words: Vec<String>,
}

impl std::fmt::Debug for Mapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mapped(..)")
    }
}

impl Map {
    /// Fills our fields, and says which could not be: all of them.
    pub fn apply(&self, message: &Message, around: &Around<'_>) -> (Mapped, Vec<FieldFault>) {
        let message = &*valid::only(message, &self.valid, around);
        let everywhere = Where::whole(message);
        let mut faults = Vec::new();
        let mut mapped = Mapped { value: Value::Object(JsonMap::new()), nulls: Vec::new(), in_words: Vec::new() };
        for Accepts { paths, unless, wanted } in &self.accept {
            let said = |path: &Path| -> Vec<String> {
                let all = path.read_all(message.segments()).into_iter();
                all.filter_map(|r| Some(r.value()?.trim().to_owned())).filter(|text| !text.is_empty()).collect()
            };
            if unless.as_ref().is_some_and(|place| !said(place).is_empty()) {
                continue;
            }
            let sent = paths.iter().map(said).find(|said| !said.is_empty()).unwrap_or_default();
            if !wanted.allows(&sent, around.tables, str::eq_ignore_ascii_case) {
                let what = wanted.refusal();
                faults.push(FieldFault { field: "accept".into(), from: shown(paths), what });
            }
        }
        faults.extend(self.once.iter().filter_map(|once| once.in_message(message)));
        for field in &self.fields {
            match field.take(everywhere, None, around, &mut faults) {
                Some(Taken::Value(value)) => put(&mut mapped.value, &field.ours, value),
                Some(Taken::Null) => mapped.nulls.push(field.ours.clone()),
                Some(Taken::Absent) | None => {}
            }
        }
        for each in &self.each {
            each.apply(everywhere, around, &mut mapped.value, &mut faults);
        }
        (mapped, faults)
    }

    /// Code tables that the rows name.
    pub fn tables(&self) -> Vec<TableUse> {
        let of = |field: &Field, table: &str, is_flag: bool, line: u32| TableUse {
            table: table.to_owned(),
            words: if is_flag { Some(Words::Flag) } else { field.words },
            reads: true,
            file: self.file.clone(),
            line,
        };
        let rows = self.all_fields().flat_map(|f| f.rows.iter().map(move |r| (f, r)));
        let of_rows = rows.filter_map(|(f, r)| Some(of(f, r.table()?, matches!(r.made, As::Flag(_)), r.line)));
        of_rows.chain(self.accept.iter().filter_map(|a| a.wanted.table_use(&self.file))).collect()
    }

    /// Settings that the rows name, and where.
    pub fn settings(&self) -> Vec<(&str, u32)> {
        self.all_fields().flat_map(|f| &f.rows).filter_map(|r| Some((r.setting()?, r.line))).collect()
    }

    /// Our fields that come straight from the message.
    pub fn ours(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|f| f.ours.as_str())
    }

    /// What it must say, for the message to be one that this map is for.
    pub(super) fn wanted(&self) -> impl Iterator<Item = &Wanted> {
        self.accept.iter().map(|a| &a.wanted)
    }

    /// What is told of a message that a row of `accept` refuses, and the row's line.
    pub fn refusals(&self) -> Vec<(String, u32)> {
        self.accept.iter().map(|a| (shown(&a.paths), a.wanted.line())).collect()
    }

    /// Every row, for `adapter check`.
    pub(super) fn rows(&self) -> impl Iterator<Item = RowNamed<'_>> {
        self.all_fields()
            .flat_map(|f| f.rows.iter().map(move |r| RowNamed { ours: &f.ours, from: r.named(), line: r.line }))
    }

    fn all_fields(&self) -> impl Iterator<Item = &Field> {
        let within = self.each.iter().chain(self.each.iter().flat_map(|e| &e.each));
        self.fields.iter().chain(within.flat_map(|e| &e.fields))
    }
}

impl Field {
    fn take(
        &self,
        there: Where<'_>,
        repeat: Option<&Repeat<'_>>,
        around: &Around<'_>,
        faults: &mut Vec<FieldFault>,
    ) -> Option<Taken> {
        let mut null = false;
        let mut from = "nothing".to_owned();
        for row in &self.rows {
            match row.take(there, repeat, around) {
                Ok(Taken::Absent) => {}
                Ok(Taken::Null) => null = true,
                Ok(Taken::Value(value)) => return Some(Taken::Value(value)),
                Err(what) => {
                    faults.push(FieldFault { field: self.ours.clone(), from: row.named(), what });
                    return None;
                }
            }
            from = row.named();
        }
        match (null, self.optional) {
            (true, true) => Some(Taken::Null),
            (false, true) => Some(Taken::Absent),
            (null, false) => {
                let what = if null { "is required, and was sent as null" } else { "is required, and was not sent" };
                faults.push(FieldFault { field: self.ours.clone(), from, what: what.into() });
                None
            }
        }
    }
}

impl Each {
    fn apply(&self, there: Where<'_>, around: &Around<'_>, into: &mut Value, faults: &mut Vec<FieldFault>) {
        let mut list: Vec<Value> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        match &self.over {
            Over::Group(id) => {
                let groups = there.groups(id);
                faults.extend(self.once.iter().filter_map(|once| once.in_groups(there, id, &groups)));
                for group in groups {
                    list.push(self.element(group, None, around, list.len(), faults));
                }
            }
            Over::Field { segment, field } => {
                let of = there.segments().filter(|s| s.id() == segment);
                for repeat in of.flat_map(|s| s.field(*field).repeats()).filter(|r| self.wants(r)) {
                    let element = self.element(there, Some(&repeat), around, list.len(), faults);
                    // Senders repeat themselves; the same element twice says nothing more.
                    if seen.insert(element.to_string()) {
                        list.push(element);
                    }
                }
            }
        }
        if !list.is_empty() {
            put(into, &self.ours, Value::Array(list));
        }
    }

    /// A repetition whose first component is empty names nothing, whatever stands behind it.
    fn wants(&self, repeat: &Repeat<'_>) -> bool {
        let left_out = self.unless.as_ref().is_some_and(|choice| choice.holds(*repeat))
            || self.only.as_ref().is_some_and(|choice| !choice.holds(*repeat));
        !left_out && Part(1, None).is_there(repeat)
    }

    fn element(
        &self,
        there: Where<'_>,
        repeat: Option<&Repeat<'_>>,
        around: &Around<'_>,
        number: usize,
        faults: &mut Vec<FieldFault>,
    ) -> Value {
        let mut element = Value::Object(JsonMap::new());
        let before = faults.len();
        for field in &self.fields {
            if let Some(Taken::Value(value)) = field.take(there, repeat, around, faults) {
                put(&mut element, &field.ours, value);
            }
        }
        for each in &self.each {
            each.apply(there, around, &mut element, faults);
        }
        for fault in &mut faults[before..] {
            fault.field = format!("{}[{number}].{}", self.ours, fault.field);
        }
        element
    }
}

/// Puts a value under a dotted path, making the objects on the way.
pub(super) fn put(root: &mut Value, path: &str, value: Value) {
    let mut at = root;
    for part in path.split('.') {
        if !at.is_object() {
            *at = Value::Object(JsonMap::new());
        }
        let Value::Object(map) = at else { return };
        at = map.entry(part).or_insert(Value::Null);
    }
    *at = value;
}
