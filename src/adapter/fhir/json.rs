//! JSON read strictly: a key that stands twice, or nesting without end, is refused instead of guessed at; and, for templates, with
//! the line of every value.

use super::super::fault::line_of;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value, value::RawValue};
use std::fmt;

/// Objects and lists inside each other.
pub const DEPTH_MAX: usize = 64;

/// Without the byte order mark that some senders put before their JSON: whoever reads it may pass over it (RFC 8259, 8.1).
pub fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}

/// Reads a whole document. The error names a line and a column, never a value.
pub fn read(bytes: &[u8]) -> Result<Value, String> {
    let mut reader = serde_json::Deserializer::from_slice(without_bom(bytes));
    let value = Strict(0).deserialize(&mut reader).and_then(|v| reader.end().map(|()| v));
    value.map_err(|e| format!("{} at line {} column {}", reason(&e), e.line(), e.column()))
}

/// serde_json's own texts may quote what it read; the kind is enough with the place.
fn reason(e: &serde_json::Error) -> &'static str {
    let said = e.to_string();
    match e.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data if said.starts_with(TWICE) => TWICE,
        serde_json::error::Category::Data if said.starts_with(DEEP) => DEEP,
        _ => "it is not JSON",
    }
}

const TWICE: &str = "a key stands twice in one object";
const DEEP: &str = "it is nested too deeply";

struct Strict(usize);

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Value, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(Number::from_f64(v).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::String(v.to_owned()))
    }

    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(Value::String(v))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let depth = deeper::<A::Error>(self.0)?;
        let mut list = Vec::new();
        while let Some(item) = seq.next_element_seed(Strict(depth))? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let depth = deeper::<A::Error>(self.0)?;
        let mut map = Map::new();
        while let Some(key) = fields.next_key::<String>()? {
            let value = fields.next_value_seed(Strict(depth))?;
            if map.insert(key, value).is_some() {
                return Err(A::Error::custom(TWICE));
            }
        }
        Ok(Value::Object(map))
    }
}

fn deeper<E: serde::de::Error>(depth: usize) -> Result<usize, E> {
    if depth == DEPTH_MAX { Err(E::custom(DEEP)) } else { Ok(depth + 1) }
}

/// A value of a template's file and the line it begins on.
pub struct Lined {
    pub line: u32,
    pub value: LinedValue,
}

impl Lined {
    /// An object that stands for itself: no condition, no loop.
    pub fn is_object(&self) -> bool {
        let is_own = |key: &str| !key.starts_with('$') || key == "$comment";
        matches!(&self.value, LinedValue::Fields(fields) if fields.iter().all(|(key, _)| is_own(key)))
    }
}

pub enum LinedValue {
    Text(String),
    /// A number, true, false or null.
    Plain(Value),
    List(Vec<Lined>),
    /// In the file's order, keys that stand twice included.
    Fields(Vec<(String, Lined)>),
}

/// Reads a template's file, or says where it is not JSON: line and what.
pub fn lined(source: &str) -> Result<Lined, (u32, String)> {
    let raw: &RawValue = serde_json::from_str(source).map_err(|e| {
        let what = if e.is_eof() { "it ends too early" } else { "it is not JSON" };
        (u32::try_from(e.line()).unwrap_or(0), format!("{what}, at column {}", e.column()))
    })?;
    read_lined(source, raw, 0)
}

fn read_lined(source: &str, raw: &RawValue, depth: usize) -> Result<Lined, (u32, String)> {
    let text = raw.get();
    // The raw value is a part of `source`: its place is how far it stands from the beginning.
    let line = line_of(source, (text.as_ptr() as usize).saturating_sub(source.as_ptr() as usize));
    let not = |_| (line, "it is not JSON".to_owned());
    if depth == DEPTH_MAX {
        return Err((line, DEEP.to_owned()));
    }
    let value = match text.as_bytes().first() {
        Some(b'{') => {
            let fields: Pairs<'_> = serde_json::from_str(text).map_err(not)?;
            let read = fields.0.into_iter().map(|(k, v)| Ok((k, read_lined(source, v, depth + 1)?)));
            LinedValue::Fields(read.collect::<Result<_, (u32, String)>>()?)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(not)?;
            LinedValue::List(items.into_iter().map(|v| read_lined(source, v, depth + 1)).collect::<Result<_, _>>()?)
        }
        Some(b'"') => LinedValue::Text(serde_json::from_str(text).map_err(not)?),
        _ => LinedValue::Plain(serde_json::from_str(text).map_err(not)?),
    };
    Ok(Lined { line, value })
}

struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Each<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Each<'a> {
            type Value = Pairs<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Pairs<'a>, A::Error> {
                let mut all = Vec::new();
                while let Some(pair) = fields.next_entry::<String, &'a RawValue>()? {
                    all.push(pair);
                }
                Ok(Pairs(all))
            }
        }
        d.deserialize_map(Each(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_stands_twice_is_refused_at_any_depth() {
        assert_eq!(read(br#"{"a":1,"b":[{"c":1,"c":2}]}"#), Err(format!("{TWICE} at line 1 column 25")));
        assert_eq!(
            read(br#"{"a":1.5,"b":[null,true,"x",-3]}"#),
            Ok(serde_json::json!({"a":1.5,"b":[null,true,"x",-3]}))
        );
    }

    #[test]
    fn one_byte_order_mark_before_it_is_passed_over() {
        assert_eq!(read("\u{feff}{\"a\":1}".as_bytes()), Ok(serde_json::json!({"a":1})));
    }

    #[test]
    fn what_is_not_one_document_is_refused_without_its_text() {
        for text in ["", "{", "{} {}", "nul", "{\"Testpatient\":}", "\u{feff}\u{feff}{}", "{}\u{feff}", "[1,]"] {
            let said = read(text.as_bytes()).expect_err(text);
            assert!(!said.contains("Testpatient"), "{said}");
        }
        let deep = "[".repeat(100) + &"]".repeat(100);
        assert!(read(deep.as_bytes()).expect_err("deep").contains(DEEP));
    }

    #[test]
    fn every_value_of_a_template_knows_its_line() {
        let root = lined("{\n \"a\": [\n  \"x\",\n  {\"b\": 1}\n ]}").expect("JSON");
        let LinedValue::Fields(fields) = root.value else { panic!("an object") };
        let LinedValue::List(items) = &fields[0].1.value else { panic!("a list") };
        assert_eq!((root.line, fields[0].1.line, items[0].line, items[1].line), (1, 2, 3, 4));
        assert_eq!(lined("{\n\"a\": }").err().map(|(line, _)| line), Some(2));
    }
}
