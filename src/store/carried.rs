//! What a claim does, until something is begun under it: nothing of it has left, so it need not be on disk. It waits in the writer's hands and is
//! written with whatever comes next, as a rule with the attempt that it was made for. When the process ends before that, or the batch that should
//! have written it fails, nobody ever claimed.
//!
//! On SQLite only. Where several bridges share a record, a claim must be seen by the others.

use super::record::{Lane, Step};
use super::rows::{Mark, View};
use crate::domain::delivery::{Delivery, State};

/// Rows that are to be written with the next batch.
#[derive(Clone)]
pub(super) struct Carried {
    deliveries: Vec<Delivery>,
    lanes: Vec<Lane>,
    steps: Vec<Step>,
}

impl View {
    /// All that was changed is that lanes were taken up.
    pub fn has_only_taken_up(&self) -> bool {
        let taken_up = self.deliveries.changes() + self.lanes.changes() + self.steps.len();
        self.mark() == Mark(taken_up) && self.deliveries.changed().all(|d| d.state == State::Sending && !d.begun)
    }

    /// What was changed, to be written later.
    pub fn carried(&self) -> Carried {
        Carried {
            deliveries: self.deliveries.changed().cloned().collect(),
            lanes: self.lanes.changed().cloned().collect(),
            steps: self.steps.clone(),
        }
    }

    /// As if this batch had changed it.
    pub fn carry(&mut self, carried: &Carried) {
        for delivery in &carried.deliveries {
            self.touched_lanes.insert((delivery.endpoint.clone(), delivery.patient_id));
            self.deliveries.load(delivery.id, Some(delivery.clone()));
            self.deliveries.put(delivery.id, delivery.clone());
        }
        for lane in &carried.lanes {
            self.lanes.put((lane.endpoint.clone(), lane.patient_id), lane.clone());
        }
        self.steps.extend_from_slice(&carried.steps);
    }
}
