//! One test per rule, in the words of the design; the fixtures that the domain's other tests share.

use super::*;
use crate::domain::ask::AskRules;
use crate::domain::delivery::WaitingFor;
use crate::domain::entry::{EntryAction, Subject};
use crate::domain::ids::{DeliveryId, EntryId, NoteId, PatientId, ReferralId};
use crate::domain::organisation::{EndpointId, OdsCode};
use crate::domain::policy::{AckMode, AcknowledgedBy, BackOff, Environment, FiledBy, Names};
use crate::domain::verdict::Level;
use uuid::Uuid;

#[path = "decide_table_tests.rs"]
mod table;
#[path = "decide_ask_tests.rs"]
mod ask;
#[path = "decide_ask_walk_tests.rs"]
mod ask_walk;
#[path = "decide_late_tests.rs"]
mod late_evidence;
#[path = "decide_walk_tests.rs"]
mod walk;

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("in range")
}

pub fn policy() -> EndpointPolicy {
    EndpointPolicy {
        id: EndpointId::parse("epr").expect("valid"),
        trust: OdsCode::parse("RW1").expect("valid"),
        name: "RiO".into(),
        environment: Environment::Test,
        filed_by: FiledBy::ApplicationAck,
        acknowledged_by: AcknowledgedBy::Record,
        after_unknown: AfterUnknown::Resend,
        max_unknown_resends: 2,
        max_refused_retries: 3,
        ack_mode: AckMode::Original,
        evidence_overdue_after: Duration::from_secs(60),
        back_off: BackOff { first: Duration::from_secs(1), cap: Duration::from_secs(60) },
        asks: AskRules::default(),
        tracks_after: None,
        require_verified_nhs_number: false,
        require_mapped_staff: false,
        max_text_chars: 60_000,
        names: Names::OwnId,
        replies_are_documents: false,
        place: "epr.example:2575".into(),
        same_record_as: Vec::new(),
        fingerprint: "pack@1".into(),
    }
}

pub fn enhanced() -> EndpointPolicy {
    EndpointPolicy { ack_mode: AckMode::Enhanced, ..policy() }
}

pub fn delivery(n: u128, action: EntryAction) -> Delivery {
    Delivery {
        id: DeliveryId(Uuid::from_u128(n)),
        entry_id: EntryId(Uuid::from_u128(n)),
        subject: Subject::Note(NoteId(Uuid::from_u128(1))),
        subject_version: i64::try_from(n).expect("small"),
        action,
        trust: OdsCode::parse("RW1").expect("valid"),
        patient_id: PatientId(Uuid::from_u128(1)),
        referral_id: ReferralId(Uuid::from_u128(1)),
        endpoint: EndpointId::parse("epr").expect("valid"),
        lane_seq: i64::try_from(n).expect("small"),
        state: State::Queued,
        version: 1,
        predecessor: None,
        park: None,
        evidence: vec![],
        rendering: None,
        begun: false,
        unresolved: 0,
        attempts: 0,
        refused_retries: 0,
        unknown_resends: 0,
        not_now: 0,
        asking: None,
        not_there: None,
        may_go_again: false,
        overridden: vec![],
        approved: None,
        sent_for_others: false,
        record_id: None,
        record_place: None,
        sent_to: None,
        release_at: None,
        was_ahead: false,
        next_attempt_at: None,
        created_at: at(0),
        accepted_at: None,
        filed_at: None,
        cancelled: None,
        since: None,
        trace: None,
    }
}

pub fn verdict(meaning: Meaning, level: Level) -> Verdict {
    Verdict { meaning, level, code: "code".into(), duplicate: false, untold: false, misplaced: false, record_id: None }
}

pub fn aa() -> Verdict {
    verdict(Meaning::Positive, Level::Application)
}
pub fn ca() -> Verdict {
    verdict(Meaning::Positive, Level::Transport)
}
pub fn ae() -> Verdict {
    verdict(Meaning::Refused, Level::Application)
}
pub fn ae207() -> Verdict {
    verdict(Meaning::Retry, Level::Application)
}
pub fn ae205() -> Verdict {
    Verdict { duplicate: true, ..ae() }
}

