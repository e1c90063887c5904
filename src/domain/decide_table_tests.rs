//! The whole table: every state with every history it can have, everything that can happen to it, every policy. What must hold always.

use super::*;
use crate::domain::ask::{Answer, Asking, Because};

const STATES: [State; 7] =
    [State::Queued, State::Sending, State::BackingOff, State::Accepted, State::Filed, State::Parked, State::Cancelled];
const MEANINGS: [Meaning; 5] =
    [Meaning::Positive, Meaning::Refused, Meaning::Retry, Meaning::Unknown, Meaning::Misfiled];
const LEVELS: [Level; 2] = [Level::Transport, Level::Application];
const KINDS: [EvidenceKind; 5] = [
    EvidenceKind::TransportAck,
    EvidenceKind::ApplicationAck,
    EvidenceKind::ReadBack,
    EvidenceKind::VendorReport,
    EvidenceKind::Reconciled,
];
const FILED_BY: [FiledBy; 5] =
    [FiledBy::TransportAck, FiledBy::ApplicationAck, FiledBy::ReadBack, FiledBy::VendorReport, FiledBy::Reconciled];
const REASONS: [ParkReason; 22] = [
    ParkReason::IdentityChanged,
    ParkReason::IdentityChangedAfterSend,
    ParkReason::EndpointChangedAfterSend,
    ParkReason::NhsNumberUnverified,
    ParkReason::ReferralClosed,
    ParkReason::TextNotCarriable,
    ParkReason::TextTooLong,
    ParkReason::NoMappedStaffId,
    ParkReason::PredecessorUnresolved,
    ParkReason::Refused,
    ParkReason::RetriesExhausted,
    ParkReason::OutcomeUnknown,
    ParkReason::MayAlreadyBeFiled,
    ParkReason::FilingContradicted,
    ParkReason::NotRenderable,
    ParkReason::ByPerson,
    ParkReason::WithdrawalCannotNameDocument,
    ParkReason::Deceased,
    ParkReason::Merged,
    ParkReason::LookupUnclear,
    ParkReason::Misfiled,
    ParkReason::EndpointRetired,
];

fn policies() -> Vec<EndpointPolicy> {
    let mut all = vec![];
    for filed_by in FILED_BY {
        for acknowledged_by in [AcknowledgedBy::Record, AcknowledgedBy::Engine] {
            for (after_unknown, ack_mode) in [
                (AfterUnknown::Resend, AckMode::Enhanced),
                (AfterUnknown::Park, AckMode::Enhanced),
                (AfterUnknown::Query, AckMode::Original),
            ] {
                all.push(EndpointPolicy { filed_by, acknowledged_by, after_unknown, ack_mode, ..policy() });
            }
        }
    }
    all
}

fn deliveries() -> Vec<Delivery> {
    let mut all = vec![];
    for state in STATES {
        let reasons: Vec<_> = if state == State::Parked { REASONS.map(Some).to_vec() } else { vec![None] };
        for park in reasons {
            for begun in [false, true] {
                for unresolved in [0, 1] {
                    for kinds in [&KINDS[..0], &KINDS[..1], &KINDS[1..2]] {
                        if begun && state != State::Sending
                            || matches!(state, State::Accepted | State::Filed) && kinds.is_empty()
                        {
                            continue;
                        }
                        let mut d = fresh();
                        d.state = state;
                        d.park = park.map(|reason| Park::new(reason, ""));
                        d.begun = begun;
                        d.unresolved = unresolved;
                        d.attempts = unresolved + u32::from(begun) + u32::from(!kinds.is_empty());
                        let evidence =
                            |kind: &EvidenceKind| Evidence { kind: *kind, at: at(1), reply_id: None, record_id: None };
                        d.evidence = kinds.iter().map(evidence).collect();
                        d.filed_at = (state == State::Filed).then(|| at(1));
                        d.cancelled = (state == State::Cancelled).then(|| Cancelled {
                            at: at(1),
                            by: "x".into(),
                            why: "y".into(),
                        });
                        all.extend(asking(&d));
                        all.push(d);
                    }
                }
            }
        }
    }
    all
}

/// The same, asking the record, where it can be.
fn asking(d: &Delivery) -> Vec<Delivery> {
    let because: &[Because] = match d.state {
        State::Queued | State::Sending | State::BackingOff if !d.begun && d.unresolved > 0 => {
            &[Because::OutcomeUnknown, Because::SaidDuplicate]
        }
        State::Accepted => &[Because::Accepted],
        _ => &[],
    };
    // One that begins to ask, and one that is near the end of its patience.
    let fresh = |b: &Because| Asking::new(*b);
    let patient = |b: &Because| Asking {
        not_found: 9,
        not_found_since: Some(at(-10_000)),
        unclear: AskRules::default().max_unclear - 1,
        ..Asking::new(*b)
    };
    let asks = because.iter().flat_map(|b| [fresh(b), patient(b)]);
    asks.map(|a| Delivery { asking: Some(a), next_attempt_at: Some(at(9)), ..d.clone() }).collect()
}

