//! Our MESH mailbox: looked into again and again; what lies there is kept first, and acknowledged to MESH only when what it says is committed.
//!
//! | what lies there | becomes |
//! |---|---|
//! | MESH's own report about a message of ours | evidence about exactly that message |
//! | a message that answers one of ours | the application's word, by the exact control id, from the mailbox and under the workflow that were agreed |
//! | any other message from that mailbox | what it would be if it had been posted to the FHIR listener; what cannot be read is kept, shown and acknowledged |
//! | one from anybody else | kept and shown; it changes nothing |
//! | one larger than the limit | shown, and left where it is |
//!
//! When the bridge stops between commit and acknowledgement the same message comes again. It makes the same reply id, or the same inbound message, which the
//! store has already.

use super::Source;
use super::fhir::{from_mailbox, keep_unread, take};
use crate::adapter::ReplyRules;
use crate::adapter::fhir::json::without_bom;
use crate::domain::ids::ReplyId;
use crate::domain::verdict::Verdict;
use crate::store::record::{Raw, Reply};
use crate::store::write::Late;
use crate::store::{StoreError, WriteError};
use crate::transport::https::Arrived;
use crate::transport::mesh::{Client, Fetched, InMessage, NotFetched};
use crate::verdict::{acknowledgement, of_report};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Messages that fail one after the other before a round is given up: then it is the mailbox, not the message.
const FAILURES_THAT_END: u32 = 3;

/// One endpoint's mailbox.
pub struct MeshSource {
    /// What a message is that is neither report nor acknowledgement.
    pub source: Source,
    pub client: Client,
    /// The mailbox that acknowledgements come from: the one we send to.
    pub their_mailbox: String,
    pub ack_workflow: String,
    pub poll_interval: Duration,
}

