//! The path grammar.

use super::{Condition, How, Joint, Names, Path, Select};
use std::borrow::Cow;

/// Highest field, component or subcomponent number.
const NUMBER_MAX: usize = 999;

/// Why a path cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {what}; {hint}")]
pub struct PathFault {
    /// Counted in characters from 1.
    pub column: usize,
    pub what: Cow<'static, str>,
    pub hint: &'static str,
}

const BY_PLACE: (&str, &str) = (
    "a repetition or segment chosen by its place",
    "senders keep to no order: choose by what it says, as in PID-3[5=NH].1",
);

/// Before a name that nobody explains.
pub const UNKNOWN_NAME: &str = "[repetitions] of the manifest has no \"";

const CONDITIONS: &str = "write for example 4=NHS|NH or 5=NH";

struct Cursor<'s> {
    source: &'s str,
    at: usize,
    names: &'s Names,
}

/// What may stand between the brackets of a path, without them.
pub(super) fn choice(source: &str, names: &Names) -> Result<Select, PathFault> {
    let mut cursor = Cursor { source, at: 0, names };
    let select = cursor.named_or_said(2)?;
    if cursor.rest().is_empty() { Ok(select) } else { Err(cursor.fault("expected and, or, or the end", CONDITIONS)) }
}

pub(super) fn parse(source: &str, names: &Names) -> Result<Path, PathFault> {
    let mut cursor = Cursor { source, at: 0, names };
    let segment = cursor.segment_id()?;
    let segment_select = cursor.select(3)?;
    if !cursor.take("-") {
        return Err(cursor.fault("expected - and a field number", "write PID-5 for field 5 of PID"));
    }
    let field = cursor.number()?;
    let repeat_select = cursor.select(2)?;
    let component = cursor.part()?;
    let subcomponent = if component.is_some() { cursor.part()? } else { None };
    let joined = match (cursor.take("*"), cursor.take("+")) {
        (true, false) => Some(Joint::LineFeed),
        (false, true) => Some(Joint::Nothing),
        (false, false) => None,
        (true, true) => return Err(cursor.fault("both * and +", "* joins by line ends, + end to end: keep one")),
    };
    let optional = cursor.take("?");
    if !cursor.rest().is_empty() {
        let (what, hint) = match cursor.rest().as_bytes()[0] {
            b'(' | b'[' => BY_PLACE,
            b'.' => ("more than two parts after the field", "HL7 ends at subcomponents: PID-5.1.2"),
            b'-' => ("a second -", "parts of a field follow a dot: PID-5.1"),
            _ => ("text after the path", "a path ends with *, + or ?"),
        };
        return Err(cursor.fault(what, hint));
    }
    Ok(Path {
        source: source.to_owned(),
        segment,
        segment_select,
        field,
        repeat_select,
        component,
        subcomponent,
        joined,
        optional,
    })
}

impl<'s> Cursor<'s> {
    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    fn fault(&self, what: impl Into<Cow<'static, str>>, hint: &'static str) -> PathFault {
        PathFault { column: self.source[..self.at].chars().count() + 1, what: what.into(), hint }
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn skip_blanks(&mut self) {
        while self.take(" ") {}
    }

    fn segment_id(&mut self) -> Result<String, PathFault> {
        let id: String = self.rest().chars().take(3).collect();
        let good = id.len() == 3
            && id.starts_with(|c: char| c.is_ascii_uppercase())
            && id.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        if !good {
            return Err(self.fault("expected a segment id", "three capitals or digits, such as PID"));
        }
        self.at += 3;
        match self.rest().as_bytes().first() {
            Some(b'.') => {
                Err(self.fault("a dot after the segment id", "write PID-5.1: - before the field, dots after it"))
            }
            Some(b'(') => Err(self.fault(BY_PLACE.0, BY_PLACE.1)),
            _ => Ok(id),
        }
    }

    fn number(&mut self) -> Result<usize, PathFault> {
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Err(self.fault("expected a number", "fields and their parts are counted from 1"));
        }
        let number = self.rest()[..digits].parse().ok().filter(|n| (1..=NUMBER_MAX).contains(n));
        let Some(number) = number else {
            return Err(self.fault("a number out of range", "fields and their parts are counted from 1 to 999"));
        };
        self.at += digits;
        Ok(number)
    }

