//! A referral that came as a message: read by the same rules as one that came by API.

use super::Source;
use super::answer::Wrong;
use crate::adapter::Parsed;
use crate::adapter::form::{self, message::NotAReferral};
use crate::domain::standing::PatientKey;
use crate::store::Scope;
use crate::store::record::{Actor, Inbound, InboundState, RequestKey};
use crate::store::write::{Call, CreateReferral, MakeReply, PatientIs, ReceivedReferral};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

const TEAM: &str = "details.team";
const ANOTHER_IN_WORDS: &str =
    "is named by words that are no name and no id of a team of the trust's: a person has to look at this referral";

/// What the message asks for, with what there is to say of it, or every rule it breaks.
pub fn read(
    source: &Source,
    parsed: &Parsed,
    inbound: &Inbound,
    now: Timestamp,
) -> Result<(CreateReferral, String), Vec<Wrong>> {
    let today = now.to_zoned(source.time_zone.clone()).date();
    let message = form::message::referral(&parsed.value, today).map_err(|e| match e {
        NotAReferral::Shape => {
            vec![Wrong::new(
                207,
                "the pack's map gives something that is no referral; run `ips-bridge adapter check` on the pack",
            )]
        }
        NotAReferral::Broken(broken) => broken.0.iter().map(super::weigh::broken).collect(),
    })?;
    let mut details = message.details;
    let ours = source.teams.is_empty() || source.teams.contains(&details.team);
    if !ours && parsed.in_words.iter().any(|field| field == TEAM) {
        return Err(vec![Wrong::new(102, format!("{TEAM}: {ANOTHER_IN_WORDS}"))]);
    }
    // What names none of our teams goes to the one that config says; without one it is refused, by the rule for every new referral.
    if let Some(team) = source.default_team.as_ref().filter(|_| !ours) {
        details.team = team.clone();
    }
    let create = CreateReferral {
        call: call(source, inbound),
        trust: source.trust.clone(),
        patient: PatientIs::Described(Box::new(message.patient)),
        other_families: message.other_families,
        location_shielded: message.location_shielded,
        details,
        // A clock that runs ahead must not make a referral of tomorrow.
        received_at: message.received_at.map_or(now, |at| at.min(now)),
        received_from: Some((source.endpoint.clone(), inbound.control_id.clone())),
    };
    Ok((create, message.left_out.join("; ")))
}

/// What the referral's patient is recognised by.
pub fn keys(create: &CreateReferral) -> Vec<PatientKey> {
    let PatientIs::Described(details) = &create.patient else { return Vec::new() };
    let number = details.nhs_number.map(PatientKey::NhsNumber);
    number.into_iter().chain(details.local_identifiers.iter().cloned().map(PatientKey::Local)).collect()
}

/// The endpoint itself calls. The message is its own request id, until it is taken for new by the id it came with.
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
        request: Some(RequestKey { key: key.finalize().into(), content: Sha256::digest(&inbound.content).into() }),
        trace: None,
    }
}

/// `note`: what there is to say of it.
pub fn write(inbound: Inbound, (referral, note): (CreateReferral, String), reply: MakeReply) -> ReceivedReferral {
    ReceivedReferral { inbound: Inbound { state: InboundState::Received, reason: note, ..inbound }, referral, reply }
}
