//! Every integration test, in one binary.

mod transport_client;
mod transport_interop;
mod transport_listener;
mod transport_support;
mod transport_tls;
