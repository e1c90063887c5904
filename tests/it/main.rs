//! One binary for all integration tests: it links once.

mod config_example;
mod config_faults;
