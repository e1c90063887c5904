//! Changes, deaths, merges and changed referrals: messages about somebody we may know. Of anybody else nothing is kept.

use super::answer::{Caller, Taken, Wrong};
use super::{Source, weigh};
use crate::adapter::form::change::{self, NotRead, Read};
use crate::adapter::form::urgent;
use crate::adapter::{FieldFault, Parsed};
use crate::domain::accept::AcceptRule;
use crate::domain::change::PatientChange;
use crate::domain::standing::{Near, PatientKey};
use crate::store::read::{Page, PatientBy};
use crate::store::record::{Inbound, InboundState};
use crate::store::write::{AboutReferral, Became, Because, Received, ReceivedTold, Told};
use crate::store::{Scope, StoreError};
use jiff::Timestamp;

/// What a message is about, read as far as it goes; `None`: the pack's map makes something else.
pub fn read(parsed: &Parsed, now: Timestamp) -> Option<Read<Told>> {
    let mut read = match parsed.makes.as_str() {
        "PatientChange" => as_told(change::patient(&parsed.value, &parsed.nulls, now), |c| Told::Patient(Box::new(c))),
        "PatientMerge" => as_told(change::merges(&parsed.value, now), Told::Merges),
        "ReferralChange" => as_told(change::referral(&parsed.value, &parsed.nulls, now), |c| {
            let change::ReferralMessageChange { external_ids, patient, family, told, urgent, left_out } = c;
            Told::Referral(Box::new(AboutReferral { external_ids, patient, family, told, urgent, left_out }))
        }),
        _ => return None,
    };
    let elsewhere: Vec<Near> = parsed.elsewhere.iter().copied().map(Near::Number).collect();
    read.near.extend_from_slice(&elsewhere);
    match &mut read.message {
        Ok(Told::Patient(change)) => change.near.extend_from_slice(&elsewhere),
        Ok(Told::Merges(merges)) if merges.len() == 1 => merges[0].surviving_near.extend_from_slice(&elsewhere),
        _ => {}
    }
    if let Some(urgent) = &mut read.urgent {
        urgent.near.extend_from_slice(&elsewhere);
    }
    Some(read)
}

fn as_told<T>(read: Read<T>, told: impl FnOnce(T) -> Told) -> Read<Told> {
    let Read { keys, near, names_somebody, message, urgent, doubts } = read;
    Read { keys, near, names_somebody, message: message.map(told), urgent, doubts }
}

/// Takes it in, or says what is wrong with it, or that it is not ours. `faults`: what the map could not read.
pub async fn take(
    source: &Source,
    caller: Caller<'_>,
    inbound: Inbound,
    rule: Option<&AcceptRule>,
    read: Read<Told>,
    faults: &[FieldFault],
) -> Result<Received, StoreError> {
    let mut wrong: Vec<Wrong> = weigh::wrong(faults);
    let told = match read.message {
        Ok(told) if wrong.is_empty() => told,
        not_taken => {
            match &not_taken {
                Ok(_) => {}
                Err(NotRead::Shape) => {
                    let what =
                        "the pack's map gives something else than it says; run `ips-bridge adapter check` on the pack";
                    wrong.push(Wrong::new(207, what));
                }
                Err(NotRead::Broken(broken)) => {
                    // What the map could not read is missing here; it is told once.
                    let named = |field: &str| faults.iter().any(|f| f.field == field);
                    let more = broken.0.iter().filter(|v| !named(&v.field));
                    wrong.extend(more.map(weigh::broken));
                }
            }
            let alone = Alone {
                urgent: read.urgent.filter(|_| faults.iter().all(|f| urgent::is_beside(&f.field))),
                doubted: if read.doubts && knows_any(source, &read.keys).await? {
                    read.keys.clone()
                } else {
                    Vec::new()
                },
                keeps_strangers: false,
            };
            if alone.urgent.is_some() || !alone.doubted.is_empty() {
                return Ok(unread(source, caller, inbound, rule, alone, &wrong));
            }
            return refuse(source, caller, inbound, rule, (&read.keys, &read.near), read.names_somebody, &wrong).await;
        }
    };
    let reply = caller.of_told(source, inbound.received_at);
    let write = ReceivedTold {
        inbound: Inbound { state: InboundState::Received, ..inbound },
        rules: source.store.rules(),
        told,
        rule: rule.map(|r| r.name.clone()),
        keeps_ignored: source.keeps_ignored,
        reply,
    };
    Ok(write.into())
}

