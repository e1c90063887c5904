//! Made-up people and their referrals, for the demonstration and the pretend EPR. NHS numbers are from the 999 test range.

use crate::adapter::hl7::escape::Unescapable;
use crate::simulator::messages::{Party, Priority, Referral, Referrer};
use crate::simulator::record::{LocalId, Patient};
use jiff::Zoned;
use jiff::civil::{Date, date};

/// One made-up person.
pub struct Person {
    pub nhs_number: &'static str,
    hospital_number: &'static str,
    pub family: &'static str,
    pub given: &'static str,
    pub born: Date,
    /// PID-8.
    gender: &'static str,
}

const fn person(
    nhs_number: &'static str,
    hospital_number: &'static str,
    name: (&'static str, &'static str),
    born: Date,
    gender: &'static str,
) -> Person {
    Person { nhs_number, hospital_number, family: name.0, given: name.1, born, gender }
}

pub const PEOPLE: [Person; 5] = [
    person("9990000018", "4471920", ("Testpatient", "Sam"), date(1985, 4, 12), "O"),
    person("9990000026", "4471921", ("Testwoman", "Rhian"), date(1991, 11, 3), "F"),
    person("9990000034", "4471922", ("Testman", "Kwame"), date(1978, 1, 30), "M"),
    person("9990000042", "4471923", ("O'Test", "Siobhán"), date(1999, 6, 21), "F"),
    person("9990000050", "4471924", ("Test-Example", "Jo"), date(1969, 9, 9), "O"),
];

/// What the EPR writes about a referral.
pub struct Referring<'a> {
    pub person: &'a Person,
    /// MSH-10.
    pub control_id: &'a str,
    /// RF1-6, at most 15 characters.
    pub referral_id: &'a str,
    /// MSH-7 and RF1-7.
    pub time: &'a Zoned,
    /// The trust's ODS code.
    pub facility: &'a str,
    /// The IPS team's id.
    pub team: &'a str,
}

impl Referring<'_> {
    /// A REF^I12.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Unescapable> {
        let p = self.person;
        let patient = Patient {
            nhs_number: Some(p.nhs_number.into()),
            mrn: Some(LocalId { value: p.hospital_number.into(), authority: self.facility.into() }),
            family: p.family.into(),
            given: p.given.into(),
            date_of_birth: Some(p.born),
            gender: Some(p.gender.into()),
            address: None,
        };
        let party = |application: &str| Party { application: application.into(), facility: self.facility.into() };
        let referrer = Referrer {
            staff_id: "CC4410".into(),
            family: "Adeyemi".into(),
            given: "Tunde".into(),
            prefix: "Mr".into(),
        };
        Referral {
            control_id: self.control_id,
            time: self.time,
            from: &party("EPR"),
            to: &party("IPSBRIDGE"),
            processing_id: "T",
            referral_id: self.referral_id,
            priority: Priority::Routine,
            referrer: &referrer,
            team: self.team,
            patient: &patient,
            is_traced: true,
            text: "Would like part-time retail work.\nPrefers contact by text message.",
        }
        .to_bytes()
    }
}
