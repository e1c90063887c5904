//! One test for each rule and trap, from notes and outcomes to the number.

use super::*;
use crate::domain::ids::OutcomeId;
use crate::domain::note::{
    Attendance, Contact, ContactMechanism, ContactMode, EmployerContact, EmployerContactPurpose, NoteContent, NoteKind,
    ProfileStage, Sensitivity,
};
use crate::domain::organisation::TeamId;
use crate::domain::outcome::{ConfirmedBy, Employer, JobEndReason, JobStart, Outcome, OutcomeContent, OutcomeKind};
use crate::domain::person::Author;
use crate::domain::referral::{
    EmploymentStatus, Referral, ReferralDetails, ReferralPriority, ReferralState, SourceCode,
};
use jiff::civil::date;
use uuid::Uuid;

/// As GB has it, without a time zone database.
fn london() -> TimeZone {
    TimeZone::posix("GMT0BST,M3.5.0/1,M10.5.0").expect("a POSIX time zone")
}

fn ods() -> OdsCode {
    OdsCode::parse("RXX").expect("an ODS code")
}

fn text(t: &str) -> Private<String> {
    Private(t.into())
}

/// Noon in London.
fn noon(day: Date) -> Timestamp {
    day.at(12, 0, 0, 0).to_zoned(london()).expect("noon exists").timestamp()
}

fn march() -> Period {
    Period::new(date(2026, 3, 1), date(2026, 3, 31)).expect("a period")
}

fn specialist(staff_id: &str) -> Author {
    Author {
        staff_id: StaffId::parse(staff_id).expect("a staff id"),
        display_name: text(staff_id),
        role_title: text("Employment Specialist"),
        organisation: ods(),
    }
}

/// A service: referrals with their notes and outcomes.
#[derive(Default)]
struct Service {
    referrals: Vec<Referral>,
    notes: Vec<(ReferralId, NoteContent)>,
    outcomes: Vec<Outcome>,
}

impl Service {
    /// Received and accepted on 2 February 2026 by an out-of-work client of its own.
    fn referral(&mut self) -> ReferralId {
        let n = self.referrals.len() as u128 + 1;
        let id = ReferralId(Uuid::from_u128(n));
        let received_at = noon(date(2026, 2, 2));
        self.referrals.push(Referral {
            id,
            trust: ods(),
            version: 1,
            patient_id: PatientId(Uuid::from_u128(100 + n)),
            state: ReferralState::Accepted,
            details: ReferralDetails {
                external_ids: vec![],
                source: SourceCode::parse("P1").expect("a source"),
                priority: ReferralPriority::Routine,
                referrer_name: text("x"),
                referrer_role: None,
                referrer_ods: None,
                referring_team: None,
                team: TeamId::parse("ips").expect("a team"),
                site: None,
                reason: None,
                employment_status: Some(EmploymentStatus::SeekingWork),
                job_retention: false,
                months_out_of_work: None,
            },
            received_at,
            accepted_at: Some(received_at),
            declined_at: None,
            closed_at: None,
            decline_reason: None,
            decline_text: None,
            close_reason: None,
            assigned_to: Some(specialist("ES-1")),
            received_from: None,
            received_control_id: None,
            touched_at: received_at,
            employer_approach: None,
        });
        id
    }

    fn change(&mut self, id: ReferralId, change: impl FnOnce(&mut Referral)) {
        change(self.referrals.iter_mut().find(|r| r.id == id).expect("made before"));
    }

    fn note(&mut self, id: ReferralId, on: Date, kind: NoteKind) {
        self.contact(id, noon(on), kind, ContactMechanism::FaceToFace, Attendance::AttendedOnTime);
    }

    fn contact(&mut self, id: ReferralId, at: Timestamp, kind: NoteKind, m: ContactMechanism, a: Attendance) {
        let alone = matches!(&kind, NoteKind::TeamDiscussion { .. })
            || matches!(&kind, NoteKind::EmployerContact(c) if !c.client_present);
        let contact = Contact {
            mechanism: m,
            attendance: a,
            mode: ContactMode::Individual,
            duration_minutes: Some(30),
            location: None,
            others_present: None,
        };
        let content = NoteContent {
            occurred_at: at,
            text: text("x"),
            contact: (!alone).then_some(contact),
            sensitivity: Sensitivity::default(),
            risk_disclosed: None,
            kind,
        };
        self.notes.push((id, content));
    }

