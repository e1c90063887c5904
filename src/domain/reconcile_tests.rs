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
    Listed { document_id: d.document_id(), record_id: None }
}

fn sheet(listed: &[Listed], day: &[Delivery], known: &[Delivery]) -> Sheet {
    let both: Vec<Delivery> = day.iter().chain(known).cloned().collect();
    compare(date(), listed, day, known, &both)
}

#[test]
fn every_delivery_of_the_day_stands_in_one_place_and_the_numbers_add_up() {
    let (filed, gone) = (sent(1, State::Filed), sent(2, State::Accepted));
    let parked = Delivery {
        park: Some(Park { reason: ParkReason::Refused, detail: Default::default() }),
        ..sent(3, State::Parked)
    };
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
    let paper = on_paper(&s, "EPR (epr)", "list.csv", 1, false);
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
    let foreign = Listed { document_id: "TESTPATIENT D-1".into(), record_id: None };
    let namespaced = Listed { document_id: format!("{}^IPS", twice.document_id()), record_id: None };
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
    let paper = on_paper(&s, "EPR (epr)", "list.csv", 0, true);
    assert!(!paper.contains("TESTPATIENT"), "an id that is none of ours may say anything: {paper}");
}

#[test]
fn nothing_written_and_nothing_listed_is_a_sheet_too() {
    let s = sheet(&[], &[], &[]);
    assert!(s.adds_up());
    assert!(on_paper(&s, "EPR", "l", 0, false).contains("None unexplained. The numbers add up."));
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
        }).collect();
        let known: Vec<Delivery> = day.iter().filter(|d| listed.contains(&row(d))).cloned().collect();
        let s = sheet(&listed, &day, &known);
        prop_assert!(s.adds_up());
        prop_assert_eq!(s.written, day.len());
    }
}
