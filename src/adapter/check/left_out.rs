//! What no map may leave out: that somebody has died, and that nobody may learn where they live. A message is taken without a word of it where
//! no row reads it, so a pack that leaves it out says nothing of its own accord; here it is said for it.

use super::super::manifest::{FILE, Format};
use super::super::pack::Pack;

/// Our message, the field, and whether it is of a death.
const FIELDS: &[(&str, &str, bool)] = &[
    ("PatientChange", "deceased", true),
    ("PatientMerge", "merges.surviving_deceased", true),
    ("CreateReferralRequest", "patient_deceased", true),
    ("ReferralChange", "patient_deceased", true),
    ("PatientChange", "location_shielded", false),
    ("PatientMerge", "merges.location_shielded", false),
    ("CreateReferralRequest", "location_shielded", false),
    ("ReferralChange", "patient_location_shielded", false),
];

/// A doubt for each field that a map has no row for. Each map once, whatever messages it reads.
pub fn doubts(pack: &Pack) -> Vec<String> {
    let mut doubts = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for entry in &pack.manifest.parse {
        if seen.contains(&entry.map.as_str()) {
            continue;
        }
        seen.push(&entry.map);
        let hl7 = pack.maps.get(&entry.map);
        let tree = pack.tree_maps.get(&entry.map);
        let Some(makes) = hl7.map(|m| &m.makes).or(tree.map(|m| &m.makes)) else { continue };
        let gives = |ours: &str| hl7.is_some_and(|m| m.gives(ours)) || tree.is_some_and(|m| m.gives(ours));
        for (_, ours, of_death) in FIELDS.iter().filter(|(of, ours, _)| of == makes && !gives(ours)) {
            let lost = match of_death {
                true => "a death would not be read, and letters would go on to somebody who has died",
                false => "nobody would see that the address is to be kept from everybody",
            };
            let place = where_it_stands(pack.format(), *of_death);
            doubts.push(format!(
                "{FILE}:{}: doubt: {} has no row for {ours}: {lost}; {place}, or ask the supplier whether it is never sent",
                entry.line, entry.map
            ));
        }
    }
    doubts
}

/// Where the rest of a text comes to stand whose sender did not escape a `|` in it: field of the text, and the one behind it.
const CUTS: &[(&str, usize, usize)] = &[("NTE", 3, 4), ("OBX", 5, 6)];

/// A doubt for each text of a referral that would be cut unseen. It may say of what to beware.
pub fn cut(pack: &Pack) -> Vec<String> {
    let mut doubts = Vec::new();
    for map in pack.maps.values().filter(|map| map.makes == "CreateReferralRequest") {
        for (segment, text, behind) in CUTS {
            if let Some(line) = map.reads(segment, *text).filter(|_| !map.asks(segment, *behind)) {
                doubts.push(format!(
                    "{}:{line}: doubt: takes a text from {segment}-{text} and never looks at {segment}-{behind}: where the EPR does not escape a | in it, the rest stands there and is lost; \
                     add an accept row as hl7v2-uk/maps/ref_i12.toml has, or ask the supplier",
                    map.file
                ));
            }
        }
    }
    doubts
}

fn where_it_stands(format: Format, of_death: bool) -> &'static str {
    match (format, of_death) {
        (Format::Hl7v2 | Format::Document, true) => "HL7 says it in PID-29 and PID-30 (and a stay's end in PV1-36)",
        (Format::Hl7v2 | Format::Document, false) => "HL7 says it in PD1-12, ITK in ZU8-4",
        (Format::Fhir, true) => "FHIR says it in Patient.deceasedBoolean and Patient.deceasedDateTime",
        (Format::Fhir, false) => "FHIR says it in Patient.meta.security (code R)",
        (Format::Xml, _) => "find where their message says it",
    }
}