    fn outcome(&mut self, id: ReferralId, kind: OutcomeKind) -> OutcomeId {
        let of = self.referrals.iter().find(|r| r.id == id).expect("made before");
        let outcome_id = OutcomeId(Uuid::from_u128(1000 + self.outcomes.len() as u128));
        self.outcomes.push(Outcome {
            id: outcome_id,
            trust: ods(),
            patient_id: of.patient_id,
            referral_id: id,
            version: 1,
            withdrawn: false,
            current: Some(OutcomeContent { remark: None, kind }),
        });
        outcome_id
    }

    /// A job whose four paid hours were worked on its first day.
    fn job(&mut self, id: ReferralId, on: Date) -> OutcomeId {
        self.outcome(id, start(on, Some(on)))
    }

    fn still_in_work(&mut self, id: ReferralId, job_id: OutcomeId, on: Date) {
        self.outcome(id, OutcomeKind::StillInWork { job_id, on, confirmed_by: ConfirmedBy::PaySlip });
    }

    fn job_end(&mut self, id: ReferralId, job_id: OutcomeId, ended_on: Date) {
        let reason = JobEndReason::NotKnown;
        self.outcome(id, OutcomeKind::JobEnd { job_id, ended_on, reason, share_in_record: false });
    }

    fn measure(&self, kind: MeasureKind, period: Period) -> Measured {
        let notes = self.notes.iter().map(|(id, c)| (*id, c));
        measure(kind, &facts(&self.referrals, notes, &self.outcomes), period, &london())
    }

    /// Numerator and denominator in March 2026.
    fn in_march(&self, kind: MeasureKind) -> (usize, Option<usize>) {
        let m = self.measure(kind, march());
        (m.numerator.len(), m.denominator.map(|d| d.len()))
    }
}

fn host() -> Employer {
    Employer { name: text("x"), post: text("y"), share_in_record: false }
}

fn start(started_on: Date, four_paid_hours_on: Option<Date>) -> OutcomeKind {
    OutcomeKind::JobStart(JobStart {
        employer: host(),
        started_on,
        four_paid_hours_on,
        competitive: true,
        fixed_term_ends_on: None,
        weekly_minutes: 600,
        self_employed: false,
        variable_hours: false,
    })
}

fn profile(stage: ProfileStage, client_committed: bool) -> NoteKind {
    NoteKind::VocationalProfile { stage, client_committed }
}

fn plan(client_engaged: bool) -> NoteKind {
    NoteKind::ActionPlan { client_engaged, review_on: None }
}

fn employer(face_to_face: bool, client_present: bool) -> NoteKind {
    NoteKind::EmployerContact(EmployerContact {
        purpose: EmployerContactPurpose::JobDevelopment,
        employer_name: text("x"),
        share_in_record: false,
        face_to_face,
        in_clients_name: false,
        client_present,
    })
}

// ---- access

#[test]
fn access_counts_each_referral_once_whatever_its_contacts() {
    let mut s = Service::default();
    let r = s.referral();
    for day in [1, 15, 31] {
        s.note(r, date(2026, 3, day), NoteKind::JobSearch);
    }
    assert_eq!(s.in_march(MeasureKind::AccessedNhse), (1, None));
    assert_eq!(s.measure(MeasureKind::AccessedNhse, march()).numerator[0].on, date(2026, 3, 1));
}

#[test]
fn a_person_with_two_referrals_is_two_accesses() {
    let mut s = Service::default();
    let (a, b) = (s.referral(), s.referral());
    let same = s.referrals[0].patient_id;
    s.change(b, |r| r.patient_id = same);
    s.note(a, date(2026, 3, 2), NoteKind::JobSearch);
    s.note(b, date(2026, 3, 3), NoteKind::JobSearch);
    assert_eq!(s.in_march(MeasureKind::AccessedNhse), (2, None));
}

#[test]
fn an_email_a_missed_appointment_and_a_team_meeting_are_no_access() {
    use {Attendance::*, ContactMechanism::*};
    let held = [
        (FaceToFace, AttendedLate, 1),
        (Telephone, AttendedOnTime, 1),
        (TalkType, AttendedOnTime, 1),
        (Video, AttendedOnTime, 1),
    ];
    let not = [
        (Email, AttendedOnTime, 0),
        (TextMessage, AttendedOnTime, 0),
        (InstantMessage, AttendedOnTime, 0),
        (MessageBoard, AttendedOnTime, 0),
        (ChatRoom, AttendedOnTime, 0),
        (Other, AttendedOnTime, 0),
        (FaceToFace, ArrivedTooLate, 0),
        (FaceToFace, CancelledByClient, 0),
        (FaceToFace, DidNotAttend, 0),
        (Telephone, CancelledByService, 0),
    ];
    for (mechanism, attendance, expected) in held.into_iter().chain(not) {
        let mut s = Service::default();
        let r = s.referral();
        s.contact(r, noon(date(2026, 3, 9)), NoteKind::JobClub, mechanism, attendance);
        assert_eq!(s.in_march(MeasureKind::AccessedNhse), (expected, None), "{mechanism:?} {attendance:?}");
    }
    let mut s = Service::default();
    let r = s.referral();
    s.note(r, date(2026, 3, 9), NoteKind::TeamDiscussion { team: None });
    s.note(r, date(2026, 3, 9), employer(true, false));
    assert_eq!(s.in_march(MeasureKind::AccessedNhse), (0, None));
}

