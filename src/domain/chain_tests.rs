//! Invariant 7 case by case: what a replacement or a withdrawal does, for each thing that can have become of the version before it.

use super::*;
use crate::domain::decide::Happened;
use crate::domain::decide::tests::*;
use crate::domain::policy::{AfterUnknown, EndpointPolicy, Names};

#[path = "chain_lane_tests.rs"]
mod lane;

use EntryAction::{Create, Replace, Withdraw};

fn parking() -> EndpointPolicy {
    EndpointPolicy { after_unknown: AfterUnknown::Park, ..policy() }
}

fn sent(d: Delivery, outcome: Happened) -> Delivery {
    after(&d, &policy(), &[Happened::Claimed, begun(), outcome])
}

fn first() -> Delivery {
    delivery(1, Create)
}

fn filed(d: Delivery) -> Delivery {
    sent(d, replied(aa()))
}

fn unknown(d: Delivery) -> Delivery {
    sent(d, no_answer())
}

fn parked_unknown(d: Delivery) -> Delivery {
    after(&d, &parking(), &[Happened::Claimed, begun(), no_answer()])
}

fn ids(in_place: bool) -> Names {
    if in_place { Names::FirstId } else { Names::OwnId }
}

/// Who is cancelled, whom it follows, and whether it waits for a name; `None`: nothing is sent.
fn planned(chain: &[Delivery], action: EntryAction, in_place: bool) -> (Vec<u128>, Option<(Option<u128>, bool)>) {
    let plan = plan(chain, action, ids(in_place));
    let number = |id: DeliveryId| id.0.as_u128();
    (plan.cancel.into_iter().map(number).collect(), plan.send.map(|s| (s.predecessor.map(number), s.cannot_name)))
}

#[test]
fn what_cannot_have_been_received_is_cancelled_and_the_replacement_goes_as_a_create() {
    let not_sent = sent(first(), Happened::NotSent);
    let refused = sent(first(), replied(ae()));
    let retrying = sent(first(), replied(ae207()));
    let stopped = after(&first(), &policy(), &[Happened::Stopped { why: "wait".into() }]);
    for v1 in [first(), not_sent, refused, retrying, stopped] {
        assert_eq!(
            planned(std::slice::from_ref(&v1), Replace, false),
            (vec![1], Some((None, false))),
            "{:?}",
            v1.state
        );
        let cancelled = after(&v1, &policy(), &[Happened::Superseded { why: "replaced" }]);
        assert_eq!(speaks_of(&[cancelled], Replace), None, "a create");
    }
}

#[test]
fn what_cannot_have_been_received_is_cancelled_and_its_withdrawal_sends_nothing() {
    let refused = sent(first(), replied(ae()));
    let retrying = sent(first(), replied(ae207()));
    for v1 in [first(), refused, retrying] {
        for in_place in [false, true] {
            assert_eq!(planned(std::slice::from_ref(&v1), Withdraw, in_place), (vec![1], None), "{:?}", v1.state);
        }
    }
}

#[test]
fn what_was_filed_is_followed() {
    let v1 = filed(first());
    for action in [Replace, Withdraw] {
        assert_eq!(planned(std::slice::from_ref(&v1), action, false), (vec![], Some((Some(1), false))));
        assert!(!blocked(action, Some(&v1)));
        assert_eq!(speaks_of(std::slice::from_ref(&v1), action).map(|d| d.id), Some(v1.id));
    }
}

#[test]
fn a_replacement_waits_for_the_answer_when_the_version_before_may_have_been_received() {
    let sending = after(&first(), &policy(), &[Happened::Claimed, begun()]);
    let accepted = sent(first(), replied(ca()));
    for v1 in [sending, unknown(first()), parked_unknown(first()), accepted] {
        assert_eq!(planned(std::slice::from_ref(&v1), Replace, false), (vec![], Some((Some(1), false))));
        assert!(blocked(Replace, Some(&v1)), "{:?}", v1.state);
    }
}

