//! Whose note it is: a message that names another person than its identifier does is filed under the one, and read as the other's. Each example is made
//! once more of another patient; what says who it is must change with them.

use super::super::examples::Case;
use super::super::fault::Faults;
use super::super::hl7::{Message, Segment};
use super::super::input;
use super::super::manifest::{FILE, Format, RenderEntry};
use super::super::pack::Pack;
use super::variants::{message, with};
use serde_json::{Value, json};

/// Somebody who is in no example.
const FAMILY: &str = "Quillfeather";
const GIVEN: &str = "Ottilie Xenia";
const BORN: (&str, &str, &str) = ("1971", "11", "23");
/// A number of theirs that another organisation gave.
const OTHER_ID: (&str, &str, &str) = ("ZQ90817263", "OTHER", "XX");
/// Fields that hold identifiers of a patient.
const IDENTIFIERS: &[(&str, usize)] = &[("PID", 2), ("PID", 3), ("PID", 4)];

pub fn check(pack: &Pack, case: &Case, faults: &mut Faults) -> Vec<String> {
    let Some(input) = pack.example_input(case, &mut Faults::default()) else { return Vec::new() };
    let nothing = serde_json::Map::new();
    let settings = input.get("settings").and_then(Value::as_object).unwrap_or(&nothing);
    let row = input::entry_name(&input).and_then(|entry| pack.manifest.render_entry(entry, settings));
    let Some(row) = row else { return Vec::new() };
    let mut doubts: Vec<String> = Vec::new();
    if row.entry.ends_with(".create") {
        doubts.extend(identifiers(pack, row, &input, faults));
    }
    let (year, month, day) = BORN;
    let other = with(
        &input,
        &[
            ("/patient/name/family", json!(FAMILY)),
            ("/patient/name/given", json!(GIVEN)),
            ("/patient/date_of_birth", json!(format!("{year}-{month}-{day}"))),
        ],
    );
    let mut wrong = Vec::new();
    match pack.format() {
        Format::Hl7v2 => {
            if let Some(message) = message(pack, &other) {
                message.segments_named("PID").for_each(|pid| person(&message, pid, &mut wrong));
            }
            wrong.extend(gender(pack, &input));
        }
        Format::Document | Format::Fhir | Format::Xml => {
            if !is_looked_up(pack, row) {
                wrong.extend(unnamed(pack, row, &other));
            }
        }
    }
    let file = format!("templates/{}", row.template);
    for (what, hint) in wrong {
        let doubt =
            |more: &str| format!("{FILE}:{}: doubt: {} with {} {what}{more}", row.line, row.entry, row.template);
        match &row.patient_exempt {
            Some(why) => doubts.push(doubt(&format!(": {why}"))),
            None if pack.format() == Format::Fhir => {
                doubts.push(doubt("; ask how a reader would see a wrong reference"));
            }
            None => faults.add(&file, 0, format!("{}: {what}", row.entry), hint),
        }
    }
    doubts
}

type Wrong = (String, String);

fn wrong(what: &str, hint: &str) -> Wrong {
    (what.to_owned(), format!("{hint}; or patient_exempt = \"why\" in the [[render]]"))
}

/// PID-5 and PID-7 are the patient's.
fn person(message: &Message, pid: Segment<'_>, found: &mut Vec<Wrong>) {
    let component = |field: usize, number: usize| {
        let raw = pid.field(field).repeats().next().map(|repeat| repeat.component(number).raw().to_owned());
        message.unescape(&raw.unwrap_or_default()).text.trim().to_owned()
    };
    // In capitals, with a prefix in a subcomponent of its own, or the first given name alone: it is that name all the same.
    let is = |said: String, name: &str| {
        let first =
            said.split(char::from(message.delimiters().subcomponent.unwrap_or(b'&'))).next().unwrap_or_default();
        said.eq_ignore_ascii_case(name) || first.eq_ignore_ascii_case(name)
    };
    let given = GIVEN.split(' ').next().unwrap_or_default();
    if !is(component(5, 1), FAMILY) {
        found.push(wrong("PID-5.1 is not the patient's family name", "print {{ patient.name.family }} there"));
    }
    if !is(component(5, 2), GIVEN) && !is(component(5, 2), given) {
        found.push(wrong("PID-5.2 is not the patient's given name", "print {{ patient.name.given }} there"));
    }
    let (year, month, day) = BORN;
    if !component(7, 1).starts_with(&format!("{year}{month}{day}")) {
        found.push(wrong(
            "PID-7 is not the patient's date of birth",
            "print {{ patient.date_of_birth | hl7_date }} there",
        ));
    }
}

/// PID-8, where it is filled, is the patient's.
fn gender(pack: &Pack, input: &Value) -> Option<Wrong> {
    let said = |gender: &str| {
        let message = message(pack, &with(input, &[("/patient/gender", json!(gender))]))?;
        let pid = message.segments_named("PID").next()?;
        Some(pid.field(8).raw().to_owned())
    };
    let (one, other) = (said("GENDER_MALE")?, said("GENDER_FEMALE")?);
    (one == other && !one.is_empty()).then(|| {
        wrong(
            "PID-8 says the same of every patient",
            "print {{ patient.gender | code(\"gender\") }} there, or leave it empty",
        )
    })
}

