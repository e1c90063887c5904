//! The one decision: given a delivery and what happened to it, what it is now. Every state change of a delivery goes through
//! [`decide`]; this is where an acknowledgement becomes FILED, and nowhere else.

mod ask;
mod late;
mod names;

use super::ask::Answer;
use super::delivery::{Cancelled, Delivery, Evidence, EvidenceKind, Park, ParkReason, Since, State};
use super::entry::EntryKind;
use super::ids::{RenderingId, ReplyId};
use super::person::Identity;
use super::policy::{AfterUnknown, EndpointPolicy, FiledBy};
use super::text::Private;
use super::verdict::{Level, Meaning, Verdict};
use jiff::Timestamp;
use std::borrow::Cow;
use std::time::Duration;

/// Turns of a delivery that came to nothing because of itself, before a person looks.
const NOT_NOW_MAX: u32 = 10;

/// What happened to a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// A worker took the lane.
    Claimed,
    /// The bytes are stored and are about to leave. From here on they may have been received.
    Begun { rendering: RenderingId },
    /// A safety hold, or a message that cannot be made or cannot travel: no byte of it left.
    Held { reason: ParkReason, detail: String },
    /// The bridge sends nothing to its endpoint any more.
    Unserved,
    /// The record that its endpoint leads to now cannot say what became of it.
    NoLongerAsked,
    /// Certain: no byte left. Never counts as an attempt and never parks.
    NotSent,
    /// No byte left, and it says nothing of the endpoint: no connection came free in time, or what it rests on changed while it was made ready.
    PutBack { why: &'static str },
    /// Certain: no byte left, and why has to do with this very message, as far as anybody can tell. Its turn comes again later, after others'.
    /// `others_pass`: others were answered meanwhile, so that it is known to be this one.
    NotNow { why: String, others_pass: bool },
    /// The reply to the attempt in hand. Only the holder of the lane's lease may say so: under a stale token it is [`Happened::late`].
    Replied { verdict: Verdict, reply: ReplyId },
    /// The reply to the attempt in hand, by which the endpoint takes nothing from anybody now: it does not take our credentials, or nothing stands
    /// behind its gateway. It was not looked at, so it does not count.
    TurnedAway { verdict: Verdict },
    /// Bytes left, and no usable reply came.
    NoAnswer { why: String },
    /// The worker that held the lane is gone.
    LeaseExpired,
    /// Evidence outside an attempt: a late acknowledgement, exactly correlated; a read-back; a report.
    Late { verdict: Verdict, evidence: Option<EvidenceKind>, reply: ReplyId },
    /// A positive answer to a message of it that was made anew since, for another identity or another far end: wherever that one stands, it
    /// is not where this delivery goes now.
    EarlierConfirmed { verdict: Verdict },
    /// The record was asked whether it has it. No attempt: asking changes nothing there. `reply`: the bytes that say so, kept.
    Asked { answer: Answer, reply: Option<ReplyId> },
    /// An answer confirms it and tells an id of the record's that is another document's.
    NamedLikeAnother { kind: EvidenceKind, record_id: String, reply: ReplyId },
    /// Another document was answered with its id of the record's.
    NameInDoubt,
    /// It was filed, and nothing that follows will take it back: a newer version had gone without it, or it was withdrawn as never sent.
    StandsBeside { why: &'static str },
    /// A newer version of it was filed as well.
    Passed(Since),
    /// A person sends it again, the same bytes.
    Retried { may_be_in_record_acknowledged: bool },
    /// A person has it made anew. `identity_now`: who the patient is at that moment, which they approve if that is why it was held.
    /// `for_others`: what was made before was for another identity or another far end.
    Rerendered { may_be_in_record_acknowledged: bool, identity_now: Option<Box<Identity>>, for_others: bool },
    /// A person stops it.
    Stopped { why: Private<String> },
    /// A person gives it up.
    CancelledBy { by: String, why: Private<String>, may_be_in_record_acknowledged: bool },
    /// The record is an older one that was put back: it may have gone since, and what came of it is not in there.
    Restored,
    /// A newer version took its place (invariant 7).
    Superseded { why: &'static str },
    /// What waited for its document's name, or for that name to hold again, can go.
    Nameable,
}

impl Happened {
    /// A reply that is not the answer to the attempt in hand: one under a stale lease token, one on the endpoint's own listener.
    pub fn late(verdict: Verdict, policy: &EndpointPolicy, reply: ReplyId) -> Self {
        let positive = verdict.meaning == Meaning::Positive;
        let evidence = positive.then(|| EvidenceKind::of(&verdict, policy.acknowledged_by));
        Self::Late { verdict, evidence, reply }
    }
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
            ask::once_more(&mut d, policy, now);
            if d.asking.is_some() { "taken up to ask the record" } else { "taken up for sending" }.to_owned()
        }
        Happened::Begun { rendering } => {
            sending(before, "beginning an attempt", false)?;
            if before.asking.is_some() {
                let needs = "the record's answer first";
                return Err(CannotHappen::WrongState { state: before.state, what: "beginning an attempt", needs });
            }
            d.rendering = Some(*rendering);
            d.may_go_again |= d.not_there.take().is_some();
            d.begun = true;
            d.sent_to = Some(policy.place.clone());
            d.attempts += 1;
            format!("attempt {}: message stored, about to be sent", d.attempts)
        }
        Happened::Held { reason, detail } => {
            needs(before, "holding it", "SENDING", &[State::Sending])?;
            not_begun(&mut d);
            park(&mut d, *reason, detail)
        }
        Happened::Unserved => {
            needs(before, "holding it", "QUEUED or BACKING_OFF", &[State::Queued, State::BackingOff])?;
            park(&mut d, ParkReason::EndpointRetired, "")
        }
        Happened::NoLongerAsked => {
            needs(before, "asking no more", "ACCEPTED", &[State::Accepted])?;
            (d.asking, d.next_attempt_at) = (None, None);
            "no longer asked about: its endpoint leads to another record".to_owned()
        }
        Happened::NotSent | Happened::PutBack { .. } => {
            needs(before, "putting it back", "SENDING", &[State::Sending])?;
            not_begun(&mut d);
            d.state = State::Queued;
            d.next_attempt_at = None;
            let why = match happened {
                Happened::PutBack { why } => why,
                _ => "the endpoint could not be reached",
            };
            format!("not sent: {why}; still queued")
        }
        Happened::NotNow { why, others_pass } => {
            needs(before, "putting it back", "SENDING", &[State::Sending])?;
            not_begun(&mut d);
            d.not_now = d.not_now.saturating_add(u32::from(*others_pass));
            if d.not_now >= NOT_NOW_MAX {
                park(
                    &mut d,
                    ParkReason::LookupUnclear,
                    &format!("{why}; {NOT_NOW_MAX} times, while others were answered"),
                )
            } else {
                d.state = State::Queued;
                d.next_attempt_at = Some(later(now, policy.back_off.wait(d.not_now.max(1), random)));
                format!("not sent: {why}; still queued")
            }
        }
        Happened::Replied { verdict, reply } if before.state == State::Sending && before.begun => {
            d.begun = false;
            replied(&mut d, policy, verdict, *reply, now, random)
        }
        // Settled meanwhile by other evidence (a late acknowledgement, a person): the reply counts as late.
        Happened::Replied { verdict, reply } => {
            return decide(before, policy, &Happened::late(verdict.clone(), policy, *reply), now, random);
        }
        Happened::TurnedAway { verdict } => {
            sending(before, "noting that it was turned away", true)?;
            d.begun = false;
            turned_away(&mut d, policy, verdict, now, random)
        }
        Happened::NoAnswer { why } => {
            sending(before, "noting that no answer came", true)?;
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
            let evidence = late::Late { verdict, evidence: *evidence, reply: *reply, now, random };
            match late::weigh(&mut d, policy, &evidence) {
                Some(step) => step,
                None => return Ok(Decision { delivery: before.clone(), step: String::new() }),
            }
        }
        Happened::EarlierConfirmed { verdict } => match late::earlier_confirmed(&mut d, verdict) {
            Some(step) => step,
            None => return Ok(Decision { delivery: before.clone(), step: String::new() }),
        },
        Happened::Asked { answer, reply } => match ask::answered(&mut d, policy, answer, *reply, now, random) {
            Some(step) => step,
            None => return Ok(Decision { delivery: before.clone(), step: String::new() }),
        },
        Happened::NamedLikeAnother { kind, record_id, reply } => {
            match names::like_another(&mut d, *kind, record_id, *reply, now) {
                Some(step) => step,
                None => return Ok(Decision { delivery: before.clone(), step: String::new() }),
            }
        }
        Happened::NameInDoubt => match names::in_doubt(&mut d) {
            Some(step) => step,
            None => return Ok(Decision { delivery: before.clone(), step: String::new() }),
        },
        Happened::Passed(since) => {
            needs(before, "passing it", "FILED", &[State::Filed])?;
            d.since = Some(*since);
            match since {
                Since::Replaced => "a newer version took its place in the record".to_owned(),
                Since::Withdrawn => "withdrawn in the record".to_owned(),
            }
        }
        Happened::StandsBeside { why } => {
            needs(before, "doubting it", "FILED", &[State::Filed])?;
            park(&mut d, ParkReason::FilingContradicted, why)
        }
        Happened::Retried { may_be_in_record_acknowledged } => {
            needs(before, "a retry", "PARKED", &[State::Parked])?;
            // Where the record recognises repeats, or is asked first, the same bytes do no harm; elsewhere they may stand there twice. Without any, what
            // goes now is other bytes than went, and there are none to be asked about.
            let are_others = before.rendering.is_none();
            let repeats_harm = policy.after_unknown == AfterUnknown::Park || are_others;
            // Where answers exclude each other the record, asked or sent it again, shows what was sent: that ends the doubt, and not what it is about.
            let is_contradicted = before.park.as_ref().is_some_and(|p| p.reason == ParkReason::FilingContradicted);
            let repeats_harm = (repeats_harm || is_contradicted) && before.may_have_been_received();
            if repeats_harm && !may_be_in_record_acknowledged {
                return Err(CannotHappen::MayBeInRecord);
            }
            requeue(&mut d);
            d.may_go_again = before.may_have_been_received() && *may_be_in_record_acknowledged;
            ask::before_resend(&mut d, policy);
            let asked = if d.asking.is_some() { "; the record is asked first" } else { "" };
            let bytes = if before.rendering.is_some() { ": the same bytes" } else { "" };
            format!("queued again by a person's decision{bytes}, at the head of the lane{asked}")
        }
        Happened::Rerendered { may_be_in_record_acknowledged, identity_now, for_others } => {
            needs(before, "re-rendering", "PARKED", &[State::Parked])?;
            if before.may_have_been_received() && !may_be_in_record_acknowledged {
                return Err(CannotHappen::MayBeInRecord);
            }
            if let Some(reason) = d.park.as_ref().map(|p| p.reason).filter(|r| r.can_be_overridden()) {
                if !d.overridden.contains(&reason) {
                    d.overridden.push(reason);
                }
                if matches!(
                    reason,
                    ParkReason::IdentityChanged | ParkReason::IdentityChangedAfterSend | ParkReason::Merged
                ) {
                    d.approved.clone_from(identity_now);
                }
            }
            d.sent_for_others |= *for_others && before.may_have_been_received();
            d.rendering = None;
            requeue(&mut d);
            // Acknowledged, or there was nothing to acknowledge.
            d.may_go_again = before.may_have_been_received();
            "made anew by a person's decision".to_owned()
        }
        Happened::Stopped { why } => {
            needs(
                before,
                "parking",
                "QUEUED, BACKING_OFF or ACCEPTED",
                &[State::Queued, State::BackingOff, State::Accepted],
            )?;
            park(&mut d, ParkReason::ByPerson, &why.0)
        }
        Happened::CancelledBy { by, why, may_be_in_record_acknowledged } => {
            let from = [State::Queued, State::BackingOff, State::Accepted, State::Parked];
            needs(before, "cancelling", "QUEUED, BACKING_OFF, ACCEPTED or PARKED", &from)?;
            if before.may_have_been_received() && !may_be_in_record_acknowledged {
                return Err(CannotHappen::MayBeInRecord);
            }
            cancel(&mut d, by, &why.0, now);
            format!("cancelled: {}", why.0)
        }
        Happened::Restored => {
            let from = [State::Queued, State::BackingOff, State::Sending, State::Parked];
            needs(before, "parking what came back", "QUEUED, BACKING_OFF, SENDING or PARKED", &from)?;
            let parked_as = before.park.as_ref().map(|p| p.reason);
            match parked_as {
                // Goes by itself once its document's name is known: to withdraw twice takes nothing more away.
                Some(ParkReason::WithdrawalCannotNameDocument) => {
                    return Ok(Decision { delivery: before.clone(), step: String::new() });
                }
                // Would go by itself, too.
                Some(ParkReason::PredecessorUnresolved) | None => {}
                Some(_) if before.may_have_been_received() => {
                    return Ok(Decision { delivery: before.clone(), step: String::new() });
                }
                // A person may have had it sent since: the reason stays, and that it is not there is not known any more.
                Some(_) => {
                    d.unresolved += 1;
                    let step = "the record was put back from a backup; it may have gone since".to_owned();
                    return Ok(Decision { delivery: d, step });
                }
            }
            d.begun = false;
            d.unresolved += 1;
            park(&mut d, ParkReason::OutcomeUnknown, "the record was put back from a backup; it may have gone since")
        }
        Happened::Superseded { why } => {
            needs(
                before,
                "superseding",
                "QUEUED, BACKING_OFF or PARKED",
                &[State::Queued, State::BackingOff, State::Parked],
            )?;
            cancel(&mut d, Cancelled::BRIDGE, why, now);
            format!("cancelled: {why}")
        }
        Happened::Nameable => {
            // Any other park waits for a person.
            let again = before.waits_for_its_name_again();
            if !again && !before.waits_for_a_name() {
                let needs = "PARKED as WITHDRAWAL_CANNOT_NAME_DOCUMENT, or as PREDECESSOR_UNRESOLVED after it was sent";
                return Err(CannotHappen::WrongState { state: before.state, what: "releasing it", needs });
            }
            requeue(&mut d);
            ask::before_resend(&mut d, policy);
            let what = if again {
                "the document it speaks of is known again"
            } else {
                "the document it withdraws is known now"
            };
            format!("{what}; queued")
        }
    };
    Ok(Decision { delivery: d, step })
}