fn turned_away() -> Happened {
    Happened::TurnedAway { verdict: ae207() }
}

fn happenings() -> Vec<Happened> {
    let mut all = vec![
        Happened::Claimed,
        begun(),
        Happened::Held { reason: ParkReason::TextTooLong, detail: String::new() },
        Happened::Unserved,
        Happened::NoLongerAsked,
        Happened::NotSent,
        Happened::PutBack { why: "every connection was in use" },
        Happened::NotNow { why: "lookup patient: answered 500".into(), others_pass: false },
        Happened::NotNow { why: "lookup patient: answered 500".into(), others_pass: true },
        turned_away(),
        replied(made_anew()),
        late(made_anew(), &policy()),
        no_answer(),
        Happened::LeaseExpired,
        retried(),
        rerendered(false),
        rerendered(true),
        Happened::Stopped { why: "wait".into() },
        cancelled_by(false),
        cancelled_by(true),
        Happened::Superseded { why: "newer" },
        Happened::Restored,
        Happened::Nameable,
        Happened::NamedLikeAnother { kind: EvidenceKind::ApplicationAck, record_id: "17".into(), reply: reply() },
        Happened::NameInDoubt,
        Happened::StandsBeside { why: "it stands there" },
        Happened::Passed(Since::Replaced),
        Happened::Asked { answer: Answer::Misfiled { record_id: "17".into() }, reply: Some(reply()) },
        Happened::Asked { answer: Answer::Found { record_id: None }, reply: Some(reply()) },
        Happened::Asked { answer: Answer::Received { code: "accepted".into() }, reply: Some(reply()) },
        Happened::Asked { answer: Answer::Received { code: "accepted".into() }, reply: None },
        Happened::Asked { answer: Answer::NotDelivered { code: "14".into() }, reply: Some(reply()) },
        Happened::Asked { answer: Answer::NotFound, reply: Some(reply()) },
        Happened::Asked { answer: Answer::Several, reply: Some(reply()) },
        Happened::Asked { answer: Answer::CannotSay { code: "HTTP 500".into() }, reply: Some(reply()) },
        Happened::Asked { answer: Answer::NotHeard { why: "silence".into() }, reply: None },
        Happened::Asked { answer: Answer::NotRead { code: "it answers 503".into(), others_pass: false }, reply: None },
        Happened::Asked { answer: Answer::NotRead { code: "it answers 503".into(), others_pass: true }, reply: None },
    ];
    for meaning in MEANINGS {
        for level in LEVELS {
            for duplicate in [false, true] {
                let verdict = Verdict { duplicate, ..verdict(meaning, level) };
                all.push(replied(verdict.clone()));
                for evidence in [None].into_iter().chain(KINDS.map(Some)) {
                    all.push(Happened::Late { verdict: verdict.clone(), evidence, reply: reply() });
                }
            }
        }
    }
    all
}

/// Calls `check(before, policy, happened, after)` for each that can happen, and says how many.
fn for_every_case(mut check: impl FnMut(&Delivery, &EndpointPolicy, &Happened, &Decision)) -> usize {
    let (deliveries, happenings, mut count) = (deliveries(), happenings(), 0);
    for policy in policies() {
        for before in &deliveries {
            for happened in &happenings {
                if let Ok(decision) = decide(before, &policy, happened, at(10), 3) {
                    check(before, &policy, happened, &decision);
                    count += 1;
                }
            }
        }
    }
    assert!(count > 100_000, "only {count} cases");
    count
}

fn verdict_of(happened: &Happened) -> Option<&Verdict> {
    match happened {
        Happened::Replied { verdict, .. } | Happened::Late { verdict, .. } => Some(verdict),
        _ => None,
    }
}

/// How strong what came in is, and how strong it has to be: reckoned apart from the code under test.
fn strength(happened: &Happened, policy: &EndpointPolicy) -> Option<usize> {
    if matches!(happened, Happened::Asked { answer: Answer::Found { .. }, .. }) {
        return Some(2);
    }
    // Whoever carries a message proves that it was carried.
    if matches!(happened, Happened::Asked { answer: Answer::Received { .. }, reply: Some(_) }) {
        return Some(0);
    }
    let verdict = verdict_of(happened).filter(|v| v.meaning == Meaning::Positive)?;
    let of_the_record = verdict.level == Level::Application && policy.acknowledged_by == AcknowledgedBy::Record;
    let spoken = usize::from(of_the_record);
    match happened {
        Happened::Late { evidence, .. } => match KINDS.iter().position(|k| Some(*k) == *evidence)? {
            1 => Some(spoken),
            other => Some(other),
        },
        _ => Some(spoken),
    }
}

