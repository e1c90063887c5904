//! Inbound messages, to recognise a repeat.

use super::super::dialect::{on, statement};
use super::super::error::StoreError;
use super::super::record::{Inbound, InboundState, Raw};
use super::super::rowset::as_stored;
use super::super::{Scope, Store};
use super::deliveries::endpoints;
use super::{Page, list, parse, trusts};
use crate::domain::ambient::from_micros;
use crate::domain::ids::InboundId;
use crate::domain::organisation::EndpointId;
use jiff::Timestamp;
use uuid::Uuid;

statement!(
    BY_CONTROL_ID,
    "SELECT payload, content, bytes FROM inbound WHERE endpoint_id = $1 AND source = $2 AND control_id = $3 ORDER BY id"
);
statement!(ONE, "SELECT payload, content, bytes FROM inbound WHERE id = $1");
statement!(
    LIST,
    "SELECT payload, content, bytes FROM inbound WHERE ($1 IS NULL OR trust IN {texts}) AND ($2 IS NULL OR endpoint_id IN {texts2}) AND id < $3 \
     ORDER BY id DESC LIMIT $4"
);
statement!(
    FIND,
    "SELECT payload FROM inbound WHERE ($1 IS NULL OR trust IN {texts}) AND ($2 IS NULL OR endpoint_id IN {texts2}) \
     AND ($3 IS NULL OR state IN {texts3}) AND ($4 IS NULL OR rule IN {texts4}) AND id < $5 AND id > $6 \
     ORDER BY id DESC LIMIT $7"
);

statement!(LAST, "SELECT received_at FROM inbound WHERE endpoint_id = $1 AND state = $2 ORDER BY id DESC LIMIT 1");
statement!(ARRIVED, "SELECT COUNT(*) FROM inbound WHERE endpoint_id = $1 AND state = $2 AND id >= $3 AND id < $4");

statement!(
    IGNORED_BY_RULE,
    "SELECT rule, COUNT(*) FROM inbound WHERE endpoint_id = $1 AND state = 'IGNORED' AND id >= $2 GROUP BY rule ORDER BY rule"
);
statement!(ARRIVED_SINCE, "SELECT COUNT(*) FROM inbound WHERE endpoint_id = $1 AND state = $2 AND id >= $3");

/// What an endpoint sent lately, by what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InboundCounts {
    pub applied: i64,
    pub parked: i64,
    /// Parked now, whenever it came.
    pub waiting: i64,
    /// By the accept rule's name.
    pub ignored: Vec<(String, i64)>,
}

/// Which messages a list shows. Empty and `None` mean: all.
#[derive(Debug, Clone, Default)]
pub struct InboundFilter {
    pub endpoint: Option<EndpointId>,
    pub states: Vec<InboundState>,
    pub message_type: Option<String>,
    pub rule: Option<String>,
    /// To the millisecond, as ids tell the time.
    pub from: Option<Timestamp>,
    pub before: Option<Timestamp>,
}

/// A part of such a list.
#[derive(Debug, Clone, Default)]
pub struct InboundPage {
    pub messages: Vec<Inbound>,
    /// Where the next part begins, when there is one.
    pub last: Option<InboundId>,
}

type Row = (String, Vec<u8>, Vec<u8>);

fn read((payload, content, bytes): Row) -> Result<Inbound, StoreError> {
    let inbound: Inbound = parse(&payload, "inbound")?;
    Ok(Inbound { content, bytes: Raw(bytes), ..inbound })
}

impl Store {
    /// What came under this control id from this source before, oldest first.
    pub async fn inbound_before(
        &self,
        endpoint: &EndpointId,
        source: &str,
        control_id: &str,
    ) -> Result<Vec<Inbound>, StoreError> {
        let sql = BY_CONTROL_ID.for_pool(&self.readers);
        let rows: Vec<Row> = on!(Pool, &self.readers, p => sqlx::query_as(sql).bind(endpoint.as_str()).bind(as_stored(source).into_owned()).bind(as_stored(control_id).into_owned()).fetch_all(p).await)?;
        rows.into_iter().map(read).collect()
    }

    pub async fn inbound(&self, scope: &Scope, id: InboundId) -> Result<Option<Inbound>, StoreError> {
        let sql = ONE.for_pool(&self.readers);
        let row: Option<Row> = on!(Pool, &self.readers, p => sqlx::query_as(sql).bind(id.0).fetch_optional(p).await)?;
        Ok(row.map(read).transpose()?.filter(|i| scope.has_endpoint(&i.trust, &i.endpoint)))
    }