pub fn reply() -> ReplyId {
    ReplyId(Uuid::from_u128(7))
}
/// It made a new document where it was to change one.
pub fn made_anew() -> Verdict {
    Verdict { misplaced: true, ..verdict(Meaning::Refused, Level::Application) }
}

pub fn replied(verdict: Verdict) -> Happened {
    Happened::Replied { verdict, reply: reply() }
}
pub fn begun() -> Happened {
    Happened::Begun { rendering: RenderingId(Uuid::from_u128(5)) }
}
pub fn no_answer() -> Happened {
    Happened::NoAnswer { why: "silence".into() }
}
pub fn late(verdict: Verdict, policy: &EndpointPolicy) -> Happened {
    Happened::late(verdict, policy, reply())
}
pub fn retried() -> Happened {
    Happened::Retried { may_be_in_record_acknowledged: true }
}
pub fn rerendered(acknowledged: bool) -> Happened {
    Happened::Rerendered { may_be_in_record_acknowledged: acknowledged, identity_now: None, for_others: false }
}
pub fn proof(kind: EvidenceKind) -> Happened {
    Happened::Late { verdict: aa(), evidence: Some(kind), reply: reply() }
}
pub fn cancelled_by(acknowledged: bool) -> Happened {
    Happened::CancelledBy {
        by: "an integrator".into(),
        why: "given up".into(),
        may_be_in_record_acknowledged: acknowledged,
    }
}

/// What it is after all of this; every step must be possible.
pub fn after(d: &Delivery, policy: &EndpointPolicy, happenings: &[Happened]) -> Delivery {
    happenings.iter().fold(d.clone(), |d, happened| match decide(&d, policy, happened, at(10), 3) {
        Ok(decision) => decision.delivery,
        Err(why) => panic!("{happened:?} cannot happen: {why}"),
    })
}

pub fn fresh() -> Delivery {
    delivery(1, EntryAction::Create)
}

fn attempt(policy: &EndpointPolicy, outcome: Happened) -> Delivery {
    after(&fresh(), policy, &[Happened::Claimed, begun(), outcome])
}

fn again(d: &Delivery, policy: &EndpointPolicy, outcome: Happened) -> Delivery {
    after(d, policy, &[Happened::Claimed, begun(), outcome])
}

fn reason(d: &Delivery) -> Option<ParkReason> {
    d.park.as_ref().map(|p| p.reason)
}

/// Else the one that is never answered would be asked first for ever.
#[test]
fn an_answer_to_a_referral_that_no_list_can_name_is_filed_by_its_acknowledgement() {
    let p = EndpointPolicy { filed_by: FiledBy::Reconciled, acknowledged_by: AcknowledgedBy::Engine, ..policy() };
    let mut reply = fresh();
    reply.subject = Subject::Referral(reply.referral_id);
    let acked = |p: &EndpointPolicy, d: &Delivery| after(d, p, &[Happened::Claimed, begun(), replied(aa())]).state;
    assert_eq!(acked(&p, &reply), State::Filed);
    assert_eq!(acked(&p, &fresh()), State::Accepted, "a note is a document");
    let enhanced = EndpointPolicy { ack_mode: AckMode::Enhanced, ..p.clone() };
    let on_its_way = after(&reply, &enhanced, &[Happened::Claimed, begun(), replied(ca())]);
    assert_eq!(on_its_way.state, State::Accepted, "an engine has it, and the application may refuse it");
    let listed = EndpointPolicy { replies_are_documents: true, ..p.clone() };
    assert_eq!(acked(&listed, &reply), State::Accepted);
    let reported = EndpointPolicy { filed_by: FiledBy::VendorReport, ..p };
    assert_eq!(acked(&reported, &reply), State::Accepted);
}