/// Whether the message goes to a record that was found by the patient's NHS number, and compared with it.
fn is_looked_up(pack: &Pack, row: &RenderEntry) -> bool {
    let parts = row.request.iter().flat_map(|request| request.parts()).map(|part| part.name.as_str());
    let roots: Vec<&str> = parts.chain([row.template.as_str()]).collect();
    pack.manifest.lookups.iter().filter(|lookup| lookup.compares()).any(|lookup| {
        let word = format!("lookup.{}.", lookup.name);
        roots.iter().any(|root| pack.templates.mentions(root, &word))
    })
}

/// A note that is not a withdrawal says by name and birth whose it is; in FHIR by the NHS number at least.
fn unnamed(pack: &Pack, row: &RenderEntry, other: &Value) -> Option<Wrong> {
    if !row.entry.ends_with(".create") && !row.entry.ends_with(".replace") {
        return None;
    }
    let printed: Vec<String> = pack.trace(other).ok()?.into_iter().map(|p| p.output).collect();
    let says = |text: &str| printed.iter().any(|p| p.to_lowercase().contains(&text.to_lowercase()));
    let (year, month, day) = BORN;
    let born = [
        format!("{year}-{month}-{day}"),
        format!("{year}{month}{day}"),
        format!("{day}/{month}/{year}"),
        format!("{day}-Nov-{year}"),
    ];
    let number = other.pointer("/patient/nhs_number").and_then(Value::as_str).unwrap_or_default();
    let is_numbered = pack.format() == Format::Fhir && !number.is_empty() && says(number);
    if is_numbered || (says(FAMILY) && born.iter().any(|born| says(born))) {
        return None;
    }
    let what = match (says(FAMILY), born.iter().any(|born| says(born))) {
        (false, false) => "says neither the patient's family name nor the date of birth",
        (false, true) => "does not say the patient's family name",
        _ => "does not say the patient's date of birth",
    };
    let hint = "print {{ patient.name.family }} and {{ patient.date_of_birth }}: by them a reader sees that it is the wrong person's";
    Some(wrong(what, hint))
}

/// A number that another organisation gave never stands there as one of this record's. A doubt: it stands there as a number of a kind that it is not.
fn identifiers(pack: &Pack, row: &RenderEntry, input: &Value, faults: &mut Faults) -> Option<String> {
    let (value, authority, kind) = OTHER_ID;
    let more = json!({ "value": value, "assigning_authority": authority, "type": kind });
    let mut is_of_fixed_kind = false;
    for first in [true, false] {
        let mut other = input.clone();
        let list = other.pointer_mut("/patient/local_identifiers").and_then(Value::as_array_mut)?;
        list.insert(if first { 0 } else { list.len() }, more.clone());
        let is_passed_off = match pack.format() {
            Format::Hl7v2 => {
                // Whose it is and what kind of number, as they stand beside it.
                let said: Vec<(String, String)> = message(pack, &other).map(|m| beside(&m, value)).unwrap_or_default();
                is_of_fixed_kind |=
                    said.iter().any(|(giver, of)| giver.contains(authority) && !of.is_empty() && of != kind);
                said.iter().any(|(giver, of)| match giver.as_str() {
                    "" => of != kind,
                    giver => !giver.contains(authority),
                })
            }
            Format::Document | Format::Fhir | Format::Xml => pack.trace(&other).is_ok_and(|printed| {
                let says = |text: &str| printed.iter().any(|p| p.output.contains(text));
                says(value) && !says(authority) && !says(kind)
            }),
        };
        if is_passed_off {
            let what = format!(
                "{}: a number of the patient that another organisation gave is printed as if this record had given it: it may be somebody else's there",
                row.entry
            );
            let hint = "print {{ id.assigning_authority }} with each, or choose: {% for id in patient.local_identifiers if id.assigning_authority == settings.… %}";
            faults.add(&format!("templates/{}", row.template), 0, what, hint);
            return None;
        }
    }
    is_of_fixed_kind.then(|| {
        format!(
            "{FILE}:{}: doubt: {} with {} calls each number of the patient one of the same kind (PID-3.5), whatever it is; print {{{{ id.type }}}}, or ask whether the receiver looks at it",
            row.line, row.entry, row.template
        )
    })
}

/// What stands beside this identifier wherever it is: PID-3.4 and PID-3.5.
fn beside(message: &Message, value: &str) -> Vec<(String, String)> {
    let fields = IDENTIFIERS.iter().flat_map(|(id, n)| message.segments_named(id).map(|s| s.field(*n)));
    let repeats = fields.flat_map(|field| field.repeats()).filter(|repeat| repeat.component(1).raw() == value);
    repeats.map(|repeat| (repeat.component(4).raw().to_owned(), repeat.component(5).raw().to_owned())).collect()
}
