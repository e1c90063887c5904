//! Referrals.

use super::super::dialect::{on, statement};
use super::super::error::StoreError;
use super::super::{Scope, Store};
use super::{Page, all, list, micros, one, parse, trusts, uuids};
use crate::domain::ids::{PatientId, ReferralId};
use crate::domain::organisation::{OdsCode, StaffId, TeamId};
use crate::domain::referral::{ExternalId, Referral, ReferralState};
use jiff::Timestamp;
use std::collections::HashMap;

/// Which referrals a list shows. Empty and `None` mean: all.
#[derive(Debug, Clone, Default)]
pub struct ReferralFilter {
    pub trust: Option<OdsCode>,
    pub patient: Option<PatientId>,
    pub states: Vec<ReferralState>,
    pub team: Option<TeamId>,
    pub assigned_to: Option<StaffId>,
    /// Open, and nothing happened since then.
    pub untouched_since: Option<Timestamp>,
}

statement!(REFERRAL, "SELECT payload FROM referral WHERE id = $1");
statement!(REFERRAL_AT, "SELECT payload FROM referral_version WHERE id = $1 AND version = $2");
statement!(
    BY_EXTERNAL,
    "SELECT r.payload FROM referral r JOIN referral_external x ON x.referral_id = r.id WHERE x.trust = $1 AND x.system = $2 AND x.value = $3"
);
statement!(
    LIST,
    "SELECT payload FROM referral r WHERE ($1 IS NULL OR trust IN {texts}) AND ($2 IS NULL OR state IN {texts2}) AND r.id < $3 \
       AND ($4 IS NULL OR patient_id = $5) AND ($6 IS NULL OR team = $6) AND ($7 IS NULL OR assigned_to = $7) \
       AND ($8 = 0 OR (state IN ('RECEIVED', 'ACCEPTED') AND touched_at < $8 \
            AND NOT EXISTS (SELECT 1 FROM note n JOIN entry e ON e.subject_id = n.id WHERE n.referral_id = r.id AND e.recorded_at >= $8) \
            AND NOT EXISTS (SELECT 1 FROM outcome o JOIN entry e ON e.subject_id = o.id WHERE o.referral_id = r.id AND e.recorded_at >= $8) \
            AND NOT EXISTS (SELECT 1 FROM entry e WHERE e.subject_id = r.id AND e.recorded_at >= $8))) \
     ORDER BY r.id DESC LIMIT $9"
);
statement!(
    SINCE,
    "SELECT position, payload FROM referral WHERE position > $2 AND ($1 IS NULL OR trust IN {texts}) ORDER BY position LIMIT $3"
);
statement!(
    LAST_ENTRIES,
    "SELECT referral_id, MAX(recorded_at) FROM ( \
       SELECT n.referral_id, e.recorded_at FROM note n JOIN entry e ON e.subject_id = n.id WHERE n.referral_id IN {uuids} \
       UNION ALL SELECT o.referral_id, e.recorded_at FROM outcome o JOIN entry e ON e.subject_id = o.id WHERE o.referral_id IN {uuids} \
       UNION ALL SELECT e.subject_id, e.recorded_at FROM entry e WHERE e.subject_id IN {uuids}) AS said \
     GROUP BY referral_id"
);

impl Store {
    pub async fn referral(&self, scope: &Scope, id: ReferralId) -> Result<Option<Referral>, StoreError> {
        Ok(scope.see(one(&self.readers, &REFERRAL, id.0, "referral").await?, |r: &Referral| &r.trust))
    }

    pub async fn referral_at(
        &self,
        scope: &Scope,
        id: ReferralId,
        version: i64,
    ) -> Result<Option<Referral>, StoreError> {
        let sql = REFERRAL_AT.for_pool(&self.readers);
        let row: Option<(String,)> =
            on!(Pool, &self.readers, p => sqlx::query_as(sql).bind(id.0).bind(version).fetch_optional(p).await)?;
        let referral = row.map(|(payload,)| parse(&payload, "referral_version")).transpose()?;
        Ok(scope.see(referral, |r: &Referral| &r.trust))
    }

    pub async fn referral_by_external(
        &self,
        scope: &Scope,
        trust: &OdsCode,
        id: &ExternalId,
    ) -> Result<Option<Referral>, StoreError> {
        if !scope.has_trust(trust) {
            return Ok(None);
        }
        let sql = BY_EXTERNAL.for_pool(&self.readers);
        let row: Option<(String,)> = on!(Pool, &self.readers, p => sqlx::query_as(sql).bind(trust.as_str()).bind(&id.system).bind(&id.value.0).fetch_optional(p).await)?;
        row.map(|(payload,)| parse(&payload, "referral")).transpose()
    }

    /// Newest first.
    pub async fn referrals(
        &self,
        scope: &Scope,
        filter: &ReferralFilter,
        page: Page,
    ) -> Result<Vec<Referral>, StoreError> {
        let sql = LIST.for_pool(&self.readers);
        let states: Vec<&str> = filter.states.iter().map(|s| s.word()).collect();
        let rows: Vec<(String,)> = on!(Pool, &self.readers, p => sqlx::query_as(sql)
            .bind(trusts(scope, filter.trust.as_ref()))
            .bind(list(&states))
            .bind(page.below())
            .bind(filter.patient.map(|_| "one"))
            .bind(filter.patient.map_or(uuid::Uuid::nil(), |p| p.0))
            .bind(filter.team.as_ref().map(|t| t.as_str().to_owned()))
            .bind(filter.assigned_to.as_ref().map(|s| s.as_str().to_owned()))
            .bind(filter.untouched_since.map_or(0, micros))
            .bind(i64::from(page.size))
            .fetch_all(p)
            .await)?;
        all(rows, "referral")
    }

    /// When something was last written to each of these referrals; one to which nothing was written yet is left out.
    pub async fn last_entries_at(
        &self,
        ids: impl IntoIterator<Item = ReferralId>,
    ) -> Result<HashMap<ReferralId, Timestamp>, StoreError> {
        let sql = LAST_ENTRIES.for_pool(&self.readers);
        let ids = uuids(ids.into_iter().map(|i| i.0));
        let rows: Vec<(uuid::Uuid, i64)> =
            on!(Pool, &self.readers, p => sqlx::query_as(sql).bind(ids).fetch_all(p).await)?;
        Ok(rows.into_iter().map(|(id, at)| (ReferralId(id), crate::domain::ambient::from_micros(at))).collect())
    }

    /// Referrals that changed after a feed position, in commit order.
    pub async fn referrals_since(
        &self,
        scope: &Scope,
        trust: Option<&OdsCode>,
        position: i64,
        limit: u32,
    ) -> Result<Vec<(i64, Referral)>, StoreError> {
        let sql = SINCE.for_pool(&self.readers);
        let rows: Vec<(i64, String)> = on!(Pool, &self.readers, p => sqlx::query_as(sql)
            .bind(trusts(scope, trust))
            .bind(position)
            .bind(i64::from(limit))
            .fetch_all(p)
            .await)?;
        rows.into_iter().map(|(position, payload)| Ok((position, parse(&payload, "referral")?))).collect()
    }
}
