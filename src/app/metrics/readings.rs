//! What the store was found to hold, and when. Read in rounds beside the scrapes.

use super::instruments::INBOUND_STATES;
use super::{Metrics, STALE_AFTER, WatchedEndpoint, inbound_word, raise, seconds};
use crate::domain::organisation::EndpointId;
use crate::store::read::EndpointCounts;
use crate::store::record::{EndpointState, InboundState};
use crate::store::{Store, StoreError, Writing};
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// Between two rounds.
const ROUND: Duration = Duration::from_secs(5);
/// For one round; then it is given up and the next one tries.
const ROUND_TIMEOUT: Duration = Duration::from_secs(30);
/// A message whose commit takes longer than this after its arrival may be missed by the counter.
const SETTLED_AFTER: Duration = Duration::from_secs(60);

/// All that was read last.
pub struct Readings {
    pub read_at: Option<Timestamp>,
    pub open_deliveries: i64,
    pub endpoints: HashMap<EndpointId, Reading>,
    /// Looked at when it is asked for: the writer keeps it up to date.
    pub writing: Option<Arc<Writing>>,
    inbound: HashMap<(EndpointId, &'static str), Counted>,
    started_at: Timestamp,
}

/// One endpoint.
pub struct Reading {
    pub counts: EndpointCounts,
    pub state: EndpointState,
    pub last_inbound: Option<Timestamp>,
}

/// Inbound messages of one state. Those that arrived a while ago are counted for good, the newer ones anew in each round: their commits
/// may come in another order than they arrived.
#[derive(Clone, Copy)]
struct Counted {
    until: Timestamp,
    settled: i64,
    shown: i64,
}

impl Readings {
    pub fn none(started_at: Timestamp) -> Self {
        Self {
            read_at: None,
            open_deliveries: 0,
            endpoints: HashMap::new(),
            writing: None,
            inbound: HashMap::new(),
            started_at,
        }
    }

    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.read_at.is_none_or(|at| seconds(at, now) > STALE_AFTER.as_secs_f64())
    }
}

/// Reads the store again and again until `stop`. A round that fails leaves the readings before it, which grow stale.
pub async fn keep_fresh(metrics: Arc<Metrics>, store: Store, stop: CancellationToken) {
    let mut rounds = interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = rounds.tick() => {}
        }
        let round = tokio::select! {
            () = stop.cancelled() => return,
            round = timeout(ROUND_TIMEOUT, metrics.read(&store)) => round,
        };
        match round {
            Ok(Ok(())) => continue,
            Ok(Err(e)) => tracing::warn!(reason = %e, "the store could not be read for its measures"),
            Err(_) => tracing::warn!(limit = ?ROUND_TIMEOUT, "the store took too long to be read for its measures"),
        }
        metrics.instruments.store_read_failures.inc();
    }
}

impl Metrics {
    /// One round.
    ///
    /// # Errors
    /// The store could not be read; what was read before stays.
    pub async fn read(&self, store: &Store) -> Result<(), StoreError> {
        // First what need not be asked of a store that may not answer.
        self.readings().writing.get_or_insert_with(|| store.writing());
        let full = store.full();
        for (why, refuses) in
            [("disk", full.disk), ("queue", store.is_queue_full()), ("endpoint", !full.endpoints.is_empty())]
        {
            self.instruments.refusing.with_label_values(&[why]).set(i64::from(refuses));
        }
        let ids: Vec<EndpointId> = self.watched.endpoints.iter().map(|e| e.id.clone()).collect();
        let mut states = store.endpoint_states(&ids).await?;
        let mut endpoints = HashMap::new();
        for watched in &self.watched.endpoints {
            let now = self.clock.now();
            let overdue_before = before(now, watched.evidence_overdue_after);
            let counts = store.endpoint_counts(&watched.id, now, overdue_before).await?;
            let state = states.iter().position(|s| s.id == watched.id).map(|at| states.swap_remove(at));
            let state = state.unwrap_or_else(|| EndpointState::new(watched.id.clone()));
            let last_inbound = if watched.listens { self.read_inbound(store, watched, now).await? } else { None };
            endpoints.insert(watched.id.clone(), Reading { counts, state, last_inbound });
        }
        for (endpoint, kind, count) in store.alarms() {
            raise(&self.instruments.alarms.with_label_values(&[endpoint.as_str(), kind]), count);
        }
        let mut readings = self.readings();
        readings.endpoints = endpoints;
        readings.open_deliveries = store.open_deliveries();
        readings.read_at = Some(self.clock.now());
        Ok(())
    }

    /// Counts what came since the last round; says when the last message came.
    async fn read_inbound(
        &self,
        store: &Store,
        watched: &WatchedEndpoint,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let mut last = None;
        for state in INBOUND_STATES.iter().copied() {
            last = store.last_inbound(&watched.id, state).await?.max(last);
            self.count_inbound(store, &watched.id, state, now).await?;
        }
        Ok(last)
    }

    async fn count_inbound(
        &self,
        store: &Store,
        id: &EndpointId,
        state: InboundState,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let key = (id.clone(), inbound_word(state));
        let started_at = self.readings().started_at;
        let known = self.readings().inbound.get(&key).copied();
        let mut counted = known.unwrap_or(Counted { until: started_at, settled: 0, shown: 0 });
        let settles = before(now, SETTLED_AFTER).max(counted.until);
        counted.settled += store.inbound_arrived(id, state, counted.until, settles).await?;
        counted.until = settles;
        let count = counted.settled + store.inbound_arrived(id, state, settles, Timestamp::MAX).await?;
        // A message reprocessed meanwhile has left its state; a counter never goes back.
        if let Ok(more @ 1..) = u64::try_from(count - counted.shown) {
            self.instruments.inbound.with_label_values(&[id.as_str(), inbound_word(state)]).inc_by(more);
            counted.shown = count;
        }
        self.readings().inbound.insert(key, counted);
        Ok(())
    }
}

fn before(now: Timestamp, by: Duration) -> Timestamp {
    jiff::SignedDuration::try_from(by).ok().and_then(|by| now.checked_sub(by).ok()).unwrap_or(Timestamp::MIN)
}
