//! JSON Schemas of a pack's own files, so that editors complete and underline. Which keys there are, and what each holds, is
//! what the readers asked for while they read a file that has everything; only the words beside them stand here.

use super::fault::Faults;
use super::input::ENTRIES;
use super::manifest::{FILE, Manifest};
use super::map;
use super::overlay;
use super::reply::{ACK_CODES, meanings};
use super::sources::Sources;
use super::table::{Asked, TomlFile, Wanted};
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::collections::BTreeSet;

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A base and a layer over it, between them with every kind of table.
const BASE: &str = "schema = 1\nid = \"base\"\n[settings]\na = { help = \"a\", example = \"a\", choices = [\"a\"] }\nb = { help = \"b\", example = \"b\" }\nc = { help = \"c\", example = 1, type = \"number\" }\nd = { help = \"d\", example = true, type = \"flag\" }\n[[render]]\nentry = \"note.create\"\n[[parse]]\nmessage = \"REF^I12\"\n[codes.a]\nfile = \"codes/a.csv\"\n[lookup.a]\npath = \"a\"\n[namespaces]\n[session]\nsend = {}\nover = {}\n[answer]\ntaken = {}\n[reply]\n";
const OVER: &str = "schema = 1\nid = \"over\"\nextends = \"base\"\n[without]\nexamples = []\n";
const MAP: &str = "makes = \"CreateReferralRequest\"\npick.a = [{ from = \"PID-5\" }]\naccept.\"PID-30\" = { is = \"\" }\n\"details.team\" = { from = \"PRD-1\" }\n";

