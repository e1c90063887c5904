//! Leaf-drop: takes one value away from an example's input at a time. Whatever is missing must stop the message, unless the
//! template says `| blank` (or `| default`); and nothing may print as a word for nothing.

use super::super::cause::Causes;
use super::super::examples::Case;
use super::super::fault::{Fault, Faults};
use super::super::input::find;
use super::super::pack::Pack;
use super::super::template::Printed;
use serde_json::Value;

/// Words that a missing value turns into in careless template engines.
const NOTHING: &[&str] = &["none", "null", "undefined", "nan", "nil"];

/// How many inputs were tried.
pub fn check(pack: &Pack, case: &Case, causes: &mut Causes) -> usize {
    let mut ignored = Faults::default();
    let Some(input) = pack.example_input(case, &mut ignored) else { return 0 };
    let Ok(whole) = pack.trace(&input) else { return 0 };
    if !has_own_part(pack, case, &whole) {
        return 0;
    }
    let mut paths = Vec::new();
    leaves(&input, &mut Vec::new(), &mut paths);
    let mut tries = 0;
    for path in &paths {
        for removed in [true, false] {
            // A field of ours is always there, null where it is not set: only what has no schema can be missing.
            if removed && has_schema(path) {
                continue;
            }
            let mut damaged = input.clone();
            if !drop(&mut damaged, path, removed) {
                continue;
            }
            tries += 1;
            // A stop is what should happen; an entry that is none any more stops too.
            let Ok(printed) = pack.trace(&damaged) else { continue };
            judge(case, path, removed, &whole, &printed, causes);
        }
    }
    tries
}

fn has_schema(path: &[String]) -> bool {
    let names = path.iter().map(String::as_str).filter(|part| part.parse::<usize>().is_err());
    matches!(find("RenderInput", names), Ok(Some(_)))
}

/// Where all that makes a message is the base's, the base's check has dropped its values.
fn has_own_part(pack: &Pack, case: &Case, whole: &[Printed]) -> bool {
    let own = |file: &str| pack.sources.is_own(file);
    let own_settings = pack.manifest.settings.0.iter().any(|s| s.line >= pack.manifest.own_from);
    let own_case = pack.sources.case_from(&case.name).is_none();
    let own_input = ["input.json", "settings.toml"].iter().any(|f| own(&format!("examples/{}/{f}", case.name)));
    own_input || (own_case && own_settings) || whole.iter().any(|p| own(&p.file))
}

fn judge(case: &Case, path: &[String], removed: bool, whole: &[Printed], printed: &[Printed], causes: &mut Causes) {
    let name = path.join(".");
    let how = if removed { "is removed" } else { "is null" };
    for p in printed {
        let before = whole.iter().filter(|w| w.file == p.file && w.line == p.line && w.expression == p.expression);
        let changed = before.clone().next().is_some() && before.clone().all(|w| w.output != p.output);
        let allowed = ["blank", "default"].iter().any(|f| p.expression.contains(f));
        // Whole words: base64 spells anything sooner or later.
        let words = p.output.split(|c: char| !c.is_alphanumeric());
        let worded = words.clone().any(|word| NOTHING.iter().any(|n| word.eq_ignore_ascii_case(n)))
            && before.clone().all(|w| w.output != p.output);
        let mut wrong = |what: &str, hint: &str| {
            let told = format!("`{}` {what} when {name} {how}, in example {}", p.expression, case.name);
            causes.at_line(&case.name, Fault::new(&p.file, p.line, told, hint), format!("`{}` {what}", p.expression));
        };
        if worded {
            wrong("prints a word for nothing", "let the filter stop on a missing value");
        } else if changed && p.expression.contains(&name) && !allowed {
            wrong("prints something else", "write | blank if the field may be empty");
        }
    }
}

/// Paths of every value that is one text, number or truth value; numbers stand for places in lists.
fn leaves(value: &Value, at: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                at.push(key.clone());
                leaves(inner, at, found);
                at.pop();
            }
        }
        Value::Array(items) => {
            for (i, inner) in items.iter().enumerate() {
                at.push(i.to_string());
                leaves(inner, at, found);
                at.pop();
            }
        }
        Value::Null => {}
        _ => found.push(at.clone()),
    }
}

/// Removes or nulls one value; elements of lists are only nulled.
fn drop(root: &mut Value, path: &[String], remove: bool) -> bool {
    let Some((last, way)) = path.split_last() else { return false };
    let mut at = root;
    for part in way {
        let next = match at {
            Value::Object(map) => map.get_mut(part),
            Value::Array(items) => part.parse::<usize>().ok().and_then(|i| items.get_mut(i)),
            _ => None,
        };
        let Some(next) = next else { return false };
        at = next;
    }
    match at {
        Value::Object(map) if remove => map.remove(last).is_some(),
        Value::Object(map) => map.insert(last.clone(), Value::Null).is_some(),
        Value::Array(items) if !remove => match last.parse::<usize>().ok().and_then(|i| items.get_mut(i)) {
            Some(item) => {
                *item = Value::Null;
                true
            }
            None => false,
        },
        _ => false,
    }
}