    fn part(&mut self) -> Result<Option<usize>, PathFault> {
        if self.take(".") { self.number().map(Some) } else { Ok(None) }
    }

    /// A choice in brackets, if there is one. `depth`: how many numbers a place may have here.
    fn select(&mut self, depth: usize) -> Result<Select, PathFault> {
        if !self.take("[") {
            return Ok(Select::new());
        }
        let select = self.named_or_said(depth)?;
        if self.take("]") {
            return Ok(select);
        }
        Err(self.fault("expected and, or, or ]", "write PID-3[4=NHS|NH or 5=NH].1"))
    }

    /// A name of `[repetitions]`, or conditions.
    fn named_or_said(&mut self, depth: usize) -> Result<Select, PathFault> {
        self.skip_blanks();
        let rest = self.rest();
        if !rest.starts_with(|c: char| c.is_ascii_lowercase()) {
            return self.alternatives(depth);
        }
        let length = rest.find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '_');
        let name = &rest[..length.unwrap_or(rest.len())];
        let Some(said) = self.names.get(name) else {
            return Err(self.fault(
                format!("{UNKNOWN_NAME}{name}\""),
                "say there what it means, or write a condition such as 4=NHS",
            ));
        };
        self.at += name.len();
        let mut cursor = Cursor { source: said, at: 0, names: self.names };
        let select = cursor.alternatives(depth)?;
        if cursor.rest().is_empty() {
            Ok(select)
        } else {
            Err(cursor.fault("expected and, or, or the end", CONDITIONS))
        }
    }

    fn alternatives(&mut self, depth: usize) -> Result<Select, PathFault> {
        let (mut select, mut all) = (Select::new(), Vec::new());
        loop {
            self.skip_blanks();
            all.push(self.condition(depth)?);
            self.skip_blanks();
            if self.take("and ") {
                continue;
            }
            select.push(std::mem::take(&mut all));
            if !self.take("or ") {
                return Ok(select);
            }
        }
    }

    fn condition(&mut self, depth: usize) -> Result<Condition, PathFault> {
        let start = self.at;
        let mut place = vec![self.number()?];
        while let Some(number) = self.part()? {
            place.push(number);
        }
        if place.len() > depth {
            self.at = start;
            return Err(self.fault("too many parts in a condition", "HL7 ends at subcomponents"));
        }
        let how =
            [("!~", How::Lacks), ("!=", How::IsNot), ("=", How::Is)].into_iter().find(|(mark, _)| self.take(mark));
        let Some((_, how)) = how else {
            self.at = start;
            return match self.source.as_bytes()[start..].iter().find(|b| !b.is_ascii_digit()) {
                Some(b']') => Err(self.fault(BY_PLACE.0, BY_PLACE.1)),
                _ => Err(self.fault("expected = after the place", "write 4=NHS or 4=NHS|NH")),
            };
        };
        let mut values = vec![self.value()?];
        while self.take("|") {
            values.push(self.value()?);
        }
        Ok(Condition { place, values, how })
    }

    fn value(&mut self) -> Result<String, PathFault> {
        for quote in ["'", "\""] {
            if self.take(quote) {
                let Some(length) = self.rest().find(quote) else {
                    return Err(self.fault("a quote that is not closed", "close it with the same quote"));
                };
                let value = self.rest()[..length].to_owned();
                self.at += length + quote.len();
                return Ok(value);
            }
        }
        let length = self.rest().find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '/' | ':' | '.'));
        let value = &self.rest()[..length.unwrap_or(self.rest().len())];
        if value.is_empty() {
            return Err(self.fault("expected a value", "quote values with spaces or marks; '' means absent"));
        }
        self.at += value.len();
        Ok(value.to_owned())
    }
}
