//! The texts a clinician reads, for every kind, and what must never be among them.

use super::{Replaced, Setting};
use crate::adapter::form::samples::*;
use crate::adapter::form::{note, outcome, person, referral};
use crate::domain::ids::{EntryId, PatientId, ReferralId};
use crate::domain::note::{Action, NoteContent, Version, WithdrawReason};
use crate::domain::organisation::OdsCode;
use crate::domain::outcome::OutcomeContent;
use crate::domain::person::Author;
use crate::domain::referral::{DeclineReason, Referral, ReferralState};
use crate::domain::rule::Violations;
use crate::domain::text::Private;
use crate::wire::v1::{self, note_content::Kind as NoteKind, outcome_content::Kind as OutcomeKind};
use jiff::tz::TimeZone;
use std::fmt::Write;
use uuid::Uuid;

fn fine<T>(read: impl FnOnce(&mut Violations) -> Option<T>) -> T {
    read(&mut Violations::default()).expect("a valid sample")
}

fn writer() -> Author {
    fine(|b| person::read_author(&author(), "author", b))
}

fn version<C>(action: Action<C>) -> Version<C> {
    Version {
        number: 2,
        action,
        author: writer(),
        submitted_by: "ips-app".into(),
        recorded_at: now(),
        entry_id: EntryId(Uuid::nil()),
    }
}

fn noted(m: &v1::NoteContent) -> NoteContent {
    fine(|b| note::read_and_check(m, "content", now(), b))
}

fn told(kind: OutcomeKind) -> OutcomeContent {
    fine(|b| outcome::read_and_check(&outcome(kind), "content", today(), b))
}

fn entry_of_note(m: &v1::NoteContent, tz: &TimeZone) -> v1::Entry {
    let content = noted(m);
    super::note(&version(Action::Create(content.clone())), &content, &Setting { tz, replaces: None })
}

fn entry_of_outcome(kind: OutcomeKind, job: Option<&OutcomeContent>, tz: &TimeZone) -> v1::Entry {
    let content = told(kind);
    super::outcome(&version(Action::Create(content.clone())), &content, job, &Setting { tz, replaces: None })
}

#[test]
fn every_kind_of_note_is_headed_by_what_a_clinician_needs() {
    let mut all = String::new();
    for (name, kind) in note_kinds() {
        let entry = entry_of_note(&note(kind), &london());
        writeln!(all, "== {name}: {}\n{}", entry.title, entry.headings.join("\n")).expect("a String");
    }
    insta::assert_snapshot!(all);
}

#[test]
fn every_kind_of_outcome_is_told_in_sentences() {
    let start = told(OutcomeKind::JobStart(v1::JobStart { started_on: "2025-11-30".into(), ..job_start(false) }));
    let mut all = String::new();
    for (name, kind) in outcome_kinds() {
        let entry = entry_of_outcome(kind, Some(&start), &london());
        writeln!(all, "== {name}: {}\n{}\n--\n{}", entry.title, entry.headings.join("\n"), entry.text)
            .expect("a String");
    }
    insta::assert_snapshot!(all);
}

#[test]
fn risk_stands_first_then_what_is_replaced_then_sensitivity() {
    let mut m = note(NoteKind::GeneralContact(v1::GeneralContact {}));
    m.risk_disclosed = Some(risk());
    m.sensitivity = Some(v1::Sensitivity { third_party: true, serious_harm: true, not_for_patient: true });
    m.contact = Some(v1::Contact {
        mechanism: v1::ContactMechanism::Email.into(),
        attendance: v1::Attendance::AttendedOnTime.into(),
        duration_minutes: Some(5),
        location_code: None,
        others_present: None,
        ..contact()
    });
    let content = noted(&m);
    let change = Action::Replace { content: content.clone(), reason: Private("the date was wrong".into()) };
    let (tz, before) = (london(), "2025-07-01T09:00:00Z".parse().expect("a time"));
    let replaces = Some(Replaced { number: 1, recorded_at: before });
    let entry = super::note(&version(change.clone()), &content, &Setting { tz: &tz, replaces });
    insta::assert_snapshot!(entry.headings.join("\n"));
    assert_eq!(entry.reason, "the date was wrong");

    let first = super::note(&version(change), &content, &Setting { tz: &tz, replaces: None });
    assert!(first.headings.iter().all(|h| !h.contains("REPLACES")), "the record has nothing that it replaces");
}

#[test]
fn a_missed_appointment_is_never_read_as_a_contact() {
    let mut m = note(NoteKind::JobSearch(v1::JobSearch {}));
    m.contact = Some(v1::Contact {
        attendance: v1::Attendance::DidNotAttend.into(),
        duration_minutes: None,
        location_code: None,
        others_present: None,
        ..contact()
    });
    let entry = entry_of_note(&m, &london());
    assert!(
        entry
            .headings
            .contains(&"Contact planned, NOT held: face to face, did not attend, no warning, individual".to_owned()),
        "{:?}",
        entry.headings
    );
    assert_eq!(entry.activity_type, i32::from(v1::ActivityType::ContactNotHeld));
}

