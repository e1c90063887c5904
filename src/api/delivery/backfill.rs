//! Deliveries to an endpoint for entries written before it was there. Only what its routes would send to it today.

use super::super::edge::{Caller, whole};
use super::super::error::Error;
use super::super::request::part;
use super::endpoint_id;
use crate::adapter::form::request;
use crate::domain::entry::{Entry, EntryAction, EntryKind};
use crate::domain::ids::{EntryId, ReferralId};
use crate::domain::organisation::{EndpointId, OdsCode};
use crate::domain::referral::Referral;
use crate::domain::route::{RouteQuery, RoutedKind};
use crate::domain::rule::Violations;
use crate::store::record::Answer;
use crate::store::write::Backfill;
use crate::wire::{count, v1};
use jiff::Timestamp;
use std::collections::HashMap;

/// Done in one commit: others' writes wait behind it.
const BATCH: usize = 200;

pub async fn backfill_deliveries(
    c: Caller,
    m: v1::BackfillDeliveriesRequest,
) -> Result<v1::BackfillDeliveriesResponse, Error> {
    let mut broken = Violations::default();
    let key = c.key(&m, &mut broken);
    let endpoint = endpoint_id(&m.endpoint_id, &mut broken);
    let from = request::time(m.recorded_from.as_ref(), "recorded_from", &mut broken);
    let reason = request::because(&m.reason, "reason", &mut broken);
    whole!(broken; key, endpoint, from, reason);
    let trust = c.endpoint(&endpoint)?.trust.clone();
    let mut missing =
        Missing { endpoint: endpoint.clone(), trust, from, after: None, over: false, referrals: HashMap::new() };
    let mut told = v1::BackfillDeliveriesResponse::default();
    for number in 0.. {
        if m.dry_run {
            let entries = missing.next(&c).await?;
            if entries.is_empty() {
                break;
            }
            told.matched += count(entries.len());
            continue;
        }
        // As for retries: each part under its own key, and the part that found nothing more ends them. What a part did before is missing no more.
        let key = part(&key, number);
        let before = c.store().answered(&key).await?;
        let entries = if before.is_some() { Vec::new() } else { missing.next(&c).await? };
        let backfill = Backfill { call: c.write(key), endpoint: endpoint.clone(), entries, reason: reason.0.clone() };
        let answered = c.store().backfill(backfill).await?;
        let Answer { deliveries, more, .. } = answered.answer();
        let matched = more.as_i64().ok_or_else(|| Error::Internal("an answer that cannot be read".into()))?;
        if matched == 0 {
            break;
        }
        told.matched += count(matched);
        told.created += count(deliveries.len());
    }
    Ok(told)
}

/// Entries that never went to the endpoint and would today, oldest first, part by part.
struct Missing {
    endpoint: EndpointId,
    trust: OdsCode,
    from: Timestamp,
    after: Option<EntryId>,
    over: bool,
    /// Entries written one after the other are often of the same referrals.
    referrals: HashMap<ReferralId, Option<Referral>>,
}

impl Missing {
    /// The next part; empty when there is no more.
    async fn next(&mut self, c: &Caller) -> Result<Vec<EntryId>, Error> {
        let mut part = Vec::new();
        while part.is_empty() && !self.over {
            let limit = u32::try_from(BATCH).unwrap_or(u32::MAX);
            let read =
                c.store().to_backfill(&c.scope, &self.trust, &self.endpoint, self.from, self.after, limit).await?;
            self.over = read.len() < BATCH;
            self.after = read.last().map(|e| e.id).or(self.after);
            self.referrals.clear();
            for entry in &read {
                if self.belongs(c, entry).await? {
                    part.push(entry.id);
                }
            }
        }
        Ok(part)
    }

    /// What is withdrawn needs to go nowhere, and another team's entries go where that team's routes say.
    async fn belongs(&mut self, c: &Caller, entry: &Entry) -> Result<bool, Error> {
        let kind = match entry.subject.kind() {
            EntryKind::Note => RoutedKind::Note,
            EntryKind::Outcome => RoutedKind::Outcome,
            EntryKind::ReferralReply => return Ok(false),
        };
        if entry.action() == EntryAction::Withdraw {
            return Ok(false);
        }
        if let std::collections::hash_map::Entry::Vacant(free) = self.referrals.entry(entry.referral_id) {
            free.insert(c.store().referral(&c.scope, entry.referral_id).await?);
        }
        let Some(Some(referral)) = self.referrals.get(&entry.referral_id) else { return Ok(false) };
        let details = &referral.details;
        let query = RouteQuery {
            trust: &referral.trust,
            kind,
            team: Some(&details.team),
            site: details.site.as_ref(),
            referral_source: Some(details.source.as_str()),
        };
        let routed = c.rules.routes.route(&query);
        Ok(routed.is_some_and(|r| *r.endpoint == self.endpoint || r.copies.contains(&self.endpoint)))
    }
}
