//! An HL7 message names itself, its patient and its document, or it is not made: by those names replies and repeats are told apart, a withdrawal
//! finds what it withdraws, and a note is filed under the right person.

use super::hl7::{Message, Segment};
use super::pack::Pack;
use super::render::{Plan, RenderError};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashSet;

/// Fields in which identifiers are printed one beside another: what a loop without `~` runs together.
const IDENTIFIER_LISTS: &[(&str, usize)] = &[("PID", 2), ("PID", 3), ("PID", 4), ("PV1", 19)];

fn at<'v>(input: &'v Value, place: &str) -> Option<&'v str> {
    input.pointer(place).and_then(Value::as_str).filter(|id| !id.is_empty())
}

fn each<'v>(input: &'v Value, list: &str, field: &'v str) -> impl Iterator<Item = &'v str> {
    let rows = input.pointer(list).and_then(Value::as_array).into_iter().flatten();
    rows.filter_map(move |row| row.get(field)?.as_str()).filter(|v| !v.is_empty())
}

/// `999 000 0018` is 9990000018.
fn squashed(id: &str) -> String {
    id.chars().filter(|c| !c.is_whitespace() && *c != '-').collect()
}

pub fn check(pack: &Pack, plan: &Plan<'_>, message: &Message, input: &Value) -> Result<(), RenderError> {
    let file = format!("templates/{}", plan.entry.template);
    let refuse = |what: &str, hint: &str| Err(RenderError::one(&file, 0, format!("makes a message {what}"), hint));
    let is = |field: usize, place: &str| at(input, place).is_some_and(|v| holds(message, Some(("MSH", field)), v));
    if !is(10, "/message/control_id") {
        return refuse(
            "whose MSH-10 is not its control id: no reply could be told from another's",
            "print {{ message.control_id }} there",
        );
    }
    if !is(11, "/message/processing_id") {
        return refuse(
            "whose MSH-11 does not say whether the endpoint is live or a test",
            "print {{ message.processing_id }} there",
        );
    }
    patient(message, input, &refuse)?;
    lists(message, input, &refuse)?;
    document(pack, plan, message, input, &refuse)
}

type Refuse<'f> = dyn Fn(&str, &str) -> Result<(), RenderError> + 'f;

/// Each identifier in PID-3 is one that we were given of this patient, and one is there.
fn patient(message: &Message, input: &Value, refuse: &Refuse<'_>) -> Result<(), RenderError> {
    let theirs: HashSet<String> = each(input, "/patient/local_identifiers", "value")
        .chain(at(input, "/patient/nhs_number"))
        .map(squashed)
        .collect();
    let ours = at(input, "/patient_id").map(squashed);
    let mut named = false;
    for pid in message.segments_named("PID") {
        for repeat in pid.field(3).repeats() {
            let id = message.unescape(repeat.component(1).raw()).text;
            let id = squashed(&id);
            if id.is_empty() {
                continue;
            }
            let is_theirs = theirs.contains(&id);
            if !is_theirs && ours.as_ref() != Some(&id) {
                return refuse(
                    "in which PID-3 holds an identifier that is none of the patient's",
                    "print patient.nhs_number or the value of patient.local_identifiers, each alone, with ~ between them",
                );
            }
            named |= is_theirs;
        }
    }
    if named {
        return Ok(());
    }
    refuse(
        "that does not identify the patient in PID-3",
        "print patient.nhs_number or the value of patient.local_identifiers there",
    )
}

/// Two identifiers that a loop printed without `~` between them: the second begins in the middle of a component.
fn lists(message: &Message, input: &Value, refuse: &Refuse<'_>) -> Result<(), RenderError> {
    let ids: Vec<&str> = each(input, "/patient/local_identifiers", "value")
        .chain(each(input, "/referral/details/external_ids", "value"))
        .chain(at(input, "/patient/nhs_number"))
        .collect();
    // What stands there beside the identifiers may end as one of them does: those words are known.
    let settings = input.get("settings").and_then(Value::as_object).into_iter().flat_map(|s| s.values());
    let known: HashSet<&str> = ids
        .iter()
        .copied()
        .chain(["assigning_authority", "type"].into_iter().flat_map(|f| each(input, "/patient/local_identifiers", f)))
        .chain(each(input, "/referral/details/external_ids", "system"))
        .chain(settings.filter_map(Value::as_str))
        .collect();
    for (segment, field) in IDENTIFIER_LISTS {
        let begins: HashSet<String> = message
            .segments_named(segment)
            .flat_map(|s| s.field(*field).repeats().map(|r| message.unescape(r.component(1).raw()).text.into_owned()))
            .collect();
        let separator = char::from(message.delimiters().component);
        let parts =
            || whole(message, Some((segment, *field))).filter(|v| !v.contains(separator) && !known.contains(&**v));
        let glued = |id: &&str| !begins.contains(*id) && parts().any(|v| v.len() > id.len() && v.ends_with(*id));
        if ids.iter().any(glued) {
            return refuse(
                &format!("in which two identifiers of {segment}-{field} run into each other"),
                "put ~ between them: {% if not loop.last %}~{% endif %} at the end of the loop",
            );
        }
    }
    Ok(())
}

