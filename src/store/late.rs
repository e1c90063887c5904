//! An acknowledgement that comes on its own comes once: nobody sends it again because it could not be kept here.

use super::Store;
use super::error::{StoreError, WriteError};
use super::write::Late;
use crate::domain::ids::DeliveryId;
use std::time::Duration;
use tokio::time::Instant;

/// How long the store may be away for it: a database that is started anew is back by then. Shorter than the time a bridge has to stop in.
const PATIENCE: Duration = Duration::from_secs(30);
const FIRST_WAIT: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_secs(5);

impl Store {
    /// Tries until it is kept, for half a minute. The delivery it was credited to; `None` as well where an earlier try had kept it unheard.
    ///
    /// # Errors
    /// The last one, when that is over; a refusal, which does not pass, at once.
    pub async fn keep_late(&self, late: Late) -> Result<Option<DeliveryId>, WriteError> {
        let give_up = Instant::now() + PATIENCE;
        let mut wait = FIRST_WAIT;
        loop {
            match self.take_late(late.clone()).await {
                // Any other conflict stored nothing.
                Err(WriteError::Store(StoreError::Conflict(_)))
                    if self.has_reply(late.reply.id).await.unwrap_or(false) =>
                {
                    return Ok(None);
                }
                Err(e @ WriteError::Store(_)) if Instant::now() < give_up => {
                    tracing::warn!(endpoint = %late.endpoint, reason = %e, "what was heard could not be kept yet; trying again");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(WAIT_MAX);
                }
                other => return other,
            }
        }
    }
}
