//! The one decision: given a delivery and what happened to it, what it is now. Every state change of a delivery goes through
//! [`decide`]; this is where an acknowledgement becomes FILED, and nowhere else.

use super::delivery::{Cancelled, Delivery, Evidence, EvidenceKind, Park, ParkReason, State};
use super::ids::{RenderingId, ReplyId};
use super::policy::{AfterUnknown, EndpointPolicy};
use super::verdict::{Meaning, Verdict};
use jiff::Timestamp;
use std::time::Duration;

/// What happened to a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// A worker took the lane.
    Claimed,
    /// The bytes are stored and are about to leave. From here on they may have been received.
    Begun { rendering: RenderingId },
    /// A safety hold, or a rendering that is not possible.
    Held { reason: ParkReason, detail: String },
    /// Certain: no byte left. Never counts as an attempt and never parks.
    NotSent,
    /// The reply to the attempt in hand.
    Replied { verdict: Verdict, reply: ReplyId },
    /// Bytes left, and no usable reply came.
    NoAnswer { why: String },
    /// The worker that held the lane is gone.
    LeaseExpired,
    /// Evidence outside an attempt: a late acknowledgement, exactly correlated; a read-back; a report.
    Late { verdict: Verdict, evidence: Option<EvidenceKind>, reply: ReplyId },
    /// A person sends it again, the same bytes.
    Retried,
    /// A person has it made anew.
    Rerendered { may_be_in_record_acknowledged: bool },
    /// A person stops it.
    Stopped { why: String },
    /// A person gives it up.
    CancelledBy { by: String, why: String, may_be_in_record_acknowledged: bool },
    /// A newer version took its place (invariant 7).
    Superseded { why: &'static str },
    /// A withdrawal that waited for its document's name can go.
    Nameable,
}

/// Why something cannot happen to a delivery now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotHappen {
    #[error("the delivery is {}; {what} needs {needs}", .state.word())]
    WrongState { state: State, what: &'static str, needs: &'static str },
    #[error("the record may hold it already; look there first, then repeat with acknowledge_may_be_in_record")]
    MayBeInRecord,
}

/// The delivery as it is now, and what to write into its timeline (no patient data).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub delivery: Delivery,
    pub step: String,
}

/// The one decision. `random` is 64 random bits for the back-off's jitter.
pub fn decide(
    before: &Delivery,
    policy: &EndpointPolicy,
    happened: &Happened,
    now: Timestamp,
    random: u64,
) -> Result<Decision, CannotHappen> {
    let mut d = before.clone();
    d.version += 1;
    let step = match happened {
        Happened::Claimed => {
            needs(before, "sending it", "QUEUED or BACKING_OFF", &[State::Queued, State::BackingOff])?;
            d.state = State::Sending;
            d.begun = false;
            "taken up for sending".to_owned()
        }
        Happened::Begun { rendering } => {
            needs(before, "beginning an attempt", "SENDING", &[State::Sending])?;
            d.rendering = Some(*rendering);
            d.begun = true;
            d.attempts += 1;
            format!("attempt {}: message stored, about to be sent", d.attempts)
        }
        Happened::Held { reason, detail } => {
            needs(before, "holding it", "SENDING", &[State::Sending])?;
            d.begun = false;
            park(&mut d, *reason, detail)
        }
        Happened::NotSent => {
            needs(before, "putting it back", "SENDING", &[State::Sending])?;
            if d.begun {
                // Nothing left, so it was no attempt.
                d.attempts = d.attempts.saturating_sub(1);
            }
            d.begun = false;
            d.state = State::Queued;
            d.next_attempt_at = None;
            "not sent: the endpoint could not be reached; still queued".to_owned()
        }
        Happened::Replied { verdict, reply } if before.state == State::Sending => {
            d.begun = false;
            replied(&mut d, before, policy, verdict, *reply, now, random)
        }
        // Settled meanwhile by other evidence (a late acknowledgement, a person): the reply counts as late.
        Happened::Replied { verdict, reply } => {
            return decide(before, policy, &late(verdict, policy, *reply), now, random);
        }
        Happened::NoAnswer { why } => {
            needs(before, "noting that no answer came", "SENDING", &[State::Sending])?;
            d.begun = false;
            unknown(&mut d, policy, why, now, random)
        }
        Happened::LeaseExpired => {
            needs(before, "taking it from a worker that is gone", "SENDING", &[State::Sending])?;
            let begun = d.begun;
            d.begun = false;
            if begun {
                unknown(&mut d, policy, "the bridge stopped while the message was on its way", now, random)
            } else {
                d.state = State::Queued;
                "the worker stopped before sending; queued again".to_owned()
            }
        }
        Happened::Late { verdict, evidence, reply } => {
            match late_evidence(&mut d, policy, verdict, *evidence, *reply, now, random) {
                Some(step) => step,
                None => return Ok(Decision { delivery: before.clone(), step: String::new() }),
            }
        }
        Happened::Retried => {
            needs(before, "a retry", "PARKED", &[State::Parked])?;
            requeue(&mut d);
            "sent again by a person's decision: the same bytes, at the head of the lane".to_owned()
        }
        Happened::Rerendered { may_be_in_record_acknowledged } => {
            needs(before, "re-rendering", "PARKED", &[State::Parked])?;
            if before.may_have_been_received() && !may_be_in_record_acknowledged {
                return Err(CannotHappen::MayBeInRecord);
            }
            if let Some(reason) = d.park.as_ref().map(|p| p.reason).filter(|r| r.can_be_overridden())
                && !d.overridden.contains(&reason)
            {
                d.overridden.push(reason);
            }
            d.rendering = None;
            requeue(&mut d);
            "made anew by a person's decision".to_owned()
        }
        Happened::Stopped { why } => {
            needs(
                before,
                "parking",
                "QUEUED, BACKING_OFF or ACCEPTED",
                &[State::Queued, State::BackingOff, State::Accepted],
            )?;
            park(&mut d, ParkReason::ByPerson, why)
        }
        Happened::CancelledBy { by, why, may_be_in_record_acknowledged } => {
            let from = [State::Queued, State::BackingOff, State::Accepted, State::Parked];
            needs(before, "cancelling", "QUEUED, BACKING_OFF, ACCEPTED or PARKED", &from)?;
            if before.may_have_been_received() && !may_be_in_record_acknowledged {
                return Err(CannotHappen::MayBeInRecord);
            }
            cancel(&mut d, by, why, now);
            format!("cancelled: {why}")
        }
        Happened::Superseded { why } => {
            needs(
                before,
                "superseding",
                "QUEUED, BACKING_OFF or PARKED",
                &[State::Queued, State::BackingOff, State::Parked],
            )?;
            cancel(&mut d, "bridge", why, now);
            format!("cancelled: {why}")
        }
        Happened::Nameable => {
            needs(before, "releasing the withdrawal", "PARKED", &[State::Parked])?;
            requeue(&mut d);
            "the document it withdraws is known now; queued".to_owned()
        }
    };
    Ok(Decision { delivery: d, step })
}

