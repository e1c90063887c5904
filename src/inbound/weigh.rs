//! What a message that was read is taken as, in whichever form it came: for us or not, about somebody we know or not, by the rules of our fields.

use super::answer::{Caller, Taken, Wrong};
use super::{Source, referral, told};
use crate::adapter::{FieldFault, ParseError, Parsed};
use crate::domain::accept::AcceptRule;
use crate::store::StoreError;
use crate::store::record::{Inbound, InboundState, Raw};
use crate::store::write::{Receive, Received};
use tokio::sync::Semaphore;

/// Said of a message that no accept rule names.
pub const UNLISTED: &str = "no accept rule names this type";
const ANOTHER_TEAM: &str = "it is for another team";

/// What is larger is read beside everything else that goes on, so many at once: reading costs time by the byte.
const LARGE_BYTES: usize = 64 * 1024;
static LARGE_AT_ONCE: Semaphore = Semaphore::const_new(2);

/// By the pack that is in use.
pub async fn read(source: &Source, bytes: &[u8]) -> Result<(Parsed, Vec<FieldFault>), ParseError> {
    let (fitted, zone) = (source.in_use.now(), &source.time_zone_name);
    if bytes.len() <= LARGE_BYTES {
        return fitted.pack.read(bytes, &fitted.settings, zone);
    }
    let _turn = LARGE_AT_ONCE.acquire().await;
    let (bytes, zone) = (bytes.to_vec(), zone.clone());
    let read = tokio::task::spawn_blocking(move || fitted.pack.read(&bytes, &fitted.settings, &zone)).await;
    read.unwrap_or_else(|_| Err(ParseError::Unreadable("reading it broke off".into())))
}

/// By the present settings and rules, as of the time it came. `faults`: what the pack's map could not read.
pub async fn message(
    source: &Source,
    caller: Caller<'_>,
    inbound: Inbound,
    rule: Option<&AcceptRule>,
    parsed: &Parsed,
    faults: Vec<FieldFault>,
) -> Result<Received, StoreError> {
    let now = inbound.received_at;
    let elsewhere = rule.filter(|rule| !rule.takes_team(team(parsed)));
    if let Some(read) = told::read(parsed, now) {
        // A referral of ours that goes to another team is ours still.
        if let Some(rule) = elsewhere
            && !told::knows_referral(source, &read).await?
        {
            return Ok(ignore(source, caller, inbound, &rule.name, ANOTHER_TEAM));
        }
        return told::take(source, caller, inbound, rule, read, &faults).await;
    }
    if let Some(rule) = elsewhere {
        return Ok(ignore(source, caller, inbound, &rule.name, ANOTHER_TEAM));
    }
    if !faults.is_empty() {
        return Ok(refuse(source, caller, inbound, Taken::No, &wrong(&faults)));
    }
    let referral = match parsed.makes.as_str() {
        "CreateReferralRequest" => referral::read(source, parsed, &inbound, now),
        other => Err(vec![Wrong::new(207, format!("the pack's map makes {other}, which this release cannot take in"))]),
    };
    if let (Ok(create), Some(rule)) = (&referral, rule.filter(|r| r.known_patients_only))
        && !told::knows_any(source, &referral::keys(create)).await?
    {
        return Ok(ignore(source, caller, inbound, &rule.name, "its patient is not known here"));
    }
    Ok(match referral {
        Ok(create) => referral::write(inbound, create, caller.of_referral(source, now)).into(),
        Err(wrong) => refuse(source, caller, inbound, Taken::No, &wrong),
    })
}

/// The IPS team a referral is for, where the message says one.
fn team(parsed: &Parsed) -> Option<&str> {
    let value = &parsed.value;
    value.pointer("/details/team").or_else(|| value.get("team")).and_then(serde_json::Value::as_str)
}

pub fn wrong(faults: &[FieldFault]) -> Vec<Wrong> {
    faults.iter().map(|f| Wrong::new(101, f.to_string())).collect()
}

/// Not for us: counted under the rule's name and answered as taken note of. Its bytes are not kept, or only for a while.
pub fn ignore(source: &Source, caller: Caller<'_>, mut inbound: Inbound, rule: &str, why: &str) -> Received {
    inbound.state = InboundState::Ignored;
    inbound.rule = Some(rule.to_owned());
    inbound.reason = why.to_owned();
    if !source.keeps_ignored {
        inbound.bytes = Raw::default();
    }
    inbound.reply = Raw(caller.answer(source, Taken::Yes, &[], inbound.received_at));
    Receive { inbound }.into()
}

/// Kept, shown, answered with the reasons, and reprocessable.
pub fn refuse(source: &Source, caller: Caller<'_>, mut inbound: Inbound, taken: Taken, wrong: &[Wrong]) -> Received {
    inbound.reason = wrong.iter().map(|w| w.what.as_str()).collect::<Vec<_>>().join("; ");
    inbound.reply = Raw(caller.answer(source, taken, wrong, inbound.received_at));
    parked(source, inbound)
}

/// The reason and the answer stand in it.
pub fn parked(source: &Source, mut inbound: Inbound) -> Received {
    inbound.state = InboundState::Parked;
    tracing::warn!(endpoint = %source.endpoint, message_type = %inbound.message_type, reason = %inbound.reason, "a message was refused; kept");
    Receive { inbound }.into()
}
