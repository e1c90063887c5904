//! Deliveries to an endpoint to which the bridge sends nothing any more.

use super::super::error::WriteError;
use super::super::rows::{Keys, View};
use super::super::writer::{Ctx, Write};
use super::accept::happen;
use crate::domain::decide::Happened;
use crate::domain::ids::DeliveryId;

/// Puts them in front of a person. The answer: how many.
pub struct ParkUnserved {
    pub deliveries: Vec<DeliveryId>,
}

impl Write for ParkUnserved {
    type Answer = u64;

    fn needs(&self, view: &View, keys: &mut Keys) {
        keys.deliveries.extend(&self.deliveries);
        for d in self.deliveries.iter().filter_map(|id| view.deliveries.get(id)) {
            keys.chains.insert(d.subject.uuid());
            keys.lanes.insert((d.endpoint.clone(), d.patient_id));
        }
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<u64, WriteError> {
        let mut count = 0;
        for id in &self.deliveries {
            let waiting = view.deliveries.get(id).filter(|d| d.waits_to_be_sent()).cloned();
            let Some(delivery) = waiting.filter(|d| !ctx.rules.policies.contains_key(&d.endpoint)) else { continue };
            happen(view, ctx, &delivery, &Happened::Unserved, "bridge")?;
            count += 1;
        }
        Ok(count)
    }
}
