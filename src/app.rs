//! The only place that wires parts and owns clock, randomness and signals.

pub mod metrics;
pub mod telemetry;
