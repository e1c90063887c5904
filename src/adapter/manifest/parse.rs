//! `[[parse]]`: which message of theirs uses which map.

use super::super::fhir;
use super::super::table::{Reader, TomlFile};
use super::super::xml::{self, Namespaces};
use super::{Format, reason};
use crate::adapter::fhir::json_path;
use serde_json_path::JsonPath;
use toml::de::DeTable;

/// One `[[parse]]`.
#[derive(Debug, Clone)]
pub struct ParseEntry {
    /// `REF^I12`
    pub message: String,
    pub map: String,
    /// For fhir packs: what must be there for this row to be the one.
    pub when: Option<JsonPath>,
    /// For xml packs: where the message names itself.
    pub id: Option<xml::Path>,
    pub exempt: Option<String>,
    pub line: u32,
}

pub(super) fn parse_entry(
    file: &TomlFile<'_>,
    table: &DeTable<'_>,
    line: u32,
    format: Format,
    namespaces: &Namespaces,
) -> Option<ParseEntry> {
    let r = Reader::new(file, table, line, "[[parse]]");
    let message = r.required("message", "REF^I12");
    if let Some((m, line)) = &message {
        let good = |p: &str| p.len() == 3 && p.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if format == Format::Fhir {
            if !fhir::resource::is_type(m) {
                file.fault_at(
                    *line,
                    format!("message \"{m}\" is not a resource type"),
                    "write for example \"ServiceRequest\"",
                );
            }
        } else if format == Format::Xml {
            if !xml::is_name(m) {
                let hint = "write the name of the element that is the message, without a prefix: \"Referral\"";
                file.fault_at(*line, format!("message \"{m}\" is not the name of an element"), hint);
            }
        } else if !m.split_once('^').is_some_and(|(a, b)| good(a) && good(b)) {
            file.fault_at(
                *line,
                format!("message \"{m}\" is not a type and a trigger"),
                "write it as in MSH-9: \"REF^I12\"",
            );
        }
    }
    let map = r.required("map", "maps/ref_i12.toml");
    let id = r.text("id").and_then(|(text, at)| {
        if format != Format::Xml {
            file.fault_at(at, "id is for xml packs", "remove it: in other formats a message says itself which it is");
        }
        xml::path_in(file, &text, at, namespaces)
    });
    if format == Format::Xml && r.item("id").is_none() {
        r.fault(
            "this [[parse]] does not say where the message names itself",
            "add id = \"/Envelope/Body/…/@messageId\": by it a repeat is told from another message",
        );
    }
    let when = r.text("when").map(|(text, at)| {
        if format != Format::Fhir {
            file.fault_at(at, "when is for fhir packs", "remove it: in other formats a message has one map");
        }
        json_path(&text)
            .map_err(|why| {
                let what = format!("\"{text}\" is not a JSONPath: {why}");
                file.fault_at(at, what, "write it as in RFC 9535: $.link[?@.type == 'replaced-by']");
            })
            .ok()
    });
    let when = match when {
        Some(None) => return None,
        Some(when) => when,
        None => None,
    };
    let exempt = reason(&r, "exempt");
    r.finish();
    Some(ParseEntry { message: message?.0, map: map?.0, when, id, exempt, line })
}