#[test]
fn what_could_not_be_asked_about_waits_and_lets_others_go_first() {
    let claimed = after(&fresh(), &policy(), &[Happened::Claimed]);
    let not_now = Happened::NotNow { why: "lookup patient: answered 500".into(), others_pass: false };
    let d = decide(&claimed, &policy(), &not_now, at(10), u64::MAX / 2).expect("it can happen").delivery;
    assert_eq!((d.state, d.attempts, d.may_have_been_received()), (State::Queued, 0, false));
    assert!(d.due_at() > at(10), "{:?}", d.due_at());
}

/// Else a hiccup of the far end's would hold up for a minute what it could take again at once, and in the end park it.
#[test]
fn what_found_no_free_connection_is_due_at_once_however_often() {
    let mut d = fresh();
    for _ in 0..=NOT_NOW_MAX {
        d = after(&d, &policy(), &[Happened::Claimed, Happened::PutBack { why: "every connection was in use" }]);
        assert_eq!((d.state, d.attempts, d.not_now), (State::Queued, 0, 0));
        assert!(d.due_at() <= at(10), "{:?}", d.due_at());
    }
}

#[test]
fn an_application_acknowledgement_of_the_record_files() {
    let d = attempt(&policy(), replied(Verdict { record_id: Some("DOC1".into()), ..aa() }));
    assert_eq!((d.state, d.filed_at, d.record_id.as_deref()), (State::Filed, Some(at(10)), Some("DOC1")));
    assert_eq!(d.evidence.len(), 1);
}

#[test]
fn an_aa_from_an_engine_is_a_transport_acknowledgement() {
    let engine = EndpointPolicy { acknowledged_by: AcknowledgedBy::Engine, ..policy() };
    let d = attempt(&engine, replied(aa()));
    assert_eq!((d.state, d.evidence[0].kind), (State::Accepted, EvidenceKind::TransportAck));
    // Not even when the caller calls it more.
    assert_eq!(after(&d, &engine, &[proof(EvidenceKind::ApplicationAck)]).state, State::Accepted);
    assert_eq!(after(&d, &engine, &[proof(EvidenceKind::ReadBack)]).state, State::Filed);
}

#[test]
fn what_is_weaker_than_filed_by_is_accepted_and_stronger_evidence_files_it() {
    let p = EndpointPolicy { filed_by: FiledBy::ReadBack, ..policy() };
    let d = attempt(&p, replied(aa()));
    assert_eq!(d.state, State::Accepted);
    let d = after(&d, &p, &[proof(EvidenceKind::Reconciled)]);
    assert_eq!((d.state, d.evidence.len()), (State::Filed, 2));
}

#[test]
fn a_not_sent_delivery_stays_queued_however_often_and_counts_nothing() {
    let mut d = fresh();
    for i in 0..200 {
        d = after(&d, &policy(), &[Happened::Claimed]);
        if i % 2 == 0 {
            d = after(&d, &policy(), &[begun()]);
        }
        d = after(&d, &policy(), &[Happened::NotSent]);
    }
    assert_eq!((d.state, d.attempts, d.unresolved, d.may_have_been_received()), (State::Queued, 0, 0, false));
}

#[test]
fn not_sent_at_a_resend_keeps_the_doubt_about_the_first_attempt() {
    let d = again(&attempt(&policy(), no_answer()), &policy(), Happened::NotSent);
    assert_eq!((d.state, d.attempts, d.unresolved), (State::Queued, 1, 1));
    assert!(d.may_have_been_received());
}

#[test]
fn silence_garbage_and_a_lease_that_expired_after_the_beginning_are_unknown() {
    let garbage = Happened::Replied { verdict: Verdict::unreadable(), reply: reply() };
    for outcome in [no_answer(), garbage, Happened::LeaseExpired] {
        let d = attempt(&policy(), outcome.clone());
        assert_eq!((d.state, d.unresolved), (State::BackingOff, 1), "{outcome:?}");
        let d = attempt(&EndpointPolicy { after_unknown: AfterUnknown::Park, ..policy() }, outcome.clone());
        assert_eq!(reason(&d), Some(ParkReason::OutcomeUnknown));
        assert!(d.may_have_been_received());
        let d = attempt(&EndpointPolicy { after_unknown: AfterUnknown::Query, ..policy() }, outcome.clone());
        assert_eq!((d.state, d.asking.is_some(), d.may_have_been_received()), (State::BackingOff, true, true));
    }
}

