//! What a message says, in the record's words.

use jiff::civil::Date;

use super::document::{Attachment, Author, CodedRow, Section};
use super::judge::Refusal;
use super::patient::{LocalId, Patient};
use crate::adapter::hl7::{Field, Message, Reading, Repeat, Segment};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use sha2::{Digest, Sha256};

/// The text of a value, trimmed; `None` where there is none.
pub(super) fn said(reading: &Reading<'_>) -> Option<String> {
    reading.value().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

pub(super) fn first<'m>(field: Field<'m>) -> Repeat<'m> {
    field.repeats().next().expect("a field has at least one repetition")
}

/// Component `number` of the field's first repetition.
pub(super) fn component(field: Field<'_>, number: usize) -> Option<String> {
    said(&first(field).component(number).subcomponent(1))
}

/// An entity identifier, its components joined by `^`.
pub(super) fn entity(field: Field<'_>) -> Option<String> {
    let repeat = first(field);
    let parts: Vec<String> = (1..=4).map(|n| said(&repeat.component(n).reading()).unwrap_or_default()).collect();
    let id = parts.join("^").trim_end_matches('^').to_owned();
    (!id.is_empty()).then_some(id)
}

/// Who a PID speaks of.
pub(super) struct Identity {
    pub(super) nhs_number: Option<String>,
    pub(super) local_ids: Vec<LocalId>,
    pub(super) family: Option<String>,
    pub(super) given: Option<String>,
    pub(super) date_of_birth: Option<Date>,
    pub(super) gender: Option<String>,
}

impl Identity {
    pub(super) fn read(pid: Segment<'_>) -> Self {
        let mut nhs_number = None;
        let mut local_ids = Vec::new();
        for repeat in pid.field(3).repeats() {
            let part = |n| said(&repeat.component(n).subcomponent(1));
            let Some(value) = part(1) else { continue };
            let (authority, kind) = (part(4).unwrap_or_default(), part(5).unwrap_or_default());
            // UK messages mark the NHS number by its authority or by its type; all four ways occur.
            if ["NHS", "NH"].contains(&&*authority) || ["NHS", "NH"].contains(&&*kind) {
                nhs_number.get_or_insert(value.replace([' ', '-'], ""));
            } else {
                local_ids.push(LocalId { value: value.into(), authority });
            }
        }
        let name = first(pid.field(5));
        Self {
            nhs_number,
            local_ids,
            family: said(&name.component(1).subcomponent(1)),
            given: said(&name.component(2).reading()),
            date_of_birth: said(&pid.field(7).reading()).and_then(|t| date(&t)),
            gender: said(&pid.field(8).reading()),
        }
    }

    pub(super) fn into_patient(self) -> Patient {
        Patient {
            nhs_number: self.nhs_number.map(Into::into),
            mrn: self.local_ids.into_iter().next(),
            family: self.family.unwrap_or_default().into(),
            given: self.given.unwrap_or_default().into(),
            date_of_birth: self.date_of_birth,
            gender: self.gender.map(Into::into),
            address: None,
        }
    }
}

/// The date of an HL7 time stamp: its first eight digits.
fn date(text: &str) -> Option<Date> {
    Date::strptime("%Y%m%d", text.get(..8)?).ok()
}

pub(super) fn author(field: Field<'_>) -> Option<Author> {
    let part = |n| component(field, n).unwrap_or_default();
    let (id, name) = (part(1), [part(6), part(3), part(2)]);
    let name = name.iter().filter(|p| !p.is_empty()).map(String::as_str).collect::<Vec<_>>().join(" ");
    (!id.is_empty() || !name.is_empty()).then(|| Author { id, name: name.into(), authority: part(9) })
}

/// OBR-32: who and when in the first component, whose parts are number, family and given name.
pub(super) fn result_author(field: Field<'_>) -> Option<Author> {
    let who = first(field).component(1);
    let part = |n| said(&who.subcomponent(n)).unwrap_or_default();
    let (id, name) = (part(1), [part(3), part(2)]);
    let name = name.iter().filter(|p| !p.is_empty()).map(String::as_str).collect::<Vec<_>>().join(" ");
    (!id.is_empty() || !name.is_empty()).then(|| Author { id, name: name.into(), authority: String::new() })
}

