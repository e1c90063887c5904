//! Evidence outside the attempt in hand. It answers *a* rendering by its control id, not a known attempt of it: where that leaves a
//! doubt, the delivery goes on counting as possibly received.

use super::{back_off, may_already_be_filed, misfiled, park, positive, unknown};
use crate::domain::delivery::{Delivery, Evidence, EvidenceKind, ParkReason, State};
use crate::domain::ids::ReplyId;
use crate::domain::policy::{AckMode, EndpointPolicy};
use crate::domain::verdict::{Level, Meaning, Verdict};
use jiff::Timestamp;

pub(super) struct Late<'a> {
    pub verdict: &'a Verdict,
    pub evidence: Option<EvidenceKind>,
    pub reply: ReplyId,
    pub now: Timestamp,
    pub random: u64,
}

/// `None`: it changes nothing (it is kept as a reply all the same).
pub(super) fn weigh(d: &mut Delivery, policy: &EndpointPolicy, late: &Late<'_>) -> Option<String> {
    match late.verdict.meaning {
        Meaning::Positive => confirmed(d, policy, late),
        Meaning::Refused if late.verdict.misplaced => misplaced(d, policy, late.verdict),
        Meaning::Refused if late.verdict.duplicate => has_it(d, policy, late.verdict),
        Meaning::Refused => refused(d, policy, late.verdict),
        Meaning::Retry => not_taken(d, policy, late),
        Meaning::Misfiled => elsewhere(d, &late.verdict.code),
        Meaning::Unknown => None,
    }
}

/// It made another one, whatever else was answered.
fn misplaced(d: &mut Delivery, policy: &EndpointPolicy, verdict: &Verdict) -> Option<String> {
    let code = &verdict.code;
    match d.state {
        _ if !d.may_have_gone() => None,
        State::Sending if !overtakes(d, policy, verdict) => None,
        State::Parked if d.park.as_ref().is_some_and(|p| p.reason == ParkReason::FilingContradicted) => None,
        State::Cancelled => {
            d.unresolved = d.unresolved.max(1);
            Some(format!("cancelled, and yet the far end made a new one of it ({code})"))
        }
        _ => Some(super::misplaced(d, code)),
    }
}

/// Wherever else it stands, it stands in the record of somebody else as well.
fn elsewhere(d: &mut Delivery, code: &str) -> Option<String> {
    match d.state {
        _ if !d.may_have_gone() => None,
        State::Filed => Some(park(d, ParkReason::FilingContradicted, code)),
        State::Parked if d.park.as_ref().is_some_and(|p| p.reason == ParkReason::Misfiled) => None,
        State::Cancelled => {
            d.unresolved = d.unresolved.max(1);
            Some(format!("cancelled, and yet the far end shows it in somebody else's record ({code})"))
        }
        _ => Some(misfiled(d, code)),
    }
}

fn confirmed(d: &mut Delivery, policy: &EndpointPolicy, late: &Late<'_>) -> Option<String> {
    let kind = match late.evidence? {
        // What level speaks, and for whom, is not the caller's to say.
        EvidenceKind::ApplicationAck => EvidenceKind::of(late.verdict, policy.acknowledged_by),
        other => other,
    };
    let file_or_accept = |d: &mut Delivery| Some(positive(d, policy, kind, late.verdict, late.reply, late.now));
    let parked_as = d.park.as_ref().map(|p| p.reason);
    match d.state {
        State::Parked if d.park.as_ref().is_some_and(|p| p.only_by_a_person) => None,
        // Two answers that exclude each other: a repeat of one of them decides nothing, only a person or stronger evidence can.
        State::Parked
            if parked_as == Some(ParkReason::FilingContradicted) && d.evidence.iter().any(|e| e.kind >= kind) =>
        {
            None
        }
        // Two ids of the record's for one document are perhaps two copies of it: a person has to look.
        State::Filed if under_another_id(d, kind, late.verdict) => {
            Some(park(d, ParkReason::FilingContradicted, "filed under another record id as well"))
        }
        State::Filed => one_more(d, policy, kind, late),
        _ if kind.files(policy.filed_by) => {
            d.begun = false;
            file_or_accept(d)
        }
        State::Cancelled => one_more(d, policy, kind, late),
        State::Accepted if d.evidence.iter().any(|e| e.kind == kind) => one_more(d, policy, kind, late),
        State::Accepted => file_or_accept(d),
        // It answers one of the attempts that nobody knew about. Where there is none, it came after the stronger word that settled it.
        State::Queued | State::BackingOff if d.unresolved > 0 => {
            d.unresolved -= 1;
            file_or_accept(d)
        }
        State::Parked if parked_as == Some(ParkReason::OutcomeUnknown) => {
            d.unresolved = d.unresolved.saturating_sub(1);
            file_or_accept(d)
        }
        // What was not to be taken was taken: what says so is weaker than what files, and more than nothing. It does not go again.
        State::Queued | State::BackingOff if kind > EvidenceKind::TransportAck && d.attempts > 0 => file_or_accept(d),
        // An engine that says both says neither.
        State::BackingOff if is_of_the_application(late) && d.attempts > 0 => {
            Some(unknown(d, policy, "not now, and then taken", late.now, late.random))
        }
        State::Parked if is_of_the_application(late) && parked_as.is_some_and(ParkReason::says_it_is_not_there) => {
            d.unresolved = d.unresolved.max(1);
            one_more(d, policy, kind, late);
            Some(park(d, ParkReason::FilingContradicted, "refused, and then taken"))
        }
        // While bytes are on their way, the answer to *them* decides; what is parked for another reason stays so.
        State::Sending | State::Queued | State::BackingOff | State::Parked => None,
    }
}

