//! What waits for nothing in a message, whatever else of it cannot be taken: that the patient has died, and that nobody may learn where they live.

use super::change::{keys, near};
use super::field::Fields;
use crate::domain::change::{ChangeKind, PatientChange, Sent};
use crate::domain::rule::Violations;
use crate::wire::v1;
use jiff::Timestamp;
use serde_json::Value;

/// Fields that say neither whom a message is about nor what is urgent in it: that one of them cannot be read, or is not accepted, makes it no less
/// certain.
pub fn is_beside(field: &str) -> bool {
    const BESIDE: &[&str] = &[
        "accept",
        // The rest of a text whose line ends were not escaped.
        "message.text",
        // A name that lost a letter is still compared.
        "letters",
        "date_of_birth",
        "birth_year",
        "given_names",
        "given",
        "name_prefix",
        "prefix",
        "gender",
        "phone",
        "nhs_number_status",
        "died_on",
        "changed_at",
        "merged_at",
        "received_at",
        "patient_deceased",
        "patient_location_shielded",
        "location_shielded",
        "team",
        "kind",
        // An XML message's own id.
        "id",
    ];
    // Whole parts of a message: a patient's address, and what is said of a referral.
    const PARTS: &[&str] = &[
        "address",
        "replaces",
        "local_identifiers[",
        "patient_identifiers[",
        "other_family_names",
        "details.",
        "external_ids",
        "referrer_",
        "reason",
        "close_",
        "priority",
    ];
    // Of a merge, too, the surviving patient is the one who died; a referral has its patient in a part of its own.
    let merged = field.strip_prefix("merges[").and_then(|rest| rest.split_once("].surviving_"));
    let field = merged.map_or(field, |(_, field)| field);
    let field = field.strip_prefix("patient_details.").unwrap_or(field);
    let field = field.strip_prefix("name.").filter(|f| *f != "family").unwrap_or(field);
    BESIDE.contains(&field) || PARTS.iter().any(|part| field.starts_with(part))
}

/// Somebody as a message calls them, and what is urgent. `None`: nothing is, or the NHS number cannot be read.
pub struct Person<'m> {
    pub nhs_number: Option<&'m str>,
    pub identifiers: &'m [v1::LocalIdentifier],
    pub family: Option<&'m str>,
    pub other_families: &'m [String],
    pub date_of_birth: Option<&'m str>,
    pub deceased: bool,
    pub shielded: bool,
}

impl Person<'_> {
    pub fn urgent(&self, at: Timestamp) -> Option<Box<PatientChange>> {
        let mut broken = Violations::default();
        let (_, number, local_identifiers) =
            keys(self.nhs_number, self.identifiers, ("nhs_number", "local_identifiers"), &mut broken);
        if broken.0.iter().any(|b| b.field == "nhs_number") {
            return None;
        }
        let mut f = Fields::new("", &mut broken);
        let family = f.optional_line("family", self.family, 80);
        let others = self.other_families.iter().take(20);
        let other_families = others.filter_map(|o| f.optional_line("other", Some(o.as_str()), 80)).collect();
        let date_of_birth = f.optional_day("date_of_birth", self.date_of_birth).map(crate::domain::text::Private);
        let change = PatientChange {
            nhs_number: number.map_or(Sent::Absent, Sent::Value),
            local_identifiers,
            family,
            other_families,
            date_of_birth,
            near: near(self.nhs_number, self.identifiers),
            deceased: Some(self.deceased),
            location_shielded: self.shielded.then_some(true),
            ..PatientChange::nothing(ChangeKind::Updated, at)
        };
        change.is_urgent().then(|| Box::new(change))
    }
}

/// What is urgent in a new referral, read as far as it goes.
pub fn of_referral(value: &Value, now: Timestamp) -> Option<Box<PatientChange>> {
    let message: v1::CreateReferralRequest = serde_json::from_value(value.clone()).ok()?;
    let Some(v1::create_referral_request::Patient::PatientDetails(patient)) = &message.patient else { return None };
    Person {
        nhs_number: patient.nhs_number.as_deref(),
        identifiers: &patient.local_identifiers,
        family: patient.name.as_ref().map(|n| n.family.as_str()),
        other_families: &message.other_family_names,
        date_of_birth: Some(patient.date_of_birth.as_str()).filter(|d| !d.is_empty()),
        deceased: message.patient_deceased,
        shielded: message.location_shielded,
    }
    .urgent(now)
}
