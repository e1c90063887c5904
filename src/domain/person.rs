//! People: who the patient is, who the author is, and whether caller and record mean the same person.

use super::ids::PatientId;
use super::nhs_number::NhsNumber;
use super::organisation::{OdsCode, StaffId};
use super::rule::Violations;
use super::standing::Standing;
use super::text::{Private, folded_name};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

/// NHS Data Dictionary, NHS NUMBER STATUS INDICATOR CODE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NhsNumberStatus {
    Verified,
    NotTraced,
    TraceRequired,
    NoSingleMatch,
    Unresolved,
    InProgress,
    NotPresent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gender {
    Male,
    Female,
    NotSpecified,
    NotKnown,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonName {
    pub family: Private<String>,
    pub given: Private<String>,
    pub prefix: Option<Private<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    pub lines: Vec<Private<String>>,
    pub city: Option<Private<String>>,
    pub county: Option<Private<String>>,
    pub postcode: Option<Private<String>>,
}

/// An identifier of the trust's own systems.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LocalIdentifier {
    pub assigning_authority: String,
    pub value: Private<String>,
    /// HL7 table 0203; MR unless said otherwise.
    pub kind: String,
}

/// What the record knows about a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatientDetails {
    pub nhs_number: Option<NhsNumber>,
    pub nhs_number_status: NhsNumberStatus,
    pub local_identifiers: Vec<LocalIdentifier>,
    pub name: PersonName,
    pub date_of_birth: Private<Date>,
    pub gender: Gender,
    pub address: Option<Address>,
    pub phone: Option<Private<String>>,
}

/// A person, as one trust knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patient {
    pub id: PatientId,
    pub trust: OdsCode,
    pub version: i64,
    pub details: PatientDetails,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    #[serde(default)]
    pub standing: Standing,
}

/// Nobody in care was born before this year.
pub const OLDEST_BIRTH_YEAR: i16 = 1880;

/// Identifiers of a patient: records that were merged several times have many.
pub const LOCAL_IDENTIFIERS_MAX: usize = 250;

impl PatientDetails {
    /// The rules between the fields. `at` is the path of these details in the request; `today` in the trust's time zone.
    pub fn check(&self, at: &str, today: Date, broken: &mut Violations) {
        if self.nhs_number.is_some() == (self.nhs_number_status == NhsNumberStatus::NotPresent) {
            broken.add(format!("{at}.nhs_number_status"), "must be NOT_PRESENT exactly when there is no NHS number");
        }
        if self.nhs_number.is_none() && self.local_identifiers.is_empty() {
            broken.add(format!("{at}.local_identifiers"), "at least one is required when there is no NHS number");
        }
        if self.local_identifiers.len() > LOCAL_IDENTIFIERS_MAX {
            broken.add(format!("{at}.local_identifiers"), format!("at most {LOCAL_IDENTIFIERS_MAX}"));
        }
        for (i, id) in self.local_identifiers.iter().enumerate() {
            let same = |o: &LocalIdentifier| o.assigning_authority == id.assigning_authority && o.kind == id.kind;
            if self.local_identifiers[..i].iter().any(same) {
                broken.add(format!("{at}.local_identifiers[{i}]"), "another one has the same authority and type");
            }
        }
        if self.date_of_birth.0 > today || self.date_of_birth.0.year() < OLDEST_BIRTH_YEAR {
            broken.add(format!("{at}.date_of_birth"), "must lie between 1880 and today");
        }
    }

    /// The facts by which an author knows whom they mean.
    pub fn identity(&self) -> Identity {
        Identity {
            nhs_number: self.nhs_number,
            nhs_number_status: self.nhs_number_status,
            local_identifiers: self.local_identifiers.clone(),
            date_of_birth: self.date_of_birth,
            family: self.name.family.clone(),
        }
    }
}

