//! What the trusts decided, as the writer needs it: each endpoint's policy, the routes, the limits. Made from config by `app`.

use crate::domain::organisation::{EndpointId, OdsCode, TeamId};
use crate::domain::policy::EndpointPolicy;
use crate::domain::route::Routes;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone, Default)]
pub struct Rulebook {
    pub policies: HashMap<EndpointId, Arc<EndpointPolicy>>,
    pub routes: Routes,
    pub trusts: HashMap<OdsCode, TrustRules>,
    pub limits: Limits,
}

#[derive(Debug, Clone)]
pub struct TrustRules {
    pub name: String,
    /// How long a note waits for second thoughts when the call does not say.
    pub release_after: Duration,
    /// An open referral untouched for longer is a forgotten one.
    pub untouched_after: Duration,
    /// IANA name.
    pub time_zone: jiff::tz::TimeZone,
    /// A referral to any other team is refused. Empty: no team is known, and none is refused.
    pub teams: Vec<TeamId>,
}

/// What is said of a referral for another team.
pub const NOT_A_TEAM: &str = "is not one of the trust's teams";

impl TrustRules {
    pub fn has_team(&self, team: &TeamId) -> bool {
        self.teams.is_empty() || self.teams.contains(team)
    }
}

/// Where new work is refused for want of room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Full {
    /// The store's disk has less room than config wants left.
    pub disk: bool,
    /// Endpoints at their limit of open deliveries, with their number.
    pub endpoints: BTreeMap<EndpointId, i64>,
}

#[derive(Debug, Clone)]
pub struct Limits {
    /// Open deliveries over all endpoints; beyond it new work is refused, never accepted work removed.
    pub max_open_deliveries: i64,
    /// The same for one endpoint, so that one that is away leaves room for the others. Counted every few seconds.
    pub max_open_deliveries_per_endpoint: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_open_deliveries: 5_000_000, max_open_deliveries_per_endpoint: 5_000_000 }
    }
}
