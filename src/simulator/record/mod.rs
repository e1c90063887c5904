//! The clinical record of a pretend EPR: what it was sent, what it filed, what it refused and why. No I/O and no clock.
//!
//! T02 files a document, T08 edits it under the same id, T10 files one whose parent becomes obsolete, T11 takes one back,
//! RRI answers a referral that was sent. ORU^R01 files a document as a result, or corrects it under the same id. Two kinds of EPR can be played: one that recognises a message it has had already
//! and answers it again, and one that files whatever comes, so that second copies show.

mod document;
mod filing;
mod judge;
mod lookup;
mod patient;
mod read;
mod text;

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::adapter::hl7::{AckCode, AckError, Charset, Envelope, Location, Message};

pub use document::{Attachment, Author, Cancelled, CodedRow, Document, Section, Status, Version};
pub use judge::Refusal;
use lookup::Lookup;
pub use patient::{Address, LocalId, LogRow, Patient, PatientRecord, Referral, ReferralAnswer, ReferralSent};
pub use text::Private;

/// What kind of EPR it is.
#[derive(Debug, Clone)]
pub struct RecordSettings {
    /// A message with the MSH-10 and the bytes of one that was filed is answered again and not filed again, and a new
    /// message with a document id that is held is refused (205). Otherwise both are filed as second copies.
    pub recognises_repeats: bool,
    /// The people it knows: a message about anyone else, or whose name or date of birth differ, is refused (204). `None`:
    /// whoever a message is about becomes known.
    pub patients: Option<Vec<Patient>>,
    /// An answer to a referral that it did not send is filed all the same. Otherwise refused (204).
    pub takes_unknown_referrals: bool,
    /// The MSH-11 it wants: P or T. `None`: any.
    pub processing_id: Option<String>,
    /// For messages without MSH-18.
    pub charset: Charset,
    /// Most messages received; above that each is refused (207).
    pub messages_max: usize,
}

impl Default for RecordSettings {
    /// Recognises repeats, knows nobody yet, refuses answers to unknown referrals, any MSH-11, UTF-8, 1,000,000 messages.
    fn default() -> Self {
        Self {
            recognises_repeats: true,
            patients: None,
            takes_unknown_referrals: false,
            processing_id: None,
            charset: Charset::Utf8,
            messages_max: 1_000_000,
        }
    }
}

/// The record. Saved and loaded as JSON; its settings are not part of that.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Record {
    patients: Vec<PatientRecord>,
    arrivals: Vec<Arrival>,
    #[serde(skip)]
    settings: RecordSettings,
    #[serde(skip)]
    lookup: Lookup,
}

/// One message received, whatever became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    pub at: Timestamp,
    /// MSH-9 as `MDM^T02`; empty where the bytes are no message.
    pub kind: String,
    /// MSH-10.
    pub control_id: String,
    /// TXA-12, of a result OBR-3.
    pub document_id: Option<String>,
    pub bytes: usize,
    /// Of the bytes, in hexadecimal: equal ones are byte-identical messages.
    pub sha256: String,
    pub became: Became,
    /// The judgement as `AA`, `AE 204`. What went out may differ: see `fault`.
    pub judged: String,
    /// How the answer was disturbed.
    pub fault: Option<String>,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Became {
    Filed,
    /// It was filed before, byte for byte.
    Repeat,
    Refused,
    /// A fault kept it from being looked at.
    Ignored,
}

/// The record's answer to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    pub became: Became,
    /// Set when refused by the record's own rules.
    pub refusal: Option<Refusal>,
}

impl Judgement {
    /// AA, AE or AR.
    pub fn code(&self) -> AckCode {
        self.refusal.map_or(AckCode::AA, |refusal| refusal.code)
    }

    /// For the ERR segment.
    pub fn errors(&self) -> Vec<AckError<'static>> {
        let error = |r: Refusal| {
            let location = Location { segment: r.segment.to_owned(), sequence: Some(1), field: r.field };
            AckError { code: r.error, location: Some(location), text: Some(r.text) }
        };
        self.refusal.map(error).into_iter().collect()
    }
}

impl Record {
    pub fn new(settings: RecordSettings) -> Self {
        let mut record = Self { settings, ..Self::default() };
        record.know_listed();
        record
    }