#[test]
fn a_lease_that_expires_without_a_begun_attempt_goes_back_to_queued() {
    let d = after(&fresh(), &policy(), &[Happened::Claimed, Happened::LeaseExpired]);
    assert_eq!((d.state, d.attempts, d.may_have_been_received()), (State::Queued, 0, false));
}

#[test]
fn unknown_outcomes_are_resent_as_often_as_the_endpoint_allows_and_then_parked() {
    let mut d = attempt(&policy(), no_answer());
    for resend in 2..=3 {
        assert_eq!((d.state, d.next_attempt_at.is_some()), (State::BackingOff, true));
        d = again(&d, &policy(), no_answer());
        assert_eq!(d.attempts, resend);
    }
    assert_eq!((reason(&d), d.attempts, d.unresolved), (Some(ParkReason::OutcomeUnknown), 3, 3));
}

#[test]
fn retryable_refusals_are_bounded_and_then_parked_as_not_received() {
    let mut d = attempt(&policy(), replied(ae207()));
    while d.state == State::BackingOff {
        d = again(&d, &policy(), replied(ae207()));
    }
    assert_eq!((reason(&d), d.attempts), (Some(ParkReason::RetriesExhausted), 4));
    assert!(!d.may_have_been_received());
}

#[test]
fn a_not_now_that_may_hide_a_yes_counts_as_possibly_received() {
    let untold = || replied(Verdict { untold: true, ..ae207() });
    let mut d = attempt(&policy(), untold());
    assert!(d.state == State::BackingOff && d.may_have_been_received());
    while d.state == State::BackingOff {
        d = again(&d, &policy(), untold());
    }
    assert_eq!((reason(&d), d.attempts, d.unresolved), (Some(ParkReason::RetriesExhausted), 4, 4));
    let parks = EndpointPolicy { after_unknown: AfterUnknown::Park, ..policy() };
    assert_eq!(reason(&attempt(&parks, untold())), Some(ParkReason::OutcomeUnknown), "it may not go twice");
}

#[test]
fn a_refusal_parks_and_a_person_may_cancel_it_without_looking() {
    let d = attempt(&policy(), replied(ae()));
    assert_eq!((reason(&d), d.waiting_for()), (Some(ParkReason::Refused), WaitingFor::Integrator));
    assert_eq!(after(&d, &policy(), &[cancelled_by(false)]).state, State::Cancelled);
}

#[test]
fn a_refusal_of_a_resend_leaves_the_earlier_attempt_unknown() {
    let d = again(&attempt(&policy(), no_answer()), &policy(), replied(ae()));
    assert_eq!((reason(&d), d.unresolved), (Some(ParkReason::Refused), 1));
    assert!(d.may_have_been_received());
    // Nor does the same refusal, heard twice, settle it.
    assert_eq!(after(&d, &policy(), &[late(ae(), &policy())]), d);
}

#[test]
fn a_duplicate_after_an_unknown_may_already_be_filed() {
    let d = again(&attempt(&policy(), no_answer()), &policy(), replied(ae205()));
    assert_eq!(reason(&d), Some(ParkReason::MayAlreadyBeFiled));
    // And no later refusal makes it "definitely not there".
    let d = after(&d, &policy(), &[late(ae(), &policy())]);
    assert_eq!((reason(&d), d.may_have_been_received()), (Some(ParkReason::MayAlreadyBeFiled), true));
}

#[test]
fn an_unknown_that_is_to_be_asked_for_is_not_sent_again_meanwhile() {
    let query = Verdict { duplicate: true, ..verdict(Meaning::Unknown, Level::Application) };
    let resends = EndpointPolicy { after_unknown: AfterUnknown::Resend, max_unknown_resends: 9, ..policy() };
    let d = attempt(&resends, replied(query));
    assert_eq!((reason(&d), d.may_have_been_received()), (Some(ParkReason::MayAlreadyBeFiled), true));
}