/// What stands beside a key while it is written.
const SAID: &[(&str, &str, &str)] = &[
    ("the manifest", "schema", "The layout of this file: 1."),
    ("the manifest", "id", "The folder's name."),
    ("the manifest", "name", "What the pack is, for people."),
    ("the manifest", "version", "Three numbers. Raise it with any change to a rendered byte."),
    ("the manifest", "status", "How far it is proved. Live endpoints refuse drafts."),
    ("the manifest", "evidence", "For tested and live: where, when and with which system it was proved."),
    ("the manifest", "owners", "Who answers questions about it."),
    ("the manifest", "format", "What the bytes are: hl7v2, fhir, xml or document."),
    (
        "the manifest",
        "extends",
        "The pack beside this one that it is laid over: \"hl7v2-uk\", or with its version \"hl7v2-uk@0.1.0\".",
    ),
    ("the manifest", "without", "What of the base is not there."),
    ("the manifest", "settings", "What each site must fill in."),
    ("the manifest", "render", "Ours to theirs: which entry uses which template."),
    ("the manifest", "parse", "Theirs to ours: which message uses which map."),
    ("the manifest", "codes", "Code tables."),
    (
        "the manifest",
        "repetitions",
        "hl7v2 packs: names for what stands between a path's brackets: { nhs_number = \"4=NHS or 5=NH\" } is PID-3[nhs_number] in maps.",
    ),
    ("the manifest", "reply", "What acknowledgements mean: by error code first, then by MSA-1."),
    (
        "the manifest",
        "read_back",
        "Where the record can be asked for what was sent. fhir packs: by = \"identifier\"; xml packs: [read_back.<name>], a question and what its answer must show.",
    ),
    ("the manifest", "lookup", "fhir and xml packs: what the record is asked before a message is made."),
    ("the manifest", "namespaces", "xml packs: prefixes that its paths use, each with its namespace."),
    (
        "the manifest",
        "session",
        "fhir and xml packs: the log in of an API's own, which gives a token for every request.",
    ),
    ("the manifest", "answer", "xml packs: what the sender of a message is told; else a status and a sentence."),
    ("[answer]", "content_type", "text/xml; charset=utf-8 unless given."),
    ("[answer]", "taken", "A message that was taken in, or taken note of."),
    ("[answer]", "refused", "A message that was kept and not taken in."),
    ("an answer", "status", "The HTTP status: 200 to 299 where it was taken, 400 to 599 where it was not."),
    ("an answer", "xml", "The body, with {{ message.id }}, {{ message.type }}, {{ answer.why }} and {{ settings.… }}."),
    ("[session]", "path", "Where one logs in, below the endpoint's base_url."),
    ("[session]", "method", "POST, or PUT."),
    ("[session]", "headers", "Fixed texts, e.g. { SOAPAction = '\"urn:login\"' }."),
    (
        "[session]",
        "xml",
        "The body, with {{ login.user }}, {{ login.password }} and {{ settings.… }} in it: who we are is config's (https.auth).",
    ),
    ("[session]", "json", "The same as JSON, values within quotes."),
    ("[session]", "form", "The same as name=value&name=value."),
    ("[session]", "token", "The token in the answer: a path into XML, or a JSONPath ($.token)."),
    ("[session]", "send", "Which header carries it: { header = \"Authorization\", value = \"Bearer {{ token }}\" }."),
    ("[session]", "lasts_seconds", "How long a token lasts, in seconds; it is given up a little before."),
    (
        "[session]",
        "over",
        "Beside a 401, what says that the session is over and the message was not looked at: { at = \"/…/faultcode\", is = [\"Expired\"] }.",
    ),
    ("[lookup.a]", "path", "What is asked: this path and query. Values of the input are escaped."),
    (
        "[lookup.a]",
        "one",
        "The one thing in the answer: a JSONPath, in xml packs a path; none or several stop the message.",
    ),
    ("[lookup.a]", "gives", "What is taken from it, each by a path: { id = \"$.id\" } is lookup.name.id in templates."),
    ("[lookup.a]", "nhs_number", "Where it says its NHS number, which must be the patient's."),
    ("[lookup.a]", "method", "xml packs: GET, or POST with xml and safe."),
    ("[lookup.a]", "headers", "xml packs: fixed texts."),
    ("[lookup.a]", "xml", "xml packs: the body of a POST. Values of the input are escaped."),
    ("[lookup.a]", "safe", "xml packs: why asking by POST changes nothing."),
    ("[lookup.a]", "answered", "xml packs, required there: what must stand in the answer, once, for it to be one."),
    ("[lookup.a]", "more", "xml packs: where the answer says that it shows only some."),
    ("[lookup.a]", "died", "xml packs: where it says that the patient has died."),
    ("[lookup.a]", "unchecked", "Why its NHS number cannot be compared."),
    ("[lookup.a]", "when", "Settings under which it is asked."),
    ("the manifest", "result", "document packs: what files that come back mean."),
    ("the manifest", "reply_exempt", "Why there is no example of a reply."),
    ("[[render]]", "entry", "Which of our entries."),
    ("[[render]]", "template", "A file under templates/."),
    ("[[render]]", "when", "Settings that must have these values for this row to be the one."),
    ("[[render]]", "text_code", "OBX-3.1 of the rows whose text must read back exactly: a code, or settings.name."),
    ("[[render]]", "keeps_document_id", "The record keeps the first document's id (HL7 v2 T08)."),
    (
        "[[render]]",
        "request",
        "fhir and xml packs: method, path and headers of what is sent; the template is its body.",
    ),
    ("[[render]]", "text_at", "fhir and xml packs: where the accepted text stands, so that it can be read back."),
    ("[[render]]", "document", "The document that is made before the message: page, kind, name, index."),
    ("[[render]]", "exempt", "Why there can be no example."),
    ("[[render]]", "patient_exempt", "Why what is sent does not say the patient's name and date of birth as they are."),
    ("[[render]]", "text_exempt", "Why the accepted text is not read back from what is sent."),
    (
        "[[parse]]",
        "message",
        "Type and trigger, as in MSH-9: REF^I12. In fhir packs a resource type, in xml packs the name of the element.",
    ),
    ("[[parse]]", "map", "A file under maps/."),
    (
        "[[parse]]",
        "when",
        "fhir packs: a JSONPath; the row is for resources in which something stands there. The row without one stands last.",
    ),
    (
        "[[parse]]",
        "id",
        "xml packs, required there: where the message names itself, so that a repeat is told from another message.",
    ),
    ("[[parse]]", "exempt", "Why there can be no example."),
    ("[codes.a]", "file", "A file under codes/, with the columns ours,theirs,note."),
    ("[codes.a]", "missing", "What a code that the table lacks does: \"error\", or { replacement = \"…\" }."),
    ("[codes.a]", "without", "Words of ours that have no row, each with the reason: { WORD = \"why\" }."),
    (
        "setting",
        "help",
        "What it is and who gives it. In an overlay, a setting with a help is said anew; without one, only what is given changes.",
    ),
    ("setting", "example", "A value that a site could use."),
    ("setting", "default", "What holds when the site says nothing; without one it must."),
    ("setting", "type", "text, flag or number; leave it away where there are choices."),
    ("setting", "choices", "All that it may be."),
    ("setting", "max_chars", "Longest text."),
    ("setting", "min", "Smallest number."),
    ("setting", "max", "Largest number."),
    ("[without]", "entries", "Entries of the base that this pack does not render."),
    ("[without]", "messages", "Messages of the base that this pack does not parse."),
    ("[without]", "settings", "Settings of the base that are not there."),
    ("[without]", "codes", "Code tables of the base that are not there."),
    ("[without]", "lookups", "Lookups of the base that are not made."),
    ("[without]", "read_back", "true: the record cannot be asked for what was sent, as the base's can."),
    (
        "[without]",
        "reply",
        "true: none of the base's reply rows; under this pack's own lie the usual ones of its format.",
    ),
    ("[without]", "examples", "Cases of the base that make no sense here: names, or how they begin (\"parse-*\")."),
    ("[codes.a]", "any_case", "Theirs are read whether they come in capitals or not."),
    ("the map", "makes", "Our message that it fills, e.g. CreateReferralRequest."),
    (
        "the map",
        "once",
        "HL7 v2: segments that stand once in a message, e.g. PID; with ? once or not at all. In an [each] with a group: once in each group.",
    ),
    ("a row", "from", "A path, or several: the first that is there."),
    ("a row", "words", "Several paths, joined by spaces."),
    ("a row", "lines", "Several paths, joined by line breaks."),
    ("a row", "list", "Several paths, as a list."),
    ("a row", "value", "A fixed value."),
    ("a row", "setting", "The site's setting of this name."),
    ("a row", "as", "A filter, e.g. hl7_date or code:gender."),
    (
        "a row",
        "when",
        "\"PID-8\": only if that is there; \"!PID-8\": only if it is not. HL7 v2: of several, each must hold.",
    ),
    ("a row", "pick", "The [pick] whose repetition the row takes components from."),
    ("a row", "ambiguous", "\"absent\": several different values count as none."),
    ("a row", "unknown", "\"absent\": a code that the table lacks counts as none."),
    ("a row", "optional", "May be absent."),
];

