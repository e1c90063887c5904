//! Paths: which value of a message a map row means. Compiled when a pack is loaded; see [`Path::parse`] for the grammar.
//!
//! A repetition or segment is chosen by what it says, never by its place: senders do not keep to an order.

mod grammar;

pub use grammar::{PathFault, UNKNOWN_NAME};

use super::message::{Message, Repeat, Segment};
use super::reading::Reading;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A compiled path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    source: String,
    segment: String,
    segment_select: Select,
    field: usize,
    repeat_select: Select,
    component: Option<usize>,
    subcomponent: Option<usize>,
    joined: Option<Joint>,
    optional: bool,
}

/// How several matches become one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joint {
    /// `*`: each is a line.
    LineFeed,
    /// `+`: each continues the one before.
    Nothing,
}

/// Alternatives (`or`), each a list of conditions that all hold (`and`). Empty: everything is chosen.
type Select = Vec<Vec<Condition>>;

/// `[repetitions]` of a manifest: what stands between brackets, by name.
pub type Names = BTreeMap<String, String>;

/// Which repetitions of a field are meant, without the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice(Select);

impl Choice {
    /// A name of `[repetitions]`, or conditions as between a path's brackets.
    pub fn parse(source: &str, names: &Names) -> Result<Self, PathFault> {
        grammar::choice(source, names).map(Self)
    }

    /// Of places (component, subcomponent) and the values each may have: all of them must hold, or one.
    pub fn of(rules: Vec<(Vec<usize>, Vec<String>)>, all: bool) -> Self {
        let conditions = rules.into_iter().map(|(place, values)| Condition { place, values, how: How::Is });
        Self(if all { vec![conditions.collect()] } else { conditions.map(|c| vec![c]).collect() })
    }

    pub fn holds(&self, repeat: Repeat<'_>) -> bool {
        holds(&self.0, |c| repeat_meets(repeat, &c.place, c))
    }
}

/// One place within a repetition (component, subcomponent) or a segment (field, component, subcomponent), and the values it
/// may have; the empty one stands for an absent value.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    place: Vec<usize>,
    values: Vec<String>,
    how: How,
}

/// How what was sent is held against a condition's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// It is one of them.
    Is,
    /// It is none of them.
    IsNot,
    /// None of them stands anywhere in it.
    Lacks,
}

/// A path found different values where one was asked for. Names the path, never the values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} has {matches} different values; choose one by what it says, as in PID-3[5=NH].1, or join them with *")]
pub struct Ambiguous {
    pub path: String,
    /// How many repetitions matched and were not empty.
    pub matches: usize,
}

impl Path {
    /// Compiles a path.
    ///
    /// ```text
    /// PID-8                           a whole field; delimiters sent unescaped stay in the text
    /// PID-5.1   PID-5.1.2             a component, a subcomponent; each whole likewise
    /// PID-3[4=NHS|NH or 5=NH].1       the repetitions whose component 4 is NHS or NH, or whose component 5 is NH
    /// PID-5[7=L|'' and 1='St Test']   '' stands for an absent value; quotes hold spaces and marks
    /// PID-13[2=PRN and 1!~'@']        !~: that does not stand anywhere in component 1
    /// ZU8-4[1!=N|NO|'']               !=: none of these stands there
    /// PRD[1.1=RP]-2.1                 the segments whose field 1, component 1 is RP
    /// NTE-3*                          every repetition of every segment, a line each
    /// OBX[3.1=371532007]-5+           the same, put end to end
    /// PID-30?                         may be absent; how, is the caller's to judge
    /// ```
    ///
    /// `and` binds closer than `or`. In a condition a component alone means its first subcomponent; blanks around the
    /// sent value do not count, nor whether its letters are capitals. Fails with the column and what to write instead.
    pub fn parse(source: &str) -> Result<Self, PathFault> {
        Self::parse_with(source, &Names::new())
    }

    /// As [`Path::parse`]; between brackets may stand one of these names alone: `PID-3[nhs_number].1`.
    pub fn parse_with(source: &str, names: &Names) -> Result<Self, PathFault> {
        grammar::parse(source, names)
    }

    /// Whether it means whole repetitions, rather than a part of each.
    pub fn is_of_repetitions(&self) -> bool {
        self.component.is_none() && !self.is_joined() && !self.is_optional()
    }

    /// The components that its brackets choose by.
    pub fn looks_at(&self) -> impl Iterator<Item = usize> {
        self.repeat_select.iter().flatten().filter(|c| c.how == How::Is).map(|c| c.place.first().copied().unwrap_or(1))
    }

    /// Whether the path ends in `?`.
    pub fn is_optional(&self) -> bool {
        self.optional
    }

    /// Whether the path ends in `*` or `+`, and so always gives one text.
    pub fn is_joined(&self) -> bool {
        self.joined.is_some()
    }

