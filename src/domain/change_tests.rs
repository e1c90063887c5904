//! Changes told by an EPR: three states a field, order, and who is never changed.

use super::*;
use crate::domain::merge::tests::{mrn, nearly, patient};
use crate::domain::standing::Former;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

const TODAY: Date = jiff::civil::date(2026, 3, 2);

fn change(id: &str, second: i64) -> PatientChange {
    PatientChange { local_identifiers: vec![mrn(id)], ..PatientChange::nothing(ChangeKind::Updated, at(second)) }
}

fn line(text: &str) -> Private<String> {
    Private(text.to_owned())
}

fn plan(change: &PatientChange, known: &Patient) -> ChangePlan {
    let found = |key: &PatientKey| (known.holds(key) || known.standing.former_since(key).is_some()).then_some(known);
    let near = |near: &Near| if nearly(near, known) { vec![known] } else { vec![] };
    change.plan("EPR|RW1", at(10_000), TODAY, found, near)
}

fn changed(change: &PatientChange, known: &Patient) -> Patient {
    match plan(change, known) {
        ChangePlan::Changed(patient) => *patient,
        other => panic!("{other:?}"),
    }
}

#[test]
fn absent_leaves_null_deletes_and_a_value_replaces() {
    let mut known = patient(1, "A");
    known.details.phone = Some(line("0100"));
    known.details.name.prefix = Some(line("Ms"));
    let married = PatientChange {
        family: Some(line("Other")),
        date_of_birth: Some(patient(1, "A").details.date_of_birth),
        phone: Sent::Null,
        ..change("A", 1)
    };
    let now = changed(&married, &known);
    assert_eq!((now.details.name.family.0.as_str(), now.details.phone.clone()), ("Other", None));
    assert_eq!((now.details.name.prefix, now.details.name.given), (Some(line("Ms")), line("Sam")));
    assert_eq!(now.version, 2);
}

#[test]
fn an_older_message_of_the_same_sender_never_overwrites_a_newer_one() {
    let newer = PatientChange { phone: Sent::Value(line("2")), ..change("A", 20) };
    let older = PatientChange { phone: Sent::Value(line("1")), ..change("A", 19) };
    let known = changed(&newer, &patient(1, "A"));
    assert!(matches!(plan(&older, &known), ChangePlan::Nothing(_)));
    let same_second = PatientChange { at: at(20), ..older.clone() };
    assert_eq!(changed(&same_second, &known).details.phone, Some(line("1")), "in the order they came");
    let elsewhere = older.plan("LAB|RW1", at(10_000), TODAY, |_| Some(&known), |_| vec![]);
    assert!(matches!(elsewhere, ChangePlan::Changed(_)), "another sender's clock is its own");
}

#[test]
fn a_shielding_is_taken_from_an_older_message_unless_a_newer_one_spoke_of_it() {
    let mut start = patient(1, "A");
    start.details.phone = Some(line("0100"));
    let says = |shielded: Option<bool>, second: i64| PatientChange {
        location_shielded: shielded,
        phone: Sent::Value(line("2")),
        ..change("A", second)
    };
    let known = changed(&says(None, 20), &start);
    let shielded = changed(&says(Some(true), 19), &known);
    assert!(shielded.standing.location_shielded && shielded.details.phone.is_none());
    // A newer one said that everybody may know.
    let open = changed(&says(Some(false), 20), &start);
    assert!(matches!(plan(&says(Some(true), 19), &open), ChangePlan::Nothing(_)));
    // An older one opens nothing.
    assert!(matches!(plan(&says(Some(false), 19), &shielded), ChangePlan::Nothing(_)));
    // To hear it again is no change.
    assert!(matches!(plan(&says(Some(true), 30), &shielded), ChangePlan::Heard(_)));
}

#[test]
fn a_death_is_taken_from_an_older_message_unless_a_newer_one_spoke_of_it() {
    let known = changed(&PatientChange { phone: Sent::Value(line("2")), ..change("A", 20) }, &patient(1, "A"));
    let died = PatientChange { deceased: Some(true), phone: Sent::Value(line("1")), ..change("A", 10) };
    let dead = changed(&died, &known);
    assert!(dead.standing.deceased());
    assert_eq!(dead.details.phone, Some(line("2")), "nothing else of it");
    let back = changed(&PatientChange { deceased: Some(false), ..change("A", 30) }, &dead);
    assert!(!back.standing.deceased());
    assert!(matches!(plan(&died, &back), ChangePlan::Nothing(_)));
    let silent = plan(&change("A", 40), &dead);
    assert!(matches!(&silent, ChangePlan::Heard(p) if p.standing.deceased()), "who says nothing brings nobody back");
}