/// Schema of `adapter.toml`.
pub fn manifest() -> Value {
    let over = Sources::from_files("over", [(FILE, OVER)]).over(Sources::from_files("base", [(FILE, BASE)]));
    let cell = RefCell::new(Faults::default());
    let texts = over.manifests(&mut Faults::default()).unwrap_or_default();
    let text = texts.concat();
    let file = TomlFile::new(FILE, &text, &cell);
    if let Some((root, line)) = overlay::root(&over, &file, &texts) {
        Manifest::from_table(&over, &file, line, &root);
    }
    let asked = file.asked();
    let mut root = table(&asked, |t| t == "the manifest");
    root["anyOf"] = json!([{ "required": ["extends"] }, { "required": ["format"] }]);
    root["required"] = json!(["schema", "id", "name", "version", "status", "owners"]);
    let mut put = |key: &str, value: Value| {
        let said = root["properties"][key]["description"].take();
        root["properties"][key] = value;
        root["properties"][key]["description"] = said;
    };
    // An overlay may change a single key of a setting or table.
    let part = |of: &str| {
        let mut part = table(&asked, |t| t.starts_with(of));
        part.as_object_mut().map(|o| o.remove("required"));
        part
    };
    put("schema", json!({ "const": 1 }));
    put("status", json!({ "enum": ["draft", "tested", "live"] }));
    put("settings", json!({ "type": "object", "additionalProperties": part("setting ") }));
    put("codes", json!({ "type": "object", "additionalProperties": part("[codes.") }));
    put("lookup", json!({ "type": "object", "additionalProperties": part("[lookup.") }));
    put("repetitions", json!({ "type": "object", "additionalProperties": { "type": "string" } }));
    put("namespaces", json!({ "type": "object", "additionalProperties": { "type": "string" } }));
    put("session", table(&asked, |t| t == "[session]"));
    put("answer", table(&asked, |t| t == "[answer]"));
    put("without", table(&asked, |t| t == "[without]"));
    put("render", json!({ "type": "array", "items": table(&asked, |t| t == "[[render]]") }));
    put("parse", json!({ "type": "array", "items": table(&asked, |t| t == "[[parse]]") }));
    put("reply", reply());
    for key in ["taken", "refused"] {
        let mut answer = table(&asked, |t| t == "an answer");
        answer["description"] = root["properties"]["answer"]["properties"][key]["description"].take();
        root["properties"]["answer"]["properties"][key] = answer;
    }
    root["properties"]["render"]["items"]["properties"]["entry"]["enum"] = json!(ENTRIES);
    root["properties"]["settings"]["additionalProperties"]["properties"]["type"]["enum"] =
        json!(["text", "flag", "number"]);
    whole("An adapter pack's manifest (adapter.toml)", root)
}

