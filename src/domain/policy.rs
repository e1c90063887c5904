//! What a trust decided about one endpoint: which evidence files an entry, what to do when nobody knows, how long to wait.
//! Read from config, used by `decide`; nothing here has a default where only the trust can know.

use super::ask::{AskRules, Asking, Because};
use super::organisation::{EndpointId, OdsCode};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest time between questions about what is under way.
const TRACK_CAP: Duration = Duration::from_secs(6 * 60 * 60);

/// Which evidence moves a delivery to FILED. Anything weaker is ACCEPTED.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FiledBy {
    ApplicationAck,
    ReadBack,
    VendorReport,
    Reconciled,
    /// Less than proof: config must say who approved it and when, and every screen shows the evidence as what it is.
    TransportAck,
}

/// Who answers on this endpoint. An AA from an integration engine proves that the engine has the bytes, no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AcknowledgedBy {
    Record,
    Engine,
}

/// What to do when the far end may or may not have taken a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterUnknown {
    /// Send the same bytes again: only where the receiver recognises repeats.
    Resend,
    /// Ask the record first. Needs a transport that can ask.
    Query,
    /// Stop and let a person look.
    Park,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    Test,
    Live,
}

/// Which HL7 acknowledgement mode the endpoint speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AckMode {
    /// One reply: AA, AE or AR.
    Original,
    /// A commit acknowledgement (CA, CE, CR) on the connection, the application's own later.
    Enhanced,
}

/// By what a message to this endpoint names a document that was sent before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Names {
    /// Each version by the id we gave it.
    OwnId,
    /// All versions by the id we gave the first (HL7 v2 T08).
    FirstId,
    /// By the id that the record gave it, which only its answer tells (FHIR).
    RecordId,
}

/// Waiting times between tries: doubled each time up to the cap, then a random part of it ("full jitter").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackOff {
    pub first: Duration,
    pub cap: Duration,
}

impl BackOff {
    /// The wait without chance. `failures` counts from 1.
    pub fn full(&self, failures: u32) -> Duration {
        let times = 1u32.checked_shl(failures.saturating_sub(1).min(31)).unwrap_or(u32::MAX);
        self.first.saturating_mul(times).min(self.cap)
    }

    /// `failures` counts from 1; `random` is any 64 random bits. Never less than a tenth of the full wait, so that a far end
    /// in trouble is not hammered by chance.
    pub fn wait(&self, failures: u32, random: u64) -> Duration {
        let full = self.full(failures);
        let floor = full / 10;
        let span = u64::try_from((full - floor).as_micros()).unwrap_or(u64::MAX);
        floor + Duration::from_micros(if span == 0 { 0 } else { random % (span + 1) })
    }
}

/// The whole of what `decide` and the safety holds need to know about an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointPolicy {
    pub id: EndpointId,
    pub trust: OdsCode,
    /// The EPR's name as authors know it, e.g. "RiO": used in the sentences they read.
    pub name: String,
    pub environment: Environment,
    pub filed_by: FiledBy,
    pub acknowledged_by: AcknowledgedBy,
    pub after_unknown: AfterUnknown,
    /// Resends after unknown outcomes before parking. 0 to 1000.
    pub max_unknown_resends: u32,
    /// Refused-but-retryable replies before parking. 1 to 1000.
    pub max_refused_retries: u32,
    pub ack_mode: AckMode,
    /// How long ACCEPTED may wait for stronger evidence before the endpoint raises its one alarm.
    pub evidence_overdue_after: Duration,
    pub back_off: BackOff,
    /// How the record is asked, where it can be.
    pub asks: AskRules,
    /// Whoever carries the messages can be asked what became of one that it took, so long after it took it; then ever less often.
    pub tracks_after: Option<Duration>,
    /// Hold entries whose NHS number is not verified (status 01).
    pub require_verified_nhs_number: bool,
    /// Hold entries whose author has no staff id of the EPR.
    pub require_mapped_staff: bool,
    /// Longest text the endpoint can carry in one entry, in characters.
    pub max_text_chars: u32,
    pub names: Names,
    /// The answer to a referral is a document too, with an id that a list of what the record holds may name. HL7 v2's RRI is a message and no more.
    pub replies_are_documents: bool,
    /// Where its messages go now: an id that the record gave to a document means that document there.
    pub place: String,
    /// Where the same record was reached before.
    pub same_record_as: Vec<String>,
    /// The pack it is pinned to, `id@version`, and a fingerprint of everything that shapes the bytes (pack files, settings, address).
    pub fingerprint: String,
}

