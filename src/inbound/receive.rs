//! One message: who sent it, whether it came before, what it is, what to answer.

use super::answer::{Caller, Taken, Wrong, unpack_frames};
use super::repeats::told_apart;
use super::{Source, batch, told, weigh};
use crate::adapter::ParseError;
use crate::adapter::hl7::{Batch, Envelope};
use crate::domain::accept::{Accept, Judged};
use crate::domain::ids::{InboundId, ReplyId, may_be_ours};
use crate::store::record::{Inbound, InboundState, Raw, Reply};
use crate::store::write::{Late, Receive, Received, TakenForNew};
use crate::store::{StoreError, WriteError};
use crate::verdict::{answers, verdict};
use sha2::{Digest, Sha256};

mod way_in;

pub use way_in::{Submitted, Told, WayIn};

/// Longest source or control id kept as such, in characters.
const NAME_CHARS_MAX: usize = 200;

/// The frames to answer with. Nothing is answered that is not on disk; without an answer the sender sends again.
pub async fn receive(source: &Source, bytes: Vec<u8>) -> Vec<Vec<u8>> {
    match taken(source, bytes).await {
        Ok(frames) => frames,
        Err(e) => {
            tracing::error!(endpoint = %source.endpoint, reason = %e, "a message could not be stored; it is not answered, so that the sender sends it again");
            Vec::new()
        }
    }
}

/// The beginning of a message that was larger than the listener takes: kept and shown, refused, and never run again, for what is missing nobody knows.
pub async fn receive_cut_off(source: &Source, bytes: Vec<u8>) -> Vec<Vec<u8>> {
    match cut_off(source, bytes).await {
        Ok(frames) => frames,
        Err(e) => {
            tracing::error!(endpoint = %source.endpoint, reason = %e, "the beginning of a message that is too large could not be stored; it is not answered");
            Vec::new()
        }
    }
}

async fn cut_off(source: &Source, bytes: Vec<u8>) -> Result<Vec<Vec<u8>>, WriteError> {
    let envelope = Envelope::peek(&bytes).filter(|e| e.message_code() != "ACK");
    let mut inbound = Inbound { reason: CUT_OFF.into(), ..arrived(source, envelope.as_ref(), bytes) };
    if inbound.control_id.is_empty() {
        // Without an id of the sender's own, the same bytes are the same message.
        inbound.control_id = inbound.content.iter().take(16).map(|b| format!("{b:02x}")).collect();
    }
    let _turn = source.repeats.turn(&inbound).await;
    let before = source.store.inbound_before(&source.endpoint, &inbound.source, &inbound.control_id).await?;
    let inbound = match told_apart(source, &before, inbound) {
        Ok(inbound) => inbound,
        Err(answer) => return Ok(unpack_frames(&answer)),
    };
    let received = match &envelope {
        Some(envelope) => {
            weigh::refuse(source, Caller::Hl7(envelope), inbound, Taken::Never, &[Wrong::new(207, CUT_OFF)])
        }
        None => weigh::parked(inbound),
    };
    Ok(unpack_frames(&weigh::take_in(source, received).await?))
}

async fn taken(source: &Source, bytes: Vec<u8>) -> Result<Vec<Vec<u8>>, WriteError> {
    if Batch::is_one(&bytes) { batch::take(source, bytes).await } else { one(source, bytes).await }
}

/// By which such a message is known for what it is, whoever wants it run again.
const CUT_OFF: &str = "the message is larger than the listener takes ([endpoint.listen] max_frame_bytes), and only its beginning is kept: raise that limit, or have its sender send less, and have it sent again";

const NO_MESSAGE: &str = "no MSH segment: not an HL7 v2 message";

/// An acknowledgement of it would look like the record's own.
pub(super) const OUR_OWN: &str = "this message is one that this bridge sends itself, and it has come back to it: something sends it in a circle. Check the endpoint's address and the engine's routes";

