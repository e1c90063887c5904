//! What a template sees: `wire`'s JSON of [`RenderInput`], with every unset optional, message and oneof field present as
//! null, so that a misspelt path and an absent value are two things. Where one of several fields is set, the oneof's own name says which:
//! `entry.note.kind` is `job_search`.

use super::fault::suggest;
use crate::wire::v1::RenderInput;
use prost::Message as _;
use prost_types::{DescriptorProto, FileDescriptorSet, field_descriptor_proto as fdp};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::LazyLock,
};

/// A field of one of our messages.
#[derive(Debug, Clone)]
pub struct Shape {
    pub name: String,
    pub kind: ShapeKind,
    pub repeated: bool,
    /// May be null: declared optional, a message, or one of several.
    pub optional: bool,
    /// What a scalar is, in a word.
    pub word: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShapeKind {
    /// Text, number or truth value; instants and enums are texts.
    Scalar,
    Enum(String),
    Message(String),
    /// The name of a oneof: the word of the one of these that is set. Only templates see it.
    Which(Vec<String>),
    /// google.protobuf.Struct: anything.
    Open,
}

struct Schema {
    messages: HashMap<String, Vec<Shape>>,
    /// The words of each enum, by its name.
    enums: BTreeMap<String, BTreeSet<String>>,
}

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let files = FileDescriptorSet::decode(crate::wire::DESCRIPTORS).expect("descriptors compiled into this binary");
    let ours = || files.file.iter().filter(|f| f.package() == "ips.v1");
    Schema {
        messages: ours().flat_map(|f| &f.message_type).map(|m| (m.name().to_owned(), shapes(m))).collect(),
        enums: ours()
            .flat_map(|f| &f.enum_type)
            .map(|e| (e.name().to_owned(), e.value.iter().map(|v| v.name().to_owned()).collect()))
            .collect(),
    }
});

fn shapes(message: &DescriptorProto) -> Vec<Shape> {
    let shape = |f: &prost_types::FieldDescriptorProto| {
        let of = f.type_name().rsplit('.').next().unwrap_or_default().to_owned();
        let kind = match (f.r#type(), f.type_name()) {
            (fdp::Type::Message, ".google.protobuf.Timestamp") => ShapeKind::Scalar,
            (fdp::Type::Message, ".google.protobuf.Struct") => ShapeKind::Open,
            (fdp::Type::Message, _) => ShapeKind::Message(of),
            (fdp::Type::Enum, _) => ShapeKind::Enum(of),
            _ => ShapeKind::Scalar,
        };
        let repeated = f.label() == fdp::Label::Repeated;
        let word = match (f.r#type(), f.type_name()) {
            (fdp::Type::Bool, _) => "true or false",
            (fdp::Type::String, _) => "text",
            (fdp::Type::Message, ".google.protobuf.Timestamp") => "instant",
            _ => "number",
        };
        let optional = f.oneof_index.is_some() || f.r#type() == fdp::Type::Message;
        Shape { name: f.name().to_owned(), kind, repeated, optional, word }
    };
    // A field that is declared optional stands in a oneof of its own, which is nobody's word.
    let which = message.oneof_decl.iter().zip(0..).filter_map(|(one, at)| {
        let of = message.field.iter().filter(|f| f.oneof_index == Some(at) && !f.proto3_optional());
        let members: Vec<String> = of.map(|f| f.name().to_owned()).collect();
        let kind = ShapeKind::Which(members.clone());
        let shape = Shape { name: one.name().to_owned(), kind, repeated: false, optional: true, word: "text" };
        (!members.is_empty()).then_some(shape)
    });
    which.chain(message.field.iter().map(shape)).collect()
}

/// The fields of one of our messages; `None` when there is no such message.
pub fn fields(message: &str) -> Option<&'static [Shape]> {
    SCHEMA.messages.get(message).map(Vec::as_slice)
}

pub fn is_enum_word(word: &str) -> bool {
    SCHEMA.enums.values().any(|words| words.contains(word))
}

/// The words of an enum, in order; none where there is no such enum.
pub fn words_of(name: &str) -> impl Iterator<Item = &'static str> + Clone {
    SCHEMA.enums.get(name).into_iter().flatten().map(String::as_str)
}

/// The enum whose words begin as this one does (`GENDER_`), the longest such beginning first.
pub fn enum_like(word: &str) -> Option<&'static str> {
    let begins = |words: &BTreeSet<String>| {
        let prefix = words.iter().find_map(|w| w.strip_suffix("UNSPECIFIED"))?;
        word.starts_with(prefix).then_some(prefix.len())
    };
    let all = SCHEMA.enums.iter().filter_map(|(name, words)| Some((begins(words)?, name.as_str())));
    all.max().map(|(_, name)| name)
}

