//! What comes after the attempt that it speaks of.

use super::*;

#[test]
fn a_late_duplicate_is_never_taken_for_a_refusal() {
    let p = enhanced();
    let unknown = attempt(&p, no_answer());
    let parked = attempt(&EndpointPolicy { after_unknown: AfterUnknown::Park, ..p.clone() }, no_answer());
    let accepted = attempt(&p, replied(ca()));
    for d in [unknown, parked, accepted] {
        let d = after(&d, &p, &[late(ae205(), &p)]);
        assert_eq!(reason(&d), Some(ParkReason::MayAlreadyBeFiled));
        assert!(d.may_have_been_received());
    }
}

#[test]
fn late_positive_evidence_files_what_was_accepted_backing_off_parked_or_cancelled() {
    let p = enhanced();
    let cancelled = after(&attempt(&p, no_answer()), &p, &[cancelled_by(true)]);
    for d in [attempt(&p, replied(ca())), attempt(&p, no_answer()), attempt(&p, replied(ae())), cancelled] {
        let filed = after(&d, &p, &[late(aa(), &p)]);
        assert_eq!((filed.state, filed.park), (State::Filed, None));
        assert_eq!(filed.cancelled, d.cancelled, "who cancelled is kept");
    }
}

/// Parked, it could be sent again, and its author may have withdrawn it.
#[test]
fn what_was_given_up_as_never_received_stays_so_and_counts_as_received_once_the_record_says_that_it_has_it() {
    let (p, misfiled) = (policy(), verdict(Meaning::Misfiled, Level::Application));
    let superseded = Happened::Superseded { why: "replaced before it was sent" };
    for gives_up in [superseded, cancelled_by(false)] {
        let given_up = after(&attempt(&p, replied(ae())), &p, &[gives_up]);
        assert_eq!((given_up.state, given_up.may_have_been_received()), (State::Cancelled, false));
        for says in [ae205(), misfiled.clone()] {
            let d = after(&given_up, &p, &[late(says, &p)]);
            assert_eq!((d.state, d.may_have_been_received()), (State::Cancelled, true));
        }
    }
}

#[test]
fn late_weak_evidence_leaves_a_cancelled_delivery_cancelled_and_says_so() {
    let d = after(&attempt(&policy(), no_answer()), &policy(), &[cancelled_by(true), late(ca(), &policy())]);
    assert_eq!((d.state, d.evidence.len()), (State::Cancelled, 1));
}

/// The record, asked or sent it again, shows what was sent, and not the document that it was about.
#[test]
fn what_made_a_new_document_where_it_was_to_change_one_goes_again_only_when_somebody_has_looked() {
    let made = made_anew();
    for after_unknown in [AfterUnknown::Park, AfterUnknown::Resend, AfterUnknown::Query] {
        let p = EndpointPolicy { after_unknown, ..policy() };
        for d in [attempt(&p, replied(made.clone())), after(&attempt(&p, no_answer()), &p, &[late(made.clone(), &p)])] {
            assert_eq!((reason(&d), d.may_have_been_received()), (Some(ParkReason::FilingContradicted), true));
            // A list names it, and a report: what they name is what was made.
            for kind in [EvidenceKind::VendorReport, EvidenceKind::Reconciled] {
                assert_eq!(after(&d, &p, &[proof(kind)]), d, "{kind:?}");
            }
            let unseen = decide(&d, &p, &Happened::Retried { may_be_in_record_acknowledged: false }, at(9_000), 0);
            assert_eq!(unseen.map(|d| d.step), Err(CannotHappen::MayBeInRecord));
            let seen = after(&d, &p, &[retried(), proof(EvidenceKind::VendorReport)]);
            assert_eq!(seen.state, State::Filed, "once somebody has looked it is as any other");
        }
    }
}

#[test]
fn late_negative_evidence_after_filed_contradicts() {
    let d = after(&attempt(&policy(), replied(aa())), &policy(), &[late(ae(), &policy())]);
    assert_eq!(reason(&d), Some(ParkReason::FilingContradicted));
    assert!(d.may_have_been_received());
    // A repeat of either answer decides nothing; stronger evidence does.
    assert_eq!(after(&d, &policy(), &[late(aa(), &policy()), late(ae(), &policy())]), d);
    assert_eq!(after(&d, &policy(), &[proof(EvidenceKind::Reconciled)]).state, State::Filed);
}

