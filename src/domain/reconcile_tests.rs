use super::*;
use crate::domain::decide::tests::delivery;
use crate::domain::delivery::{Cancelled, Park, ParkReason};
use proptest::prelude::*;

fn date() -> Date {
    "2026-03-02".parse().expect("a day")
}

fn sent(n: u128, state: State) -> Delivery {
    Delivery {
        state,
        attempts: 1,
        subject: crate::domain::entry::Subject::Note(crate::domain::ids::NoteId(uuid::Uuid::from_u128(n))),
        ..delivery(n, EntryAction::Create)
    }
}

fn row(d: &Delivery) -> Listed {
    Listed { document_id: d.document_id(), record_id: None, line: 1 }
}

fn sheet(listed: &[Listed], day: &[Delivery], known: &[Delivery]) -> Sheet {
    let both: Vec<Delivery> = day.iter().chain(known).cloned().collect();
    compare(date(), listed, &Against { day, known, later: &both, named: &[] })
}

fn paper(s: &Sheet, newly_filed: usize, dry_run: bool) -> String {
    on_paper(s, &Head { endpoint: "EPR (epr)", list: "held.csv", made: "2026-03-03 08:15 GMT", newly_filed, dry_run })
}

#[test]
fn every_delivery_of_the_day_stands_in_one_place_and_the_numbers_add_up() {
    let (filed, gone) = (sent(1, State::Filed), sent(2, State::Accepted));
    let parked = Delivery { park: Some(Park::new(ParkReason::Refused, "")), ..sent(3, State::Parked) };
    let cancelled = sent(4, State::Cancelled);
    let replaced = sent(5, State::Filed);
    let by = Delivery { subject: replaced.subject, action: EntryAction::Replace, ..sent(6, State::Filed) };
    let withdrawn = sent(7, State::Filed);
    let withdrawal = Delivery { subject: withdrawn.subject, action: EntryAction::Withdraw, ..sent(8, State::Accepted) };
    let day = [filed.clone(), gone, parked, cancelled, replaced, by.clone(), withdrawn, withdrawal];
    let s = sheet(&[row(&filed), row(&by)], &day, &[filed, by]);
    let count = |standing| s.count(standing);
    assert_eq!((count(Standing::InRecord), count(Standing::Missing), count(Standing::Waiting)), (2, 1, 1));
    assert_eq!((count(Standing::Superseded), count(Standing::Cancelled), count(Standing::Withdrawal)), (2, 1, 1));
    assert!(s.adds_up());
    let paper = paper(&s, 1, false);
    assert!(paper.contains("1 to be explained. The numbers add up.") && paper.contains("PARKED REFUSED"), "{paper}");
}

#[test]
fn what_the_list_has_and_should_not_is_told_apart() {
    let cancelled = Delivery {
        cancelled: Some(Cancelled { at: jiff::Timestamp::UNIX_EPOCH, by: "p".into(), why: "x".into() }),
        ..sent(1, State::Filed)
    };
    let withdrawn = sent(2, State::Filed);
    let withdrawal = Delivery { subject: withdrawn.subject, action: EntryAction::Withdraw, ..sent(3, State::Filed) };
    let never = Delivery { attempts: 0, ..sent(4, State::Queued) };
    let twice = sent(5, State::Filed);
    let other = sent(6, State::Filed);
    let foreign = Listed { document_id: "TESTPATIENT D-1".into(), record_id: None, line: 1 };
    let namespaced = Listed { document_id: format!("{}^IPS", twice.document_id()), record_id: None, line: 1 };
    let day = [cancelled.clone(), withdrawn.clone(), withdrawal.clone(), never.clone(), twice.clone()];
    let known = [cancelled.clone(), withdrawn.clone(), never.clone(), twice.clone(), other.clone()];
    let listed =
        [row(&cancelled), row(&withdrawn), row(&never), row(&twice), row(&twice), namespaced, row(&other), foreign];
    let s = sheet(&listed, &day, &known);
    let finding = |f| s.finding(f);
    assert_eq!((finding(Finding::CancelledHere), finding(Finding::WithdrawnHere)), (1, 1));
    assert_eq!((finding(Finding::Doubled), finding(Finding::Unknown)), (2, 2), "one is foreign, one never left");
    assert_eq!((s.other_days, s.distinct, s.listed), (1, 6, 8));
    assert!(s.adds_up());
    let paper = paper(&s, 0, true);
    assert!(!paper.contains("TESTPATIENT"), "an id that is none of ours may say anything: {paper}");
}

#[test]
fn a_day_on_which_nothing_was_written_is_said_to_be_one() {
    let s = sheet(&[], &[], &[]);
    assert!(s.adds_up());
    let said = paper(&s, 0, false);
    assert!(said.contains("NOTHING WAS WRITTEN ON THAT DAY") && said.contains("None unexplained."), "{said}");
    assert!(!said.contains("The numbers add up"), "{said}");
    let foreign = Listed { document_id: "D-1".into(), record_id: None, line: 2 };
    let said = paper(&sheet(&[foreign], &[], &[]), 0, false);
    assert!(said.contains("NOTHING WAS WRITTEN ON THAT DAY") && said.contains("1 to be explained."), "{said}");
}

