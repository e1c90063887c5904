//! Whose data a caller may touch. Every store method that reads takes one; a foreign id behaves as if it did not exist.

use crate::domain::organisation::{EndpointId, OdsCode};
use std::collections::BTreeSet;

/// Trusts, and for an EPR system also its endpoints; or the bridge itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope(Reach);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reach {
    Trusts { trusts: BTreeSet<OdsCode>, endpoints: Option<BTreeSet<EndpointId>> },
    System,
}

impl Scope {
    pub fn trusts(trusts: impl IntoIterator<Item = OdsCode>) -> Self {
        Self(Reach::Trusts { trusts: trusts.into_iter().collect(), endpoints: None })
    }

    /// Deliveries and endpoints are narrowed further to these endpoints; patients and referrals are not.
    pub fn with_endpoints(self, endpoints: impl IntoIterator<Item = EndpointId>) -> Self {
        match self.0 {
            Reach::Trusts { trusts, .. } => {
                Self(Reach::Trusts { trusts, endpoints: Some(endpoints.into_iter().collect()) })
            }
            Reach::System => Self(Reach::System),
        }
    }

    /// The bridge's own work. Named only in `app` and tests: a test holds that.
    pub fn system() -> Self {
        Self(Reach::System)
    }

    pub fn has_trust(&self, trust: &OdsCode) -> bool {
        match &self.0 {
            Reach::Trusts { trusts, .. } => trusts.contains(trust),
            Reach::System => true,
        }
    }

    pub fn has_endpoint(&self, trust: &OdsCode, endpoint: &EndpointId) -> bool {
        match &self.0 {
            Reach::Trusts { endpoints: Some(endpoints), .. } => self.has_trust(trust) && endpoints.contains(endpoint),
            _ => self.has_trust(trust),
        }
    }

    /// The value if it may be seen.
    pub fn see<T>(&self, value: Option<T>, trust: impl Fn(&T) -> &OdsCode) -> Option<T> {
        value.filter(|v| self.has_trust(trust(v)))
    }

    /// JSON list of trusts for a query, `None` for no limit.
    pub(super) fn trusts_json(&self) -> Option<String> {
        match &self.0 {
            Reach::Trusts { trusts, .. } => {
                Some(serde_json::Value::from_iter(trusts.iter().map(OdsCode::as_str)).to_string())
            }
            Reach::System => None,
        }
    }

    /// JSON list of endpoints for a query, `None` for no limit.
    pub(super) fn endpoints_json(&self) -> Option<String> {
        match &self.0 {
            Reach::Trusts { endpoints: Some(e), .. } => {
                Some(serde_json::Value::from_iter(e.iter().map(EndpointId::as_str)).to_string())
            }
            _ => None,
        }
    }
}
