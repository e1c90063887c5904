//! Deliveries, their timelines, attempts and replies.

use super::super::dialect::{on, statement};
use super::super::error::StoreError;
use super::super::record::{Attempt, Raw, Rendering, Reply, Step};
use super::super::sources::subjects_of;
use super::super::{Scope, Store};
use super::{Page, all, list, one, parse, trusts, uuids};
use crate::domain::ambient::from_micros;
use crate::domain::delivery::{Delivery, ParkReason, State, WaitingFor};
use crate::domain::ids::{DeliveryId, PatientId, RenderingId, ReplyId};
use crate::domain::organisation::EndpointId;
use crate::domain::text::Private;
use uuid::Uuid;

/// Which deliveries a list shows. Empty and `None` mean: all.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    pub endpoint: Option<EndpointId>,
    pub states: Vec<State>,
    pub reasons: Vec<ParkReason>,
    pub patient: Option<PatientId>,
    pub subject: Option<Uuid>,
    pub waiting_for: Option<WaitingFor>,
}

/// An attempt with its bytes and what came back.
#[derive(Debug, Clone)]
pub struct AttemptRead {
    pub attempt: Attempt,
    pub rendering: Option<Rendering>,
    pub replies: Vec<Reply>,
}

statement!(DELIVERY, "SELECT payload FROM delivery WHERE id = $1");
statement!(BY_IDS, "SELECT payload FROM delivery WHERE id IN {uuids} ORDER BY id");
statement!(OF_SUBJECTS, "SELECT payload FROM delivery WHERE subject_id IN {uuids} ORDER BY id");
/// One list by four ways in: a filter that leaves few deliveries must not read them all.
macro_rules! list_by {
    ($name:ident, $narrow:expr) => {
        list_by!($name, "", "delivery", $narrow);
    };
    ($name:ident, $with:expr, $from:literal, $narrow:expr) => {
        statement!(
            $name,
            &format!(
                "{}SELECT payload FROM {} WHERE {}{}",
                $with,
                $from,
                $narrow,
                "($1 IS NULL OR trust IN {texts}) AND ($2 IS NULL OR endpoint_id IN {texts2}) \
                 AND ($3 IS NULL OR state IN {texts3}) AND ($4 IS NULL OR park_reason IN {texts4}) AND id < $5 \
                 AND ($6 IS NULL OR patient_id = $7) AND ($8 IS NULL OR subject_id = $9) AND ($10 IS NULL OR waiting_for = $10) \
                 ORDER BY id DESC LIMIT $11"
            )
        );
    };
}
list_by!(LIST, "");
list_by!(LIST_OF_SUBJECT, "subject_id = $9 AND ");
list_by!(
    LIST_OF_PATIENT,
    concat!("WITH mine AS MATERIALIZED (SELECT * FROM delivery WHERE subject_id ", subjects_of!("= $7"), ") "),
    "mine",
    ""
);
list_by!(LIST_PARKED, "state = 'PARKED' AND ");
// For whoever puts them back to work part by part: of a lane the older ones must not come in a later part.
statement!(
    PARKED_OLDEST_FIRST,
    "SELECT id FROM delivery WHERE state = 'PARKED' AND ($1 IS NULL OR trust IN {texts}) AND ($2 IS NULL OR endpoint_id IN {texts2}) \
     AND park_reason = $3 AND id > $4 ORDER BY id LIMIT $5"
);
statement!(
    SINCE,
    "SELECT position, payload FROM delivery WHERE position > $3 AND ($1 IS NULL OR trust IN {texts}) AND ($2 IS NULL OR endpoint_id IN {texts2}) \
     ORDER BY position LIMIT $4"
);
statement!(STEPS, "SELECT version, at, state, what, who FROM step WHERE delivery_id = $1 ORDER BY version");
statement!(ATTEMPTS, "SELECT payload FROM attempt WHERE delivery_id = $1 ORDER BY id");
statement!(RENDERINGS, "SELECT payload, bytes FROM rendering WHERE delivery_id = $1 ORDER BY id");
statement!(HAS_REPLY, "SELECT COUNT(*) FROM reply WHERE id = $1");
statement!(REPLIES, "SELECT payload, bytes FROM reply WHERE delivery_id = $1 ORDER BY id");

impl Store {
    pub async fn delivery(&self, scope: &Scope, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let delivery: Option<Delivery> = one(&self.readers, &DELIVERY, id.0, "delivery").await?;
        Ok(delivery.filter(|d| scope.has_endpoint(&d.trust, &d.endpoint)))
    }

