//! Asking the record: one test per rule.

use super::*;
use crate::domain::ask::{Answer, Because};

fn asking_policy() -> EndpointPolicy {
    EndpointPolicy {
        after_unknown: AfterUnknown::Query,
        filed_by: FiledBy::ReadBack,
        evidence_overdue_after: Duration::from_secs(86_400),
        ..policy()
    }
}

/// The next turn of a delivery that asks, at this second.
fn ask(d: &Delivery, policy: &EndpointPolicy, second: i64, answer: Answer) -> Delivery {
    let now = at(second);
    assert!(d.asking.is_some() && d.next_attempt_at.is_some_and(|due| due <= now), "not due: {d:?}");
    let step = |d: &Delivery, happened: &Happened| match decide(d, policy, happened, now, 3) {
        Ok(decision) => decision.delivery,
        Err(why) => panic!("{happened:?} cannot happen: {why}"),
    };
    let d = if d.state == State::Accepted { d.clone() } else { step(d, &Happened::Claimed) };
    step(&d, &Happened::Asked { answer, reply: Some(reply()) })
}

fn found() -> Answer {
    Answer::Found { record_id: Some("17".into()) }
}

fn unclear() -> Answer {
    Answer::CannotSay { code: "HTTP 500".into() }
}

fn because(d: &Delivery) -> Option<Because> {
    d.asking.as_ref().map(|a| a.because)
}

#[test]
fn an_unknown_outcome_is_asked_about_before_anything_goes_again() {
    let p = asking_policy();
    for outcome in [no_answer(), replied(Verdict::unreadable()), Happened::LeaseExpired] {
        let d = attempt(&p, outcome);
        assert_eq!((d.state, because(&d), d.attempts), (State::BackingOff, Some(Because::OutcomeUnknown), 1));
        assert_eq!(d.next_attempt_at, Some(at(15)), "five seconds on");
        let claimed = after(&d, &p, &[Happened::Claimed]);
        assert!(decide(&claimed, &p, &begun(), at(20), 3).is_err(), "nothing goes before the answer");
        let d = ask(&d, &p, 20, found());
        assert_eq!((d.state, d.record_id.as_deref(), d.unresolved), (State::Filed, Some("17"), 0));
        assert_eq!(d.evidence.last().map(|e| (e.kind, e.reply_id)), Some((EvidenceKind::ReadBack, Some(reply()))));
    }
}

#[test]
fn the_same_bytes_go_again_only_when_the_record_has_said_often_and_long_enough_that_they_are_not_there() {
    let p = asking_policy();
    let mut d = attempt(&p, no_answer());
    for (second, asked) in [(100, true), (200, true), (300, true), (699, true), (760, false)] {
        d = ask(&d, &p, second, Answer::NotFound);
        assert_eq!(d.asking.is_some(), asked, "after {second} s");
        assert!(d.state == State::BackingOff && d.may_have_been_received());
    }
    assert_eq!((d.unknown_resends, d.next_attempt_at), (1, Some(at(760))), "and now at once");
    let d = again(&d, &p, replied(aa()));
    assert_eq!((d.state, d.attempts, because(&d)), (State::Accepted, 2, Some(Because::Accepted)));
}

#[test]
fn not_there_is_believed_for_a_while_and_then_asked_once_more() {
    let p = asking_policy();
    let mut d = attempt(&p, no_answer());
    for second in [100, 300, 760] {
        d = ask(&d, &p, second, Answer::NotFound);
    }
    assert!(d.asking.is_none(), "believed: {d:?}");
    let step = |d: &Delivery, happened: &Happened, second| match decide(d, &p, happened, at(second), 3) {
        Ok(decision) => decision.delivery,
        Err(why) => panic!("{happened:?} cannot happen: {why}"),
    };
    // The endpoint was away when the bytes were to go, for less and for more than the time between two asks.
    let away = step(&step(&d, &Happened::Claimed, 761), &Happened::NotSent, 762);
    assert!(step(&away, &Happened::Claimed, 800).asking.is_none());
    let claimed = step(&away, &Happened::Claimed, 7200);
    assert_eq!(because(&claimed), Some(Because::OutcomeUnknown));
    assert!(decide(&claimed, &p, &begun(), at(7200), 3).is_err(), "nothing goes before the answer");
    let asked = |answer| step(&claimed, &Happened::Asked { answer, reply: Some(reply()) }, 7201);
    assert_eq!(asked(found()).state, State::Filed, "it was listed meanwhile");
    let still_not = asked(Answer::NotFound);
    assert!(still_not.asking.is_none() && still_not.unknown_resends == d.unknown_resends, "{still_not:?}");
    let begun = step(&step(&still_not, &Happened::Claimed, 7202), &begun(), 7203);
    assert_eq!((begun.not_there, begun.attempts), (None, 2));
}