#[test]
fn ips_grows_access_needs_both_a_started_profile_and_a_committed_client() {
    let mut s = Service::default();
    let (started, both, later) = (s.referral(), s.referral(), s.referral());
    s.note(started, date(2026, 3, 2), profile(ProfileStage::Started, false));
    s.note(both, date(2026, 3, 3), profile(ProfileStage::Started, true));
    s.note(later, date(2026, 2, 10), profile(ProfileStage::Started, false));
    s.note(later, date(2026, 3, 20), profile(ProfileStage::Updated, true));
    let m = s.measure(MeasureKind::AccessedIpsGrow, march());
    let counted: Vec<_> = m.numerator.iter().map(|c| (c.referral_id, c.on)).collect();
    assert_eq!(counted, [(both, date(2026, 3, 3)), (later, date(2026, 3, 20))]);
    assert_eq!(
        s.in_march(MeasureKind::ProfileStarted),
        (2, None),
        "committed or not, but not the one begun in February"
    );
}

#[test]
fn ips_grows_access_counts_once_and_not_again_in_the_next_period() {
    let mut s = Service::default();
    let r = s.referral();
    s.note(r, date(2026, 2, 10), profile(ProfileStage::Started, true));
    s.note(r, date(2026, 3, 10), profile(ProfileStage::Completed, true));
    assert_eq!(s.in_march(MeasureKind::AccessedIpsGrow), (0, None));
    assert_eq!(s.in_march(MeasureKind::ProfileStarted), (0, None));
}

#[test]
fn a_profile_begun_elsewhere_or_at_a_missed_appointment_is_not_started_here() {
    let mut s = Service::default();
    let (updated, missed, one_sitting) = (s.referral(), s.referral(), s.referral());
    s.note(updated, date(2026, 3, 2), profile(ProfileStage::Updated, true));
    let kind = profile(ProfileStage::Started, true);
    s.contact(missed, noon(date(2026, 3, 2)), kind, ContactMechanism::FaceToFace, Attendance::DidNotAttend);
    s.note(one_sitting, date(2026, 3, 2), profile(ProfileStage::Completed, true));
    for kind in [MeasureKind::ProfileStarted, MeasureKind::AccessedIpsGrow] {
        let m = s.measure(kind, march());
        assert_eq!(m.numerator.iter().map(|c| c.referral_id).collect::<Vec<_>>(), [one_sitting]);
    }
}

// ---- how soon

#[test]
fn days_to_first_contact_fall_into_three_bands_without_a_gap() {
    use MeasureKind::*;
    for (days, expected) in [(0, [1, 0, 0]), (7, [1, 0, 0]), (8, [0, 1, 0]), (30, [0, 1, 0]), (31, [0, 0, 1])] {
        let mut s = Service::default();
        let r = s.referral();
        s.change(r, |r| r.received_at = noon(date(2026, 3, 20)));
        s.note(r, date(2026, 3, 20) + Span::new().days(days), NoteKind::JobSearch);
        let found = [FirstContactWithin7Days, FirstContact8To30Days, FirstContactAfter30Days].map(|k| s.in_march(k));
        assert_eq!(found, expected.map(|n| (n, Some(1))), "{days} days");
    }
}

#[test]
fn days_are_calendar_days_of_the_trust_not_multiples_of_24_hours() {
    let mut s = Service::default();
    let r = s.referral();
    // Late on Monday, early on the Tuesday of the week after: 7 days and 1 hour, and 8 calendar days; the clocks change between.
    let received = date(2026, 3, 23).at(23, 30, 0, 0).to_zoned(london()).expect("exists").timestamp();
    let met = date(2026, 3, 31).at(0, 30, 0, 0).to_zoned(london()).expect("exists").timestamp();
    assert_eq!((met - received).get_seconds(), 7 * 86_400);
    s.change(r, |r| r.received_at = received);
    s.contact(r, met, NoteKind::JobSearch, ContactMechanism::Telephone, Attendance::AttendedOnTime);
    assert_eq!(s.in_march(MeasureKind::FirstContactWithin7Days), (0, Some(1)));
    assert_eq!(s.in_march(MeasureKind::FirstContact8To30Days), (1, Some(1)));
}