#[test]
fn what_was_filed_on_the_transports_word_is_contradicted_by_any_no_of_the_application() {
    let p = EndpointPolicy { filed_by: FiledBy::TransportAck, ..enhanced() };
    for no in [ae(), ae207()] {
        let d = after(&attempt(&p, replied(ca())), &p, &[late(no, &p)]);
        assert_eq!(reason(&d), Some(ParkReason::FilingContradicted));
    }
}

/// The first attempt was never answered: the "not now" may be its own.
#[test]
fn a_late_not_now_contradicts_nothing_while_another_attempt_is_open() {
    let p = EndpointPolicy { filed_by: FiledBy::VendorReport, ..policy() };
    let silent = attempt(&p, Happened::NoAnswer { why: "timeout".into() });
    let taken = again(&silent, &p, replied(aa()));
    assert_eq!((taken.state, taken.unresolved), (State::Accepted, 1));
    assert_eq!(after(&taken, &p, &[late(ae207(), &p)]).state, State::Accepted);
    let only = attempt(&p, replied(aa()));
    assert_eq!(reason(&after(&only, &p, &[late(ae207(), &p)])), Some(ParkReason::FilingContradicted));
}

#[test]
fn enhanced_mode_files_at_the_late_aa_and_parks_at_the_late_ae() {
    let p = enhanced();
    let accepted = attempt(&p, replied(ca()));
    assert_eq!(accepted.state, State::Accepted);
    assert_eq!(after(&accepted, &p, &[late(aa(), &p)]).state, State::Filed);
    let refused = after(&accepted, &p, &[late(ae(), &p)]);
    assert_eq!((reason(&refused), refused.may_have_been_received()), (Some(ParkReason::Refused), false));
    let again = after(&accepted, &p, &[late(ae207(), &p)]);
    assert_eq!((again.state, again.may_have_been_received()), (State::BackingOff, false));
}

#[test]
fn an_application_answer_that_overtakes_its_commit_acknowledgement_holds() {
    let p = enhanced();
    let sending = after(&fresh(), &p, &[Happened::Claimed, begun()]);
    let filed = after(&sending, &p, &[late(aa(), &p), replied(ca())]);
    assert_eq!(filed.state, State::Filed);
    let refused = after(&sending, &p, &[late(ae(), &p), replied(ca())]);
    assert_eq!((reason(&refused), refused.may_have_been_received()), (Some(ParkReason::Refused), false));
    let later = after(&sending, &p, &[late(ae207(), &p), replied(ca())]);
    assert_eq!((later.state, later.refused_retries), (State::BackingOff, 1));
}

#[test]
fn a_commit_acknowledgement_of_a_resend_says_nothing_of_the_first_attempt() {
    let p = enhanced();
    let d = again(&attempt(&p, no_answer()), &p, replied(ca()));
    let d = after(&d, &p, &[late(ae(), &p)]);
    assert_eq!((reason(&d), d.unresolved), (Some(ParkReason::Refused), 1));
    assert!(d.may_have_been_received(), "two attempts, one refusal");
}

#[test]
fn a_repeated_not_now_never_makes_a_second_copy_where_repeats_are_not_recognised() {
    let p = EndpointPolicy { after_unknown: AfterUnknown::Park, ..enhanced() };
    let d = after(&attempt(&p, replied(ca())), &p, &[late(ae207(), &p)]);
    let d = again(&d, &p, replied(ca()));
    // The same 207 once more, while the answer to the resend is on its way.
    let d = after(&d, &p, &[late(ae207(), &p)]);
    assert_eq!((reason(&d), d.may_have_been_received()), (Some(ParkReason::OutcomeUnknown), true));
}

#[test]
fn a_proof_is_not_erased_by_a_refusal() {
    let p = EndpointPolicy { filed_by: FiledBy::Reconciled, ..enhanced() };
    let d = after(&attempt(&p, replied(ca())), &p, &[proof(EvidenceKind::ReadBack), late(ae(), &p)]);
    assert_eq!((reason(&d), d.evidence.len()), (Some(ParkReason::FilingContradicted), 2));
}

#[test]
fn a_stale_reply_never_answers_the_attempt_in_hand() {
    // The lane was claimed anew and nothing has begun: a reply now is the old worker's.
    let d = after(&attempt(&policy(), Happened::LeaseExpired), &policy(), &[Happened::Claimed]);
    assert_eq!(after(&d, &policy(), &[replied(ae())]).state, State::Sending);
    assert_eq!(after(&d, &policy(), &[replied(aa())]).state, State::Filed);
}