    /// Whether it looks at some of its segments only.
    pub fn chooses_segments(&self) -> bool {
        !self.segment_select.is_empty()
    }

    /// The id of the segments it looks at.
    pub fn segment_id(&self) -> &str {
        &self.segment
    }

    /// The field it looks at in them.
    pub fn field(&self) -> usize {
        self.field
    }

    /// The one value in the whole message. Equal values count as one; different ones are an error, since taking the first
    /// would be a choice by place.
    pub fn read<'m>(&self, message: &'m Message) -> Result<Reading<'m>, Ambiguous> {
        self.read_in(message.segments())
    }

    /// As [`Path::read`], from some of the segments only.
    pub fn read_in<'m>(&self, segments: impl IntoIterator<Item = Segment<'m>>) -> Result<Reading<'m>, Ambiguous> {
        let mut matches = self.matches(segments);
        if let Some(joint) = self.joined {
            return Ok(join(&matches, joint));
        }
        matches.retain(|reading| !reading.is_absent());
        let Some(first) = matches.first() else {
            return Ok(Reading::Absent);
        };
        if matches.iter().any(|other| other != first) {
            return Err(Ambiguous { path: self.source.clone(), matches: matches.len() });
        }
        Ok(matches.swap_remove(0))
    }

    /// Every value that is not absent, in the order sent.
    pub fn read_all<'m>(&self, segments: impl IntoIterator<Item = Segment<'m>>) -> Vec<Reading<'m>> {
        let mut matches = self.matches(segments);
        matches.retain(|reading| !reading.is_absent());
        matches
    }

    /// Every matching repetition, empty ones included.
    pub fn repeats<'m>(&self, segments: impl IntoIterator<Item = Segment<'m>>) -> impl Iterator<Item = Repeat<'m>> {
        segments
            .into_iter()
            .filter(|segment| {
                segment.id() == self.segment && holds(&self.segment_select, |c| segment_meets(*segment, c))
            })
            .flat_map(|segment| segment.field(self.field).repeats())
            .filter(|repeat| holds(&self.repeat_select, |c| repeat_meets(*repeat, &c.place, c)))
    }

    /// What every matching repetition says, absent ones included.
    fn matches<'m>(&self, segments: impl IntoIterator<Item = Segment<'m>>) -> Vec<Reading<'m>> {
        self.repeats(segments).map(|repeat| self.reading_of(repeat)).collect()
    }

    /// What one of its repetitions says at its place.
    pub fn reading_of<'m>(&self, repeat: Repeat<'m>) -> Reading<'m> {
        match (self.component, self.subcomponent) {
            (None, _) => repeat.reading(),
            (Some(component), None) => repeat.component(component).reading(),
            (Some(component), Some(subcomponent)) => repeat.component(component).subcomponent(subcomponent),
        }
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.source)
    }
}

fn holds(select: &Select, meets: impl Fn(&Condition) -> bool) -> bool {
    select.is_empty() || select.iter().any(|all| all.iter().all(&meets))
}

fn segment_meets(segment: Segment<'_>, condition: &Condition) -> bool {
    let (field, place) = condition.place.split_first().map_or((0, &[][..]), |(field, place)| (*field, place));
    let mut repeats = segment.field(field).repeats();
    match condition.how {
        How::Is => repeats.any(|repeat| repeat_meets(repeat, place, condition)),
        How::IsNot | How::Lacks => repeats.all(|repeat| repeat_meets(repeat, place, condition)),
    }
}

fn repeat_meets(repeat: Repeat<'_>, place: &[usize], condition: &Condition) -> bool {
    let component = repeat.component(place.first().copied().unwrap_or(1));
    let reading = component.subcomponent(place.get(1).copied().unwrap_or(1));
    let sent = reading.value().unwrap_or_default().trim();
    let is_one = || condition.values.iter().any(|value| value.eq_ignore_ascii_case(sent));
    match condition.how {
        How::Is => is_one(),
        How::IsNot => !is_one(),
        How::Lacks => !condition.values.iter().any(|value| sent.contains(value.as_str())),
    }
}

/// An absent repetition is an empty line; nothing sent at all is absent.
fn join<'m>(matches: &[Reading<'m>], joint: Joint) -> Reading<'m> {
    if matches.iter().all(Reading::is_absent) {
        return Reading::Absent;
    }
    if let [only] = matches {
        return only.clone();
    }
    let texts: Vec<&str> = matches.iter().map(|reading| reading.value().unwrap_or_default()).collect();
    Reading::Value(Cow::Owned(match joint {
        Joint::LineFeed => texts.join("\n"),
        Joint::Nothing => texts.concat(),
    }))
}

#[cfg(test)]
mod tests;