/// A transport's receipt says nothing against what the application has said.
fn is_of_the_application(late: &Late<'_>) -> bool {
    late.verdict.level == Level::Application
}

/// The vendor reports it again, or the record lists it again, under another id than that source gave before.
fn under_another_id(d: &Delivery, kind: EvidenceKind, verdict: &Verdict) -> bool {
    verdict.record_id.as_ref().is_some_and(|said| d.was_named_otherwise(kind, said))
}

/// Evidence that moves nothing. A far end that repeats itself for ever adds nothing.
fn one_more(d: &mut Delivery, policy: &EndpointPolicy, kind: EvidenceKind, late: &Late<'_>) -> Option<String> {
    let names_it = d.record_id.is_none() && late.verdict.record_id.is_some();
    if !names_it && d.evidence.iter().any(|e| e.kind == kind) {
        return None;
    }
    let record_id = late.verdict.record_id.clone();
    d.evidence.push(Evidence { kind, at: late.now, reply_id: Some(late.reply), record_id });
    if names_it {
        d.record_id.clone_from(&late.verdict.record_id);
        d.record_place = Some(policy.place.clone());
    }
    let cancelled = if d.state == State::Cancelled { "cancelled, and yet: " } else { "" };
    Some(format!("{cancelled}more evidence: {} ({})", kind.words(), late.verdict.code))
}

/// The record, or one that this endpoint no longer leads to, holds what was sent before it was made anew. Nothing is filed by that; a person
/// has to find it there.
pub(super) fn earlier_confirmed(d: &mut Delivery, verdict: &Verdict) -> Option<String> {
    let detail = format!("an earlier message of it, made for other details, was acknowledged: {}", verdict.code);
    match d.state {
        State::Parked if d.park.as_ref().is_some_and(|p| settled_already(p.reason)) => None,
        // The answer to the bytes on their way decides where those stand.
        State::Sending => {
            d.unresolved = d.unresolved.max(1);
            Some(detail)
        }
        State::Cancelled => {
            d.unresolved = d.unresolved.max(1);
            Some(format!("cancelled, and yet {detail}"))
        }
        _ => {
            d.unresolved = d.unresolved.max(1);
            Some(park(d, ParkReason::MayAlreadyBeFiled, &detail))
        }
    }
}

/// The far end says it has it already (error 205).
fn has_it(d: &mut Delivery, policy: &EndpointPolicy, verdict: &Verdict) -> Option<String> {
    let known = [ParkReason::FilingContradicted, ParkReason::MayAlreadyBeFiled];
    match d.state {
        _ if !d.may_have_gone() => None,
        State::Filed => None,
        State::Sending if !overtakes(d, policy, verdict) => None,
        State::Parked if d.park.as_ref().is_some_and(|p| known.contains(&p.reason)) => None,
        State::Cancelled if d.may_have_been_received() => None,
        // It stays given up: parked, it could be sent again, withdrawn as it may be. Whoever applies this raises the alarm.
        State::Cancelled => {
            d.unresolved = 1;
            Some(format!("cancelled, and yet the far end says it has it ({})", verdict.code))
        }
        _ => Some(may_already_be_filed(d, verdict)),
    }
}