/// Follows a dotted path from a message. `Ok(Some)`: the field; `Ok(None)`: the path goes into what has no schema;
/// `Err`: the part that does not exist, and what stands there instead.
pub fn find<'p>(
    message: &str,
    path: impl Iterator<Item = &'p str>,
) -> Result<Option<&'static Shape>, (String, Vec<&'static str>)> {
    let mut at = fields(message).unwrap_or_default();
    let mut found: Option<&'static Shape> = None;
    for part in path {
        let Some(shape) = at.iter().find(|s| s.name == part) else {
            return Err((part.to_owned(), at.iter().map(|s| s.name.as_str()).collect()));
        };
        found = Some(shape);
        at = match &shape.kind {
            ShapeKind::Message(name) => fields(name).unwrap_or_default(),
            ShapeKind::Open => return Ok(None),
            ShapeKind::Scalar | ShapeKind::Enum(_) | ShapeKind::Which(_) => &[],
        };
    }
    Ok(found)
}

/// The input without what is not set. Fails only on a time no calendar has.
pub fn set_only(input: &RenderInput) -> Result<Value, serde_json::Error> {
    serde_json::to_value(input)
}

/// The input as templates see it. Fails as [`set_only`] does.
pub fn to_json(input: &RenderInput) -> Result<Value, serde_json::Error> {
    let mut value = set_only(input)?;
    fill(&mut value, "RenderInput");
    Ok(value)
}

/// From JSON with proto field names; unknown fields are refused.
pub fn from_json(text: &str) -> Result<RenderInput, serde_json::Error> {
    serde_json::from_str(text)
}

/// Why a text is no RenderInput, and what to do: by the kind of the fault and its place, never by what stands there.
pub fn unreadable(e: &serde_json::Error) -> (String, String) {
    let said = e.to_string();
    let see = || "see proto/ips/v1/adapter_service.proto and entry.proto".to_owned();
    match e.classify() {
        serde_json::error::Category::Data => {}
        kind => {
            let what = if kind == serde_json::error::Category::Eof { "it ends too early" } else { "it is not JSON" };
            return (what.to_owned(), "mend the commas, quotes and brackets near this line".into());
        }
    }
    // serde says what it found, then what it expected; only the latter is ours.
    let (found, expected) = said.rsplit_once(", expected ").unwrap_or((said.as_str(), ""));
    let expected = expected.rsplit_once(" at line ").map_or(expected, |(e, _)| e);
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let word = || found.split('`').nth(1).unwrap_or_default();
    if found.starts_with("unknown field") {
        return ("a key is none of those that may stand there".into(), suggest(word(), known));
    }
    if found.starts_with("unknown variant") {
        return ("a word is none of ours that may stand there".into(), suggest(word(), known));
    }
    let kinds =
        ["boolean", "integer", "floating point", "character", "string", "byte array", "null", "sequence", "map"];
    let kind = found.strip_prefix("invalid type: ").and_then(|f| kinds.into_iter().find(|k| f.starts_with(k)));
    match kind {
        Some(kind) if known.is_empty() => (format!("{kind} stands where {expected} should"), see()),
        _ => ("a value does not fit where it stands".into(), see()),
    }
}

fn fill(value: &mut Value, message: &str) {
    let Value::Object(map) = value else { return };
    let mut full = Map::new();
    for shape in fields(message).unwrap_or_default() {
        // These stand before the fields that they tell of.
        if let ShapeKind::Which(members) = &shape.kind {
            let set = members.iter().find(|m| map.get(*m).is_some_and(|v| !v.is_null()));
            full.insert(shape.name.clone(), set.map_or(Value::Null, |m| Value::String(m.clone())));
            continue;
        }
        let mut field = map
            .remove(&shape.name)
            .unwrap_or_else(|| if shape.repeated { Value::Array(Vec::new()) } else { Value::Null });
        if let ShapeKind::Message(inner) = &shape.kind {
            match &mut field {
                Value::Array(items) => items.iter_mut().for_each(|item| fill(item, inner)),
                one => fill(one, inner),
            }
        }
        full.insert(shape.name.clone(), field);
    }
    *map = full;
}