#[test]
fn a_date_of_death_says_by_itself_that_the_patient_died() {
    let dated = PatientChange { died_on: Sent::Value(Private(jiff::civil::date(2026, 3, 1))), ..change("A", 1) };
    for deceased in [None, Some(true), Some(false)] {
        assert!(changed(&PatientChange { deceased, ..dated.clone() }, &patient(1, "A")).standing.deceased());
    }
}

#[test]
fn a_record_taken_out_is_in_doubt_until_it_is_made_again() {
    let removed = PatientChange { kind: ChangeKind::Removed, phone: Sent::Null, ..change("A", 10) };
    let known = patient(1, "A");
    let doubted = changed(&removed, &known);
    assert_eq!((doubted.standing.doubt, &doubted.details), (Some(Doubt::RecordRemoved), &known.details));
    let updated = plan(&change("A", 11), &doubted);
    assert!(matches!(updated, ChangePlan::Heard(p) if p.standing.doubt.is_some()));
    let again = changed(&PatientChange { kind: ChangeKind::Added, ..change("A", 12) }, &doubted);
    assert_eq!(again.standing.doubt, None);
    let died = PatientChange { deceased: Some(true), ..removed };
    assert_eq!(changed(&died, &known).standing.doubt, None, "the death itself holds what is written");
}

#[test]
fn somebody_else_under_the_same_identifier_is_never_changed() {
    let other = PatientChange {
        family: Some(line("Other")),
        date_of_birth: Some(Private(jiff::civil::date(1990, 1, 1))),
        ..change("A", 1)
    };
    assert!(matches!(plan(&other, &patient(1, "A")), ChangePlan::Hold(_)));
    assert!(matches!(plan(&change("B", 1), &patient(1, "A")), ChangePlan::NotOurs));
}

#[test]
fn news_of_a_record_that_was_merged_never_overwrites_the_surviving_one() {
    let mut known = patient(1, "B");
    known.standing.former.push(Former { key: PatientKey::Local(mrn("A")), since: at(50) });
    let told = PatientChange { phone: Sent::Value(line("1")), ..change("A", 40) };
    assert!(matches!(plan(&told, &known), ChangePlan::Nothing(_)), "from before the merge");
    assert!(matches!(plan(&PatientChange { at: at(60), ..told.clone() }, &known), ChangePlan::Hold(_)));
    let both = PatientChange { local_identifiers: vec![mrn("A"), mrn("B")], ..told };
    assert_eq!(changed(&both, &known).details.local_identifiers, [mrn("B")], "retired ones are left out");
}

#[test]
fn another_identifier_of_the_same_kind_takes_the_place_of_the_known_one_unless_there_are_several() {
    let known = {
        let mut p = patient(1, "A");
        p.details.nhs_number = NhsNumber::parse("9990000018").ok();
        p.details.nhs_number_status = NhsNumberStatus::Verified;
        p
    };
    let number = Sent::Value(NhsNumber::parse("9990000018").expect("valid"));
    let with = |ids: &[&str]| PatientChange {
        nhs_number: number.clone(),
        local_identifiers: ids.iter().map(|id| mrn(id)).collect(),
        ..change("A", 1)
    };
    assert_eq!(changed(&with(&["N"]), &known).details.local_identifiers, [mrn("N")]);
    assert!(matches!(plan(&with(&["N", "A"]), &known), ChangePlan::Heard(_)), "the known one is among them");
    assert!(matches!(plan(&with(&["N", "O"]), &known), ChangePlan::Broken(_)));
}

#[test]
fn a_new_number_is_untraced_until_its_status_is_told() {
    let mut known = patient(1, "A");
    let number = |n: &str| Sent::Value(NhsNumber::parse(n).expect("valid"));
    let gained = changed(&PatientChange { nhs_number: number("9990000018"), ..change("A", 1) }, &known);
    assert_eq!(gained.details.nhs_number_status, NhsNumberStatus::NotTraced);
    let verified = PatientChange { nhs_number_status: Some(NhsNumberStatus::Verified), ..change("A", 2) };
    known = changed(&verified, &gained);
    assert_eq!(known.details.nhs_number_status, NhsNumberStatus::Verified);
    let contradicted = PatientChange {
        nhs_number: number("9990000018"),
        nhs_number_status: Some(NhsNumberStatus::NotPresent),
        ..change("A", 3)
    };
    let doubted = changed(&contradicted, &known).details;
    assert_eq!(doubted.nhs_number_status, NhsNumberStatus::NotTraced, "it is there, and called not there");
    let deleted = changed(&PatientChange { nhs_number: Sent::Null, ..change("A", 3) }, &known);
    assert_eq!(deleted.details.nhs_number_status, NhsNumberStatus::NotPresent);
}