/// Who the patient was, to the record, when an entry was written. Kept with the entry for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nhs_number: Option<NhsNumber>,
    pub nhs_number_status: NhsNumberStatus,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub local_identifiers: Vec<LocalIdentifier>,
    pub date_of_birth: Private<Date>,
    pub family: Private<String>,
}

impl Identity {
    /// Still the person the author meant: number, date of birth and family name agree. A number gained or verified since, or another
    /// local identifier, changes nothing about who is meant.
    pub fn same_person(&self, now: &Identity) -> bool {
        (self.nhs_number.is_none() || self.nhs_number == now.nhs_number)
            && self.date_of_birth == now.date_of_birth
            && folded_name(&self.family.0) == folded_name(&now.family.0)
    }
}

/// Who the caller believes the patient to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedPatient {
    pub nhs_number: Option<NhsNumber>,
    pub date_of_birth: Private<Date>,
    pub family: Private<String>,
}

impl ExpectedPatient {
    /// All three agree with the record. A number is needed exactly when the record has one: this catches the wrong client picked.
    pub fn agrees_with(&self, details: &PatientDetails) -> bool {
        self.nhs_number == details.nhs_number
            && self.date_of_birth == details.date_of_birth
            && folded_name(&self.family.0) == folded_name(&details.name.family.0)
    }
}

/// Who wrote an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    pub staff_id: StaffId,
    pub display_name: Private<String>,
    pub role_title: Private<String>,
    pub organisation: OdsCode,
}

#[cfg(test)]
mod tests {
    use super::super::text::line;
    use super::*;

    fn details(nhs: Option<&str>, family: &str, born: &str) -> PatientDetails {
        PatientDetails {
            nhs_number: nhs.map(|n| NhsNumber::parse(n).expect("valid")),
            nhs_number_status: if nhs.is_some() { NhsNumberStatus::Verified } else { NhsNumberStatus::NotPresent },
            local_identifiers: vec![],
            name: PersonName {
                family: line(family, 80).expect("fine"),
                given: line("Sam", 80).expect("fine"),
                prefix: None,
            },
            date_of_birth: Private(born.parse().expect("a date")),
            gender: Gender::NotKnown,
            address: None,
            phone: None,
        }
    }

    fn expected(nhs: Option<&str>, family: &str, born: &str) -> ExpectedPatient {
        let d = details(nhs, family, born);
        ExpectedPatient { nhs_number: d.nhs_number, date_of_birth: d.date_of_birth, family: d.name.family }
    }

    #[test]
    fn the_wrong_client_picked_is_caught_by_any_of_the_three_facts() {
        let record = details(Some("9990000018"), "O'Keefe", "1985-04-12");
        assert!(expected(Some("9990000018"), "OKeefe", "1985-04-12").agrees_with(&record));
        assert!(!expected(Some("9990000026"), "OKeefe", "1985-04-12").agrees_with(&record));
        assert!(!expected(Some("9990000018"), "Jones", "1985-04-12").agrees_with(&record));
        assert!(!expected(Some("9990000018"), "OKeefe", "1985-12-04").agrees_with(&record));
        assert!(!expected(None, "OKeefe", "1985-04-12").agrees_with(&record));
    }

    #[test]
    fn a_number_gained_or_verified_later_is_the_same_person_and_a_number_changed_is_not() {
        let none = details(None, "Test", "1985-04-12").identity();
        let one = details(Some("9990000018"), "Test", "1985-04-12").identity();
        let other = details(Some("9990000026"), "Test", "1985-04-12").identity();
        assert!(none.same_person(&one));
        assert!(!one.same_person(&other));
        assert!(!one.same_person(&none));
    }

    #[test]
    fn rules_between_fields_are_all_reported() {
        let mut d = details(None, "Test", "2999-01-01");
        d.nhs_number_status = NhsNumberStatus::Verified;
        let mut broken = Violations::default();
        d.check("details", jiff::civil::date(2026, 1, 1), &mut broken);
        assert_eq!(broken.0.len(), 3);
    }
}
