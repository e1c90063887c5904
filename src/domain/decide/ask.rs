//! What an answer of the record changes. Only "found" is evidence; "not there" lets the same bytes go again once it was said often and long
//! enough; anything else is asked again, and parked in the end.

use super::late::{Late, weigh};
use super::{later, misfiled, one_more_unknown, park, positive};
use crate::domain::ask::{Answer, Asking, Because, NotThere};
use crate::domain::delivery::{Delivery, EvidenceKind, ParkReason, State};
use crate::domain::ids::ReplyId;
use crate::domain::policy::{AfterUnknown, BackOff, EndpointPolicy};
use crate::domain::verdict::{Level, Meaning, Verdict};
use jiff::Timestamp;

/// The record is asked at the delivery's next turn, and until then its lane is held.
pub(super) fn ask_first(d: &mut Delivery, policy: &EndpointPolicy, because: Because, now: Timestamp) {
    d.state = State::BackingOff;
    d.not_there = None;
    d.asking = Some(Asking::new(because));
    d.next_attempt_at = Some(later(now, policy.asks.first_after));
}

/// Received, and either only the record's own word files it, or whoever carries it knows what becomes of it: asked on a schedule, in no one's way.
pub(super) fn confirm(d: &mut Delivery, policy: &EndpointPolicy, now: Timestamp) {
    let Some(first_after) = policy.confirms_after() else {
        d.asking = None;
        return;
    };
    if d.asking.as_ref().is_none_or(|a| a.because != Because::Accepted) {
        d.asking = Some(Asking::new(Because::Accepted));
    }
    d.next_attempt_at = Some(later(now, first_after));
}

/// Before the same bytes go again. "Not there" was believed and nothing went since, for the endpoint was closed, paused or away: what the record says
/// may have changed, so it is asked once more. And what waits since a time when nothing was to be asked is asked about where it is to be now.
pub(super) fn once_more(d: &mut Delivery, policy: &EndpointPolicy, now: Timestamp) {
    if d.asking.is_some() {
        return;
    }
    let asks = policy.after_unknown == AfterUnknown::Query;
    let asking = Asking::new(Because::OutcomeUnknown);
    if let Some(not_there) = d.not_there.take_if(|n| later(n.at, policy.asks.again_after) <= now) {
        let not_found = policy.asks.not_found_times.saturating_sub(1);
        d.asking = asks.then_some(Asking { not_found, not_found_since: Some(not_there.since), ..asking });
    } else if asks && d.goes_again_by_itself() {
        d.asking = Some(asking);
    }
    if d.asking.is_some() {
        // It was not used: the next one counts in its place.
        d.unknown_resends = d.unknown_resends.saturating_sub(1);
    }
}

/// A person sends it again, or the bridge does: where something is unknown, the record is asked before.
pub(super) fn before_resend(d: &mut Delivery, policy: &EndpointPolicy) {
    let ask = d.may_have_been_received() && policy.after_unknown == AfterUnknown::Query && d.rendering.is_some();
    d.asking = ask.then(|| Asking::new(Because::OutcomeUnknown));
}