#[test]
fn an_attempt_begins_once_and_what_is_held_left_no_byte() {
    let d = after(&fresh(), &policy(), &[Happened::Claimed, begun()]);
    assert!(decide(&d, &policy(), &begun(), at(1), 0).is_err());
    let held = Happened::Held { reason: ParkReason::TextTooLong, detail: String::new() };
    // The message cannot be framed: it was no attempt.
    let unframed = after(&d, &policy(), std::slice::from_ref(&held));
    assert_eq!((unframed.attempts, unframed.may_have_been_received()), (0, false));
    let d = after(&fresh(), &policy(), &[Happened::Claimed, held]);
    assert_eq!((reason(&d), d.waiting_for()), (Some(ParkReason::TextTooLong), WaitingFor::Author));
    assert!(decide(&after(&fresh(), &policy(), &[Happened::Claimed]), &policy(), &no_answer(), at(1), 0).is_err());
}

#[test]
fn cancelling_or_rerendering_what_may_be_in_the_record_needs_an_acknowledgement() {
    let p = EndpointPolicy { after_unknown: AfterUnknown::Park, ..policy() };
    let d = attempt(&p, no_answer());
    for happened in [cancelled_by(false), rerendered(false)] {
        assert_eq!(decide(&d, &p, &happened, at(1), 0), Err(CannotHappen::MayBeInRecord));
    }
    assert_eq!(after(&d, &p, &[cancelled_by(true)]).cancelled.map(|c| c.by), Some("an integrator".into()));
    let d = after(&d, &p, &[rerendered(true)]);
    assert_eq!((d.state, d.rendering), (State::Queued, None));
    assert!(d.may_have_been_received(), "the old rendering may still be there");
}

#[test]
fn a_person_retries_the_same_bytes_with_fresh_limits() {
    let p = EndpointPolicy { after_unknown: AfterUnknown::Park, ..policy() };
    let d = after(&attempt(&p, no_answer()), &p, &[retried()]);
    assert_eq!((d.state, d.unresolved, d.refused_retries, d.unknown_resends), (State::Queued, 1, 0, 0));
    assert!(d.rendering.is_some());
}

#[test]
fn a_retry_of_what_may_be_in_the_record_needs_an_acknowledgement_unless_repeats_do_no_harm() {
    let unacknowledged = Happened::Retried { may_be_in_record_acknowledged: false };
    let p = EndpointPolicy { after_unknown: AfterUnknown::Park, ..policy() };
    let d = attempt(&p, no_answer());
    assert_eq!(decide(&d, &p, &unacknowledged, at(1), 0), Err(CannotHappen::MayBeInRecord));
    assert_eq!(after(&d, &p, &[retried()]).state, State::Queued);
    // The far end said no: a second copy is not possible.
    let refused = attempt(&p, replied(ae()));
    assert_eq!(after(&refused, &p, std::slice::from_ref(&unacknowledged)).state, State::Queued);
    let p = EndpointPolicy { after_unknown: AfterUnknown::Resend, max_unknown_resends: 0, ..policy() };
    assert_eq!(after(&attempt(&p, no_answer()), &p, &[unacknowledged]).state, State::Queued);
}

#[test]
fn an_answer_to_a_message_made_for_other_details_files_nothing_and_is_raised() {
    let p = EndpointPolicy { after_unknown: AfterUnknown::Park, ..policy() };
    let earlier = Happened::EarlierConfirmed { verdict: aa() };
    let anew = after(&attempt(&p, no_answer()), &p, &[rerendered(true)]);
    for d in [anew.clone(), attempt(&p, no_answer()), attempt(&p, replied(aa()))] {
        let raised = after(&d, &p, std::slice::from_ref(&earlier));
        assert_eq!(reason(&raised), Some(ParkReason::MayAlreadyBeFiled), "{:?}", d.state);
        assert!(raised.may_have_been_received());
        assert_eq!(after(&raised, &p, std::slice::from_ref(&earlier)), raised, "said once");
    }
    let sending = after(&anew, &p, &[Happened::Claimed, begun(), earlier.clone()]);
    assert_eq!(sending.state, State::Sending, "the answer to the bytes on their way decides");
    let cancelled = after(&fresh(), &p, &[cancelled_by(true), earlier]);
    assert!(cancelled.state == State::Cancelled && cancelled.may_have_been_received());
}

