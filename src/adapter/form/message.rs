//! What a pack's map read from a message, as the domain's types: the same rules as for a request over the API.

use super::change::{self, NotRead};
use super::person::read_local_identifier;
use super::{patient, referral, request, required};
use crate::domain::nhs_number::NhsNumber;
use crate::domain::person::PatientDetails;
use crate::domain::referral::ReferralDetails;
use crate::domain::rule::{Violation, Violations};
use crate::domain::text::Private;
use crate::wire::v1::{self, CreateReferralRequest, create_referral_request::Patient};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::Value;

/// What a map may make: what the bridge can take in.
pub const TAKEN_IN: &[&str] = &["CreateReferralRequest", "ReferralChange", "PatientChange", "PatientMerge"];

/// A referral as a message tells it.
pub struct ReferralMessage {
    pub details: ReferralDetails,
    pub patient: PatientDetails,
    /// To recognise them by, beside the name they have.
    pub other_families: Vec<Private<String>>,
    pub location_shielded: bool,
    pub received_at: Option<Timestamp>,
    /// Identifiers that break our rules, and how.
    pub left_out: Vec<String>,
}

/// Why it is no referral.
pub enum NotAReferral {
    /// The map gives something else: a fault of the pack.
    Shape,
    Broken(Violations),
}

/// `today` in the trust's time zone.
pub fn referral(value: &Value, today: Date) -> Result<ReferralMessage, NotAReferral> {
    let mut message: CreateReferralRequest = serde_json::from_value(value.clone()).map_err(|_| NotAReferral::Shape)?;
    let mut broken = Violations::default();
    let left_out = match &mut message.patient {
        Some(Patient::PatientDetails(p)) => without_odd_identifiers(p, &mut broken),
        _ => Vec::new(),
    };
    let details = required(message.details.as_ref(), "details", &mut broken, referral::read_and_check);
    let patient = match &message.patient {
        Some(Patient::PatientDetails(p)) => patient::read_and_check(p, "patient_details", today, &mut broken),
        _ => {
            broken.add("patient_details", "is required");
            None
        }
    };
    if message.details.as_ref().is_some_and(|d| d.external_ids.is_empty()) {
        let rule = "one is required: nothing would tell this referral from another when it comes again, or is changed";
        broken.add("details.external_ids", rule);
    }
    if message.patient_deceased {
        broken.add("patient_deceased", referral::HAS_DIED);
    }
    let other_families = super::other_families(&message.other_family_names, &mut broken);
    let received_at = request::optional_time(message.received_at.as_ref(), "received_at", &mut broken).flatten();
    match (details, patient) {
        (Some(details), Some(patient)) if broken.is_empty() => {
            let location_shielded = message.location_shielded;
            Ok(ReferralMessage { details, patient, other_families, location_shielded, received_at, left_out })
        }
        _ => Err(NotAReferral::Broken(broken)),
    }
}

/// Takes out the identifiers that break our rules, where another one keeps them or there is an NHS number; says which, by the places they had. Not one that
/// may be the NHS number itself, where there is none: without it somebody we know would be made a second time.
fn without_odd_identifiers(patient: &mut v1::PatientDetails, broken: &mut Violations) -> Vec<String> {
    let is_odd = |id: &v1::LocalIdentifier| read_local_identifier(id, "", &mut Violations::default()).is_none();
    let may_be_it = |id: &v1::LocalIdentifier| NhsNumber::parse(id.value.trim()).is_ok();
    if patient.nhs_number.is_none() && patient.local_identifiers.iter().any(|id| is_odd(id) && may_be_it(id)) {
        let rule = "one that breaks a rule may be the NHS number, and there is no other: a person has to look at this referral";
        broken.add("patient_details.local_identifiers", rule);
        return Vec::new();
    }
    let at = ("patient_details.nhs_number", "patient_details.local_identifiers");
    let (mut of_ids, mut left_out) = (Violations::default(), Vec::new());
    let (keys, ..) = change::keys(patient.nhs_number.as_deref(), &patient.local_identifiers, at, &mut of_ids);
    change::leave_out(
        of_ids,
        "patient_details.local_identifiers[",
        !keys.is_empty(),
        &mut left_out,
        &mut Violations::default(),
    );
    if !left_out.is_empty() {
        patient.local_identifiers.retain(|id| !is_odd(id));
    }
    left_out
}

/// What the map made of a message breaks these rules of our fields; empty: it would be taken in, as far as the message alone can tell.
/// Rules between fields hold as of `now`, in `zone`.
pub fn broken(makes: &str, value: &Value, nulls: &[String], now: Timestamp, zone: &TimeZone) -> Vec<Violation> {
    let shape = || vec![Violation { field: makes.to_owned(), rule: "the map gives something else".into() }];
    let of = |not: NotRead| match not {
        NotRead::Shape => shape(),
        NotRead::Broken(broken) => broken.0,
    };
    let today = now.to_zoned(zone.clone()).date();
    match makes {
        "CreateReferralRequest" => match referral(value, today) {
            Ok(_) => Vec::new(),
            Err(NotAReferral::Shape) => shape(),
            Err(NotAReferral::Broken(broken)) => broken.0,
        },
        "PatientChange" => change::patient(value, nulls, now).message.err().map(of).unwrap_or_default(),
        "PatientMerge" => change::merges(value, now).message.err().map(of).unwrap_or_default(),
        "ReferralChange" => change::referral(value, nulls, now).message.err().map(of).unwrap_or_default(),
        _ => vec![Violation { field: makes.to_owned(), rule: "is not among what the bridge takes in".into() }],
    }
}
