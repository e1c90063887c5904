//! IPS Bridge: write it once; it lands in the clinical record; you can see that it did.

pub mod config;
pub mod api;
pub mod domain;
pub mod store;
pub mod outbox;
pub mod adapter;
pub mod simulator;
pub mod transport;
pub mod verdict;
pub mod status;
pub mod inbound;
pub mod wire;
pub mod app;
pub mod cli;

#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;
