//! A message as it came, without anything that says who or what it is about: its structure stays, so that a person can see why it could
//! not be read.

use super::instead_of_char;
use crate::adapter::fhir::json::without_bom;
use crate::adapter::xml;
use serde_json::Value;

/// Fields of MSH that name systems, times and types: up to MSH-12.
const MSH_FIELDS: usize = 12;
/// Keys of a resource whose values name types and systems, and how such a name begins.
const KEPT_KEYS: &[(&str, &[&str])] = &[("resourceType", &[""]), ("system", ADDRESSES), ("url", ADDRESSES)];
const ADDRESSES: &[&str] = &["http://", "https://", "urn:"];

/// HL7 v2: segment names, MSH-1 to MSH-12 and every delimiter stay. JSON: keys stay, and the values that name types and systems. XML: names
/// and namespaces stay. Of anything else every letter and figure goes.
pub fn masked_message(bytes: &[u8]) -> Vec<u8> {
    if let Ok(mut value) = serde_json::from_slice::<Value>(without_bom(bytes))
        && (value.is_object() || value.is_array())
    {
        mask(&mut value);
        return format!("{value:#}").into_bytes();
    }
    if let Some(masked) = xml_masked(bytes) {
        return masked.into_bytes();
    }
    // One byte a character where it is no UTF-8: what a letter is there cannot be known, so all of it beyond ASCII goes.
    let text = String::from_utf8(bytes.to_vec()).unwrap_or_else(|_| bytes.iter().map(|b| char::from(*b)).collect());
    // The field separator is what stands behind the name of the first segment; without one there are no segments.
    let start = text.trim_start();
    let separator = ["MSH", "BHS", "FHS"].iter().find_map(|name| start.strip_prefix(name)?.chars().next());
    text.split_inclusive(['\r', '\n']).map(|line| segment(line, separator)).collect::<String>().into_bytes()
}

fn segment(line: &str, separator: Option<char>) -> String {
    let masked = |text: &str| text.chars().map(instead_of_char).collect::<String>();
    let name = line.get(..3).filter(|n| n.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()));
    // Three capitals can stand at the beginning of any line: only with the separator behind them are they a segment's name.
    let next = line.get(3..).and_then(|rest| rest.chars().next());
    let (Some(name), Some(separator)) = (name, separator.filter(|s| next == Some(*s))) else { return masked(line) };
    let kept = match name {
        // MSH-1 is the separator itself: MSH-12 ends before the twelfth.
        "MSH" => {
            line.char_indices().filter(|(_, c)| *c == separator).nth(MSH_FIELDS - 1).map_or(line.len(), |(at, _)| at)
        }
        _ => name.len(),
    };
    format!("{}{}", &line[..kept], masked(&line[kept..]))
}

/// Only what can be read as XML has names: of anything that merely looks like it every letter goes.
fn xml_masked(bytes: &[u8]) -> Option<String> {
    xml::read(bytes).ok()?;
    let text = std::str::from_utf8(bytes).ok()?;
    let hidden = |text: &str| text.chars().map(instead_of_char).collect::<String>();
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('<') {
        out.push_str(&hidden(&rest[..at]));
        rest = &rest[at..];
        let closed = [("<!--", "-->"), ("<![CDATA[", "]]>")].into_iter().find(|(begin, _)| rest.starts_with(begin));
        let end = match closed {
            Some((begin, end)) => {
                let to = begin.len() + rest[begin.len()..].find(end)?;
                out.push_str(begin);
                out.push_str(&hidden(&rest[begin.len()..to]));
                out.push_str(end);
                to + end.len()
            }
            // The declaration, and what is said to programs: kept where it is the declaration alone.
            None if rest.starts_with("<?") => {
                let to = rest.find("?>")? + 2;
                let shown = rest.starts_with("<?xml ");
                out.push_str(&if shown { rest[..to].to_owned() } else { hidden(&rest[..to]) });
                to
            }
            None => tag_masked(rest, &mut out)?,
        };
        rest = &rest[end..];
    }
    out.push_str(&hidden(rest));
    Some(out)
}

