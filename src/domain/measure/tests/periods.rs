//! Where a period begins and ends, and what holds for every measure.

use super::*;

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
        s.note(r, date(2026, 3, 5 + i8::try_from(i).unwrap()), profile(ProfileStage::Started, true));
        s.note(r, date(2026, 3, 15), plan(true));
        s.note(r, date(2026, 3, 16), employer(true, true));
        let job = s.job(r, date(2025, 12, 8));
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
