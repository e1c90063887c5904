//! What a map looks at and what it gives, told without a message: for `adapter check`.

use super::row::{From, Row, Source};
use super::whole::Whole;
use super::{Around, Each, Field, Map, Over, Reached, Taken, Where};
use crate::adapter::codes::CodeTable;
use crate::adapter::hl7::{Charset, Message, Path};
use jiff::tz::TimeZone;
use serde_json::{Map as JsonMap, Value};
use std::collections::{BTreeMap, BTreeSet};

impl Map {
    /// Whether a message is refused, or a row counts, by what stands in this field.
    pub fn asks(&self, segment: &str, field: usize) -> bool {
        let is = |path: &Path| path.segment_id() == segment && path.field() == field;
        let of_rows = self.all_fields().flat_map(|f| &f.rows).flat_map(|row| &row.when);
        let when = of_rows.flat_map(|(sources, _)| sources).filter_map(Source::path);
        self.accept.iter().flat_map(|a| &a.paths).chain(when).any(is)
    }

    /// Whether a row takes something of this field; its line.
    pub fn reads(&self, segment: &str, field: usize) -> Option<u32> {
        let takes = |row: &&Row| row.places(None).any(|place| (place.0.as_str(), place.1) == (segment, field));
        self.all_fields().flat_map(|f| &f.rows).find(takes).map(|row| row.line)
    }

    /// Segments of a message that it looks at nothing of, each id once, in their order. Whoever wants to know what else a sender tells looks there.
    pub fn not_read(&self, message: &Message) -> Vec<String> {
        let mut known: BTreeSet<&str> = BTreeSet::from(["MSH"]);
        known.extend(self.lists().map(|(_, each)| each.over.segment()));
        known.extend(self.accept.iter().flat_map(|a| &a.paths).map(Path::segment_id));
        let rows = || self.all_fields().flat_map(|f| &f.rows);
        known.extend(rows().flat_map(Row::paths).map(Path::segment_id));
        let observations = |comments| move |row: &Row| row.sources().iter().any(|s| s.is_observations(comments));
        let (with, without) = (rows().any(observations(true)), rows().any(observations(false)));
        known.extend((with || without).then_some("OBX"));
        known.extend(with.then_some("NTE"));
        let mut passed: Vec<String> = Vec::new();
        for id in message.segments().map(|s| s.id()).filter(|id| !known.contains(id)) {
            if !passed.iter().any(|seen| seen == id) {
                passed.push(id.to_owned());
            }
        }
        passed
    }

    /// Every segment id that a row writes, with the row's line; each once a line.
    pub fn segments_named(&self) -> BTreeSet<(&str, u32)> {
        let of_rows =
            self.all_fields().flat_map(|f| &f.rows).flat_map(|row| row.paths().map(|p| (p.segment_id(), row.line)));
        let of_accept = self.accept.iter().flat_map(|a| a.paths.iter().map(|p| (p.segment_id(), a.wanted.line())));
        let of_lists = self.lists().filter_map(|(_, each)| Some((each.over.segment(), each.fields.first()?.line)));
        of_rows.chain(of_accept).chain(of_lists).collect()
    }

    /// Whether it refuses any message for what that says.
    pub fn refuses(&self) -> bool {
        !self.accept.is_empty()
    }

    /// Whether a row gives this field of ours; within a list, `merges.surviving_deceased`.
    pub fn gives(&self, ours: &str) -> bool {
        self.row_for(ours).is_some()
    }