/// One tag: of its attributes the values go, but for namespaces. Gives where it ends.
fn tag_masked(text: &str, out: &mut String) -> Option<usize> {
    let mut at = 0;
    loop {
        let outside = &text[at..];
        let end = outside.find(['"', '\'', '>'])?;
        out.push_str(&outside[..=end]);
        at += end + 1;
        let quote = match outside.as_bytes()[end] {
            b'>' => return Some(at),
            quote => char::from(quote),
        };
        let to = text[at..].find(quote)?;
        let name = outside[..end].trim_end().trim_end_matches('=').trim_end();
        let name = name.rsplit(char::is_whitespace).next().unwrap_or_default();
        let value = &text[at..at + to];
        let is_namespace = name == "xmlns" || name.starts_with("xmlns:");
        let kept = is_namespace && ADDRESSES.iter().any(|begins| value.starts_with(begins));
        out.push_str(&if kept { value.to_owned() } else { value.chars().map(instead_of_char).collect() });
        out.push(quote);
        at += to + 1;
    }
}

fn mask(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map.iter_mut() {
                let begins =
                    KEPT_KEYS.iter().find(|(kept, _)| kept == key).map(|(_, begins)| *begins).unwrap_or_default();
                if !inner.as_str().is_some_and(|text| begins.iter().any(|b| text.starts_with(b))) {
                    mask(inner);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::String(text) => *text = text.chars().map(instead_of_char).collect(),
        Value::Number(_) => *value = Value::from(0),
        Value::Bool(_) | Value::Null => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(message: &[u8]) -> String {
        String::from_utf8(masked_message(message)).expect("UTF-8")
    }

    #[test]
    fn of_a_message_the_structure_stays_and_no_word_about_the_patient() {
        let message = "MSH|^~\\&|RIO|RZ9|IPS|RZ9|20260302101530||REF^I12|C1|T|2.4|secret\rPID|1||9990000018^^^Nhs^NH||Testpatient^Jo^A\rANN, Tel 07700900123\r";
        let shown = shown(message.as_bytes());
        assert!(shown.starts_with("MSH|^~\\&|RIO|RZ9|IPS|RZ9|20260302101530||REF^I12|C1|T|2.4|xxxxxx\rPID|0||0000000000^^^Xxx^XX||Xxxxxxxxxxx^Xx^X\r"));
        assert!(shown.ends_with("\r\u{58}XX, Xxx 00000000000\r"), "{shown}");
        assert_eq!(shown.chars().count(), message.chars().count());
    }

    #[test]
    fn of_a_resource_the_keys_stay() {
        let body = r#"{"resourceType":"Patient","identifier":[{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"9990000018"}],"name":[{"family":"Testpatient"}],"telecom":[{"system":"Testpatient"}],"age":41,"active":true}"#;
        let masked: Value = serde_json::from_slice(&masked_message(body.as_bytes())).expect("JSON");
        let expected = serde_json::json!({"resourceType":"Patient","identifier":[{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"0000000000"}],"name":[{"family":"Xxxxxxxxxxx"}],"telecom":[{"system":"Xxxxxxxxxxx"}],"age":0,"active":true});
        assert_eq!(masked, expected);
    }

    #[test]
    fn of_a_message_of_xml_the_names_stay() {
        let body = "<?xml version=\"1.0\"?>\n<a:Client xmlns:a='urn:x' use=\"Ann's > \"><!-- Sam -->\n<Id type='MR'>4471920</Id><![CDATA[Sam]]>&lt;Sam&gt;</a:Client>";
        let expected = "<?xml version=\"1.0\"?>\n<a:Client xmlns:a='urn:x' use=\"Xxx'x > \"><!-- Xxx -->\n<Id type='XX'>0000000</Id><![CDATA[Xxx]]>&xx;Xxx&xx;</a:Client>";
        assert_eq!(shown(body.as_bytes()), expected);
        assert_eq!(shown(b"<Sam>Ann"), "<Xxx>Xxx", "no XML: nothing stays");
        assert_eq!(shown(b"<a xmlns='Testpatient'/>"), "<a xmlns='Xxxxxxxxxxx'/>");
    }

    #[test]
    fn of_what_is_no_message_nothing_stays() {
        assert_eq!(shown(b"Testpatient, 12 High Street"), "Xxxxxxxxxxx, 00 Xxxx Xxxxxx");
        assert_eq!(shown(b"\"Testpatient\""), "\"Xxxxxxxxxxx\"");
        assert_eq!(shown(b"caf\xe9 Ann"), "xxxé Xxx");
    }
}
