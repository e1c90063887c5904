//! The only place that wires parts together and owns clock, randomness and the order of start and stop.
//!
//! Start: store -> packs (those that are active) -> endpoints (policies, pools) -> checks -> outbox workers -> listeners -> gRPC edge. Stop: the other way round, and what is in hand is
//! finished first. Nothing accepted is lost by stopping at any moment; it only takes longer to arrive.

mod ambient;
mod edge;
pub mod endpoints;
pub mod gates;
mod in_force;
mod login;
pub mod metrics;
mod packs;
mod room;
mod runtime;
pub mod senders;
mod serve;
pub mod telemetry;
mod tls;

pub use crate::store::Ended;
pub use ambient::{SystemClock, SystemEntropy};
pub use in_force::other_environments;
pub use packs::named as pack_named;
pub use runtime::{raise_open_files, runtime};
pub use serve::{Listening, Running, StartError, start, start_restored, unserved, url as store_url};
