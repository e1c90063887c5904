//! What another pack would do otherwise with what an endpoint has received: looked at, and nothing changed.

use super::super::edge::{Caller, whole};
use super::super::error::Error;
use super::super::principal::Role;
use super::super::rpc;
use super::super::token::at_most;
use super::change::refused;
use super::read_endpoint;
use crate::adapter::compare::{judged_otherwise, read_otherwise};
use crate::adapter::diff::Change;
use crate::adapter::form::request;
use crate::adapter::{Fitted, Judge};
use crate::domain::delivery::Delivery;
use crate::domain::organisation::EndpointId;
use crate::domain::rule::Violations;
use crate::store::read::{DeliveryFilter, InboundFilter, Page};
use crate::store::record::{Inbound, Rendering, Reply};
use crate::wire::v1;
use jiff::Timestamp;
use serde_json::Value;
use std::sync::Arc;
use uuid::Uuid;

/// A pack as it is sent, in bytes.
const PACK_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Messages, and deliveries with replies, that are compared: at most, and where nothing is said.
const COMPARED_MAX: u32 = 500;
const COMPARED: u32 = 50;
/// So many are looked through for each one that is compared: not all have bytes, or replies.
const LOOKED_THROUGH: usize = 10;
/// Read from the store at once.
const PAGE: u32 = 100;

pub async fn compare_adapter(c: Caller, m: v1::CompareAdapterRequest) -> Result<v1::CompareAdapterResponse, Error> {
    let mut broken = Violations::default();
    let endpoint = read_endpoint(&m.endpoint_id, &mut broken);
    let since = request::optional_time(m.since.as_ref(), "since", &mut broken);
    if m.pack.is_empty() {
        broken.add("pack", "is required");
    }
    if m.pack.len() > PACK_BYTES_MAX {
        broken.add("pack", "at most 4 MiB");
    }
    let settings = m.settings.map(|s| whole_numbers(serde_json::to_value(s).unwrap_or_default()));
    let settings = settings.map(toml::Table::try_from).transpose();
    if settings.is_err() {
        broken.add("settings", "must be texts, numbers, true or false, or lists of them");
    }
    let settings = settings.ok();
    let limit = at_most(m.limit, COMPARED, COMPARED_MAX, "limit", &mut broken);
    whole!(broken; endpoint, since, settings, limit);
    // As with invented entries: to try a pack is the integrators' work alone, whatever else a caller may see.
    if !c.principal.roles.contains(&Role::Integrator) {
        return Err(Error::RoleMissing(rpc::LIST_ADAPTERS.roles));
    }
    let limit = limit as usize;
    let facts = c.endpoint(&endpoint)?;
    let active = facts.rendering.in_use.now();
    let tried = facts.packs.tried(m.pack, settings.unwrap_or_default()).await.map_err(refused)?;
    let both = Both { active, tried: tried.fitted, judge: tried.judge, masked: c.is_masked() };
    let both = Arc::new(both);

    let (messages, without_bytes) = messages(&c, &endpoint, since, limit).await?;
    c.audit("inbound.compare", &messages).await?;
    let deliveries = replies(&c, &endpoint, since, limit).await?;
    c.audit("delivery.compare", deliveries.iter().map(|(d, _)| d)).await?;

    let (messages_compared, replies_compared) =
        (messages.len(), deliveries.iter().map(|(_, r)| r.len()).sum::<usize>());
    let (adapter, masked) = (both.active.pack.pin(), both.masked);
    // Reading messages is work that would hold up other calls.
    let compared = tokio::task::spawn_blocking(move || (both.of_messages(&messages), both.of_replies(&deliveries)));
    let (messages, replies) = compared.await.map_err(|_| Error::Internal("the comparison broke off".into()))?;
    let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    Ok(v1::CompareAdapterResponse {
        adapter,
        messages,
        messages_compared: count(messages_compared),
        messages_without_bytes: count(without_bytes),
        replies,
        replies_compared: count(replies_compared),
        masked,
    })
}

/// A Struct has no whole numbers of its own, and settings have no others.
fn whole_numbers(settings: Value) -> Value {
    let whole = |value: Value| match value.as_f64() {
        Some(number) => format!("{number}").parse::<i64>().map_or(value, Value::from),
        None => value,
    };
    match settings {
        Value::Object(members) => Value::Object(members.into_iter().map(|(k, v)| (k, whole(v))).collect()),
        other => other,
    }
}