fn needs(d: &Delivery, what: &'static str, needs: &'static str, states: &[State]) -> Result<(), CannotHappen> {
    if states.contains(&d.state) { Ok(()) } else { Err(CannotHappen::WrongState { state: d.state, what, needs }) }
}

/// Nothing left, so it was no attempt.
fn not_begun(d: &mut Delivery) {
    if d.begun {
        d.attempts = d.attempts.saturating_sub(1);
    }
    d.begun = false;
}

/// An attempt begins once, and can go unanswered only after.
fn sending(d: &Delivery, what: &'static str, begun: bool) -> Result<(), CannotHappen> {
    let needs = if begun { "SENDING with its attempt begun" } else { "SENDING with no attempt begun" };
    if d.state == State::Sending && d.begun == begun {
        Ok(())
    } else {
        Err(CannotHappen::WrongState { state: d.state, what, needs })
    }
}

fn park(d: &mut Delivery, reason: ParkReason, detail: &str) -> String {
    d.state = State::Parked;
    d.asking = None;
    d.not_there = None;
    d.next_attempt_at = None;
    d.park = Some(Park::new(reason, detail));
    if detail.is_empty() {
        format!("parked: {}", reason.code())
    } else {
        format!("parked: {} ({detail})", reason.code())
    }
}