/// Ids that are looked at differently next time; never more than were listed last.
#[derive(Default)]
struct Noted {
    /// Left in the mailbox for their size.
    too_large: HashSet<String>,
    /// Failed last time: these come last, so that they hold up nothing.
    failed: HashSet<String>,
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Mailbox(#[from] NotFetched),
    #[error("{0}")]
    Store(#[from] WriteError),
}

/// Looks until `stop`.
pub async fn watch(source: MeshSource, stop: CancellationToken) {
    let mut noted = Noted::default();
    while !stop.is_cancelled() {
        if let Err(e) = round(&source, &mut noted, &stop).await {
            tracing::warn!(endpoint = %source.source.endpoint, reason = %e, "the mailbox could not be taken in; looking again");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(source.poll_interval) => {}
        }
    }
}

async fn round(source: &MeshSource, noted: &mut Noted, stop: &CancellationToken) -> Result<(), Trouble> {
    let mut ids = source.client.list().await?;
    noted.too_large.retain(|id| ids.contains(id));
    let failed_before = std::mem::take(&mut noted.failed);
    ids.sort_by_key(|id| failed_before.contains(id));
    let mut failures = 0;
    for id in ids.iter().filter(|id| !noted.too_large.contains(*id)).cloned().collect::<Vec<_>>() {
        if stop.is_cancelled() {
            break;
        }
        match one(source, &id, noted).await {
            Ok(()) => failures = 0,
            // The mailbox or the record is away, by the look of it. Perhaps it is only this one: next time the others come first.
            Err(e @ (Trouble::Store(_) | Trouble::Mailbox(NotFetched::NotReached(_)))) => {
                noted.failed.insert(id);
                noted.failed.extend(failed_before);
                return Err(e);
            }
            Err(e) => {
                failures += 1;
                tracing::warn!(endpoint = %source.source.endpoint, message = %id, reason = %e, "a message could not be taken in; it stays in the mailbox");
                noted.failed.insert(id);
                if failures >= FAILURES_THAT_END {
                    return Err(e);
                }
            }
        }
    }
    Ok(())
}

/// Fetched, kept, acknowledged: in this order and no other.
async fn one(source: &MeshSource, id: &str, noted: &mut Noted) -> Result<(), Trouble> {
    match source.client.fetch(id).await? {
        Fetched::Message(message) => keep(source, &message).await?,
        Fetched::Broken(message) => {
            keep_unread(
                &source.source,
                &arrived(&message),
                &from(&message),
                "it cannot be unpacked: no gzip, or damaged",
            )
            .await?;
        }
        Fetched::Gone => return Ok(()),
        Fetched::TooLarge => {
            let nothing = Arrived { request_id: Some(id.to_owned()), ..empty() };
            let why = "it is larger than mesh.max_message_bytes; it waits in the mailbox until MESH lets it go, so raise the limit soon";
            keep_unread(&source.source, &nothing, &from_mailbox(""), why).await?;
            noted.too_large.insert(id.to_owned());
            return Ok(());
        }
    }
    Ok(source.client.acknowledge(id).await?)
}

async fn keep(source: &MeshSource, message: &InMessage) -> Result<(), Trouble> {
    if message.is_report() {
        let control_id = reported_on(source, message).await?;
        return evidence(source, message, control_id, of_report(message)).await;
    }
    let fitted = source.source.in_use.now();
    if let ReplyRules::Http(rules) = &fitted.reply_rules
        && let Some((answered, verdict)) = acknowledgement(&message.body, rules)
    {
        let agreed = message.mex("from").eq_ignore_ascii_case(&source.their_mailbox)
            && message.mex("workflowid") == source.ack_workflow;
        if !agreed {
            tracing::warn!(endpoint = %source.source.endpoint, "an acknowledgement from another mailbox, or under another workflow, than was agreed; kept, and credited to nothing");
        }
        return evidence(source, message, Some(answered).filter(|_| agreed), verdict).await;
    }
    // Every mailbox of the NHS can send to ours: only what comes from the agreed one may make a referral here.
    if !message.mex("from").eq_ignore_ascii_case(&source.their_mailbox) {
        let why = "it comes from another mailbox than mesh.to_mailbox; nothing of it was taken in";
        keep_unread(&source.source, &arrived(message), &from(message), why).await?;
        return Ok(());
    }
    take(&source.source, arrived(message), &from(message)).await?;
    Ok(())
}

/// The name of the message that a report is about. MESH itself knows it by its own id; where it has forgotten, the report may say it. Two that
/// disagree say nothing.
async fn reported_on(source: &MeshSource, report: &InMessage) -> Result<Option<String>, NotFetched> {
    let told = Some(report.mex("localid")).filter(|name| !name.is_empty());
    let known = match source.client.our_name(report.mex("linkedmsgid")).await {
        Ok(known) => known,
        Err(NotFetched::Answered { .. } | NotFetched::Unreadable { .. }) if told.is_some() => None,
        Err(e) => return Err(e),
    };
    Ok(match (known, told) {
        (Some(known), Some(told)) => Some(known).filter(|k| k == told),
        (known, told) => known.or(told.map(str::to_owned)),
    })
}

/// Through the one decision, by endpoint and exact control id. `None`: it is kept, and credited to nothing.
async fn evidence(
    source: &MeshSource,
    message: &InMessage,
    control_id: Option<String>,
    verdict: Verdict,
) -> Result<(), Trouble> {
    let at = &source.source;
    let id = reply_id(at.endpoint.as_str(), message);
    let reply = Reply {
        id,
        endpoint: at.endpoint.clone(),
        delivery_id: None,
        attempt_id: None,
        received_at: at.clock.now(),
        verdict,
        unmatched: true,
        bytes: Raw(message.to_bytes()),
    };
    let code = reply.verdict.code.clone();
    let late = Late { endpoint: at.endpoint.clone(), control_id: control_id.unwrap_or_default(), reply };
    match at.store.take_late(late).await {
        Ok(Some(delivery)) => tracing::info!(endpoint = %at.endpoint, %delivery, %code, "word by MESH"),
        Ok(None) => tracing::warn!(endpoint = %at.endpoint, %code, "word by MESH of nothing we sent; kept"),
        // It was taken in before, and the bridge stopped before MESH was told. Another conflict is none of that kind: then nothing was kept.
        Err(WriteError::Store(StoreError::Conflict(_)))
            if at.store.has_reply(id).await.map_err(WriteError::from)? => {}
        Err(e) => return Err(e.into()),
    }
    Ok(())
}

/// The same message gives the same id whenever it is read: that is how a second reading is noticed.
fn reply_id(endpoint: &str, message: &InMessage) -> ReplyId {
    let mut hash = Sha256::new();
    for part in ["mesh", endpoint, &message.id] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let hash = hash.finalize();
    let mut random = [0u8; 10];
    random.copy_from_slice(&hash[..10]);
    let time = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", message.mex("statustimestamp")).ok();
    let time =
        time.and_then(|t| t.to_zoned(jiff::tz::TimeZone::UTC).ok()).map_or(0, |t| t.timestamp().as_millisecond());
    ReplyId(uuid::Builder::from_unix_timestamp_millis(u64::try_from(time).unwrap_or(0), &random).into_uuid())
}

/// Where a message came from, for telling repeats.
fn from(message: &InMessage) -> String {
    from_mailbox(message.mex("from"))
}

/// A message as if it had been posted: its id is MESH's, its type is the body's.
fn arrived(message: &InMessage) -> Arrived {
    let body: Option<serde_json::Value> = serde_json::from_slice(without_bom(&message.body)).ok();
    let kind = body
        .as_ref()
        .and_then(|b| b.get("resourceType")?.as_str())
        .filter(|k| crate::adapter::fhir::resource::is_type(k));
    Arrived {
        path: kind.unwrap_or("unread").to_owned(),
        request_id: Some(message.id.clone()),
        body: message.body.clone(),
        ..empty()
    }
}

fn empty() -> Arrived {
    Arrived {
        method: "POST".into(),
        path: "unread".into(),
        // Senders leave MESH's content type to chance; the body shows what it is.
        content_type: "application/fhir+json".into(),
        request_id: None,
        body: Vec::new(),
    }
}
