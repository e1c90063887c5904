//! Endpoints that nobody sends to any more. What a worker had in hand there when it was gone ends as everywhere; or its author would read for ever
//! that it is on its way. What waits is parked for a person.

use crate::domain::organisation::EndpointId;
use crate::store::Store;
use crate::store::write::Claim;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Another bridge over the same database may still have been sending when this one started.
const EVERY: Duration = Duration::from_secs(60);

/// Looks at once and each minute until `stop`; sends nothing. Only at what config lists: what it merely lacks another bridge, which reads a newer one, may serve.
pub async fn settle_retired(store: Store, endpoints: Vec<EndpointId>, stop: CancellationToken) {
    loop {
        for endpoint in &endpoints {
            let claim = Claim { endpoint: endpoint.clone(), limit: 0, lease: EVERY, config: Arc::default() };
            if let Err(e) = store.claim(claim).await {
                tracing::warn!(%endpoint, reason = %e, "what was left behind at a retired endpoint could not be settled; trying again in a minute");
            }
            match store.park_unserved(endpoint).await {
                Ok(0) => {}
                Ok(deliveries) => {
                    tracing::warn!(%endpoint, deliveries, "nothing is sent to a retired endpoint; these are parked for a person (ENDPOINT_RETIRED)");
                }
                Err(e) => {
                    tracing::warn!(%endpoint, reason = %e, "what waits for a retired endpoint could not be parked; trying again in a minute");
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
