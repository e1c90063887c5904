//! Each rule that a proto comment states is broken once, and names its field.

use super::{note, outcome, patient, person, referral, samples::*};
use crate::domain::rule::{Violation, Violations};
use crate::wire::v1::{self, note_content::Kind as Note, outcome_content::Kind as Outcome};
use std::collections::BTreeSet;

fn broken<T>(read: impl FnOnce(&mut Violations) -> Option<T>) -> Vec<Violation> {
    let mut broken = Violations::default();
    let value = read(&mut broken);
    assert_eq!(value.is_some(), broken.is_empty(), "a value is given exactly when no rule is broken");
    broken.0
}

/// (field, words of the rule), one pair for each violation.
type Expected<'a> = &'a [(&'a str, &'a str)];

fn assert_broken(case: usize, found: &[Violation], expected: Expected<'_>) {
    let fields: Vec<&str> = found.iter().map(|v| v.field.as_str()).collect();
    let wanted: Vec<&str> = expected.iter().map(|(f, _)| *f).collect();
    assert_eq!(fields, wanted, "case {case}: {found:?}");
    for (v, (_, words)) in found.iter().zip(expected) {
        assert!(v.rule.contains(words), "case {case}: {v:?}");
    }
}

macro_rules! cases {
    ($make:expr, $read:expr; $($change:expr => [$($expected:expr),* $(,)?];)+) => {{
        let mut case = 0;
        $({
            case += 1;
            let mut message = $make;
            apply(&mut message, $change);
            assert_broken(case, &broken(|b| $read(&message, b)), &[$($expected),*]);
        })+
    }};
}

fn apply<M>(message: &mut M, change: fn(&mut M)) {
    change(message);
}

fn long(n: usize) -> String {
    "x".repeat(n)
}

#[test]
fn every_rule_of_an_author_is_held() {
    cases! { author(), |m: &v1::Author, b: &mut Violations| person::read_author(m, "author", b);
        |_| {} => [];
        |m| m.staff_id = String::new() => [("author.staff_id", "is required")];
        |m| m.staff_id = long(41) => [("author.staff_id", "1 to 40")];
        |m| m.staff_id = "a b".into() => [("author.staff_id", "without spaces")];
        |m| m.display_name = "  ".into() => [("author.display_name", "is required")];
        |m| m.display_name = long(101) => [("author.display_name", "100 characters")];
        |m| m.display_name = "a\nb".into() => [("author.display_name", "line breaks")];
        |m| m.role_title = String::new() => [("author.role_title", "is required")];
        |m| m.role_title = long(101) => [("author.role_title", "100 characters")];
        |m| m.organisation_ods = String::new() => [("author.organisation_ods", "is required")];
        |m| m.organisation_ods = "rxx".into() => [("author.organisation_ods", "3 to 10")];
        |m| *m = v1::Author::default() => [
            ("author.staff_id", "is required"), ("author.display_name", "is required"),
            ("author.role_title", "is required"), ("author.organisation_ods", "is required"),
        ];
    }
}

#[test]
fn every_rule_of_the_expected_patient_is_held() {
    cases! { expected_patient(), |m: &v1::ExpectedPatient, b: &mut Violations| person::read_expected_patient(m, "p", b);
        |_| {} => [];
        |m| m.nhs_number = "999 000 0018".into() => [];
        |m| m.nhs_number = String::new() => [];
        |m| m.nhs_number = "9990000019".into() => [("p.nhs_number", "check digit")];
        |m| m.date_of_birth = String::new() => [("p.date_of_birth", "is required")];
        |m| m.date_of_birth = "12/04/1985".into() => [("p.date_of_birth", "YYYY-MM-DD")];
        |m| m.family_name = String::new() => [("p.family_name", "is required")];
        |m| m.family_name = long(81) => [("p.family_name", "80 characters")];
    }
}

