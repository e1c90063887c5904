//! One integration binary: a module a topic.

mod config_example;
mod config_faults;
mod hl7_interop;
mod transport_client;
mod transport_interop;
mod transport_listener;
mod transport_support;
mod transport_tls;