/// It waits since a time when it was to go again unasked.
#[test]
fn what_waits_to_go_again_is_asked_about_first_where_that_is_what_config_says_now() {
    let (p, waits) = (asking_policy(), attempt(&policy(), no_answer()));
    assert_eq!((waits.state, waits.unknown_resends, because(&waits)), (State::BackingOff, 1, None));
    let claimed = after(&waits, &p, &[Happened::Claimed]);
    assert_eq!((because(&claimed), claimed.unknown_resends), (Some(Because::OutcomeUnknown), 0));
    assert!(decide(&claimed, &p, &begun(), at(20), 3).is_err(), "nothing goes before the answer");
    let asked = |answer| after(&claimed, &p, &[Happened::Asked { answer, reply: Some(reply()) }]);
    let filed = asked(found());
    assert_eq!((filed.state, filed.unresolved), (State::Filed, 0));
    let mut d = asked(Answer::NotFound);
    for second in [100, 300, 760] {
        d = ask(&d, &p, second, Answer::NotFound);
    }
    assert_eq!((d.unknown_resends, because(&d)), (1, None), "believed");
    // Not taken now, for certain: what the record said of the attempt before still holds.
    let d = again(&d, &p, replied(ae207()));
    assert_eq!((d.unresolved, because(&after(&d, &p, &[Happened::Claimed]))), (1, None));
    let d = again(&d, &p, no_answer());
    assert_eq!((d.unresolved, because(&d)), (2, Some(Because::OutcomeUnknown)));
}

#[test]
fn not_there_is_believed_no_longer_than_a_while_where_nothing_is_asked_any_more() {
    let (p, parks) = (asking_policy(), EndpointPolicy { after_unknown: AfterUnknown::Park, ..policy() });
    let mut d = attempt(&p, no_answer());
    for second in [100, 300, 760] {
        d = ask(&d, &p, second, Answer::NotFound);
    }
    let by_itself = |second| {
        let claimed = decide(&d, &parks, &Happened::Claimed, at(second), 3).expect("it can be claimed").delivery;
        assert_eq!(because(&claimed), None);
        claimed.goes_again_by_itself()
    };
    assert!(!by_itself(761) && by_itself(7200));
}

#[test]
fn not_there_once_is_not_enough_however_late_it_is_said() {
    let p = asking_policy();
    let d = ask(&attempt(&p, no_answer()), &p, 100_000, Answer::NotFound);
    assert_eq!(because(&d), Some(Because::OutcomeUnknown));
}

#[test]
fn an_answer_that_says_nothing_begins_the_row_anew() {
    let p = asking_policy();
    let mut d = attempt(&p, no_answer());
    for second in [100, 200, 300, 400] {
        d = ask(&d, &p, second, Answer::NotFound);
    }
    d = ask(&d, &p, 600, unclear());
    d = ask(&d, &p, 700, Answer::NotFound);
    let asking = d.asking.as_ref().expect("it asks on");
    assert_eq!((asking.not_found, asking.not_found_since, asking.unclear), (1, Some(at(700)), 1));
}

#[test]
fn a_record_that_never_says_anything_clear_is_not_asked_for_ever() {
    let p = asking_policy();
    let mut d = attempt(&p, no_answer());
    for n in 1..=p.asks.max_unclear {
        d = ask(&d, &p, i64::from(n) * 1000, unclear());
    }
    assert_eq!((reason(&d), d.asking), (Some(ParkReason::OutcomeUnknown), None));
}

