//! What a pack can do to a patient without breaking any rule of a format: `adapter check` says so before anything is sent or taken in.

use crate::adapter_breaks::copy;
use crate::adapter_words::{changed, faults};
use ips_bridge::adapter::{Pack, check::check};
use ips_bridge::verdict::verdict;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A copy of a pack of `tests/packs` with texts of its files changed; what is put into a file that is not there is the file.
pub fn invented(id: &str, changes: &[(&str, &str, &str)]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let pack = folder.path().join(id);
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packs").join(id), &pack);
    for (file, find, put) in changes {
        let path = pack.join(file);
        if find.is_empty() {
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, put).expect("written");
            continue;
        }
        let text = fs::read_to_string(&path).expect("the file");
        assert!(text.contains(find), "{file} holds no {find}");
        fs::write(path, text.replacen(find, put, 1)).expect("written");
    }
    (folder, pack)
}

/// A fault that begins so and holds each of these.
#[track_caller]
pub fn told(said: &[String], begins: &str, holds: &[&str]) {
    let found = said.iter().any(|f| f.starts_with(begins) && holds.iter().all(|h| f.contains(h)));
    assert!(found, "nothing says {begins} … {holds:?}: {said:#?}");
}

pub fn doubts(pack: &Path) -> Vec<String> {
    check(pack, verdict).done.into_iter().filter(|d| d.contains(": doubt: ")).collect()
}

/// Tarn with a map of patients, read for this event.
fn with_person(event: &str, kind: &str) -> (TempDir, PathBuf) {
    let row = format!("[[parse]]\nmessage = \"{event}\"\nmap = \"maps/person.toml\"\n\n[codes.gender]");
    let map = format!(
        "makes = \"PatientChange\"\n\"kind\" = {kind}\n\"changed_at\" = {{ from = \"MSH-7.1\", as = \"hl7_time\" }}\n\
         \"nhs_number\" = {{ from = \"PID-3[4=NHS].1?\", as = \"nhs_number\" }}\n\"family_name\" = \"PID-5.1?\"\n"
    );
    invented("tarn", &[("adapter.toml", "[codes.gender]", &row), ("maps/person.toml", "", &map)])
}

const UPDATED: &str = "{ value = \"PATIENT_CHANGE_KIND_UPDATED\" }";

#[test]
fn a_merge_is_never_read_as_an_update() {
    for event in ["A18", "A30", "A34", "A35", "A36", "A39", "A40", "A41", "A47", "A24", "A43", "A45", "A49", "A50"] {
        let (_folder, pack) = with_person(&format!("ADT^{event}"), UPDATED);
        told(&faults(&pack), "adapter.toml:", &[event, "makes PatientChange of it", "a map that makes PatientMerge"]);
    }
    let (_folder, pack) = with_person("ADT^A37", UPDATED);
    told(&faults(&pack), "adapter.toml:", &["ADT^A37", "nothing that the bridge takes in says so"]);
    let (_folder, pack) = with_person("ADT^A08", UPDATED);
    assert!(!faults(&pack).iter().any(|f| f.contains("PatientMerge")));
}

#[test]
fn a_removal_is_never_read_as_an_update() {
    let removed = "{ value = \"PATIENT_CHANGE_KIND_REMOVED\" }";
    let by_event = format!("[{{ when = \"MSH-9[2=A29].1\", value = \"PATIENT_CHANGE_KIND_REMOVED\" }}, {UPDATED}]");
    for (kind, good) in [(UPDATED, false), (removed, true), (&by_event, true)] {
        let (_folder, pack) = with_person("ADT^A29", kind);
        let said = faults(&pack);
        assert_eq!(!said.iter().any(|f| f.contains("ADT^A29 takes a record out")), good, "{kind}: {said:#?}");
    }
}

#[test]
fn a_message_that_names_a_record_that_goes_is_kept_for_a_person_unless_it_is_read_as_a_merge() {
    let (_folder, pack) = with_person("ADT^A08", UPDATED);
    let pack = Pack::load(&pack).expect("loads");
    let read = |mrg: &str| {
        let message = format!(
            "MSH|^~\\&|TARN|RZZ|IPSBRIDGE|RZZ|20260302101500||ADT^A08|T1|T|2.5.1\rPID|1||9990000018^^^NHS^NH||TESTPATIENT^SAM\r{mrg}"
        );
        let settings =
            pack.manifest.settings.resolve(&pack.manifest.settings.examples(), "settings").expect("settings");
        pack.read(message.as_bytes(), &settings, "Europe/London").expect("can be read").1
    };
    assert_eq!(read(""), []);
    assert_eq!(read("MRG|\r"), []);
    let faults = read("MRG|4471921^^^TARN\r");
    assert!(
        faults.len() == 1 && faults[0].from == "MRG" && faults[0].what.contains("a person has to look"),
        "{faults:?}"
    );
}

