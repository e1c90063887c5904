//! One endpoint's worker: takes lanes as fast as connections come free, no faster than the endpoint allows.

use super::pace::Pace;
use super::send::deliver;
use super::ways::Ways;
use super::{Endpoint, Shared, strays};
use crate::store::write::Claim;
use futures::FutureExt;
use futures::future::join_all;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The longest a worker sleeps without looking: another bridge over the same database may have freed something.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How often to look for what a worker that is gone left behind, while nobody is there to send to.
const LEFT_BEHIND_EVERY: Duration = Duration::from_secs(5);
/// The shortest, when something is due that the endpoint's gate holds back.
const NOT_YET: Duration = Duration::from_millis(100);

/// Works until `stop`, then finishes what is in hand.
pub async fn run(shared: Shared, mut endpoint: Endpoint, stop: CancellationToken) {
    let (_none, never) = tokio::sync::mpsc::channel(1);
    let mut strays_in = std::mem::replace(&mut endpoint.strays, never);
    let endpoint = Arc::new(endpoint);
    let id = endpoint.id.clone();
    let mut pace = Pace::new(endpoint.max_per_minute, shared.clock.now());
    let mut in_hand: JoinSet<()> = JoinSet::new();
    let ways = Ways::new(endpoint.max_in_flight);
    let mut looked_twice = false;
    let mut left_behind_at = Instant::now();
    // Nothing more is due before then, unless the bell rings: a delivery that ends frees a connection, and brings nothing to send.
    let mut nothing_until: Option<Instant> = None;
    tracing::info!(endpoint = %id, "outbox worker started");
    while !stop.is_cancelled() {
        let mut changed = pin!(shared.store.lanes_changed(&id));
        let arrival = endpoint.sender.arrival();
        let alone = endpoint.sender.is_alone();
        let mut wait = LOOK_AGAIN;
        // Something is due and the endpoint's gate holds it back: more of the same changes nothing, so the bell is not listened to.
        let mut held = false;
        let now = shared.clock.now();
        let free = ways.room(u32::try_from(in_hand.len()).unwrap_or(u32::MAX));
        // A pack that was activated elsewhere is taken up first, and under another config than is in force nothing goes: what is claimed could not begin.
        let closed = alone || (endpoint.maintenance)(now).is_some() || endpoint.in_use.is_behind();
        let limit = if closed { 0 } else { pace.allowance(free, now) };
        let rest = nothing_until.map(|until| until.saturating_duration_since(Instant::now())).unwrap_or_default();
        if alone && left_behind_at <= Instant::now() {
            // Nobody to send to: everything waits where it is. What a worker that is gone left behind must not wait with it.
            left_behind_at = Instant::now() + LEFT_BEHIND_EVERY;
            if let Err(e) = shared.store.claim(claim(&endpoint, 0)).await {
                tracing::warn!(endpoint = %id, reason = %e, "what was left behind could not be settled; trying again");
            }
        } else if limit > 0 && !rest.is_zero() {
            wait = rest;
        } else if limit > 0 {
            match shared.store.claim(claim(&endpoint, limit)).await {
                Ok(claimed) => {
                    let count = u32::try_from(claimed.len()).unwrap_or(u32::MAX);
                    pace.spend(count);
                    for one in claimed {
                        let (shared, endpoint, ahead) = (shared.clone(), endpoint.clone(), ways.ahead());
                        in_hand.spawn(async move { deliver(&shared, &endpoint, one, ahead).await });
                    }
                    if count == limit && count < free {
                        continue;
                    }
                    if count < limit {
                        // What is due may have come while this one looked: then the gate does not hold it, and it must not wait.
                        if !looked_twice && changed.as_mut().now_or_never().is_some() {
                            looked_twice = true;
                            continue;
                        }
                        wait = until_due(&shared, &id).await;
                        nothing_until = Some(Instant::now() + wait);
                        // What is in hand and not begun yet is due as well, as far as anybody can see.
                        held = wait == NOT_YET && in_hand.is_empty();
                    }
                }
                Err(e) => tracing::warn!(endpoint = %id, reason = %e, "lanes could not be claimed; trying again"),
            }
        } else if free > 0 && endpoint.max_per_minute.is_some() {
            wait = NOT_YET;
        }
        tokio::select! {
            () = &mut changed, if !held && !alone => nothing_until = None,
            () = arrival, if alone => nothing_until = None,
            () = tokio::time::sleep(wait) => {}
            Some(done) = in_hand.join_next(), if !in_hand.is_empty() => finished(done),
            () = ways.moved(), if !held && !alone && free == 0 => {}
            Some(stray) = strays_in.recv() => strays::keep(&shared, &endpoint, stray).await,
            () = stop.cancelled() => {}
        }
        looked_twice = false;
        while let Some(done) = in_hand.try_join_next() {
            finished(done);
        }
    }
    // The connections' own time limits bound this.
    while let Some(done) = in_hand.join_next().await {
        finished(done);
    }
    endpoint.sender.close();
    // What was heard last is kept like everything else; together, so that a store that is away is waited for once.
    let last: Vec<_> = std::iter::from_fn(|| strays_in.try_recv().ok()).collect();
    join_all(last.into_iter().map(|stray| strays::keep(&shared, &endpoint, stray))).await;
    tracing::info!(endpoint = %id, "outbox worker stopped");
}

fn claim(endpoint: &Endpoint, limit: u32) -> Claim {
    Claim { endpoint: endpoint.id.clone(), limit, lease: endpoint.lease, config: endpoint.config.clone() }
}

/// How long until the endpoint's next lane is due.
async fn until_due(shared: &Shared, id: &crate::domain::organisation::EndpointId) -> Duration {
    match shared.store.next_due(id).await {
        Ok(Some(due)) => {
            due.duration_since(shared.clock.now()).try_into().unwrap_or(Duration::ZERO).clamp(NOT_YET, LOOK_AGAIN)
        }
        _ => LOOK_AGAIN,
    }
}

fn finished(done: Result<(), tokio::task::JoinError>) {
    if done.is_err_and(|e| e.is_panic()) {
        // The panic's own text could hold data; the lease brings the delivery back.
        tracing::error!("a delivery ended in a fault of ours; it is taken up again when its lease ends");
    }
}
