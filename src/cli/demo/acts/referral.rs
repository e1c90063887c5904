//! The EPR refers somebody; the employment service takes them on; the EPR is told.

use super::super::scene::{PATIENCE, Scene};
use super::super::stage::{TEAM, TRUST};
use super::people::{Client, SPECIALIST, ago, specialist};
use crate::cli::bridge::{causes, request_id};
use crate::cli::failure::Failure;
use crate::cli::outbox::message;
use crate::cli::pretend::{PEOPLE, Referring};
use crate::simulator::Direction;
use crate::wire::v1::{
    AcceptReferralRequest, GetPatientRequest, GetReferralRequest, ListReferralsRequest, PatientDetails, Referral,
    ReferralState,
};
use jiff::tz::TimeZone;

const EPR_REFERRAL_ID: &str = "REF-88213";

pub async fn arrives_and_is_accepted(scene: &mut Scene<'_>) -> Result<Client, Failure> {
    scene.act("The EPR refers somebody to the employment service")?;
    let person = &PEOPLE[0];
    arrives(scene).await?;
    let referral = found(scene).await?;
    let client = Client { person, referral_id: referral.id.clone() };
    let request = GetPatientRequest { patient_id: referral.patient_id.clone() };
    let mut patients = scene.bridge.patients();
    let patient = scene
        .call("PatientService/GetPatient", &[("patient_id", &referral.patient_id)], patients.get_patient(request))
        .await?;
    let details = patient.patient.and_then(|p| p.details).unwrap_or_default();
    scene.check(is_the_person(&details, &client), format!("the patient is {}", client.expected_in_words()))?;

    scene.act("The referral is accepted, and the EPR is told")?;
    let request = AcceptReferralRequest {
        request_id: request_id(),
        referral_id: referral.id.clone(),
        assigned_to: Some(specialist()),
        author: Some(specialist()),
    };
    let mut referrals = scene.bridge.referrals();
    let says = [("referral_id", &*referral.id), ("assigned_to", SPECIALIST)];
    let accepted = scene.call("ReferralService/AcceptReferral", &says, referrals.accept_referral(request)).await?;
    let state = accepted.referral.map(|r| r.state);
    scene.check(state == Some(ReferralState::Accepted.into()), "the referral is ACCEPTED")?;
    let Some(delivery) = accepted.delivery_ids.first() else {
        return Err(Failure::Refused("accepting the referral made no delivery, so the EPR will not hear of it".into()));
    };
    scene.filed(delivery, "the answer (RRI^I12)").await?;
    let answered = scene
        .epr
        .ask(|r| r.referral(EPR_REFERRAL_ID).map(|r| r.answers.iter().map(|a| a.status.clone()).collect::<Vec<_>>()));
    scene
        .check(answered.as_deref() == Some(&["A".to_owned()]), "the EPR holds one answer to its referral: accepted")?;
    Ok(client)
}

async fn arrives(scene: &mut Scene<'_>) -> Result<(), Failure> {
    let control_id = scene.epr.next_control_id();
    let referring = Referring {
        person: &PEOPLE[0],
        control_id: &control_id,
        referral_id: EPR_REFERRAL_ID,
        // Written yesterday, so that what follows lies after it.
        time: &ago(24 * 60).to_zoned(TimeZone::UTC),
        facility: TRUST,
        team: TEAM,
    };
    let bytes = referring.to_bytes().map_err(|e| Failure::Refused(causes(&e)))?;
    let mut seen = scene.epr.watch();
    message(&bytes, "    < ", scene.out)?;
    let sent = tokio::time::timeout(PATIENCE, scene.epr.send(&bytes)).await;
    let sent = sent.map_err(|_| Failure::Refused("the bridge did not answer the referral in time".into()))?;
    while let Ok(seen) = seen.try_recv() {
        if seen.direction == Direction::Sent {
            seen.answers.iter().try_for_each(|answer| message(answer, "    > ", scene.out))?;
        }
    }
    match sent {
        Ok(reply) => scene.check(reply.code.as_str() == "AA", "the bridge answers AA: the referral is stored"),
        Err(e) => Err(Failure::Refused(format!("the referral: {}", causes(&e)))),
    }
}

async fn found(scene: &mut Scene<'_>) -> Result<Referral, Failure> {
    let request = ListReferralsRequest {
        trust_ods: TRUST.into(),
        states: vec![ReferralState::Received.into()],
        ..ListReferralsRequest::default()
    };
    let mut referrals = scene.bridge.referrals();
    let says = [("trust_ods", TRUST), ("states", "RECEIVED")];
    let list = scene.call("ReferralService/ListReferrals", &says, referrals.list_referrals(request)).await?.referrals;
    scene.check(list.len() == 1, format!("{} new referral", list.len()))?;
    let Some(first) = list.into_iter().next() else {
        return Err(Failure::Refused("the referral cannot be found over gRPC".into()));
    };
    let request =
        GetReferralRequest { by: Some(crate::wire::v1::get_referral_request::By::ReferralId(first.id.clone())) };
    let says = [("referral_id", &*first.id)];
    let whole = scene.call("ReferralService/GetReferral", &says, referrals.get_referral(request)).await?;
    let Some(referral) = whole.referral else {
        return Err(Failure::Refused("GetReferral answered without a referral".into()));
    };
    let details = referral.details.clone().unwrap_or_default();
    let is_theirs = details.external_ids.iter().any(|id| id.value == EPR_REFERRAL_ID);
    scene.check(
        is_theirs && details.team == TEAM,
        format!("it is the EPR's {EPR_REFERRAL_ID}, from {}, for {}", details.referrer_name, details.team),
    )?;
    Ok(referral)
}

fn is_the_person(details: &PatientDetails, client: &Client) -> bool {
    let expected = client.expected();
    let family = details.name.as_ref().map(|n| n.family.to_lowercase());
    details.nhs_number.as_deref() == Some(&*expected.nhs_number)
        && details.date_of_birth == expected.date_of_birth
        && family == Some(expected.family_name.to_lowercase())
}