/// Texts under these keys, each required.
fn tree_table(keys: &[&str], says: &str) -> Value {
    let of: Map<String, Value> = keys.iter().map(|key| ((*key).to_owned(), json!({ "type": "string" }))).collect();
    json!({ "type": "object", "description": says, "properties": of, "required": keys, "additionalProperties": false })
}

fn reply() -> Value {
    let words: BTreeSet<&str> = meanings().chain(super::fhir::reply_meanings()).collect();
    let meaning = json!({ "enum": words });
    let mut known: Map<String, Value> = ACK_CODES.iter().map(|c| ((*c).to_owned(), meaning.clone())).collect();
    known.insert("ae_without_code".into(), json!({ "enum": ["retry", "refused", "unknown"] }));
    known.insert(
        "record_id".into(),
        json!({ "type": "string", "description": "Where a positive reply gives the EPR's own id of the document." }),
    );
    known.insert(
        "error_at".into(),
        json!({ "type": "string", "description": "hl7v2 packs: where the receiver says what went wrong, beside MSA and ERR; whatever stands there is an error." }),
    );
    let issues = json!({ "type": "object", "additionalProperties": meaning, "description": "fhir packs: by the code of an OperationOutcome's issue." });
    known.insert("issue".into(), issues);
    let acks = json!({ "type": "object", "additionalProperties": meaning, "description": "fhir packs: by a code of an acknowledgement that comes as a message." });
    known.insert("ack".into(), acks);
    for (key, says) in XML_REPLY {
        known.insert((*key).into(), json!({ "type": "string", "description": says }));
    }
    for (key, says) in [("result", "result_at says"), ("fault", "a Fault gives")] {
        let says = format!("xml packs: by the code that {says}.");
        known.insert(key.into(), json!({ "type": "object", "additionalProperties": meaning, "description": says }));
    }
    let patterns = json!({ "[0-9]": meaning, "^(issue|ack|result|fault)\\.": meaning });
    json!({ "type": "object", "properties": known, "patternProperties": patterns, "additionalProperties": false })
}

/// Rows of an xml pack's `[reply]` that are paths.
const XML_REPLY: &[(&str, &str)] = &[
    ("result_at", "xml packs: where a reply says how it went."),
    ("fault_at", "xml packs: where a Fault says why; SOAP's own place unless given."),
    ("echo_at", "xml packs: where a reply names what it answers."),
    ("echo_of", "xml packs: where what was sent names itself."),
];

/// Schema of `maps/*.toml`.
pub fn map() -> Value {
    let cell = RefCell::new(Faults::default());
    let file = TomlFile::new("maps/a.toml", MAP, &cell);
    if let Some(root) = file.root() {
        map::from_table(&file, &Default::default(), &root);
    }
    let asked = file.asked();
    let mut root = table(&asked, |t| t == "the map");
    let texts = || json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] });
    let rows = json!({ "$ref": "#/$defs/rows" });
    let choice = || {
        json!({ "anyOf": [
            { "type": "string", "description": "HL7 v2: what stands between a path's brackets, e.g. 4=NHS or 5=NH, or a name of [repetitions]." },
            { "type": "object", "additionalProperties": texts() },
        ] })
    };
    let mut row = table(&asked, |t| t == "a row");
    row["properties"]["agreed"] = json!({ "type": "array", "items": { "type": "string" }, "description": "FHIR, XML: several paths; all that they give must be one value." });
    row["properties"]["also"] = json!({
        "type": "object",
        "description": "Beside lines: words of ours, a line each, where something stands at a path.",
        "additionalProperties": { "type": "string" },
    });
    root["$defs"] = json!({
        "row": { "anyOf": [{ "type": "string", "description": "A path, e.g. PID-5.1" }, row] },
        "rows": { "anyOf": [{ "$ref": "#/$defs/row" }, { "type": "array", "items": { "$ref": "#/$defs/row" }, "description": "The first that gives a value." }] },
    });
    let mut element = json!({
        "type": "object",
        "anyOf": [{ "required": ["field"] }, { "required": ["group"] }, { "required": ["from"] }],
        "properties": {
            "field": { "type": "string", "description": "HL7 v2: the field that repeats, e.g. PID-3." },
            "group": { "type": "string", "description": "HL7 v2: the segment that begins each group, e.g. PID." },
            "from": { "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }], "description": "FHIR: the nodes, of one path or of several; @ in the rows is one of them. XML: the elements; in the rows ./ begins at one of them." },
            "once": texts(),
            "only": choice(),
            "unless": choice(),
            "left_out": tree_table(&["from", "as", "unless", "why"], "FHIR, XML: where as makes something of what stands there in an element that only leaves out, and unless, a field of ours, is not there, the message is refused."),
        },
        "additionalProperties": rows,
    });
    let lists = |element: &Value| {
        json!({
            "type": "object",
            "description": "An element of a list of ours for each repetition of theirs.",
            "additionalProperties": element,
        })
    };
    element["properties"]["each"] = lists(&element);
    root["properties"]["each"] = lists(&element);
    root["properties"]["accept"] = json!({
        "type": "object",
        "description": "What these paths must say, or the message is refused; \"\" stands for an absent value.",
        "additionalProperties": { "anyOf": [texts(), table(&asked, |t| t == "a row of [accept]")] },
    });
    let alternative = json!({ "anyOf": [{ "type": "string" }, table(&asked, |t| t == "an alternative of [pick]")] });
    root["properties"]["current_at"] = json!({
        "type": "string",
        "description": "FHIR: where the message says when it was made; names, addresses, telecoms and identifiers that are old, or ended before, are not looked at.",
    });
    root["properties"]["valid"] = json!({
        "type": "object",
        "description": "HL7 v2: which components of a repetition say from when and until when it holds; one that does not hold at MSH-7 is not looked at.",
        "additionalProperties": { "type": "object", "properties": { "from": texts(), "until": texts() }, "additionalProperties": false },
    });
    root["properties"]["pick"] = json!({
        "type": "object",
        "description": "Repetitions (FHIR, XML: elements) of which one is chosen before rows take parts of it: the first alternative under which something was sent.",
        "additionalProperties": { "anyOf": [alternative, { "type": "array", "items": alternative }] },
    });
    root["additionalProperties"] = rows;
    whole("An adapter pack's map (maps/*.toml): ours = theirs", root)
}

