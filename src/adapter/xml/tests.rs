use super::*;
use crate::adapter::RenderOptions;
use crate::adapter::fault::Fault;
use crate::adapter::input;
use crate::adapter::pack::Pack;
use crate::adapter::render::RenderError;
use crate::adapter::sources::Sources;
use crate::transport::http_message::Request;
use proptest::prelude::*;
use serde_json::Value;

const DOCUMENT: &str = "<s:Envelope xmlns:s='urn:soap' xmlns='urn:notes'><s:Body><Patient>\
    <Id type='NHS'>9990000018</Id><Id type='MR'>4471920</Id><Id/>\
    <Phone id='1'><Use>home</Use></Phone><Phone id='2'><Use>work</Use><Ended/></Phone>\
    <Name>  Testpatient\n </Name><Both>a<b/>c</Both></Patient><s:Fault><code>x</code></s:Fault></s:Body></s:Envelope>";

fn spaces() -> Namespaces {
    let mut spaces = Namespaces::default();
    spaces.add("soap", "urn:soap");
    spaces.add("n", "urn:notes");
    spaces
}

fn found(path: &str) -> Result<Vec<String>, String> {
    let document = read(DOCUMENT.as_bytes()).expect("XML");
    let path = Path::parse(path, &spaces()).unwrap_or_else(|e| panic!("{path}: {e:?}"));
    path.texts(&document, None)
}

#[test]
fn a_path_chooses_by_names_and_by_what_stands_there() {
    for (path, texts) in [
        ("/Envelope/Body/Patient/Id[@type='NHS']", &["9990000018"][..]),
        ("/soap:Envelope/soap:Body/n:Patient/n:Id[@type=\"MR\"]", &["4471920"]),
        ("/Envelope/Body/*/Id", &["9990000018", "4471920"]),
        ("//Id[@type='MR' or @type='X']", &["4471920"]),
        ("//Id[.='4471920']/@type", &["MR"]),
        ("//Phone[Use='work']/@id", &["2"]),
        ("//Phone[not(Ended)]/@id", &["1"]),
        ("//Phone[Use][not(Use='home')]/@id", &["2"]),
        ("/Envelope/Body/Patient[Phone/Use='home']/Name", &["Testpatient"]),
        ("/Envelope//code", &["x"]),
        ("/soap:Envelope/n:Body", &[]),
        ("/Body", &[]),
        ("//soap:Fault/n:code", &["x"]),
    ] {
        assert_eq!(
            found(path).as_deref(),
            Ok(&texts.iter().map(ToString::to_string).collect::<Vec<_>>()[..]),
            "{path}"
        );
    }
    assert!(found("//Both").is_err_and(|e| e.contains("not a single value")), "text around elements is no value");
}

#[test]
fn what_is_no_path_is_told_with_its_place() {
    for (path, column, word) in [
        ("", 1, "names nothing"),
        ("Envelope/Body", 1, "not understood"),
        ("/a[1]", 4, "by position"),
        ("/a[last()]", 4, "by position"),
        ("//a//b", 6, "second time"),
        ("/a/@b/c", 6, "behind an attribute"),
        ("/x:a", 4, "\"x\", which is not declared"),
        ("/a[b='c]", 6, "quoted value"),
        ("/a[b and c]", 6, "no condition"),
        ("/a[not(b]", 9, "not closed"),
        ("/a/text()", 8, "not understood"),
        ("/a/..", 4, "name is missing"),
        ("/", 2, "name is missing"),
    ] {
        let bad = Path::parse(path, &Namespaces::default()).expect_err(path);
        assert!(bad.what.contains(word), "{path}: {bad:?}");
        assert_eq!(bad.column, column, "{path}: {bad:?}");
    }
}

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
request = { method = "POST", path = "notes/{{ message.document_id }}", headers = { SOAPAction = '"urn:x#{{ entry.title }}"' } }
text_at = { path = "/Note/Text", as = "text" }
[reply]
record_id = "/Result/Id"
"#;
const NOTE: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Note title=\"{{ entry.title }}\" full='{{ entry.text }}'>\n{% if patient.phone %}\n<Phone>{{ patient.phone }}</Phone>\n{% endif %}\n<Text>{{ entry.text }}</Text>\n</Note>\n";
const INPUT: &str = include_str!("../../../adapters/_template/examples/render-note/input.json");

fn load(manifest: &str, note: &str) -> Result<Pack, Vec<Fault>> {
    Pack::from_sources(Sources::from_files("x", [("adapter.toml", manifest), ("templates/note.xml", note)]))
}

