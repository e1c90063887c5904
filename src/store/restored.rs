//! After an older record was put back: whatever would be sent by itself is parked first.

use super::error::WriteError;
use super::read::{DeliveryFilter, Page};
use super::record::Actor;
use super::write::{Call, Operate, Operation};
use super::{Scope, Store};
use crate::domain::delivery::State;
use std::sync::atomic::Ordering;

/// In one commit.
const PART: u32 = 200;

/// Stands in the audit.
const WHY: &str = "the record was put back from a backup, and the bridge was started with --restored";

impl Store {
    /// Parks everything that is QUEUED, BACKING_OFF or SENDING, as of unknown outcome and with an audit row each; a person's retry is then that of
    /// something that may have been received. How many there were. What was parked or received already stays as it is.
    ///
    /// Nothing may be sent meanwhile. Where it breaks off an ordinary start is refused on SQLite, and it is to be done again: it goes on where it ended.
    ///
    /// # Errors
    /// The store could not be read or written.
    pub async fn park_restored(&self) -> Result<usize, WriteError> {
        let scope = Scope::system();
        let states = vec![State::Queued, State::BackingOff, State::Sending];
        let filter = DeliveryFilter { states, ..DeliveryFilter::default() };
        let (mut parked, mut page) = (0, Page { size: PART, after: None });
        loop {
            let found = self.deliveries(&scope, &filter, page).await?;
            let Some(last) = found.last() else { break };
            page.after = Some(last.id.0);
            let operate = Operate {
                call: Call { actor: Actor::bridge(), scope: scope.clone(), request: None, trace: None },
                deliveries: found.iter().map(|d| d.id).collect(),
                operation: Operation::ParkRestored,
                reason: WHY.to_owned(),
                // One that its chain has ended meanwhile needs nobody.
                single: false,
            };
            parked += self.operate(operate).await?.answer().deliveries.len();
        }
        if let Some(reached) = self.reached.clone() {
            let commits = self.signals.commits.load(Ordering::Relaxed);
            // A panic is logged by its place; the next start is refused then.
            let _ = tokio::task::spawn_blocking(move || reached.settled(commits)).await;
        }
        Ok(parked)
    }
}
