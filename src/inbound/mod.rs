//! 9 The way back: what an EPR sends us is kept raw in the same commit as what it changes, and answered after it.
//!
//! ```text
//! transport listen -> peek -> repeat? -> ours? -> pack parse -> the same rules as the API -> store (one commit: raw, what it changes, audit) -> reply
//! ```

mod answer;
mod batch;
mod batches;
mod fhir;
pub mod folder;
pub mod mesh;
pub mod receive;
pub mod reconcile;
mod referral;
mod repeats;
mod told;
mod weigh;
mod xml;

pub use batches::Batches;
pub use fhir::{receive_fhir, unheard};
pub use receive::{receive, receive_cut_off};
pub use repeats::Repeats;
pub use xml::{receive_xml, unheard_xml};

use crate::adapter::InUse;
use crate::domain::accept::Accept;
use crate::domain::ambient::{Clock, Entropy};
use crate::domain::organisation::{EndpointId, OdsCode, TeamId};
use crate::domain::policy::AckMode;
use crate::store::Store;
use jiff::tz::TimeZone;
use std::sync::Arc;

/// One endpoint's listener, as receiving needs it.
#[derive(Clone)]
pub struct Source {
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub endpoint: EndpointId,
    pub trust: OdsCode,
    /// Its pack with what goes with it, as they are now.
    pub in_use: InUse,
    pub time_zone: TimeZone,
    pub time_zone_name: String,
    pub ack_mode: AckMode,
    pub control_id_prefix: String,
    /// The trust's teams; empty: whatever a referral names.
    pub teams: Vec<TeamId>,
    /// What else they are called: a message may name a team in other letters, or by its name.
    pub team_names: Vec<(String, TeamId)>,
    /// The team of a referral that names none of them.
    pub default_team: Option<TeamId>,
    /// Messages that say they are for training or testing are taken for what they say.
    pub is_live: bool,
    /// Allowed pairs of MSH-3 and MSH-4; empty: any.
    pub allowed: Vec<(String, String)>,
    /// Which messages are for us.
    pub accept: Accept,
    /// The bytes of what is not for us are kept for a while, rather than not at all.
    pub keeps_ignored: bool,
    /// The endpoint's batches under way, by whichever way they came.
    pub batches: Arc<Batches>,
    /// Its messages in hand.
    pub repeats: Arc<Repeats>,
}
