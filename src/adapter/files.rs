//! The document of an entry, and what carries it: files beside an index, or a field of an HL7 message. Either way the document that
//! leaves is the one that was proved.

use super::document::{self, DocumentKind, page};
use super::escaping::Escaping;
use super::hl7::{Charset, Message, Path};
use super::pack::Pack;
use super::render::{Plan, RenderError, Rendered};
use super::stop::Stop;
use crate::transport::file_set::{FileSet, FileSetError, NamedFile};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A document, ready to be sent.
pub(super) struct Made {
    kind: DocumentKind,
    name: String,
    bytes: Vec<u8>,
}

impl Made {
    /// The input with what a message or an index says of the document.
    pub(super) fn told(&self, input: &Value) -> Value {
        let sha256: String = Sha256::digest(&self.bytes).iter().map(|b| format!("{b:02x}")).collect();
        let mut input = input.clone();
        input["document"] = json!({
            "name": self.name,
            "media_type": self.kind.media_type(),
            "size_bytes": crate::wire::count(self.bytes.len()),
            "sha256": sha256,
            "base64": BASE64.encode(&self.bytes),
        });
        input
    }

    fn shown(&self) -> String {
        match self.kind {
            DocumentKind::Pdf => document::shown(&self.bytes).unwrap_or_default(),
            DocumentKind::Text => String::from_utf8_lossy(&self.bytes).replace("\r\n", "\n"),
        }
    }
}

impl Pack {
    /// The document that this entry has, if its `[[render]]` names one. `stand_in`: everything but the document itself, for a check that only
    /// looks at what templates print.
    pub(super) fn document(&self, plan: &Plan<'_>, input: &Value, stand_in: bool) -> Result<Option<Made>, RenderError> {
        let Some(entry) = &plan.entry.document else { return Ok(None) };
        let file = format!("templates/{}", entry.page);
        let wrong = |what: String, hint: String| RenderError::one(&file, 0, what, hint);
        let stopped = |stop: Stop| match stop {
            Stop::Fault { what, hint } => wrong(what, hint),
            Stop::TooLong(limit) => RenderError::TooLong { limit },
            Stop::NoStaffId => RenderError::NoStaffId,
            Stop::NotCarriable(what) => RenderError::NotCarriable { what },
        };
        let settings = input.get("settings").unwrap_or(&Value::Null);
        let kind = entry.kind(settings).ok_or_else(|| {
            wrong("is for a kind of document that the settings do not give".into(), "set it to pdf or text".into())
        })?;
        let printed = self.templates.render(&entry.page, input, &plan.facts)?;
        let elements = page::read(&printed).map_err(|page::NoPage { at, what, hint }| {
            let place = at.and_then(|at| self.templates.place(&entry.page, input, &plan.facts, at));
            let (file, line) = place.unwrap_or_else(|| (file.clone(), 0));
            RenderError::one(&file, line, what, hint)
        })?;
        let text = input.pointer("/entry/text").and_then(Value::as_str).unwrap_or_default();
        let carried = elements.iter().find(|e| e.kind == page::Kind::Text).map_or("", |e| e.text.as_str());
        if carried != text {
            return Err(wrong(
                "does not carry the accepted text as it is".into(),
                "write {% if entry.text %}TEXT|{{ entry.text }}{% endif %}, with nothing before or after it".into(),
            ));
        }
        let bytes = if stand_in { b"%PDF-".to_vec() } else { document::make(kind, &elements).map_err(stopped)? };
        let name = entry.document_name(kind, input).map_err(stopped)?;
        Ok(Some(Made { kind, name, bytes }))
    }
}

/// Document and index as one message, the index last: the far end waits for it.
pub(super) fn set(
    plan: &Plan<'_>,
    printed: &str,
    made: &Made,
    input: &Value,
    limit: usize,
) -> Result<Rendered, RenderError> {
    let file = format!("templates/{}", plan.entry.template);
    let index: String =
        printed.lines().filter(|l| !l.trim().is_empty()).map(|l| format!("{}\n", l.trim_end())).collect();
    let escaping = Escaping::of(&plan.entry.template);
    if !escaping.reads(&index) {
        return Err(RenderError::one(
            &file,
            0,
            format!("makes an index that cannot be read as {}", escaping.word()),
            "look at its tags and quotes; an index ends in .xml, .csv (commas, as many in each row) or .txt (key=value)",
        ));
    }
    // Values are quoted for commas: with any other mark a value could move the columns.
    let one_column = |line: &str| line.contains(';') && !line.contains(',');
    if escaping == Escaping::Csv && index.lines().all(one_column) {
        let hint =
            "write commas between the columns; a receiver that wants semicolons takes .xml or .txt (key=value) instead";
        return Err(RenderError::one(&file, 0, "makes an index with semicolons, and .csv means commas", hint));
    }
    let named = plan.entry.document.as_ref().map(|d| d.index_name(input));
    let Some(Ok(index_name)) = named else {
        return Err(RenderError::one(&file, 0, "has an index without a name", "add index = \"{document_id}.xml\""));
    };
    let id = input.pointer("/message/control_id").and_then(Value::as_str).unwrap_or_default();
    let shown = format!("== {}\n{}\n== {index_name}\n{index}", made.name, made.shown());
    let files = vec![
        NamedFile { name: made.name.clone(), bytes: made.bytes.clone() },
        NamedFile { name: index_name, bytes: index.into_bytes() },
    ];
    let bytes = FileSet { id: id.to_owned(), files }.encode().map_err(|e| match e {
        FileSetError::TooLarge => RenderError::TooLong { limit },
        e => RenderError::one(&file, 0, e.to_string(), "look at the names in document = { … }"),
    })?;
    if bytes.len() > limit {
        return Err(RenderError::TooLong { limit });
    }
    Ok(Rendered { bytes, text_for_display: shown })
}

/// The document inside an HL7 message, put together again from its pieces, is the one that was proved. Each piece is base64 of its own, so
/// that a receiver may decode before or after joining.
pub(super) fn check_embedded(plan: &Plan<'_>, bytes: &[u8], charset: Charset, made: &Made) -> Result<(), RenderError> {
    let file = format!("templates/{}", plan.entry.template);
    let message = Message::read_back(bytes, charset).map_err(|e| RenderError::one(&file, 0, e.what, e.hint))?;
    let path = Path::parse("OBX[2=ED]-5.5*").expect("a path of ours");
    let pieces = path.read(&message).ok().and_then(|r| r.into_value()).unwrap_or_default();
    let mut whole = Vec::new();
    for piece in pieces.split('\n') {
        match BASE64.decode(piece) {
            Ok(decoded) => whole.extend(decoded),
            Err(_) => {
                return Err(RenderError::one(
                    &file,
                    0,
                    "makes a piece of the document that is no base64 of its own",
                    "pieces have a multiple of 4 characters: | chunks(…) with such a number",
                ));
            }
        }
    }
    if whole == made.bytes {
        return Ok(());
    }
    Err(RenderError::one(
        &file,
        0,
        "does not carry the document whole",
        "write document.base64 into OBX-5.5 of rows whose OBX-2 is ED, and into nothing else",
    ))
}
