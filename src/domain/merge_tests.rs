//! Merges: what is followed, what is refused, what is held, and why.

use super::*;
use crate::domain::nhs_number::NhsNumber;
use crate::domain::organisation::OdsCode;
use crate::domain::person::{Gender, LocalIdentifier, NhsNumberStatus, PatientDetails, PersonName};
use crate::domain::standing::{Death, Standing};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

pub fn mrn(value: &str) -> LocalIdentifier {
    LocalIdentifier { assigning_authority: "RW1".into(), value: Private(value.into()), kind: "MR".into() }
}

fn key(value: &str) -> PatientKey {
    PatientKey::Local(mrn(value))
}

fn number(digits: &str) -> PatientKey {
    PatientKey::NhsNumber(NhsNumber::parse(digits).expect("valid"))
}

pub fn patient(n: u128, value: &str) -> Patient {
    Patient {
        id: PatientId(uuid::Uuid::from_u128(n)),
        trust: OdsCode::parse("RW1").expect("valid"),
        version: 1,
        details: PatientDetails {
            nhs_number: None,
            nhs_number_status: NhsNumberStatus::NotPresent,
            local_identifiers: vec![mrn(value)],
            name: PersonName { family: Private("Test".into()), given: Private("Sam".into()), prefix: None },
            date_of_birth: Private(jiff::civil::date(1985, 4, 12)),
            gender: Gender::NotKnown,
            address: None,
            phone: None,
        },
        created_at: at(0),
        updated_at: at(0),
        standing: Standing::default(),
    }
}

/// As the store finds somebody who may be meant.
pub fn nearly(near: &Near, known: &Patient) -> bool {
    match near {
        Near::Number(number) => known.details.nhs_number == Some(*number),
        Near::Value { authority, value } => {
            known.details.local_identifiers.iter().any(|id| id.assigning_authority == *authority && id.value == *value)
        }
    }
}

fn merge(surviving: &[PatientKey], losing: &[PatientKey]) -> Merge {
    Merge {
        kind: MergeKind::Merge,
        surviving: surviving.to_vec(),
        losing: losing.to_vec(),
        family: Some(Private("TEST".into())),
        date_of_birth: Some(Private(jiff::civil::date(1985, 4, 12))),
        other_families: vec![],
        birth_year: None,
        surviving_near: vec![],
        losing_near: vec![],
        at: at(100),
        urgent: None,
    }
}

/// The patients of a trust; merges are carried out as the store does.
struct Trust(Vec<Patient>);

impl Trust {
    fn of(values: &[&str]) -> Self {
        Self((1..).zip(values).map(|(n, value)| patient(n, value)).collect())
    }

    fn found(&self, key: &PatientKey) -> Option<&Patient> {
        let alive = |p: &&Patient| p.standing.merged_into.is_none();
        let leads = |p: &&Patient| p.holds(key) || p.standing.former_since(key).is_some();
        self.0.iter().filter(alive).find(leads)
    }

    fn plan(&self, merge: &Merge) -> MergePlan {
        plan(merge, |key| self.found(key), |near| self.0.iter().filter(|p| nearly(near, p)).collect())
    }

    fn at(&self, id: PatientId) -> usize {
        self.0.iter().position(|p| p.id == id).expect("there")
    }

    /// Carries a merge out that must be possible.
    fn join(&mut self, into: &str, from: &str) {
        let told = merge(&[key(into)], &[key(from)]);
        let MergePlan::Join { survivor, joined, retired, .. } = self.plan(&told) else {
            panic!("{:?}", self.plan(&told))
        };
        let losers: Vec<Patient> = joined.iter().map(|id| self.0[self.at(*id)].clone()).collect();
        for id in &joined {
            let n = self.at(*id);
            for earlier in self.0[n].standing.absorbed.clone() {
                let e = self.at(earlier);
                self.0[e].standing.merged_into = Some(survivor);
            }
            self.0[n] = self.0[n].absorbed_by(survivor, at(200));
        }
        let s = self.at(survivor);
        self.0[s] = self.0[s].absorbs(&losers, &retired, told.at, at(200));
    }
}