    pub async fn deliveries_by_id(&self, scope: &Scope, ids: &[DeliveryId]) -> Result<Vec<Delivery>, StoreError> {
        self.by_uuids(&BY_IDS, scope, ids.iter().map(|i| i.0)).await
    }

    /// Every delivery of every version of some notes, outcomes or referrals, oldest first.
    pub async fn deliveries_of(
        &self,
        scope: &Scope,
        subjects: impl IntoIterator<Item = Uuid>,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.by_uuids(&OF_SUBJECTS, scope, subjects).await
    }

    async fn by_uuids(
        &self,
        statement: &'static super::Statement,
        scope: &Scope,
        ids: impl IntoIterator<Item = Uuid>,
    ) -> Result<Vec<Delivery>, StoreError> {
        let sql = statement.for_pool(&self.readers);
        let ids = uuids(ids);
        let rows: Vec<(String,)> = on!(Pool, &self.readers, p => sqlx::query_as(sql).bind(ids).fetch_all(p).await)?;
        let mut deliveries: Vec<Delivery> = all(rows, "delivery")?;
        deliveries.retain(|d| scope.has_endpoint(&d.trust, &d.endpoint));
        Ok(deliveries)
    }

    /// Newest first.
    pub async fn deliveries(
        &self,
        scope: &Scope,
        filter: &DeliveryFilter,
        page: Page,
    ) -> Result<Vec<Delivery>, StoreError> {
        let Some(endpoints) = endpoints(scope, filter.endpoint.as_ref()) else { return Ok(Vec::new()) };
        let states: Vec<&str> = filter.states.iter().map(|s| s.word()).collect();
        let reasons: Vec<&str> = filter.reasons.iter().map(|r| r.code()).collect();
        let parked = filter.states == [State::Parked] || !filter.reasons.is_empty() || filter.waiting_for.is_some();
        let statement = match filter {
            DeliveryFilter { subject: Some(_), .. } => &LIST_OF_SUBJECT,
            DeliveryFilter { patient: Some(_), .. } => &LIST_OF_PATIENT,
            _ if parked => &LIST_PARKED,
            _ => &LIST,
        };
        let sql = statement.for_pool(&self.readers);
        let rows: Vec<(String,)> = on!(Pool, &self.readers, p => sqlx::query_as(sql)
            .bind(trusts(scope, None))
            .bind(endpoints)
            .bind(list(&states))
            .bind(list(&reasons))
            .bind(page.below())
            .bind(filter.patient.map(|_| "one"))
            .bind(filter.patient.map_or(Uuid::nil(), |p| p.0))
            .bind(filter.subject.map(|_| "one"))
            .bind(filter.subject.unwrap_or(Uuid::nil()))
            .bind(filter.waiting_for.map(|w| format!("{w:?}")))
            .bind(i64::from(page.size))
            .fetch_all(p)
            .await)?;
        all(rows, "delivery")
    }

    /// What is parked at an endpoint for one reason, oldest first, from behind `after` on: `limit` at most.
    pub async fn parked_oldest_first(
        &self,
        scope: &Scope,
        endpoint: &EndpointId,
        reason: ParkReason,
        after: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        let Some(endpoints) = endpoints(scope, Some(endpoint)) else { return Ok(Vec::new()) };
        let sql = PARKED_OLDEST_FIRST.for_pool(&self.readers);
        let rows: Vec<(Uuid,)> = on!(Pool, &self.readers, p => sqlx::query_as(sql)
            .bind(trusts(scope, None))
            .bind(endpoints)
            .bind(reason.code())
            .bind(after.map_or(Uuid::nil(), |d| d.0))
            .bind(i64::from(limit))
            .fetch_all(p)
            .await)?;
        Ok(rows.into_iter().map(|(id,)| DeliveryId(id)).collect())
    }

    /// Deliveries that changed after a feed position, in commit order, each as it is now.
    pub async fn deliveries_since(
        &self,
        scope: &Scope,
        endpoint: Option<&EndpointId>,
        position: i64,
        limit: u32,
    ) -> Result<Vec<(i64, Delivery)>, StoreError> {
        let Some(endpoints) = endpoints(scope, endpoint) else { return Ok(Vec::new()) };
        let sql = SINCE.for_pool(&self.readers);
        let rows: Vec<(i64, String)> = on!(Pool, &self.readers, p => sqlx::query_as(sql)
            .bind(trusts(scope, None))
            .bind(endpoints)
            .bind(position)
            .bind(i64::from(limit))
            .fetch_all(p)
            .await)?;
        rows.into_iter().map(|(position, payload)| Ok((position, parse(&payload, "delivery")?))).collect()
    }