#[test]
fn nothing_but_sufficient_evidence_files() {
    let mut filed = 0;
    for_every_case(|before, policy, happened, after| {
        let needed = FILED_BY.iter().position(|f| *f == policy.filed_by).expect("listed");
        if after.delivery.state == State::Filed && before.state != State::Filed {
            let strength = strength(happened, policy);
            assert!(strength.is_some_and(|s| s >= needed), "{before:?} {happened:?}");
            filed += 1;
        }
        // And it always does, unless two answers exclude each other.
        if strength(happened, policy).is_some_and(|s| s >= needed)
            && before.park.as_ref().map(|p| p.reason) != Some(ParkReason::FilingContradicted)
        {
            assert_eq!(after.delivery.state, State::Filed, "{before:?} {happened:?}");
        }
    });
    assert!(filed > 1000);
}

#[test]
fn the_version_rises_with_each_change_and_what_changes_nothing_says_nothing() {
    for_every_case(|before, _, happened, after| {
        if after.step.is_empty() {
            assert_eq!(before, &after.delivery, "{happened:?}");
        } else {
            assert_eq!(after.delivery.version, before.version + 1, "{happened:?}");
        }
    });
}

#[test]
fn parked_and_cancelled_never_go_back_to_sending_without_a_person() {
    for_every_case(|before, _, happened, after| {
        let resting = matches!(before.state, State::Parked | State::Cancelled);
        let going = matches!(after.delivery.state, State::Queued | State::Sending | State::BackingOff);
        if resting && going {
            let person = matches!(happened, Happened::Retried { .. } | Happened::Rerendered { .. });
            let waits = before.waits_for_a_name() || before.waits_for_its_name_again();
            let named = *happened == Happened::Nameable && waits;
            assert!(before.state == State::Parked && (person || named), "{before:?} {happened:?}");
        }
    });
}

#[test]
fn an_unsent_delivery_is_never_parked_by_not_sent() {
    for_every_case(|before, _, happened, after| {
        if matches!(happened, Happened::NotSent | Happened::PutBack { .. } | Happened::NotNow { .. }) {
            let d = &after.delivery;
            assert_eq!((d.state, d.attempts), (State::Queued, before.attempts - u32::from(before.begun)));
            assert_eq!(
                (d.unresolved, d.refused_retries, d.unknown_resends),
                (before.unresolved, before.refused_retries, before.unknown_resends)
            );
        }
    });
}

#[test]
fn what_is_turned_away_is_tried_again_however_often() {
    for_every_case(|before, _, happened, after| {
        if matches!(happened, Happened::TurnedAway { .. }) {
            let d = &after.delivery;
            assert_eq!((d.state, d.attempts), (State::BackingOff, before.attempts));
            assert_eq!((d.unresolved, d.refused_retries), (before.unresolved, before.refused_retries));
        }
    });
}

#[test]
fn filed_is_left_only_by_a_contradiction() {
    for_every_case(|before, _, happened, after| {
        if before.state == State::Filed && after.delivery.state != State::Filed {
            assert_eq!(reason(&after.delivery), Some(ParkReason::FilingContradicted), "{happened:?}");
            assert!(after.delivery.may_have_been_received());
        }
    });
}

#[test]
fn a_delivery_stops_counting_as_received_only_by_a_definite_no() {
    for_every_case(|before, _, happened, after| {
        if before.may_have_been_received() && !after.delivery.may_have_been_received() {
            let refused = verdict_of(happened)
                .is_some_and(|v| matches!(v.meaning, Meaning::Refused if !v.duplicate) || v.meaning == Meaning::Retry);
            let refused = refused || matches!(happened, Happened::Asked { answer: Answer::NotDelivered { .. }, .. });
            let no_byte_left = matches!(
                happened,
                Happened::NotSent
                    | Happened::PutBack { .. }
                    | Happened::NotNow { .. }
                    | Happened::Held { .. }
                    | Happened::TurnedAway { .. }
            );
            assert!(refused || no_byte_left, "{before:?} {happened:?}");
            // One no answers one attempt.
            let open = before.unresolved + u32::from(before.begun) + u32::from(!before.evidence.is_empty());
            assert_eq!(open, 1, "{before:?} {happened:?}");
            assert!(before.evidence.iter().all(|e| e.kind == EvidenceKind::TransportAck));
        }
    });
}