fn requeue(d: &mut Delivery) {
    d.not_now = 0;
    d.state = State::Queued;
    d.park = None;
    d.asking = None;
    d.not_there = None;
    d.next_attempt_at = None;
    d.refused_retries = 0;
    d.unknown_resends = 0;
}

fn cancel(d: &mut Delivery, by: &str, why: &str, now: Timestamp) {
    d.state = State::Cancelled;
    d.asking = None;
    d.next_attempt_at = None;
    d.park = None;
    d.cancelled = Some(Cancelled { at: now, by: by.to_owned(), why: why.into() });
}

fn back_off(d: &mut Delivery, policy: &EndpointPolicy, failures: u32, now: Timestamp, random: u64) {
    d.state = State::BackingOff;
    d.asking = None;
    d.next_attempt_at = Some(later(now, policy.back_off.wait(failures, random)));
}

/// `now` plus a waiting time, never beyond what a clock can show.
pub fn later(now: Timestamp, wait: Duration) -> Timestamp {
    jiff::SignedDuration::try_from(wait).ok().and_then(|w| now.checked_add(w).ok()).unwrap_or(Timestamp::MAX)
}

/// What was said of the others does not hold for this one.
fn one_more_unknown(d: &mut Delivery) {
    d.unresolved = d.unresolved.saturating_add(1);
    d.may_go_again = false;
}

