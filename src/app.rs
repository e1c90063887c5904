//! The only place that wires parts together and owns clock, randomness and the order of start and stop.
//!
//! Start: packs -> endpoints (policies, pools) -> store -> checks -> outbox workers -> listeners -> gRPC edge. Stop: the other way round, and what is in hand is
//! finished first. Nothing accepted is lost by stopping at any moment; it only takes longer to arrive.

mod ambient;
mod edge;
pub mod endpoints;
pub mod gates;
pub mod metrics;
mod room;
pub mod senders;
mod serve;
pub mod telemetry;
mod tls;

pub use ambient::{SystemClock, SystemEntropy};
pub use serve::{Running, StartError, start};
