//! What FHIR R4 does not know stands in no resource of ours: a mistyped element is named where it is typed, also when its examples were blessed.

use crate::adapter_breaks::pack_folder;
use crate::adapter_words::changed;
use ips_bridge::adapter::{Fault, check::check};
use ips_bridge::verdict::verdict;
use std::fs;

/// What `check` says of a copy with one text of one file changed, examples aside: those may be blessed.
fn broken(file: &str, find: &str, put: &str) -> (u32, Vec<Fault>) {
    let (_folder, pack) = changed("fhir-uk-core", &[(file, find, put)]);
    let text = fs::read_to_string(pack_folder("fhir-uk-core").join(file)).expect("the file");
    let line = 1 + text[..text.find(find).expect("it was changed")].matches('\n').count();
    // Few are enough.
    for case in fs::read_dir(pack.join("examples")).expect("readable") {
        let case = case.expect("readable");
        let name = case.file_name().to_string_lossy().into_owned();
        if !matches!(name.as_str(), "render-note" | "render-outcome-job-start" | "render-note-late-sensitive") {
            fs::remove_dir_all(case.path()).expect("removed");
        }
    }
    let of_ours = |fault: &Fault| !fault.file.starts_with("examples/");
    let faults = check(&pack, verdict).faults.into_iter().filter(of_ours).collect();
    (u32::try_from(line).expect("small"), faults)
}

#[test]
fn what_fhir_does_not_know_is_named_where_it_is_typed() {
    let document = "templates/document.json";
    for (file, find, put, what) in [
        (
            document,
            "\"docStatus\"",
            "\"docstatus\"",
            "\"docstatus\" is no element of DocumentReference in FHIR R4; did you mean \"docStatus\"?",
        ),
        (
            document,
            "\"status\": \"current\"",
            "\"statsu\": \"current\"",
            "\"statsu\" is no element of DocumentReference in FHIR R4; did you mean \"status\"?",
        ),
        (
            document,
            "\"status\": \"current\"",
            "\"status\": \"currnet\"",
            "status is not one of the codes that FHIR R4 allows here; did you mean \"current\"?",
        ),
        (
            document,
            "\"category\": [{ \"$include\": \"parts/category.json\" }]",
            "\"category\": { \"$include\": \"parts/category.json\" }",
            "category is a list, and one object stands here; put it into brackets: [ { … } ]",
        ),
        (
            document,
            "\"subject\": { \"$include\": \"parts/subject.json\" }",
            "\"subject\": [{ \"$include\": \"parts/subject.json\" }]",
            "subject is one, and a list stands here; take the brackets away",
        ),
        (
            document,
            "\"description\": \"{{ entry.title }}\"",
            "\"description\": { \"text\": \"{{ entry.title }}\" }",
            "description is a string, and an object stands here; write the value itself",
        ),
        (
            document,
            "\"type\": { \"$include\": \"parts/type.json\" }",
            "\"type\": \"{{ settings.document_type }}\"",
            "type is a CodeableConcept, and a text stands here; write an object with coding, text",
        ),
        (
            document,
            "DocumentReference\",\n",
            "DocumentReferense\",\n",
            "resourceType is no resource of FHIR R4; did you mean \"DocumentReference\"?",
        ),
        (
            document,
            "\"{{ entry.recorded_at | fhir_time }}\"",
            "\"{{ entry.recorded_at | uk_time }}\"",
            "makes a message in which date is no instant of FHIR (example render-note",
        ),
        (
            "templates/parts/content.json",
            "\"contentType\"",
            "\"contentTyp\"",
            "\"contentTyp\" is no element of Attachment in FHIR R4; did you mean \"contentType\"?",
        ),
        (
            "templates/parts/context.json",
            "\"period\"",
            "\"periods\"",
            "\"periods\" is no element of DocumentReference.context in FHIR R4; did you mean \"period\"?",
        ),
        (
            "templates/parts/outcome.json",
            "\"valueDateTime\"",
            "\"valueDatetime\"",
            "\"valueDatetime\" is no element of Observation.component in FHIR R4; did you mean \"valueDateTime\"?",
        ),
        (
            "templates/task.json",
            "\"intent\": \"order\"",
            "\"intent\": \"ordered\"",
            "intent is not one of the codes that FHIR R4 allows here",
        ),
        (
            "maps/patient.toml",
            "birthDate",
            "birthDat",
            "\"birthDat\" is no element of a resource in FHIR R4, so that this path gives nothing; did you mean \"birthDate\"?",
        ),
        (
            "adapter.toml",
            "$.entry[?@.resource",
            "$.entyr[?@.resource",
            "\"entyr\" is no element of a resource in FHIR R4, so that this path gives nothing; did you mean \"entry\"?",
        ),
    ] {
        let (line, faults) = broken(file, find, put);
        let said = format!("{file}:{line}: ");
        let shown: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert!(shown.iter().any(|f| f.starts_with(&said) && f.contains(what)), "{put}: {shown:#?}");
    }
}

#[test]
fn what_fhir_demands_is_there_in_every_template_and_every_example() {
    let (_, faults) = broken("templates/document.json", "  \"status\": \"current\",\n", "");
    let missing = "templates/document.json:1: DocumentReference has no \"status\" here, which it must have in FHIR R4; add it: one of current, superseded, entered-in-error";
    assert!(faults.iter().any(|f| f.to_string() == missing), "{faults:#?}");
    // Only where a condition fails.
    let (file, code) = ("templates/observation.json", "\"code\": { \"$include\": \"parts/observation_code.json\" }");
    let late = code.replace("{ \"$include\"", "{ \"$if\": \"message.is_late\", \"$then\": { \"$include\"") + " }";
    let (line, faults) = broken(file, code, &late);
    let made = format!(
        "{file}:{line}: makes an Observation without \"code\", which it must have in FHIR R4 (example render-outcome-job-start)"
    );
    assert!(faults.iter().any(|f| f.to_string().starts_with(&made)), "{faults:#?}");
}