#[test]
fn a_withdrawal_of_what_may_have_been_received_goes_on_its_own_and_stops_the_resends() {
    for v1 in [unknown(first()), parked_unknown(first())] {
        assert_eq!(planned(std::slice::from_ref(&v1), Withdraw, false), (vec![1], Some((Some(1), false))));
        let cancelled = after(&v1, &policy(), &[Happened::Superseded { why: "withdrawn" }]);
        assert!(!blocked(Withdraw, Some(&cancelled)));
        assert_eq!(speaks_of(std::slice::from_ref(&cancelled), Withdraw).map(|d| d.id), Some(v1.id));
    }
    let accepted = sent(first(), replied(ca()));
    assert_eq!(planned(std::slice::from_ref(&accepted), Withdraw, false), (vec![], Some((Some(1), false))));
    assert!(!blocked(Withdraw, Some(&accepted)));
}

#[test]
fn a_withdrawal_waits_only_for_bytes_that_are_leaving_this_moment() {
    let claimed = after(&first(), &policy(), &[Happened::Claimed]);
    let begun = after(&claimed, &policy(), &[begun()]);
    for v1 in [claimed, begun] {
        assert_eq!(planned(std::slice::from_ref(&v1), Withdraw, false), (vec![], Some((Some(1), false))));
        assert!(blocked(Withdraw, Some(&v1)));
    }
}

#[test]
fn a_withdrawal_of_what_a_person_gave_up_although_it_may_be_there_still_speaks_of_it() {
    let v1 = after(&unknown(first()), &policy(), &[cancelled_by(true)]);
    assert_eq!(planned(std::slice::from_ref(&v1), Withdraw, false), (vec![], Some((Some(1), false))));
    // A replacement need not wait for what a person has settled.
    assert_eq!(planned(&[v1], Replace, false), (vec![], Some((None, false))));
    let v1 = after(&first(), &policy(), &[cancelled_by(false)]);
    assert_eq!(planned(&[v1], Withdraw, false), (vec![], None));
}

#[test]
fn a_replacement_of_a_waiting_replacement_takes_its_place_behind_the_same_version() {
    for v1 in [filed(first()), unknown(first()), sent(first(), replied(ca()))] {
        let chain = [v1, delivery(2, Replace)];
        assert_eq!(planned(&chain, Replace, false), (vec![2], Some((Some(1), false))));
        assert_eq!(planned(&chain[..1], Replace, false), (vec![], Some((Some(1), false))));
    }
}

#[test]
fn a_withdrawal_takes_the_unsent_replacement_with_it_and_names_the_version_that_is_there() {
    let chain = [filed(first()), delivery(2, Replace)];
    for in_place in [false, true] {
        assert_eq!(planned(&chain, Withdraw, in_place), (vec![2], Some((Some(1), false))));
    }
    assert_eq!(speaks_of(&chain, Withdraw).map(|d| d.subject_version), Some(1));
}

#[test]
fn a_withdrawal_that_cannot_name_its_document_raises_an_alarm_at_once() {
    let claimed = after(&delivery(2, Replace), &policy(), &[Happened::Claimed]);
    let begun = after(&claimed, &policy(), &[begun()]);
    let open = [unknown(delivery(2, Replace)), parked_unknown(delivery(2, Replace))];
    for v2 in open {
        let chain = [filed(first()), v2];
        assert_eq!(planned(&chain, Withdraw, false), (vec![2], Some((Some(2), true))));
        // Where replacements keep the document there is but one to name.
        assert_eq!(planned(&chain, Withdraw, true), (vec![2], Some((Some(2), false))));
    }
    for v2 in [sent(delivery(2, Replace), replied(ca())), begun, claimed] {
        let chain = [filed(first()), v2];
        assert_eq!(planned(&chain, Withdraw, false), (vec![], Some((Some(2), true))), "{:?}", chain[1].state);
        assert_eq!(planned(&chain, Withdraw, true), (vec![], Some((Some(2), false))));
    }
}

#[test]
fn two_documents_under_two_ids_cannot_be_named_even_where_replacements_keep_theirs() {
    // Given up by a person, so the second went as a create under its own id.
    let v1 = after(&unknown(first()), &policy(), &[cancelled_by(true)]);
    let chain = [v1, unknown(delivery(2, Replace))];
    for in_place in [false, true] {
        assert!(!can_name(&chain, ids(in_place)));
        assert!(can_name(&chain[..1], ids(in_place)));
    }
}

fn unnamed() -> Delivery {
    let mut w = delivery(3, Withdraw);
    w.state = State::Parked;
    w.park = Some(super::super::delivery::Park::new(ParkReason::WithdrawalCannotNameDocument, ""));
    w
}

