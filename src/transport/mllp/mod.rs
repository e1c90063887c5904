//! MLLP release 1 over TCP, plain or TLS.

pub mod frame;