fn held(plan: &MergePlan) -> Vec<u128> {
    match plan {
        MergePlan::Hold { doubt, .. } => doubt.iter().map(|id| id.0.as_u128()).collect(),
        other => panic!("not held: {other:?}"),
    }
}

#[test]
fn the_identifiers_of_the_losing_record_lead_to_the_surviving_one() {
    let mut trust = Trust::of(&["A", "B"]);
    trust.join("B", "A");
    let b = trust.found(&key("A")).expect("leads on");
    assert_eq!(b.id.0.as_u128(), 2);
    assert!(!b.holds(&key("A")), "never sent for them");
    assert_eq!(trust.0[0].standing.merged_into, Some(b.id));
    assert_eq!(trust.plan(&merge(&[key("B")], &[key("A")])), MergePlan::Already, "told again");
}

#[test]
fn a_chain_of_merges_leads_straight_to_its_end_whatever_the_order_it_is_told_in() {
    let mut trust = Trust::of(&["A", "B", "C"]);
    trust.join("B", "A");
    trust.join("C", "B");
    for value in ["A", "B", "C"] {
        assert_eq!(trust.found(&key(value)).map(|p| p.id.0.as_u128()), Some(3));
    }
    assert!(trust.0[..2].iter().all(|p| p.standing.merged_into == Some(trust.0[2].id)));
    let mut backwards = Trust::of(&["A", "B", "C"]);
    backwards.join("C", "B");
    // "A into B": B lives on as C.
    backwards.join("B", "A");
    assert_eq!(backwards.found(&key("A")).map(|p| p.id.0.as_u128()), Some(3));
}

#[test]
fn a_record_merged_with_itself_changes_nothing() {
    let trust = Trust::of(&["A"]);
    assert_eq!(trust.plan(&merge(&[key("A")], &[key("A")])), MergePlan::WithItself);
    assert_eq!(trust.plan(&merge(&[key("X")], &[key("X")])), MergePlan::NotOurs);
}

#[test]
fn a_reversed_merge_and_a_circle_are_held_and_put_the_surviving_record_in_doubt() {
    let mut trust = Trust::of(&["A", "B", "C"]);
    trust.join("B", "A");
    assert_eq!(held(&trust.plan(&merge(&[key("A")], &[key("B")]))), [2]);
    let older = Merge { at: at(99), ..merge(&[key("A")], &[key("B")]) };
    assert_eq!(trust.plan(&older), MergePlan::Older, "the merge that says otherwise is newer");
    trust.join("C", "B");
    assert_eq!(held(&trust.plan(&merge(&[key("A")], &[key("C")]))), [3]);
}

#[test]
fn a_record_that_was_merged_before_cannot_be_merged_into_somebody_else() {
    let mut trust = Trust::of(&["A", "B", "C"]);
    trust.join("B", "A");
    assert_eq!(held(&trust.plan(&merge(&[key("C")], &[key("A")]))), [2]);
    assert_eq!(held(&trust.plan(&merge(&[key("new")], &[key("A")]))), [2]);
}

#[test]
fn a_merge_of_people_we_do_not_know_is_not_ours_and_one_into_ours_is_remembered() {
    let trust = Trust::of(&["A"]);
    assert_eq!(trust.plan(&merge(&[key("X")], &[key("Y")])), MergePlan::NotOurs);
    let MergePlan::Join { joined, retired, .. } = trust.plan(&merge(&[key("A")], &[key("Y")])) else {
        panic!("Y leads to A from now on")
    };
    assert_eq!((joined, retired), (vec![], vec![key("Y")]));
}

