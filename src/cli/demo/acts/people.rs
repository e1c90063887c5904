//! Who acts: the employment specialist, and the client as the bridge knows them.

use crate::app::SystemClock;
use crate::cli::pretend::Person;
use crate::domain::ambient::Clock;
use crate::wire::Timestamp;
use crate::wire::v1::{
    Attendance, Author, Contact, ContactMechanism, ContactMode, ExpectedPatient, NoteContent, note_content::Kind,
};
use jiff::SignedDuration;

/// The made-up client and their referral.
pub struct Client {
    pub person: &'static Person,
    pub referral_id: String,
}

impl Client {
    pub fn nhs_number(&self) -> &'static str {
        self.person.nhs_number
    }

    /// Who the specialist believes to be writing about.
    pub fn expected(&self) -> ExpectedPatient {
        let person = self.person;
        ExpectedPatient {
            nhs_number: person.nhs_number.into(),
            date_of_birth: person.born.to_string(),
            family_name: person.family.into(),
        }
    }

    /// The same in a line.
    pub fn expected_in_words(&self) -> String {
        let person = self.person;
        format!("{}, born {}, NHS {}", person.family, person.born, person.nhs_number)
    }
}

pub fn specialist() -> Author {
    Author {
        staff_id: "ES1042".into(),
        display_name: "Grace Okafor".into(),
        role_title: "Employment Specialist".into(),
        organisation_ods: "A8XX".into(),
    }
}

pub const SPECIALIST: &str = "Grace Okafor, Employment Specialist, employed by A8XX";

pub fn ago(minutes: i64) -> jiff::Timestamp {
    let now = SystemClock.now();
    now.checked_sub(SignedDuration::from_mins(minutes)).unwrap_or(now)
}

/// A note about a meeting.
pub fn note(text: &str, minutes_ago: i64, kind: Kind) -> NoteContent {
    let contact = Contact {
        mechanism: ContactMechanism::FaceToFace.into(),
        attendance: Attendance::AttendedOnTime.into(),
        mode: ContactMode::Individual.into(),
        duration_minutes: Some(45),
        ..Contact::default()
    };
    let occurred_at: Timestamp = ago(minutes_ago).into();
    NoteContent {
        occurred_at: Some(occurred_at),
        text: text.into(),
        contact: Some(contact),
        kind: Some(kind),
        ..NoteContent::default()
    }
}
