//! What a message that was read is taken as, in whichever form it came: for us or not, about somebody we know or not, by the rules of our fields.

use super::answer::{Caller, Taken, Wrong};
use super::{Source, referral, told};
use crate::adapter::xml::Peeked;
use crate::adapter::{FieldFault, Fitted, ParseError, Parsed};
use crate::domain::accept::AcceptRule;
use crate::domain::organisation::TeamId;
use crate::domain::rule::Violation;
use crate::domain::text::folded_name;
use crate::store::record::{Inbound, InboundState, Raw};
use crate::store::write::{Receive, Received, Told};
use crate::store::{StoreError, WriteError};
use std::borrow::Cow;
use std::collections::BTreeSet;
use tokio::sync::Semaphore;

/// Said of a message that no accept rule names.
pub const UNLISTED: &str = "no accept rule names this type";
const ANOTHER_TEAM: &str = "it is for another team";

/// What is larger is read beside everything else that goes on, so many at once: reading costs time by the byte.
pub const LARGE_BYTES: usize = 64 * 1024;
static LARGE_AT_ONCE: Semaphore = Semaphore::const_new(2);

/// By the pack that is in use.
pub async fn read(source: &Source, bytes: &[u8]) -> Result<(Parsed, Vec<FieldFault>), ParseError> {
    let zone = source.time_zone_name.clone();
    by_pack(source, bytes, move |fitted, bytes| fitted.pack.read(bytes, &fitted.settings, &zone)).await
}

/// What a message of XML shows before a map is asked.
pub async fn peek_xml(source: &Source, bytes: &[u8]) -> Result<Peeked, ParseError> {
    by_pack(source, bytes, |fitted, bytes| fitted.pack.peek_xml(bytes)).await
}

async fn by_pack<T: Send + 'static>(
    source: &Source,
    bytes: &[u8],
    look: impl FnOnce(&Fitted, &[u8]) -> Result<T, ParseError> + Send + 'static,
) -> Result<T, ParseError> {
    let fitted = source.in_use.now();
    if bytes.len() <= LARGE_BYTES {
        return look(&fitted, bytes);
    }
    let _turn = LARGE_AT_ONCE.acquire().await;
    let bytes = bytes.to_vec();
    let read = tokio::task::spawn_blocking(move || look(&fitted, &bytes)).await;
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
    let parsed = &*with_our_team(source, parsed);
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
    let alone = || told::Alone::of(parsed, &faults, now);
    if !faults.is_empty() {
        return Ok(told::unread(source, caller, inbound, rule, alone(), &wrong(&faults)));
    }
    let referral = match parsed.makes.as_str() {
        "CreateReferralRequest" => referral::read(source, parsed, &inbound, now),
        other => Err(vec![Wrong::new(207, format!("the pack's map makes {other}, which this release cannot take in"))]),
    };
    if let (Ok((create, _)), Some(rule)) = (&referral, rule.filter(|r| r.known_patients_only))
        && !told::knows_any(source, &referral::keys(create)).await?
    {
        return Ok(ignore(source, caller, inbound, &rule.name, "its patient is not known here"));
    }
    Ok(match referral {
        Ok(create) => referral::write(inbound, create, caller.of_referral(source, now)).into(),
        Err(wrong) => told::unread(source, caller, inbound, rule, alone(), &wrong),
    })
}

/// Where a message says which IPS team a referral is for.
const TEAM_AT: [&str; 2] = ["/details/team", "/team"];

/// The IPS team a referral is for, where the message says one.
fn team(parsed: &Parsed) -> Option<&str> {
    TEAM_AT.iter().find_map(|at| parsed.value.pointer(at)).and_then(serde_json::Value::as_str)
}

/// The same, a team of ours called by its id, whether the message has that in other letters or says the team's name.
fn with_our_team<'p>(source: &Source, parsed: &'p Parsed) -> Cow<'p, Parsed> {
    let said = team(parsed).filter(|said| !source.teams.iter().any(|t| t.as_str() == *said));
    let Some(id) = said.and_then(|said| called(source, said)) else { return Cow::Borrowed(parsed) };
    let mut ours = parsed.clone();
    for at in TEAM_AT {
        if let Some(place) = ours.value.pointer_mut(at) {
            *place = id.as_str().into();
        }
    }
    Cow::Owned(ours)
}

/// The one team that is called so; none, where two are.
fn called<'s>(source: &'s Source, said: &str) -> Option<&'s TeamId> {
    let said = folded_name(said);
    let by_id = source.teams.iter().filter(|t| folded_name(t.as_str()) == said);
    let by_name = source.team_names.iter().filter(|(name, _)| folded_name(name) == said).map(|(_, id)| id);
    let all: BTreeSet<&TeamId> = by_id.chain(by_name).collect();
    all.first().copied().filter(|_| all.len() == 1 && !said.is_empty())
}

/// HL7 table 0357: 101 where something required is not there, 103 where a table lacks the code, else 102.
pub fn wrong(faults: &[FieldFault]) -> Vec<Wrong> {
    let code = |f: &FieldFault| match f.what.as_str() {
        what if what.contains("is required") => 101,
        what if what.contains("a code that table") => 103,
        _ => 102,
    };
    faults.iter().map(|f| Wrong::new(code(f), f.to_string())).collect()
}

/// The same for rules of our fields.
pub fn broken(rule: &Violation) -> Wrong {
    let code = if rule.rule.contains("is required") || rule.rule.contains("one is required") { 101 } else { 102 };
    Wrong::new(code, format!("{}: {}", rule.field, rule.rule))
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
    parked(inbound)
}

/// The reason and the answer stand in it.
pub fn parked(mut inbound: Inbound) -> Received {
    inbound.state = InboundState::Parked;
    Receive { inbound }.into()
}

/// What the log says of a message that is kept and not taken in, once it is.
pub struct Refused {
    message_type: String,
    reason: String,
    /// Looked at all the same: whether it tells what is urgent, and whether a merge.
    looked_at: Option<(bool, bool)>,
}

impl Refused {
    pub fn of(received: &Received) -> Option<Self> {
        let message_type = received.inbound().message_type.clone();
        match received {
            Received::Kept(kept) if kept.inbound.state == InboundState::Parked => {
                Some(Self { message_type, reason: kept.inbound.reason.clone(), looked_at: None })
            }
            Received::Told(told) => match &told.told {
                Told::Unread { urgent, doubted, why, .. } => {
                    let looked_at = Some((urgent.is_some(), !doubted.is_empty()));
                    Some(Self { message_type, reason: why.clone(), looked_at })
                }
                _ => None,
            },
            _ => None,
        }
    }

    pub fn tell(&self, source: &Source) {
        let Self { message_type, reason, .. } = self;
        match self.looked_at {
            None => {
                tracing::warn!(endpoint = %source.endpoint, %message_type, %reason, "a message was refused; kept");
            }
            Some((tells_what_is_urgent, tells_a_merge)) => {
                tracing::warn!(endpoint = %source.endpoint, %message_type, %reason, tells_what_is_urgent, tells_a_merge, "a message cannot be taken in; a death, a shielding or a merge in it is looked at alone");
            }
        }
    }
}

/// The acknowledgement to send.
pub async fn take_in(source: &Source, received: Received) -> Result<Vec<u8>, WriteError> {
    let refused = Refused::of(&received);
    let answer = source.store.take_in(received).await?;
    refused.inspect(|refused| refused.tell(source));
    Ok(answer)
}