#[test]
fn a_merge_into_a_record_we_do_not_know_renames_the_same_person_and_is_held_for_another() {
    let trust = Trust::of(&["A"]);
    let told = merge(&[key("N")], &[key("A")]);
    let MergePlan::Rename { patient, retired } = trust.plan(&told) else { panic!("the same person") };
    let renamed = trust.0[trust.at(patient)].renamed(&told, &retired, at(200));
    assert!(
        renamed.holds(&key("N")) && !renamed.holds(&key("A")) && renamed.standing.former_since(&key("A")).is_some()
    );
    let other_name = Merge { family: Some(Private("Other".into())), ..told.clone() };
    let no_name = Merge { family: None, ..told.clone() };
    let other_birth = Merge { date_of_birth: Some(Private(jiff::civil::date(1990, 1, 1))), ..told };
    for told in [other_name, no_name, other_birth] {
        assert_eq!(held(&trust.plan(&told)), [1]);
    }
}

#[test]
fn a_change_of_identifier_needs_one_that_is_nobodys() {
    let trust = Trust::of(&["A", "B"]);
    let told = |to: &str| Merge { kind: MergeKind::ChangeIdentifier, ..merge(&[key(to)], &[key("A")]) };
    assert!(matches!(trust.plan(&told("N")), MergePlan::Rename { .. }));
    assert_eq!(held(&trust.plan(&told("B"))), [1]);
}

#[test]
fn an_nhs_number_on_both_sides_says_nothing_and_is_never_taken_away() {
    let mut trust = Trust::of(&["A", "B"]);
    trust.0[1].details.nhs_number = NhsNumber::parse("9990000018").ok();
    let n = number("9990000018");
    let both = merge(&[key("B"), n.clone()], &[key("A"), n.clone()]);
    assert!(matches!(trust.plan(&both), MergePlan::Join { joined, .. } if joined.len() == 1));
    let within = merge(&[key("B")], &[key("Z"), n.clone()]);
    let MergePlan::Join { retired, .. } = trust.plan(&within) else { panic!("Z leads to B") };
    assert_eq!(retired, [key("Z")]);
}

#[test]
fn several_identifiers_may_name_one_record_or_several_and_those_that_survive_only_one() {
    let mut trust = Trust::of(&["A", "B", "C"]);
    assert!(
        matches!(trust.plan(&merge(&[key("C")], &[key("A"), key("B")])), MergePlan::Join { joined, .. } if joined.len() == 2)
    );
    assert_eq!(held(&trust.plan(&merge(&[key("B"), key("C")], &[key("A")]))), [1]);
    assert_eq!(held(&trust.plan(&merge(&[key("N")], &[key("A"), key("B")]))), [1, 2]);
    trust.0[0].details.local_identifiers.push(LocalIdentifier { kind: "PI".into(), ..mrn("A2") });
    trust.join("C", "A");
    assert_eq!(trust.0[0].standing.merged_into, Some(trust.0[2].id));
    let other = PatientKey::Local(LocalIdentifier { kind: "PI".into(), ..mrn("A2") });
    assert!(trust.found(&other).is_some_and(|p| p.id == trust.0[2].id));
}

#[test]
fn a_death_told_of_the_losing_record_is_the_persons_and_a_merge_changes_nothing_else() {
    let (mut dead, alive) = (patient(1, "A"), patient(2, "B"));
    dead.standing.death = Some(Death { deceased: true, died_on: None, told_at: at(1) });
    dead.details.phone = Some(Private("0".into()));
    let survivor = alive.absorbs(&[dead], &[], at(100), at(200));
    assert!(survivor.standing.deceased());
    assert_eq!(survivor.details, alive.details);
}

#[test]
fn a_record_known_under_both_by_its_nhs_number_gets_the_surviving_identifier() {
    let mut trust = Trust::of(&["A"]);
    trust.0[0].details.nhs_number = NhsNumber::parse("9990000018").ok();
    let told = merge(&[key("N"), number("9990000018")], &[key("A")]);
    let MergePlan::Join { joined, retired, adopted, .. } = trust.plan(&told) else { panic!("one record") };
    assert_eq!((joined, retired, adopted), (vec![], vec![key("A")], vec![mrn("N")]));
}

