//! Shipped packs, each broken in one place that would put a note under the wrong name, or leave a wrong one in force.

use super::check::check_loaded;
use super::pack::Pack;
use super::render::{RenderError, RenderOptions};
use super::sources::Sources;
use super::{Fault, input, overlay};
use serde_json::{Value, json};
use std::path::Path;

/// The files of a pack that make messages.
fn files(id: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters").join(id);
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").map(|e| e.expect("an entry").path()) {
            let name = entry.strip_prefix(&root).expect("below").to_string_lossy().replace('\\', "/");
            if entry.is_dir() {
                folders.push(entry);
            } else if !name.starts_with("examples/") && !name.ends_with(".md") {
                found.push((name, std::fs::read_to_string(&entry).expect("text")));
            }
        }
    }
    found
}

/// The pack with one text of one file changed, laid over its base.
fn load(id: &str, change: Option<(&str, &str, &str)>) -> Result<Pack, Vec<Fault>> {
    let mut files = files(id);
    if let Some((file, old, new)) = change {
        let text = files.iter_mut().find(|(name, _)| name == file).unwrap_or_else(|| panic!("no {file}"));
        assert!(text.1.contains(old), "{file} has no {old}");
        text.1 = text.1.replace(old, new);
    }
    let sources = |id: &str, files: &[(String, String)]| {
        Sources::from_files(id, files.iter().map(|(n, t)| (n.as_str(), t.as_str())))
    };
    let own = sources(id, &files);
    Pack::from_sources(match overlay::extends(&own)? {
        Some(extends) => own.over(sources(&extends.base, &self::files(&extends.base))),
        None => own,
    })
}

fn example(id: &str, case: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters").join(id).join("examples").join(case);
    let text = std::fs::read_to_string(path.join("input.json")).expect("an input");
    input::to_json(&input::from_json(&text).expect("an input")).expect("JSON")
}

fn render(pack: &Pack, mut value: Value, settings: &[(&str, Value)]) -> Result<(), String> {
    let mut all = pack.manifest.settings.examples();
    all.extend(settings.iter().map(|(name, v)| ((*name).to_owned(), v.clone())));
    let settings = pack.manifest.settings.resolve(&all, "settings").expect("settings");
    value["settings"] = Value::Object(settings);
    match pack.render_value(&value, &RenderOptions::default()) {
        Ok(_) => Ok(()),
        Err(RenderError::NotRenderable(faults)) => Err(faults[0].to_string()),
        Err(other) => panic!("{other}"),
    }
}

/// Made by the pack as it is shipped; refused with these words once it is broken.
fn refused(id: &str, case: &str, settings: &[(&str, Value)], change: (&str, &str, &str), why: &str) {
    render(&load(id, None).expect("a pack"), example(id, case), settings).expect("the shipped pack makes it");
    let pack = load(id, Some(change)).unwrap_or_else(|f| panic!("{change:?}: {f:?}"));
    let said = render(&pack, example(id, case), settings).expect_err(&format!("{change:?} is made"));
    assert!(said.contains(why), "{change:?}: {said}");
}

#[test]
fn an_hl7_message_that_does_not_name_itself_is_never_made() {
    let head = "templates/parts/head.hl7";
    let of = |old, new, why| refused("hl7v2-uk", "render-note", &[], (head, old, new), why);
    of("{{ message.control_id }}", "17", "MSH-10");
    of("{{ message.processing_id }}", "P", "MSH-11");
}