fn needs(d: &Delivery, what: &'static str, needs: &'static str, states: &[State]) -> Result<(), CannotHappen> {
    if states.contains(&d.state) { Ok(()) } else { Err(CannotHappen::WrongState { state: d.state, what, needs }) }
}

fn park(d: &mut Delivery, reason: ParkReason, detail: &str) -> String {
    d.state = State::Parked;
    d.next_attempt_at = None;
    d.park = Some(Park { reason, detail: detail.to_owned() });
    if detail.is_empty() {
        format!("parked: {}", reason.code())
    } else {
        format!("parked: {} ({detail})", reason.code())
    }
}

fn requeue(d: &mut Delivery) {
    d.state = State::Queued;
    d.park = None;
    d.next_attempt_at = None;
    d.refused_retries = 0;
    d.unknown_resends = 0;
}

fn cancel(d: &mut Delivery, by: &str, why: &str, now: Timestamp) {
    d.state = State::Cancelled;
    d.next_attempt_at = None;
    d.park = None;
    d.cancelled = Some(Cancelled { at: now, by: by.to_owned(), why: why.to_owned() });
}

fn back_off(d: &mut Delivery, policy: &EndpointPolicy, failures: u32, now: Timestamp, random: u64) {
    d.state = State::BackingOff;
    d.next_attempt_at = Some(later(now, policy.back_off.wait(failures, random)));
}

/// `now` plus a waiting time, never beyond what a clock can show.
pub fn later(now: Timestamp, wait: Duration) -> Timestamp {
    jiff::SignedDuration::try_from(wait).ok().and_then(|w| now.checked_add(w).ok()).unwrap_or(Timestamp::MAX)
}

fn unknown(d: &mut Delivery, policy: &EndpointPolicy, why: &str, now: Timestamp, random: u64) -> String {
    d.unresolved += 1;
    match policy.after_unknown {
        AfterUnknown::Resend if d.unknown_resends < policy.max_unknown_resends => {
            d.unknown_resends += 1;
            back_off(d, policy, d.unknown_resends, now, random);
            format!("outcome unknown: {why}; the same bytes go again")
        }
        _ => park(d, ParkReason::OutcomeUnknown, why),
    }
}

fn replied(
    d: &mut Delivery,
    before: &Delivery,
    policy: &EndpointPolicy,
    verdict: &Verdict,
    reply: ReplyId,
    now: Timestamp,
    random: u64,
) -> String {
    match verdict.meaning {
        Meaning::Positive => {
            positive(d, policy, EvidenceKind::of(verdict, policy.acknowledged_by), verdict, reply, now)
        }
        Meaning::Refused if verdict.duplicate && before.unresolved > 0 => {
            park(d, ParkReason::MayAlreadyBeFiled, &verdict.code)
        }
        Meaning::Refused => park(d, ParkReason::Refused, &verdict.code),
        Meaning::Retry if d.refused_retries < policy.max_refused_retries => {
            d.refused_retries += 1;
            back_off(d, policy, d.refused_retries, now, random);
            format!("not taken now ({}); tried again later", verdict.code)
        }
        Meaning::Retry => park(d, ParkReason::RetriesExhausted, &verdict.code),
        Meaning::Unknown => {
            unknown(d, policy, &format!("the reply ({}) is not one the pack knows", verdict.code), now, random)
        }
    }
}