#[test]
fn what_was_received_is_asked_about_until_it_is_overdue_however_often_the_record_cannot_be_read() {
    let p = asking_policy();
    let not_read = |others_pass| Answer::NotRead { code: "it answers 503".into(), others_pass };
    let mut d = attempt(&p, replied(aa()));
    let due = |d: &Delivery| d.next_attempt_at.expect("it asks on").as_second() - at(0).as_second();
    let (mut second, mut asks, mut longest) = (due(&d), 0, 0);
    let overdue = i64::try_from(p.evidence_overdue_after.as_secs()).expect("short");
    while second < overdue {
        d = ask(&d, &p, second, not_read(asks % 2 == 0));
        assert!(d.state == State::Accepted && d.asking.is_some(), "{asks}");
        let next = due(&d);
        longest = longest.max(next - second);
        (second, asks) = (next, asks + 1);
    }
    assert!(asks > p.asks.max_unclear && asks < 400 && longest == 12 * 60, "{asks} asks, {longest} s at the longest");
    d = ask(&d, &p, second + 10, not_read(false));
    assert!(d.state == State::Accepted && d.asking.is_none(), "whoever lists the overdue has it");
    // An answer that says neither is one, and comes to an end.
    let mut d = attempt(&p, replied(aa()));
    for n in 1..=p.asks.max_unclear {
        d = ask(&d, &p, i64::from(n) * 500, unclear());
    }
    assert_eq!((d.state, d.asking), (State::Accepted, None));
}

/// Nothing that comes by itself would say which of them holds.
#[test]
fn what_the_record_shows_more_than_once_comes_to_a_person_whatever_was_answered_in_between() {
    let p = asking_policy();
    let named = Verdict { record_id: Some("17".into()), ..aa() };
    for received in [replied(named), no_answer()] {
        for last in [Answer::Several, unclear()] {
            let mut d = attempt(&p, received.clone());
            for n in 1..p.asks.max_unclear {
                d = ask(&d, &p, i64::from(n) * 500, Answer::Several);
                assert!(d.state != State::Parked && d.asking.is_some(), "{n}");
            }
            d = ask(&d, &p, i64::from(p.asks.max_unclear) * 500, last);
            let parked_as = Some(ParkReason::MayAlreadyBeFiled);
            assert_eq!((reason(&d), d.may_have_been_received(), &d.record_id), (parked_as, true, &None));
            assert_eq!(after(&d, &p, &[proof(EvidenceKind::ReadBack)]).state, State::Filed, "proof files it after all");
        }
    }
    // Since then it was not there at all.
    let mut d = attempt(&p, replied(aa()));
    d = ask(&ask(&d, &p, 100, Answer::Several), &p, 200, Answer::NotFound);
    for n in 1..=p.asks.max_unclear {
        d = ask(&d, &p, 200 + i64::from(n) * 500, unclear());
    }
    assert_eq!((d.state, d.asking), (State::Accepted, None));
}

/// Its lane is held meanwhile.
#[test]
fn what_nobody_knows_of_and_cannot_be_read_comes_to_a_person_soon_where_others_are_answered_and_in_a_day_where_none_are()
 {
    let p = asking_policy();
    let not_read = |others_pass| Answer::NotRead { code: "it answers 503".into(), others_pass };
    let mut own = attempt(&p, no_answer());
    for n in 1..=p.asks.max_unclear {
        own = ask(&own, &p, i64::from(n) * 400, not_read(true));
    }
    assert_eq!(reason(&own), Some(ParkReason::OutcomeUnknown));
    let mut all = attempt(&p, no_answer());
    let overdue = i64::try_from(p.evidence_overdue_after.as_secs()).expect("short");
    for second in (500..overdue).step_by(500) {
        all = ask(&all, &p, second, not_read(false));
        assert_eq!(all.state, State::BackingOff, "an outage of some hours parks nothing");
    }
    // An answer in between, and the day begins anew.
    let read = ask(&all, &p, overdue, Answer::NotFound);
    let read = ask(&read, &p, overdue + 500, not_read(false));
    assert_eq!(read.state, State::BackingOff);
    let all = ask(&all, &p, overdue + 500, not_read(false));
    assert_eq!(reason(&all), Some(ParkReason::OutcomeUnknown));
}