fn whole(title: &str, root: Value) -> Value {
    let mut all = json!({ "$schema": DRAFT, "title": title });
    if let (Some(all), Value::Object(root)) = (all.as_object_mut(), root) {
        all.extend(root);
    }
    all
}

/// The schema of the tables that a reader read under such names.
fn table(asked: &[Asked], named: impl Fn(&str) -> bool) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for a in asked.iter().filter(|a| named(&a.table)) {
        let mut one = holds(a.wanted);
        let said = SAID.iter().find(|(table, key, _)| a.table.starts_with(*table) && a.key == *key);
        if let (Some(one), Some((_, _, words))) = (one.as_object_mut(), said) {
            one.insert("description".into(), (*words).into());
        }
        properties.insert(a.key.into(), one);
        if a.required && !required.contains(&a.key) {
            required.push(a.key);
        }
    }
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn holds(wanted: Wanted) -> Value {
    match wanted {
        Wanted::Anything => json!({}),
        Wanted::Text => json!({ "type": "string" }),
        Wanted::Flag => json!({ "type": "boolean" }),
        Wanted::Integer => json!({ "type": "integer" }),
        Wanted::Texts => json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] }),
        Wanted::Table => json!({ "type": "object" }),
        Wanted::Tables => json!({ "type": "array", "items": { "type": "object" } }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_that_is_explained_is_one_that_a_reader_asks_for() {
        let (manifest, map) = (manifest(), map());
        let tables = [
            ("the manifest", manifest["properties"].clone()),
            ("[[render]]", manifest["properties"]["render"]["items"]["properties"].clone()),
            ("[[parse]]", manifest["properties"]["parse"]["items"]["properties"].clone()),
            ("[codes.a]", manifest["properties"]["codes"]["additionalProperties"]["properties"].clone()),
            ("[session]", manifest["properties"]["session"]["properties"].clone()),
            ("[answer]", manifest["properties"]["answer"]["properties"].clone()),
            ("an answer", manifest["properties"]["answer"]["properties"]["taken"]["properties"].clone()),
            ("[lookup.a]", manifest["properties"]["lookup"]["additionalProperties"]["properties"].clone()),
            ("setting", manifest["properties"]["settings"]["additionalProperties"]["properties"].clone()),
            ("[without]", manifest["properties"]["without"]["properties"].clone()),
            ("the map", map["properties"].clone()),
            ("a row", map["$defs"]["row"]["anyOf"][1]["properties"].clone()),
        ];
        for (table, key, words) in SAID {
            let (_, keys) = tables.iter().find(|(name, _)| name == table).unwrap_or_else(|| panic!("{table}"));
            assert_eq!(keys[key]["description"], *words, "{table} {key}");
        }
        for (table, keys) in &tables {
            assert!(keys.as_object().is_some_and(|k| !k.is_empty()), "{table}");
        }
    }
}