/// `None`: it changes nothing (the reply is kept all the same).
pub(super) fn answered(
    d: &mut Delivery,
    policy: &EndpointPolicy,
    answer: &Answer,
    reply: Option<ReplyId>,
    now: Timestamp,
    random: u64,
) -> Option<String> {
    let in_hand = matches!(d.state, State::Accepted) || d.state == State::Sending && !d.begun;
    let asking = d.asking.clone().filter(|_| in_hand);
    match (answer, asking, reply) {
        (Answer::Found { record_id }, asking, Some(reply)) => {
            let verdict = found(record_id.clone());
            let evidence = Some(EvidenceKind::ReadBack);
            if asking.is_none() {
                // Settled meanwhile by something else: weighed as any evidence that comes late.
                return weigh(d, policy, &Late { verdict: &verdict, evidence, reply, now, random });
            }
            // It answers one of the attempts that nobody knew about.
            d.unresolved = d.unresolved.saturating_sub(1);
            Some(positive(d, policy, EvidenceKind::ReadBack, &verdict, reply, now))
        }
        // Without the bytes that say so nothing was found.
        (Answer::Found { .. }, Some(asking), None) => {
            Some(unclear(d, policy, asking, "an answer that was not kept", now, random))
        }
        (Answer::Received { code }, asking, Some(reply)) => {
            let verdict = spoken(Meaning::Positive, Level::Transport, code);
            let evidence = Some(EvidenceKind::TransportAck);
            if asking.as_ref().is_none_or(|a| a.because == Because::Accepted) {
                let said = weigh(d, policy, &Late { verdict: &verdict, evidence, reply, now, random });
                // Whoever carries it cannot say that it was filed: the record is asked on.
                return match asking.filter(|_| d.state == State::Accepted) {
                    Some(asking) => Some(carried(d, policy, asking, code, now)),
                    None => said,
                };
            }
            d.unresolved = d.unresolved.saturating_sub(1);
            Some(positive(d, policy, EvidenceKind::TransportAck, &verdict, reply, now))
        }
        (Answer::NotDelivered { code }, Some(asking), Some(_)) if asking.because != Because::Accepted => {
            d.unresolved = d.unresolved.saturating_sub(1);
            Some(park(d, ParkReason::Refused, code))
        }
        (Answer::NotDelivered { code }, _, Some(reply)) => {
            let verdict = spoken(Meaning::Refused, Level::Application, code);
            weigh(d, policy, &Late { verdict: &verdict, evidence: None, reply, now, random })
        }
        (Answer::Received { .. } | Answer::NotDelivered { .. }, Some(asking), None) => {
            Some(unclear(d, policy, asking, "an answer that was not kept", now, random))
        }
        (Answer::Misfiled { .. }, Some(_), _) => {
            Some(misfiled(d, "the record was asked and shows it with somebody else"))
        }
        (Answer::Misfiled { .. }, None, Some(reply)) => {
            let verdict = spoken(Meaning::Misfiled, Level::Application, "asked: in somebody else's record");
            weigh(d, policy, &Late { verdict: &verdict, evidence: None, reply, now, random })
        }
        (Answer::NotFound, Some(asking), _) => Some(not_found(d, policy, asking, now)),
        (Answer::Several, Some(asking), _) => {
            let asking = Asking { unread_since: None, several: true, ..asking };
            // Which of them an answer named nobody knows any more: a withdrawal by that id would leave the other one standing, as if it were done.
            d.record_id = None;
            Some(unclear(d, policy, asking, "it is there more than once", now, random))
        }
        (Answer::CannotSay { code }, Some(asking), _) => {
            let asking = Asking { unread_since: None, ..asking };
            Some(unclear(d, policy, asking, code, now, random))
        }
        (Answer::NotRead { code, .. }, Some(asking), _) if asking.because == Because::Accepted => {
            Some(not_read(d, policy, asking, code, now))
        }
        (Answer::NotRead { code, others_pass }, Some(asking), _) => {
            Some(kept_from(d, policy, asking, (code, *others_pass), now, random))
        }
        (Answer::NotHeard { why }, Some(mut asking), _) => {
            // Nothing was changed by asking, so a record that is away parks nothing.
            asking.unheard = asking.unheard.saturating_add(1);
            let waits = if asking.because == Because::Accepted { seldom(policy) } else { policy.back_off };
            let wait = waits.wait(asking.unheard, random);
            Some(again(d, asking, later(now, wait), &format!("the record was asked and did not answer ({why})")))
        }
        (_, None, _) => None,
    }
}

/// The word of the record itself, as a verdict.
fn found(record_id: Option<String>) -> Verdict {
    Verdict { record_id, ..spoken(Meaning::Positive, Level::Application, "found by its id") }
}

fn spoken(meaning: Meaning, level: Level, code: &str) -> Verdict {
    Verdict {
        meaning,
        level,
        code: code.to_owned(),
        duplicate: false,
        untold: false,
        misplaced: false,
        record_id: None,
    }
}

/// Received and not filed for longer than it should take.
fn is_overdue(d: &Delivery, policy: &EndpointPolicy, now: Timestamp) -> bool {
    later(d.accepted_at.unwrap_or(now), policy.evidence_overdue_after) <= now
}

/// It has got so far and no further: asked ever less often, until it is overdue.
fn carried(d: &mut Delivery, policy: &EndpointPolicy, mut asking: Asking, code: &str, now: Timestamp) -> String {
    asking.not_found = asking.not_found.saturating_add(1);
    asking.unheard = 0;
    if is_overdue(d, policy, now) {
        d.asking = None;
        d.next_attempt_at = None;
        return format!("received ({code}), and not filed when it should be; the list of overdue entries has it");
    }
    let at = later(now, policy.asks_again(&asking));
    again(d, asking, at, &format!("received, and no more is known ({code})"))
}

fn not_found(d: &mut Delivery, policy: &EndpointPolicy, mut asking: Asking, now: Timestamp) -> String {
    asking.not_found = asking.not_found.saturating_add(1);
    asking.not_found_since = asking.not_found_since.or(Some(now));
    asking.unread_since = None;
    asking.unheard = 0;
    let times = asking.not_found;
    let enough = policy.asks.believes(&asking, now);
    match asking.because {
        Because::Accepted => {
            asking.unclear = 0;
            asking.several = false;
            if is_overdue(d, policy, now) {
                d.asking = None;
                d.next_attempt_at = None;
                return format!("not found in {} when it should be; the list of overdue entries has it", policy.name);
            }
            let at = later(now, policy.asks_again(&asking));
            again(d, asking, at, "not in the record yet")
        }
        Because::OutcomeUnknown if enough && d.unknown_resends < policy.max_unknown_resends => {
            // Still possibly received: not being listed proves nothing to a person who would write it again.
            d.unknown_resends += 1;
            d.not_there = Some(NotThere { since: asking.not_found_since.unwrap_or(now), at: now });
            d.asking = None;
            d.state = State::BackingOff;
            d.next_attempt_at = Some(now);
            format!("{times} times in a row not in the record; the same bytes go again")
        }
        Because::OutcomeUnknown if enough => {
            let detail = format!("not found {times} times, and it was sent as often as it may be");
            park(d, ParkReason::OutcomeUnknown, &detail)
        }
        Because::SaidDuplicate if enough => {
            park(d, ParkReason::MayAlreadyBeFiled, "called a duplicate, and not found by its id")
        }
        Because::OutcomeUnknown | Because::SaidDuplicate => {
            let at = later(now, policy.asks.wait(&asking));
            again(d, asking, at, "not in the record so far; a record may list a new document late")
        }
    }
}

