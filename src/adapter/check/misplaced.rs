//! Rows that take what says who somebody is from a field that says something else (HL7 v2.4 and 2.5.1, chapter 3), or say of every patient what is true
//! of one. Such a row passes every rule of a format, and its example too once that was blessed.

use super::super::fault::Faults;
use super::super::lint;
use super::super::manifest::{FILE, Format};
use super::super::pack::Pack;

/// A segment and a field of it.
type Place = (&'static str, usize);

/// Our fields by how their names end, and where HL7 has what they hold. Segments of a trust's own (Z) may have anything.
const PLACES: &[(&[&str], &[Place], &str)] = &[
    (
        &["date_of_birth", "birth_year", "surviving_date_of_birth", "surviving_birth_year"],
        &[("PID", 7)],
        "PID-7 is the date of birth",
    ),
    (
        &["family_name", "name.family", "name.given", "given_names", "surviving_family_name", "patient_family_name"],
        &[("PID", 5), ("PID", 9)],
        "PID-5 is the patient's name",
    ),
    (&["gender"], &[("PID", 8)], "PID-8 is the sex"),
    (
        &["nhs_number", "patient_nhs_number", "surviving_nhs_number"],
        &[("PID", 2), ("PID", 3), ("PID", 4), ("PID", 19)],
        "PID-3 has the patient's identifiers",
    ),
    (
        &["local_identifiers.value", "patient_identifiers.value", "surviving_identifiers.value"],
        &[("PID", 2), ("PID", 3), ("PID", 4), ("PID", 18), ("PV1", 19), ("PV1", 50)],
        "PID-3 has the patient's identifiers",
    ),
    (
        &["losing_nhs_number", "losing_identifiers.value"],
        &[("MRG", 1), ("MRG", 2), ("MRG", 4)],
        "MRG-1 has the identifiers of the record that goes",
    ),
    (
        &["address.lines", "address.city", "address.county", "address.postcode"],
        &[("PID", 11), ("PID", 12)],
        "PID-11 is where the patient lives",
    ),
    (&["phone"], &[("PID", 13), ("PID", 14), ("PID", 40)], "PID-13 is the patient's telephone"),
    (
        &["deceased", "patient_deceased", "surviving_deceased", "died_on"],
        &[("PID", 29), ("PID", 30), ("PV1", 36), ("PV1", 45), ("MSH", 9), ("EVN", 1)],
        "PID-29 and PID-30 tell of a death",
    ),
    (
        &["changed_at", "merged_at"],
        &[
            ("MSH", 7),
            ("EVN", 2),
            ("EVN", 6),
            ("PID", 33),
            ("RF1", 7),
            ("RF1", 9),
            ("ORC", 9),
            ("ORC", 15),
            ("OBR", 7),
            ("OBR", 22),
            ("PV1", 44),
            ("PV1", 45),
        ],
        "EVN-6, EVN-2, ORC-9 and MSH-7 say when it was: what is older never overwrites what is newer",
    ),
];

/// What says who somebody is, and so is never the same for everybody.
const OF_ONE: &[&str] = &[
    "date_of_birth",
    "birth_year",
    "nhs_number",
    "name.family",
    "name.given",
    "family_name",
    "given_names",
    "patient_nhs_number",
    "surviving_nhs_number",
    "losing_nhs_number",
    "local_identifiers.value",
    "surviving_identifiers.value",
    "losing_identifiers.value",
];

/// What no row says of everybody: our message, the field, and what it would do.
const NEVER_FIXED: &[(&str, &str)] = &[
    ("PatientChange", "deceased"),
    ("PatientMerge", "merges.surviving_deceased"),
    ("CreateReferralRequest", "patient_deceased"),
    ("ReferralChange", "patient_deceased"),
];

/// Words of a template that say who the patient is.
const IDENTITY: &[&str] = &["patient.nhs_number", "patient.name.family", "patient.name.given", "patient.date_of_birth"];

/// Whole names: `address.city` ends with `city`, `other_family_names` not with `family_names`.
fn ends_with(ours: &str, name: &str) -> bool {
    ours.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

pub fn check(pack: &Pack, faults: &mut Faults) {
    for map in pack.maps.values() {
        for (ours, places, says) in PLACES.iter().flat_map(|(ours, at, says)| ours.iter().map(move |o| (o, at, says))) {
            for name in map.names().into_iter().filter(|name| ends_with(name, ours)) {
                for (segment, field, line) in map.places_of(&name) {
                    if segment.starts_with('Z') || places.contains(&(segment.as_str(), field)) {
                        continue;
                    }
                    let what = format!("takes {name} from {segment}-{field}, where HL7 has something else");
                    faults.add(
                        &map.file,
                        line,
                        what,
                        format!("{says}; a field of a trust's own stands in a Z segment"),
                    );
                }
            }
        }
    }
    let hl7 = pack.maps.values().map(|m| (&m.file, m.makes.as_str(), m.said_of_all()));
    let trees = pack.tree_maps.values().map(|m| (&m.file, m.makes.as_str(), m.said_of_all()));
    for (file, makes, said) in hl7.chain(trees) {
        for (ours, value, line) in said {
            // That somebody is alive is what a referral says that does not say otherwise; a change would take a death back.
            let is_change = makes.starts_with("Patient");
            let is_who = OF_ONE.iter().any(|name| ends_with(&ours, name));
            let is_sex = ends_with(&ours, "gender") && !value.contains("NOT_KNOWN") && !value.contains("NOT_SPECIFIED");
            if is_who || is_sex {
                let what = format!("says the same {ours} of every patient of whom no row above it says otherwise");
                faults.add(file, line, what, "take it from where the message says it, or leave the row away");
            }
            if NEVER_FIXED.contains(&(makes, ours.as_str())) && (value == "true" || is_change) {
                let what = format!("says {ours} = {value} of every patient of whom no row above it says otherwise");
                faults.add(file, line, what, "take it from where the message says it, or leave the row away");
            }
        }
    }
    defaults(pack, faults);
    removals(pack, faults);
}

/// One patient's name, number or birth, printed for all who have none.
fn defaults(pack: &Pack, faults: &mut Faults) {
    for file in pack.sources.under("templates") {
        let Some(source) = pack.sources.text(file, &mut Faults::default()) else { continue };
        for tag in lint::tags(file, &source, &mut Faults::default()) {
            let inner = &source[tag.inner.clone()];
            let is_who =
                |word: &&&str| inner.match_indices(**word).any(|(at, _)| has_default(&inner[at + word.len()..]));
            if let Some(word) = IDENTITY.iter().find(is_who) {
                let what = format!("gives {word} a default: whoever has none would be somebody else");
                let hint = "take the default away: an entry that cannot say whose it is waits for a person, or use | blank where the receiver takes nothing";
                faults.add(file, tag.line, what, hint);
            }
        }
    }
}

/// Filters that follow at once, up to the end of the expression.
fn has_default(rest: &str) -> bool {
    let rest = rest.trim_start();
    let Some(filters) = rest.strip_prefix('|') else { return false };
    let end = filters.find(['%', '}']).unwrap_or(filters.len());
    filters[..end].split('|').any(|f| f.trim_start().starts_with("default"))
}

/// An event that leaves the record where it is, taken for one that takes it out: every note would be held.
fn removals(pack: &Pack, faults: &mut Faults) {
    if pack.format() != Format::Hl7v2 {
        return;
    }
    for entry in &pack.manifest.parse {
        let Some(map) = pack.maps.get(&entry.map).filter(|map| map.makes == "PatientChange") else { continue };
        // A trust's own event may mean anything.
        let is_standard = entry.message.starts_with("ADT^A") && entry.message != "ADT^A29";
        if is_standard && map.kind_of(&entry.message, &pack.tables).as_deref() == Some("PATIENT_CHANGE_KIND_REMOVED") {
            let what = format!(
                "{} leaves the record where it is, and {} makes a removal of it: whatever is written of the patient would be held",
                entry.message, entry.map
            );
            let hint = "write \"kind\" = { value = \"PATIENT_CHANGE_KIND_UPDATED\" }; ADT^A29 takes a record out";
            faults.add(FILE, entry.line, what, hint);
        }
    }
}
