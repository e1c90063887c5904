//! What the edge needs to know of an endpoint beside its policy. Made from config and packs by `app`.

use super::feed::Feed;
use crate::adapter::{Fault, Fitted, InUse, Judge, RenderOptions};
use crate::domain::organisation::{EndpointId, OdsCode, StaffId};
use crate::domain::policy::Environment;
use crate::inbound::receive::WayIn;
use crate::store::record::{PackKept, Raw};
use futures::future::BoxFuture;
use jiff::Timestamp;
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
    pub packs: Arc<dyn EndpointPacks>,
    /// How its messages are taken in; `None`: none can be.
    pub way_in: Option<Arc<WayIn>>,
    /// Where it pulls from us; `None`: it is sent to.
    pub feed: Option<Arc<dyn Feed>>,
}

/// What an endpoint could work with, and taking it up. `app` knows the packs' folder and the endpoint's config.
pub trait EndpointPacks: Send + Sync + 'static {
    /// How the endpoint stands beside the packs' folder.
    fn standing(&self) -> PackStanding;
    /// What the folder holds at this moment, checked whole and held against the endpoint's config; or every fault.
    fn in_folder(&self, version: Option<String>) -> BoxFuture<'_, Result<Candidate, Vec<Fault>>>;
    /// Whether a pack that was kept fits the endpoint's config of today.
    fn fits(&self, pack: PackKept, bytes: Vec<u8>) -> BoxFuture<'_, Result<(), Vec<Fault>>>;
    /// The endpoint as it would be with a pack that was sent (as `Pack::keep` makes its bytes). `settings` stand in for those that config lacks.
    fn tried(&self, bytes: Vec<u8>, settings: toml::Table) -> BoxFuture<'_, Result<Tried, Vec<Fault>>>;
    /// Works with what the record says, from now on.
    fn take_up(&self) -> BoxFuture<'_, ()>;
}

/// A pack that is only tried: nothing is sent by it.
pub struct Tried {
    pub fitted: Fitted,
    /// How replies are judged by its rules.
    pub judge: Judge,
}

/// A pack that can be activated.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub kept: PackKept,
    pub bytes: Raw,
}

/// What the folder holds beside what the endpoint works with.
#[derive(Debug, Clone, Default)]
pub struct PackStanding {
    /// `None`: nothing that can be loaded.
    pub in_folder: Option<PackKept>,
    /// Why it cannot be taken.
    pub faults: Vec<Fault>,
    /// By config.
    pub pinned: Option<String>,
    /// Why nothing is sent although the endpoint is open.
    pub held: Option<String>,
    pub reloads: bool,
}

/// How the endpoint's messages are made, for previews.
#[derive(Clone)]
pub struct Rendering {
    pub in_use: InUse,
    pub options: RenderOptions,
    /// The EPR's own id and name for one of our authors.
    pub staff: FindStaff,
}

/// The EPR's own id and name for one of our authors.
pub type FindStaff = Arc<dyn Fn(&StaffId) -> Option<(String, String)> + Send + Sync>;
