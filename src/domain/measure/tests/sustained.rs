//! Who stayed in work.

use super::*;

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

#[test]
fn a_job_whose_day_has_not_come_is_not_asked_yet() {
    let mut s = Service::default();
    let r = s.referral();
    let began = [date(2025, 12, 8), date(2025, 12, 9)]; // 9 and 10 March
    let [due, later] = began.map(|on| s.job(r, on));
    for job in [due, later] {
        s.still_in_work(r, job, date(2026, 3, 31));
    }
    let m = s.measure_on(date(2026, 3, 9), MeasureKind::Sustained13Weeks, march());
    for list in [&m.numerator, &m.denominator.expect("a share")] {
        assert_eq!(list.iter().map(|c| c.job_id).collect::<Vec<_>>(), [Some(due)]);
    }
    assert_eq!(s.in_march(MeasureKind::Sustained13Weeks), (2, Some(2)), "when March is over");
}