#[test]
fn a_record_that_is_away_parks_nothing_however_long() {
    let p = asking_policy();
    let mut unknown = attempt(&p, no_answer());
    let mut accepted = attempt(&p, replied(aa()));
    for n in 1..=300 {
        let unheard = Answer::NotHeard { why: "silence".into() };
        unknown = ask(&unknown, &p, n * 1000, unheard.clone());
        accepted = ask(&accepted, &p, n * 1000, unheard);
    }
    assert_eq!((unknown.state, accepted.state), (State::BackingOff, State::Accepted));
    // And with no way to it at all.
    let d = after(&unknown, &p, &[Happened::Claimed, Happened::NotSent]);
    assert_eq!((d.state, because(&d)), (State::Queued, Some(Because::OutcomeUnknown)));
}

#[test]
fn resends_after_not_there_are_counted_and_end_in_front_of_a_person() {
    let p = EndpointPolicy { max_unknown_resends: 1, ..asking_policy() };
    let mut d = attempt(&p, no_answer());
    let mut second = 1000;
    let mut sends = 1;
    while d.state != State::Parked {
        if d.asking.is_some() {
            d = ask(&d, &p, second, Answer::NotFound);
        } else {
            d = again(&d, &p, no_answer());
            sends += 1;
        }
        second += 1000;
    }
    assert_eq!((sends, reason(&d), d.unresolved), (2, Some(ParkReason::OutcomeUnknown), 2));
    // A person's retry asks before it sends, too.
    let d = after(&d, &p, &[retried()]);
    assert_eq!((d.state, because(&d)), (State::Queued, Some(Because::OutcomeUnknown)));
}

#[test]
fn what_the_far_end_calls_a_duplicate_is_filed_only_when_the_record_shows_it() {
    let duplicate = || replied(Verdict { duplicate: true, ..verdict(Meaning::Unknown, Level::Application) });
    let p = EndpointPolicy { filed_by: FiledBy::ApplicationAck, ..asking_policy() };
    let d = attempt(&p, duplicate());
    assert_eq!((d.state, because(&d), d.unresolved), (State::BackingOff, Some(Because::SaidDuplicate), 1));
    assert_eq!(ask(&d, &p, 100, found()).state, State::Filed);
    // Never sent again: it would be told the same.
    let mut not_there = d;
    for second in [100, 400, 701] {
        not_there = ask(&not_there, &p, second, Answer::NotFound);
    }
    assert_eq!((reason(&not_there), not_there.attempts), (Some(ParkReason::MayAlreadyBeFiled), 1));
    // Where nothing can be asked, a person looks.
    assert_eq!(reason(&attempt(&policy(), duplicate())), Some(ParkReason::MayAlreadyBeFiled));
}

#[test]
fn what_was_received_is_asked_about_ever_less_often_until_it_is_overdue() {
    let p = asking_policy();
    let mut d = attempt(&p, replied(aa()));
    assert_eq!((d.state, because(&d), d.next_attempt_at), (State::Accepted, Some(Because::Accepted), Some(at(15))));
    let mut asks = 0;
    while let Some(due) = d.ask_at() {
        let wait = due.as_second() - at(0).as_second();
        d = ask(&d, &p, wait, Answer::NotFound);
        asks += 1;
        assert_eq!(d.state, State::Accepted, "not listed is no refusal");
    }
    assert!((20..40).contains(&asks), "{asks} asks in a day");
    // The list of overdue entries has it now; evidence that comes after all still files it.
    assert_eq!(after(&d, &p, &[proof(EvidenceKind::ReadBack)]).state, State::Filed);
}

