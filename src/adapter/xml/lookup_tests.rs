use crate::adapter::{Found, NotLookedUp, Pack, Sources, input};
use crate::wire::v1::RenderInput;

const MANIFEST: &str = r#"
schema = 1
id = "x"
name = "x"
version = "0.1.0"
status = "draft"
owners = ["a@b.example"]
format = "xml"
[[render]]
entry = "note.create"
template = "templates/note.xml"
request = { method = "POST", path = "notes" }
text_at = { path = "/Note/Text", as = "text" }
[lookup.client]
method        = "POST"
path          = "find?when={{ patient.date_of_birth }}"
xml           = """
<Find><Nhs>{{ patient.nhs_number }}</Nhs>
  <Name n="{{ patient.name.family }}"/></Find>
"""
safe          = "Find only reads, by its description"
answered      = "/Found"
more          = "/Found/@more"
one           = "/Found/Client"
gives         = { id = "./@id" }
nhs_number    = "./Nhs"
date_of_birth = "./Born"
died          = "./Died"
[reply]
record_id = "/Result/Id"
"#;
const NOTE: &str =
    "<Note c=\"{{ lookup.client.id }}\"><Ref>{{ message.document_id }}</Ref><Text>{{ entry.text }}</Text></Note>";
const INPUT: &str = include_str!("../../../adapters/_template/examples/render-note/input.json");

fn load(manifest: &str) -> Result<Pack, Vec<String>> {
    Pack::from_sources(Sources::from_files("x", [("adapter.toml", manifest), ("templates/note.xml", NOTE)]))
        .map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

fn the_input() -> RenderInput {
    input::from_json(INPUT).expect("an input")
}

fn answered(reply: &str) -> Result<(Found, RenderInput), NotLookedUp> {
    let pack = load(MANIFEST).unwrap_or_else(|f| panic!("{f:?}"));
    let mut input = the_input();
    pack.looked_up("client", reply.as_bytes(), &mut input).map(|found| (found, input))
}

fn client(more: &str) -> String {
    let patient = the_input().patient.expect("a patient");
    let (number, born) = (patient.nhs_number.expect("a number"), patient.date_of_birth);
    format!("<Client id=\"c-17\"><Nhs>{number}</Nhs><Born>{born}Z</Born>{more}</Client>")
}

#[test]
fn the_question_is_made_of_the_input_and_escaped() {
    let pack = load(MANIFEST).unwrap_or_else(|f| panic!("{f:?}"));
    let mut input = the_input();
    if let Some(name) = input.patient.as_mut().and_then(|p| p.name.as_mut()) {
        name.family = "O\"<Test".into();
    }
    let questions = pack.lookups(&input, &pack.input_settings(&input).expect("settings")).expect("a question");
    let asked = String::from_utf8(questions[0].request.clone()).expect("UTF-8");
    let number = input.patient.as_ref().and_then(|p| p.nhs_number.clone()).expect("a number");
    assert!(asked.starts_with("POST find?when=") && asked.contains("Content-Type: application/xml"), "{asked}");
    assert!(asked.contains(&format!("<Nhs>{number}</Nhs>")) && asked.contains("n=\"O&quot;&lt;Test\""), "{asked}");
}

#[test]
fn one_answer_about_the_patient_is_used() {
    let (found, input) = answered(&format!("HTTP 200\n\n<Found more=\"0\">{}</Found>", client(""))).expect("found");
    assert!(found.died.is_none());
    let pack = load(MANIFEST).unwrap_or_else(|f| panic!("{f:?}"));
    let rendered = pack.render(&input, &Default::default()).expect("renders");
    assert!(String::from_utf8_lossy(&rendered.bytes).contains("<Note c=\"c-17\">"));
    let (found, _) =
        answered(&format!("HTTP 200\n\n<Found>{}</Found>", client("<Died>2026-01-02</Died>"))).expect("found");
    assert!(found.died.is_some(), "a death that it tells of is told");
}

#[test]
fn of_none_of_several_and_of_another_patient_nothing_is_chosen() {
    let one = client("");
    let number = the_input().patient.and_then(|p| p.nhs_number).expect("a number");
    for (answer, word) in [
        ("<Found/>".to_owned(), "nothing is found"),
        (format!("<Found>{one}{one}</Found>"), "2 are found"),
        (format!("<Found more=\"true\">{one}</Found>"), "more than the answer shows"),
        (format!("<Found>{}</Found>", one.replace(&number, "9990000042")), "another NHS number"),
        (format!("<Found>{}</Found>", one.replace(&number, "")), "says no NHS number"),
        (format!("<Found>{}</Found>", one.replace("<Born>", "<Born>1")), "another date of birth"),
        (format!("<Found>{}</Found>", one.replace("c-17", " ")), "no single value"),
        (format!("<Found>{one}<Fault/></Found>"), "holds a fault"),
    ] {
        match answered(&format!("HTTP 200\n\n{answer}")) {
            Err(NotLookedUp::Unclear { why, .. }) => {
                assert!(why.contains(word) && !why.contains("999"), "{answer}: {why}")
            }
            Err(other) => panic!("{answer}: {other}"),
            Ok(_) => panic!("{answer}: something was chosen"),
        }
    }
}

#[test]
fn what_the_record_did_not_say_is_an_outage_and_nothing_about_the_patient() {
    for reply in [
        "HTTP 200\n\n<html/>",
        "HTTP 200\n\n",
        "HTTP 404\n\n<html/>",
        "HTTP 503\n\n<Found/>",
        "HTTP 500\n\n<Fault/>",
        "HTTP 401\n\n",
    ] {
        assert!(matches!(answered(reply), Err(NotLookedUp::Trouble { .. })), "{reply}");
    }
    assert!(matches!(answered("HTTP 404\n\n<Found/>"), Err(NotLookedUp::Unclear { .. })));
}

#[test]
fn a_lookup_that_could_change_something_or_be_anybodys_is_refused() {
    for (from, to, word) in [
        ("safe          = \"Find only reads, by its description\"\n", "", "may be asked again and again"),
        ("method        = \"POST\"", "method = \"GET\"", "a GET has no body"),
        ("method        = \"POST\"", "method = \"PUT\"", "does not ask"),
        ("nhs_number    = \"./Nhs\"\n", "", "where the answer has its NHS number"),
        ("one           = \"/Found/Client\"", "one = \"./Client\"", "begins at no element"),
        ("id = \"./@id\"", "id = \"/Found/Client/@id\"", "is not of what `one` finds"),
        ("answered      = \"/Found\"\n", "", "answered"),
        ("<Nhs>{{ patient.nhs_number }}</Nhs>", "<Nhs {{ patient.nhs_number }}/>", "stands in markup"),
        ("{{ patient.nhs_number }}", "{{ patient.nhs_numbr }}", "nhs_numbr"),
        ("{{ patient.nhs_number }}", "{{ lookup.other.id }}", "what another lookup gave"),
    ] {
        let said = load(&MANIFEST.replacen(from, to, 1)).err().unwrap_or_default();
        assert!(said.iter().any(|f| f.starts_with("adapter.toml:") && f.contains(word)), "{to}: {said:?}");
    }
}