/// The document's id; and of what replaces or withdraws another, also that one's, ours or the record's.
fn document(
    pack: &Pack,
    plan: &Plan<'_>,
    message: &Message,
    input: &Value,
    refuse: &Refuse<'_>,
) -> Result<(), RenderError> {
    let Some((kind, action)) = plan.entry.entry.split_once('.').filter(|(kind, _)| *kind != "referral_reply") else {
        return Ok(());
    };
    let nothing = serde_json::Map::new();
    let settings = input.get("settings").and_then(Value::as_object).unwrap_or(&nothing);
    let keeps = pack.manifest.render_entry(&format!("{kind}.replace"), settings).is_some_and(|r| r.keeps_document_id);
    let own = at(input, "/message/document_id");
    let first = at(input, "/message/first_document_id").filter(|_| keeps);
    let former: Vec<&str> = ["/message/replaces/document_id", "/message/replaces/record_id"]
        .into_iter()
        .filter_map(|place| at(input, place))
        .chain(first)
        .collect();
    // In a document message the id has one place; others have none that all share.
    let is_mdm = message.msh().field(9).repeats().next().is_some_and(|r| r.component(1).raw() == "MDM");
    let event = message.msh().field(9).repeats().next().map(|r| r.component(2).raw()).unwrap_or_default();
    let (own_place, named) = if is_mdm { (" in TXA-12", Some(("TXA", 12))) } else { ("", None) };
    let parents = if is_mdm && event != "T08" && event != "T11" { Some(("TXA", 13)) } else { named };
    let any = |place, ids: &[&str]| ids.iter().any(|id| holds(message, place, id));
    let names_own = own.is_some_and(|id| holds(message, named, id));
    let hint = "print {{ message.document_id }}, a value of its own between delimiters";
    let by_former =
        "print {{ message.replaces.document_id }}, or {{ message.first_document_id }} with keeps_document_id = true";
    match action {
        "create" if !names_own && !first.is_some_and(|id| holds(message, named, id)) => {
            refuse(&format!("that does not name its document{own_place}: no repeat could be recognised"), hint)
        }
        "replace" if plan.entry.keeps_document_id && !first.is_some_and(|id| holds(message, named, id)) => refuse(
            &format!(
                "that does not name the document which the record keeps{own_place}, though keeps_document_id is true"
            ),
            "print {{ message.first_document_id }}, or remove keeps_document_id",
        ),
        "replace" if plan.entry.keeps_document_id => Ok(()),
        "replace" if !names_own => refuse(
            &format!("that does not name its document{own_place}: no repeat could be recognised"),
            "print {{ message.document_id }}; where the record edits the document it has, say keeps_document_id = true",
        ),
        "replace" | "withdraw" if !any(parents, &former) => {
            refuse("that does not name the document it replaces or withdraws", by_former)
        }
        "withdraw" if is_mdm && !names_own && !any(named, &former) => {
            refuse("that names no document in TXA-12", by_former)
        }
        _ => Ok(()),
    }
}

/// Where in a message: a field of every segment of this name. `None`: all but MSH.
type Place<'p> = Option<(&'p str, usize)>;

/// Whether this value stands alone between delimiters there.
fn holds(message: &Message, place: Place<'_>, value: &str) -> bool {
    whole(message, place).any(|v| v == value)
}

/// Every value that stands alone between delimiters: repetitions, components and their parts.
fn whole<'m>(message: &'m Message, place: Place<'m>) -> impl Iterator<Item = Cow<'m, str>> {
    let delimiters = message.delimiters();
    let component = char::from(delimiters.component);
    let part = delimiters.subcomponent.map_or(component, char::from);
    let is_meant = move |segment: &Segment<'_>| place.map_or(segment.id() != "MSH", |(id, _)| segment.id() == id);
    let fields = move |segment: Segment<'m>| place.map_or(1..=segment.field_count(), |(_, field)| field..=field);
    let segments = message.segments().filter(is_meant);
    let repeats = segments.flat_map(move |s| fields(s).flat_map(move |field| s.field(field).repeats()));
    let pieces = repeats
        .map(|r| r.raw())
        .flat_map(move |raw| [raw].into_iter().chain(raw.split(component)).chain(raw.split([component, part])));
    // No identifier is longer; a document's content is no name.
    pieces.filter(|p| !p.is_empty() && p.len() <= 512).map(|p| message.unescape(p).text)
}