#[test]
fn an_answer_that_comes_after_something_else_settled_it_is_late_evidence() {
    let p = asking_policy();
    let cancelled = after(&attempt(&p, replied(aa())), &p, &[cancelled_by(true)]);
    assert_eq!((cancelled.state, &cancelled.asking), (State::Cancelled, &None));
    let asked = |answer| Happened::Asked { answer, reply: Some(reply()) };
    assert_eq!(after(&cancelled, &p, &[asked(found())]).state, State::Filed);
    for answer in [Answer::NotFound, unclear()] {
        assert_eq!(after(&cancelled, &p, &[asked(answer)]), cancelled);
    }
}

#[test]
fn what_its_carrier_has_is_received_and_the_records_own_word_is_still_needed() {
    let p = EndpointPolicy { filed_by: FiledBy::ApplicationAck, ..asking_policy() };
    let d = attempt(&p, no_answer());
    let d = ask(&d, &p, 20, Answer::Received { code: "accepted".into() });
    assert_eq!((d.state, d.unresolved, d.attempts, because(&d)), (State::Accepted, 0, 1, None));
    assert_eq!(d.evidence.iter().map(|e| e.kind).collect::<Vec<_>>(), [EvidenceKind::TransportAck]);
    let less = EndpointPolicy { filed_by: FiledBy::TransportAck, ..p };
    let d = ask(&attempt(&less, no_answer()), &less, 20, Answer::Received { code: "accepted".into() });
    assert_eq!(d.state, State::Filed, "where the trust accepts that much");
}

#[test]
fn what_its_carrier_took_is_asked_about_ever_less_often_until_it_is_overdue() {
    let tracks_after = Some(Duration::from_secs(600));
    let p = EndpointPolicy { filed_by: FiledBy::ApplicationAck, tracks_after, ..asking_policy() };
    let taken = |code: &str| Answer::Received { code: code.into() };
    let mut d = attempt(&p, replied(ca()));
    assert_eq!((d.state, because(&d)), (State::Accepted, Some(Because::Accepted)));
    // It was taken at second 10.
    let (mut now, mut waits) = (10, Vec::new());
    while let Some(due) = d.ask_at() {
        waits.push(due.as_second() - at(now).as_second());
        now += due.as_second() - at(now).as_second();
        d = ask(&d, &p, now, taken("MESH says accepted"));
        assert_eq!((d.state, d.attempts, d.unresolved), (State::Accepted, 1, 0));
    }
    assert_eq!(waits[0], 600);
    assert!(waits.windows(2).all(|w| w[0] <= w[1]) && waits.iter().all(|w| *w <= 6 * 3600), "{waits:?}");
    assert!((5..=20).contains(&waits.len()) && now >= 86_400, "once overdue it is asked no more: {waits:?}");
    // What is acknowledged there is no proof; what it gave up is parked; its own word files it, and ends the questions.
    let fresh = attempt(&p, replied(ca()));
    assert_eq!(ask(&fresh, &p, 700, taken("MESH says acknowledged")).state, State::Accepted);
    let given_up = ask(&fresh, &p, 700, Answer::NotDelivered { code: "MESH says undeliverable 14".into() });
    assert_eq!(given_up.state, State::Parked);
    let filed = after(&fresh, &p, &[late(aa(), &p)]);
    assert_eq!((filed.state, filed.ask_at()), (State::Filed, None));
    // Where its receipt is all that the trust asks for there is nothing to ask.
    let less = EndpointPolicy { filed_by: FiledBy::TransportAck, ..p };
    let d = attempt(&less, replied(ca()));
    assert_eq!((d.state, d.asking), (State::Filed, None));
}

#[test]
fn what_its_carrier_gave_up_is_parked_and_no_longer_counts_as_received() {
    let p = EndpointPolicy { filed_by: FiledBy::ApplicationAck, ..asking_policy() };
    let d = ask(&attempt(&p, no_answer()), &p, 20, Answer::NotDelivered { code: "MESH says undeliverable 14".into() });
    assert_eq!((d.state, d.park.as_ref().map(|p| p.reason)), (State::Parked, Some(ParkReason::Refused)));
    assert!(!d.may_have_been_received() && d.asking.is_none());
}