fn unknown(d: &mut Delivery, policy: &EndpointPolicy, why: &str, now: Timestamp, random: u64) -> String {
    one_more_unknown(d);
    match policy.after_unknown {
        AfterUnknown::Resend if d.unknown_resends < policy.max_unknown_resends => {
            d.unknown_resends += 1;
            back_off(d, policy, d.unknown_resends, now, random);
            format!("outcome unknown: {why}; the same bytes go again")
        }
        AfterUnknown::Query => ask::unknown(d, policy, why, now),
        AfterUnknown::Resend | AfterUnknown::Park => park(d, ParkReason::OutcomeUnknown, why),
    }
}

fn replied(
    d: &mut Delivery,
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
        Meaning::Misfiled => misfiled(d, &verdict.code),
        Meaning::Refused if verdict.misplaced => misplaced(d, &verdict.code),
        Meaning::Refused if verdict.duplicate => may_already_be_filed(d, verdict),
        // An earlier attempt of unknown outcome stays one: this answers only the attempt in hand.
        Meaning::Refused => park(d, ParkReason::Refused, &verdict.code),
        Meaning::Retry => {
            if let Some(doubt) = may_have_been_taken(policy, verdict) {
                return unknown(d, policy, &doubt, now, random);
            }
            if verdict.untold {
                one_more_unknown(d);
            }
            if d.refused_retries >= policy.max_refused_retries {
                return park(d, ParkReason::RetriesExhausted, &verdict.code);
            }
            d.refused_retries += 1;
            back_off(d, policy, d.refused_retries, now, random);
            format!("not taken now ({}); tried again later", verdict.code)
        }
        // No refusal and no success: it names the document as one it has.
        Meaning::Unknown if verdict.duplicate => {
            ask::said_duplicate(d, policy, verdict, now).unwrap_or_else(|| may_already_be_filed(d, verdict))
        }
        Meaning::Unknown => {
            unknown(d, policy, &format!("the reply ({}) is not one the pack knows", verdict.code), now, random)
        }
    }
}