fn refused(d: &mut Delivery, policy: &EndpointPolicy, verdict: &Verdict) -> Option<String> {
    let proven = more_than_transport(d);
    match d.state {
        State::Filed => Some(park(d, ParkReason::FilingContradicted, &verdict.code)),
        // Of several attempts another one was refused; the one that was accepted stands.
        State::Accepted if d.unresolved > 0 && (proven || verdict.level == Level::Transport) => {
            d.unresolved -= 1;
            Some(format!("another attempt was refused ({}); the one received stands", verdict.code))
        }
        State::Accepted if proven => Some(park(d, ParkReason::FilingContradicted, &verdict.code)),
        State::Accepted => {
            // The application's refusal ends what the transport's word was worth. A second word of the transport does not.
            if verdict.level == Level::Application && !answered_before(d, d.refused_retries) {
                d.evidence.clear();
            }
            Some(park(d, ParkReason::Refused, &verdict.code))
        }
        State::Parked if d.park.as_ref().is_some_and(|p| settled_already(p.reason)) => None,
        State::Queued | State::Parked if d.unresolved == 0 && d.evidence.is_empty() => None,
        State::Queued | State::BackingOff | State::Parked if proven && d.unresolved == 0 => {
            Some(park(d, ParkReason::FilingContradicted, &verdict.code))
        }
        State::Queued | State::BackingOff | State::Parked => {
            if !answered_before(d, d.refused_retries) {
                settle_one(d, verdict);
            }
            Some(park(d, ParkReason::Refused, &verdict.code))
        }
        State::Cancelled if !proven && open_attempts(d) > 0 && !answered_before(d, d.refused_retries) => {
            settle_one(d, verdict);
            Some(format!("cancelled; the far end has refused it ({})", verdict.code))
        }
        State::Sending if overtakes(d, policy, verdict) && !answered_before(d, d.refused_retries) => {
            // Of the open attempts and the one in hand one is settled: the others stay open.
            d.begun = false;
            Some(park(d, ParkReason::Refused, &verdict.code))
        }
        State::Sending | State::Cancelled => None,
    }
}

fn not_taken(d: &mut Delivery, policy: &EndpointPolicy, late: &Late<'_>) -> Option<String> {
    let (verdict, code) = (late.verdict, &late.verdict.code);
    if verdict.level != Level::Application {
        return None;
    }
    if more_than_transport(d) {
        // Of its only attempt the application has said both. Of several, this may be an earlier one's answer.
        let said = d.evidence.iter().any(|e| e.kind == EvidenceKind::ApplicationAck)
            && !answered_before(d, 0)
            && d.unresolved == 0;
        let taken = matches!(d.state, State::Filed | State::Accepted);
        return (said && taken).then(|| park(d, ParkReason::FilingContradicted, code));
    }
    match d.state {
        // It was called filed on the transport's word alone, and the application did not take it.
        State::Filed => return Some(park(d, ParkReason::FilingContradicted, code)),
        // Perhaps only the earlier "not now" again, and the resend is in the record already: nobody knows.
        State::Accepted if answered_before(d, 0) => {
            d.evidence.clear();
            let why = format!("the application says not now ({code}), perhaps of an earlier attempt");
            return Some(unknown(d, policy, &why, late.now, late.random));
        }
        State::Accepted => d.evidence.clear(),
        State::Sending if overtakes(d, policy, verdict) && !answered_before(d, 0) => d.begun = false,
        _ => return None,
    }
    if d.refused_retries >= policy.max_refused_retries {
        return Some(park(d, ParkReason::RetriesExhausted, code));
    }
    d.refused_retries += 1;
    back_off(d, policy, d.refused_retries, late.now, late.random);
    Some(format!("not taken by the application ({code}); tried again later"))
}

/// In enhanced mode the application's answer may come before the commit acknowledgement of the attempt in hand is settled.
fn overtakes(d: &Delivery, policy: &EndpointPolicy, verdict: &Verdict) -> bool {
    d.begun && policy.ack_mode == AckMode::Enhanced && verdict.level == Level::Application
}

fn more_than_transport(d: &Delivery) -> bool {
    d.evidence.iter().any(|e| e.kind > EvidenceKind::TransportAck)
}

/// A refusal in these may be a repeat of the answer that parked it: it must not settle another attempt.
fn settled_already(reason: ParkReason) -> bool {
    matches!(reason, ParkReason::Refused | ParkReason::MayAlreadyBeFiled | ParkReason::FilingContradicted)
}

/// Attempts that nobody with a last word has answered.
fn open_attempts(d: &Delivery) -> u32 {
    d.unresolved + u32::from(!d.evidence.is_empty()) + u32::from(d.begun)
}

/// Whether an attempt was answered already, beyond `other` answers that this one cannot be. Then this may be that answer again, and must
/// not settle an attempt that is still open.
fn answered_before(d: &Delivery, other: u32) -> bool {
    d.attempts > open_attempts(d).saturating_add(other)
}

/// One open attempt was refused: the one the transport took, where the application speaks, else one of unknown outcome.
fn settle_one(d: &mut Delivery, verdict: &Verdict) {
    if verdict.level == Level::Application && !d.evidence.is_empty() && !more_than_transport(d) {
        d.evidence.clear();
    } else {
        d.unresolved = d.unresolved.saturating_sub(1);
    }
}
