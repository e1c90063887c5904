//! Who was reached, and how soon.

use super::*;

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
    // Late on Monday, early on the Tuesday of the week after: 7 times 24 hours, and 8 calendar days; the clocks change between.
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
fn a_contact_before_the_day_of_receipt_ends_no_wait_and_hides_no_later_one() {
    use MeasureKind::*;
    let mut s = Service::default();
    let (again, only_before) = (s.referral(), s.referral());
    for id in [again, only_before] {
        s.change(id, |r| r.received_at = noon(date(2026, 3, 10)));
        s.note(id, date(2026, 3, 9), NoteKind::JobSearch);
    }
    s.note(again, date(2026, 3, 20), NoteKind::JobSearch);
    let found = [FirstContactWithin7Days, FirstContact8To30Days, FirstContactAfter30Days].map(|k| s.in_march(k));
    assert_eq!(found, [(0, Some(1)), (1, Some(1)), (0, Some(1))]);
    assert_eq!(s.measure(FirstContact8To30Days, march()).numerator[0].on, date(2026, 3, 20));
}

#[test]
fn a_contact_on_the_day_of_receipt_counts_whatever_the_hour() {
    // Half past midnight in London: on the day before in UTC.
    let early = date(2026, 3, 31).at(0, 30, 0, 0).to_zoned(london()).expect("exists").timestamp();
    let mut s = Service::default();
    let r = s.referral();
    s.change(r, |r| r.received_at = noon(date(2026, 3, 31)));
    s.contact(r, early, NoteKind::JobSearch, ContactMechanism::Telephone, Attendance::AttendedOnTime);
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
        (day(0), employer(true, false), 1),
        (day(-1), employer(true, false), 0),
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

#[test]
fn an_employer_met_before_the_day_of_acceptance_hides_no_later_one() {
    let mut s = Service::default();
    let r = s.referral();
    s.change(r, |r| r.accepted_at = Some(noon(date(2026, 3, 2))));
    s.note(r, date(2026, 3, 1), employer(true, false));
    s.note(r, date(2026, 3, 9), employer(true, false));
    let m = s.measure(MeasureKind::FirstEmployerContactWithin30Days, march());
    assert_eq!(m.numerator.iter().map(|c| c.on).collect::<Vec<_>>(), [date(2026, 3, 9)]);
}
