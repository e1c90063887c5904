//! What a clinician must see beside a note's text: who wrote it and when, from whom it is to be kept, and that it is late. A pack that prints none of it
//! makes a plain note of one that may hurt somebody.

use super::super::examples::Case;
use super::super::fault::Faults;
use super::super::input;
use super::super::manifest::FILE;
use super::super::pack::Pack;
use serde_json::{Value, json};

/// Each in the example's input, and what is lost with it.
const MARKS: &[(&str, &str)] = &[
    (
        "headings",
        "{{ entry.headings }}: who wrote it and from whom it is to be kept (serious harm, third parties, the patient)",
    ),
    ("is_late", "{{ message.is_late }}: that it reached the record late"),
];

/// A doubt for each mark that changes nothing of the note this example makes.
pub fn unsaid(pack: &Pack, case: &Case) -> Vec<String> {
    let mut ignored = Faults::default();
    let Some(input) = pack.example_input(case, &mut ignored) else { return Vec::new() };
    let printed =
        |input: &Value| pack.trace(input).ok().map(|all| all.into_iter().map(|p| p.output).collect::<Vec<_>>());
    let name = input::entry_name(&input).filter(|name| ["note.create", "note.replace"].contains(name));
    let nothing = serde_json::Map::new();
    let settings = input.get("settings").and_then(Value::as_object).unwrap_or(&nothing);
    let row = name.and_then(|name| pack.manifest.render_entry(name, settings));
    let (Some(row), Some(plain)) = (row, printed(&input)) else { return Vec::new() };
    let is_late = input.pointer("/message/is_late") == Some(&Value::Bool(true));
    let mut turned = input.clone();
    turned["message"]["is_late"] = json!(!is_late);
    let of_late = |pieces: usize, turned: usize| if is_late { (pieces, turned) } else { (turned, pieces) };
    let said = printed(&turned).map(|other| of_late(plain.len(), other.len()));
    let inverted = said.is_some_and(|(late, in_time)| late < in_time).then(|| {
        format!(
            "{FILE}:{}: doubt: {} says less of an entry that is late than of one in time; look whether {{% if message.is_late %}} stands the wrong way round",
            row.line, row.entry
        )
    });
    let missing = MARKS.iter().filter(|(mark, _)| {
        let mut marked = input.clone();
        match *mark {
            "is_late" => {
                marked["message"]["is_late"] = json!(input.pointer("/message/is_late") != Some(&Value::Bool(true)))
            }
            _ => match marked.pointer_mut("/entry/headings").and_then(Value::as_array_mut) {
                Some(headings) => headings.push(json!("A mark of the check")),
                None => marked["entry"]["headings"] = json!(["A mark of the check"]),
            },
        }
        printed(&marked).is_some_and(|with| with == plain)
    });
    let missing = missing.map(|(_, what)| format!("{FILE}:{}: doubt: {} does not show {what}", row.line, row.entry));
    missing.chain(inverted).collect()
}