#[test]
fn a_referral_nobody_contacted_is_in_neither_number_of_first_contact() {
    let mut s = Service::default();
    let (r, not_contacted) = (s.referral(), s.referral());
    for id in [r, not_contacted] {
        s.change(id, |r| r.received_at = noon(date(2026, 3, 2)));
    }
    s.note(r, date(2026, 3, 3), NoteKind::JobSearch);
    s.contact(
        not_contacted,
        noon(date(2026, 3, 3)),
        NoteKind::JobSearch,
        ContactMechanism::Email,
        Attendance::AttendedOnTime,
    );
    assert_eq!(s.in_march(MeasureKind::FirstContactWithin7Days), (1, Some(1)));
}

#[test]
fn a_client_met_before_the_referral_arrived_was_met_within_7_days() {
    let mut s = Service::default();
    let r = s.referral();
    s.change(r, |r| r.received_at = noon(date(2026, 3, 10)));
    s.note(r, date(2026, 3, 2), NoteKind::JobSearch);
    assert_eq!(s.in_march(MeasureKind::FirstContactWithin7Days), (1, Some(1)));
}

#[test]
fn the_first_employer_contact_is_face_to_face_and_within_30_days_of_acceptance() {
    let accepted = date(2026, 3, 2);
    let day = |n: i32| accepted + Span::new().days(n);
    let cases = [
        (day(30), employer(true, false), 1),
        (day(30), employer(true, true), 1),
        (day(31), employer(true, false), 0),
        (day(5), employer(false, false), 0),
        (day(5), NoteKind::JobSearch, 0),
    ];
    for (on, kind, expected) in cases {
        let mut s = Service::default();
        let (r, not_accepted) = (s.referral(), s.referral());
        s.change(r, |r| r.accepted_at = Some(noon(accepted)));
        s.change(not_accepted, |r| r.accepted_at = None);
        s.note(r, on, kind.clone());
        s.note(not_accepted, on, kind);
        assert_eq!(s.in_march(MeasureKind::FirstEmployerContactWithin30Days), (expected, Some(1)), "{on}");
    }
}

#[test]
fn an_employer_contact_that_fell_through_is_none() {
    let mut s = Service::default();
    let r = s.referral();
    s.change(r, |r| r.accepted_at = Some(noon(date(2026, 3, 2))));
    s.contact(
        r,
        noon(date(2026, 3, 9)),
        employer(true, true),
        ContactMechanism::FaceToFace,
        Attendance::CancelledByService,
    );
    assert_eq!(s.in_march(MeasureKind::FirstEmployerContactWithin30Days), (0, Some(1)));
}

// ---- jobs

#[test]
fn a_work_placement_is_never_a_job_start() {
    let mut s = Service::default();
    let r = s.referral();
    s.note(r, date(2026, 2, 3), NoteKind::JobSearch);
    let on = date(2026, 3, 2);
    s.outcome(r, OutcomeKind::WorkPlacement { host: host(), started_on: on, ended_on: None });
    assert_no_job(&s);
}

#[test]
fn voluntary_work_an_offer_a_course_and_a_status_are_never_job_starts() {
    let mut s = Service::default();
    let r = s.referral();
    s.note(r, date(2026, 2, 3), NoteKind::JobSearch);
    let on = date(2026, 3, 2);
    s.outcome(r, OutcomeKind::VoluntaryWork { host: host(), started_on: on });
    s.outcome(r, OutcomeKind::JobOffer { employer: host(), offered_on: on, accepted: Some(true) });
    s.outcome(r, OutcomeKind::Education { course: text("x"), started_on: on });
    s.outcome(
        r,
        OutcomeKind::StatusRecorded { status: EmploymentStatus::Employed, recorded_on: on, weekly_minutes: None },
    );
    assert_no_job(&s);
}

#[test]
fn a_job_kept_is_not_a_job_start() {
    let mut s = Service::default();
    let r = s.referral();
    s.note(r, date(2026, 2, 3), NoteKind::JobSearch);
    s.outcome(r, OutcomeKind::JobRetained { employer: host(), retained_on: date(2026, 3, 2), weekly_minutes: 600 });
    assert_no_job(&s);
}

