//! After an older record was put back: whatever would be sent by itself is parked first, and of nothing it is said any more that it never went.

use super::error::WriteError;
use super::read::{DeliveryFilter, Page};
use super::record::Actor;
use super::write::{Call, Operate, Operation};
use super::{Scope, Store};
use crate::domain::delivery::{Delivery, State};
use std::sync::atomic::Ordering;

/// In one commit.
const PART: u32 = 200;

/// Stands in the audit.
const WHY: &str = "the record was put back from a backup, and the bridge was started with --restored";

impl Store {
    /// Parks everything that is QUEUED, BACKING_OFF or SENDING, as of unknown outcome and with an audit row each; a person's retry is then that of
    /// something that may have been received. So is that of what is PARKED, which keeps its reason. How many there were. What was received already stays as it is.
    ///
    /// Nothing may be sent meanwhile. Where it breaks off an ordinary start is refused on SQLite, and it is to be done again: it goes on where it ended.
    ///
    /// # Errors
    /// The store could not be read or written.
    pub async fn park_restored(&self) -> Result<usize, WriteError> {
        let scope = Scope::system();
        let states = vec![State::Queued, State::BackingOff, State::Sending, State::Parked];
        let filter = DeliveryFilter { states, ..DeliveryFilter::default() };
        let (mut all, mut page) = (Vec::new(), Page { size: PART, after: None });
        loop {
            let found = self.deliveries(&scope, &filter, page).await?;
            let Some(last) = found.last() else { break };
            page.after = Some(last.id.0);
            all.extend(found.iter().filter(|d| is_concerned(d)).map(|d| (d.lane_seq, d.created_at, d.id)));
        }
        // The oldest first: a version that is parked holds back the newer ones; the other way round it would give way to them, unasked.
        all.sort_unstable();
        let mut parked = 0;
        for part in all.chunks(PART as usize) {
            let operate = Operate {
                call: Call { actor: Actor::bridge(), scope: scope.clone(), request: None, trace: None },
                deliveries: part.iter().map(|(_, _, id)| *id).collect(),
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

/// What is parked already, and counts as possibly received, waits for a person as it is, unless it would go by itself once a name is known.
fn is_concerned(d: &Delivery) -> bool {
    let stays = d.may_have_been_received() && !d.waits_for_its_name_again();
    d.state != State::Parked || !(stays || d.waits_for_a_name())
}