/// What the message's OBX segments hold.
pub(super) struct Content {
    pub sections: Vec<Section>,
    pub rows: Vec<CodedRow>,
    pub attachments: Vec<Attachment>,
}

impl Content {
    pub(super) fn read(message: &Message) -> Result<Self, Refusal> {
        let (sections, rows) = content(message);
        Ok(Self { sections, rows, attachments: attachments(message)? })
    }
}

/// OBX-2 of a row that holds a document, or a piece of one.
const ENCAPSULATED: &str = "ED";

/// The rows with one OBX-3 are one document, each row decoded and put behind the one before; the first says what it is.
fn attachments(message: &Message) -> Result<Vec<Attachment>, Refusal> {
    let mut found: Vec<(String, String, String, Vec<u8>)> = Vec::new();
    for obx in message.segments_named("OBX") {
        let part = |field: usize, n: usize| component(obx.field(field), n).unwrap_or_default();
        if part(2, 1) != ENCAPSULATED {
            continue;
        }
        let data = part(5, 5);
        let bytes = match part(5, 4).as_str() {
            "Base64" => BASE64.decode(data.as_bytes()),
            _ => Ok(data.into_bytes()),
        };
        let bytes = bytes.map_err(|_| Refusal::error(102, "OBX", 5, "a row is not base64 as it says"))?;
        let code = part(3, 1);
        match found.iter_mut().find(|(same, ..)| *same == code) {
            Some((.., whole)) => whole.extend_from_slice(&bytes),
            None => {
                let media_type = [part(5, 2), part(5, 3)].join("/").to_lowercase();
                found.push((code, part(3, 2), media_type.trim_matches('/').to_owned(), bytes));
            }
        }
    }
    let attachment = |(code, name, media_type, bytes): (String, String, String, Vec<u8>)| Attachment {
        code,
        name,
        is_whole_pdf: bytes.starts_with(b"%PDF-") && bytes.trim_ascii_end().ends_with(b"%%EOF"),
        media_type,
        bytes: bytes.len(),
        sha256: Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect(),
    };
    Ok(found.into_iter().map(attachment).collect())
}

/// The readable texts and the coded rows of the message's OBX segments.
fn content(message: &Message) -> (Vec<Section>, Vec<CodedRow>) {
    let mut texts: Vec<(Section, String)> = Vec::new();
    let mut rows = Vec::new();
    for obx in message.segments_named("OBX") {
        let part = |field: usize, n: usize| component(obx.field(field), n).unwrap_or_default();
        let (value_type, code, name) = (part(2, 1), part(3, 1), part(3, 2));
        if value_type == ENCAPSULATED {
            continue;
        }
        if !["FT", "TX", "ST"].contains(&&*value_type) {
            let (value, meaning) = (part(5, 1).into(), part(5, 2).into());
            rows.push(CodedRow { code, name, value_type, value, meaning, units: part(6, 1) });
            continue;
        }
        let lines: Vec<String> =
            obx.field(5).repeats().map(|r| r.reading().value().unwrap_or_default().to_owned()).collect();
        let piece = lines.join("\n");
        match texts.iter_mut().find(|(section, _)| section.code == code) {
            Some((_, text)) => {
                // A long FT is cut anywhere; a row of TX or ST is a line, and so is a row of headings.
                if value_type != "FT" || code.ends_with("-HEADING") {
                    text.push('\n');
                }
                text.push_str(&piece);
            }
            None => texts.push((Section { code, name, value_type, text: "".into() }, piece)),
        }
    }
    let sections = texts.into_iter().map(|(section, text)| Section { text: text.into(), ..section }).collect();
    (sections, rows)
}

/// NTE-3 of every NTE, a line each.
pub(super) fn notes(message: &Message) -> String {
    let lines: Vec<String> = message
        .segments_named("NTE")
        .flat_map(|nte| nte.field(3).repeats())
        .map(|r| r.reading().value().unwrap_or_default().to_owned())
        .collect();
    lines.join("\n")
}