/// One message.
pub(super) async fn one(source: &Source, bytes: Vec<u8>) -> Result<Vec<Vec<u8>>, WriteError> {
    let Some(envelope) = Envelope::peek(&bytes) else {
        let mut inbound = Inbound { reason: NO_MESSAGE.into(), ..arrived(source, None, bytes) };
        // Without an id of the sender's own, the same bytes are the same message.
        inbound.control_id = inbound.content.iter().take(16).map(|b| format!("{b:02x}")).collect();
        let _turn = source.repeats.turn(&inbound).await;
        let before = source.store.inbound_before(&source.endpoint, &inbound.source, &inbound.control_id).await?;
        if before.iter().any(|b| b.content == inbound.content) {
            return Ok(Vec::new());
        }
        source.store.receive(Receive { inbound }).await?;
        tracing::warn!(endpoint = %source.endpoint, "bytes that are no HL7 message; kept, not answered");
        return Ok(Vec::new());
    };
    if envelope.message_code() == "ACK" {
        return late_acknowledgement(source, &bytes).await;
    }
    let mut inbound = arrived(source, Some(&envelope), bytes);
    let _turn = source.repeats.turn(&inbound).await;
    if !inbound.control_id.is_empty() {
        // Nearly every message is new. That it is, the record says in the commit that takes it in. A large one is not read in vain.
        if inbound.bytes.0.len() <= weigh::LARGE_BYTES {
            let as_new = weighed(source, &envelope, inbound.clone()).await?;
            let refused = weigh::Refused::of(&as_new);
            if let Some(answer) = source.store.take_in_new(TakenForNew::new(as_new)).await? {
                refused.inspect(|refused| refused.tell(source));
                return Ok(unpack_frames(&answer));
            }
        }
        let before = source.store.inbound_before(&source.endpoint, &inbound.source, &inbound.control_id).await?;
        inbound = match told_apart(source, &before, inbound) {
            Ok(inbound) => inbound,
            Err(answer) => return Ok(unpack_frames(&answer)),
        };
    }
    let received = weighed(source, &envelope, inbound).await?;
    Ok(unpack_frames(&weigh::take_in(source, received).await?))
}

/// What a message is taken as: by the present pack, settings and rules, as of the time it came.
async fn weighed(source: &Source, envelope: &Envelope, inbound: Inbound) -> Result<Received, StoreError> {
    if let Some((taken, wrong)) = refused_outright(source, envelope, &inbound) {
        return Ok(weigh::refuse(source, Caller::Hl7(envelope), inbound, taken, &[wrong]));
    }
    if may_be_ours(&inbound.control_id) && source.store.has_made(&inbound.control_id).await? {
        let wrong = [Wrong::new(207, OUR_OWN)];
        return Ok(weigh::refuse(source, Caller::Hl7(envelope), inbound, Taken::Never, &wrong));
    }
    let rule = match source.accept.judge(&inbound.message_type) {
        Judged::Taken(rule) => rule,
        Judged::Unlisted => {
            return Ok(weigh::ignore(source, Caller::Hl7(envelope), inbound, Accept::UNLISTED, weigh::UNLISTED));
        }
    };
    let caller = Caller::Hl7(envelope);
    match weigh::read(source, &inbound.bytes.0).await {
        Ok((parsed, faults)) => weigh::message(source, caller, inbound, rule, &parsed, faults).await,
        Err(e) => {
            let (taken, wrong) = unparsed(&e);
            Ok(match in_plain_letters(source, &inbound, &e).await {
                Some(alone) => told::unread(source, caller, inbound, rule, alone, &wrong),
                None => weigh::refuse(source, caller, inbound, taken, &wrong),
            })
        }
    }
}

/// What is urgent in a message whose letters are not what it says they are: read without those that no character set would change.
async fn in_plain_letters(source: &Source, inbound: &Inbound, why: &ParseError) -> Option<told::Alone> {
    if !matches!(why, ParseError::Unreadable(_)) || inbound.bytes.0.is_ascii() {
        return None;
    }
    let plain: Vec<u8> = inbound.bytes.0.iter().map(|b| if b.is_ascii() { *b } else { b'?' }).collect();
    let (parsed, faults) = weigh::read(source, &plain).await.ok()?;
    let alone = told::Alone::of(&parsed, &faults, inbound.received_at);
    (alone.urgent.is_some() || !alone.doubted.is_empty()).then_some(alone)
}

pub(super) fn arrived(source: &Source, envelope: Option<&Envelope>, bytes: Vec<u8>) -> Inbound {
    let now = source.clock.now();
    let short = |text: &str| text.chars().take(NAME_CHARS_MAX).collect::<String>();
    let of = |f: fn(&Envelope) -> std::borrow::Cow<'_, str>| envelope.map(|e| short(&f(e))).unwrap_or_default();
    Inbound {
        id: InboundId::new(now, source.entropy.as_ref()),
        trust: source.trust.clone(),
        endpoint: source.endpoint.clone(),
        received_at: now,
        source: format!("{}|{}", of(Envelope::sending_application), of(Envelope::sending_facility)),
        control_id: of(Envelope::control_id),
        message_type: envelope.map(type_shown).unwrap_or_default(),
        state: InboundState::Parked,
        reason: String::new(),
        rule: None,
        referral_id: None,
        reused_control_id: false,
        content: Sha256::digest(&bytes).to_vec(),
        bytes: Raw(bytes),
        reply: Raw::default(),
    }
}

