//! Who the EPR knows, and what it holds about each.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::document::Document;
use super::text::Private;

/// A person as the EPR knows them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patient {
    /// Ten digits.
    pub nhs_number: Option<Private>,
    /// The hospital number.
    pub mrn: Option<LocalId>,
    pub family: Private,
    pub given: Private,
    pub date_of_birth: Option<Date>,
    /// As in PID-8.
    pub gender: Option<Private>,
    #[serde(default)]
    pub address: Option<Address>,
}

/// A number and who gave it out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LocalId {
    pub value: Private,
    pub authority: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    pub line: Private,
    pub city: Private,
    pub county: Private,
    pub postcode: Private,
}

/// Everything in the record about one person.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PatientRecord {
    pub patient: Patient,
    /// In the order filed. A second copy is a document of its own with the same id.
    pub documents: Vec<Document>,
    pub referrals: Vec<Referral>,
    /// What was filed, in the order it arrived.
    pub log: Vec<LogRow>,
}

/// One thing filed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRow {
    pub at: Timestamp,
    /// MSH-9, such as `MDM^T02`.
    pub kind: String,
    /// MSH-10.
    pub control_id: String,
    /// The document's or referral's id.
    pub id: String,
}

/// A referral the EPR sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Referral {
    /// RF1-6.1.
    pub id: String,
    pub priority: Option<String>,
    pub text: Private,
    /// Each time it was sent.
    pub sent: Vec<ReferralSent>,
    /// The RRI messages that came back, in the order they arrived.
    pub answers: Vec<ReferralAnswer>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferralSent {
    pub at: Timestamp,
    pub control_id: String,
    /// The acknowledgement's MSA-1; empty until one came.
    pub acknowledged: String,
}

/// What an RRI said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferralAnswer {
    pub at: Timestamp,
    pub control_id: String,
    /// RF1-1.1: A accepted, R rejected, P pending (HL7 table 0283).
    pub status: String,
    /// RF1-1.2.
    pub status_text: String,
    /// RF1-10, the reason.
    pub reason: Option<Private>,
    /// NTE-3, a line each.
    pub text: Private,
    /// MSA-2: the control id of the REF that it answers.
    pub in_reply_to: Option<String>,
}