#[test]
fn a_withdrawal_says_that_it_is_gone_and_why_and_nothing_of_what_it_said() {
    let mut m = note(NoteKind::EmployerContact(employer_contact(true, true)));
    m.risk_disclosed = Some(risk());
    let content = noted(&m);
    let tz = london();
    let setting = Setting { tz: &tz, replaces: Some(Replaced { number: 1, recorded_at: now() }) };
    let gone = Action::Withdraw {
        reason: WithdrawReason::WrongPatient,
        explanation: Some(Private("picked the wrong Sam".into())),
    };
    let entry = super::note(&version(gone), &content, &setting);
    insta::assert_snapshot!(entry.headings.join("\n"));
    assert!(entry.text.is_empty() && entry.note.is_none() && entry.reason.is_empty());
    assert_eq!(entry.withdraw_label, "Filed to wrong patient");
    let all = serde_json::to_string(&entry).expect("proto JSON");
    for never in ["Bakery", "library", "wrong Sam", "Dr Test"] {
        assert!(!all.contains(never), "{never}");
    }
}

#[test]
fn employer_post_and_leaving_reason_reach_the_record_only_when_shared() {
    let tz = london();
    for share in [false, true] {
        let job = told(OutcomeKind::JobStart(job_start(share)));
        let note = entry_of_note(&note(NoteKind::EmployerContact(employer_contact(share, true))), &tz);
        let host = || v1::WorkPlacement { host: employer(share), started_on: "2026-02-02".into(), ended_on: None };
        let retained =
            v1::JobRetained { employer: employer(share), retained_on: "2026-02-02".into(), weekly_minutes: 60 };
        let offer = v1::JobOffer { employer: employer(share), offered_on: "2026-02-02".into(), accepted: Some(true) };
        let still = v1::StillInWork { job_id: job_id().to_string(), on: "2026-03-02".into(), confirmed_by: 1 };
        let unpaid = v1::VoluntaryWork { host: employer(share), started_on: "2026-02-02".into() };
        let kinds = [
            OutcomeKind::JobStart(job_start(share)),
            OutcomeKind::WorkPlacement(host()),
            OutcomeKind::JobRetained(retained),
            OutcomeKind::JobOffer(offer),
            OutcomeKind::StillInWork(still),
            OutcomeKind::VoluntaryWork(unpaid),
        ];
        let mut entries: Vec<v1::Entry> = kinds.into_iter().map(|k| entry_of_outcome(k, Some(&job), &tz)).collect();
        entries.push(note);
        for e in entries {
            let all = serde_json::to_string(&e).expect("proto JSON");
            assert_eq!(all.contains("Bakery"), share, "{}", e.title);
        }
        let end = entry_of_outcome(OutcomeKind::JobEnd(job_end(share)), Some(&job), &tz);
        let all = serde_json::to_string(&end).expect("proto JSON");
        assert_eq!(all.contains("HEALTH") && end.text.contains("Reason: health."), share);
        assert_eq!(all.contains("Bakery"), share);
    }
}

#[test]
fn a_heading_is_always_one_line() {
    for (_, kind) in note_kinds() {
        let entry = entry_of_note(&v1::NoteContent { risk_disclosed: Some(risk()), ..note(kind) }, &london());
        assert!(entry.headings.iter().all(|h| !h.contains(['\n', '\r']) && !h.trim().is_empty()));
        assert_eq!(entry.text, "Met at the library.\n\tTalked about the next steps.", "the text is carried exactly");
    }
}

#[test]
fn the_hour_that_comes_twice_in_october_is_told_apart() {
    let tz = london();
    let first = super::words::moment("2025-10-26T00:30:00Z".parse().expect("a time"), &tz);
    let second = super::words::moment("2025-10-26T01:30:00Z".parse().expect("a time"), &tz);
    assert_eq!((first.as_str(), second.as_str()), ("26 October 2025, 01:30 BST", "26 October 2025, 01:30 GMT"));
}

#[test]
fn an_outcomes_time_is_the_beginning_of_its_day_in_the_trusts_zone() {
    let kind = OutcomeKind::Education(v1::Education { course: "x".into(), started_on: "2025-07-01".into() });
    assert_eq!(entry_of_outcome(kind, None, &london()).occurred_at, at("2025-06-30T23:00:00Z"));
}

fn referred() -> Referral {
    Referral {
        id: ReferralId(Uuid::nil()),
        trust: OdsCode::parse("RXX").expect("an ODS code"),
        version: 1,
        patient_id: PatientId(Uuid::nil()),
        state: ReferralState::Received,
        details: fine(|b| referral::read_and_check(&referral_details(), "details", b)),
        received_at: "2026-03-01T09:00:00Z".parse().expect("a time"),
        accepted_at: None,
        declined_at: None,
        closed_at: None,
        decline_reason: None,
        decline_text: None,
        close_reason: None,
        assigned_to: None,
        received_from: None,
        received_control_id: None,
        touched_at: now(),
        employer_approach: None,
        approach_decisions: Vec::new(),
        close_text: None,
        told_at: None,
        as_received: false,
    }
}

#[test]
fn an_answer_says_who_took_the_referral_or_why_it_was_declined() {
    let tz = london();
    let setting = Setting { tz: &tz, replaces: None };
    let tell = |r: &Referral| super::referral_reply(EntryId(Uuid::nil()), r, &writer(), &setting);
    assert!(tell(&referred()).is_none(), "not answered yet");
    let accepted = tell(&referred().accept(writer(), now()).expect("it was received")).expect("answered");
    let why = Some(Private("No address was given.".into()));
    let declined = referred().decline(DeclineReason::Incomplete, why, now()).expect("it was received");
    let declined = tell(&declined).expect("answered");
    let show = |e: &v1::Entry| format!("{}\n{}\n--\n{}", e.title, e.headings.join("\n"), e.text);
    insta::assert_snapshot!(format!("{}\n\n{}", show(&accepted), show(&declined)));
    assert!(declined.referral_reply.is_some_and(|r| !r.accepted && r.assigned_to.is_none()));
}
