//! What the EPR makes of a message before it files anything.

use super::RecordSettings;
use super::read::{component, entity};
use crate::adapter::hl7::{AckCode, Envelope, Message, Segment};

/// Longest MSH-10, TXA-12 and TXA-13, in characters (HL7 2.4, lengths of ST and EI in these fields).
const CONTROL_ID_CHARS_MAX: usize = 20;
const DOCUMENT_ID_CHARS_MAX: usize = 30;

/// Why something is not filed. Static texts: an acknowledgement must not name a patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// AE: this message is wrong. AR: messages of this sort are not taken.
    pub code: AckCode,
    /// HL7 table 0357.
    pub error: u16,
    pub segment: &'static str,
    pub field: Option<u32>,
    pub text: &'static str,
}

impl Refusal {
    pub(super) fn error(error: u16, segment: &'static str, field: u32, text: &'static str) -> Self {
        Self { code: AckCode::AE, error, segment, field: (field > 0).then_some(field), text }
    }

    pub(super) fn reject(error: u16, segment: &'static str, field: u32, text: &'static str) -> Self {
        Self { code: AckCode::AR, ..Self::error(error, segment, field, text) }
    }
}

/// What a message asks to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    /// MDM^T02, or an ORU^R01 that is final.
    File,
    /// MDM^T08, or an ORU^R01 that corrects.
    Edit,
    /// MDM^T10.
    Replace,
    /// MDM^T11.
    Cancel,
    /// RRI^I12, I13 or I14.
    AnswerReferral,
}

/// Whether the message is one that this EPR takes, and is put together as its standard says.
pub(super) fn asks(message: &Message, envelope: &Envelope, settings: &RecordSettings) -> Result<Asks, Refusal> {
    let asks = match (&*envelope.message_code(), &*envelope.trigger()) {
        ("MDM", "T02") => Asks::File,
        ("MDM", "T08") => Asks::Edit,
        ("MDM", "T10") => Asks::Replace,
        ("MDM", "T11") => Asks::Cancel,
        ("ORU", "R01") => result_asks(message)?,
        ("RRI", "I12" | "I13" | "I14") => Asks::AnswerReferral,
        ("MDM" | "ORU" | "RRI", _) => return Err(Refusal::reject(201, "MSH", 9, "this trigger is not taken here")),
        _ => return Err(Refusal::reject(200, "MSH", 9, "this message type is not taken here")),
    };
    if !envelope.version().starts_with("2.") {
        return Err(Refusal::reject(203, "MSH", 12, "this version is not taken here"));
    }
    let processing_id = envelope.processing_id();
    if settings.processing_id.as_deref().is_some_and(|wanted| wanted != processing_id) {
        return Err(Refusal::reject(202, "MSH", 11, "this processing id is not taken here"));
    }
    if envelope.control_id().chars().count() > CONTROL_ID_CHARS_MAX {
        return Err(Refusal::error(102, "MSH", 10, "the control id is longer than 20 characters"));
    }
    if !message.set_aside().is_empty() {
        return Err(Refusal::error(100, "MSH", 0, "a line is no segment"));
    }
    match asks {
        Asks::AnswerReferral => referral_answer(message)?,
        _ if envelope.message_code() == "ORU" => result(message)?,
        _ => document(message, asks)?,
    }
    Ok(asks)
}

/// The segment that says which document a message is about, and its field with the id.
pub(super) struct Head<'m> {
    pub segment: Segment<'m>,
    pub name: &'static str,
    pub id: u32,
}

/// TXA-12, of a result OBR-3.
pub(super) fn head(message: &Message) -> Result<Head<'_>, Refusal> {
    let is_result = message.segments_named("TXA").next().is_none() && message.segments_named("OBR").next().is_some();
    let (name, id) = if is_result { ("OBR", 3) } else { ("TXA", 12) };
    Ok(Head { segment: only(message, name)?, name, id })
}

/// OBR-25: a result that is final is a new document, one that corrects is a version of the document it corrects.
fn result_asks(message: &Message) -> Result<Asks, Refusal> {
    match component(only(message, "OBR")?.field(25), 1).as_deref() {
        Some("F") => Ok(Asks::File),
        Some("C") => Ok(Asks::Edit),
        Some(_) => Err(Refusal::error(102, "OBR", 25, "only final (F) and corrected (C) results are taken here")),
        None => Err(Refusal::error(101, "OBR", 25, "a required field is empty")),
    }
}