    /// The timeline, oldest first; without the creation itself. The caller has read the delivery under a scope.
    pub async fn steps(&self, delivery: &Delivery) -> Result<Vec<Step>, StoreError> {
        let sql = STEPS.for_pool(&self.readers);
        type Row = (i64, i64, String, String, String);
        let rows: Vec<Row> = on!(Pool, &self.readers, p => sqlx::query_as(sql).bind(delivery.id.0).fetch_all(p).await)?;
        rows.into_iter()
            .map(|(version, at, state, what, by)| {
                let state = state_of(&state)
                    .ok_or_else(|| StoreError::Inconsistent { table: "step", what: "an unknown state".into() })?;
                Ok(Step { delivery_id: delivery.id, version, at: from_micros(at), state, what: Private(what), by })
            })
            .collect()
    }

    /// Whether a reply is on record already; it says nothing of what is in it.
    pub async fn has_reply(&self, id: ReplyId) -> Result<bool, StoreError> {
        let sql = HAS_REPLY.for_pool(&self.readers);
        let found: (i64,) = on!(Pool, &self.readers, p => sqlx::query_as(sql).bind(id.0).fetch_one(p).await)?;
        Ok(found.0 > 0)
    }

    /// Every attempt, with its bytes and replies; replies to no attempt stand with the last one.
    pub async fn attempts(&self, delivery: &Delivery) -> Result<Vec<AttemptRead>, StoreError> {
        let pool = &self.readers;
        let (a, r, b) = (ATTEMPTS.for_pool(pool), RENDERINGS.for_pool(pool), REPLIES.for_pool(pool));
        let id = delivery.id.0;
        let attempts: Vec<(String,)> = on!(Pool, pool, p => sqlx::query_as(a).bind(id).fetch_all(p).await)?;
        let renderings: Vec<(String, Vec<u8>)> = on!(Pool, pool, p => sqlx::query_as(r).bind(id).fetch_all(p).await)?;
        let replies: Vec<(String, Vec<u8>)> = on!(Pool, pool, p => sqlx::query_as(b).bind(id).fetch_all(p).await)?;
        let renderings: Vec<Rendering> = renderings
            .into_iter()
            .map(|(payload, bytes)| {
                parse(&payload, "rendering").map(|r: Rendering| Rendering { bytes: Raw(bytes), ..r })
            })
            .collect::<Result<_, _>>()?;
        let mut read: Vec<AttemptRead> = all::<Attempt>(attempts, "attempt")?
            .into_iter()
            .map(|attempt| {
                let rendering = renderings.iter().find(|r| r.id == attempt.rendering_id).cloned();
                AttemptRead { attempt, rendering, replies: Vec::new() }
            })
            .collect();
        for (payload, bytes) in replies {
            let reply = Reply { bytes: Raw(bytes), ..parse(&payload, "reply")? };
            let at = read.iter().position(|a| Some(a.attempt.id) == reply.attempt_id).or(read.len().checked_sub(1));
            if let Some(at) = at {
                read[at].replies.push(reply);
            }
        }
        Ok(read)
    }

    /// The bytes in hand for a delivery, when it has any.
    pub async fn rendering_of(&self, delivery: &Delivery) -> Result<Option<Rendering>, StoreError> {
        let Some(RenderingId(_)) = delivery.rendering else { return Ok(None) };
        let attempts = self.attempts(delivery).await?;
        Ok(attempts.into_iter().filter_map(|a| a.rendering).find(|r| Some(r.id) == delivery.rendering))
    }
}

/// `None`: an endpoint outside the scope, so nothing can match.
pub(super) fn endpoints(scope: &Scope, only: Option<&EndpointId>) -> Option<Option<String>> {
    let allowed = scope.endpoints_json();
    match only {
        None => Some(allowed),
        Some(e) => {
            let inside = allowed.is_none_or(|json| {
                serde_json::from_str::<Vec<String>>(&json).is_ok_and(|l| l.iter().any(|x| x == e.as_str()))
            });
            inside.then(|| Some(serde_json::json!([e]).to_string()))
        }
    }
}

fn state_of(word: &str) -> Option<State> {
    use State::*;
    [Queued, Sending, BackingOff, Accepted, Filed, Parked, Cancelled].into_iter().find(|s| s.word() == word)
}