/// What is looked at of a message that cannot be taken in.
#[derive(Default)]
pub struct Alone {
    pub urgent: Option<Box<PatientChange>>,
    /// Whose record is whose, the message would have said.
    pub doubted: Vec<PatientKey>,
    /// It is kept also when it is about nobody of ours.
    pub keeps_strangers: bool,
}

impl Alone {
    /// Of a message that could be read only in part, whatever it is.
    pub fn of(parsed: &Parsed, faults: &[FieldFault], now: Timestamp) -> Self {
        let is_beside = faults.iter().all(|f| urgent::is_beside(&f.field));
        let (urgent, doubted) = match read(parsed, now) {
            Some(read) => (read.urgent, if read.doubts { read.keys } else { Vec::new() }),
            None => (urgent::of_referral(&parsed.value, now), Vec::new()),
        };
        Self { urgent: urgent.filter(|_| is_beside), doubted, keeps_strangers: true }
    }
}

/// A message that cannot be taken in: whatever else is wrong with it, nothing more may go to the record of who has died, nor to one of which nobody knows
/// whose it is now, and nobody may learn where somebody lives who asks for that.
pub fn unread(
    source: &Source,
    caller: Caller<'_>,
    inbound: Inbound,
    rule: Option<&AcceptRule>,
    alone: Alone,
    wrong: &[Wrong],
) -> Received {
    let Alone { urgent, doubted, keeps_strangers } = alone;
    if urgent.is_none() && doubted.is_empty() {
        return weigh::refuse(source, caller, inbound, Taken::No, wrong);
    }
    let refused = caller.answer(source, Taken::No, wrong, inbound.received_at);
    let otherwise = caller.of_told(source, inbound.received_at);
    let why = wrong.iter().map(|w| w.what.as_str()).collect::<Vec<_>>().join("; ");
    let write = ReceivedTold {
        inbound: Inbound { state: InboundState::Received, ..inbound },
        rules: source.store.rules(),
        told: Told::Unread { urgent, doubted, keeps_strangers, why },
        rule: rule.map(|r| r.name.clone()),
        keeps_ignored: source.keeps_ignored,
        reply: Box::new(move |became| match became {
            Became::Held { .. } => refused.clone(),
            other => otherwise(other),
        }),
    };
    write.into()
}

/// A message that breaks our rules is kept only if it may be about somebody of ours.
async fn refuse(
    source: &Source,
    caller: Caller<'_>,
    inbound: Inbound,
    rule: Option<&AcceptRule>,
    (keys, near): (&[PatientKey], &[Near]),
    names_somebody: bool,
    wrong: &[Wrong],
) -> Result<Received, StoreError> {
    if names_somebody && !knows_any(source, keys).await? && !knows_nearly(source, near).await? {
        let rule = rule.map_or(Because::NotOurs.name(), |r| r.name.as_str());
        return Ok(weigh::ignore(source, caller, inbound, rule, "its patient is not known here"));
    }
    Ok(weigh::refuse(source, caller, inbound, Taken::No, wrong))
}

/// Whether a referral's change is about one that the trust has here. What cannot be read may be.
pub async fn knows_referral(source: &Source, read: &Read<Told>) -> Result<bool, StoreError> {
    let Ok(Told::Referral(about)) = &read.message else { return Ok(true) };
    let scope = Scope::trusts([source.trust.clone()]);
    for external in &about.external_ids {
        if source.store.referral_by_external(&scope, &source.trust, external).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether one of these may be a patient of the trust here.
async fn knows_nearly(source: &Source, near: &[Near]) -> Result<bool, StoreError> {
    let scope = Scope::trusts([source.trust.clone()]);
    for near in near {
        let by = match near {
            Near::Number(number) => PatientBy::Digits(*number),
            Near::Value { authority, value } => {
                PatientBy::Value { authority: authority.clone(), value: value.0.clone() }
            }
        };
        let page = Page { size: 1, after: None };
        if !source.store.find_patients(&scope, &source.trust, &by, page).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether one of these is a patient of the trust here, or was.
pub async fn knows_any(source: &Source, keys: &[PatientKey]) -> Result<bool, StoreError> {
    let scope = Scope::trusts([source.trust.clone()]);
    for key in keys {
        let by = match key {
            PatientKey::NhsNumber(number) => PatientBy::NhsNumber(*number),
            PatientKey::Local(id) => PatientBy::Local(id.clone()),
        };
        let page = Page { size: 1, after: None };
        if !source.store.find_patients(&scope, &source.trust, &by, page).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
