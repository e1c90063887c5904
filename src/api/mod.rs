//! 1 The gRPC edge: the only module that knows tonic. It asks who calls, reads the request with every broken rule at once, hands it to the store, and
//! shows what came of it. It decides nothing about patients or deliveries.
//!
//! `principal` and `rpc` say who may do what, `edge` is what every call passes through, `error` how a call fails; then one file for each service.

mod adapters;
mod audit;
mod delivery;
mod edge;
mod endpoint;
pub mod error;
mod feed;
mod inbound;
mod incoming;
mod measures;
mod notes;
mod outcomes;
mod patients;
mod principal;
mod referrals;
mod request;
mod rpc;
mod server;
mod token;
mod trace;
mod undecoded;
mod watch;

pub use endpoint::{Candidate, EndpointFacts, EndpointPacks, PackStanding, Rendering, Tried};
pub use feed::{Feed, Line, Offered};
pub use principal::{Principal, Principals, Role, San};
pub use rpc::{ALL as CALLS, Rpc};
pub use server::ListPacks;
pub use server::{ApiParts, ServeError, ServerTls, serve};

use std::time::Duration;

/// `[server]`, as far as the edge needs it.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Of one request, decompressed, in bytes.
    pub max_request_bytes: usize,
    /// Calls with one answer under way at once, over all connections.
    pub max_concurrent_calls: usize,
    /// Watches and exports under way at once, over all connections.
    pub max_streams: usize,
    /// For calls with one answer; for streams until their first.
    pub request_timeout: Duration,
    pub health: bool,
    pub reflection: bool,
    pub grpc_web: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_request_bytes: 1_048_576,
            max_concurrent_calls: 1024,
            max_streams: 256,
            request_timeout: Duration::from_secs(30),
            health: true,
            reflection: true,
            grpc_web: true,
        }
    }
}