/// The one segment with this id.
pub(super) fn only<'m>(message: &'m Message, id: &'static str) -> Result<Segment<'m>, Refusal> {
    let mut all = message.segments_named(id);
    let found = all.next().ok_or(Refusal::error(100, id, 0, "a required segment is missing"))?;
    match all.next() {
        Some(_) => Err(Refusal::error(100, id, 0, "a segment that may stand once stands twice")),
        None => Ok(found),
    }
}

fn in_order(message: &Message, ids: &[&'static str]) -> Result<(), Refusal> {
    let mut after = 0;
    for id in ids {
        let index = only(message, id)?.index();
        if index < after {
            return Err(Refusal::error(100, id, 0, "a segment stands in the wrong place"));
        }
        after = index;
    }
    Ok(())
}

fn filled(segment: Segment<'_>, id: &'static str, fields: &[u32]) -> Result<(), Refusal> {
    let empty = |field: &&u32| {
        let raw = segment.field(usize::try_from(**field).unwrap_or_default()).raw().trim();
        raw.is_empty() || raw == "\"\""
    };
    match fields.iter().find(empty) {
        Some(field) => Err(Refusal::error(101, id, *field, "a required field is empty")),
        None => Ok(()),
    }
}

/// MDM_T02, and MDM_T01 for a cancellation (HL7 2.4 chapter 9).
fn document(message: &Message, asks: Asks) -> Result<(), Refusal> {
    in_order(message, &["MSH", "EVN", "PID", "PV1", "TXA"])?;
    filled(only(message, "EVN")?, "EVN", &[2])?;
    filled(only(message, "PID")?, "PID", &[3, 5])?;
    filled(only(message, "PV1")?, "PV1", &[2])?;
    let txa = only(message, "TXA")?;
    filled(txa, "TXA", &[2, 12, 17])?;
    if asks == Asks::Replace {
        filled(txa, "TXA", &[13])?;
        if entity(txa.field(12)) == entity(txa.field(13)) {
            return Err(Refusal::error(102, "TXA", 13, "a document cannot take its own place"));
        }
    }
    for (field, number) in [(12, 12), (13, 13)] {
        if entity(txa.field(field)).is_some_and(|id| id.chars().count() > DOCUMENT_ID_CHARS_MAX) {
            return Err(Refusal::error(102, "TXA", number, "the document id is longer than 30 characters"));
        }
    }
    let mut count = 0;
    for obx in message.segments_named("OBX") {
        count += 1;
        filled(obx, "OBX", &[2, 3, 11])?;
        if obx.index() < txa.index() {
            return Err(Refusal::error(100, "OBX", 0, "a segment stands in the wrong place"));
        }
    }
    match (asks == Asks::Cancel, count) {
        (false, 0) => Err(Refusal::error(100, "OBX", 0, "the document has no content")),
        (true, 1..) => Err(Refusal::error(100, "OBX", 0, "a cancellation has no content")),
        _ => Ok(()),
    }
}

/// ORU_R01 with one result that is a document (HL7 2.4 chapter 7).
fn result(message: &Message) -> Result<(), Refusal> {
    in_order(message, &["MSH", "PID", "OBR"])?;
    filled(only(message, "PID")?, "PID", &[3, 5])?;
    let obr = only(message, "OBR")?;
    filled(obr, "OBR", &[3, 4])?;
    let mut count = 0;
    for obx in message.segments_named("OBX") {
        count += 1;
        filled(obx, "OBX", &[2, 3, 11])?;
        if obx.index() < obr.index() {
            return Err(Refusal::error(100, "OBX", 0, "a segment stands in the wrong place"));
        }
    }
    if count == 0 {
        return Err(Refusal::error(100, "OBX", 0, "the document has no content"));
    }
    Ok(())
}

/// RRI_I12 (HL7 2.4 chapter 11).
fn referral_answer(message: &Message) -> Result<(), Refusal> {
    in_order(message, &["MSH", "RF1", "PID"])?;
    filled(only(message, "RF1")?, "RF1", &[1, 6])?;
    filled(only(message, "PID")?, "PID", &[3, 5])?;
    if !message.segments_named("PRD").any(|prd| component(prd.field(1), 1).is_some()) {
        return Err(Refusal::error(100, "PRD", 0, "a required segment is missing"));
    }
    Ok(())
}