#[test]
fn an_hl7_message_names_its_document_and_the_one_it_speaks_of() {
    let t11 = json!("T11");
    let t10 = ("replace_as", json!("T10"));
    let of = |case, setting: (&str, Value), change, why| refused("hl7v2-uk", case, &[setting], change, why);
    let txa = "templates/parts/txa.hl7";
    of("render-note", t10.clone(), (txa, "|||{{ document }}{%", "|||1{%"), "does not name its document in TXA-12");
    let own = ("templates/mdm_t11.hl7", "message.replaces.document_id", "message.document_id");
    of("render-note-withdrawn-t11", ("withdraw_as", t11), own, "does not name the document it replaces or withdraws");
    let none =
        ("templates/mdm_t10.hl7", "set parent = message.replaces.document_id", "set parent = message.document_id");
    of("render-note-replaced-t10", t10.clone(), none, "does not name the document it replaces or withdraws");
    let t08 = ("replace_as", json!("T08"));
    let new = ("templates/mdm_t08.hl7", "message.first_document_id", "message.document_id");
    of("render-note-replaced-t08", t08.clone(), new, "keeps_document_id is true");
    let forgotten = ("adapter.toml", "keeps_document_id = true", "# keeps_document_id = true");
    of("render-note-replaced-t08", t08, forgotten, "does not name its document in TXA-12");
    let oru = ("templates/oru_r01.hl7", "{{ message.first_document_id }}", "{{ message.document_id }}");
    refused("hl7v2-oru-pdf", "render-note-withdrawn", &[], oru, "does not name the document it replaces or withdraws");
}

#[test]
fn an_hl7_message_identifies_its_patient_by_what_we_were_given() {
    let pid = "templates/parts/pid.hl7";
    let of = |old, new, why| refused("hl7v2-uk", "render-note", &[], (pid, old, new), why);
    of("{{ patient.nhs_number | nhs_number }}", "9990000050", "none of the patient's");
    of("{{ id.value }}", "{{ patient.name.family }}", "none of the patient's");
}

#[test]
fn two_identifiers_that_run_into_each_other_are_refused() {
    let glued = ("templates/parts/pid.hl7", "{% if not loop.last or patient.nhs_number %}~{% endif %}", "");
    refused("hl7v2-uk", "render-note", &[], glued, "run into each other");
}

#[test]
fn a_fhir_request_names_its_document_and_goes_where_its_resource_does() {
    let of = |case, change, why| refused("fhir-uk-core", case, &[], change, why);
    let manifest = "adapter.toml";
    let exist = "\"If-None-Exist\" = \"identifier={{ settings.identifier_system }}|{{ message.document_id }}\"";
    let first = "\"If-None-Exist\" = \"identifier={{ settings.identifier_system }}|{{ message.first_document_id }}\"";
    of("render-note-replaced", (manifest, exist, first), "If-None-Exist does not name");
    let path = "DocumentReference/{{ message.replaces.record_id }}";
    let own = (manifest, path, "DocumentReference/{{ message.document_id }}");
    of("render-note-withdrawn", own, "id is not the one its path names");
    let withdrawn = "templates/document_withdrawn.json";
    let id = "\"id\": \"{{ message.replaces.record_id }}\",";
    of("render-note-withdrawn", (withdrawn, id, "\"id\": \"1\","), "id is not the one its path names");
    let status = "\"status\": \"entered-in-error\"";
    of("render-note-withdrawn", (withdrawn, status, "\"status\": \"current\""), "status is not entered-in-error");
    let kind = "\"resourceType\": \"DocumentReference\"";
    let other = ("templates/document.json", kind, "\"resourceType\": \"Communication\"");
    of("render-note", other, "another type than its path names");
}

#[test]
fn a_fhir_withdrawal_never_goes_to_a_new_place() {
    let mut files = files("fhir-uk-core");
    for (name, text) in &mut files {
        if name == "adapter.toml" || name == "templates/document_withdrawn.json" {
            *text = text.replace("{{ message.replaces.record_id }}", "{{ message.document_id }}");
        }
    }
    let pack = Sources::from_files("fhir-uk-core", files.iter().map(|(n, t)| (n.as_str(), t.as_str())));
    let pack = Pack::from_sources(pack).expect("a pack");
    let said = render(&pack, example("fhir-uk-core", "render-note-withdrawn"), &[]).expect_err("made");
    assert!(said.contains("PUT to another place"), "{said}");
}