#[test]
fn the_withdrawal_goes_as_soon_as_the_answer_names_its_document() {
    let base = [filed(first())];
    let v2 = unknown(delivery(2, Replace));
    // The resends end: nothing more is sent of what is withdrawn. The doubt and the alarm stay.
    assert_eq!(after_settling(&v2, &unnamed(), &base, Names::OwnId), AfterSettling::GivesWay);
    let v2 = after(&v2, &policy(), &[Happened::Superseded { why: "withdrawn" }]);
    assert_eq!(after_settling(&v2, &unnamed(), &base, Names::OwnId), AfterSettling::Nothing);
    // Filed after all: it is the one. Refused: the first is.
    let late_yes = after(&v2, &policy(), &[late(aa(), &policy())]);
    assert_eq!(after_settling(&late_yes, &unnamed(), &base, Names::OwnId), AfterSettling::SuccessorNameable);
    let late_no = after(&v2, &policy(), &[late(ae(), &policy())]);
    assert_eq!(after_settling(&late_no, &unnamed(), &base, Names::OwnId), AfterSettling::SuccessorNameable);
    assert_eq!(speaks_of(&[base[0].clone(), late_no], Withdraw).map(|d| d.subject_version), Some(1));
}

#[test]
fn a_refused_replacement_gives_way_and_then_its_withdrawal_names_the_first() {
    let base = [filed(first())];
    let v2 = sent(delivery(2, Replace), replied(ae()));
    assert_eq!(after_settling(&v2, &unnamed(), &base, Names::OwnId), AfterSettling::GivesWay);
    let v2 = after(&v2, &policy(), &[Happened::Superseded { why: "withdrawn" }]);
    assert_eq!(after_settling(&v2, &unnamed(), &base, Names::OwnId), AfterSettling::SuccessorNameable);
}

#[test]
fn a_version_that_turns_out_not_received_gives_way_to_the_waiting_replacement() {
    for v1 in [sent(first(), replied(ae())), sent(first(), replied(ae207())), sent(first(), Happened::NotSent)] {
        let v2 = delivery(2, Replace);
        assert_eq!(after_settling(&v1, &v2, &[], Names::OwnId), AfterSettling::GivesWay, "{:?}", v1.state);
        // Also when the newer one is itself held for a person.
        let held = after(&v2, &policy(), &[Happened::Stopped { why: "wait".into() }]);
        assert_eq!(after_settling(&v1, &held, &[], Names::OwnId), AfterSettling::GivesWay);
        // Not when it was given up.
        let gone = after(&v2, &policy(), &[cancelled_by(false)]);
        assert_eq!(after_settling(&v1, &gone, &[], Names::OwnId), AfterSettling::Nothing);
    }
    let doubt = unknown(first());
    assert_eq!(
        after_settling(&doubt, &delivery(2, Replace), &[], Names::OwnId),
        AfterSettling::Nothing,
        "it waits for the answer"
    );
}

#[test]
fn a_withdrawal_of_what_never_arrived_ends_with_it() {
    for v1 in [sent(first(), replied(ae())), sent(first(), Happened::NotSent)] {
        assert_eq!(after_settling(&v1, &delivery(2, Withdraw), &[], Names::OwnId), AfterSettling::BothEnd);
    }
    // Given up while unknown, and then refused: nothing to take back either.
    let v1 = after(&unknown(first()), &policy(), &[Happened::Superseded { why: "withdrawn" }]);
    assert_eq!(after_settling(&v1, &delivery(2, Withdraw), &[], Names::OwnId), AfterSettling::Nothing);
    let v1 = after(&v1, &policy(), &[late(ae(), &policy())]);
    assert_eq!(after_settling(&v1, &delivery(2, Withdraw), &[], Names::OwnId), AfterSettling::BothEnd);
}

#[test]
fn a_withdrawal_goes_on_when_an_earlier_version_only_may_be_there() {
    let maybe = after(&unknown(first()), &policy(), &[cancelled_by(true)]);
    let v2 = sent(delivery(2, Replace), replied(ae()));
    assert_eq!(after_settling(&v2, &delivery(3, Withdraw), &[maybe], Names::OwnId), AfterSettling::GivesWay);
}