fn render(pack: &Pack, text: &str) -> Result<Request, RenderError> {
    let mut value = input::to_json(&input::from_json(INPUT).expect("an input")).expect("JSON");
    value["settings"] = Value::Object(pack.manifest.settings.examples());
    value["entry"]["text"] = text.into();
    let rendered = pack.render_value(&value, &RenderOptions::default())?;
    Ok(Request::parse(&rendered.bytes).expect("what is made can be read"))
}

fn load_faults(manifest: &str, note: &str) -> Vec<String> {
    load(manifest, note).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn an_entry_becomes_a_request_whose_text_reads_back() {
    let pack = load(MANIFEST, NOTE).unwrap_or_else(|f| panic!("{f:?}"));
    let text = "<b>&amp; \"it's\"</b>\n\tÂ£9 ]]> \u{85}\u{2028}";
    let request = render(&pack, text).expect("renders");
    let body = read(&request.body).expect("XML");
    let note = body.root_element();
    assert_eq!(note.attribute("full"), Some(text), "line feeds and tabs survive an attribute");
    assert_eq!(request.headers.get("Content-Type"), Some("application/xml; charset=utf-8"));
    assert!(request.headers.get("SOAPAction").is_some_and(|a| a.starts_with("\"urn:x#")));
    assert!(!String::from_utf8_lossy(&request.body).contains("Phone"), "what has no value makes no line");
}

#[test]
fn what_xml_cannot_carry_stops_the_entry_and_is_never_dropped() {
    let pack = load(MANIFEST, NOTE).unwrap_or_else(|f| panic!("{f:?}"));
    for c in ['\u{0}', '\u{1}', '\u{b}', '\u{1c}', '\u{1f}', '\u{fffe}', '\u{ffff}'] {
        let stopped = render(&pack, &format!("a{c}b"));
        assert!(matches!(stopped, Err(RenderError::NotCarriable { .. })), "{c:?}: {stopped:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_carried_exactly_or_not_at_all(text in "[\\PC\\t\\n\u{0}-\u{1f}]{1,200}") {
        let pack = load(MANIFEST, NOTE).unwrap_or_else(|f| panic!("{f:?}"));
        match render(&pack, &text) {
            Ok(request) => {
                let path = Path::parse("/Note/Text", &Namespaces::default()).expect("a path");
                prop_assert_eq!(path.exactly_one(&read(&request.body).expect("XML")), Some(text));
            }
            Err(e) => prop_assert!(matches!(e, RenderError::NotCarriable { .. }), "{}", e),
        }
    }
}

#[test]
fn a_template_that_could_break_its_xml_is_refused_and_one_that_does_is_not_sent() {
    for (note, word) in [
        ("<Note><{{ entry.title }}/><Text>{{ entry.text }}</Text></Note>", "stands in markup"),
        ("<Note><!-- {{ entry.title }} --><Text>{{ entry.text }}</Text></Note>", "stands in markup"),
        ("<Note><Text><![CDATA[{{ entry.text }}]]></Text></Note>", "CDATA"),
        ("<Note><Text>{{ entry.text | safe }}</Text></Note>", "safe"),
        ("{% autoescape false %}<Note><Text>{{ entry.text }}</Text></Note>{% endautoescape %}", "autoescape"),
        ("<Note><Text>{{ entry.text | hl7_time }}</Text></Note>", "hl7_time"),
        ("<Note><Text>{{ entry.txt }}</Text></Note>", "entry.txt"),
    ] {
        let said = load_faults(MANIFEST, note);
        assert!(said.iter().any(|f| f.starts_with("templates/note.xml:1: ") && f.contains(word)), "{note}: {said:?}");
    }
    for (note, word) in [
        ("<Note><Text>{{ entry.text }}</Note>", "cannot be read: the tag <Text> is not closed"),
        ("<Note>\n\n<Text>{{ entry.text }}</Txt></Note>", "templates/note.xml:3: "),
        (
            "<Note>\n{% if 1 %}\n<Text>{{ entry.text }}</Text>\n{% endif %}\n<q:A/></Note>",
            "templates/note.xml:5: makes XML that cannot be read: a prefix has no xmlns",
        ),
        ("<Note><Text>{{ entry.text }}</Text>&nbsp;</Note>", "write &#160;"),
        ("<Note a='1' a='2'><Text>{{ entry.text }}</Text></Note>", "an attribute stands twice"),
        ("<?xml version=\"1.1\"?><Note><Text>{{ entry.text }}</Text></Note>", "declares another XML than 1.0"),
        (
            "<?xml version=\"1.0\" encoding=\"us-ascii\"?><Note><Text>{{ entry.text }}</Text></Note>",
            "declares another XML",
        ),
        ("<Note><Txt>{{ entry.text }}</Txt></Note>", "from /Note/Text (text_at): nothing stands there"),
        ("<Note><Text>{{ entry.text }}</Text></Note><Note/>", "cannot be read"),
        ("<?xml version=\"1.0\" encoding=\"UTF-16\"?><Note><Text>{{ entry.text }}</Text></Note>", "another encoding"),
        ("<Note><Text>{{ entry.text }}</Text><Text>{{ entry.text }}</Text></Note>", "more than once"),
        ("<Note><Text> {{ entry.text }}</Text></Note>", "not that text alone"),
        ("<Note><Text>{{ entry.title }}</Text></Note>", "read back"),
        ("<Note><Text>{{ patient.phone }}</Text></Note>", "is empty; write | blank"),
    ] {
        let pack = load(MANIFEST, note).unwrap_or_else(|f| panic!("{note}: {f:?}"));
        let said = render(&pack, "Met at the library.").expect_err(note).to_string();
        assert!(said.contains(word) && !said.contains("library"), "{note}: {said}");
    }
}

#[test]
fn a_manifest_that_could_file_nothing_or_names_a_wrong_place_is_refused() {
    for (from, to, word) in [
        ("record_id = \"/Result/Id\"", "\"500\" = \"retry\"", "no reply could ever file anything"),
        ("record_id = \"/Result/Id\"", "record_id = \"/Result/Id[1]\"", "by position"),
        ("record_id = \"/Result/Id\"", "record_id = \"/Result/Id\"\necho_at = \"/Result/Ref\"", "echo_of"),
        ("record_id = \"/Result/Id\"", "result_at = \"/Result/@code\"", "no result it could say"),
        ("record_id = \"/Result/Id\"", "record_id = \"/Result/Id\"\n\"500\" = \"positive\"", "can never be positive"),
        (
            "record_id = \"/Result/Id\"",
            "record_id = \"/Result/Id\"\nfault.Server = \"positive\"",
            "can never be positive",
        ),
        ("path = \"/Note/Text\"", "path = \"$.text\"", "not understood"),
        ("path = \"/Note/Text\"", "path = \"/q:Note/Text\"", "not declared"),
        ("text_at = { path = \"/Note/Text\", as = \"text\" }", "", "does not say where the accepted text stands"),
        ("[reply]", "[read_back]\nby = \"identifier\"\n[reply]", "[read_back] by is no question"),
        ("SOAPAction = '", "Authorization = '", "is the transport's"),
        (
            "record_id = \"/Result/Id\"",
            "record_id = \"/Result/Id\"\nfaults.Client = \"refused\"",
            "did you mean \"fault\"?",
        ),
    ] {
        let manifest = MANIFEST.replacen(from, to, 1);
        let said = load_faults(&manifest, NOTE);
        assert!(said.iter().any(|f| f.starts_with("adapter.toml:") && f.contains(word)), "{to}: {said:?}");
    }
}

#[test]
fn a_message_of_xml_must_say_where_it_names_itself_and_an_answer_must_be_xml() {
    let parse = "[[parse]]\nmessage = \"Sent\"\nmap = \"maps/sent.toml\"\n[reply]";
    for (from, to, word) in [
        ("[reply]", parse, "does not say where the message names itself"),
        (
            "[reply]",
            "[answer.taken]\nxml = \"<A>{{ entry.text }}</A>\"\n[reply]",
            "`entry.text` is nothing that an answer has",
        ),
        ("[reply]", "[answer.taken]\nxml = \"<A>{{ message.id | upper }}</A>\"\n[reply]", "nothing that an answer has"),
        ("[reply]", "[answer.taken]\nxml = \"<A>{{ settings.sistem }}</A>\"\n[reply]", "nothing that an answer has"),
        ("[reply]", "[answer.taken]\nxml = \"<A {{ message.id }}/>\"\n[reply]", "stands in markup"),
        ("[reply]", "[answer.taken]\nxml = \"<A>{{ message.id }}\"\n[reply]", "cannot be read"),
        ("[reply]", "[answer.taken]\nstatus = 500\nxml = \"<A/>\"\n[reply]", "does not say that a message was taken"),
        (
            "[reply]",
            "[answer.refused]\nstatus = 200\nxml = \"<A/>\"\n[reply]",
            "does not say that a message was refused",
        ),
        ("[reply]", "[answer]\ncontent_type = \"text/plain\"\n[reply]", "is not that of XML"),
    ] {
        let said = load_faults(&MANIFEST.replacen(from, to, 1), NOTE);
        assert!(said.iter().any(|f| f.starts_with("adapter.toml:") && f.contains(word)), "{to}: {said:?}");
    }
}

/// A manifest whose request has no id in its path, with this entry and these rows of `[reply]`.
fn unnamed(entry: &str, reply: &str) -> String {
    let text_at = "text_at = { path = \"/Note/Text\", as = \"text\" }\n";
    let manifest = MANIFEST.replacen("notes/{{ message.document_id }}", "notes", 1).replacen("note.create", entry, 1);
    let manifest = if entry == "note.withdraw" { manifest.replacen(text_at, "", 1) } else { manifest };
    format!("{manifest}{reply}")
}

fn made(manifest: &str, note: &str, replaces: Value) -> Result<(), String> {
    let pack = load(manifest, note).unwrap_or_else(|f| panic!("{note}: {f:?}"));
    let mut value = input::to_json(&input::from_json(INPUT).expect("an input")).expect("JSON");
    value["settings"] = Value::Object(pack.manifest.settings.examples());
    let action = pack.manifest.render[0].entry.rsplit_once('.').expect("note.action").1.to_uppercase();
    value["entry"]["action"] = format!("ENTRY_ACTION_{action}").into();
    value["message"]["replaces"] = replaces;
    pack.render_value(&value, &RenderOptions::default()).map(drop).map_err(|e| e.to_string())
}

#[test]
fn a_request_that_does_not_name_its_document_is_never_made() {
    let text = "<Text>{{ entry.text }}</Text>";
    let create = unnamed("note.create", "");
    for good in [
        "<Note ref='urn:x:{{ message.document_id }}'>[T]</Note>",
        "<Note><Ref>{{ message.document_id }}</Ref>[T]</Note>",
        "<Note><Ref>{{ message.control_id }}</Ref>[T]</Note>",
    ] {
        assert_eq!(made(&create, &good.replace("[T]", text), Value::Null), Ok(()), "{good}");
    }
    for bad in
        ["<Note>[T]</Note>", "<Note><!-- 01JNBRZC5M8Q4T7V9XA2E3F4G1 -->[T]</Note>", "<Note><Ref>1</Ref>[T]</Note>"]
    {
        let said = made(&create, &bad.replace("[T]", text), Value::Null).expect_err(bad);
        assert!(said.contains("does not name its document"), "{bad}: {said}");
    }
    let replaces = |id: &str| serde_json::json!({ "document_id": "01JNBRZC5M8Q4T7V9XA2E3F4G9", "record_id": id });
    for entry in ["note.replace", "note.withdraw"] {
        let manifest = unnamed(entry, "");
        let text = if entry == "note.withdraw" { "" } else { text };
        for good in [
            "<Old>{{ message.replaces.document_id }}</Old>",
            "<Old>{{ message.replaces.record_id }}</Old>",
            "<Old href='Note/{{ message.replaces.record_id }}'/>",
        ] {
            let note = format!("<Note><Ref>{{{{ message.document_id }}}}</Ref>{good}{text}</Note>");
            assert_eq!(made(&manifest, &note, replaces("17")), Ok(()), "{entry} {good}");
        }
        for bad in ["", "<Old>170</Old>", "<Old>Met 17 people</Old>"] {
            let note = format!("<Note><Ref>{{{{ message.document_id }}}}</Ref>{bad}{text}</Note>");
            let said = made(&manifest, &note, replaces("17")).expect_err(bad);
            assert!(said.contains("does not name the document it replaces or withdraws"), "{entry} {bad}: {said}");
        }
    }
}

#[test]
fn a_request_whose_echo_is_not_its_own_id_is_never_made() {
    let manifest = unnamed("note.create", "echo_at = \"/Result/Ref\"\necho_of = \"/Note/Ref\"\n");
    let id = "{{ message.document_id }}";
    for (refs, word) in [
        (format!("<Ref>{id}</Ref>"), ""),
        (format!("<Id>{id}</Id>"), "gives nothing"),
        (format!("<Id>{id}</Id><Ref>IPS</Ref>"), "another value"),
        (format!("<Ref>IPS-{id}</Ref>"), "another value"),
        (format!("<Ref>{id}</Ref><Ref>IPS</Ref>"), "several"),
    ] {
        let said = made(&manifest, &format!("<Note>{refs}<Text>{{{{ entry.text }}}}</Text></Note>"), Value::Null);
        match word {
            "" => assert_eq!(said, Ok(()), "{refs}"),
            word => {
                let said = said.expect_err(&refs);
                assert!(said.contains("echo_of") && said.contains(word) && said.contains("adapter.toml:"), "{said}");
            }
        }
    }
}