    /// Whether a row gives this field of ours, or one within it.
    pub fn gives_of(&self, ours: &str) -> bool {
        self.named_fields()
            .any(|(name, _)| name.strip_prefix(ours).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    }

    /// The line of the first row that gives this field of ours.
    pub fn row_for(&self, ours: &str) -> Option<u32> {
        self.named_fields().find(|(name, _)| name == ours).map(|(_, field)| field.line)
    }

    /// Where the rows for this field of ours look: segment, field and the row's line.
    pub fn places_of(&self, ours: &str) -> Vec<(String, usize, u32)> {
        let mut found = Vec::new();
        for (name, field) in self.named_fields().filter(|(name, _)| name == ours) {
            let list = name.rsplit_once('.').map_or("", |(list, _)| list);
            for row in &field.rows {
                // What it chooses from first, for components alone.
                let picked = row.pick.iter().flat_map(|pick| pick.paths()).map(Whole::path);
                found.extend(picked.map(|path| (path.segment_id().to_owned(), path.field(), row.line)));
                let over = self.lists().find(|(name, _)| name == list).and_then(|(_, each)| each.place());
                found.extend(row.places(over).map(|(segment, field)| (segment, field, row.line)));
            }
        }
        found
    }

    /// Our fields; within a list, `merges.surviving_deceased`.
    pub fn names(&self) -> BTreeSet<String> {
        self.named_fields().map(|(name, _)| name).collect()
    }

    /// What rows say whatever the message says: our field, the value, and the row's line.
    pub fn said_of_all(&self) -> Vec<(String, String, u32)> {
        let mut found = Vec::new();
        for (name, field) in self.named_fields() {
            let fixed = field.rows.iter().filter(|row| row.when.is_empty());
            found.extend(fixed.filter_map(|row| match &row.from {
                From::Value(value) => Some((name.clone(), value.to_string(), row.line)),
                _ => None,
            }));
        }
        found
    }

    /// What it calls a message that says no more than which event it is.
    pub fn kind_of(&self, message: &str, tables: &BTreeMap<String, CodeTable>) -> Option<String> {
        let bare = format!("MSH|^~\\&|A|B|C|D|20260101120000||{message}|1|T|2.4\rPID|1\r");
        let bare = Message::read(bare.as_bytes(), Charset::Utf8).ok()?;
        let settings = JsonMap::new();
        let around = Around {
            settings: &settings,
            tables,
            zone: &TimeZone::UTC,
            reached: None::<&Reached>,
            written_at: Vec::new(),
        };
        let field = self.fields.iter().find(|f| f.ours == "kind")?;
        match field.take(Where::whole(&bare), None, &around, &mut Vec::new())? {
            Taken::Value(Value::String(kind)) => Some(kind),
            _ => None,
        }
    }

    fn lists(&self) -> impl Iterator<Item = (String, &Each)> {
        self.each.iter().flat_map(|each| {
            let inner = each.each.iter().map(|e| (format!("{}.{}", each.ours, e.ours), e));
            std::iter::once((each.ours.clone(), each)).chain(inner)
        })
    }

    fn named_fields(&self) -> impl Iterator<Item = (String, &Field)> {
        let of_lists = self.lists().flat_map(|(list, each)| {
            let named = move |f: &Field| format!("{list}.{}", f.ours);
            each.fields.iter().map(move |f| (named(f), f))
        });
        self.fields.iter().map(|f| (f.ours.clone(), f)).chain(of_lists)
    }
}

impl Over {
    fn segment(&self) -> &str {
        match self {
            Self::Field { segment, .. } | Self::Group(segment) => segment,
        }
    }
}

impl Each {
    fn place(&self) -> Option<(&str, usize)> {
        match &self.over {
            Over::Field { segment, field } => Some((segment, *field)),
            Over::Group(_) => None,
        }
    }
}

impl Row {
    fn sources(&self) -> &[Source] {
        match &self.from {
            From::First(s) | From::Words(s) | From::Lines(s) | From::List(s) => s,
            From::Value(_) | From::Setting(_) => &[],
        }
    }

    /// Every path it looks at, whatever for.
    fn paths(&self) -> impl Iterator<Item = &Path> {
        let taken = self.sources().iter().filter_map(Source::path);
        let when = self.when.iter().flat_map(|(sources, _)| sources).filter_map(Source::path);
        let also = self.also.iter().flat_map(|(paths, _)| paths);
        let picked = self.pick.iter().flat_map(|pick| pick.paths()).map(Whole::path);
        taken.chain(when).chain(also).chain(picked)
    }

    /// `over`: the field that components are of.
    fn places<'r>(&'r self, over: Option<(&'r str, usize)>) -> impl Iterator<Item = (String, usize)> + 'r {
        let list = self.sources();
        let owned = |(segment, field): (&str, usize)| (segment.to_owned(), field);
        list.iter().flat_map(move |source| match source {
            Source::Path(path) => vec![owned((path.segment_id(), path.field()))],
            Source::Part(_) => over.map(owned).into_iter().collect(),
            Source::Observations { comments: false } => vec![owned(("OBX", 5))],
            Source::Observations { comments: true } => vec![owned(("OBX", 5)), owned(("NTE", 3))],
        })
    }
}

impl Source {
    fn is_observations(&self, with: bool) -> bool {
        matches!(self, Self::Observations { comments } if *comments == with)
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Self::Path(path) => Some(path),
            Self::Part(_) | Self::Observations { .. } => None,
        }
    }
}