#[test]
fn nothing_more_is_sent_of_what_is_withdrawn_wherever_its_withdrawal_stands() {
    let waiting = delivery(2, Withdraw);
    for w in [waiting.clone(), filed(waiting.clone()), unknown(waiting.clone()), sent(waiting, replied(ca()))] {
        // E.g. accepted, and then "not now" from the application; parked after a resend.
        for v1 in [unknown(first()), parked_unknown(first())] {
            assert_eq!(
                after_settling(&v1, &w, &[], Names::OwnId),
                AfterSettling::GivesWay,
                "{:?} {:?}",
                v1.state,
                w.state
            );
        }
        let retried = after(&parked_unknown(first()), &policy(), &[retried()]);
        assert_eq!(after_settling(&retried, &w, &[], Names::OwnId), AfterSettling::GivesWay);
        assert!(overtaken(&[w]));
    }
}

#[test]
fn a_contradicted_version_stays_in_sight_but_never_follows_a_newer_one() {
    let v1 = after(&filed(first()), &policy(), &[late(ae(), &policy())]);
    for newer in [filed(delivery(2, Replace)), filed(delivery(2, Withdraw))] {
        assert_eq!(after_settling(&v1, &newer, &[], Names::OwnId), AfterSettling::Nothing);
        let retried = after(&v1, &policy(), &[retried()]);
        assert_eq!(after_settling(&retried, &newer, &[], Names::OwnId), AfterSettling::GivesWay);
        assert!(overtaken(&[newer]));
    }
    assert!(!overtaken(&[delivery(2, Replace)]), "a replacement that waits overtakes nothing");
}

#[test]
fn edits_go_under_the_document_the_chain_was_first_filed_as() {
    let refused = after(&sent(first(), replied(ae())), &policy(), &[Happened::Superseded { why: "replaced" }]);
    let chain = [refused, filed(delivery(2, Create)), filed(delivery(3, Replace))];
    assert_eq!(first_document(&chain).map(|d| d.subject_version), Some(2));
    let maybe = after(&unknown(first()), &policy(), &[cancelled_by(true)]);
    assert_eq!(first_document(std::slice::from_ref(&maybe)).map(|d| d.subject_version), Some(1));
    let chain = [maybe, filed(delivery(2, Replace))];
    assert_eq!(first_document(&chain).map(|d| d.subject_version), Some(2), "that one went as a create of its own");
    assert_eq!(first_document(&[first()]), None);
}

#[test]
fn a_withdrawal_after_an_edit_names_the_document_that_was_edited() {
    let chain = [filed(first()), filed(delivery(2, Replace))];
    let number = |in_place| document_of(&chain, Withdraw, in_place).map(|d| d.subject_version);
    assert_eq!((number(true), number(false)), (Some(1), Some(2)));
    assert_eq!(document_of(&[sent(first(), replied(ae()))], Replace, true).map(|d| d.id), None, "a create");
}

#[test]
fn a_withdrawal_is_never_what_another_speaks_of() {
    let chain = [filed(first()), filed(delivery(2, Withdraw))];
    for action in [Replace, Withdraw] {
        assert_eq!(speaks_of(&chain, action).map(|d| d.subject_version), Some(1));
    }
    assert_eq!(speaks_of(&chain, Create), None);
}

#[test]
fn where_only_the_record_can_name_a_document_its_withdrawal_waits_for_that_name_and_says_so_at_once() {
    let planned = |chain: &[Delivery]| plan(chain, Withdraw, Names::RecordId).send.map(|s| s.cannot_name);
    let named = |mut d: Delivery| {
        d.record_id = Some("DOC-17".into());
        d
    };
    // Whether the answer never came, came without an id, or with one.
    assert_eq!(planned(&[unknown(first())]), Some(true));
    assert_eq!(planned(&[filed(first())]), Some(true));
    assert_eq!(planned(&[named(filed(first()))]), Some(false));
    assert_eq!(planned(&[first()]), None, "of nothing that left there is nothing to take back");
    // A replacement whose answer never came may be the document that stands there now.
    assert_eq!(planned(&[named(filed(first())), unknown(delivery(2, Replace))]), Some(true));
    let settled = |d: &Delivery| after_settling(d, &unnamed(), &[], Names::RecordId);
    assert_eq!(settled(&filed(first())), AfterSettling::Nothing, "filed, but under which id?");
    assert_eq!(settled(&named(filed(first()))), AfterSettling::SuccessorNameable);
}