fn assert_no_job(s: &Service) {
    assert_eq!(s.in_march(MeasureKind::JobStarts), (0, None));
    assert_eq!(s.in_march(MeasureKind::PeopleIntoWork), (0, None));
    assert_eq!(s.in_march(MeasureKind::EmploymentRate), (0, Some(1)));
    let year = Period::new(date(2026, 1, 1), date(2026, 12, 31)).expect("a period");
    assert_eq!(s.measure(MeasureKind::Sustained13Weeks, year).denominator, Some(vec![]));
}

#[test]
fn a_job_start_counts_from_the_day_four_paid_hours_were_worked_and_not_before() {
    let mut s = Service::default();
    let r = s.referral();
    s.note(r, date(2026, 2, 3), NoteKind::JobSearch);
    s.outcome(r, start(date(2026, 3, 30), Some(date(2026, 4, 1))));
    s.outcome(r, start(date(2026, 3, 2), None));
    assert_eq!(s.in_march(MeasureKind::JobStarts), (0, None));
    assert_eq!(s.in_march(MeasureKind::PeopleIntoWork), (0, None));
    assert_eq!(s.in_march(MeasureKind::EmploymentRate), (0, Some(1)));
    let april = Period::new(date(2026, 4, 1), date(2026, 4, 30)).expect("a period");
    let m = s.measure(MeasureKind::JobStarts, april);
    assert_eq!(m.numerator.iter().map(|c| c.on).collect::<Vec<_>>(), [date(2026, 4, 1)]);
    assert_eq!(s.measure(MeasureKind::EmploymentRate, april).numerator.len(), 1);
}

#[test]
fn two_jobs_at_once_are_one_person_into_work() {
    let mut s = Service::default();
    let r = s.referral();
    let first = s.job(r, date(2026, 3, 2));
    s.job(r, date(2026, 3, 2));
    s.job(r, date(2026, 3, 20));
    assert_eq!(s.in_march(MeasureKind::JobStarts), (3, None));
    let people = s.measure(MeasureKind::PeopleIntoWork, march()).numerator;
    assert_eq!(people.iter().map(|c| c.job_id).collect::<Vec<_>>(), [Some(first)]);
}

#[test]
fn a_second_job_in_a_later_period_is_a_job_start_and_no_new_person() {
    let mut s = Service::default();
    let r = s.referral();
    let first = s.job(r, date(2026, 2, 16));
    s.job_end(r, first, date(2026, 3, 1));
    s.job(r, date(2026, 3, 16));
    assert_eq!(s.in_march(MeasureKind::JobStarts), (1, None));
    assert_eq!(s.in_march(MeasureKind::PeopleIntoWork), (0, None));
}

#[test]
fn one_person_with_two_referrals_goes_into_work_once() {
    let mut s = Service::default();
    let (a, b) = (s.referral(), s.referral());
    let same = s.referrals[0].patient_id;
    s.change(b, |r| r.patient_id = same);
    s.job(a, date(2026, 3, 9));
    s.job(b, date(2026, 3, 2));
    let people = s.measure(MeasureKind::PeopleIntoWork, march()).numerator;
    assert_eq!(people.iter().map(|c| (c.referral_id, c.on)).collect::<Vec<_>>(), [(b, date(2026, 3, 2))]);
}

#[test]
fn what_was_withdrawn_was_never_there() {
    let mut s = Service::default();
    let r = s.referral();
    let job = s.job(r, date(2026, 3, 2));
    s.still_in_work(r, job, date(2026, 3, 9));
    s.outcomes[0].withdrawn = true;
    s.outcomes[0].current = None;
    assert_eq!(s.in_march(MeasureKind::JobStarts), (0, None));
    assert_eq!(s.in_march(MeasureKind::PeopleIntoWork), (0, None));
}

// ---- employment rate

#[test]
fn an_in_work_client_is_in_neither_number_of_the_employment_rate() {
    use EmploymentStatus::*;
    let cases = [
        (Some(Employed), 0),
        (Some(NotStated), 0),
        (None, 0),
        (Some(SeekingWork), 1),
        (Some(Student), 1),
        (Some(LongTermSick), 1),
        (Some(LookingAfterHome), 1),
        (Some(NotSeeking), 1),
        (Some(VoluntaryWork), 1),
        (Some(Retired), 1),
    ];
    for (status, counted) in cases {
        let mut s = Service::default();
        let r = s.referral();
        s.change(r, |r| r.details.employment_status = status);
        s.note(r, date(2026, 3, 2), NoteKind::JobSearch);
        s.job(r, date(2026, 3, 9));
        assert_eq!(s.in_march(MeasureKind::EmploymentRate), (counted, Some(counted)), "{status:?}");
        assert_eq!(s.in_march(MeasureKind::JobStarts), (1, None), "the job itself counts whoever starts it");
    }
}

