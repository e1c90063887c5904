//! Every integration test, in one binary: one module per topic, named after what it holds.

// Says to clippy that the helpers are tests too: they may unwrap, panic and print.
#![cfg(test)]

mod adapter_breaks;
mod adapter_interop;
mod adapter_packs;
mod adapter_text;
mod api_calls;
mod api_fields;
mod api_lists;
mod api_operate;
mod api_repeats;
mod api_samples;
mod api_sentences;
mod api_server;
mod api_support;
mod api_walls;
mod api_watch;
mod cli_alone;
mod cli_demo;
mod cli_operate;
mod config_example;
mod config_faults;
mod e2e_chains;
mod e2e_changes;
mod e2e_isolation;
mod e2e_kill;
mod e2e_late;
mod e2e_live;
mod e2e_pace;
mod e2e_replies;
mod e2e_support;
mod e2e_texts;
mod hl7_interop;
mod inbound_patients;
mod interop;
mod seeing_canary;
mod seeing_metrics;
mod seeing_traces;
mod simulator_faults;
mod simulator_server;
mod simulator_support;
mod store;
mod support;
mod tidy;
mod transport_client;
mod transport_interop;
mod transport_listener;
mod transport_support;
mod transport_tls;
