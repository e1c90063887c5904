use super::super::render::{RenderError, RenderOptions};
use super::super::sources::Sources;
use super::super::{Fault, Pack, input};
use crate::transport::http_message::Request;
use serde_json::{Value, json};

const MANIFEST: &str = r#"
schema = 1
id = "x"
name = "X"
version = "0.1.0"
status = "draft"
owners = ["a@b.example"]
format = "fhir"
[settings]
system = { help = "h", example = "https://s.example/a b" }
[[render]]
entry = "note.create"
template = "templates/note.json"
request = { method = "POST", path = "Basic/{{ patient.local_identifiers[0].value }}?x={{ patient.name.family }}|1", headers = { X-A = "{{ entry.title }}", If-None-Exist = "identifier={{ settings.system }}|{{ message.document_id }}" } }
text_at = { path = "$.t", as = "text" }
[codes.gender]
file = "codes/gender.csv"
missing = "error"
[read_back]
by = "identifier"
"#;
const GENDER: &str = "ours,theirs,note\nGENDER_NOT_SPECIFIED,other,\n";
const INPUT: &str = include_str!("../../../adapters/fhir-uk-core/examples/render-note/input.json");

/// Every template names its document first, on the line of its type.
fn load(manifest: &str, template: &str) -> Result<Pack, Vec<Fault>> {
    let named = r#""resourceType": "Basic", "identifier": [{"system": "{{ settings.system }}", "value": "{{ message.document_id }}"}],"#;
    let template = template.replacen("\"resourceType\": \"Basic\",", named, 1);
    let files = [
        ("adapter.toml", manifest),
        ("templates/note.json", template.as_str()),
        ("templates/part.json", "{\"p\": \"{{ trust.ods }}\"}"),
        ("templates/doc.txt", "{% for h in entry.headings %}\n{{ h }}\n{% endfor %}\n\n{{ entry.text }}"),
        ("codes/gender.csv", GENDER),
    ];
    Pack::from_sources(Sources::from_files("x", files))
}

fn sample() -> Value {
    let mut value = input::to_json(&input::from_json(INPUT).expect("an input")).expect("JSON");
    value["settings"] = json!({"system": "https://s.example/a b"});
    value["entry"]["headings"] = json!(["one", "two"]);
    value
}

fn render_of(template: &str, value: &Value) -> Result<Request, RenderError> {
    let pack = load(MANIFEST, template).unwrap_or_else(|f| panic!("{template}: {f:?}"));
    pack.render_value(value, &RenderOptions::default()).map(|r| Request::parse(&r.bytes).expect("a request"))
}

/// The JSON made from fields beside `resourceType` and the text.
fn made(fields: &str) -> Result<Value, RenderError> {
    let template = format!("{{\"resourceType\": \"Basic\", \"t\": \"{{{{ entry.text }}}}\",\n{fields}}}");
    let request = render_of(&template, &sample())?;
    let mut body: Value = serde_json::from_slice(&request.body).expect("JSON");
    let map = body.as_object_mut().expect("an object");
    map.shift_remove("resourceType");
    map.shift_remove("identifier");
    map.shift_remove("t");
    Ok(body)
}