#[test]
fn a_client_never_contacted_is_in_neither_number_of_the_employment_rate() {
    let mut s = Service::default();
    let (r, later) = (s.referral(), s.referral());
    s.job(r, date(2026, 3, 9));
    s.note(later, date(2026, 4, 1), NoteKind::JobSearch);
    assert_eq!(s.in_march(MeasureKind::EmploymentRate), (0, Some(0)));
}

#[test]
fn two_jobs_count_once_in_the_employment_rate() {
    let mut s = Service::default();
    let r = s.referral();
    s.note(r, date(2026, 2, 3), NoteKind::JobSearch);
    s.job(r, date(2026, 2, 9));
    s.job(r, date(2026, 3, 9));
    assert_eq!(s.in_march(MeasureKind::EmploymentRate), (1, Some(1)));
}

// ---- caseload

#[test]
fn the_caseload_is_what_was_accepted_and_open_when_the_last_day_ended() {
    let last_minute = date(2026, 3, 31).at(23, 59, 0, 0).to_zoned(london()).expect("exists").timestamp();
    let next_day = date(2026, 4, 1).at(0, 0, 0, 0).to_zoned(london()).expect("exists").timestamp();
    let mut s = Service::default();
    let open = s.referral();
    let (closed_after, closed_on_last_day) = (s.referral(), s.referral());
    s.change(closed_after, |r| r.closed_at = Some(next_day));
    s.change(closed_on_last_day, |r| r.closed_at = Some(last_minute));
    let (accepted_late, accepted_after, never) = (s.referral(), s.referral(), s.referral());
    s.change(accepted_late, |r| r.accepted_at = Some(last_minute));
    s.change(accepted_after, |r| r.accepted_at = Some(next_day));
    s.change(never, |r| r.accepted_at = None);
    let m = s.measure(MeasureKind::Caseload, march());
    let mut counted: Vec<_> = m.numerator.iter().map(|c| c.referral_id).collect();
    counted.sort();
    assert_eq!(counted, [open, closed_after, accepted_late]);
    assert_eq!(m.denominator, None);
}

#[test]
fn the_caseload_is_broken_down_by_specialist_and_adds_up() {
    let mut s = Service::default();
    for _ in 0..3 {
        s.referral();
    }
    let other = s.referral();
    s.change(other, |r| r.assigned_to = Some(specialist("ES-0")));
    let closed = s.referral();
    s.change(closed, |r| r.closed_at = Some(noon(date(2026, 3, 2))));
    let m = s.measure(MeasureKind::Caseload, march());
    let parts: Vec<_> = m.breakdown.iter().map(|p| (p.staff_id.as_str(), p.count)).collect();
    assert_eq!(parts, [("ES-1", 3), ("ES-0", 1)]);
    assert_eq!(m.numerator.len(), 4);
}

#[test]
fn the_same_staff_id_with_two_employers_is_two_specialists() {
    let mut s = Service::default();
    s.referral();
    let other = s.referral();
    let charity = Author { organisation: OdsCode::parse("A8JX").expect("an ODS code"), ..specialist("ES-1") };
    s.change(other, |r| r.assigned_to = Some(charity));
    let counts: Vec<_> = s.measure(MeasureKind::Caseload, march()).breakdown.iter().map(|p| p.count).collect();
    assert_eq!(counts, [1, 1]);
}

#[test]
fn the_retention_share_is_of_the_open_caseload() {
    let mut s = Service::default();
    s.referral();
    let (kept, closed) = (s.referral(), s.referral());
    for id in [kept, closed] {
        s.change(id, |r| r.details.job_retention = true);
    }
    s.change(closed, |r| r.closed_at = Some(noon(date(2026, 3, 2))));
    assert_eq!(s.in_march(MeasureKind::RetentionShare), (1, Some(2)));
}

#[test]
fn an_active_client_was_in_contact_in_the_last_28_days_and_is_engaged_in_a_plan() {
    let cases = [
        (Some(date(2026, 3, 4)), Some(true), 1),
        (Some(date(2026, 3, 31)), Some(true), 1),
        (Some(date(2026, 3, 3)), Some(true), 0),
        (Some(date(2026, 4, 1)), Some(true), 0),
        (None, Some(true), 0),
        (Some(date(2026, 3, 20)), Some(false), 0),
        (Some(date(2026, 3, 20)), None, 0),
    ];
    for (met, engaged, expected) in cases {
        let mut s = Service::default();
        let r = s.referral();
        if let Some(engaged) = engaged {
            s.note(r, date(2026, 2, 10), plan(engaged));
        }
        if let Some(met) = met {
            s.note(r, met, NoteKind::JobSearch);
        }
        assert_eq!(s.in_march(MeasureKind::ActiveIn4Weeks), (expected, Some(1)), "{met:?} {engaged:?}");
    }
}

