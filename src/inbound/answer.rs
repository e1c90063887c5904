//! Answers of ours. HL7 v2: original mode one acknowledgement, enhanced mode up to two, errors in the sender's version. FHIR: a status and an
//! OperationOutcome. XML: what the pack says, else a status and a sentence.

use super::Source;
use crate::adapter::Fitted;
use crate::adapter::hl7::{Ack, AckCode, AckError, AckMode as Asked, Envelope};
use crate::adapter::xml::Said;
use crate::domain::ids::{ReferralId, random_80_bits};
use crate::domain::policy::AckMode;
use crate::store::Refusal;
use crate::store::write::{Became, MakeReply, ReplyTo};
use crate::transport::http_message::Reply;
use jiff::Timestamp;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;

/// Who is answered, and so in which form.
#[derive(Clone, Copy)]
pub enum Caller<'a> {
    Hl7(&'a Envelope),
    /// Somebody who posted a FHIR resource, or sent it by another way as if it had been posted.
    Http,
    /// Somebody who sent a message of XML.
    Xml(&'a ToXml),
}

/// Who sent it, and in whose words they are answered.
pub struct ToXml {
    pub fitted: Arc<Fitted>,
    /// What the sender calls the message; empty where it does not say.
    pub id: String,
    pub message_type: String,
}

/// Sentences of one answer, together, in characters: whoever breaks a thousand rules is not told all of them.
const WHY_CHARS_MAX: usize = 2_000;

impl ToXml {
    /// `status`: unless the pack says another.
    pub fn answer<'w>(&self, taken: bool, status: u16, why: impl IntoIterator<Item = &'w str>) -> Vec<u8> {
        let why: String = why.into_iter().collect::<Vec<_>>().join("; ").chars().take(WHY_CHARS_MAX).collect();
        let said = Said { taken, status, id: &self.id, message_type: &self.message_type, why: &why };
        self.fitted.pack.answer_to_xml(&self.fitted.settings, &said).to_bytes()
    }
}

/// How a message was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    Yes,
    /// Read, and not possible as it is: AE.
    No,
    /// Not a message for us at all: AR.
    Never,
}

/// One thing that is wrong: an HL7 table 0357 code and a sentence without patient data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    pub code: u16,
    pub what: String,
}

impl Wrong {
    pub fn new(code: u16, what: impl Into<String>) -> Self {
        Self { code, what: what.into() }
    }
}

impl Caller<'_> {
    /// The bytes that are kept as the answer.
    pub fn answer(&self, source: &Source, taken: Taken, wrong: &[Wrong], now: Timestamp) -> Vec<u8> {
        match self {
            Caller::Hl7(envelope) => pack_frames(&frames(source, envelope, taken, wrong, now)),
            Caller::Http if taken == Taken::Yes => {
                said(200, "information", "informational", ["taken note of"]).to_bytes()
            }
            Caller::Xml(to) if taken == Taken::Yes => to.answer(true, 200, ["taken note of"]),
            Caller::Xml(to) => to.answer(false, 422, wrong.iter().map(|w| w.what.as_str())),
            Caller::Http => {
                let code = match wrong.first().map(|w| w.code) {
                    Some(101 | 102) => "invalid",
                    Some(200) => "not-supported",
                    _ => "business-rule",
                };
                said(422, "error", code, wrong.iter().map(|w| w.what.as_str())).to_bytes()
            }
        }
    }

    /// Makes the answer from what became of a referral; it is stored with the message. All are made beforehand: the writer must not depend on us.
    pub fn of_referral(&self, source: &Source, now: Timestamp) -> MakeReply {
        let yes = self.answer(source, Taken::Yes, &[], now);
        let no = |code, what: &str| self.answer(source, Taken::No, &[Wrong::new(code, what)], now);
        let mismatch = no(204, "the patient's number is known here with another date of birth or family name");
        // Not 205: who goes by codes would read that it is here already.
        let taken =
            no(204, "an identifier is another patient's here; it is kept and the integration team is shown why");
        let other = no(204, "the referral could not be taken; it is kept and the integration team is shown why");
        let is_http = matches!(self, Caller::Http);
        Box::new(move |result| match result {
            Ok(id) if is_http => created(id),
            Ok(_) => yes.clone(),
            Err(Refusal::PatientMismatch) => mismatch.clone(),
            Err(Refusal::IdentifierTaken) => taken.clone(),
            Err(_) => other.clone(),
        })
    }

    /// The answers for whatever may become of a message about somebody.
    pub fn of_told(&self, source: &Source, now: Timestamp) -> ReplyTo {
        let yes = self.answer(source, Taken::Yes, &[], now);
        let no: HashMap<u16, Vec<u8>> = [
            (101, "a field that is required is not there; the message is kept and the integration team is shown why"),
            (102, "what it says breaks a rule of our fields; it is kept and the integration team is shown which"),
            (
                204,
                "which patient or referral it means is not certain; it is kept and the integration team is shown why",
            ),
            (205, "the identifier is taken, or the record is to be merged with itself; the message is kept and shown"),
            (207, "it could not be taken in; it is kept and the integration team is shown why"),
        ]
        .into_iter()
        .map(|(code, what)| (code, self.answer(source, Taken::No, &[Wrong::new(code, what)], now)))
        .collect();
        Box::new(move |became| match became {
            Became::Applied(_) | Became::Ignored(..) => yes.clone(),
            Became::Refused { code, .. } | Became::Held { code, .. } => {
                no.get(code).or_else(|| no.get(&207)).cloned().unwrap_or_default()
            }
        })
    }
}