#[test]
fn proof_and_who_cancelled_are_kept_for_ever() {
    for_every_case(|before, _, happened, after| {
        for proof in before.evidence.iter().filter(|e| e.kind > EvidenceKind::TransportAck) {
            assert!(after.delivery.evidence.contains(proof), "{before:?} {happened:?}");
        }
        if before.cancelled.is_some() {
            assert_eq!(before.cancelled, after.delivery.cancelled);
        }
    });
}

#[test]
fn each_state_has_what_it_needs_and_nothing_else() {
    for_every_case(|before, _, happened, after| {
        let d = &after.delivery;
        assert_eq!(d.park.is_some(), d.state == State::Parked, "{before:?} {happened:?}");
        assert!(!d.begun || d.state == State::Sending, "{before:?} {happened:?}");
        assert!(d.state != State::BackingOff || d.next_attempt_at.is_some() || d == before);
        assert!(!matches!(d.state, State::Accepted | State::Filed) || !d.evidence.is_empty());
        assert!(d.state != State::Cancelled || d.cancelled.is_some());
        let asks = match d.asking.as_ref().map(|a| a.because) {
            None => true,
            Some(Because::Accepted) => d.state == State::Accepted && d.next_attempt_at.is_some(),
            Some(_) => matches!(d.state, State::Queued | State::Sending | State::BackingOff) && !d.begun,
        };
        assert!(asks, "{before:?} {happened:?} {d:?}");
        assert!(d.attempts <= before.attempts || matches!(happened, Happened::Begun { .. }));
    });
}

#[test]
fn an_unknown_reply_files_nothing_and_accepts_nothing() {
    for_every_case(|before, _, happened, after| {
        if verdict_of(happened).is_some_and(|v| v.meaning == Meaning::Unknown) {
            assert!(after.delivery.evidence == before.evidence);
            assert!(!matches!(after.delivery.state, State::Accepted | State::Filed) || after.delivery == *before);
        }
    });
}

#[test]
fn nothing_is_sent_while_the_record_has_not_answered() {
    let mut resends = 0;
    for_every_case(|before, policy, happened, after| {
        let d = &after.delivery;
        if before.asking.is_some() {
            assert!(!matches!(happened, Happened::Begun { .. }), "{before:?}");
        }
        // Only these end the asking with the way free for the same bytes.
        let was = before.asking.as_ref().filter(|a| a.because != Because::Accepted);
        if was.is_some() && d.asking.is_none() && matches!(d.state, State::Queued | State::BackingOff | State::Sending)
        {
            assert!(matches!(happened, Happened::Asked { answer: Answer::NotFound, .. }), "{before:?} {happened:?}");
            assert!(d.unknown_resends > before.unknown_resends && d.unknown_resends <= policy.max_unknown_resends);
            assert!(d.may_have_been_received());
            resends += 1;
        }
        if matches!(happened, Happened::Asked { .. }) {
            assert_eq!((d.attempts, &d.rendering), (before.attempts, &before.rendering), "an ask is no attempt");
        }
    });
    assert!(resends > 10);
}

#[test]
fn what_came_back_from_a_backup_waits_for_a_person_who_has_looked_whatever_repeats_do() {
    let unacknowledged = Happened::Retried { may_be_in_record_acknowledged: false };
    for after_unknown in [AfterUnknown::Park, AfterUnknown::Resend, AfterUnknown::Query] {
        let p = EndpointPolicy { after_unknown, ..policy() };
        let sending = after(&fresh(), &p, &[Happened::Claimed, begun()]);
        for before in [fresh(), sending, attempt(&policy(), replied(ae207()))] {
            let d = after(&before, &p, &[Happened::Restored]);
            assert_eq!(reason(&d), Some(ParkReason::OutcomeUnknown));
            assert!(d.may_have_been_received() && !d.begun && d.next_attempt_at.is_none());
            // What was made before the backup would be the same bytes; where nothing was, other ones than those that may have gone.
            let retried_at_once = decide(&d, &p, &unacknowledged, at(1), 0);
            if after_unknown == AfterUnknown::Park || d.rendering.is_none() {
                assert_eq!(retried_at_once, Err(CannotHappen::MayBeInRecord), "{:?}", before.state);
            } else {
                assert!(retried_at_once.is_ok());
            }
            assert_eq!(after(&d, &p, &[retried()]).state, State::Queued);
        }
    }
}

