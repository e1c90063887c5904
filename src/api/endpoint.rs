//! What the edge needs to know of an endpoint beside its policy. Made from config and packs by `app`.

use super::feed::Feed;
use crate::adapter::compose::Site;
use crate::adapter::{Pack, RenderOptions};
use crate::domain::organisation::{EndpointId, OdsCode, StaffId};
use crate::domain::policy::Environment;
use crate::inbound::receive::WayIn;
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// One endpoint, as its status shows it.
#[derive(Clone)]
pub struct EndpointFacts {
    pub id: EndpointId,
    pub trust: OdsCode,
    /// As authors know it, e.g. "RiO".
    pub name: String,
    pub environment: Environment,
    /// How strong the evidence for FILED is here, in words, e.g. "application_ack from the record".
    pub filed_by: String,
    pub evidence_overdue_after: Duration,
    /// Whether it is in a maintenance window at that time.
    pub in_maintenance: Arc<dyn Fn(Timestamp) -> bool + Send + Sync>,
    pub rendering: Rendering,
    /// How its messages are taken in; `None`: its pack reads none.
    pub way_in: Option<Arc<WayIn>>,
    /// Where it pulls from us; `None`: it is sent to.
    pub feed: Option<Arc<dyn Feed>>,
}

/// How the endpoint's messages are made, for previews.
#[derive(Clone)]
pub struct Rendering {
    pub pack: Arc<Pack>,
    pub options: RenderOptions,
    pub site: Site,
    /// The pack's settings with defaults filled in: what parsing needs.
    pub settings: Map<String, Value>,
    /// The EPR's own id and name for one of our authors.
    pub staff: FindStaff,
}

/// The EPR's own id and name for one of our authors.
pub type FindStaff = Arc<dyn Fn(&StaffId) -> Option<(String, String)> + Send + Sync>;