#[test]
fn where_a_shielded_patient_lives_is_not_kept() {
    let mut known = patient(1, "A");
    known.details.phone = Some(line("1"));
    let shielded = PatientChange { location_shielded: Some(true), ..change("A", 1) };
    let now = changed(&shielded, &known);
    assert_eq!(now.details.phone, None);
    let told = PatientChange { phone: Sent::Value(line("2")), ..change("A", 2) };
    assert!(matches!(plan(&told, &now), ChangePlan::Heard(p) if p.details.phone.is_none()));
}

#[test]
fn who_is_known_under_another_type_or_by_an_unlisted_nhs_number_is_never_taken_for_a_stranger() {
    let mut known = patient(1, "A");
    known.details.nhs_number = NhsNumber::parse("9990000018").ok();
    let stranger = LocalIdentifier { kind: "PI".into(), ..mrn("A") };
    let told = |authority: &str, kind: &str, value: &str| PatientChange {
        deceased: Some(true),
        local_identifiers: vec![stranger.clone()],
        near: Near::of(authority, kind, value),
        ..change("A", 1)
    };
    for near in [told("RW1", "PI", "A"), told("NHSNO", "NHSNO", "999 000 0018"), told("", "", "9990000018")] {
        assert_eq!(plan(&near, &known), ChangePlan::Hold(NEARLY_KNOWN));
    }
    for nobody in [told("RW1", "PI", "B"), told("RW1", "VN", "A"), told("NHSNO", "NHSNO", "9990000026")] {
        assert_eq!(plan(&nobody, &known), ChangePlan::NotOurs);
    }
}

#[test]
fn a_death_that_was_asked_for_is_news_once_and_a_later_word_ends_it() {
    let known = patient(1, "A");
    let day = |d| Some(Private(jiff::civil::date(1970, 1, d)));
    let dead = known.found_dead(None, at(10));
    assert!(dead.standing.deceased() && dead.version == known.version + 1);
    let again = dead.found_dead(None, at(20));
    assert_eq!((again.version, again.standing.death.as_ref().map(|d| d.told_at)), (dead.version, Some(at(20))));
    // A day that cannot be, before the birth or ahead, is none.
    assert_eq!(again.found_dead(day(1), at(30)).version, dead.version, "before the birth");
    assert_eq!(again.found_dead(Some(Private(jiff::civil::date(2099, 1, 1))), at(30)).version, dead.version);
    assert_eq!(known.found_dead(day(1), at(30)).standing.death.and_then(|d| d.died_on), None);
    let alive = |second| PatientChange { deceased: Some(false), ..change("A", second) };
    assert!(
        matches!(plan(&alive(15), &again), ChangePlan::Heard(p) if p.standing.deceased()),
        "older than what was asked"
    );
    assert!(!changed(&alive(25), &again).standing.deceased());
}

#[test]
fn of_a_message_that_cannot_be_taken_only_the_death_is() {
    let known = patient(1, "A");
    let died = PatientChange { deceased: Some(true), phone: Sent::Value(line("1")), ..change("A", 10) };
    let found = |key: &PatientKey| known.holds(key).then_some(&known);
    let ChangePlan::Changed(dead) = died.plan_urgent(at(10_000), found, |_| vec![]) else { panic!("a death") };
    assert!(dead.standing.deceased() && dead.details == known.details && dead.standing.told.is_empty());
    let other = PatientChange { family: Some(line("Other")), ..died.clone() };
    assert!(
        matches!(other.plan_urgent(at(10_000), found, |_| vec![]), ChangePlan::Hold(_)),
        "nothing says that it is them"
    );
    let stranger = PatientChange { local_identifiers: vec![mrn("B")], ..died };
    assert!(matches!(stranger.plan_urgent(at(10_000), found, |_| vec![]), ChangePlan::NotOurs));
}

#[test]
fn a_gender_that_is_not_told_stays_and_one_that_is_told_as_unknown_is_unknown() {
    let mut known = patient(1, "A");
    known.details.gender = Gender::Female;
    assert!(matches!(plan(&change("A", 1), &known), ChangePlan::Heard(p) if p.details.gender == Gender::Female));
    let unknown = PatientChange { gender: Some(Gender::NotKnown), ..change("A", 2) };
    assert_eq!(changed(&unknown, &known).details.gender, Gender::NotKnown);
}
