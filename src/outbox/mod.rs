//! 4 The outbox: one worker an endpoint takes lanes whose heads are due, checks, renders, stores the bytes, sends them and settles what came
//! of it. Nothing here decides a state: that is `domain::decide`, applied by the store in the commit that settles.
//!
//! ```text
//! claim (commit) -> holds -> (look up) -> render -> turn -> connect -> begin (commit) -> send -> verdict -> settle (commit)
//!                \-> ask the record, where an outcome is unknown or only the record's word files -> settle (commit)
//! ```
//!
//! No transaction is open while bytes move. Before `begin` nothing can have been received; after it, everything may have been.

mod ahead;
mod answered;
mod ask;
mod judge;
mod look_up;
mod pace;
mod prepare;
mod retired;
mod send;
mod strays;
mod trace;
mod wait;
mod ways;
mod worker;

pub use ahead::put_right;
pub use answered::Answered;
pub use ask::{Question, ReadBack};
pub use look_up::TIME_MAX as LOOK_UP_TIME_MAX;
pub use retired::settle_retired;
pub use ways::WAIT_MAX as TURN_WAIT_MAX;
pub use worker::run;

use crate::adapter::{Fitted, InUse, RenderOptions};
use crate::domain::ambient::{Clock, Entropy};
use crate::domain::organisation::{EndpointId, StaffId};
use crate::domain::policy::BackOff;
use crate::store::{Scope, Store};
use crate::transport::{Sender, Stray};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// What every endpoint's worker shares.
#[derive(Clone)]
pub struct Shared {
    pub store: Store,
    /// The bridge's own: the outbox works for every trust.
    pub scope: Scope,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub watch: Arc<dyn Watch>,
}

/// Who counts what the outbox does. Names and numbers only.
pub trait Watch: Send + Sync + 'static {
    /// An attempt ended: `positive`, `refused`, `retry`, `unknown`, `held` or `not_sent`, after this long.
    fn attempt(&self, endpoint: &str, verdict: &'static str, took: Duration);
    /// The record was asked: `found`, `received`, `not_delivered`, `not_found`, `unclear` or `unheard`.
    fn asked(&self, endpoint: &str, answer: &'static str);
    /// A delivery was filed, this long after it was written.
    fn filed(&self, endpoint: &str, after: Duration);
}

/// One endpoint, as its worker needs it.
pub struct Endpoint {
    pub id: EndpointId,
    /// Its pack and policy, as they are now.
    pub in_use: InUse,
    /// Which config it is sent to by: nothing is, while another one is in force.
    pub config: Arc<str>,
    pub options: RenderOptions,
    pub sender: Sender,
    /// How the record is asked with the pack in use, where pack and transport can.
    pub read_back: FindReadBack,
    /// What arrives on connections that wait for nothing.
    pub strays: mpsc::Receiver<Stray>,
    /// Late acknowledgements of this endpoint come on our own connections to it: then strays can be evidence, whatever they answer.
    pub late_replies_on_connection: bool,
    /// Otherwise only second answers are.
    pub answered: Answered,
    /// Longer than connect, send and reply timeouts together; config checks it.
    pub lease: Duration,
    pub probe: BackOff,
    /// Messages on their way at once, 1 to 1000.
    pub max_in_flight: u32,
    pub max_per_minute: Option<u32>,
    /// When the maintenance under way ends.
    pub maintenance: Box<dyn Fn(Timestamp) -> Option<Timestamp> + Send + Sync>,
    /// 0 to 4 characters of A-Z and 0-9, before every control id.
    pub control_id_prefix: String,
    /// The trust's staff table: the EPR's own id and name for one of our authors.
    pub staff: FindStaff,
}

/// A pack's way to ask the record, with the endpoint's settings.
pub type FindReadBack = Box<dyn Fn(&Arc<Fitted>) -> Option<Arc<dyn ReadBack>> + Send + Sync>;

/// The EPR's own id and name for one of our authors.
pub type FindStaff = Box<dyn Fn(&StaffId) -> Option<(String, String)> + Send + Sync>;