fn unclear(
    d: &mut Delivery,
    policy: &EndpointPolicy,
    mut asking: Asking,
    code: &str,
    now: Timestamp,
    random: u64,
) -> String {
    asking.unclear = asking.unclear.saturating_add(1);
    asking.unheard = 0;
    // A row of "not there" is one without gaps.
    asking.not_found = 0;
    asking.not_found_since = None;
    if asking.unclear >= policy.asks.max_unclear {
        let detail = format!("the record could not say whether it has it ({code})");
        return match asking.because {
            // No proof that comes later says which of them holds, and no list of what is overdue says that there are several.
            _ if asking.several => {
                park(d, ParkReason::MayAlreadyBeFiled, "the record was asked and shows it more than once")
            }
            Because::OutcomeUnknown => park(d, ParkReason::OutcomeUnknown, &detail),
            Because::SaidDuplicate => park(d, ParkReason::MayAlreadyBeFiled, &detail),
            Because::Accepted => {
                d.asking = None;
                d.next_attempt_at = None;
                format!("{detail}; no longer asked")
            }
        };
    }
    let wait = policy.back_off.wait(asking.unclear, random);
    again(d, asking, later(now, wait), &format!("the record could not say whether it has it ({code})"))
}

/// Of what was received only the record's word is missing: it is asked for until it is overdue, however long the record does not let itself be read, and ever
/// less often.
fn not_read(d: &mut Delivery, policy: &EndpointPolicy, mut asking: Asking, code: &str, now: Timestamp) -> String {
    if is_overdue(d, policy, now) {
        d.asking = None;
        d.next_attempt_at = None;
        return format!("the record does not let itself be read ({code}); the list of overdue entries has it");
    }
    asking.unheard = asking.unheard.saturating_add(1);
    let wait = seldom(policy).full(asking.unheard);
    again(d, asking, later(now, wait), &format!("the record does not let itself be read ({code})"))
}

/// Nobody knows what became of it, and the record does not let itself be read. Its lane is held: what is this one's own trouble counts, and an outage of
/// reading is waited for as long as evidence may be, no longer, for nobody else would notice.
fn kept_from(
    d: &mut Delivery,
    policy: &EndpointPolicy,
    mut asking: Asking,
    (code, others_pass): (&str, bool),
    now: Timestamp,
    random: u64,
) -> String {
    let since = *asking.unread_since.get_or_insert(now);
    if later(since, policy.evidence_overdue_after) <= now {
        let detail = format!("the record does not let itself be read ({code})");
        let said_there = asking.several || asking.because == Because::SaidDuplicate;
        return park(d, if said_there { ParkReason::MayAlreadyBeFiled } else { ParkReason::OutcomeUnknown }, &detail);
    }
    if others_pass {
        return unclear(d, policy, asking, code, now, random);
    }
    asking.unheard = asking.unheard.saturating_add(1);
    let wait = policy.back_off.wait(asking.unheard, random);
    again(d, asking, later(now, wait), &format!("the record does not let itself be read ({code})"))
}

/// In the end it is left alone so many times as long as what is sent again: nothing waits for it.
const SELDOM: u32 = 12;

fn seldom(policy: &EndpointPolicy) -> BackOff {
    BackOff { cap: policy.back_off.cap.saturating_mul(SELDOM), ..policy.back_off }
}

/// Asks again at its next turn.
fn again(d: &mut Delivery, asking: Asking, at: Timestamp, why: &str) -> String {
    if d.state != State::Accepted {
        d.state = State::BackingOff;
    }
    d.asking = Some(asking);
    d.next_attempt_at = Some(at);
    format!("{why}; asked again later")
}

/// The far end says that it has the document. Where it can be asked, only its own listing counts.
pub(super) fn said_duplicate(
    d: &mut Delivery,
    policy: &EndpointPolicy,
    verdict: &Verdict,
    now: Timestamp,
) -> Option<String> {
    if !policy.can_be_asked() {
        return None;
    }
    one_more_unknown(d);
    ask_first(d, policy, Because::SaidDuplicate, now);
    Some(format!("the far end says it has it ({}); the record is asked", verdict.code))
}

/// For the outcome that nobody knows, where the record is asked first.
pub(super) fn unknown(d: &mut Delivery, policy: &EndpointPolicy, why: &str, now: Timestamp) -> String {
    ask_first(d, policy, Because::OutcomeUnknown, now);
    format!("outcome unknown: {why}; the record is asked before anything goes again")
}