#[test]
fn whom_the_record_found_is_whom_a_fhir_resource_is_about() {
    let pack = load("fhir-uk-core", None).expect("a pack");
    let lookup = [("subject_by", json!("lookup"))];
    let mut value = example("fhir-uk-core", "render-note");
    value["lookup"] = json!({"patient": {"id": "p-1"}});
    render(&pack, value.clone(), &lookup).expect("made");
    let subject = "templates/parts/subject.json";
    for new in ["Patient/{{ message.document_id }}", "Patient/p-2"] {
        let changed = load("fhir-uk-core", Some((subject, "Patient/{{ lookup.patient.id }}", new))).expect("a pack");
        let said = render(&changed, value.clone(), &lookup).expect_err("made");
        assert!(said.contains("not about the patient"), "{said}");
    }
    let gone = ("templates/document.json", "\"subject\": { \"$include\": \"parts/subject.json\" },", "");
    let said = render(&load("fhir-uk-core", Some(gone)).expect("a pack"), value, &lookup).expect_err("made");
    assert!(said.contains("not about the patient"), "{said}");
}

#[test]
fn a_misspelt_condition_and_a_kept_id_are_faults_of_a_fhir_pack() {
    for (old, new, why) in [
        ("\"If-None-Exist\"", "\"If-None-Exists\"", "did you mean \"If-None-Exist\"?"),
        (
            "entry    = \"note.replace\"",
            "entry    = \"note.replace\"\nkeeps_document_id = true",
            "keeps_document_id is not",
        ),
    ] {
        let Err(faults) = load("fhir-uk-core", Some(("adapter.toml", old, new))) else { panic!("{new} is taken") };
        assert!(faults.iter().any(|f| f.to_string().contains(why) && f.line > 0), "{faults:?}");
    }
}

/// From whom a note is to be kept stands nowhere else.
#[test]
fn a_note_that_shows_no_heading_or_not_that_it_is_late_is_a_doubt() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/_template");
    let doubts = |changed: Option<(&str, &str)>| {
        let mut files = files("_template");
        let input = "examples/render-note/input.json";
        files.push((input.into(), std::fs::read_to_string(folder.join(input)).expect("an input")));
        if let Some((old, new)) = changed {
            let note = files.iter_mut().find(|(name, _)| name == "templates/note.hl7").expect("the template");
            assert!(note.1.contains(old), "{old}");
            note.1 = note.1.replace(old, new);
        }
        let sources = Sources::from_files("_template", files.iter().map(|(n, t)| (n.as_str(), t.as_str())));
        let pack = Pack::from_sources(sources).expect("a pack");
        let told = check_loaded(&pack, |_, _, _, _| panic!("there is no reply")).done;
        told.into_iter().filter(|l| l.contains("does not show")).collect::<Vec<_>>()
    };
    assert_eq!(doubts(None), [""; 0]);
    let loud = doubts(Some(("{% for line in entry.headings %}", "{% for line in [] %}")));
    assert!(loud.len() == 1 && loud[0].contains("entry.headings"), "{loud:?}");
    let late = doubts(Some(("{% if message.is_late %}", "{% if false %}")));
    assert!(late.len() == 1 && late[0].contains("message.is_late"), "{late:?}");
}

#[test]
fn a_create_that_says_nothing_of_repeats_is_a_doubt() {
    let exist = "\"If-None-Exist\" = \"identifier={{ settings.identifier_system }}|{{ message.document_id }}\", ";
    let pack = load("fhir-uk-core", Some(("adapter.toml", exist, ""))).expect("a pack");
    let told = check_loaded(&pack, |_, _, _, _| panic!("there is no reply")).done;
    assert!(told.iter().any(|l| l.contains("note.create is a POST without If-None-Exist")), "{told:?}");
}