#[test]
fn a_merge_that_speaks_of_somebody_else_joins_nobody() {
    let trust = Trust::of(&["A", "B"]);
    let of = |family: Option<&str>, born: Option<jiff::civil::Date>| Merge {
        family: family.map(|f| Private(f.into())),
        date_of_birth: born.map(Private),
        ..merge(&[key("A")], &[key("B")])
    };
    let another_day = Some(jiff::civil::date(2001, 1, 1));
    let MergePlan::Hold { doubt, .. } = trust.plan(&of(Some("WRONG"), another_day)) else { panic!("it was joined") };
    assert_eq!(doubt.len(), 2, "nothing goes to either before somebody has looked");
    // Where one is another, something has to agree.
    for merge in [of(Some("WRONG"), None), of(None, another_day)] {
        assert!(matches!(trust.plan(&merge), MergePlan::Hold { .. }));
    }
    // A new name, a corrected date, or nothing said at all is no other person.
    let born = Some(jiff::civil::date(1985, 4, 12));
    for merge in [of(Some("WRONG"), born), of(Some("TEST"), another_day), of(None, None)] {
        assert!(matches!(trust.plan(&merge), MergePlan::Join { .. }));
    }
}

#[test]
fn a_side_that_is_known_under_another_type_is_not_taken_as_unknown() {
    let mut trust = Trust(vec![patient(1, "A"), patient(2, "B")]);
    let other_type = |value: &str| PatientKey::Local(LocalIdentifier { kind: "PI".into(), ..mrn(value) });
    let near = |value: &str| Near::of("RW1", "PI", value);
    let loser = Merge { losing_near: near("B"), ..merge(&[key("A")], &[other_type("B")]) };
    let hold =
        |doubt: u128| MergePlan::Hold { why: NEARLY_KNOWN, doubt: vec![PatientId(uuid::Uuid::from_u128(doubt))] };
    assert_eq!(trust.plan(&loser), hold(2));
    let survivor = Merge { surviving_near: near("A"), ..merge(&[other_type("A")], &[key("B")]) };
    assert_eq!(trust.plan(&survivor), hold(1));
    let stranger = Merge { losing_near: near("X"), ..merge(&[key("A")], &[other_type("X")]) };
    assert!(matches!(trust.plan(&stranger), MergePlan::Join { joined, .. } if joined.is_empty()));
    trust.0.clear();
    assert_eq!(trust.plan(&stranger), MergePlan::NotOurs);
}

#[test]
fn a_surviving_patient_under_another_nhs_number_than_ours_is_held() {
    let mut trust = Trust::of(&["A", "B"]);
    trust.0[0].details.nhs_number = NhsNumber::parse("9990000018").ok();
    let of = |kind, surviving: &[PatientKey], losing: &[PatientKey]| Merge { kind, ..merge(surviving, losing) };
    let other = number("9990000026");
    let renumbered = of(MergeKind::ChangeIdentifier, &[key("A"), other.clone()], &[number("9990000018")]);
    assert_eq!(held(&trust.plan(&renumbered)), [1], "notes would go on under the old one");
    assert_eq!(held(&trust.plan(&of(MergeKind::Merge, &[key("A"), other.clone()], &[key("B")]))), [1, 2]);
    trust.0[0].standing.retire(other.clone(), at(50));
    assert!(matches!(trust.plan(&merge(&[key("A"), other], &[key("B")])), MergePlan::Join { .. }), "it was theirs");
}

#[test]
fn a_merge_ends_no_doubt() {
    let mut trust = Trust::of(&["A", "B"]);
    trust.0[1].standing.doubt = Some(Doubt::MergeUnclear);
    trust.join("A", "B");
    assert_eq!(trust.0[0].standing.doubt, Some(Doubt::MergeUnclear));
}
