//! What a pack's map read from a message, as the domain's types: the same rules as for a request over the API.

use super::{patient, referral, request, required};
use crate::domain::person::PatientDetails;
use crate::domain::referral::ReferralDetails;
use crate::domain::rule::Violations;
use crate::wire::v1::{CreateReferralRequest, create_referral_request::Patient};
use jiff::{Timestamp, civil::Date};
use serde_json::Value;

/// A referral as a message tells it.
pub struct ReferralMessage {
    pub details: ReferralDetails,
    pub patient: PatientDetails,
    pub received_at: Option<Timestamp>,
}

/// Why it is no referral.
pub enum NotAReferral {
    /// The map gives something else: a fault of the pack.
    Shape,
    Broken(Violations),
}

/// `today` in the trust's time zone.
pub fn referral(value: &Value, today: Date) -> Result<ReferralMessage, NotAReferral> {
    let message: CreateReferralRequest = serde_json::from_value(value.clone()).map_err(|_| NotAReferral::Shape)?;
    let mut broken = Violations::default();
    let details = required(message.details.as_ref(), "details", &mut broken, referral::read_and_check);
    let patient = match &message.patient {
        Some(Patient::PatientDetails(p)) => patient::read_and_check(p, "patient_details", today, &mut broken),
        _ => {
            broken.add("patient_details", "is required");
            None
        }
    };
    let received_at = request::optional_time(message.received_at.as_ref(), "received_at", &mut broken).flatten();
    match (details, patient) {
        (Some(details), Some(patient)) if broken.is_empty() => Ok(ReferralMessage { details, patient, received_at }),
        _ => Err(NotAReferral::Broken(broken)),
    }
}