/// `REF^I12`. What does not look like a type is not shown, for a message out of step could have a name there; the bytes are kept.
fn type_shown(envelope: &Envelope) -> String {
    let part = |text: &str| {
        let good = text.len() == 3 && text.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        if good { text.to_owned() } else { "?".to_owned() }
    };
    format!("{}^{}", part(&envelope.message_code()), part(&envelope.trigger()))
}

/// What MSH-12 may say (HL7 v2.9, table 0104).
const VERSIONS: &[&str] = &[
    "2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2", "2.9", "2.9.1",
];

/// Whether a sender's field says this name: all of it, or its first component (HD: namespace, then a universal id).
fn names(envelope: &Envelope, sent: &str, name: &str) -> bool {
    sent == name || sent.split(char::from(envelope.delimiters().component)).next() == Some(name)
}

/// What makes a message impossible before its content is looked at.
fn refused_outright(source: &Source, envelope: &Envelope, inbound: &Inbound) -> Option<(Taken, Wrong)> {
    let sender = (envelope.sending_application(), envelope.sending_facility());
    let is_called = |(application, facility): &(String, String)| {
        names(envelope, &sender.0, application) && names(envelope, &sender.1, facility)
    };
    if !source.allowed.is_empty() && !source.allowed.iter().any(is_called) {
        return Some((
            Taken::Never,
            Wrong::new(207, "MSH-3 and MSH-4 are not a sender this listener takes messages from"),
        ));
    }
    if inbound.control_id.is_empty() {
        return Some((Taken::No, Wrong::new(101, "MSH-10 is empty: without it neither side can tell a repeat")));
    }
    if !matches!(&*envelope.processing_id(), "P" | "T" | "D") {
        return Some((Taken::Never, Wrong::new(202, "MSH-11 is not P, T or D")));
    }
    if source.is_live && envelope.processing_id() != "P" {
        let what = "MSH-11 says that the message is for training or testing, and this endpoint is live: nothing of it may reach a person's record";
        return Some((Taken::Never, Wrong::new(202, what)));
    }
    if !VERSIONS.contains(&&*envelope.version()) {
        return Some((Taken::Never, Wrong::new(203, "MSH-12 is not an HL7 v2 version this listener reads")));
    }
    // No rule can say whose such a message is: nobody's, or one of ours that went wrong. Said only if rules have to say it.
    if inbound.message_type.contains('?') && !source.accept.rules.is_empty() {
        let what = "MSH-9 names no message type and event of three capital letters or figures each; no accept rule can judge it";
        return Some((Taken::Never, Wrong::new(200, what)));
    }
    None
}

fn unparsed(e: &ParseError) -> (Taken, Vec<Wrong>) {
    match e {
        ParseError::NoMap(_) => (Taken::Never, vec![Wrong::new(200, e.to_string())]),
        ParseError::Unreadable(_) => (Taken::No, vec![Wrong::new(102, e.to_string())]),
        ParseError::Settings(_) => (Taken::No, vec![Wrong::new(207, "the endpoint's settings do not fit its pack")]),
        ParseError::Fields(faults) => (Taken::No, weigh::wrong(faults)),
    }
}

/// An application acknowledgement that comes on its own: it counts only by the exact control id of something we sent to this very endpoint.
async fn late_acknowledgement(source: &Source, bytes: &[u8]) -> Result<Vec<Vec<u8>>, WriteError> {
    let now = source.clock.now();
    let control_id = answers(bytes).unwrap_or_default();
    let reply = Reply {
        id: ReplyId::new(now, source.entropy.as_ref()),
        endpoint: source.endpoint.clone(),
        delivery_id: None,
        attempt_id: None,
        received_at: now,
        verdict: verdict(bytes, &source.in_use.now().reply_rules, &control_id, b""),
        unmatched: true,
        bytes: Raw(bytes.to_vec()),
    };
    let late = Late { endpoint: source.endpoint.clone(), control_id, reply };
    match source.store.keep_late(late).await {
        Ok(Some(delivery)) => tracing::info!(endpoint = %source.endpoint, %delivery, "late acknowledgement"),
        Ok(None) => tracing::warn!(endpoint = %source.endpoint, "an acknowledgement of nothing we sent; kept"),
        Err(e) => {
            tracing::error!(endpoint = %source.endpoint, reason = %e, "an acknowledgement could not be kept, and nobody sends it again")
        }
    }
    // An acknowledgement is not acknowledged.
    Ok(Vec::new())
}
