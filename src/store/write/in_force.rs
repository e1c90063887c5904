//! Which config of an endpoint is in force: that of the bridge that started last. From this commit on a bridge that reads another one claims nothing
//! there and begins nothing, so that of two bridges on one record no two send by different rules, or to different places.

use super::super::error::WriteError;
use super::super::record::{ActiveConfig, Actor, EndpointState};
use super::super::rows::{Keys, View};
use super::super::writer::{Ctx, Write};
use super::{About, audit};
use crate::domain::organisation::{EndpointId, OdsCode};
use crate::domain::policy::Environment;
use uuid::Uuid;

/// A bridge has started, and this is what it reads. Nothing is written where that is in force already.
pub struct PutInForce {
    pub trust: OdsCode,
    pub endpoint: EndpointId,
    /// [`ActiveConfig::digest`].
    pub digest: String,
    pub environment: Environment,
}

impl Write for PutInForce {
    type Answer = ActiveConfig;

    fn needs(&self, _view: &View, keys: &mut Keys) {
        keys.endpoints.insert(self.endpoint.clone());
    }

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<ActiveConfig, WriteError> {
        let state =
            view.endpoints.get(&self.endpoint).cloned().unwrap_or_else(|| EndpointState::new(self.endpoint.clone()));
        let before = state.config.as_ref().map_or(0, |c| c.number);
        if let Some(config) = state.config.as_ref().filter(|c| c.digest == self.digest) {
            return Ok(config.clone());
        }
        let (digest, environment) = (self.digest.clone(), Some(self.environment));
        let config = ActiveConfig { number: before + 1, digest, environment, at: ctx.now };
        view.endpoints.put(self.endpoint.clone(), EndpointState { config: Some(config.clone()), ..state });
        // The first one takes the place of nothing.
        if before > 0 {
            let about = About {
                trust: &self.trust,
                action: "endpoint.config",
                kind: "endpoint",
                id: Uuid::nil(),
                patient: None,
                why: &format!("{}: a bridge started with another config, number {} here", self.endpoint, config.number),
            };
            audit(view, &Actor::bridge(), ctx.now, &about);
        }
        Ok(config)
    }
}
