//! What was written or tried while the machine's clock was ahead. It need not wait until that time comes.

use crate::domain::ambient::Clock;
use crate::domain::organisation::EndpointId;
use crate::store::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A clock is put right at any time.
const EVERY: Duration = Duration::from_secs(60);

/// Looks at once, and then every minute, for what was written while the machine's clock was ahead.
pub async fn put_right(store: Store, clock: Arc<dyn Clock>, endpoints: Vec<EndpointId>, stop: CancellationToken) {
    loop {
        for endpoint in &endpoints {
            match store.put_right(endpoint, clock.now()).await {
                Ok(0) => {}
                Ok(deliveries) => {
                    tracing::warn!(%endpoint, deliveries, "the machine's clock was ahead when these were written or tried; they no longer wait for that time. Keep the clock in step (NTP)");
                }
                Err(e) => {
                    tracing::debug!(%endpoint, reason = %e, "what a clock that was ahead keeps waiting could not be looked for");
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
