use super::*;
use crate::adapter::{Pack, ReplyRules, Sources};

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
[read_back.note]
of        = "/Note/Ref"
method    = "POST"
path      = "find"
xml       = "<Find><Ref>{{ sent.reference }}</Ref></Find>"
safe      = "Find only reads, by its description"
answered  = "/Found"
more      = "/Found/@more"
each      = "/Found/Note"
reference = "./Ref"
record_id = "./@id"
same      = { "./Client" = "/Note/Client" }
says      = { "./@state" = ["current"] }
[reply]
record_id = "/Result/Id"
result_at = "/*/@code"
result.OK = "positive"
"#;
const NOTE: &str = "<Note><Ref>{{ message.document_id }}</Ref><Text>{{ entry.text }}</Text></Note>";
const SENT: &[u8] = b"POST notes\n\n<Note><Ref>D 1^IPS&lt;</Ref><Client>9990000018</Client><Text>x</Text></Note>";

fn pack(manifest: &str) -> Result<Pack, Vec<String>> {
    Pack::from_sources(Sources::from_files("x", [("adapter.toml", manifest), ("templates/note.xml", NOTE)]))
        .map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

fn says(reply: &str) -> ReadBack {
    let pack = pack(MANIFEST).unwrap_or_else(|f| panic!("{f:?}"));
    let ReplyRules::Xml(rules) = &pack.manifest.reply else { panic!("an xml pack") };
    read_back_xml(reply.as_bytes(), SENT, &pack.manifest.read_backs, rules)
}

fn note(reference: &str, client: &str, id: &str) -> String {
    format!("<Note id=\"{id}\" state=\"current\"><Ref>{reference}</Ref><Client>{client}</Client></Note>")
}

const OURS: &str = "D 1^IPS&lt;";

#[test]
fn found_is_what_is_there_once_as_it_was_sent() {
    let one = note(OURS, "9990000018", "17");
    let other = note("D2", "9990000018", "18");
    for answer in [format!("<Found code=\"OK\">{one}</Found>"), format!("<Found more=\"false\">{one}{other}</Found>")] {
        assert_eq!(says(&format!("HTTP 200\n\n{answer}")), ReadBack::Found { record_id: "17".into() }, "{answer}");
    }
    assert_eq!(says("HTTP 200\n\n<Found/>"), ReadBack::NotFound);
}

#[test]
fn anything_else_says_neither() {
    let one = note(OURS, "9990000018", "17");
    for (reply, word) in [
        (String::new(), "cannot be read"),
        ("HTTP 404\n\n<Found/>".into(), "not 200"),
        ("HTTP 500\n\n<Found/>".into(), "not 200"),
        ("HTTP 200\n\n".into(), "not XML"),
        ("HTTP 200\n\n<html/>".into(), "none to this question"),
        (format!("HTTP 200\n\n<Found>{one}<Fault/></Found>"), "fault"),
        ("HTTP 200\n\n<Found code=\"ERROR\"/>".into(), "no yes"),
        ("HTTP 200\n\n<Found more=\"true\"/>".into(), "more than"),
        (format!("HTTP 200\n\n<Found more=\"1\">{one}</Found>"), "more than"),
        (format!("HTTP 200\n\n<Found>{}</Found>", note("D2", "9990000018", "18")), "others and not ours"),
        (format!("HTTP 200\n\n<Found>{one}<Note/></Found>"), "does not name itself"),
        (format!("HTTP 200\n\n<Found>{}</Found>", note(OURS, "9990000026", "17")), "somebody else"),
        (format!("HTTP 200\n\n<Found>{}</Found>", note(OURS, "", "17")), "somebody else"),
        (format!("HTTP 200\n\n<Found>{}</Found>", one.replace("current", "withdrawn")), "does not say"),
        (format!("HTTP 200\n\n<Found>{}</Found>", note(OURS, "9990000018", "")), "without an id"),
        (format!("HTTP 200\n\n<Found>{}</Found>", note(OURS, "9990000018", "1\u{200b}7")), "cannot be kept"),
    ] {
        match says(&reply) {
            ReadBack::CannotSay { why } => assert!(why.contains(word), "{reply}: {why}"),
            other => panic!("{reply}: {other:?}"),
        }
    }
    assert_eq!(says(&format!("HTTP 200\n\n<Found>{one}{one}</Found>")), ReadBack::Several);
}

#[test]
fn a_question_names_what_was_sent_and_nothing_else_is_asked_by_it() {
    let settings = serde_json::Map::new();
    let by_post = pack(MANIFEST).unwrap_or_else(|f| panic!("{f:?}"));
    let asked = by_post.read_back(SENT, &settings).expect("a question");
    let asked = String::from_utf8(asked).expect("UTF-8");
    assert!(asked.starts_with("POST find\n") && asked.ends_with("<Find><Ref>D 1^IPS&lt;</Ref></Find>"), "{asked}");
    let get = MANIFEST
        .replace("method    = \"POST\"\n", "")
        .replace("path      = \"find\"", "path = \"find/{{ sent.reference }}?r={{sent.reference}}\"")
        .replace("xml       = \"<Find><Ref>{{ sent.reference }}</Ref></Find>\"\n", "");
    let by_get = pack(&get).unwrap_or_else(|f| panic!("{f:?}"));
    let asked = String::from_utf8(by_get.read_back(SENT, &settings).expect("a question")).expect("UTF-8");
    assert!(asked.starts_with("GET find/D%201%5EIPS%3C?r=D%201%5EIPS%3C\n"), "{asked}");
    // What it is not the question for is not asked about.
    assert_eq!(by_get.read_back(b"POST notes\n\n<Withdrawn><Ref>D1</Ref></Withdrawn>", &settings), None);
    assert_eq!(by_get.read_back(b"POST notes\n\n<Note/>", &settings), None);
}

#[test]
fn a_question_that_could_change_something_or_prove_nothing_is_refused() {
    for (from, to, word) in [
        ("safe      = \"Find only reads, by its description\"\n", "", "may be asked again and again"),
        ("safe      = \"Find only reads, by its description\"", "safe = \"yes\"", "gives no reason"),
        ("method    = \"POST\"", "method = \"PUT\"", "does not ask"),
        ("method    = \"POST\"", "method = \"GET\"", "a GET has no body"),
        ("{{ sent.reference }}", "x", "does not say what it asks for"),
        ("{{ sent.reference }}", "{{ patient.nhs_number }}", "nothing that a question has"),
        ("path      = \"find\"", "path = \"find/{{ settings.x }}/{{ sent.reference }}\"", "cannot be sent"),
        ("path      = \"find\"", "path = \"/find\"", "cannot be sent"),
        ("same      = { \"./Client\" = \"/Note/Client\" }\n", "", "must be as it was sent"),
        ("\"./Client\" = ", "\"/Client\" = ", "is not of what `each` finds"),
        ("reference = \"./Ref\"", "reference = \"/Found/Note/Ref\"", "is not of what `each` finds"),
        ("each      = \"/Found/Note\"", "each = \"./Note\"", "begins at no element"),
        ("[\"current\"]", "\"current\"", "a value of another kind"),
        ("answered  = \"/Found\"\n", "", "answered"),
    ] {
        let said = pack(&MANIFEST.replacen(from, to, 1)).err().unwrap_or_default();
        assert!(said.iter().any(|f| f.starts_with("adapter.toml:") && f.contains(word)), "{to}: {said:?}");
    }
}