#[test]
fn a_map_that_makes_a_referral_looks_at_whether_it_is_still_wanted() {
    let asked = "accept.\"RF1-1.1\" = { is = [\"\", \"P\"], why = \"the referral does not wait for an answer\" }\n";
    let none = ("maps/referral.toml", asked, "");
    let (_folder, pack) = invented("tarn", &[none]);
    told(
        &faults(&pack),
        "adapter.toml:",
        &["maps/referral.toml makes a referral of REF^I12", "never looks at RF1-1", "add accept."],
    );
    let order = ("adapter.toml", "message = \"REF^I12\"", "message = \"ORM^O01\"");
    let (_folder, pack) = invented("tarn", &[order]);
    told(&faults(&pack), "adapter.toml:", &["of ORM^O01", "never looks at ORC-1"]);
    let (_folder, pack) = invented("tarn", &[order, ("maps/referral.toml", asked, "accept.\"ORC-1\" = [\"NW\"]\n")]);
    assert!(!faults(&pack).iter().any(|f| f.contains("never looks at")));
    told(&doubts(&pack), "adapter.toml:", &["of ORM^O01", "never looks at ORC-5"]);
    let (_folder, pack) = invented("tarn", &[("adapter.toml", "message = \"REF^I12\"", "message = \"REF^I14\"")]);
    told(&faults(&pack), "adapter.toml:", &["REF^I14 cancels a referral"]);
    let (_folder, pack) =
        changed("fhir-uk-core", &[("maps/service_request.toml", "\"$.status\" = [\"active\"]\n", "")]);
    told(&faults(&pack), "adapter.toml:", &["makes a referral of ServiceRequest", "never looks at $.status"]);
}

#[test]
fn a_map_that_reads_no_death_and_no_shielding_is_doubted() {
    let death = "\"patient_deceased\"                  = { from = \"PID-29.1?\", as = \"told\" }\n";
    let shield =
        "\"location_shielded\"                 = { when = \"PD1-12[1=Y].1\", value = true, optional = true }\n";
    for (row, field, place) in [(death, "patient_deceased", "PID-29"), (shield, "location_shielded", "PD1-12")] {
        let (_folder, pack) = invented("tarn", &[("maps/referral.toml", row, "")]);
        told(&doubts(&pack), "adapter.toml:", &[&format!("has no row for {field}"), place]);
    }
    let (_folder, pack) = with_person("ADT^A08", UPDATED);
    told(&doubts(&pack), "adapter.toml:", &["maps/person.toml has no row for deceased", "PID-29"]);
    let (_folder, pack) = invented("tarn", &[]);
    assert!(!doubts(&pack).iter().any(|d| d.contains("has no row for")));
}

#[test]
fn a_text_of_a_referral_that_would_be_cut_unseen_is_doubted() {
    let asked = "accept.\"NTE-4\"   = { is = \"\", why = \"something stands behind the text of NTE-3: it may be the rest of it\" }\n";
    let (_folder, pack) = invented("tarn", &[("maps/referral.toml", asked, "")]);
    told(&doubts(&pack), "maps/referral.toml:", &["from NTE-3 and never looks at NTE-4", "does not escape a |"]);
    let (_folder, pack) = invented("tarn", &[]);
    assert!(!doubts(&pack).iter().any(|d| d.contains("NTE-4")));
}

#[test]
fn an_id_of_a_message_or_a_patient_is_none_of_a_referral_and_a_visit_is_no_patient() {
    for (field, whose) in [("MSH-10", "names a message"), ("PID-3", "names a patient")] {
        let (_folder, pack) =
            invented("tarn", &[("maps/referral.toml", "field    = \"RF1-6\"", &format!("field = \"{field}\""))]);
        told(&faults(&pack), "maps/referral.toml:", &["the id of a referral from", whose]);
    }
    for field in ["PID-18", "PV1-19"] {
        let (_folder, pack) =
            invented("tarn", &[("maps/referral.toml", "field  = \"PID-3\"", &format!("field = \"{field}\""))]);
        told(&doubts(&pack), "maps/referral.toml:", &[&format!("takes {field} for a number of the patient")]);
    }
}