#[test]
fn a_retry_that_a_late_acceptance_overtakes_is_not_sent() {
    let p = EndpointPolicy { after_unknown: AfterUnknown::Park, ..policy() };
    let d = after(&attempt(&p, no_answer()), &p, &[retried(), late(ca(), &p)]);
    assert_eq!(d.state, State::Accepted);
}

#[test]
fn what_a_person_stopped_stays_stopped_whatever_the_transport_says() {
    let p = enhanced();
    let stop = Happened::Stopped { why: "wait".into() };
    let d = after(&attempt(&p, no_answer()), &p, &[stop.clone(), late(ca(), &p), late(ae207(), &p)]);
    assert_eq!(reason(&d), Some(ParkReason::ByPerson));
    // A definite refusal of what was accepted is worth knowing all the same.
    let d = after(&attempt(&p, replied(ca())), &p, &[stop, late(ae(), &p)]);
    assert_eq!((reason(&d), d.may_have_been_received()), (Some(ParkReason::Refused), false));
}

#[test]
fn the_records_own_id_is_kept_from_whichever_evidence_brings_it_first() {
    let d = attempt(&policy(), replied(aa()));
    let named = Verdict { record_id: Some("DOC9".into()), ..aa() };
    let read = Happened::Late { verdict: named, evidence: Some(EvidenceKind::ReadBack), reply: reply() };
    let d = after(&d, &policy(), &[read]);
    assert_eq!((d.state, d.record_id.as_deref(), d.evidence.len()), (State::Filed, Some("DOC9"), 2));
}

#[test]
fn evidence_repeated_for_ever_adds_nothing() {
    let p = enhanced();
    for d in [attempt(&p, replied(ca())), attempt(&p, replied(aa()))] {
        let same = late(if d.state == State::Filed { aa() } else { ca() }, &p);
        assert_eq!(after(&d, &p, &[same.clone(), same.clone(), same]), d);
    }
}

#[test]
fn only_a_withdrawal_that_waits_for_a_name_is_released_by_one() {
    let parked = attempt(&policy(), replied(ae()));
    assert!(decide(&parked, &policy(), &Happened::Nameable, at(1), 0).is_err());
    let mut unnamed = delivery(2, EntryAction::Withdraw);
    unnamed.state = State::Parked;
    unnamed.park = Some(Park::new(ParkReason::WithdrawalCannotNameDocument, ""));
    assert_eq!(after(&unnamed, &policy(), &[Happened::Nameable]).state, State::Queued);
}

#[test]
fn a_not_now_after_a_yes_to_the_only_attempt_is_a_contradiction() {
    let p = policy();
    let d = after(&attempt(&p, replied(aa())), &p, &[late(ae207(), &p)]);
    assert_eq!((reason(&d), d.may_have_been_received()), (Some(ParkReason::FilingContradicted), true));
    // Of two attempts it may be what was said of the first, once more.
    let again = [Happened::Claimed, begun(), replied(aa()), late(ae207(), &p)];
    assert_eq!(after(&attempt(&p, replied(ae207())), &p, &again).state, State::Filed);
}

#[test]
fn what_waits_for_its_name_again_asks_first_where_the_record_can_be_asked() {
    for (after_unknown, asks) in [(AfterUnknown::Resend, false), (AfterUnknown::Query, true)] {
        let p = EndpointPolicy { after_unknown, ..policy() };
        let mut d = attempt(&p, no_answer());
        d.state = State::Parked;
        d.asking = None;
        d.park = Some(Park::new(ParkReason::PredecessorUnresolved, ""));
        let released = after(&d, &p, &[Happened::Nameable]);
        assert_eq!((released.state, released.asking.is_some()), (State::Queued, asks));
        // What cannot have been seen waits for a person, as ever.
        let unseen = Delivery { unresolved: 0, ..d };
        assert!(decide(&unseen, &p, &Happened::Nameable, at(1), 0).is_err());
    }
}

