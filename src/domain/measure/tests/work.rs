//! Who went to work, and of whom.

use super::*;

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
fn a_person_goes_into_work_for_the_team_of_the_first_job_and_the_teams_add_up_to_the_trust() {
    let mut s = Service::default();
    let (east, west) = (s.referral(), s.referral());
    let same = s.referrals[0].patient_id;
    s.change(west, |r| {
        r.patient_id = same;
        r.details.team = TeamId::parse("west").expect("a team");
    });
    s.job(west, date(2026, 2, 16));
    s.job(east, date(2026, 3, 9));
    let of = |team: &str, period| {
        let mut facts = s.facts();
        facts.retain(|f| f.team.as_str() == team);
        measure(MeasureKind::PeopleIntoWork, &facts, period, &london(), date(2026, 12, 31)).numerator.len()
    };
    let february = Period::new(date(2026, 2, 1), date(2026, 2, 28)).expect("a period");
    for (period, in_trust, in_teams) in [(february, 1, [0, 1]), (march(), 0, [0, 0])] {
        assert_eq!(s.measure(MeasureKind::PeopleIntoWork, period).numerator.len(), in_trust);
        assert_eq!(["ips", "west"].map(|team| of(team, period)), in_teams);
    }
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
    let m = s.measure(MeasureKind::EmploymentRate, march());
    let counted: Vec<_> = m.numerator.iter().map(|c| (c.job_id, c.on)).collect();
    assert_eq!(counted, [(None, date(2026, 2, 9))], "a referral, by its first job, and not a job");
    assert_eq!(m.denominator.map(|d| d.len()), Some(1));
}
