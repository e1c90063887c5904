//! Ids that name something else than they are taken for: a message's id as a referral's, a visit's as a patient's, our own as the record's.

use super::super::examples::{Case, CaseKind, Outcome, REPLY_CONTROL_ID};
use super::super::fault::Faults;
use super::super::manifest::FILE;
use super::super::pack::Pack;
use super::super::reply::ReplyRules;

/// Where maps put the id of a referral, and those of a patient.
const REFERRALS: &[&str] = &["details.external_ids.value", "external_ids.value"];
const PATIENTS: &[&str] = &[
    "patient_details.local_identifiers.value",
    "local_identifiers.value",
    "patient_identifiers.value",
    "replaces.local_identifiers.value",
    "merges.surviving_identifiers.value",
    "merges.losing_identifiers.value",
];
/// Numbers of a visit and of an account.
const VISITS: &[(&str, usize)] = &[("PV1", 19), ("PV1", 50), ("PID", 18)];
/// Characters of an id that we give.
const OWN_CHARS: usize = 26;

pub fn check(pack: &Pack, outcomes: &[(Case, Outcome)], faults: &mut Faults) {
    for map in pack.maps.values() {
        for (segment, field, line) in REFERRALS.iter().flat_map(|ours| map.places_of(ours)) {
            let whose = match segment.as_str() {
                "MSH" => "a message",
                "PID" => "a patient",
                _ => continue,
            };
            let what = format!(
                "takes the id of a referral from {segment}-{field}, which names {whose}: the same referral would come again as another one, or two be taken for one"
            );
            let hint = "name the field that has the referral's own number, such as RF1-6, or ORC-2 of an order";
            faults.add(&map.file, line, what, hint);
        }
    }
    for (case, outcome) in outcomes.iter().filter(|(case, _)| case.kind == CaseKind::Reply) {
        let said = outcome.text.lines().find_map(|line| line.strip_prefix("record_id = "));
        let said = said.map(|quoted| quoted.trim_matches('"'));
        if let Some(id) = said.filter(|id| *id == REPLY_CONTROL_ID || is_of_ours(id)) {
            let whose = if id == REPLY_CONTROL_ID { "the control id of our message" } else { "an id that we gave" };
            let what = format!("takes {whose} for the record's own id of the document");
            let hint = "record_id names the place where the EPR gives its own id; leave it away where it gives none";
            faults.add(&format!("examples/{}/{}", case.name, outcome.file), 0, what, hint);
        }
    }
}

/// Crockford base32, as our document ids are.
fn is_of_ours(id: &str) -> bool {
    let good = |b: u8| b.is_ascii_digit() || b.is_ascii_uppercase() && !matches!(b, b'I' | b'L' | b'O' | b'U');
    id.len() == OWN_CHARS && id.starts_with('0') && id.bytes().all(good)
}

pub fn doubts(pack: &Pack) -> Vec<String> {
    let mut doubts = Vec::new();
    for map in pack.maps.values() {
        let of_visits = PATIENTS.iter().flat_map(|ours| map.places_of(ours));
        for (segment, field, line) in of_visits.filter(|(segment, field, _)| VISITS.contains(&(segment, *field))) {
            doubts.push(format!(
                "{}:{line}: doubt: takes {segment}-{field} for a number of the patient: it is one of a visit or an account, and the next visit has another; ask the supplier",
                map.file
            ));
        }
    }
    if let ReplyRules::Xml(rules) = &pack.manifest.reply
        && rules.record_id.is_none()
        && rules.echo.at.is_none()
        && !pack.manifest.render.is_empty()
    {
        doubts.push(format!(
            "{FILE}: doubt: [reply] has neither record_id nor echo_at: a yes that answers another message would file this one; ask the supplier what a reply names"
        ));
    }
    doubts
}
