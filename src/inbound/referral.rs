//! A referral that came as a message: read by the same rules as one that came by API.

use super::Source;
use super::answer::{Taken, Wrong, frames, pack_frames};
use crate::adapter::form;
use crate::adapter::hl7::Envelope;
use crate::adapter::Parsed;
use crate::domain::rule::Violations;
use crate::store::record::{Actor, Inbound, InboundState, RequestKey};
use crate::store::write::{Call, CreateReferral, PatientIs, ReceivedReferral};
use crate::store::{Refusal, Scope};
use crate::wire::v1;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// What the message asks for, or every rule it breaks.
pub fn read(source: &Source, parsed: &Parsed, inbound: &Inbound, now: Timestamp) -> Result<CreateReferral, Vec<Wrong>> {
    let request: v1::CreateReferralRequest = serde_json::from_value(parsed.value.clone())
        .map_err(|_| vec![Wrong::new(207, "the pack's map gives something that is no referral; run `ips-bridge adapter check` on the pack")])?;
    let mut broken = Violations::default();
    let today = now.to_zoned(source.time_zone.clone()).date();
    let details = form::required(request.details.as_ref(), "details", &mut broken, form::referral::read_and_check);
    let patient = match &request.patient {
        Some(v1::create_referral_request::Patient::PatientDetails(p)) => form::patient::read_and_check(p, "patient_details", today, &mut broken),
        _ => {
            broken.add("patient_details", "is required");
            None
        }
    };
    let received_at = form::request::optional_time(request.received_at.as_ref(), "received_at", &mut broken).flatten();
    match (details, patient, broken.is_empty()) {
        (Some(details), Some(patient), true) => Ok(CreateReferral {
            call: call(source, inbound),
            trust: source.trust.clone(),
            patient: PatientIs::Described(Box::new(patient)),
            details,
            // A clock that runs ahead must not make a referral of tomorrow.
            received_at: received_at.map_or(now, |at| at.min(now)),
            received_from: Some((source.endpoint.clone(), parsed.control_id.clone())),
        }),
        _ => Err(broken.0.iter().map(|v| Wrong::new(101, format!("{}: {}", v.field, v.rule))).collect()),
    }
}

/// The endpoint itself calls; the message is its own request id.
fn call(source: &Source, inbound: &Inbound) -> Call {
    let mut key = Sha256::new();
    for part in ["inbound", source.endpoint.as_str(), &inbound.source, &inbound.control_id] {
        key.update(part.as_bytes());
        key.update([0]);
    }
    key.update(&inbound.content);
    Call {
        actor: Actor { principal: format!("endpoint:{}", source.endpoint), role: "epr_system".into() },
        scope: Scope::trusts([source.trust.clone()]),
        request: RequestKey { key: key.finalize().into(), content: Sha256::digest(&inbound.content).into() },
        trace: None,
    }
}

pub type AnswerTo = Box<dyn Fn(Result<(), &Refusal>) -> Vec<u8> + Send + Sync>;

/// Makes the acknowledgement from what became of the referral; it is stored with the message.
pub fn answer(source: &Source, envelope: &Envelope, now: Timestamp) -> AnswerTo {
    // Both answers are made beforehand: the writer must not depend on us.
    let yes = pack_frames(&frames(source, envelope, Taken::Yes, &[], now));
    let no = |wrong: Wrong| pack_frames(&frames(source, envelope, Taken::No, &[wrong], now));
    let mismatch = no(Wrong::new(204, "the patient's number is known here with another date of birth or family name"));
    let other = no(Wrong::new(207, "the referral could not be taken; it is kept and the integration team is shown why"));
    Box::new(move |result| match result {
        Ok(()) => yes.clone(),
        Err(Refusal::PatientMismatch) => mismatch.clone(),
        Err(_) => other.clone(),
    })
}

pub fn write(inbound: Inbound, referral: CreateReferral, reply: AnswerTo) -> ReceivedReferral {
    ReceivedReferral { inbound: Inbound { state: InboundState::Received, ..inbound }, referral, reply }
}
