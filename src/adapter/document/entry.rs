//! `document = { … }` of a `[[render]]`: the document made before the message, and the names of the files.

use super::DocumentKind;
use crate::adapter::settings::{Kind as SettingKind, Settings};
use crate::adapter::stop::Stop;
use crate::adapter::table::{Reader, TomlFile};
use serde_json::Value;

/// What a document is made from and called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentEntry {
    /// The page template, below `templates/`.
    pub page: String,
    /// `pdf`, `text` or `settings.<name>`.
    kind: String,
    /// The document's name without its ending.
    name: String,
    /// The index file's whole name; only where files are what is sent.
    index: Option<String>,
}

/// What a name may be made of: ids of ours, never anything of a patient.
const PARTS: [&str; 3] = ["{document_id}", "{control_id}", "{first_document_id}"];

impl DocumentEntry {
    /// `required`: the format is nothing without one.
    pub fn read(
        file: &TomlFile<'_>,
        r: &Reader<'_, '_>,
        line: u32,
        settings: &Settings,
        required: bool,
    ) -> Option<Self> {
        let sample = "document = { page = \"templates/note.page\", kind = \"pdf\", name = \"{document_id}\", index = \"{document_id}.xml\" }";
        let Some((table, at)) = r.table("document") else {
            if required {
                file.fault_at(line, "[[render]] of format document makes no document", format!("add {sample}"));
            }
            return None;
        };
        let d = Reader::new(file, table, at, "document");
        let page = d.required("page", "templates/note.page").map(|(p, line)| match p.strip_prefix("templates/") {
            Some(name) if name.ends_with(".page") => name.to_owned(),
            _ => {
                file.fault_at(
                    line,
                    format!("page \"{p}\" is no page template"),
                    "it lies under templates/ and ends in .page",
                );
                p
            }
        });
        let kind = d.required("kind", "pdf");
        if let Some((kind, line)) = &kind {
            let good = match kind.strip_prefix("settings.").map(|name| settings.get(name)) {
                None => DocumentKind::parse(kind).is_some(),
                Some(Some(setting)) => match &setting.kind {
                    SettingKind::Choice(list) => list.iter().all(|v| DocumentKind::parse(v).is_some()),
                    _ => false,
                },
                Some(None) => false,
            };
            if !good {
                file.fault_at(
                    *line,
                    format!("\"{kind}\" is no kind of document"),
                    "write \"pdf\", \"text\", or settings.<name> of a setting whose choices are pdf and text",
                );
            }
        }
        let name = d.required("name", "{document_id}").map(|(n, line)| checked(file, n, line));
        let index = d.text("index").map(|(n, line)| checked(file, n, line));
        match (&index, required) {
            (None, true) => {
                d.fault("document has no \"index\"", "add index = \"{document_id}.xml\": the far end waits for it")
            }
            (Some(_), false) => d.fault("this format sends no index file", "remove index"),
            _ => {}
        }
        d.finish();
        Some(Self { page: page?, kind: kind?.0, name: name?, index })
    }

    /// Under these (resolved) settings.
    pub fn kind(&self, settings: &Value) -> Option<DocumentKind> {
        match self.kind.strip_prefix("settings.") {
            Some(name) => DocumentKind::parse(settings.get(name)?.as_str()?),
            None => DocumentKind::parse(&self.kind),
        }
    }

    /// The document's file name for this input.
    pub fn document_name(&self, kind: DocumentKind, input: &Value) -> Result<String, Stop> {
        filled(&format!("{}.{}", self.name, kind.extension()), input)
    }

    pub fn index_name(&self, input: &Value) -> Result<String, Stop> {
        filled(self.index.as_deref().unwrap_or_default(), input)
    }
}

/// A name holds an id that no other entry has: names that repeat would stop the second one.
fn checked(file: &TomlFile<'_>, name: String, line: u32) -> String {
    let mut rest = name.clone();
    for part in PARTS {
        rest = rest.replace(part, "");
    }
    let plain = rest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    if !plain || rest == name || name.starts_with(['.', '-', '_']) || name.contains("..") {
        let hint = format!("use letters, digits, . - _ and one of {}", PARTS.join(", "));
        file.fault_at(line, format!("\"{name}\" is no name for a file"), hint);
    }
    name
}

fn filled(name: &str, input: &Value) -> Result<String, Stop> {
    let mut out = name.to_owned();
    for part in PARTS {
        if out.contains(part) {
            let id = input.pointer(&format!("/message/{}", part.trim_matches(['{', '}']))).and_then(Value::as_str);
            let good = |id: &&str| (1..=40).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
            let id = id
                .filter(good)
                .ok_or_else(|| Stop::fault("makes a file name of an id that is none", "check message"))?;
            out = out.replace(part, id);
        }
    }
    Ok(out)
}