    /// A record saved by [`Record::to_json`].
    ///
    /// # Errors
    /// The text is no such record.
    pub fn from_json(json: &str, settings: RecordSettings) -> Result<Self, serde_json::Error> {
        let mut record = Self { settings, ..serde_json::from_str(json)? };
        record.lookup = Lookup::of(&record);
        record.know_listed();
        Ok(record)
    }

    /// The whole record as readable JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a record holds nothing that JSON cannot")
    }

    fn know_listed(&mut self) {
        for patient in self.settings.patients.clone().unwrap_or_default() {
            self.know(patient);
        }
    }

    /// Receives a message: looks at it, files it or refuses it. `fault` says how its answer will be disturbed.
    pub fn receive(&mut self, bytes: &[u8], at: Timestamp, fault: Option<String>) -> Judgement {
        let mut arrival = Arrival::of(bytes, at, fault);
        let judged = self.judge(bytes, &arrival);
        let judgement = match judged {
            Ok(became) => Judgement { became, refusal: None },
            Err(refusal) => Judgement { became: Became::Refused, refusal: Some(refusal) },
        };
        arrival.became = judgement.became;
        arrival.judged = match judgement.refusal {
            Some(refusal) => format!("{} {}", refusal.code.as_str(), refusal.error),
            None => AckCode::AA.as_str().to_owned(),
        };
        self.note(arrival);
        judgement
    }

    /// Counts a message that a fault keeps from being looked at.
    pub fn ignore(&mut self, bytes: &[u8], at: Timestamp, fault: String) {
        let arrival = Arrival { became: Became::Ignored, ..Arrival::of(bytes, at, Some(fault)) };
        self.note(arrival);
    }

    fn note(&mut self, arrival: Arrival) {
        if self.arrivals.len() < self.settings.messages_max {
            self.lookup.arrived(&arrival, self.arrivals.len());
            self.arrivals.push(arrival);
        }
    }

    fn judge(&mut self, bytes: &[u8], arrival: &Arrival) -> Result<Became, Refusal> {
        if self.arrivals.len() >= self.settings.messages_max {
            return Err(Refusal::error(207, "MSH", 0, "this record is full"));
        }
        if self.settings.recognises_repeats && self.was_filed(arrival) {
            return Ok(Became::Repeat);
        }
        let unreadable = Refusal::reject(100, "MSH", 0, "the message cannot be read");
        let envelope = Envelope::peek(bytes).ok_or(unreadable)?;
        let message =
            Message::read(bytes, self.settings.charset).map_err(|e| Refusal { text: e.what, ..unreadable })?;
        let asks = judge::asks(&message, &envelope, &self.settings)?;
        self.file(asks, &message, arrival)?;
        Ok(Became::Filed)
    }

    fn was_filed(&self, arrival: &Arrival) -> bool {
        self.lookup.with_control_id(&arrival.control_id).iter().any(|index| {
            let earlier = &self.arrivals[*index];
            earlier.sha256 == arrival.sha256 && matches!(earlier.became, Became::Filed | Became::Repeat)
        })
    }
}

impl Arrival {
    fn of(bytes: &[u8], at: Timestamp, fault: Option<String>) -> Self {
        let envelope = Envelope::peek(bytes);
        let kind = envelope.as_ref().map(|e| format!("{}^{}", e.message_code(), e.trigger()));
        let control_id = envelope.as_ref().map(|e| e.control_id().into_owned());
        Self {
            at,
            kind: kind.unwrap_or_default(),
            control_id: control_id.unwrap_or_default(),
            document_id: document_id(bytes),
            bytes: bytes.len(),
            sha256: Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect(),
            became: Became::Refused,
            judged: String::new(),
            fault,
        }
    }
}

/// TXA-12 or OBR-3 as far as it can be made out without reading the message: what is refused is counted by its id too.
pub(super) fn document_id(bytes: &[u8]) -> Option<String> {
    let envelope = Envelope::peek(bytes)?;
    let delimiters = envelope.delimiters();
    let (name, field) = if envelope.message_code() == "ORU" { (b"OBR", 3) } else { (b"TXA", 12) };
    let line = bytes.split(|b| matches!(b, b'\r' | b'\n')).find(|line| line.starts_with(name))?;
    let raw = line.split(|b| *b == delimiters.field).nth(field)?;
    let parts: Vec<_> = raw.split(|b| *b == delimiters.component).map(String::from_utf8_lossy).collect();
    let id = parts.join("^").trim_end_matches('^').to_owned();
    (!id.is_empty()).then_some(id)
}