#[test]
fn what_cannot_happen_is_said_with_the_state_and_what_it_needs() {
    let e = decide(&fresh(), &policy(), &retried(), at(1), 0).expect_err("queued is not parked");
    assert_eq!(e.to_string(), "the delivery is QUEUED; a retry needs PARKED");
}

/// (state, what happened, what it becomes; `None`: it cannot happen). A QUEUED delivery is fresh; SENDING has begun; BACKING_OFF and
/// PARKED (OUTCOME_UNKNOWN) have one attempt of unknown outcome; ACCEPTED has a transport acknowledgement.
#[test]
fn the_table_of_states() {
    use State::{Accepted as A, BackingOff as B, Cancelled as C, Filed as F, Parked as P, Queued as Q, Sending as S};
    let p = enhanced();
    let parking = EndpointPolicy { after_unknown: AfterUnknown::Park, ..p.clone() };
    let rows = [
        fresh(),
        after(&fresh(), &p, &[Happened::Claimed, begun()]),
        attempt(&p, no_answer()),
        attempt(&p, replied(ca())),
        attempt(&p, replied(aa())),
        attempt(&parking, no_answer()),
        after(&attempt(&p, no_answer()), &p, &[cancelled_by(true)]),
    ];
    #[rustfmt::skip]
    let table: &[(Happened, [Option<State>; 7])] = &[
        //                           QUEUED   SENDING  BACKING  ACCEPTED FILED    PARKED   CANCELLED
        (Happened::Claimed,         [Some(S), None,    Some(S), None,    None,    None,    None]),
        (begun(),                   [None,    None,    None,    None,    None,    None,    None]),
        (Happened::NotSent,         [None,    Some(Q), None,    None,    None,    None,    None]),
        (Happened::PutBack { why: "" }, [None, Some(Q), None,    None,    None,    None,    None]),
        (Happened::NotNow { why: String::new(), others_pass: false },
                                    [None,    Some(Q), None,    None,    None,    None,    None]),
        (turned_away(),             [None,    Some(B), None,    None,    None,    None,    None]),
        (no_answer(),               [None,    Some(B), None,    None,    None,    None,    None]),
        (Happened::LeaseExpired,    [None,    Some(B), None,    None,    None,    None,    None]),
        (replied(aa()),             [Some(F), Some(F), Some(F), Some(F), Some(F), Some(F), Some(F)]),
        (replied(ca()),             [Some(Q), Some(A), Some(A), Some(A), Some(F), Some(A), Some(C)]),
        (replied(ae()),             [Some(Q), Some(P), Some(P), Some(P), Some(P), Some(P), Some(C)]),
        (replied(ae207()),          [Some(Q), Some(B), Some(B), Some(B), Some(P), Some(P), Some(C)]),
        (replied(ae205()),          [Some(Q), Some(P), Some(P), Some(P), Some(F), Some(P), Some(C)]),
        (replied(Verdict::unreadable()), [Some(Q), Some(B), Some(B), Some(A), Some(F), Some(P), Some(C)]),
        (late(aa(), &p),            [Some(F), Some(F), Some(F), Some(F), Some(F), Some(F), Some(F)]),
        (late(ca(), &p),            [Some(Q), Some(S), Some(A), Some(A), Some(F), Some(A), Some(C)]),
        (late(ae(), &p),            [Some(Q), Some(P), Some(P), Some(P), Some(P), Some(P), Some(C)]),
        (late(ae207(), &p),         [Some(Q), Some(B), Some(B), Some(B), Some(P), Some(P), Some(C)]),
        (late(ae205(), &p),         [Some(Q), Some(P), Some(P), Some(P), Some(F), Some(P), Some(C)]),
        (retried(),         [None,    None,    None,    None,    None,    Some(Q), None]),
        (rerendered(true),
                                    [None,    None,    None,    None,    None,    Some(Q), None]),
        (Happened::Stopped { why: Default::default() },
                                    [Some(P), None,    Some(P), Some(P), None,    None,    None]),
        (Happened::Restored,        [Some(P), Some(P), Some(P), None,    None,    Some(P), None]),
        (cancelled_by(true),        [Some(C), None,    Some(C), Some(C), None,    Some(C), None]),
        (Happened::Superseded { why: "newer" },
                                    [Some(C), None,    Some(C), None,    None,    Some(C), None]),
        (Happened::Nameable,        [None,    None,    None,    None,    None,    None,    None]),
    ];
    for (happened, expected) in table {
        for (before, expected) in rows.iter().zip(expected) {
            let became = decide(before, &p, happened, at(10), 3).ok().map(|d| d.delivery.state);
            assert_eq!(became, *expected, "{:?} {happened:?}", before.state);
        }
    }
}