/// The only place that sets FILED.
fn positive(
    d: &mut Delivery,
    policy: &EndpointPolicy,
    kind: EvidenceKind,
    verdict: &Verdict,
    reply: ReplyId,
    now: Timestamp,
) -> String {
    d.evidence.push(Evidence { kind, at: now, reply_id: Some(reply) });
    d.unresolved = 0;
    d.next_attempt_at = None;
    d.park = None;
    d.accepted_at = d.accepted_at.or(Some(now));
    if verdict.record_id.is_some() {
        d.record_id.clone_from(&verdict.record_id);
    }
    if kind.files(policy.filed_by) {
        d.state = State::Filed;
        d.filed_at = d.filed_at.or(Some(now));
        format!("filed in {}: {} ({})", policy.name, kind.words(), verdict.code)
    } else {
        d.state = State::Accepted;
        format!("received by the trust: {} ({}); not yet confirmed in {}", kind.words(), verdict.code, policy.name)
    }
}

fn late(verdict: &Verdict, policy: &EndpointPolicy, reply: ReplyId) -> Happened {
    let evidence = (verdict.meaning == Meaning::Positive).then(|| EvidenceKind::of(verdict, policy.acknowledged_by));
    Happened::Late { verdict: verdict.clone(), evidence, reply }
}

/// `None`: it changes nothing (it is kept as a reply all the same).
fn late_evidence(
    d: &mut Delivery,
    policy: &EndpointPolicy,
    verdict: &Verdict,
    evidence: Option<EvidenceKind>,
    reply: ReplyId,
    now: Timestamp,
    random: u64,
) -> Option<String> {
    let contradicted = d.park.as_ref().is_some_and(|p| p.reason == ParkReason::FilingContradicted);
    match (verdict.meaning, d.state) {
        // Two answers that exclude each other: only a person can tell which holds.
        (Meaning::Positive, State::Parked) if contradicted => None,
        (Meaning::Positive, State::Filed) => {
            d.evidence.push(Evidence { kind: evidence?, at: now, reply_id: Some(reply) });
            Some(format!("more evidence: {} ({})", evidence?.words(), verdict.code))
        }
        (Meaning::Positive, State::Cancelled) if !evidence?.files(policy.filed_by) => {
            d.evidence.push(Evidence { kind: evidence?, at: now, reply_id: Some(reply) });
            Some(format!("cancelled, and yet received by the trust ({})", verdict.code))
        }
        // While bytes are on their way the answer to *them* decides, unless this proves the filing already.
        (Meaning::Positive, State::Sending) if !evidence?.files(policy.filed_by) => None,
        (Meaning::Positive, _) => {
            d.begun = false;
            Some(positive(d, policy, evidence?, verdict, reply, now))
        }
        (Meaning::Refused, State::Filed) if !verdict.duplicate => {
            Some(park(d, ParkReason::FilingContradicted, &verdict.code))
        }
        (Meaning::Refused, State::Accepted | State::BackingOff) => {
            d.unresolved = d.unresolved.saturating_sub(1);
            if d.state == State::Accepted && !verdict.duplicate {
                // What was taken on the way was refused by the application: the transport's word no longer says anything.
                d.evidence.clear();
            }
            let reason = if verdict.duplicate { ParkReason::MayAlreadyBeFiled } else { ParkReason::Refused };
            Some(park(d, reason, &verdict.code))
        }
        (Meaning::Refused, State::Parked) if d.unresolved > 0 && !verdict.duplicate => {
            d.unresolved -= 1;
            Some(park(d, ParkReason::Refused, &verdict.code))
        }
        (Meaning::Retry, State::Accepted) => {
            d.evidence.clear();
            if d.refused_retries >= policy.max_refused_retries {
                return Some(park(d, ParkReason::RetriesExhausted, &verdict.code));
            }
            d.refused_retries += 1;
            back_off(d, policy, d.refused_retries, now, random);
            Some(format!("taken on the way, but not by the application ({}); tried again later", verdict.code))
        }
        _ => None,
    }
}

impl EvidenceKind {
    pub fn words(self) -> &'static str {
        match self {
            Self::TransportAck => "acknowledged on the way",
            Self::ApplicationAck => "acknowledged by the record",
            Self::ReadBack => "read back from the record",
            Self::VendorReport => "reported by the vendor",
            Self::Reconciled => "found in the record's own list",
        }
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