/// Nobody gets in at the endpoint: this one is tried again, and it is not counted.
fn turned_away(d: &mut Delivery, policy: &EndpointPolicy, verdict: &Verdict, now: Timestamp, random: u64) -> String {
    if let Some(doubt) = may_have_been_taken(policy, verdict) {
        return unknown(d, policy, &doubt, now, random);
    }
    if verdict.untold {
        one_more_unknown(d);
    }
    back_off(d, policy, d.refused_retries.max(1), now, random);
    format!("not let in ({}); tried again later", verdict.code)
}

/// It may have been taken all the same: the same bytes go again only where that does no harm.
fn may_have_been_taken(policy: &EndpointPolicy, verdict: &Verdict) -> Option<String> {
    let harms = verdict.untold && policy.after_unknown != AfterUnknown::Resend;
    harms.then(|| format!("the reply ({}) does not say whether it was taken", verdict.code))
}

/// The far end says that it holds this already: no proof that it does, and no refusal either, even at the first attempt (an engine may
/// have sent it twice). Nothing may act on it as if nothing had arrived.
fn may_already_be_filed(d: &mut Delivery, verdict: &Verdict) -> String {
    d.begun = false;
    d.unresolved = d.unresolved.max(1);
    park(d, ParkReason::MayAlreadyBeFiled, &verdict.code)
}

/// What was to change a document made another one: the one that it is about stands elsewhere, and nobody has changed it.
fn misplaced(d: &mut Delivery, code: &str) -> String {
    d.begun = false;
    d.unresolved = d.unresolved.max(1);
    let step = park(d, ParkReason::FilingContradicted, code);
    d.park.iter_mut().for_each(|park| park.only_by_a_person = true);
    step
}

/// The record shows it with somebody else. Another one would stand there as well: nothing goes again before a person has taken it out.
fn misfiled(d: &mut Delivery, code: &str) -> String {
    d.begun = false;
    d.unresolved = d.unresolved.max(1);
    park(d, ParkReason::Misfiled, code)
}

/// The record that it was sent to, for its history.
fn in_record<'a>(d: &Delivery, policy: &'a EndpointPolicy) -> Cow<'a, str> {
    match d.was_sent_elsewhere(policy) {
        true => format!("the record that was reached there before {}", policy.name).into(),
        false => policy.name.as_str().into(),
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
    d.evidence.push(Evidence { kind, at: now, reply_id: Some(reply), record_id: verdict.record_id.clone() });
    d.next_attempt_at = None;
    d.park = None;
    d.accepted_at = d.accepted_at.or(Some(now));
    if verdict.record_id.is_some() {
        d.record_id.clone_from(&verdict.record_id);
        d.record_place = Some(policy.place.clone());
    }
    // No list names what is no document: where a list files the others, its acknowledgement is all there is of it.
    let is_message_only = d.kind() == EntryKind::ReferralReply && !policy.replies_are_documents;
    let is_all_there_is =
        is_message_only && verdict.level == Level::Application && policy.filed_by == FiledBy::Reconciled;
    if kind.files(policy.filed_by) || is_all_there_is {
        // Weaker evidence says nothing of the other attempts; this settles them all.
        d.unresolved = 0;
        d.asking = None;
        d.state = State::Filed;
        d.filed_at = d.filed_at.or(Some(now));
        format!("filed in {}: {} ({})", in_record(d, policy), kind.words(), verdict.code)
    } else {
        d.state = State::Accepted;
        ask::confirm(d, policy, now);
        format!(
            "received by the trust: {} ({}); not yet confirmed in {}",
            kind.words(),
            verdict.code,
            in_record(d, policy)
        )
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
pub(crate) mod tests;
