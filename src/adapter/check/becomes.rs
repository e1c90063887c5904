//! What a message says has become of its entry, in the words of its format: a withdrawal that says "available", a correction that says "new", or a referral
//! declined that says "accepted" is well-formed, and is read as the opposite of what was meant.

use super::super::examples::{Case, Outcome};
use super::super::fault::Faults;
use super::super::hl7::Message;
use super::super::input;
use super::super::manifest::Format;
use super::super::pack::Pack;
use super::variants::message;
use serde_json::Value;

type Wrong = (String, &'static str);

pub fn check(pack: &Pack, case: &Case, outcome: &Outcome, faults: &mut Faults) {
    let Some(input) = pack.example_input(case, &mut Faults::default()) else { return };
    let Some(entry) = input::entry_name(&input) else { return };
    let accepted = input.pointer("/entry/referral_reply/accepted").and_then(Value::as_bool).unwrap_or(false);
    let wrong = match pack.format() {
        Format::Hl7v2 => message(pack, &input).map(|message| hl7(&message, entry, accepted)),
        Format::Fhir => {
            let body = outcome.text.split_once("\n\n").and_then(|(_, body)| serde_json::from_str(body).ok());
            body.map(|body: Value| fhir(&body, entry, accepted))
        }
        Format::Document | Format::Xml => None,
    };
    let nothing = serde_json::Map::new();
    let settings = input.get("settings").and_then(Value::as_object).unwrap_or(&nothing);
    let Some(row) = pack.manifest.render_entry(entry, settings) else { return };
    for (what, hint) in wrong.unwrap_or_default() {
        faults.add(&format!("templates/{}", row.template), 0, format!("{entry}: {what}"), hint);
    }
}

/// HL7 v2.4 and 2.5.1, chapters 9 (tables 0271, 0273), 11 (0283) and 7 (0123).
fn hl7(message: &Message, entry: &str, accepted: bool) -> Vec<Wrong> {
    let said = |segment: &str, field: usize, component: usize| {
        let found = message.segments_named(segment).next()?;
        let repeat = found.field(field).repeats().next()?;
        Some(repeat.component(component).raw().to_owned()).filter(|raw| !raw.is_empty())
    };
    let (kind, event) = (said("MSH", 9, 1).unwrap_or_default(), said("MSH", 9, 2).unwrap_or_default());
    let mut wrong = Vec::new();
    match (kind.as_str(), event.as_str()) {
        ("MDM", "T11") if said("TXA", 19, 1).is_some_and(|status| status != "CA") => {
            wrong.push((
                "TXA-19 does not say that the document is cancelled".into(),
                "T11 takes a document back: write CA there",
            ));
        }
        ("MDM", event) if event != "T11" && said("TXA", 19, 1).is_some_and(|status| status == "CA") => {
            wrong.push(("TXA-19 says that the document is cancelled".into(), "write AV there: it is to be read"));
        }
        ("MDM", "T02") if entry.ends_with(".replace") => {
            let hint = "send T10, which names what it replaces in TXA-13, or T08, which edits it";
            wrong.push(("MSH-9 says T02, a new document: what it replaces would stand beside it".into(), hint));
        }
        ("RRI", _) => {
            let status = said("RF1", 1, 1).unwrap_or_default();
            if (accepted && status == "R") || (!accepted && status == "A") {
                let what =
                    format!("RF1-1 says the opposite of the answer ({} was meant)", if accepted { "A" } else { "R" });
                wrong.push((what, "ask {% if entry.referral_reply.accepted %}: then A, else R"));
            }
        }
        ("ORU", _) if !entry.ends_with(".create") && said("OBR", 25, 1).is_some_and(|status| status == "F") => {
            wrong.push(("OBR-25 says final of what corrects another".into(), "write C there, and in OBX-11"));
        }
        _ => {}
    }
    wrong
}

/// FHIR R4, DocumentReference.status and relatesTo, Task.status.
fn fhir(body: &Value, entry: &str, accepted: bool) -> Vec<Wrong> {
    let text = |place: &str| body.pointer(place).and_then(Value::as_str).unwrap_or_default();
    let mut wrong = Vec::new();
    match text("/resourceType") {
        "DocumentReference" if !entry.ends_with(".withdraw") => {
            for key in ["status", "docStatus"] {
                if text(&format!("/{key}")) == "entered-in-error"
                    || (key == "status" && text("/status") == "superseded")
                {
                    let what = format!("{key} says that the document is not to be read");
                    wrong.push((what, "write \"status\": \"current\", and \"docStatus\": \"final\" or \"amended\""));
                }
            }
            let related = body.get("relatesTo").and_then(Value::as_array).into_iter().flatten();
            let other = |code: &Value| !matches!(code.as_str(), Some("replaces" | "transforms"));
            if entry.ends_with(".replace") && related.filter_map(|r| r.get("code")).any(other) {
                let what = "relatesTo does not say that it replaces the other: both would stand".into();
                wrong.push((what, "write \"code\": \"replaces\""));
            }
        }
        "Task" if entry.starts_with("referral_reply.") => {
            let status = text("/status");
            let says_no = matches!(status, "rejected" | "cancelled" | "failed" | "entered-in-error");
            let says_yes = matches!(status, "accepted" | "in-progress" | "completed" | "ready");
            if (accepted && says_no) || (!accepted && says_yes) {
                let what = "status says the opposite of the answer".into();
                wrong.push((what, "\"status\": { \"$if\": \"entry.referral_reply.accepted\", \"$then\": \"accepted\", \"$else\": \"rejected\" }"));
            }
        }
        _ => {}
    }
    wrong
}
