//! Deliveries that a clock which was ahead would keep waiting.

use super::super::error::WriteError;
use super::super::record::Step;
use super::super::rows::{Keys, View};
use super::super::writer::{Ctx, Write};
use crate::domain::ids::DeliveryId;
use std::time::Duration;

/// The answer: how many it was true of.
pub struct PutRight {
    pub deliveries: Vec<DeliveryId>,
    pub longest: Duration,
}

impl Write for PutRight {
    type Answer = u64;

    fn needs(&self, view: &View, keys: &mut Keys) {
        keys.deliveries.extend(&self.deliveries);
        for d in self.deliveries.iter().filter_map(|id| view.deliveries.get(id)) {
            keys.lanes.insert((d.endpoint.clone(), d.patient_id));
        }
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<u64, WriteError> {
        let mut count = 0;
        for id in &self.deliveries {
            let known = view.deliveries.get(id).filter(|d| d.waits_to_be_sent());
            let Some(mut right) = known.and_then(|d| d.put_right(ctx.now, self.longest)) else { continue };
            right.version += 1;
            view.steps.push(Step {
                delivery_id: right.id,
                version: right.version,
                at: ctx.now,
                state: right.state,
                what: "the clock was ahead when it was written or tried; it no longer waits for that time".into(),
                by: "bridge".into(),
            });
            view.put_delivery(right);
            count += 1;
        }
        Ok(count)
    }
}