fn faults(fields: &str) -> Vec<String> {
    let template = format!("{{\"resourceType\": \"Basic\",\n{fields}}}");
    load(MANIFEST, &template).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn a_leaf_that_is_one_expression_keeps_its_type_and_what_has_no_value_is_not_there() {
    for (fields, wanted) in [
        (r#""a": "{{ entry.note.contact.duration_minutes }}""#, json!({"a": 45})),
        (r#""a": "{{ message.is_late }}""#, json!({"a": false})),
        (r#""a": "{{ patient.name.given | words }}""#, json!({"a": ["Sam", "Alex"]})),
        (r#""a": "about {{ entry.note.contact.duration_minutes }} min""#, json!({"a": "about 45 min"})),
        (r#""a": 1.5, "b": true, "c": "plain\ntext""#, json!({"a": 1.5, "b": true, "c": "plain\ntext"})),
        (r#""a": "{{ patient.phone | blank }}", "b": "x""#, json!({"b": "x"})),
        (r#""a": "{{ patient.phone | blank }}{{ patient.phone | blank }}""#, json!({})),
        (r#""a": {"b": {"c": "{{ patient.phone | blank }}"}}, "d": [{"e": "{{ patient.phone | blank }}"}]"#, json!({})),
        (r#""a": "{{ patient.gender | code('gender') }}""#, json!({"a": "other"})),
        (r#""$comment": "why", "a": "x""#, json!({"a": "x"})),
    ] {
        assert_eq!(made(fields), Ok(wanted), "{fields}");
    }
}

#[test]
fn conditions_loops_parts_and_documents_make_whole_values() {
    for (fields, wanted) in [
        (
            r#""a": {"$if": "message.is_late", "b": "x"}, "c": {"$if": "not message.is_late", "b": "x"}"#,
            json!({"c": {"b": "x"}}),
        ),
        (r#""a": {"$if": "message.is_late", "$then": "x", "$else": 2}"#, json!({"a": 2})),
        (r#""a": {"$each": "h in entry.headings", "t": "{{ h }}"}"#, json!({"a": [{"t": "one"}, {"t": "two"}]})),
        (r#""a": ["zero", {"$each": "h in entry.headings", "$of": "{{ h }}"}]"#, json!({"a": ["zero", "one", "two"]})),
        (r#""a": {"$each": "h in entry.headings if h != 'one'", "$of": "{{ h }}"}"#, json!({"a": ["two"]})),
        (
            r#""a": {"$one": "i in patient.local_identifiers if i.type == 'MR'", "r": "P/{{ i.value }}"}"#,
            json!({"a": {"r": "P/4471920"}}),
        ),
        (
            r#""a": {"$include": "part.json"}, "b": [{"$include": "part.json"}]"#,
            json!({"a": {"p": "RZZ"}, "b": [{"p": "RZZ"}]}),
        ),
        (r#""a": {"$each": "h in entry.headings if h == 'none such'", "t": "{{ h }}"}"#, json!({})),
    ] {
        assert_eq!(made(fields), Ok(wanted), "{fields}");
    }
    let text = sample()["entry"]["text"].as_str().expect("a text").to_owned();
    let document = made(r#""a": {"$text": "doc.txt", "$as": "text"}, "n": {"$text": "doc.txt", "$as": "byte_count"}"#)
        .expect("made");
    assert_eq!(document["a"], json!(format!("one\ntwo\n\n{text}")));
    assert_eq!(document["n"], json!(text.len() + 9));
}

#[test]
fn every_kind_of_wrong_template_is_named_with_file_line_and_remedy() {
    for (fields, word) in [
        (r#""a": "{{ entry.titel }}""#, "titel"),
        (r#""a": "{{ entry.title | uper }}""#, "uper"),
        (r#""a": "{{ entry.title | obx_text }}""#, "obx_text"),
        (r#""a": "{{ patient.gender | code('gendr') }}""#, "gendr"),
        (r#""a": "{{ settings.sytem }}""#, "sytem"),
        (r#""a": "{{ entry.title ""#, "not closed"),
        (r#""a": "{% if x %}""#, "no place in a JSON template"),
        (r#""a": """#, "an empty text"),
        (r#""a": []"#, "an empty list"),
        (r#""a": {}"#, "an empty object"),
        (r#""a": null"#, "null has no place"),
        (r#""a": "x", "a": "y""#, "stands twice"),
        (r#""{{ a }}": "x""#, "not a plain name"),
        (r#""a": {"$incude": "x"}"#, "did you mean \"$include\"?"),
        (r#""a": {"$if": "messge.is_late", "b": "x"}"#, "messge"),
        (r#""a": {"$if": "x %}{% if y", "b": "x"}"#, "more than an expression"),
        (r#""a": {"$if": 1, "b": "x"}"#, "takes a text"),
        (r#""a": {"$then": "x"}"#, "stands alone"),
        (r#""a": {"$if": "message.is_late", "$then": "x", "b": "x"}"#, "stands beside fields"),
        (r#""a": {"$if": "message.is_late", "$each": "h in entry.headings", "b": "x"}"#, "stand in one object"),
        (r#""a": {"$each": "entry.headings", "b": "x"}"#, "name in list"),
        (r#""a": {"$each": "h in entry.heading", "b": "x"}"#, "heading"),
        (r#""a": {"$include": "prat.json"}"#, "prat.json is missing"),
        (r#""a": {"$include": "doc.txt"}"#, "cannot take"),
        (r#""a": {"$text": "doc.txt"}"#, "does not say \"$as\""),
        (r#""a": {"$text": "doc.txt", "$as": "base46"}"#, "did you mean \"base64\"?"),
        (r#""a": "x" "b": "y""#, "not JSON"),
        (r#""a": "{{ entry.text * 2 }}""#, "calculate"),
        (r#""a": "{{ range(9) }}""#, "range"),
    ] {
        let said = faults(fields);
        let hit = said.iter().any(|f| f.starts_with("templates/note.json:2:") && f.contains(word) && f.contains("; "));
        assert!(hit, "{fields}: {said:?}");
    }
}

#[test]
fn every_empty_or_composite_value_stops_with_its_place_and_never_its_value() {
    for (fields, word) in [
        (r#""a": "{{ patient.phone }}""#, "`patient.phone` is empty"),
        (r#""a": "x {{ patient.phone }}""#, "`patient.phone` is empty"),
        (r#""a": "{{ patient.name }}""#, "is a group of fields"),
        (r#""a": "x {{ entry.headings }}""#, "a list into a text"),
        (r#""a": "{{ patient.name.family | fhir_time }}""#, "is not an instant"),
        (r#""a": {"$one": "i in patient.local_identifiers if i.type == 'ZZ'", "r": "x"}"#, "gives none"),
        (r#""a": {"$one": "h in entry.headings", "r": "x"}"#, "gives several"),
        (
            r#""a": {"$each": "x in entry.headings", "$of": {"$each": "y in entry.headings", "$of": "{{ x.y }}"}}"#,
            "is not in the input",
        ),
    ] {
        let said = made(fields).expect_err(fields).to_string();
        assert!(
            said.contains(word) && said.contains("templates/note.json") && !said.contains("Testpatient"),
            "{fields}: {said}"
        );
    }
}

#[test]
fn no_value_can_change_the_shape_of_what_is_made_or_where_it_goes() {
    let mut value = sample();
    let strange = "\"}],{{ x }}{% raw %}\\u0000\n{\"a\":1}\t<b>&é👋";
    value["entry"]["text"] = json!(strange);
    value["patient"]["name"]["family"] = json!("O'Neill & Sons/é?#x=1");
    let request = render_of(r#"{"resourceType": "Basic", "t": "{{ entry.text }}"}"#, &value).expect("made");
    assert_eq!(
        serde_json::from_slice::<Value>(&request.body).expect("JSON"),
        json!({
            "resourceType": "Basic",
            "identifier": [{"system": "https://s.example/a b", "value": "01JNBRZC5M8Q4T7V9XA2E3F4G1"}],
            "t": strange
        })
    );
    assert_eq!(request.target, "Basic/4471920?x=O%27Neill%20%26%20Sons/%C3%A9%3F%23x%3D1%7C1");
    assert_eq!(
        request.headers.get("if-none-exist"),
        Some("identifier=https://s.example/a%20b|01JNBRZC5M8Q4T7V9XA2E3F4G1")
    );
    assert_eq!(request.headers.get("content-type"), Some("application/fhir+json"));
    for (pointer, bad) in [
        ("/entry/text", "\u{1}oO"),
        ("/entry/text", "a\u{b}"),
        ("/entry/text", "a\rb"),
        ("/entry/title", "a\nHost: evil"),
        ("/entry/title", "é"),
        ("/patient/local_identifiers/0/value", "../x"),
        ("/patient/local_identifiers/0/value", "a/b"),
        ("/patient/local_identifiers/0/value", ".."),
        ("/patient/local_identifiers/0/value", "x?y"),
    ] {
        let mut value = sample();
        *value.pointer_mut(pointer).expect("there") = json!(bad);
        let said =
            render_of(r#"{"resourceType": "Basic", "t": "{{ entry.text }}"}"#, &value).expect_err(bad).to_string();
        assert!(!said.contains("evil"), "{said}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_an_author_may_write_is_carried_exactly(text in "[\\PC\t\n]{1,200}") {
        let mut value = sample();
        value["entry"]["text"] = json!(text);
        let request = render_of(r#"{"resourceType": "Basic", "t": "{{ entry.text }}", "d": {"$text": "doc.txt", "$as": "text"}}"#, &value);
        let body: Value = serde_json::from_slice(&request.expect("made").body).expect("JSON");
        proptest::prop_assert_eq!(&body["t"], &json!(text));
        proptest::prop_assert_eq!(&body["d"], &json!(format!("one\ntwo\n\n{text}")));
    }
}

#[test]
fn a_text_that_does_not_come_back_exactly_is_not_sent() {
    for template in [
        r#"{"resourceType": "Basic", "t": "x{{ entry.text }}"}"#,
        r#"{"resourceType": "Basic", "t": "{{ entry.text | upper }}"}"#,
        r#"{"resourceType": "Basic", "other": "{{ entry.text }}"}"#,
    ] {
        let said = render_of(template, &sample()).expect_err(template);
        assert!(matches!(said, RenderError::NotCarriable { .. }), "{said}");
    }
    assert!(
        render_of(r#"{"t": "{{ entry.text }}"}"#, &sample())
            .expect_err("no resource")
            .to_string()
            .contains("resourceType")
    );
}

#[test]
fn work_and_output_are_bounded() {
    let mut value = sample();
    value["entry"]["headings"] = Value::from(vec!["x"; 1000]);
    let template = r#"{"resourceType": "Basic", "t": "{{ entry.text }}",
        "a": {"$each": "x in entry.headings", "$of": {"$each": "y in entry.headings", "$of": "{{ y }}"}}}"#;
    let said = render_of(template, &value).expect_err("too much").to_string();
    assert!(said.contains("too much work"), "{said}");
    let pack = load(MANIFEST, r#"{"resourceType": "Basic", "t": "{{ entry.text }}"}"#).expect("loads");
    let small = RenderOptions { max_message_bytes: Some(100), ..Default::default() };
    assert_eq!(pack.render_value(&sample(), &small).expect_err("too long"), RenderError::TooLong { limit: 100 });
    let itself =
        load(MANIFEST, r#"{"resourceType": "Basic", "t": "{{ entry.text }}", "a": {"$include": "note.json"}}"#)
            .expect("loads");
    assert!(itself.render_value(&sample(), &RenderOptions::default()).is_err());
}

#[test]
fn each_row_of_the_manifest_that_cannot_work_is_named() {
    for (find, put, word) in [
        ("method = \"POST\"", "method = \"DELETE\"", "cannot send an entry"),
        ("X-A =", "Host =", "the transport's"),
        ("X-A =", "\"X A\" =", "a header has no name"),
        ("{{ entry.title }}", "{{ entry.titel }}", "titel"),
        ("path = \"$.t\"", "path = \"t\"", "not a JSONPath"),
        ("as = \"text\"", "as = \"txt\"", "did you mean \"text\"?"),
        ("text_at = { path = \"$.t\", as = \"text\" }", "", "where the accepted text stands"),
        ("by = \"identifier\"", "by = \"id\"", "cannot be \"id\""),
        ("format = \"fhir\"", "format = \"fihr\"", "did you mean \"fhir\"?"),
        ("text_at =", "text_code = \"x\"\ntext_at =", "text_code is for hl7v2"),
        ("[read_back]", "[reply]\n404 = \"positive\"\n[read_back]", "can never be positive"),
        ("[read_back]", "[reply]\nissue.duplicate = \"qery\"\n[read_back]", "qery"),
        ("[read_back]", "[[parse]]\nmessage = \"REF^I12\"\nmap = \"maps/a.toml\"\n[read_back]", "not a resource type"),
    ] {
        assert!(MANIFEST.contains(find), "{find}");
        let manifest = MANIFEST.replacen(find, put, 1);
        let said = load(&manifest, r#"{"resourceType": "Basic", "t": "{{ entry.text }}"}"#).err().unwrap_or_default();
        let shown: Vec<String> = said.iter().map(ToString::to_string).collect();
        assert!(
            said.iter()
                .any(|f| f.to_string().contains(word) && f.file == "adapter.toml" && f.line > 0 && !f.hint.is_empty()),
            "{put}: {shown:?}"
        );
    }
}