/// `note.create` and the like, from the entry's kind and action.
pub fn entry_name(input: &Value) -> Option<&'static str> {
    let entry = input.get("entry")?;
    let of = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
    Some(match (of("kind"), of("action")) {
        ("ENTRY_KIND_NOTE", "ENTRY_ACTION_CREATE") => "note.create",
        ("ENTRY_KIND_NOTE", "ENTRY_ACTION_REPLACE") => "note.replace",
        ("ENTRY_KIND_NOTE", "ENTRY_ACTION_WITHDRAW") => "note.withdraw",
        ("ENTRY_KIND_OUTCOME", "ENTRY_ACTION_CREATE") => "outcome.create",
        ("ENTRY_KIND_OUTCOME", "ENTRY_ACTION_REPLACE") => "outcome.replace",
        ("ENTRY_KIND_OUTCOME", "ENTRY_ACTION_WITHDRAW") => "outcome.withdraw",
        ("ENTRY_KIND_REFERRAL_REPLY", "ENTRY_ACTION_CREATE") => "referral_reply.create",
        _ => return None,
    })
}

/// Every entry a pack can render.
pub const ENTRIES: &[&str] = &[
    "note.create",
    "note.replace",
    "note.withdraw",
    "outcome.create",
    "outcome.replace",
    "outcome.withdraw",
    "referral_reply.create",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::v1;

    #[test]
    fn every_unset_optional_is_null_and_every_other_field_has_its_default() {
        let kind = Some(v1::note_content::Kind::JobClub(v1::JobClub {}));
        let note = v1::NoteContent { kind, ..Default::default() };
        let entry = v1::Entry { note: Some(note), version: 3, ..Default::default() };
        let v = to_json(&RenderInput { entry: Some(entry), ..Default::default() }).expect("JSON");
        assert_eq!(v["entry"]["note"]["job_club"], serde_json::json!({}));
        assert_eq!(v["entry"]["note"]["kind"], "job_club");
        assert_eq!(v["entry"]["note"]["general_contact"], Value::Null);
        assert_eq!(v["entry"]["note"]["contact"], Value::Null);
        assert_eq!(v["entry"]["outcome"], Value::Null);
        assert_eq!(v["entry"]["version"], "3");
        assert_eq!(v["entry"]["activity_type"], "ACTIVITY_TYPE_UNSPECIFIED");
        assert_eq!(v["entry"]["headings"], serde_json::json!([]));
        assert_eq!(v["patient"], Value::Null);
        assert!(v.as_object().expect("object").contains_key("settings"));
    }

    #[test]
    fn what_is_no_input_is_told_by_kind_and_never_by_value() {
        for (text, what, hint) in [
            ("{\"patient\": {\"name\": {\"family\": 9434765919}}}", "integer stands where a string should", "proto"),
            ("{\"patient\": {\"name\": {\"familly\": \"Robinson\"}}}", "a key is none of", "did you mean \"family\"?"),
            ("{\"patient\": {\"Robinson, `, expected\": 1}}", "a key is none of", ""),
            ("{\"patient\": {\"gender\": \"GENDER_MAIL\"}}", "a word is none of ours", "did you mean \"GENDER_MALE\"?"),
            ("{\"patient\": {\"gender\": \"Robinson, 9434765919\"}}", "a word is none of ours", ""),
            ("{\"patient\": Robinson}", "it is not JSON", "commas"),
            ("{\"patient\": \"Robinson\"}", "string stands where", "proto"),
            ("{\"patient\":", "it ends too early", "commas"),
        ] {
            let said = unreadable(&from_json(text).expect_err(text));
            assert!(said.0.contains(what) && said.1.contains(hint), "{text}: {said:?}");
            assert!(!said.0.contains("Robinson") && !said.0.contains("9434765919"), "{said:?}");
            assert!(!said.1.contains("Robinson") && !said.1.contains("9434765919"), "{said:?}");
        }
    }

    #[test]
    fn an_enum_is_found_by_a_word_that_begins_like_its_own() {
        assert_eq!((enum_like("GENDER_MAIL"), enum_like("ENTRY_ACTION_REPLAC")), (Some("Gender"), Some("EntryAction")));
        assert_eq!((enum_like("JOB_END_REASON_X"), enum_like("UNICODE UTF-8")), (Some("JobEndReason"), None));
    }

    #[test]
    fn a_path_that_does_not_exist_is_told_from_one_that_does() {
        let path = |p: &'static str| find("RenderInput", p.split('.'));
        assert!(path("entry.note.job_club").expect("exists").is_some());
        assert!(path("settings.anything").expect("open").is_none());
        assert_eq!(path("patient.adress").expect_err("typo").0, "adress");
        assert!(path("entry.title.x").is_err());
    }
}
