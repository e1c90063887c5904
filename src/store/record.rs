//! What the store keeps beside the domain's own types: the machinery of delivering, answering and accounting.

use crate::domain::delivery::State;
use crate::domain::hold::MadeFrom;
use crate::domain::ids::{AttemptId, DeliveryId, InboundId, LeaseToken, PatientId, ReferralId, RenderingId, ReplyId};
use crate::domain::organisation::{EndpointId, OdsCode};
use crate::domain::policy::Environment;
use crate::domain::text::Private;
use crate::domain::verdict::Verdict;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Bytes that may hold patient data: they never print themselves.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Raw(pub Vec<u8>);

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Raw({} bytes)", self.0.len())
    }
}

/// The exact bytes made for a delivery once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendering {
    pub id: RenderingId,
    pub delivery_id: DeliveryId,
    pub endpoint: EndpointId,
    /// From 1.
    pub number: u32,
    pub control_id: String,
    pub made_from: MadeFrom,
    /// `id@version` of the pack.
    pub pack: String,
    /// The time that its bytes speak of as now.
    pub created_at: Timestamp,
    /// What the record answered before it was made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looked_up: Vec<LookedUp>,
    #[serde(skip)]
    pub bytes: Raw,
}

/// One answer that a rendering was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookedUp {
    pub name: String,
    /// As it came.
    #[serde(with = "raw_text")]
    pub answer: Raw,
}

/// One try to send one rendering.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub id: AttemptId,
    pub delivery_id: DeliveryId,
    pub rendering_id: RenderingId,
    pub number: u32,
    pub began_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub verdict: Option<Verdict>,
    /// In words: codes, or why nothing came back. No patient data.
    pub result: String,
}

/// Bytes that came back, kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    pub id: ReplyId,
    pub endpoint: EndpointId,
    /// Both unset when it fits nothing we sent.
    pub delivery_id: Option<DeliveryId>,
    pub attempt_id: Option<AttemptId>,
    pub received_at: Timestamp,
    pub verdict: Verdict,
    /// Credited to nothing: its correlation did not fit.
    pub unmatched: bool,
    #[serde(skip)]
    pub bytes: Raw,
}

/// One step of a delivery's timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub delivery_id: DeliveryId,
    /// The delivery's version that this step made.
    pub version: i64,
    pub at: Timestamp,
    pub state: State,
    /// Of what a person did, with the reason they typed.
    pub what: Private<String>,
    pub by: String,
}

/// Whether an endpoint takes messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub enum Gate {
    #[default]
    Open,
    /// One delivery at a time finds out whether it is back.
    Probing,
    Closed,
}

/// How an endpoint does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointState {
    pub id: EndpointId,
    pub gate: Gate,
    /// While closed: no claim before. While probing: the probe is given up then.
    pub until: Option<Timestamp>,
    /// It asked to be left alone until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_until: Option<Timestamp>,
    /// In a row, since it last answered.
    pub failures: u32,
    /// In a row, each of another delivery: bytes left and no answer came.
    pub silences: u32,
    /// Of which deliveries, the newest [`SILENT_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silent: Vec<DeliveryId>,
    /// Whose question was not answered since one last was, the newest [`UNREAD_MAX`]: writing may go on all the while.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<DeliveryId>,
    pub because: String,
    pub paused: Option<Paused>,
    /// What it works with, once a pack was activated.
    #[serde(default)]
    pub pack: Option<ActivePack>,
    /// Which config of it is in force, once a bridge has started with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<ActiveConfig>,
}

/// The config by which an endpoint is sent to: that of the bridge that started last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveConfig {
    /// Counts the starts that brought another one, from 1.
    pub number: i64,
    /// SHA-256 over all in it that decides where and how messages go, no secret among it.
    pub digest: String,
    /// Whether it is a live record; `None`: written by a release that did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    pub at: Timestamp,
}

/// A pack that is kept, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackKept {
    pub id: String,
    pub version: String,
    /// SHA-256 over every file that shapes bytes, its bases' too.
    pub fingerprint: String,
}

impl PackKept {
    pub fn pin(&self) -> String {
        format!("{}@{}", self.id, self.version)
    }
}

impl std::fmt::Display for PackKept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let short: String = self.fingerprint.chars().take(12).collect();
        write!(f, "{}@{} ({short})", self.id, self.version)
    }
}

/// The pack an endpoint works with: decided by a person, by the first start, or on a test endpoint by a save.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivePack {
    /// Counts activations and rollbacks here, from 1.
    pub number: i64,
    pub now: PackKept,
    pub at: Timestamp,
    pub by: String,
    /// A person typed it, and it may say more than it should.
    pub why: Private<String>,
    /// The fingerprint of what the packs' folder held then; empty: nothing that could be read. Another one since is a save that nobody activated.
    pub folder: String,
    /// What it worked with before, the newest first: what a rollback goes back to.
    pub former: Vec<PackKept>,
}

impl ActivePack {
    /// Packs that a rollback can reach.
    pub const FORMER_MAX: usize = 10;
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    pub by: String,
    pub why: Private<String>,
    pub at: Timestamp,
}

