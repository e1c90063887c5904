//! The row of a map that makes a field of ours.

use super::fields::Differing;
use crate::adapter::fault::Faults;
use crate::adapter::map::Reached;
use crate::adapter::pack::Pack;
use std::collections::BTreeMap;

/// Where a field is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub line: u32,
    /// What the row takes it from; of a list, what it is of.
    pub from: String,
    /// The choice that the row takes a part of, and its line.
    pub pick: Option<(String, u32)>,
}

struct Row {
    field: String,
    from: String,
    line: u32,
}

/// The rows of one map, as they are written.
pub struct Rows {
    text: Vec<String>,
    rows: Vec<Row>,
    refusals: Vec<(String, u32)>,
    /// Each list of ours, with the line of its `[each]`.
    lists: Vec<(String, u32)>,
    picks: BTreeMap<String, u32>,
}

impl Rows {
    pub fn of(pack: &Pack, file: &str) -> Self {
        let text = pack.sources.text(file, &mut Faults::default()).unwrap_or_default();
        let (named, refusals) = match (pack.maps.get(file), pack.tree_maps.get(file)) {
            (Some(map), _) => (map.rows().collect::<Vec<_>>(), map.refusals()),
            (None, Some(map)) => (map.named_rows().collect(), map.refusals()),
            (None, None) => (Vec::new(), Vec::new()),
        };
        let mut rows = Self {
            text: text.lines().map(str::to_owned).collect(),
            rows: Vec::new(),
            refusals,
            lists: lists(&text),
            picks: picks(&text),
        };
        for row in named {
            let list = rows.list_at(row.line).map(|(list, _)| format!("{list}."));
            let field = format!("{}{}", list.unwrap_or_default(), row.ours);
            rows.rows.push(Row { field, from: row.from, line: row.line });
        }
        rows
    }

    /// The row that a difference is of. `reached`: rows that gave something in this example; `ever`: in any.
    pub fn find(&self, of: &Differing, reached: &Reached, ever: &Reached) -> Option<Found> {
        if of.field == "accept" {
            let refusal = self.refusals.iter().find(|(path, _)| of.from.as_ref() == Some(path))?;
            return Some(Found { line: refusal.1, from: refusal.0.clone(), pick: None });
        }
        let rows: Vec<&Row> = self.rows.iter().filter(|row| row.field == of.field).collect();
        let Some(first) = rows.first() else {
            // A whole list, or a group of fields.
            let list = self.lists.iter().find(|(list, _)| *list == of.field)?;
            return Some(Found { line: list.1, from: self.over(list.1), pick: None });
        };
        // The first that gives a value counts: one before it that never gives any is the one that is wrong.
        let gave = rows.iter().position(|row| reached.has(row.line, &row.from));
        let named = rows.iter().position(|row| of.from.as_ref() == Some(&row.from));
        let last = gave.or(named).unwrap_or(rows.len() - 1);
        let silent = rows[..=last].iter().find(|row| !ever.has(row.line, &row.from));
        let row = silent.or(gave.or(named).and_then(|at| rows.get(at))).unwrap_or(first);
        Some(Found { line: row.line, from: self.shown(row), pick: self.pick_at(row.line) })
    }

    /// Lines of the rows that are wrong with this one: those of the same field, or of the same choice.
    pub fn with(&self, field: &str, pick: Option<u32>) -> impl Iterator<Item = u32> {
        let same_pick = move |line| pick.is_some() && self.pick_at(line).map(|(_, at)| at) == pick;
        self.rows.iter().filter(move |row| row.field == field || same_pick(row.line)).map(|row| row.line)
    }

    /// Components are told with the field that they are of: `PID-3.5`.
    fn shown(&self, row: &Row) -> String {
        let over = self.list_at(row.line).map(|(_, line)| self.over(*line)).unwrap_or_default();
        let parts = row.from.split(", ").map(|part| match part.strip_prefix("component ") {
            Some(number) if over.contains('-') => format!("{over}.{number}"),
            _ => part.to_owned(),
        });
        parts.collect::<Vec<_>>().join(", ")
    }

    fn list_at(&self, line: u32) -> Option<&(String, u32)> {
        self.lists.iter().rfind(|(_, head)| *head < line)
    }

    /// What the `[each]` at this line is over.
    fn over(&self, line: u32) -> String {
        let below = self.text.iter().skip(line as usize).take_while(|l| !l.starts_with('['));
        let said = |l: &String| {
            let (key, value) = l.split_once('=')?;
            ["field", "group", "over"].contains(&key.trim()).then(|| quoted(value).unwrap_or_default())
        };
        below.into_iter().find_map(said).unwrap_or_else(|| "the list".into())
    }

    fn pick_at(&self, line: u32) -> Option<(String, u32)> {
        let text = self.text.get((line as usize).checked_sub(1)?)?;
        let name = quoted(text.split_once("pick")?.1.trim_start().strip_prefix('=')?)?;
        let at = *self.picks.get(&name)?;
        Some((name, at))
    }
}

fn quoted(text: &str) -> Option<String> {
    Some(text.split_once('"')?.1.split_once('"')?.0.to_owned())
}

/// `[each."details.external_ids"]`, `[each."merges".each."local_identifiers"]`
fn lists(text: &str) -> Vec<(String, u32)> {
    let heads = text.lines().zip(1..).filter_map(|(line, number)| {
        let head = line.trim().strip_prefix("[each.")?.split(']').next()?;
        let names: Vec<&str> = head.split(".each.").map(|name| name.trim().trim_matches(['"', '\''])).collect();
        Some((names.join("."), number))
    });
    heads.collect()
}

/// `pick.name = [`
fn picks(text: &str) -> BTreeMap<String, u32> {
    let heads = text.lines().zip(1..).filter_map(|(line, number)| {
        let (name, _) = line.trim().strip_prefix("pick.")?.split_once('=')?;
        Some((name.trim().trim_matches('"').to_owned(), number))
    });
    heads.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_choices_are_found_where_they_are_written() {
        let text = "makes = \"x\"\npick.name    = [\n]\n[each.\"a.b\"]\nfield = \"PID-3\"\n[each.\"a\".each.\"c.d\"]\n[each.e]\n";
        assert_eq!(lists(text), [("a.b".into(), 4), ("a.c.d".into(), 6), ("e".into(), 7)]);
        assert_eq!(picks(text), BTreeMap::from([("name".into(), 2)]));
    }
}
