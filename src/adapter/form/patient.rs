//! Patients and what the record knows about them.

use super::codes::Code;
use super::field::Fields;
use super::person::{
    code_or, draft_address, draft_local_identifier, draft_name, no_name, show_address, show_local_identifier, show_name,
};
use super::{whole, whole_and_checked};
use crate::domain::nhs_number::NhsNumber;
use crate::domain::person::{Gender, LOCAL_IDENTIFIERS_MAX, NhsNumberStatus, Patient, PatientDetails};
use crate::domain::rule::Violations;
use crate::domain::text::Private;
use crate::wire::v1;
use jiff::civil::{Date, date};

/// The fields' own rules only; `PatientDetails::check` has those between them.
pub fn read(message: &v1::PatientDetails, at: &str, broken: &mut Violations) -> Option<PatientDetails> {
    whole(broken, |b| draft(message, at, b))
}

/// All rules. `today` in the trust's time zone.
pub fn read_and_check(
    message: &v1::PatientDetails,
    at: &str,
    today: Date,
    broken: &mut Violations,
) -> Option<PatientDetails> {
    whole_and_checked(broken, |b| draft(message, at, b), |d, b| d.check(at, today, b))
}

fn draft(message: &v1::PatientDetails, at: &str, broken: &mut Violations) -> PatientDetails {
    let mut f = Fields::new(at, broken);
    let nhs_number = message.nhs_number.as_deref().filter(|n| !n.trim().is_empty()).map(|n| {
        // A broken number is still a number given: a valid one stands in.
        f.keep("nhs_number", NhsNumber::parse(n))
            .unwrap_or_else(|| NhsNumber::parse("9990000018").expect("a valid number of the test range"))
    });
    let likely = if nhs_number.is_some() { NhsNumberStatus::Verified } else { NhsNumberStatus::NotPresent };
    let nhs_number_status = code_or(&mut f, "nhs_number_status", message.nhs_number_status, likely);
    // One more: enough for the domain to see that there are too many, whatever a caller sends.
    let local_identifiers = (message.local_identifiers.iter().take(LOCAL_IDENTIFIERS_MAX + 1).enumerate())
        .filter_map(|(i, id)| f.optional_part(&format!("local_identifiers[{i}]"), Some(id), draft_local_identifier))
        .collect();
    let name = f.part("name", message.name.as_ref(), draft_name).unwrap_or_else(no_name);
    let date_of_birth = f.day("date_of_birth", &message.date_of_birth).unwrap_or(date(1900, 1, 1));
    PatientDetails {
        nhs_number,
        nhs_number_status,
        local_identifiers,
        name,
        date_of_birth: Private(date_of_birth),
        gender: code_or(&mut f, "gender", message.gender, Gender::NotKnown),
        address: f.optional_part("address", message.address.as_ref(), draft_address),
        phone: f.optional_line("phone", message.phone.as_deref(), 40),
    }
}

pub fn show(patient: &Patient) -> v1::Patient {
    v1::Patient {
        id: patient.id.to_string(),
        trust_ods: patient.trust.as_str().to_owned(),
        version: patient.version,
        details: Some(show_details(&patient.details)),
        created_at: Some(patient.created_at.into()),
        updated_at: Some(patient.updated_at.into()),
        merged_into: patient.standing.merged_into.map(|id| id.to_string()),
        absorbed: patient.standing.absorbed.iter().map(ToString::to_string).collect(),
        identity_in_doubt: patient.standing.doubt.is_some(),
        deceased: patient.standing.deceased(),
        died_on: patient.standing.death.as_ref().and_then(|d| d.died_on).map(|d| d.0.to_string()),
        location_shielded: patient.standing.location_shielded,
    }
}

pub fn show_details(details: &PatientDetails) -> v1::PatientDetails {
    v1::PatientDetails {
        nhs_number: details.nhs_number.map(|n| n.as_str().to_owned()),
        nhs_number_status: details.nhs_number_status.wire(),
        local_identifiers: details.local_identifiers.iter().map(show_local_identifier).collect(),
        name: Some(show_name(&details.name)),
        date_of_birth: details.date_of_birth.0.to_string(),
        gender: details.gender.wire(),
        address: details.address.as_ref().map(show_address),
        phone: details.phone.as_ref().map(|p| p.0.clone()),
    }
}