#[test]
fn a_sheet_says_when_it_was_made_of_which_list_and_where_in_it_an_unknown_row_stands() {
    let foreign = |line| Listed { document_id: "TESTPATIENT D-1".into(), record_id: None, line };
    let said = paper(&sheet(&[foreign(7), foreign(12)], &[], &[]), 0, false);
    assert!(said.contains("Made: 2026-03-03 08:15 GMT") && said.contains("List: held.csv, 2 rows"), "{said}");
    assert!(said.contains("unknown") && said.contains("lines 7, 12: not a document of ours"), "{said}");
    assert!(!said.contains("TESTPATIENT"), "{said}");
}

fn as_listed(d: &Delivery, record_id: &str, line: usize) -> Listed {
    Listed { record_id: Some(record_id.into()), line, ..row(d) }
}

#[test]
fn a_document_under_another_record_id_than_a_list_or_the_vendor_gave_before_is_a_finding() {
    for (kind, expected) in
        [(EvidenceKind::Reconciled, 1), (EvidenceKind::VendorReport, 1), (EvidenceKind::ApplicationAck, 0)]
    {
        let evidence = crate::domain::delivery::Evidence {
            kind,
            at: jiff::Timestamp::UNIX_EPOCH,
            reply_id: None,
            record_id: Some("R-1".into()),
        };
        let d = Delivery { evidence: vec![evidence], record_id: Some("R-1".into()), ..sent(1, State::Filed) };
        let of = |id: &str| {
            let day = [d.clone()];
            sheet(&[as_listed(&d, id, 4)], &day, &day)
        };
        assert_eq!(of("R-2").finding(Finding::Renamed), expected, "{kind:?}");
        assert_eq!(of("R-1").finding(Finding::Renamed), 0);
        assert!(of("R-2").adds_up());
        let said = paper(&of("R-2"), 0, false);
        assert_eq!(
            said.contains("line 4: under another record id than before; there may be two copies"),
            expected == 1
        );
    }
}

#[test]
fn one_record_id_for_documents_of_two_patients_is_a_finding_for_each_of_them() {
    let other = |d: Delivery| Delivery { patient_id: crate::domain::ids::PatientId(uuid::Uuid::from_u128(99)), ..d };
    let (one, two) = (sent(1, State::Accepted), other(sent(2, State::Accepted)));
    let day = [one.clone(), two.clone()];
    let s = sheet(&[as_listed(&one, "R-1", 2), as_listed(&two, "R-1", 3)], &day, &day);
    assert_eq!((s.finding(Finding::SharedId), s.unexplained()), (2, 2));
    assert!(s.adds_up());
    assert!(
        s.found
            .iter()
            .any(|f| f.why == format!("line 3: the same record id as {}, of another patient", one.document_id()))
    );
    // One of the same patient, or of another kind of entry, may share it.
    let same = sent(3, State::Accepted);
    let of_one = sheet(&[as_listed(&one, "R-1", 2), as_listed(&same, "R-1", 3)], &day, &[one.clone(), same]);
    assert_eq!(of_one.finding(Finding::SharedId), 0);
    // Against what is filed under it already, whether the list has that or not.
    let filed = other(Delivery { record_id: Some("R-1".into()), ..sent(4, State::Filed) });
    let against = |named: &[Delivery]| {
        let day = [one.clone()];
        let listed = [as_listed(&one, "R-1", 2)];
        compare(date(), &listed, &Against { day: &day, known: &day, later: &day, named }).finding(Finding::SharedId)
    };
    assert_eq!(against(std::slice::from_ref(&filed)), 1);
    assert_eq!(against(&[Delivery { state: State::Parked, ..filed }]), 0, "in doubt itself, it has the id no more");
}

proptest! {
    #[test]
    fn the_numbers_add_up_whatever_is_written_and_listed(
        day in prop::collection::vec((0u8..7, 0u8..3, any::<bool>()), 0..20),
        listed in prop::collection::vec((0u128..30, any::<bool>()), 0..30),
    ) {
        let states = [State::Queued, State::Sending, State::BackingOff, State::Accepted, State::Filed, State::Parked, State::Cancelled];
        let actions = [EntryAction::Create, EntryAction::Replace, EntryAction::Withdraw];
        let day: Vec<Delivery> = day.into_iter().zip(1u128..).map(|((state, action, began), n)| Delivery {
            action: actions[usize::from(action)],
            attempts: u32::from(began),
            ..sent(n, states[usize::from(state)])
        }).collect();
        let listed: Vec<Listed> = listed.into_iter().map(|(n, ours)| Listed {
            document_id: if ours { EntryId(uuid::Uuid::from_u128(n)).to_string() } else { format!("D-{n}") },
            record_id: None,
            line: 1,
        }).collect();
        let known: Vec<Delivery> = day.iter().filter(|d| listed.contains(&row(d))).cloned().collect();
        let s = sheet(&listed, &day, &known);
        prop_assert!(s.adds_up());
        prop_assert_eq!(s.written, day.len());
    }
}