#[test]
fn an_email_keeps_a_client_active_and_a_missed_appointment_does_not() {
    for (mechanism, attendance, expected) in [
        (ContactMechanism::Email, Attendance::AttendedOnTime, 1),
        (ContactMechanism::FaceToFace, Attendance::DidNotAttend, 0),
    ] {
        let mut s = Service::default();
        let r = s.referral();
        s.note(r, date(2026, 2, 10), plan(true));
        s.contact(r, noon(date(2026, 3, 20)), NoteKind::JobSearch, mechanism, attendance);
        s.note(r, date(2026, 3, 21), NoteKind::TeamDiscussion { team: None });
        assert_eq!(s.in_march(MeasureKind::ActiveIn4Weeks), (expected, Some(1)));
    }
}

#[test]
fn the_latest_plan_of_the_period_says_whether_a_client_is_engaged() {
    let mut s = Service::default();
    let (left, back) = (s.referral(), s.referral());
    s.note(left, date(2026, 3, 20), plan(false));
    s.note(left, date(2026, 3, 10), plan(true));
    s.note(back, date(2026, 3, 10), plan(true));
    s.note(back, date(2026, 4, 2), plan(false));
    let m = s.measure(MeasureKind::ActiveIn4Weeks, march());
    assert_eq!(m.numerator.iter().map(|c| c.referral_id).collect::<Vec<_>>(), [back]);
}

#[test]
fn a_referral_counts_as_received_on_its_day_whatever_became_of_it() {
    let mut s = Service::default();
    let r = s.referral();
    s.change(r, |r| {
        r.received_at = date(2026, 3, 31).at(23, 59, 59, 0).to_zoned(london()).expect("exists").timestamp();
        r.state = ReferralState::Declined;
        r.accepted_at = None;
    });
    assert_eq!(s.in_march(MeasureKind::ReferralsReceived), (1, None));
    assert_eq!(s.measure(MeasureKind::ReferralsReceived, march()).numerator[0].on, date(2026, 3, 31));
}

// ---- sustained

/// The 13 weeks of a job that began on 8 December 2025 end on 9 March 2026.
fn began() -> Date {
    date(2025, 12, 8)
}

#[test]
fn thirteen_weeks_are_proved_by_a_confirmation_on_the_day_or_later_and_nothing_else() {
    assert_eq!(began() + Span::new().days(91), date(2026, 3, 9));
    let cases = [
        (Some(date(2026, 3, 9)), None, 1),
        (Some(date(2026, 5, 1)), None, 1),
        (Some(date(2026, 3, 8)), None, 0),
        (None, None, 0),
        (None, Some(date(2026, 5, 1)), 0),
        (Some(date(2026, 3, 9)), Some(date(2026, 3, 9)), 1),
        (Some(date(2026, 3, 12)), Some(date(2026, 3, 10)), 0),
        (Some(date(2026, 3, 12)), Some(date(2026, 2, 1)), 0),
    ];
    for (confirmed, ended, expected) in cases {
        let mut s = Service::default();
        let r = s.referral();
        let job = s.job(r, began());
        if let Some(on) = confirmed {
            s.still_in_work(r, job, on);
        }
        if let Some(on) = ended {
            s.job_end(r, job, on);
        }
        assert_eq!(s.in_march(MeasureKind::Sustained13Weeks), (expected, Some(1)), "{confirmed:?} {ended:?}");
    }
}

#[test]
fn sustained_is_asked_of_jobs_whose_day_lies_in_the_period_and_of_no_other() {
    let mut s = Service::default();
    let r = s.referral();
    for (began, four_hours) in [
        (date(2025, 11, 29), true), // 28 February
        (date(2025, 11, 30), true), // 1 March
        (date(2025, 12, 30), true), // 31 March
        (date(2025, 12, 31), true), // 1 April
        (date(2025, 12, 15), false),
    ] {
        let job = s.outcome(r, start(began, four_hours.then_some(began)));
        s.still_in_work(r, job, date(2026, 4, 20));
    }
    assert_eq!(s.in_march(MeasureKind::Sustained13Weeks), (2, Some(2)));
    assert_eq!(s.in_march(MeasureKind::Sustained26Weeks), (0, Some(0)));
}