impl EndpointPolicy {
    /// For an endpoint that config has no more: nothing is sent to it, and people still put what waited for it in order.
    pub fn retired(id: EndpointId, trust: OdsCode) -> Self {
        Self {
            name: id.to_string(),
            id,
            trust,
            environment: Environment::Test,
            filed_by: FiledBy::Reconciled,
            acknowledged_by: AcknowledgedBy::Engine,
            after_unknown: AfterUnknown::Park,
            max_unknown_resends: 0,
            max_refused_retries: 1,
            ack_mode: AckMode::Original,
            evidence_overdue_after: Duration::from_secs(24 * 3600),
            back_off: BackOff { first: Duration::from_secs(60), cap: Duration::from_secs(3600) },
            asks: AskRules::default(),
            tracks_after: None,
            require_verified_nhs_number: true,
            require_mapped_staff: true,
            max_text_chars: 0,
            names: Names::OwnId,
            replies_are_documents: true,
            place: "retired".into(),
            same_record_as: Vec::new(),
            fingerprint: "retired".into(),
        }
    }

    /// Whether an id that was told by the record at `place` names the same document where messages go now. Told before places were noted, it is taken to.
    pub fn knows_ids_of(&self, place: Option<&str>) -> bool {
        // One address, with a slash at its end or without.
        let same = |a: &str, b: &str| a.trim_end_matches('/') == b.trim_end_matches('/');
        place.is_none_or(|place| same(place, &self.place) || self.same_record_as.iter().any(|p| same(p, place)))
    }

    /// Whether what was sent, and came to nothing that is known, goes again with nobody asked: `resends` says how often it did, this time counted in.
    pub fn sends_again(&self, resends: u32) -> bool {
        self.after_unknown == AfterUnknown::Resend && resends <= self.max_unknown_resends
    }

    /// Whether this trust has the record itself asked.
    pub fn can_be_asked(&self) -> bool {
        self.after_unknown == AfterUnknown::Query || self.filed_by == FiledBy::ReadBack
    }

    /// From what was received to the first question about it; `None`: it is not asked about.
    pub fn confirms_after(&self) -> Option<Duration> {
        if self.filed_by == FiledBy::ReadBack { Some(self.asks.first_after) } else { self.tracks_after }
    }

    /// From an answer that settles nothing to the next question.
    pub fn asks_again(&self, asking: &Asking) -> Duration {
        match (asking.because, self.tracks_after) {
            (Because::Accepted, Some(first)) if self.filed_by != FiledBy::ReadBack => {
                BackOff { first, cap: TRACK_CAP.max(first) }.full(asking.not_found)
            }
            _ => self.asks.wait(asking),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_doubles_up_to_its_cap_with_jitter() {
        let b = BackOff { first: Duration::from_secs(1), cap: Duration::from_secs(60) };
        assert_eq!(b.wait(1, u64::MAX / 2).max(Duration::from_millis(100)), b.wait(1, u64::MAX / 2));
        for failures in 1..100 {
            for random in [0, 1, u64::MAX, 123_456_789] {
                let w = b.wait(failures, random);
                assert!(w <= Duration::from_secs(60) && w >= Duration::from_millis(100), "{failures} {random} {w:?}");
            }
        }
        assert!(b.wait(10, 0) >= Duration::from_secs(6));
    }
}