/// Newest first, with their bytes; and how many were kept without.
async fn messages(
    c: &Caller,
    endpoint: &EndpointId,
    since: Option<Timestamp>,
    limit: usize,
) -> Result<(Vec<Inbound>, usize), Error> {
    let filter = InboundFilter { endpoint: Some(endpoint.clone()), from: since, ..InboundFilter::default() };
    let (mut found, mut without_bytes, mut seen, mut after) = (Vec::new(), 0, 0, None);
    while seen < limit * LOOKED_THROUGH && found.len() < limit {
        let page = c.store().find_inbound(&c.scope, &filter, Page { size: PAGE, after }).await?;
        seen += page.messages.len();
        for message in page.messages {
            if found.len() == limit {
                break;
            }
            match c.store().inbound(&c.scope, message.id).await? {
                Some(whole) if !whole.bytes.0.is_empty() => found.push(whole),
                _ => without_bytes += 1,
            }
        }
        after = page.last.map(|id| id.0);
        if after.is_none() {
            break;
        }
    }
    Ok((found, without_bytes))
}

/// A reply with the message it answers.
type Answered = (Reply, Rendering);

/// Newest deliveries first, those that were answered.
async fn replies(
    c: &Caller,
    endpoint: &EndpointId,
    since: Option<Timestamp>,
    limit: usize,
) -> Result<Vec<(Delivery, Vec<Answered>)>, Error> {
    let filter = DeliveryFilter { endpoint: Some(endpoint.clone()), ..DeliveryFilter::default() };
    let (mut found, mut seen, mut after): (Vec<_>, usize, Option<Uuid>) = (Vec::new(), 0, None);
    while seen < limit * LOOKED_THROUGH && found.len() < limit {
        let page = c.store().deliveries(&c.scope, &filter, Page { size: PAGE, after }).await?;
        let is_last = page.len() < PAGE as usize;
        after = page.last().map(|d| d.id.0);
        seen += page.len();
        for delivery in page {
            if found.len() == limit {
                break;
            }
            let mut answered = Vec::new();
            for attempt in c.store().attempts(&delivery).await? {
                let Some(rendering) = attempt.rendering else { continue };
                let of_it = |r: &Reply| r.attempt_id == Some(attempt.attempt.id) && !r.unmatched;
                let late_enough = |r: &Reply| since.is_none_or(|since| r.received_at >= since);
                let replies = attempt.replies.into_iter().filter(|r| of_it(r) && late_enough(r));
                answered.extend(replies.map(|reply| (reply, rendering.clone())));
            }
            if !answered.is_empty() {
                found.push((delivery, answered));
            }
        }
        if is_last || after.is_none() {
            break;
        }
    }
    Ok(found)
}

/// The endpoint as it works now, and as it would with the other pack.
struct Both {
    active: Arc<Fitted>,
    tried: Fitted,
    judge: Judge,
    masked: bool,
}

impl Both {
    fn of_messages(&self, messages: &[Inbound]) -> Vec<v1::AdapterDifference> {
        let one = |message: &Inbound| {
            // By the rules of the day it came: what was not in the future then is not now.
            let read = |by: &Fitted| {
                let zone = &by.site.trust.time_zone;
                by.pack.reading(&message.bytes.0, &by.settings, zone, message.received_at, &by.site.time_zone)
            };
            let changes = read_otherwise(&read(&self.active), &read(&self.tried), self.masked);
            difference(message.id.to_string(), String::new(), message.message_type.clone(), &changes)
        };
        messages.iter().filter_map(one).collect()
    }

    fn of_replies(&self, deliveries: &[(Delivery, Vec<Answered>)]) -> Vec<v1::AdapterDifference> {
        let one = |delivery: &Delivery, (reply, sent): &Answered| {
            let judged = |by: &Fitted| (self.judge)(&reply.bytes.0, &by.reply_rules, &sent.control_id, &sent.bytes.0);
            let (old, new) = (judged(&self.active), judged(&self.tried));
            let changes = judged_otherwise(&old, &new);
            difference(reply.id.to_string(), delivery.id.to_string(), old.code, &changes)
        };
        deliveries.iter().flat_map(|(d, list)| list.iter().filter_map(move |answered| one(d, answered))).collect()
    }
}

fn difference(id: String, delivery_id: String, what: String, changes: &[Change]) -> Option<v1::AdapterDifference> {
    let one = |c: &Change| v1::FieldDifference { place: c.place.clone(), old: c.old.clone(), new: c.new.clone() };
    let changes: Vec<_> = changes.iter().map(one).collect();
    (!changes.is_empty()).then_some(v1::AdapterDifference { id, delivery_id, what, changes })
}