fn created(ReferralId(id): ReferralId) -> Vec<u8> {
    let location = format!("ServiceRequest/{}", ReferralId(id));
    let body = outcome("information", "informational", ["taken as a referral"]);
    Reply::new(201, [("location", location.as_str()), JSON], body).to_bytes()
}

const JSON: (&str, &str) = ("content-type", "application/fhir+json");

/// A status with an OperationOutcome that has one issue for each sentence.
pub fn said<'t>(status: u16, severity: &str, code: &str, why: impl IntoIterator<Item = &'t str>) -> Reply {
    Reply::new(status, [JSON], outcome(severity, code, why))
}

fn outcome<'t>(severity: &str, code: &str, why: impl IntoIterator<Item = &'t str>) -> Vec<u8> {
    let issue = |text| json!({ "severity": severity, "code": code, "details": { "text": text } });
    let issues: Vec<_> = why.into_iter().map(issue).collect();
    json!({ "resourceType": "OperationOutcome", "issue": issues }).to_string().into_bytes()
}

/// The frames to send back, in order.
fn frames(source: &Source, envelope: &Envelope, taken: Taken, wrong: &[Wrong], now: Timestamp) -> Vec<Vec<u8>> {
    let one = |code| ack(source, envelope, code, wrong, now);
    match source.ack_mode {
        AckMode::Original => vec![one(application(taken))],
        AckMode::Enhanced => {
            let ok = taken == Taken::Yes;
            let (accept, applies) = match envelope.ack_mode() {
                Asked::Enhanced { accept, application } => (accept.wants(true), application.wants(ok)),
                // Configured as enhanced, and the message does not say: both.
                Asked::Original => (true, true),
            };
            // Whatever became of it, it is stored: that is what CA says.
            let commit = accept.then(|| ack(source, envelope, AckCode::CA, &[], now));
            commit.into_iter().chain(applies.then(|| one(application(taken)))).collect()
        }
    }
}

fn application(taken: Taken) -> AckCode {
    match taken {
        Taken::Yes => AckCode::AA,
        Taken::No => AckCode::AE,
        Taken::Never => AckCode::AR,
    }
}

fn ack(source: &Source, envelope: &Envelope, code: AckCode, wrong: &[Wrong], now: Timestamp) -> Vec<u8> {
    let control_id = format!("{}{}", source.control_id_prefix, random_80_bits(source.entropy.as_ref()));
    let time = now.to_zoned(source.time_zone.clone());
    let errors: Vec<AckError<'_>> =
        wrong.iter().map(|w| AckError { code: w.code, location: None, text: Some(&w.what) }).collect();
    Ack { to: envelope, code, control_id: &control_id, time: &time, errors: &errors }.to_bytes()
}

/// Several frames travel as one stored reply, each after its length, so that a repeat is answered with the same bytes.
pub fn pack_frames(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for frame in frames {
        out.extend_from_slice(&u32::try_from(frame.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(frame);
    }
    out
}

/// The inverse of [`pack_frames`]; bytes that are not whole give what could be read.
pub fn unpack_frames(mut packed: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some((length, rest)) = packed.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let Some((frame, rest)) = rest.split_at_checked(length) else { break };
        frames.push(frame.to_vec());
        packed = rest;
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_as_they_were_packed() {
        for frames in [vec![], vec![b"MSH|1".to_vec()], vec![b"CA".to_vec(), Vec::new(), b"AA\r".to_vec()]] {
            assert_eq!(unpack_frames(&pack_frames(&frames)), frames);
        }
        assert!(unpack_frames(b"\0\0\0\x09short").is_empty());
    }
}