#[test]
fn twenty_six_weeks_are_182_days() {
    let mut s = Service::default();
    let r = s.referral();
    let job = s.job(r, date(2025, 9, 8));
    s.still_in_work(r, job, date(2026, 3, 8));
    assert_eq!(s.in_march(MeasureKind::Sustained26Weeks), (0, Some(1)));
    s.still_in_work(r, job, date(2026, 3, 9));
    let m = s.measure(MeasureKind::Sustained26Weeks, march());
    assert_eq!(m.numerator.iter().map(|c| (c.job_id, c.on)).collect::<Vec<_>>(), [(Some(job), date(2026, 3, 9))]);
}

#[test]
fn a_confirmation_of_one_job_proves_nothing_of_another() {
    let mut s = Service::default();
    let r = s.referral();
    let (first, second) = (s.job(r, began()), s.job(r, began()));
    s.still_in_work(r, second, date(2026, 3, 10));
    let m = s.measure(MeasureKind::Sustained13Weeks, march());
    assert_eq!(m.numerator.iter().map(|c| c.job_id).collect::<Vec<_>>(), [Some(second)]);
    let due: Vec<_> = m.denominator.expect("a share").iter().map(|c| c.job_id).collect();
    assert_eq!(due, [Some(first), Some(second)]);
}

// ---- periods and lists

#[test]
fn both_days_of_a_period_are_included_also_where_the_clocks_change() {
    // 29 March 2026: at 1 o'clock GMT it becomes 2 o'clock BST. That day, and no other.
    let that_day = Period::new(date(2026, 3, 29), date(2026, 3, 29)).expect("a period");
    let cases = [
        ("2026-03-28T23:59:59Z", 0),
        ("2026-03-29T00:00:00Z", 1),
        ("2026-03-29T22:59:59Z", 1),
        ("2026-03-29T23:00:00Z", 0),
    ];
    for (at, expected) in cases {
        let mut s = Service::default();
        let r = s.referral();
        s.change(r, |r| r.received_at = at.parse().expect("a time"));
        assert_eq!(s.measure(MeasureKind::ReferralsReceived, that_day).numerator.len(), expected, "{at}");
    }
}

#[test]
fn a_period_goes_forward_and_lasts_five_years_at_most() {
    let day = date(2026, 3, 1);
    assert!(Period::new(day, day).is_ok());
    assert!(Period::new(day, date(2031, 3, 1)).is_ok());
    assert_eq!(Period::new(day, date(2031, 3, 2)), Err(NotAPeriod::TooLong));
    assert_eq!(Period::new(day, date(2026, 2, 28)), Err(NotAPeriod::Backwards));
}

#[test]
fn every_numerator_lies_within_its_denominator_and_every_measure_says_what_it_is() {
    let mut s = Service::default();
    for (i, status) in
        [EmploymentStatus::SeekingWork, EmploymentStatus::Employed, EmploymentStatus::Retired].into_iter().enumerate()
    {
        let r = s.referral();
        s.change(r, |r| {
            r.details.employment_status = Some(status);
            r.details.job_retention = status == EmploymentStatus::Employed;
            r.received_at = noon(date(2026, 3, 1));
            r.accepted_at = Some(noon(date(2026, 3, 2)));
        });
        s.note(r, date(2026, 3, 5 + i as i8), profile(ProfileStage::Started, true));
        s.note(r, date(2026, 3, 15), plan(true));
        s.note(r, date(2026, 3, 16), employer(true, true));
        let job = s.job(r, began());
        s.still_in_work(r, job, date(2026, 3, 20));
    }
    for kind in MeasureKind::ALL {
        let m = s.measure(kind, march());
        assert_eq!(m.denominator.is_some(), kind.has_denominator(), "{kind:?}");
        if let Some(all) = m.side(MeasureSide::Denominator) {
            let of = |c: &Counted| all.iter().any(|d| d.referral_id == c.referral_id);
            assert!(m.numerator.iter().all(of), "{kind:?}");
        }
        let definition = kind.definition();
        assert!(definition.contains("Source: ") && !definition.contains("  "), "{kind:?}");
    }
}

#[test]
fn a_note_of_a_referral_that_is_not_counted_is_passed_over() {
    let mut s = Service::default();
    let r = s.referral();
    s.note(r, date(2026, 3, 2), NoteKind::JobSearch);
    s.job(r, date(2026, 3, 2));
    s.referrals.clear();
    assert!(MeasureKind::ALL.iter().all(|k| s.measure(*k, march()).numerator.is_empty()));
}