#[test]
fn every_rule_of_a_patient_is_held() {
    let read = |m: &v1::PatientDetails, b: &mut Violations| patient::read_and_check(m, "details", today(), b);
    cases! { patient_details(), read;
        |_| {} => [];
        |m| m.nhs_number = Some("9999999999".into()) => [("details.nhs_number", "ten equal digits")];
        |m| m.nhs_number = Some("12".into()) => [("details.nhs_number", "ten digits")];
        |m| m.nhs_number = None => [("details.nhs_number_status", "NOT_PRESENT")];
        |m| m.nhs_number = Some(" ".into()) => [("details.nhs_number_status", "NOT_PRESENT")];
        |m| m.nhs_number_status = 7 => [("details.nhs_number_status", "NOT_PRESENT")];
        |m| m.nhs_number_status = 0 => [("details.nhs_number_status", "is required")];
        |m| m.nhs_number_status = 8 => [("details.nhs_number_status", "not one of the values")];
        |m| { m.nhs_number = None; m.nhs_number_status = 7; m.local_identifiers.clear() }
            => [("details.local_identifiers", "at least one")];
        |m| m.local_identifiers.push(local_identifier("H2")) => [("details.local_identifiers[1]", "same authority and type")];
        |m| m.local_identifiers = (0..251).map(|i| v1::LocalIdentifier { r#type: format!("T{i}"), ..local_identifier("H") }).collect()
            => [("details.local_identifiers", "at most 250")];
        |m| m.local_identifiers[0].assigning_authority = "a^b".into()
            => [("details.local_identifiers[0].assigning_authority", "A-Z a-z 0-9")];
        |m| m.local_identifiers[0].assigning_authority = " a".into()
            => [("details.local_identifiers[0].assigning_authority", "no space at either end")];
        |m| m.local_identifiers[0].assigning_authority = String::new()
            => [("details.local_identifiers[0].assigning_authority", "is required")];
        |m| m.local_identifiers[0].value = long(41) => [("details.local_identifiers[0].value", "40 characters")];
        |m| m.local_identifiers[0].value = "H 1".into() => [("details.local_identifiers[0].value", "without spaces")];
        |m| m.local_identifiers[0].r#type = "M R".into() => [("details.local_identifiers[0].type", "A-Z a-z 0-9")];
        |m| m.local_identifiers[0].r#type = long(21) => [("details.local_identifiers[0].type", "20 characters")];
        |m| m.local_identifiers[0].r#type = String::new() => [];
        |m| m.name = None => [("details.name", "is required")];
        |m| m.name.as_mut().unwrap().family = long(81) => [("details.name.family", "80 characters")];
        |m| m.name.as_mut().unwrap().family = "a\u{1c}b".into() => [("details.name.family", "control character")];
        |m| m.name.as_mut().unwrap().given = String::new() => [("details.name.given", "is required")];
        |m| m.name.as_mut().unwrap().given = long(81) => [("details.name.given", "80 characters")];
        |m| m.name.as_mut().unwrap().prefix = Some(long(21)) => [("details.name.prefix", "20 characters")];
        |m| m.date_of_birth = String::new() => [("details.date_of_birth", "is required")];
        |m| m.date_of_birth = "19850412".into() => [("details.date_of_birth", "YYYY-MM-DD")];
        |m| m.date_of_birth = "2026-03-04".into() => [("details.date_of_birth", "1880 and today")];
        |m| m.date_of_birth = "1879-12-31".into() => [("details.date_of_birth", "1880 and today")];
        |m| m.gender = 0 => [("details.gender", "is required")];
        |m| m.gender = 99 => [("details.gender", "not one of the values")];
        |m| m.address.as_mut().unwrap().lines = vec!["x".into(); 5] => [("details.address.lines", "at most 4")];
        |m| m.address.as_mut().unwrap().lines = ["", "x", " ", "x", "x", "", "x"].map(Into::into).to_vec() => [];
        |m| m.address.as_mut().unwrap().lines = vec!["".into(), "a\tb".into()] => [("details.address.lines[1]", "no control characters")];
        |m| m.address.as_mut().unwrap().lines = vec!["x".into(), "a\nb".into()] => [("details.address.lines[1]", "line breaks")];
        |m| m.address.as_mut().unwrap().city = Some(long(101)) => [("details.address.city", "100 characters")];
        |m| m.address.as_mut().unwrap().county = Some(long(101)) => [("details.address.county", "100 characters")];
        |m| m.address.as_mut().unwrap().postcode = Some(long(11)) => [("details.address.postcode", "10 characters")];
        |m| m.phone = Some(long(41)) => [("details.phone", "40 characters")];
    }
}

#[test]
fn every_rule_of_a_referral_is_held() {
    let read = |m: &v1::ReferralDetails, b: &mut Violations| referral::read_and_check(m, "details", b);
    cases! { referral_details(), read;
        |_| {} => [];
        |m| m.external_ids = (0..11).map(|i| external_id(&i.to_string())).collect() => [("details.external_ids", "at most 10")];
        |m| m.external_ids.push(external_id("REF-1")) => [("details.external_ids[1]", "twice")];
        |m| m.external_ids[0].system = String::new() => [("details.external_ids[0].system", "is required")];
        |m| m.external_ids[0].system = "a|b".into() => [("details.external_ids[0].system", "A-Z a-z 0-9")];
        |m| m.external_ids[0].system = long(61) => [("details.external_ids[0].system", "60 characters")];
        |m| m.external_ids[0].value = long(101) => [("details.external_ids[0].value", "100 characters")];
        |m| m.external_ids[0].value = "é".into() => [("details.external_ids[0].value", "printable ASCII")];
        |m| m.source_code = String::new() => [("details.source_code", "is required")];
        |m| m.source_code = "K1".into() => [("details.source_code", "retired")];
        |m| m.priority = 0 => [("details.priority", "is required")];
        |m| m.priority = 5 => [("details.priority", "not one of the values")];
        |m| m.referrer_name = String::new() => [("details.referrer_name", "is required")];
        |m| m.referrer_name = long(101) => [("details.referrer_name", "100 characters")];
        |m| m.referrer_name = "a\rb".into() => [("details.referrer_name", "line breaks")];
        |m| m.referrer_role = Some(long(101)) => [("details.referrer_role", "100 characters")];
        |m| m.referrer_ods = Some("R".into()) => [("details.referrer_ods", "3 to 10")];
        |m| m.referring_team = Some(long(101)) => [("details.referring_team", "100 characters")];
        |m| m.team = String::new() => [("details.team", "is required")];
        |m| m.team = "north team".into() => [("details.team", "A-Z, a-z, 0-9")];
        |m| m.site_ods = Some("rxx01".into()) => [("details.site_ods", "3 to 10")];
        |m| m.reason = Some(long(100_001)) => [("details.reason", "100000 characters")];
        |m| m.reason = Some("a\u{b}".into()) => [("details.reason", "control character")];
        |m| m.employment_status = 0 => [];
        |m| m.employment_status = 10 => [("details.employment_status", "not one of the values")];
        |m| m.job_retention = true => [("details.job_retention", "only with employment_status EMPLOYED")];
        |m| m.employment_status = 1 => [("details.months_out_of_work", "not with employment_status EMPLOYED")];
        |m| m.months_out_of_work = Some(721) => [("details.months_out_of_work", "0 to 720")];
        |m| m.months_out_of_work = Some(-1) => [("details.months_out_of_work", "0 to 720")];
    }
}

fn note_read(m: &v1::NoteContent, b: &mut Violations) -> Option<crate::domain::note::NoteContent> {
    note::read_and_check(m, "content", now(), b)
}

#[test]
fn every_rule_of_a_note_is_held() {
    fn c(m: &mut v1::NoteContent) -> &mut v1::Contact {
        m.contact.as_mut().unwrap()
    }
    cases! { note(Note::JobSearch(v1::JobSearch {})), note_read;
        |_| {} => [];
        |m| m.occurred_at = None => [("content.occurred_at", "is required")];
        |m| m.occurred_at = at("2026-03-03T15:05:00Z") => [];
        |m| m.occurred_at = at("2026-03-03T15:05:01Z") => [("content.occurred_at", "future")];
        |m| m.occurred_at = at("2021-02-01T00:00:00Z") => [("content.occurred_at", "5 years")];
        |m| m.occurred_at.as_mut().unwrap().nanos = -1 => [("content.occurred_at", "not a time")];
        |m| m.text = " \n".into() => [("content.text", "is required")];
        |m| m.text = "é".repeat(100_001) => [("content.text", "100000 characters")];
        |m| m.text = "😀".repeat(103_000) => [("content.text", "400 KiB")];
        |m| m.text = "a\u{0}b".into() => [("content.text", "U+0000 at character 2")];
        |m| m.text = "a\r\nb\rc".into() => [];
        |m| m.contact = None => [("content.contact", "is required")];
        |m| c(m).mechanism = 0 => [("content.contact.mechanism", "is required")];
        |m| c(m).mechanism = 11 => [("content.contact.mechanism", "not one of the values")];
        |m| c(m).attendance = 0 => [("content.contact.attendance", "is required")];
        |m| c(m).mode = 0 => [("content.contact.mode", "is required")];
        |m| c(m).duration_minutes = None => [("content.contact.duration_minutes", "is required when")];
        |m| { c(m).duration_minutes = None; c(m).attendance = 5 } => [];
        |m| c(m).duration_minutes = Some(1441) => [("content.contact.duration_minutes", "0 to 1440")];
        |m| c(m).duration_minutes = Some(-1) => [("content.contact.duration_minutes", "0 to 1440")];
        |m| c(m).location_code = Some("home".into()) => [("content.contact.location_code", "one letter and two digits")];
        |m| c(m).others_present = Some(long(201)) => [("content.contact.others_present", "200 characters")];
        |m| m.sensitivity = None => [];
        |m| m.risk_disclosed = Some(risk()) => [];
        |m| m.risk_disclosed = Some(v1::RiskDisclosed::default())
            => [("content.risk_disclosed.told_whom", "is required"), ("content.risk_disclosed.told_at", "is required")];
        |m| m.risk_disclosed = Some(v1::RiskDisclosed { told_whom: long(201), ..risk() })
            => [("content.risk_disclosed.told_whom", "200 characters")];
        |m| m.risk_disclosed = Some(v1::RiskDisclosed { told_at: at("2026-03-02T10:29:59Z"), ..risk() })
            => [("content.risk_disclosed.told_at", "between the contact and now")];
        |m| m.risk_disclosed = Some(v1::RiskDisclosed { told_at: at("2026-03-04T10:00:00Z"), ..risk() })
            => [("content.risk_disclosed.told_at", "between the contact and now")];
        |m| m.kind = None => [("content.kind", "exactly one kind")];
        |m| { m.kind = None; m.contact = None } => [("content.kind", "exactly one kind")];
    }
}

#[test]
fn every_rule_of_each_kind_of_note_is_held() {
    cases! { note(Note::JobClub(v1::JobClub {})), note_read;
        |m| m.kind = Some(Note::VocationalProfile(v1::VocationalProfile::default()))
            => [("content.vocational_profile.stage", "is required")];
        |m| m.kind = Some(Note::ActionPlan(v1::ActionPlan { client_engaged: true, review_on: Some("soon".into()) }))
            => [("content.action_plan.review_on", "YYYY-MM-DD")];
        |m| m.kind = Some(Note::BenefitsAdvice(v1::BenefitsAdvice { benefits: Some(long(201)), ..Default::default() }))
            => [("content.benefits_advice.benefits", "200 characters")];
        |m| m.kind = Some(Note::DisclosureDecision(v1::DisclosureDecision::default())) => [
            ("content.disclosure_decision.choice", "is required"),
            ("content.disclosure_decision.employer_approach", "is required"),
            ("content.disclosure_decision.decided_on", "is required"),
        ];
        |m| m.kind = Some(Note::DisclosureDecision(v1::DisclosureDecision { scope: None, ..disclosure_decision() }))
            => [("content.disclosure_decision.scope", "when consent is given")];
        |m| m.kind = Some(Note::DisclosureDecision(v1::DisclosureDecision { scope: Some(long(501)), ..disclosure_decision() }))
            => [("content.disclosure_decision.scope", "500 characters")];
        |m| m.kind = Some(Note::DisclosureDecision(v1::DisclosureDecision { decided_on: "2026-03-09".into(), ..disclosure_decision() }))
            => [("content.disclosure_decision.decided_on", "future")];
        |m| m.kind = Some(Note::CvAndApplications(v1::CvAndApplications { applications_sent: 1001 }))
            => [("content.cv_and_applications.applications_sent", "0 to 1000")];
        |m| m.kind = Some(Note::EmployerContact(v1::EmployerContact { purpose: 0, ..employer_contact(true, true) }))
            => [("content.employer_contact.purpose", "is required")];
        |m| m.kind = Some(Note::EmployerContact(v1::EmployerContact { employer_name: String::new(), ..employer_contact(true, true) }))
            => [("content.employer_contact.employer_name", "is required")];
        |m| m.kind = Some(Note::EmployerContact(v1::EmployerContact { employer_name: long(201), ..employer_contact(true, true) }))
            => [("content.employer_contact.employer_name", "200 characters")];
        |m| m.kind = Some(Note::EmployerContact(employer_contact(true, false))) => [("content.contact", "must be left out")];
        |m| { m.kind = Some(Note::EmployerContact(employer_contact(true, true))); m.contact = None }
            => [("content.contact", "is required")];
        |m| m.kind = Some(Note::TeamDiscussion(v1::TeamDiscussion { team: None })) => [("content.contact", "must be left out")];
        |m| { m.kind = Some(Note::TeamDiscussion(v1::TeamDiscussion { team: Some(long(101)) })); m.contact = None }
            => [("content.team_discussion.team", "100 characters")];
        |m| { m.kind = Some(Note::SupportNetworkContact(v1::SupportNetworkContact { with_whom: String::new() })); m.contact = None }
            => [("content.support_network_contact.with_whom", "is required")];
        |m| { m.kind = Some(Note::SupportNetworkContact(v1::SupportNetworkContact { with_whom: long(101) })); m.contact = None }
            => [("content.support_network_contact.with_whom", "100 characters")];
    }
}

#[test]
fn every_rule_of_an_outcome_is_held() {
    fn start(change: fn(&mut v1::JobStart)) -> Option<Outcome> {
        let mut start = job_start(true);
        change(&mut start);
        Some(Outcome::JobStart(start))
    }
    let read = |m: &v1::OutcomeContent, b: &mut Violations| outcome::read_and_check(m, "content", today(), b);
    cases! { outcome(Outcome::JobStart(job_start(true))), read;
        |_| {} => [];
        |m| m.kind = None => [("content.kind", "exactly one kind")];
        |m| m.remark = Some(long(2001)) => [("content.remark", "2000 characters")];
        |m| m.remark = Some("a\u{7f}".into()) => [("content.remark", "control character")];
        |m| m.kind = start(|s| s.employer = None) => [("content.job_start.employer", "is required")];
        |m| m.kind = start(|s| s.employer.as_mut().unwrap().name = String::new()) => [("content.job_start.employer.name", "is required")];
        |m| m.kind = start(|s| s.employer.as_mut().unwrap().name = long(201)) => [("content.job_start.employer.name", "200 characters")];
        |m| m.kind = start(|s| s.employer.as_mut().unwrap().post = String::new()) => [("content.job_start.employer.post", "is required")];
        |m| m.kind = start(|s| s.employer.as_mut().unwrap().post = long(201)) => [("content.job_start.employer.post", "200 characters")];
        |m| m.kind = start(|s| s.started_on = String::new()) => [("content.job_start.started_on", "is required")];
        |m| m.kind = start(|s| { s.started_on = "2026-03-04".into(); s.four_paid_hours_on = None })
            => [("content.job_start.started_on", "future")];
        |m| m.kind = start(|s| s.four_paid_hours_on = Some("2026-02-28".into()))
            => [("content.job_start.four_paid_hours_on", "before started_on")];
        |m| m.kind = start(|s| s.four_paid_hours_on = Some("2026-03-04".into()))
            => [("content.job_start.four_paid_hours_on", "future")];
        |m| m.kind = start(|s| s.four_paid_hours_on = Some("x".into())) => [("content.job_start.four_paid_hours_on", "YYYY-MM-DD")];
        |m| m.kind = start(|s| s.fixed_term_ends_on = None) => [("content.job_start.fixed_term_ends_on", "required with fixed_term")];
        |m| m.kind = start(|s| s.fixed_term = false) => [("content.job_start.fixed_term_ends_on", "only with fixed_term")];
        |m| m.kind = start(|s| s.fixed_term_ends_on = Some("2026-02-01".into()))
            => [("content.job_start.fixed_term_ends_on", "before started_on")];
        |m| m.kind = start(|s| s.weekly_minutes = 6001) => [("content.job_start.weekly_minutes", "0 to 6000")];
        |m| m.kind = Some(Outcome::JobOffer(v1::JobOffer::default()))
            => [("content.job_offer.employer", "is required"), ("content.job_offer.offered_on", "is required")];
        |m| m.kind = Some(Outcome::JobOffer(v1::JobOffer { employer: employer(true), offered_on: "2026-03-04".into(), accepted: None }))
            => [("content.job_offer.offered_on", "future")];
        |m| m.kind = Some(Outcome::JobRetained(v1::JobRetained { weekly_minutes: -1, ..Default::default() })) => [
            ("content.job_retained.employer", "is required"), ("content.job_retained.retained_on", "is required"),
            ("content.job_retained.weekly_minutes", "0 to 6000"),
        ];
        |m| m.kind = Some(Outcome::JobRetained(v1::JobRetained { employer: employer(true), retained_on: "2026-03-04".into(), weekly_minutes: 0 }))
            => [("content.job_retained.retained_on", "future")];
        |m| m.kind = Some(Outcome::StillInWork(v1::StillInWork::default())) => [
            ("content.still_in_work.job_id", "is required"), ("content.still_in_work.on", "is required"),
            ("content.still_in_work.confirmed_by", "is required"),
        ];
        |m| m.kind = Some(Outcome::StillInWork(v1::StillInWork { job_id: "7".into(), on: "2026-03-04".into(), confirmed_by: 9 })) => [
            ("content.still_in_work.job_id", "26 characters"), ("content.still_in_work.confirmed_by", "not one of the values"),
            ("content.still_in_work.on", "future"),
        ];
        |m| m.kind = Some(Outcome::JobEnd(v1::JobEnd::default())) => [
            ("content.job_end.job_id", "is required"), ("content.job_end.ended_on", "is required"),
            ("content.job_end.reason", "is required"),
        ];
        |m| m.kind = Some(Outcome::JobEnd(v1::JobEnd { ended_on: "2026-03-04".into(), ..job_end(true) }))
            => [("content.job_end.ended_on", "future")];
        |m| m.kind = Some(Outcome::HoursChanged(v1::HoursChanged { weekly_minutes: 6001, ..Default::default() })) => [
            ("content.hours_changed.job_id", "is required"), ("content.hours_changed.from", "is required"),
            ("content.hours_changed.weekly_minutes", "0 to 6000"),
        ];
        |m| m.kind = Some(Outcome::HoursChanged(v1::HoursChanged { job_id: job_id().to_string(), from: "2026-03-04".into(), weekly_minutes: 1 }))
            => [("content.hours_changed.from", "future")];
        |m| m.kind = Some(Outcome::WorkPlacement(v1::WorkPlacement::default()))
            => [("content.work_placement.host", "is required"), ("content.work_placement.started_on", "is required")];
        |m| m.kind = Some(Outcome::WorkPlacement(v1::WorkPlacement { host: employer(true), started_on: "2026-03-04".into(), ended_on: None }))
            => [("content.work_placement.started_on", "future")];
        |m| m.kind = Some(Outcome::WorkPlacement(v1::WorkPlacement {
                host: employer(true), started_on: "2026-03-02".into(), ended_on: Some("2026-03-01".into()),
            })) => [("content.work_placement.ended_on", "before started_on")];
        |m| m.kind = Some(Outcome::VoluntaryWork(v1::VoluntaryWork::default()))
            => [("content.voluntary_work.host", "is required"), ("content.voluntary_work.started_on", "is required")];
        |m| m.kind = Some(Outcome::VoluntaryWork(v1::VoluntaryWork { host: employer(true), started_on: "2026-03-04".into() }))
            => [("content.voluntary_work.started_on", "future")];
        |m| m.kind = Some(Outcome::Education(v1::Education::default()))
            => [("content.education.course", "is required"), ("content.education.started_on", "is required")];
        |m| m.kind = Some(Outcome::Education(v1::Education { course: long(201), started_on: "2026-03-04".into() }))
            => [("content.education.course", "200 characters"), ("content.education.started_on", "future")];
        |m| m.kind = Some(Outcome::StatusRecorded(v1::StatusRecorded { weekly_minutes: Some(6001), ..Default::default() })) => [
            ("content.status_recorded.status", "is required"), ("content.status_recorded.recorded_on", "is required"),
            ("content.status_recorded.weekly_minutes", "0 to 6000"),
        ];
        |m| m.kind = Some(Outcome::StatusRecorded(v1::StatusRecorded { status: 2, recorded_on: "2026-03-04".into(), weekly_minutes: Some(60) }))
            => [("content.status_recorded.recorded_on", "future"), ("content.status_recorded.weekly_minutes", "only with status EMPLOYED")];
    }
}

/// A stand-in for a broken field must neither hide a rule between other fields nor break one by itself.
#[test]
fn faults_in_fields_and_faults_between_fields_are_reported_together() {
    let mut m = note(Note::JobSearch(v1::JobSearch {}));
    m.text = String::new();
    m.contact.as_mut().expect("there").mechanism = 0;
    m.contact.as_mut().expect("there").duration_minutes = Some(9999);
    m.risk_disclosed = Some(v1::RiskDisclosed { told_at: at("2026-03-01T00:00:00Z"), told_whom: String::new() });
    let found: BTreeSet<String> = broken(|b| note_read(&m, b)).into_iter().map(|v| v.field).collect();
    let expected = [
        "content.contact.duration_minutes",
        "content.contact.mechanism",
        "content.risk_disclosed.told_at",
        "content.risk_disclosed.told_whom",
        "content.text",
    ];
    assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);

    let mut p = patient_details();
    p.nhs_number = Some("12".into());
    p.local_identifiers.clear();
    p.gender = 0;
    let found = broken(|b| patient::read_and_check(&p, "details", today(), b));
    let fields: Vec<&str> = found.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(fields, ["details.nhs_number", "details.gender"]);
}

#[test]
fn a_missing_part_is_one_violation() {
    let none: Option<&v1::Author> = None;
    let found = broken(|b| super::required(none, "author", b, person::read_author));
    assert_eq!(found, [Violation { field: "author".into(), rule: "is required".into() }]);
}

#[test]
fn no_rule_repeats_the_value_that_broke_it() {
    let canary = "CANARY7";
    let mut m = note(Note::EmployerContact(v1::EmployerContact {
        employer_name: canary.repeat(40),
        ..employer_contact(true, true)
    }));
    m.text = format!("{canary}\u{0}");
    m.contact.as_mut().expect("there").location_code = Some(canary.into());
    m.contact.as_mut().expect("there").others_present = Some(canary.repeat(40));
    let mut p = patient_details();
    p.nhs_number = Some(canary.into());
    p.date_of_birth = canary.into();
    p.phone = Some(canary.repeat(10));
    p.local_identifiers[0].value = format!("{canary} 1");
    p.local_identifiers[0].assigning_authority = format!("{canary}^1");
    let mut all = broken(|b| note_read(&m, b));
    all.extend(broken(|b| patient::read_and_check(&p, "details", today(), b)));
    assert!(all.len() >= 9, "{all:?}");
    assert!(all.iter().all(|v| !v.rule.contains(canary) && !v.field.contains(canary)), "{all:?}");
}

#[test]
fn a_million_identifiers_cost_no_more_than_a_few_hundred() {
    let mut p = patient_details();
    p.local_identifiers = vec![v1::LocalIdentifier::default(); 1_000_000];
    assert!(broken(|b| patient::read_and_check(&p, "details", today(), b)).len() < 800);
    let mut r = referral_details();
    r.external_ids = vec![v1::ExternalId::default(); 1_000_000];
    assert!(broken(|b| referral::read_and_check(&r, "details", b)).len() < 40);
}