/// Deliveries whose silence is remembered.
pub const SILENT_MAX: usize = 32;
/// As many are enough to know that no question is answered.
pub const UNREAD_MAX: usize = 32;

impl EndpointState {
    pub fn new(id: EndpointId) -> Self {
        Self {
            id,
            gate: Gate::Open,
            until: None,
            told_until: None,
            failures: 0,
            silences: 0,
            silent: Vec::new(),
            unread: Vec::new(),
            because: String::new(),
            paused: None,
            pack: None,
            config: None,
        }
    }

    /// Whether a bridge that reads this config may send. Where none was recorded, each may.
    pub fn is_sent_by(&self, digest: &str) -> bool {
        self.config.as_ref().is_none_or(|config| config.digest == digest)
    }

    /// Under how many activations it works; 0: none was ever recorded.
    pub fn activation(&self) -> i64 {
        self.pack.as_ref().map_or(0, |p| p.number)
    }
}

/// The unit of claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    pub endpoint: EndpointId,
    pub patient_id: PatientId,
    pub next_seq: i64,
    pub lease: Option<Lease>,
    /// Its patient was merged into this one: deliveries go on to that lane, their numbers raised by so much.
    pub moves_to: Option<(PatientId, i64)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub token: LeaseToken,
    pub until: Timestamp,
    pub delivery_id: DeliveryId,
}

/// Who acts, for the audit and for request ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    pub principal: String,
    /// The role under which the call was allowed.
    pub role: String,
}

impl Actor {
    /// The bridge itself.
    pub fn bridge() -> Self {
        Self { principal: "bridge".into(), role: "system".into() }
    }
}

/// Who did what to which record, when, why and with what outcome. Appended in the same commit as what it tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    pub at: Timestamp,
    pub trust: OdsCode,
    pub actor: Actor,
    /// e.g. "progress_note.write", "patient.read".
    pub action: &'static str,
    pub subject_kind: &'static str,
    pub subject_id: Option<Uuid>,
    pub patient_id: Option<PatientId>,
    pub why: Private<String>,
    pub outcome: &'static str,
}

/// A call that changes something, by which a repeat is recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// SHA-256 of principal, RPC and request id.
    pub key: [u8; 32],
    /// SHA-256 of the decoded request without its request id.
    pub content: [u8; 32],
}

/// What was answered then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub subject: Uuid,
    pub version: i64,
    pub deliveries: Vec<DeliveryId>,
    /// For calls that answer with more than a resource.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub more: serde_json::Value,
}

/// An answer, made now or found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    Fresh(Answer),
    Repeated(Answer),
}

impl Answered {
    pub fn answer(&self) -> &Answer {
        let (Self::Fresh(a) | Self::Repeated(a)) = self;
        a
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum InboundState {
    Received,
    Applied,
    Ignored,
    Parked,
}

impl InboundState {
    pub fn word(self) -> &'static str {
        match self {
            Self::Received => "RECEIVED",
            Self::Applied => "APPLIED",
            Self::Ignored => "IGNORED",
            Self::Parked => "PARKED",
        }
    }
}

/// Something the EPR sent us, kept raw. What it wrote itself does not print.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbound {
    pub id: InboundId,
    pub trust: OdsCode,
    pub endpoint: EndpointId,
    pub received_at: Timestamp,
    /// MSH-3 and MSH-4.
    pub source: String,
    pub control_id: String,
    pub message_type: String,
    pub state: InboundState,
    /// Why it is parked or ignored: rules and field names, no patient data.
    pub reason: String,
    /// The accept rule by which it was ignored.
    #[serde(default)]
    pub rule: Option<String>,
    pub referral_id: Option<ReferralId>,
    /// The same id came before with other bytes.
    pub reused_control_id: bool,
    #[serde(skip)]
    pub content: Vec<u8>,
    #[serde(skip)]
    pub bytes: Raw,
    /// What we answered, to answer a repeat the same.
    #[serde(with = "raw_text")]
    pub reply: Raw,
}

impl std::fmt::Debug for Inbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbound")
            .field("id", &self.id)
            .field("endpoint", &self.endpoint)
            .field("received_at", &self.received_at)
            .field("message_type", &self.message_type)
            .field("state", &self.state)
            .field("reason", &self.reason)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// Bytes inside a payload, in hexadecimal.
mod raw_text {
    use super::Raw;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(raw: &Raw, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&crate::store::dialect::hex(&raw.0))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Raw, D::Error> {
        let text = String::deserialize(d)?;
        let nibble = |c: u8| (c as char).to_digit(16).and_then(|n| u8::try_from(n).ok());
        text.as_bytes()
            .chunks(2)
            .map(|pair| match pair {
                [a, b] => Some(nibble(*a)? << 4 | nibble(*b)?),
                _ => None,
            })
            .collect::<Option<Vec<u8>>>()
            .map(Raw)
            .ok_or_else(|| serde::de::Error::custom("not hex"))
    }
}
