//! The one place that says which pack an endpoint works with now. Senders, listeners and previews hold it and ask at the beginning of each thing they
//! do, so that a message is made, sent and judged by one pack from beginning to end, and the next one by the next.

use super::compose::Site;
use super::pack::Pack;
use super::reply::ReplyRules;
use crate::domain::policy::EndpointPolicy;
use serde_json::{Map, Value};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// A pack fitted to one endpoint: everything of the endpoint that changes with its pack.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// The activation under which it works; 0: none was ever recorded.
    pub activation: i64,
    pub pack: Arc<Pack>,
    /// The endpoint's settings with the pack's defaults filled in.
    pub settings: Map<String, Value>,
    /// The pack's, with the endpoint's own rows.
    pub reply_rules: ReplyRules,
    pub site: Site,
    pub policy: Arc<EndpointPolicy>,
}

/// What an endpoint works with. Clones are the same one.
#[derive(Debug, Clone)]
pub struct InUse(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    now: RwLock<Arc<Fitted>>,
    /// The newest activation that anybody has seen in the record.
    newest: AtomicI64,
    /// Another config of the endpoint is in force than the one it was fitted by.
    outdated: AtomicBool,
}

impl InUse {
    pub fn new(fitted: Fitted) -> Self {
        let newest = AtomicI64::new(fitted.activation);
        Self(Arc::new(Inner { now: RwLock::new(Arc::new(fitted)), newest, outdated: AtomicBool::new(false) }))
    }

    /// Hold on to it for as long as one message takes.
    pub fn now(&self) -> Arc<Fitted> {
        self.0.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on this one; an older activation than that in use changes nothing.
    pub fn take_up(&self, fitted: Fitted) {
        self.fell_behind(fitted.activation);
        let mut now = self.0.now.write().unwrap_or_else(PoisonError::into_inner);
        if fitted.activation >= now.activation {
            *now = Arc::new(fitted);
        }
    }

    /// The record says that there is a newer one.
    pub fn fell_behind(&self, newest: i64) {
        self.0.newest.fetch_max(newest, Ordering::SeqCst);
    }

    /// Whether the record says that another config is in force: no pack mends that.
    pub fn set_outdated(&self, outdated: bool) {
        self.0.outdated.store(outdated, Ordering::SeqCst);
    }

    /// While it is behind nothing may be sent: the record would refuse to begin it.
    pub fn is_behind(&self) -> bool {
        self.0.outdated.load(Ordering::SeqCst) || self.now().activation < self.0.newest.load(Ordering::SeqCst)
    }
}
