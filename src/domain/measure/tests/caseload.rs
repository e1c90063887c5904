//! Who is on the books, and how busy.

use super::*;

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
fn the_caseload_of_a_past_day_is_by_the_specialist_of_that_day() {
    let last_minute = date(2026, 3, 31).at(23, 59, 0, 0).to_zoned(london()).expect("exists").timestamp();
    let next_day = date(2026, 4, 1).at(0, 0, 0, 0).to_zoned(london()).expect("exists").timestamp();
    for (assigned, in_march) in [(last_minute, "ES-2"), (next_day, "ES-1")] {
        let mut s = Service::default();
        let r = s.referral();
        s.assign(r, assigned, specialist("ES-2"));
        s.assign(r, noon(date(2026, 5, 5)), specialist("ES-3"));
        let of = |period| {
            let m = s.measure(MeasureKind::Caseload, period);
            m.breakdown.iter().map(|p| (p.staff_id.as_str().to_owned(), p.count)).collect::<Vec<_>>()
        };
        assert_eq!(of(march()), [(in_march.to_owned(), 1)]);
        let may = Period::new(date(2026, 5, 1), date(2026, 5, 31)).expect("a period");
        assert_eq!(of(may), [("ES-3".to_owned(), 1)]);
    }
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
fn an_active_client_counts_by_the_latest_contact_of_the_period() {
    let mut s = Service::default();
    let r = s.referral();
    s.note(r, date(2026, 2, 10), plan(true));
    let email = |s: &mut Service, on| {
        s.contact(r, noon(on), NoteKind::JobSearch, ContactMechanism::Email, Attendance::AttendedOnTime);
    };
    s.note(r, date(2026, 3, 12), NoteKind::JobSearch);
    email(&mut s, date(2026, 3, 20));
    email(&mut s, date(2026, 4, 1));
    let m = s.measure(MeasureKind::ActiveIn4Weeks, march());
    assert_eq!(m.numerator.iter().map(|c| c.on).collect::<Vec<_>>(), [date(2026, 3, 20)]);
    let open = m.denominator.expect("a share");
    assert_eq!(open.iter().map(|c| c.on).collect::<Vec<_>>(), [date(2026, 2, 2)], "the day of acceptance");
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