/// In either order the same two facts exclude each other.
#[test]
fn a_positive_answer_after_a_refusal_contradicts_it_whatever_files() {
    for filed_by in [FiledBy::VendorReport, FiledBy::Reconciled, FiledBy::ReadBack] {
        for acknowledged_by in [AcknowledgedBy::Record, AcknowledgedBy::Engine] {
            let p = EndpointPolicy { filed_by, acknowledged_by, ..policy() };
            let d = after(&attempt(&p, replied(ae())), &p, &[late(aa(), &p)]);
            assert_eq!((reason(&d), d.may_have_been_received()), (Some(ParkReason::FilingContradicted), true));
            assert_eq!(d.evidence.len(), 1);
            // A receipt of the transport says nothing against the application's refusal.
            let refused = attempt(&p, replied(ae()));
            assert_eq!(after(&refused, &p, &[late(ca(), &p)]), refused);
        }
    }
}

#[test]
fn what_was_taken_after_all_does_not_go_again_whatever_files() {
    for filed_by in [FiledBy::VendorReport, FiledBy::Reconciled] {
        let p = EndpointPolicy { filed_by, after_unknown: AfterUnknown::Park, ..policy() };
        let not_now = attempt(&p, replied(ae207()));
        assert_eq!(not_now.state, State::BackingOff);
        let d = after(&not_now, &p, &[late(aa(), &p)]);
        assert_eq!((d.state, d.evidence.len(), d.next_attempt_at), (State::Accepted, 1, None));
        // An engine that says both says neither.
        let p = EndpointPolicy { acknowledged_by: AcknowledgedBy::Engine, ..p };
        let d = after(&attempt(&p, replied(ae207())), &p, &[late(aa(), &p)]);
        assert_eq!((reason(&d), d.may_have_been_received()), (Some(ParkReason::OutcomeUnknown), true));
    }
}

#[test]
fn what_the_record_shows_with_somebody_else_waits_for_a_person_and_never_goes_again_by_itself() {
    let misfiled = verdict(Meaning::Misfiled, Level::Application);
    for after_unknown in [AfterUnknown::Resend, AfterUnknown::Query, AfterUnknown::Park] {
        let p = EndpointPolicy { after_unknown, max_unknown_resends: 9, ..policy() };
        let d = attempt(&p, replied(misfiled.clone()));
        assert_eq!((reason(&d), d.may_have_been_received()), (Some(ParkReason::Misfiled), true));
        // Asked about an unknown outcome, or heard late.
        let unknown = attempt(&EndpointPolicy { after_unknown: AfterUnknown::Query, ..p.clone() }, no_answer());
        let answer = Answer::Misfiled { record_id: "17".into() };
        let found = after(&unknown, &p, &[Happened::Asked { answer, reply: Some(reply()) }]);
        assert_eq!((reason(&found), found.record_id.as_deref()), (Some(ParkReason::Misfiled), None));
        let filed = after(&fresh(), &p, &[Happened::Claimed, begun(), replied(aa())]);
        assert_eq!(reason(&after(&filed, &p, &[late(misfiled.clone(), &p)])), Some(ParkReason::FilingContradicted));
    }
}

#[test]
fn a_message_that_alone_comes_to_nothing_waits_for_a_person_in_the_end() {
    let turn =
        |others_pass| [Happened::Claimed, Happened::NotNow { why: "lookup patient: answered 500".into(), others_pass }];
    let p = policy();
    let mut d = fresh();
    for _ in 0..100 {
        d = after(&d, &p, &turn(false));
        assert_eq!((d.state, d.attempts), (State::Queued, 0), "an outage of everybody parks nothing");
    }
    for n in 1..=NOT_NOW_MAX {
        d = after(&d, &p, &turn(true));
        assert_eq!(d.state == State::Parked, n == NOT_NOW_MAX);
    }
    assert_eq!(reason(&d), Some(ParkReason::LookupUnclear));
    assert_eq!(after(&d, &p, &[retried()]).not_now, 0, "a person has looked");
}