    /// Newest first.
    pub async fn inbound_messages(
        &self,
        scope: &Scope,
        endpoint: Option<&EndpointId>,
        page: Page,
    ) -> Result<Vec<Inbound>, StoreError> {
        let Some(endpoints) = endpoints(scope, endpoint) else { return Ok(Vec::new()) };
        let sql = LIST.for_pool(&self.readers);
        let rows: Vec<Row> = on!(Pool, &self.readers, p => sqlx::query_as(sql)
            .bind(trusts(scope, None))
            .bind(endpoints)
            .bind(page.below())
            .bind(i64::from(page.size))
            .fetch_all(p)
            .await)?;
        rows.into_iter().map(read).collect()
    }

    /// Newest first, without their bytes. A type is looked for in what was read: where it does not fit, fewer than `page.size` are answered, and
    /// `last` says where to go on.
    pub async fn find_inbound(
        &self,
        scope: &Scope,
        filter: &InboundFilter,
        page: Page,
    ) -> Result<InboundPage, StoreError> {
        let Some(endpoints) = endpoints(scope, filter.endpoint.as_ref()) else { return Ok(InboundPage::default()) };
        let states: Vec<&str> = filter.states.iter().map(|s| s.word()).collect();
        let rule: Vec<&String> = filter.rule.iter().collect();
        let sql = FIND.for_pool(&self.readers);
        let rows: Vec<(String,)> = on!(Pool, &self.readers, p => sqlx::query_as(sql)
            .bind(trusts(scope, None))
            .bind(endpoints)
            .bind(list(&states))
            .bind(list(&rule))
            .bind(filter.before.map_or(page.below(), |before| page.below().min(first_id_at(before))))
            .bind(filter.from.map_or(Uuid::nil(), before_all_at))
            .bind(i64::from(page.size))
            .fetch_all(p)
            .await)?;
        let full = rows.len() >= page.size as usize;
        let mut messages: Vec<Inbound> = super::all(rows, "inbound")?;
        let last = messages.last().map(|i| i.id).filter(|_| full);
        messages.retain(|i| filter.message_type.as_ref().is_none_or(|t| *t == i.message_type));
        Ok(InboundPage { messages, last })
    }

    /// When the endpoint's last message in this state arrived.
    pub async fn last_inbound(
        &self,
        endpoint: &EndpointId,
        state: InboundState,
    ) -> Result<Option<Timestamp>, StoreError> {
        let sql = LAST.for_pool(&self.readers);
        let row: Option<(i64,)> = on!(Pool, &self.readers, p => sqlx::query_as(sql).bind(endpoint.as_str()).bind(state.word()).fetch_optional(p).await)?;
        Ok(row.map(|(at,)| from_micros(at)))
    }

    /// What arrived since, to the millisecond.
    pub async fn inbound_counts(&self, endpoint: &EndpointId, since: Timestamp) -> Result<InboundCounts, StoreError> {
        let pool = &self.readers;
        let since = first_id_at(since);
        let sql = IGNORED_BY_RULE.for_pool(pool);
        let ignored: Vec<(Option<String>, i64)> =
            on!(Pool, pool, p => sqlx::query_as(sql).bind(endpoint.as_str()).bind(since).fetch_all(p).await)?;
        let ignored = ignored.into_iter().map(|(rule, n)| (rule.unwrap_or_default(), n)).collect();
        let mut counts = InboundCounts { ignored, ..InboundCounts::default() };
        for (state, since, into) in [
            (InboundState::Applied, since, &mut counts.applied),
            (InboundState::Parked, since, &mut counts.parked),
            (InboundState::Parked, Uuid::nil(), &mut counts.waiting),
        ] {
            let sql = ARRIVED_SINCE.for_pool(pool);
            let (n,): (i64,) = on!(Pool, pool, p => sqlx::query_as(sql).bind(endpoint.as_str()).bind(state.word()).bind(since).fetch_one(p).await)?;
            *into = n;
        }
        Ok(counts)
    }

    /// How many messages in this state arrived from `from` on and before `to`, to the millisecond. Costs what it counts.
    pub async fn inbound_arrived(
        &self,
        endpoint: &EndpointId,
        state: InboundState,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<i64, StoreError> {
        let sql = ARRIVED.for_pool(&self.readers);
        let (n,): (i64,) = on!(Pool, &self.readers, p => sqlx::query_as(sql)
            .bind(endpoint.as_str())
            .bind(state.word())
            .bind(first_id_at(from))
            .bind(first_id_at(to))
            .fetch_one(p)
            .await)?;
        Ok(n)
    }
}

/// Below every id made at this instant or later.
pub(in crate::store) fn first_id_at(at: Timestamp) -> Uuid {
    Uuid::from_u128(u128::try_from(at.as_millisecond()).unwrap_or(0) << 80)
}

/// The one before it.
fn before_all_at(at: Timestamp) -> Uuid {
    Uuid::from_u128(first_id_at(at).as_u128().saturating_sub(1))
}
