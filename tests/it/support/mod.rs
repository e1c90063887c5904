//! What integration tests stand on: both stores, a clock and randomness that can be replayed, places on loopback, patience.

mod ambient;
pub mod binary;
pub mod bridge;
pub mod far_end;
pub mod heard;
mod judges;
pub mod mesh_end;
mod places;
mod stores;
mod waiting;
pub mod web_end;

pub use ambient::{Seeded, SetClock};
pub use judges::{FhirReceiver, MeshSandbox, Peer, fhir_judges, hl7_judges, shared};
pub use places::{free_addr, temp_dir};
pub use stores::{TestStore, stores};
pub use waiting::wait_until;

mod tests;
